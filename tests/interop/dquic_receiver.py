#!/usr/bin/env python3
"""A classic DQUIC receiver with the habits of those that exist.

It counts the bytes of each stream of each address, for ever. A frame that begins where the count
stands moves it by the length it declares; every frame is answered with the count. It knows one
form of frames, and takes every datagram for a packet.

It ends when the streams have so many bytes together as --expect says. The port is the first line
of its output, and the result, with the SHA-256 of the bytes of each stream in order, is the second.
"""

import argparse
import hashlib
import json
import socket
import sys

import dquic_wire as wire


class Receiver:
    """One socket."""

    def __init__(self, options):
        self.options = options
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.counts = {}
        self.hashes = {}
        self.result = {"packets": 0, "misplaced": 0, "addresses": 0}

    def run(self):
        """Receives until everything is there."""
        while sum(self.counts.values()) < self.options.expect:
            datagram, address = self.sock.recvfrom(65536)
            kind, number = wire.header(datagram)
            if kind == wire.SHORT:
                self.answer(datagram, number, address)
        self.result["addresses"] = len({address for address, _ in self.counts})
        streams = {}
        for (_, stream), digest in self.hashes.items():
            streams[stream] = digest.hexdigest()
        return self.result | {"streams": streams}

    def answer(self, datagram, number, address):
        """Counts what is in a packet, and acknowledges it."""
        self.result["packets"] += 1
        acks = []
        for stream, _, offset, length, data in wire.frames(datagram, self.options.layout):
            key = (address, stream)
            self.counts.setdefault(key, 0)
            if offset == self.counts[key]:
                self.counts[key] += length
                self.hashes.setdefault(key, hashlib.sha256()).update(data)
            else:
                self.result["misplaced"] += 1
            acks.append((stream, wire.ACK, self.counts[key], 0, b""))
        self.sock.sendto(wire.packet(wire.ACK, number, acks, self.options.layout), address)


def main():
    """Receives streams."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layout", choices=list(wire.FRAMES), default="classic")
    parser.add_argument("--expect", type=int, required=True)
    receiver = Receiver(parser.parse_args())
    print(json.dumps({"port": receiver.sock.getsockname()[1]}), flush=True)
    print(json.dumps(receiver.run()), flush=True)
    # The sender may not have the last answer yet.
    receiver.options.expect = float("inf")
    receiver.sock.settimeout(5)
    try:
        receiver.run()
    except TimeoutError:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
