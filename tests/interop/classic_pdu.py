"""The PDUs of classic media: everything is in network byte order.

Header, 12 bytes: version u8 (1), type u8, flags u8, reserved u8 (0), session id u32, body length u32.
"""

import struct
import time
from dataclasses import dataclass, field

ALPN = "quic-stream-proto"
VERSION = 1
HEADER = struct.Struct("!BBBBII")
MAX_BODY = 16 * 1024 * 1024

OPEN_STREAM = 1
OPEN_ACK = 2
OPEN_NACK = 3
STREAM_CHUNK = 4
PAUSE_STREAM = 5
RESUME_STREAM = 6
CLOSE_STREAM = 7
HEARTBEAT = 8

NAMES = {
    OPEN_STREAM: "OPEN_STREAM",
    OPEN_ACK: "OPEN_ACK",
    OPEN_NACK: "OPEN_NACK",
    STREAM_CHUNK: "STREAM_CHUNK",
    PAUSE_STREAM: "PAUSE_STREAM",
    RESUME_STREAM: "RESUME_STREAM",
    CLOSE_STREAM: "CLOSE_STREAM",
    HEARTBEAT: "HEARTBEAT",
}

NACK_PROTOCOL_VIOLATION = 99


class ProtocolError(Exception):
    """The peer broke the protocol."""


@dataclass
class Pdu:
    """One PDU as it came."""

    kind: int
    flags: int
    session: int
    body: bytes

    @property
    def name(self):
        return NAMES.get(self.kind, f"type {self.kind}")


@dataclass
class OpenStream:
    """What a client asks for."""

    codec: str = "h264"
    profile: str = "baseline"
    bitrates: list = field(default_factory=lambda: [240_000, 480_000])
    encryption: int = 0
    delivery: int = 0


@dataclass
class OpenAck:
    """What a server grants."""

    bitrate: int
    max_chunk: int
    keepalive: int
    timeout: int


class Reader:
    """Cuts the bytes of a stream into PDUs."""

    def __init__(self):
        self._buffer = bytearray()

    def feed(self, data):
        """Takes bytes in, and yields the PDUs that are complete."""
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            version, kind, flags, _reserved, session, length = HEADER.unpack_from(self._buffer)
            if version != VERSION:
                raise ProtocolError(f"version {version} in a PDU header")
            if length > MAX_BODY:
                raise ProtocolError(f"a body of {length} bytes")
            if len(self._buffer) < HEADER.size + length:
                return
            body = bytes(self._buffer[HEADER.size : HEADER.size + length])
            del self._buffer[: HEADER.size + length]
            yield Pdu(kind, flags, session, body)

    def pending(self):
        """Bytes of a PDU that is not complete."""
        return len(self._buffer)


def pdu(kind, session, body=b""):
    """One PDU as bytes."""
    return HEADER.pack(VERSION, kind, 0, 0, session, len(body)) + body


def open_stream(request, session=0):
    codec = request.codec.encode()
    profile = request.profile.encode()
    body = struct.pack("!H", len(codec)) + codec
    body += struct.pack("!H", len(profile)) + profile
    body += struct.pack("!B", len(request.bitrates))
    body += b"".join(struct.pack("!I", rate) for rate in request.bitrates)
    body += struct.pack("!BB", request.encryption, request.delivery)
    return pdu(OPEN_STREAM, session, body)


def parse_open_stream(body):
    """Reads an OPEN_STREAM body; bytes after the delivery mode are ignored."""
    try:
        at = 0
        (length,) = struct.unpack_from("!H", body, at)
        codec = _text(body, at + 2, length)
        at += 2 + length
        (length,) = struct.unpack_from("!H", body, at)
        profile = _text(body, at + 2, length)
        at += 2 + length
        (count,) = struct.unpack_from("!B", body, at)
        bitrates = list(struct.unpack_from(f"!{count}I", body, at + 1))
        at += 1 + 4 * count
        encryption, delivery = struct.unpack_from("!BB", body, at)
    except (struct.error, UnicodeDecodeError) as error:
        raise ProtocolError(f"OPEN_STREAM: {error}") from error
    return OpenStream(codec, profile, bitrates, encryption, delivery)


def _text(body, at, length):
    raw = body[at : at + length]
    if len(raw) != length:
        raise ProtocolError("OPEN_STREAM: a text is cut short")
    return raw.decode()


def open_ack(ack, session):
    body = struct.pack("!IIII", ack.bitrate, ack.max_chunk, ack.keepalive, ack.timeout)
    return pdu(OPEN_ACK, session, body)


def parse_open_ack(body):
    """Reads an OPEN_ACK body, which is exactly 16 bytes: existing clients refuse more."""
    if len(body) != 16:
        raise ProtocolError(f"OPEN_ACK of {len(body)} bytes, not 16")
    return OpenAck(*struct.unpack("!IIII", body))


def open_nack(error, session):
    return pdu(OPEN_NACK, session, struct.pack("!H", error))


def parse_open_nack(body):
    if len(body) != 2:
        raise ProtocolError(f"OPEN_NACK of {len(body)} bytes, not 2")
    return struct.unpack("!H", body)[0]


def chunk(sequence, payload, session):
    return pdu(STREAM_CHUNK, session, struct.pack("!II", sequence, len(payload)) + payload)


def parse_chunk(body):
    """The sequence number and the payload."""
    if len(body) < 8:
        raise ProtocolError(f"STREAM_CHUNK of {len(body)} bytes")
    sequence, length = struct.unpack_from("!II", body)
    if len(body) != 8 + length:
        raise ProtocolError(f"STREAM_CHUNK says {length} bytes of payload, has {len(body) - 8}")
    return sequence, body[8:]


def heartbeat(session):
    """The body is the time in milliseconds since the Unix epoch."""
    return pdu(HEARTBEAT, session, struct.pack("!Q", time.time_ns() // 1_000_000))
