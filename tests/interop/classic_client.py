#!/usr/bin/env python3
"""A classic media client with the habits of those that exist.

It opens one stream, asks for media, takes chunks, pauses at one of them and resumes some seconds
later. Its habits, each of which can be switched off:

* OPEN_STREAM carries session id 0, every later PDU carries 12345, whatever the server chose.
* It drops the chunks that arrive while it is paused, and sends no heartbeat then.
* It takes two keepalives without a chunk for the end, but looks only when a PDU arrives.
* It queues PDUs and does not flush them (--flush does): they leave when the next datagram
  arrives or a timer fires.

The result is one JSON object on standard output; the exit code is 0 if the session ended with the
server's CLOSE_STREAM.
"""

import argparse
import asyncio
import hashlib
import json
import ssl
import sys
import time

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamDataReceived, StreamReset

import classic_pdu as wire

IDLE, OPEN_SENT, STREAMING, PAUSED, CLOSING, CLOSED = (
    "IDLE",
    "OPEN_SENT",
    "STREAMING",
    "PAUSED",
    "CLOSING",
    "CLOSED",
)
LATER_SESSION = 12345


class ClassicClient(QuicConnectionProtocol):
    """One session on one stream."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.state = IDLE
        self.reader = wire.Reader()
        self.over = asyncio.Event()
        self.tasks = []

    def start(self, options, out):
        """Sends OPEN_STREAM."""
        self.options = options
        self.out = out
        self.hash = hashlib.sha256()
        self.last_chunk = time.monotonic()
        self.result = {
            "end": None,
            "bytes": 0,
            "chunks": 0,
            "dropped": 0,
            "sequences": [],
            "heartbeats_in": 0,
            "heartbeats_out": 0,
            "pauses": 0,
            "server_session": None,
            "grant": None,
            "fin": False,
        }
        self.stream = self._quic.get_next_available_stream_id()
        request = wire.OpenStream(bitrates=options.bitrates)
        self.state = OPEN_SENT
        self._queue(wire.open_stream(request, session=0))

    def _queue(self, data, fin=False):
        self._quic.send_stream_data(self.stream, data, end_stream=fin)
        if self.options.flush:
            self.transmit()

    def quic_event_received(self, event):
        if self.state == IDLE or self.over.is_set():
            return
        if isinstance(event, ConnectionTerminated):
            self._finish(f"connection terminated: {event.error_code:#x} {event.reason_phrase}")
        elif isinstance(event, StreamReset):
            self._finish(f"stream reset: {event.error_code:#x}")
        elif isinstance(event, StreamDataReceived) and event.stream_id == self.stream:
            self.result["fin"] |= event.end_stream
            try:
                for pdu in self.reader.feed(event.data):
                    self._on_pdu(pdu)
            except wire.ProtocolError as error:
                self._finish(f"protocol error: {error}")
            if event.end_stream and not self.over.is_set():
                self._finish("stream ended without CLOSE_STREAM")

    def _on_pdu(self, pdu):
        if self.over.is_set():
            return
        if self.state in (STREAMING, PAUSED) and not self.options.patient:
            if time.monotonic() - self.last_chunk > 2 * self.grant.keepalive:
                self._finish("two keepalives without a chunk")
                return
        if pdu.kind == wire.OPEN_ACK and self.state == OPEN_SENT:
            self._on_ack(pdu)
        elif pdu.kind == wire.OPEN_NACK and self.state == OPEN_SENT:
            self._finish(f"refused: {wire.parse_open_nack(pdu.body)}")
        elif pdu.kind == wire.STREAM_CHUNK and self.state in (STREAMING, PAUSED):
            self._on_chunk(pdu)
        elif pdu.kind == wire.HEARTBEAT:
            self.result["heartbeats_in"] += 1
        elif pdu.kind == wire.CLOSE_STREAM:
            self._finish("complete")
        else:
            print(f"warning: {pdu.name} ignored in {self.state}", file=sys.stderr)

    def _on_ack(self, pdu):
        self.grant = wire.parse_open_ack(pdu.body)
        self.result["grant"] = vars(self.grant)
        self.result["server_session"] = pdu.session
        self.state = STREAMING
        self.last_chunk = time.monotonic()
        self.tasks.append(asyncio.ensure_future(self._heartbeats()))

    def _on_chunk(self, pdu):
        sequence, payload = wire.parse_chunk(pdu.body)
        self.last_chunk = time.monotonic()
        if self.state == PAUSED and not self.options.keep:
            self.result["dropped"] += 1
            return
        self.hash.update(payload)
        if self.out:
            self.out.write(payload)
        self.result["bytes"] += len(payload)
        self.result["chunks"] += 1
        self.result["sequences"].append(sequence)
        if sequence == self.options.pause_at and self.state == STREAMING:
            self.state = PAUSED
            self.result["pauses"] += 1
            self._queue(wire.pdu(wire.PAUSE_STREAM, LATER_SESSION))
            self.tasks.append(asyncio.ensure_future(self._resume_later()))

    async def _resume_later(self):
        await asyncio.sleep(self.options.resume_after)
        if self.state == PAUSED:
            self._queue(wire.pdu(wire.RESUME_STREAM, LATER_SESSION))
            self.state = STREAMING
            self.last_chunk = time.monotonic()

    async def _heartbeats(self):
        while not self.over.is_set():
            await asyncio.sleep(self.grant.keepalive)
            if self.state == STREAMING:
                self._queue(wire.heartbeat(LATER_SESSION))
                self.result["heartbeats_out"] += 1

    def _finish(self, end):
        self.state = CLOSED
        self.result["end"] = end
        self.result["sha256"] = self.hash.hexdigest()
        for task in self.tasks:
            task.cancel()
        self.over.set()


def arguments():
    parser = argparse.ArgumentParser(description="a classic media client")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--bitrates", type=int, nargs="*", default=[240_000, 480_000])
    parser.add_argument("--pause-at", type=int, default=3, help="sequence; 0 for never")
    parser.add_argument("--resume-after", type=float, default=2.0, help="seconds")
    parser.add_argument("--output", help="file for the payload")
    parser.add_argument("--flush", action="store_true", help="flush what is queued")
    parser.add_argument("--keep", action="store_true", help="keep chunks while paused")
    parser.add_argument("--patient", action="store_true", help="never give up on the server")
    parser.add_argument("--give-up", type=float, default=60.0, help="seconds for everything")
    return parser.parse_args()


async def run(options, out):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=[wire.ALPN])
    configuration.verify_mode = ssl.CERT_NONE
    async with connect(
        options.host, options.port, configuration=configuration, create_protocol=ClassicClient
    ) as client:
        client.start(options, out)
        try:
            await asyncio.wait_for(client.over.wait(), options.give_up)
        except asyncio.TimeoutError:
            client._finish(f"gave up in {client.state}")
        return client.result


def main():
    options = arguments()
    out = open(options.output, "wb") if options.output else None
    try:
        result = asyncio.run(run(options, out))
    finally:
        if out:
            out.close()
    print(json.dumps(result))
    return 0 if result["end"] == "complete" else 1


if __name__ == "__main__":
    sys.exit(main())
