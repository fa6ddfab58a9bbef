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
        # A setup byte, rounds (0, n), commands (16, what), time (14, power): see datagrams.rs.
        "both": bytes([0, 0, 8, 16, 0, 0, 4, 16, 1, 16, 2, 0, 8, 14, 9, 0, 2]),
        "classic": bytes([2, 0, 8, 16, 0, 0, 8, 14, 4, 0, 4]),
        "damaged": bytes([1, 9, 0, 30, 1, 0, 2, 8, 0, 1, 1, 11, 4, 176, 0, 8]),
        "moved": bytes([0, 0, 12, 16, 0, 0, 4, 16, 3, 0, 8, 16, 7, 0, 8]),
        "invented": bytes([0, 141, 0, 20]) + b"\xc0\0\0\0\1" + bytes(15) + bytes([0, 0, 8]),
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
