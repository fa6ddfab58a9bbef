"""The wire format of `anabranch/1`, from docs/protocol.md: stream types, control messages, TLVs.

The PDUs of media are those of classic media (classic_pdu), with TLVs at the end of two of them.
"""

import struct
from dataclasses import dataclass, field

import classic_pdu
from classic_pdu import ProtocolError

ALPN = "anabranch/1"
VERSION = 1

# Stream types (AB-S1).
CONTROL, MEDIA = 0, 1
FILE_CONTROL = 3

# Control messages (AB-C3).
HELLO, PING, PONG, GOAWAY, LIST, LISTING = range(6)
MAX_MESSAGE = 16_384

# Messages of a file control stream, of those of files that this peer says or hears (AB-F3).
OFFER, REQUEST, CANCEL, QUERY, REPLY = 0, 1, 15, 32, 33

# TLVs of OPEN_STREAM and OPEN_ACK (AB-M10).
NAME, FIRST_CHUNK, FIRST_BYTE, PAUSE, PACE, MAX_CHUNK, KEEPALIVE, TIMEOUT = range(1, 9)
SIZE, MEDIA_TYPE = 16, 17
NUMBERS = {FIRST_CHUNK, FIRST_BYTE, MAX_CHUNK, KEEPALIVE, TIMEOUT, SIZE}
BYTES = {PAUSE, PACE}
TEXTS = {NAME, MEDIA_TYPE}
NAMES = {
    NAME: "name",
    FIRST_BYTE: "start",
    PAUSE: "pause",
    PACE: "pace",
    SIZE: "size",
    MEDIA_TYPE: "media_type",
}
HOLD, LIVE = 0, 1
BY_BITRATE, UNPACED = 0, 1

# Flags of a chunk (AB-M16).
DISCONTINUITY = 0x08

# Codes (section 6).
NONE, INTERNAL, VIOLATION, UNKNOWN_STREAM, LIMIT, TIMED_OUT, GOING_AWAY, REFUSED = range(8)


def reserved(n):
    """A type that means nothing (AB-S1)."""
    return 31 * n + 27


def varint(value):
    """RFC 9000, section 16."""
    for length, prefix in ((1, 0), (2, 1), (4, 2), (8, 3)):
        if value < 1 << (8 * length - 2):
            return (value | prefix << (8 * length - 2)).to_bytes(length, "big")
    raise ValueError(value)


def sized(data):
    """bytes:len"""
    return varint(len(data)) + data


class Fields:
    """Reads the fields of a body one after the other."""

    def __init__(self, data):
        self.data = bytes(data)
        self.at = 0

    def take(self, length):
        if self.left() < length:
            raise ProtocolError(f"{length} bytes wanted, {self.left()} there")
        self.at += length
        return self.data[self.at - length : self.at]

    def left(self):
        return len(self.data) - self.at

    def varint(self):
        first = self.take(1)
        rest = self.take((1 << (first[0] >> 6)) - 1)
        return int.from_bytes(first + rest, "big") & ((1 << (8 * (1 + len(rest)) - 2)) - 1)

    def sized(self):
        return self.take(self.varint())

    def text(self, most=128):
        raw = self.sized()
        if len(raw) > most:
            raise ProtocolError(f"a text of {len(raw)} bytes")
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise ProtocolError(str(error)) from error

    def tlvs(self):
        found = []
        while self.left():
            found.append((self.varint(), self.sized()))
        return found


def tlv(kind, value):
    """One TLV; the value is written as its type wants it."""
    if kind in NUMBERS:
        value = varint(value)
    elif kind in BYTES:
        value = bytes([value])
    elif kind in TEXTS:
        value = value.encode()
    return varint(kind) + sized(value)


def read_tlv(kind, value):
    """The value of one TLV."""
    fields = Fields(value)
    if kind in NUMBERS:
        return fields.varint()
    if kind in BYTES:
        return fields.take(1)[0]
    return Fields(sized(value)).text()


# ------------------------------------------------------------------ control messages


def message(kind, body=b""):
    return varint(kind) + sized(body)


def hello(agent="interop", lowest=VERSION, highest=VERSION):
    tlvs = varint(1) + sized(agent.encode()) + varint(reserved(1)) + sized(b"unknown")
    return message(HELLO, varint(lowest) + varint(highest) + tlvs)


def ping(number):
    return message(PING, varint(number))


def list_request(request, most, after=""):
    return message(LIST, varint(request) + varint(most) + sized(after.encode()))


@dataclass
class Listing:
    """One page."""

    request: int
    more_after: str
    entries: list


def read_listing(body):
    fields = Fields(body)
    page = Listing(fields.varint(), fields.text(), [])
    count = fields.varint()
    if count > 64:
        raise ProtocolError(f"a page of {count} entries")
    for _ in range(count):
        entry = Fields(fields.sized())
        page.entries.append(
            {
                "name": entry.text(),
                "type": entry.text(),
                "size": entry.varint() - 1,
                "bitrate": entry.varint(),
            }
        )
    fields.tlvs()
    return page


class Messages:
    """Cuts the bytes of the control stream into messages."""

    def __init__(self):
        self._buffer = bytearray()

    def feed(self, data):
        self._buffer += data
        while self._buffer:
            fields = Fields(self._buffer)
            try:
                kind, length = fields.varint(), fields.varint()
            except ProtocolError:
                return
            if length > MAX_MESSAGE:
                raise ProtocolError(f"a message of {length} bytes")
            if fields.left() < length:
                return
            body = fields.take(length)
            del self._buffer[: fields.at]
            yield kind, body


# ------------------------------------------------------------------ media


@dataclass
class Open:
    """What a client asks for; `tlvs` is a list of (type, value), `raw` goes after them as it is."""

    codec: str = "any"
    profile: str = ""
    bitrates: list = field(default_factory=list)
    encryption: int = 0
    delivery: int = 0
    tlvs: list = field(default_factory=list)
    raw: bytes = b""

    def pdu(self):
        tail = b"".join(tlv(kind, value) for kind, value in self.tlvs) + self.raw
        classic = classic_pdu.OpenStream(
            self.codec, self.profile, self.bitrates, self.encryption, self.delivery
        )
        body = classic_pdu.open_stream(classic)[classic_pdu.HEADER.size :] + tail
        return classic_pdu.pdu(classic_pdu.OPEN_STREAM, 0, body)


def read_open_ack(body):
    """Everything that is granted, by name."""
    if len(body) < 16:
        raise ProtocolError(f"OPEN_ACK of {len(body)} bytes")
    grant = dict(zip(("bitrate", "max_chunk", "keepalive", "timeout"), struct.unpack("!IIII", body[:16])))
    for kind, value in Fields(body[16:]).tlvs():
        if kind in NAMES:
            grant[NAMES[kind]] = read_tlv(kind, value)
    return grant
