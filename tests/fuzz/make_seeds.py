#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets: valid messages, and short plays of sessions.

    python3 tests/fuzz/make_seeds.py

The PDUs come from the Python peers of tests/interop, so that the seeds are not what our own
encoder thinks. The result is committed; run it again after the wire or a target has changed.
"""

import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "interop"))

import classic_pdu as wire  # noqa: E402
import dquic_wire  # noqa: E402


def varint(value):
    for bits, mark in ((6, 0), (14, 1), (30, 2), (62, 3)):
        if value < 1 << bits:
            size = 1 << mark
            return (value | mark << (8 * size - 2)).to_bytes(size, "big")
    raise ValueError(value)


def prefixed(data):
    return varint(len(data)) + data


def tlv(kind, value):
    return varint(kind) + prefixed(value)


def message(kind, body):
    return varint(kind) + prefixed(body)


HELLO = message(0, varint(1) + varint(1) + tlv(1, b"seed/1"))
PING = message(1, varint(7))
PONG = message(2, varint(0))
GOAWAY = message(3, varint(5_000))
LIST = message(4, varint(0) + varint(64) + prefixed(b""))
ENTRY = prefixed(b"clip") + prefixed(b"audio/wav") + varint(300_001) + varint(1_411_200)
LISTING = message(5, varint(0) + prefixed(b"") + varint(2) + 2 * prefixed(ENTRY))
UNKNOWN = message(40, b"skip me")

OPEN = wire.open_stream(wire.OpenStream())
ACK = wire.open_ack(wire.OpenAck(500_000, 65_536, 5, 30), 1)
EXTENSIONS = tlv(1, b"clip") + tlv(3, varint(70_000)) + tlv(4, b"\1") + tlv(5, b"\1")
WISHES = tlv(6, varint(4_096)) + tlv(7, varint(2)) + tlv(8, varint(20)) + tlv(99, b"skip me")


def extended(pdu, more):
    """The same PDU with extension TLVs after its fields."""
    kind, session, body = pdu[1], pdu[4:8], pdu[12:] + more
    return struct.pack("!BBBB", 1, kind, 0, 0) + session + struct.pack("!I", len(body)) + body


OPEN_V1 = extended(OPEN, EXTENSIONS + WISHES)
ACK_V1 = extended(ACK, EXTENSIONS + tlv(16, varint(300_000)) + tlv(17, b"audio/wav"))
NACK = wire.open_nack(99, 1)
CHUNK = wire.chunk(1, bytes(range(64)), 1)
PAUSE = wire.pdu(wire.PAUSE_STREAM, 12345)
RESUME = wire.pdu(wire.RESUME_STREAM, 12345)
CLOSE = wire.pdu(wire.CLOSE_STREAM, 12345)
BEAT = wire.pdu(wire.HEARTBEAT, 12345, struct.pack("!Q", 1_700_000_000_000))

# Steps of the target `streams` (tests/src/fuzz/streams.rs).
SERVER, CLIENT, CLASSIC, V1 = 0, 1, 0, 2


def sends(stream, data):
    """The peer sends these bytes on the stream with this selector."""
    return struct.pack("!BBH", 0, stream, len(data)) + data


def later(power):
    return bytes([6, power])


FIN, ROOM, SUPPLY, LAST_SUPPLY = b"\3\0", b"\5\xff\xff\1", b"\x0b\0", b"\x0b\2"
OPEN_MEDIA, PAUSES, RESUMES, CLOSES = b"\7\0", b"\x08\0", b"\x08\1", b"\x08\2"
PINGS, LISTS = b"\x09\0", b"\x09\1"

# Packets of the DQUIC extension, without their tags (docs/protocol.md, section 8).
DQUIC = 0x44510001


def dquic_header(kind, version, dcid=bytes(range(8)), scid=bytes(17)):
    ids = bytes([len(dcid)]) + dcid + bytes([len(scid)]) + scid
    return bytes([kind]) + struct.pack("!I", version) + ids


def dquic_data(frames):
    return bytes([0x14, 8]) + bytes(range(8)) + varint(7) + frames


PARAMS = b"".join(
    tlv(kind, varint(value))
    for kind, value in ((1, 30_000), (3, 1_500), (4, 1 << 20), (5, 1 << 16), (8, 33), (9, 3), (11, 25), (14, 8))
) + tlv(0x20, prefixed(b"anabranch/1") + prefixed(b"quic-stream-proto"))
STREAM = bytes([0x0E, 0, 0x40, 0x64, 3]) + b"abc"
ACKS = bytes([2, 30, 9, 2, 3, 1, 4, 0, 5])
NEW_ID = bytes([0x18, 1, 0, 8]) + bytes(range(8)) + bytes(16)
CREDIT = bytes([0x10]) + varint(1 << 30) + bytes([0x11, 0]) + varint(1 << 20) + bytes([0x12, 40, 0x13, 4])
BLOCKED = bytes([0x14, 9, 0x15, 0, 9, 0x16, 9, 0x17, 9])
ENDS = bytes([4, 0, 8, 20, 5, 0, 8, 0x19, 0])
PATH = bytes([0x1A]) + bytes(8) + bytes([0x1B]) + bytes(8)
CLOSE_APP = bytes([0x1D, 6]) + prefixed(b"enough")
CLOSE_TRANSPORT = bytes([0x1C, 10, 8]) + prefixed(b"")


def invents(op, frames, how=0, moved=0):
    """Step 6 of the target `dquic_datagrams`: these frames reach the server."""
    return bytes([op]) + struct.pack("!H", len(frames)) + frames + bytes([how, moved])


PLAYS = {
    # A setup byte, rounds (0, n), commands (16, what), time (14, power): see datagrams.rs.
    "both": bytes([0, 0, 8, 16, 0, 0, 4, 16, 1, 16, 2, 0, 8, 14, 9, 0, 2]),
    "classic": bytes([2, 0, 8, 16, 0, 0, 8, 14, 4, 0, 4]),
    "damaged": bytes([1, 9, 0, 30, 1, 0, 2, 8, 0, 1, 1, 11, 4, 176, 0, 8]),
    "moved": bytes([0, 0, 12, 16, 0, 0, 4, 16, 3, 0, 8, 16, 7, 0, 8]),
}
UP = bytes([0, 0, 8])


def frame(kind, *numbers, data=b""):
    """A frame of DQUIC: its type, its numbers, and what follows them."""
    return b"".join(map(varint, (kind, *numbers))) + data


ID = bytes([8]) + bytes(range(8)) + bytes(range(16))

# Messages of a file control stream (docs/protocol.md, section 10).
TOKEN, HASH = bytes(range(16)), bytes(range(32))


def file_message(kind, *fields):
    """Its type and its fields, numbers and bytes."""
    return varint(kind) + prefixed(b"".join(f if isinstance(f, bytes) else varint(f) for f in fields))


def file_entry(name, size, more=b""):
    return prefixed(varint(0) + prefixed(name) + varint(size + 1) + varint(1 << 20) + more)


FILE_OFFER = file_message(0, TOKEN, 3, 1_000_001, tlv(1, b"photos") + tlv(2, b"in/box") + tlv(4, b"\2"))
FILE_TIME = tlv(1, varint(0o644)) + tlv(2, bytes(12)) + tlv(3, HASH) + tlv(4, b"\1")
FILE_ENTRIES = file_message(3, 0, 1, 2, file_entry(b"a/b", 70_000, FILE_TIME), file_entry(b"pipe", -1))
FILE_TAKE = file_message(4, 0, 0, 1, 0, 5, HASH) + file_message(4, 1, 1)


def says(stream, *messages):
    """Step 0 of the target `files` (tests/src/fuzz/files.rs): up to three messages, four bytes each."""
    return bytes([0, stream, len(messages) - 1]) + b"".join(bytes(m) for m in messages)


def sends_block(stream, file, piece, size):
    return bytes([3, stream, file, piece, size])


# Kinds of messages as that target numbers them: the type, and three numbers.
F_OFFER, F_REQUEST, F_DONE = (0, 0, 0, 0), (1, 255, 0, 0), (16, 0, 0, 0)

SEEDS = {
    "varint": {
        "lengths": varint(37) + varint(15_293) + varint(494_878_333) + varint(151_288_809_941_952_652),
        "fields": prefixed(b"") + prefixed(b"abc") + prefixed(bytes(70)),
    },
    "media_pdu": {
        "open": OPEN,
        "open_v1": OPEN_V1,
        "ack": ACK,
        "ack_v1": ACK_V1,
        "nack": NACK,
        "chunk": CHUNK,
        "signals": PAUSE + RESUME + CLOSE + BEAT,
    },
    "control": {
        "hello": HELLO,
        "ping": HELLO + PING + PONG,
        "list": HELLO + LIST + LISTING,
        "rest": UNKNOWN + GOAWAY,
    },
    "file_messages": {
        "offer": FILE_OFFER + FILE_ENTRIES + file_message(8, 0, 70_000, HASH) + file_message(16, 2, HASH),
        "request": file_message(1, TOKEN, 1 << 20, 1, prefixed(b"a")) + FILE_TAKE + file_message(5, 0, 0, 1),
        "stored": file_message(6, 9, 1, 0, 3, 4) + file_message(7, 0, 3) + file_message(9, 1, 0, 2),
        "trouble": file_message(10, 0, 35, tlv(1, b"full")) + file_message(11) + file_message(12) + file_message(15, 8),
        "rest": file_message(2, 70_000) + file_message(13, 9) + file_message(14, 9) + file_message(17, HASH),
        "list": file_message(32, 0, prefixed(b"d"), prefixed(b""), 9) + file_message(33, 1, 0, 1, file_entry(b"x", 1)),
        "orders": file_message(32, 3, TOKEN, 1) + file_message(32, 2, prefixed(TOKEN), 4) + file_message(33, 4),
        "head": varint(3) + varint(70) + varint(65_536) + HASH,
    },
    "files": {
        # Setup: side (1: client), room (2), recorded (4), with payload (8), lazy (16).
        "nothing": b"\0" + says(0, F_OFFER) + says(0, (3, 0, 128, 0), F_DONE) + b"\5\0\0",
        "pushed": b"\4"
        + says(0, F_OFFER)
        + says(0, (3, 0, 128, 3))
        + sends_block(0, 0, 0, 5)
        + sends_block(0, 1, 0, 6)
        + sends_block(0, 2, 0, 6)
        + sends_block(0, 2, 1, 1)
        + says(0, (8, 0, 2, 0), (8, 1, 3, 0), (8, 2, 4, 0)),
        "wrong": b"\0" + says(0, F_OFFER) + says(0, (3, 0, 132, 1)) + sends_block(0, 0, 1, 1) + sends_block(0, 0, 0, 7) * 3,
        "pulled": b"\1" + says(0, F_REQUEST) + says(0, (4, 0, 0, 0), (4, 1, 0, 0), (4, 2, 0, 0)) + says(0, (6, 1, 0, 1), (9, 0, 0, 2)),
        "lazy": b"\x15" + says(0, F_REQUEST) + b"\x09\0" * 9 + says(0, (4, 2, 0, 3)) + b"\x09\0" * 9 + says(0, (7, 2, 0, 0)) + b"\x09\0" * 9,
        "offers": b"\0\7\0" + b"\x08\0\0\0" + says(2, (2, 255, 0, 0)) + b"\x08\0\0\1" + says(2, (4, 1, 0, 0)) + b"\x08\0\1\3",
        "asks": b"\0\7\2" + says(2, (19, 0, 0, 0)) + says(0, (18, 0, 0, 0)) + b"\7\1" + says(2, F_OFFER),
    },
    "dquic_frames": {
        "data": frame(0x02, 1_000, 70, 2, 3, 0, 0, 5, 100)
        + frame(0x0E, 4, 70_000, 3, data=b"abc")
        + frame(0x09, 8, data=b"to the end"),
        "credit": frame(0x10, 1 << 30)
        + frame(0x11, 4, 1 << 20)
        + frame(0x12, 33)
        + frame(0x13, 3)
        + frame(0x14, 1 << 30)
        + frame(0x15, 4, 1 << 20)
        + frame(0x16, 33)
        + frame(0x17, 3),
        "ends": frame(0x04, 4, 7, 70_000) + frame(0x05, 8, 7) + frame(0x1C, 10, 0, 3, data=b"why"),
        "paths": frame(0x01)
        + frame(0x18, 2, 1, data=ID)
        + frame(0x19, 0)
        + frame(0x1A, data=bytes(8))
        + frame(0x1B, data=bytes(8))
        + bytes(20)
        + frame(0x1D, 2, 0),
    },
    "streams": {
        "server_classic": bytes([SERVER | CLASSIC])
        + sends(0, OPEN)
        + SUPPLY * 2
        + sends(0, PAUSE)
        + later(4)
        + sends(0, RESUME)
        + (later(8) + SUPPLY) * 4
        + LAST_SUPPLY
        + later(12)
        + sends(0, CLOSE)
        + FIN,
        "server_v1": bytes([SERVER | V1])
        + sends(0, varint(0) + HELLO + PING + LIST)
        + sends(4, varint(1) + OPEN_V1)
        + SUPPLY * 3
        + sends(4, PAUSE + RESUME + BEAT)
        + ROOM
        + LAST_SUPPLY
        + sends(8, varint(58) + b"nothing")
        + sends(12, varint(1) + OPEN),
        "client_classic": bytes([CLIENT | CLASSIC])
        + OPEN_MEDIA
        + sends(2, ACK)
        + sends(2, CHUNK)
        + PAUSES
        + later(9)
        + RESUMES
        + sends(2, wire.chunk(2, bytes(100), 1) + BEAT)
        + sends(2, CLOSE)
        + b"\3\2",
        "client_v1": bytes([CLIENT | V1])
        + PINGS
        + LISTS
        + sends(2, HELLO + PONG + LISTING)
        + OPEN_MEDIA
        + sends(6, ACK_V1 + CHUNK)
        + PAUSES
        + RESUMES
        + CLOSES
        + sends(6, CLOSE)
        + b"\3\6"
        + sends(2, GOAWAY),
    },
    "datagrams": {
        **PLAYS,
        "invented": bytes([0, 139, 0, 20]) + b"\xc0\0\0\0\1" + bytes(15) + bytes([0, 0, 8]),
    },
    "dquic_packet": {
        "hello": dquic_header(0x10, DQUIC) + prefixed(b"") + prefixed(PARAMS) + bytes(100),
        "hello_again": dquic_header(0x10, DQUIC) + prefixed(b"token") + prefixed(PARAMS) + bytes(9),
        "other_version": dquic_header(0x10, 77) + b"whatever",
        "retry": dquic_header(0x11, DQUIC) + prefixed(b"token"),
        "version": dquic_header(0x12, 0) + struct.pack("!II", DQUIC, 2),
        "welcome": dquic_header(0x13, DQUIC) + prefixed(tlv(2, bytes(16)) + PARAMS),
        "reset": b"\x15" + bytes(16),
        "streams": dquic_data(b"\1" + STREAM + ACKS + bytes(5)),
        "control": dquic_data(CREDIT + BLOCKED + ENDS + NEW_ID + PATH),
        "close": dquic_data(CLOSE_APP + CLOSE_TRANSPORT),
    },
    "dquic_datagrams": {
        **PLAYS,
        "frames": UP + b"".join(invents(13, f) for f in (b"\1", STREAM, ACKS, CREDIT, BLOCKED, NEW_ID, PATH))
        + bytes([16, 0, 0, 8]),
        "elsewhere": UP + bytes([16, 0, 0, 1]) + invents(13, b"\1", 0, 9) + bytes([0, 8]) + invents(13, PATH, 2, 9)
        + bytes([14, 10, 0, 8]),
        "ends": UP + bytes([16, 0, 0, 2]) + invents(13, ENDS) + bytes([0, 4]) + invents(13, CLOSE_APP) + bytes([0, 4]),
        "violations": UP + invents(13, b"\x06\0") + bytes([0, 4]) + invents(12, CLOSE_TRANSPORT) + bytes([14, 12]),
        "hello": bytes([0]) + invents(139, dquic_header(0x10, DQUIC) + prefixed(b"") + prefixed(PARAMS), 1, 5)
        + invents(139, dquic_header(0x10, 9), 1, 6) + bytes([0, 8]),
    },
}


def dquic_data(sender, number, frames, layout):
    """A data packet for classic_dquic.rs: the step, a length, the packet."""
    frames = [(stream, 5, offset, len(data), data) for stream, offset, data in frames]
    packet = dquic_wire.packet(dquic_wire.SHORT, number, frames, layout)
    return bytes([sender << 4 | 8]) + struct.pack("!H", len(packet)) + packet


def dquic_answer(sender, counts, layout):
    """The answer to what was sent last: the step, a length, the frames."""
    form = dquic_wire.FRAMES[layout]
    frames = b"".join(form.pack(stream, 6, count, 0) for stream, count in counts)
    return bytes([sender << 4 | 4, len(frames)]) + frames


def dquic_play(layout, sends):
    """Two senders, repetition and silence, then a sending that is answered twice."""
    ours = 2**32 - 1
    return (
        dquic_data(1, 0, [(1, 0, b"one"), (2, 0, b"two")], layout)
        + dquic_data(1, 0, [(1, 0, b"one"), (2, 0, b"two")], layout)
        + dquic_data(2, 7, [(1, 3, b"early"), (1, 0, b"abc")], layout)
        + bytes([2, 200])
        + dquic_data(1, 1, [(1, 3, b"more")], layout)
        + sends
        + dquic_answer(1, [(1, 0), (ours, 0)], layout)
        + dquic_answer(1, [(1, 3_000), (ours, 9)], layout)
        + bytes([2, 200, 0x11, 0x33])
    )


SEEDS["classic_dquic"] = {
    "classic": dquic_play("classic", b"\x10"),
    "wide": dquic_play("wide", b"\x50"),
}


# The same plays, recorded; with 16 in the first byte the payload is recorded too.
SEEDS["replays"] = {
    name + suffix: bytes([data[0] | setup]) + data[1:]
    for name, data in SEEDS["streams"].items()
    for suffix, setup in (("", 0), ("_payload", 16))
}


def entry(passed, kind, *fields):
    """An entry of a trace (docs/traces.md)."""
    return prefixed(varint(passed) + varint(kind) + b"".join(fields))


ADDRESS = b"\4\xc0\0\2\1\x23\x28"
PATH = varint(0) + ADDRESS + ADDRESS
CONN = varint(0) + varint(0)
LEFT_OUT = varint(1) + varint(2 * 1_200) + bytes(8)
STEP = CONN + b"\0" + prefixed(b"connection") + prefixed(b"Open") + prefixed(b"Close") + b"\1"
THREE = varint(1) + varint(2 * 3 + 1) + b"abc"
INPUTS = (
    entry(1_000_000, 3, b"\1")
    + entry(5, 0, PATH, b"\0", LEFT_OUT)
    + entry(0, 1)
    + entry(0, 9, CONN)
    + entry(0, 10, varint(2))
    + entry(0, 12, b"\1", varint(3), varint(0), varint(0))
    + entry(0, 11, varint(1), varint(0), varint(4), varint(0), b"\0", LEFT_OUT)
)
OUTPUTS = (
    entry(0, 13, varint(0), PATH[1:], b"\0", varint(1_200), b"\0\0", LEFT_OUT)
    + entry(0, 14, CONN, varint(1), prefixed(b"peer/1"))
    + entry(0, 15, b"\1", varint(2_000), varint(3))
    + entry(0, 16, STEP, prefixed(b"Closing"))
)
CALLS = (
    entry(0, 18, varint(0), varint(0), CONN, varint(0))
    + entry(0, 19, CONN, varint(0))
    + entry(0, 19, CONN, varint(4), varint(2), varint(4))
    + entry(0, 19, CONN, varint(7), varint(4), varint(12), THREE, b"\1\0\3")
    + entry(0, 19, CONN, varint(16))
)
SEEDS["traces"] = {
    "inputs": b"\1" + INPUTS,
    "outputs": b"\1" + OUTPUTS,
    "calls": b"\1" + CALLS + entry(0, 20, varint(5)),
    "preamble": b"\0\x89ABTRACE\0\1" + bytes(12),
}


def main():
    for target, seeds in SEEDS.items():
        folder = HERE / "seeds" / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in seeds.items():
            (folder / name).write_bytes(data)
            print(f"{target}/{name}: {len(data)} bytes")


if __name__ == "__main__":
    main()
