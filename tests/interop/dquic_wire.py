"""Packets and frames of classic DQUIC, for the peers in this folder."""

import struct

SHORT, ACK = 3, 6
DATA = 5
HEADER = struct.Struct("!BI")
FRAMES = {"classic": struct.Struct("!IIII"), "wide": struct.Struct("!IIQI")}


def packet(kind, number, frames, layout):
    """A datagram. `frames` are (stream, type, offset, length, data)."""
    form = FRAMES[layout]
    parts = [HEADER.pack(kind, number)]
    for stream, frame_type, offset, length, data in frames:
        parts += [form.pack(stream, frame_type, offset, length), data]
    return b"".join(parts)


def header(datagram):
    """Type and number."""
    return HEADER.unpack_from(datagram)


def frames(datagram, layout):
    """The frames of a datagram. A header that is cut off raises `struct.error`, unless it is one
    of 20 bytes: receivers of those stop there without a word."""
    form = FRAMES[layout]
    at = HEADER.size
    while True:
        left = len(datagram) - at
        if left < form.size and (layout == "wide" or (left == 0 and at > HEADER.size)):
            return
        stream, kind, offset, length = form.unpack_from(datagram, at)
        at += form.size
        yield stream, kind, offset, length, datagram[at : at + length]
        at += length
