#!/usr/bin/env python3
"""Reads a trace, from docs/traces.md alone, and prints what it finds.

    python3 trace_reader.py FILE

One line for each entry: its number, its time in nanoseconds, the number of its kind, and its
fields as JSON. Checksums are not looked at (Python has no XXH3).
"""

import json
import struct
import sys

MAGIC = bytes.fromhex("8941425452414345")


class Reader:
    """Reads values off the front of some bytes."""

    def __init__(self, data, now=0, paths=None):
        self.data, self.at, self.now, self.paths = data, 0, now, paths

    def take(self, size):
        if self.at + size > len(self.data):
            raise ValueError(f"{size} bytes at {self.at} of {len(self.data)}")
        self.at += size
        return self.data[self.at - size : self.at]

    def varint(self):
        first = self.take(1)[0]
        size = 1 << (first >> 6)
        return int.from_bytes(bytes([first & 0x3F]) + self.take(size - 1), "big")

    def rest(self):
        return len(self.data) - self.at


def number(r):
    value = r.varint()
    return struct.unpack("!Q", r.take(8))[0] if value == (1 << 62) - 1 else value


def boolean(r):
    return {0: False, 1: True}[r.take(1)[0]]


def raw(size):
    return lambda r: r.take(size).hex()


def blob(r):
    return r.take(r.varint()).hex()


def text(r):
    return r.take(r.varint()).decode()


def option(kind):
    return lambda r: kind(r) if boolean(r) else None


def result(good, bad):
    return lambda r: {"ok": good(r)} if boolean(r) else {"error": bad(r)}


def listed(kind):
    return lambda r: [kind(r) for _ in range(number(r))]


def fields(*kinds):
    return lambda r: [kind(r) for kind in kinds]


def one_of(*variants):
    """Each variant: its name, or its name and the kinds of its fields."""

    def read(r):
        variant = variants[number(r)]
        name, *kinds = (variant,) if isinstance(variant, str) else variant
        return {name: [kind(r) for kind in kinds]} if kinds else name

    return read


def nothing(_):
    return None


def duration(r):
    return number(r) * 1_000_000_000 + number(r)


def instant(r):
    folded = number(r)
    distance = folded // 2 if folded % 2 == 0 else -(folded // 2) - 1
    return (r.now + distance) % (1 << 64)


def address(r):
    size = {4: 4, 6: 16}[r.take(1)[0]]
    ip, port = r.take(size).hex(), struct.unpack("!H", r.take(2))[0]
    return [ip, port] if size == 4 else [ip, port, number(r), number(r)]


def path(r):
    index = number(r)
    if index < len(r.paths):
        return r.paths[index]
    if index != len(r.paths):
        raise ValueError(f"path {index}")
    found = [address(r), address(r)]
    if len(r.paths) < 1024:
        r.paths.append(found)
    return found


def part(r):
    mark = number(r)
    return r.take(mark // 2).hex() if mark % 2 else {"len": mark // 2, "hash": r.take(8).hex()}


conn = fields(number, number)
data = listed(part)
code = number
ecn = option(one_of("Ect0", "Ect1", "Ce"))
pause, pace = one_of("Hold", "Live"), one_of("Bitrate", "Unpaced")
aim = fields(
    address,
    address,
    text,
    one_of(("Roots", number), ("Pin", raw(32)), "Any"),
    one_of("Both", "V1", "Classic"),
    option(number),
)
entry_of_catalogue = fields(text, option(number), option(number), text)
start = one_of("Beginning", ("Sequence", number), ("Byte", number))
optional = option(number)
request = fields(
    option(text), text, text, listed(number), start, pause, pace, optional, optional, optional
)
transmit = fields(path, ecn, number, optional, option(instant))
grant = fields(
    number, number, number, number, option(text), optional, text, number, pause, pace
)
violation = one_of(
    ("PduVersion", number),
    ("PduTooLong", number, number),
    ("PduMalformed", number, text),
    "ChunkLength",
    ("ChunkSequence", number, number),
    "PduTruncated",
    "TooManyIgnored",
    ("ControlTooLong", number),
    ("ControlMalformed", number, text),
    "ControlStream",
    "ControlClosed",
    "NoCommonVersion",
    "HelloOrder",
    "StreamDirection",
)
lost = one_of(
    "HandshakeTimeout",
    "IdleTimeout",
    "StatelessReset",
    ("WrongKey", raw(32)),
    "Untrusted",
    ("Tls", number, boolean),
    "NoProtocol",
    "NoVersion",
    ("Transport", number, boolean),
)
why = one_of(("Local", code), ("Peer", code, text), ("Violation", violation), ("Lost", lost))
end_reason = one_of(
    "Complete",
    "Local",
    "Peer",
    ("Reset", code),
    ("Violation", violation),
    "Timeout",
    "SourceFailed",
    "ConnectionLost",
)
media_event = one_of(
    ("Opened", grant),
    ("Refused", number),
    "Readable",
    ("Wanted", number, number, number),
    "Paused",
    ("Resumed", number),
    ("Ended", end_reason, number, number, number),
)
event = one_of(
    ("Connected", one_of("Classic", "V1"), address, option(raw(32)), boolean),
    ("Hello", text),
    ("Moved", path),
    ("GoAway", duration),
    ("Pong", number, duration),
    ("Listing", number, listed(entry_of_catalogue), option(text)),
    ("Media", number, media_event),
    ("Closed", why),
)
command = one_of(
    ("OpenMedia", request),
    ("List", option(text)),
    "Ping",
    ("Close", code, text),
    ("Drain", duration),
    ("Rebind", address),
)
media_command = one_of(
    "Pause", "Resume", "Close", ("Pull", number), ("Supply", number, boolean), "SourceFailed"
)
pulled = one_of(("Bytes", number, number, number, boolean), "Blocked", "End")
answer = one_of(
    "Done", ("Connection", conn), ("Session", number), ("Request", number), ("Pulled", pulled)
)
reason = one_of(
    "Transport",
    "Handshake",
    "KeepAlive",
    "Drain",
    "Heartbeat",
    "SessionTimeout",
    "Pacing",
    "Release",
)
drop = one_of(
    "Malformed",
    "ShortInitial",
    "UnknownConnection",
    "BadToken",
    "AnswersLimited",
    "HalfOpenLimited",
    "ConnectionsLimited",
    "NotAccepting",
    "Impossible",
)
offer = fields(boolean, number, blob, blob, option(blob))
route = one_of(("To", conn), ("New", offer), ("Answer", number), ("Drop", drop))
signal = one_of(
    ("Early", blob),
    ("Up", blob, option(raw(32)), boolean, address),
    ("Readable", number),
    ("Writable", number),
    "Openable",
    ("Moved", path),
    ("Down", why),
)
stream_end = one_of(("ByPeer", code), "Gone")
stack_call = one_of(
    ("Classify", route, data),
    ("Challenge", offer, route, data),
    ("Admit", conn, path, offer, result(nothing, drop)),
    ("Dial", conn, aim, result(nothing, text)),
    ("Forget", conn),
    ("SetIdentity", result(nothing, text)),
)
read_answer = one_of(("Bytes", number), "Blocked", "Finished")
call = one_of(
    "Receive",
    ("Transmit", transmit),
    ("Deadline", option(instant)),
    "Expire",
    ("Signal", signal),
    ("Open", one_of("Bidi", "Uni"), optional),
    ("Write", number, number, boolean, data, result(one_of("All", "Blocked"), stream_end)),
    ("Read", number, number, data, result(read_answer, stream_end)),
    ("Reset", number, code),
    ("Stop", number, code),
    ("Prioritize", number, number),
    "Ping",
    ("Close", code, text),
    ("Rebind", address, result(nothing, text)),
    ("Early", boolean),
    ("Over", number),
    "Finished",
)
KINDS = [
    fields(path, ecn, data),
    nothing,
    aim,
    boolean,
    duration,
    nothing,
    number,
    fields(listed(fields(number, entry_of_catalogue)), option(text)),
    nothing,
    conn,
    command,
    fields(number, one_of(("Media", media_command)), data),
    fields(result(answer, text), data),
    fields(transmit, data),
    fields(conn, event),
    option(fields(instant, reason)),
    fields(conn, optional, text, text, text, option(text)),
    drop,
    stack_call,
    fields(conn, call),
    number,
    one_of("Buffer", "Length"),
]


def blocks(data):
    if data[:8] != MAGIC or data[8:10] != b"\0\1":
        raise ValueError("not a trace of version 1")
    at = 10
    while at < len(data):
        (length,) = struct.unpack("!I", data[at : at + 4])
        yield Reader(data[at + 12 : at + 12 + length])
        at += 12 + length
    if at != len(data):
        raise ValueError("cut off")


def main():
    with open(sys.argv[1], "rb") as file:
        first, *rest = blocks(file.read())
    header = {}
    while first.rest():
        kind = first.varint()
        header[kind] = first.take(first.varint())
    print("header", header[1][1:].decode(), header[2].hex())
    now, count, paths = 0, 0, []
    for block in rest:
        while block.rest():
            entry = Reader(block.take(block.varint()), now, paths)
            now = entry.now = now + number(entry)
            kind, count = number(entry), count + 1
            found = KINDS[kind](entry)
            if entry.rest():
                raise ValueError(f"entry {count} of kind {kind}: {entry.rest()} bytes are left")
            print(count, now, kind, json.dumps(found))


if __name__ == "__main__":
    main()
