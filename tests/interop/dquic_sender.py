#!/usr/bin/env python3
"""A classic DQUIC sender with the habits of those that exist.

Each file is a stream, numbered from --first-stream. Each stream draws a size between 1000 and 2000
once; a packet of 16-byte frames has one for every stream with bytes left, one of 20-byte frames
has at most three, drawn anew each time. A packet is sent up to five times, and every datagram that
is not its answer uses up a try. What the answer says is believed: a stream goes on at its offset.

The result is one JSON object on standard output; the exit code is 0 if everything was
acknowledged.
"""

import argparse
import json
import random
import socket
import sys

import dquic_wire as wire

TRIES = 5
WIDE_FRAMES = 3


class Sender:
    """One sending of several streams."""

    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.settimeout(options.timeout)
        self.to = ("127.0.0.1", options.port)
        self.number = 0
        self.result = {"packets": 0, "repeated": 0, "strays": 0, "end": None}

    def run(self, streams):
        """Sends the bytes of each stream."""
        sizes = {stream: self.random.randint(1000, 2000) for stream in streams}
        offsets = dict.fromkeys(streams, 0)
        while True:
            left = [stream for stream in streams if offsets[stream] < len(streams[stream])]
            if not left:
                return "complete"
            if self.options.layout == "wide" and len(left) > WIDE_FRAMES:
                left = self.random.sample(left, WIDE_FRAMES)
            frames = []
            for stream in left:
                at = offsets[stream]
                data = streams[stream][at : at + sizes[stream]]
                frames.append((stream, wire.DATA, at, len(data), data))
            answer = self.exchange(wire.packet(wire.SHORT, self.number, frames, self.options.layout))
            if answer is None:
                return "silence"
            self.number += 1
            self.result["packets"] += 1
            for stream, kind, offset, _, _ in wire.frames(answer, self.options.layout):
                if kind == wire.ACK and stream in offsets:
                    offsets[stream] = offset

    def exchange(self, datagram):
        """Sends until the answer comes."""
        for tries in range(TRIES):
            self.result["repeated"] += tries > 0
            self.sock.sendto(datagram, self.to)
            try:
                answer, _ = self.sock.recvfrom(65536)
            except TimeoutError:
                continue
            if wire.header(answer) == (wire.ACK, self.number):
                return answer
            self.result["strays"] += 1
        return None


def main():
    """Sends files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--layout", choices=list(wire.FRAMES), default="classic")
    parser.add_argument("--first-stream", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    streams = {}
    for stream, path in enumerate(options.files, options.first_stream):
        with open(path, "rb") as file:
            streams[stream] = file.read()
    sender = Sender(options)
    sender.result["end"] = sender.run(streams)
    print(json.dumps(sender.result))
    return 0 if sender.result["end"] == "complete" else 1


if __name__ == "__main__":
    sys.exit(main())
