#!/usr/bin/env python3
"""A UDP relay that loses and repeats datagrams, the same ones each time.

It counts datagrams in each direction from 1. Every --drop-th is lost, every --duplicate-th is sent
twice, but no more than --duplicates of them. The port is the first line of its output; it runs until it is ended.
"""

import argparse
import json
import selectors
import socket


class Direction:
    """Decides what happens to the datagrams of one direction."""

    def __init__(self, options):
        self.options = options
        self.count = 0
        self.duplicates = options.duplicates

    def copies(self):
        """How often the next datagram is sent on."""
        self.count += 1
        if self.options.drop and self.count % self.options.drop == 0:
            return 0
        if self.options.duplicate and self.count % self.options.duplicate == 0 and self.duplicates:
            self.duplicates -= 1
            return 2
        return 1


def main():
    """Relays."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=int, required=True, help="the port behind the relay")
    parser.add_argument("--drop", type=int, default=0)
    parser.add_argument("--duplicate", type=int, default=0)
    parser.add_argument("--duplicates", type=int, default=1_000_000)
    options = parser.parse_args()
    there, back = Direction(options), Direction(options)
    front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    front.bind(("127.0.0.1", 0))
    selector = selectors.DefaultSelector()
    selector.register(front, selectors.EVENT_READ, None)
    behind = {}
    print(json.dumps({"port": front.getsockname()[1]}), flush=True)
    while True:
        for key, _ in selector.select():
            datagram, address = key.fileobj.recvfrom(65536)
            if key.data is not None:
                for _ in range(back.copies()):
                    front.sendto(datagram, key.data)
                continue
            # Each sender has a socket of its own behind the relay, and so an address.
            if address not in behind:
                behind[address] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                selector.register(behind[address], selectors.EVENT_READ, address)
            for _ in range(there.copies()):
                behind[address].sendto(datagram, ("127.0.0.1", options.to))


if __name__ == "__main__":
    main()
