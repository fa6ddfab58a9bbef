"""A client of `anabranch/1` after docs/protocol.md: a connection and its sessions.

It judges what the server sends as strictly as that page allows: whatever breaks a rule raises
ProtocolError, and the rule is named.
"""

import asyncio
import hashlib
import time

from aioquic.asyncio import QuicConnectionProtocol
from aioquic.quic.events import (
    ConnectionTerminated,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import anabranch_wire as wire
import classic_pdu as pdu
from classic_pdu import ProtocolError


class ConnectionEnded(Exception):
    """The connection was closed while something was waited for."""


class Session:
    """One media stream. `on_chunk`, if there is one, is called with each chunk's sequence."""

    def __init__(self, client, out=None, on_chunk=None):
        self.client = client
        self.out = out
        self.on_chunk = on_chunk
        self.reader = pdu.Reader()
        self.hash = hashlib.sha256()
        self.grant = None
        self.nacks = []
        self.asks_again = False
        self.answered = 0
        self.end = None
        self.fin_in = self.fin_out = False
        self.paused = False
        self.chunks = self.bytes = 0
        self.last = self.place = 0
        self.pieces = []
        self.pauses = self.while_paused = 0
        self.heartbeats_in = self.heartbeats_out = 0
        self.quiet_heartbeats = 0
        self.session = 0
        self.heard = time.monotonic()
        self.keeper = None
        self.stream = client.open_stream(self, wire.varint(wire.MEDIA))

    # -------------------------------------------------------------- what goes out

    def send(self, data, fin=False):
        if self.fin_out:
            return
        self.fin_out = fin
        self.client.send(self.stream, data, fin)

    def request(self, open_stream):
        self.send(open_stream.pdu())

    def command(self, kind, fin=False):
        self.send(pdu.pdu(kind, self.session), fin)

    def pause(self):
        self.paused = True
        self.pauses += 1
        self.quiet_heartbeats = 0
        self.command(pdu.PAUSE_STREAM)

    def resume(self):
        self.paused = False
        self.command(pdu.RESUME_STREAM)

    def close(self):
        """AB-M20"""
        self.command(pdu.CLOSE_STREAM, fin=True)

    async def _keep(self):
        """AB-M17, AB-M18"""
        while self.end is None:
            await asyncio.sleep(self.grant["keepalive"])
            if time.monotonic() - self.heard > self.grant["timeout"]:
                self.client.abort(self.stream, wire.TIMED_OUT)
                self.finish("timeout")
            elif self.end is None and not self.fin_out:
                self.send(pdu.heartbeat(self.session))
                self.heartbeats_out += 1

    # -------------------------------------------------------------- what comes in

    def on_data(self, data, fin):
        self.heard = time.monotonic()
        for one in self.reader.feed(data):
            self._on_pdu(one)
        if fin:
            self.fin_in = True
            if self.reader.pending():
                raise ProtocolError("AB-M7: FIN in the middle of a PDU")
            self.send(b"", fin=True)
            self.finish(self.end or "FIN without CLOSE_STREAM")

    def on_reset(self, code):
        self.finish(f"reset {code}")

    def finish(self, end):
        self.end = end
        if self.keeper:
            self.keeper.cancel()
        if self.out:
            self.out.close()

    def _on_pdu(self, one):
        if self.end is not None:
            raise ProtocolError(f"{one.name} after CLOSE_STREAM")
        if one.kind == pdu.OPEN_ACK:
            self._on_ack(one)
        elif one.kind == pdu.OPEN_NACK:
            self.nacks.append(pdu.parse_open_nack(one.body))
            if self.grant is None and not self.asks_again:
                self.end = f"refused {self.nacks[-1]}"
                self.command(pdu.CLOSE_STREAM, fin=True)
        elif one.kind == pdu.STREAM_CHUNK:
            self._on_chunk(one)
        elif one.kind == pdu.HEARTBEAT:
            if len(one.body) != 8:
                raise ProtocolError("AB-M1: HEARTBEAT has a u64")
            self.heartbeats_in += 1
            self.quiet_heartbeats += 1
        elif one.kind == pdu.CLOSE_STREAM:
            self.end = "complete" if not self.fin_out else "closed"
        elif one.kind in (pdu.OPEN_STREAM, pdu.PAUSE_STREAM, pdu.RESUME_STREAM):
            raise ProtocolError(f"AB-M1: {one.name} from a server")

    def _on_ack(self, one):
        if self.grant:
            raise ProtocolError("a second OPEN_ACK")
        self.grant = wire.read_open_ack(one.body)
        self.session = one.session
        # AB-M10: a TLV of OPEN_ACK is left out when its value is 0.
        self.place = self.start = self.grant.setdefault("start", 0)
        self.grant.setdefault("pause", wire.HOLD)
        self.grant.setdefault("pace", wire.BY_BITRATE)
        self.keeper = asyncio.ensure_future(self._keep())

    def _on_chunk(self, one):
        sequence, payload = pdu.parse_chunk(one.body)
        if sequence <= self.last:
            raise ProtocolError(f"AB-M6: {sequence} after {self.last}")
        largest = self.grant["max_chunk"]
        begin = (sequence - 1) * largest
        if self.chunks == 0:
            begin = max(begin, self.start)
        if begin != self.place and not one.flags & wire.DISCONTINUITY:
            raise ProtocolError(f"AB-M16: byte {begin} after {self.place}, no flag")
        whole = sequence * largest - begin
        if len(payload) != whole and begin + len(payload) != self.grant.get("size"):
            raise ProtocolError(f"AB-M13: {len(payload)} bytes in chunk {sequence}")
        if self.pieces and begin == self.place:
            self.pieces[-1][1] += len(payload)
        else:
            self.pieces.append([begin, len(payload)])
        self.last, self.place = sequence, begin + len(payload)
        self.chunks += 1
        self.bytes += len(payload)
        self.while_paused += self.paused
        self.quiet_heartbeats = 0
        self.hash.update(payload)
        if self.out:
            self.out.write(payload)
        if self.on_chunk:
            self.on_chunk(sequence)

    # -------------------------------------------------------------- what is waited for

    async def answer(self):
        """The grant, or the error of OPEN_NACK, of the request that was sent last."""
        nacks = self.answered
        await self.client.until(lambda: self.grant or len(self.nacks) > nacks or self.end)
        self.answered = len(self.nacks)
        return self.grant or (self.nacks[-1] if self.answered > nacks else self.end)

    async def over(self):
        await self.client.until(lambda: self.end and (self.fin_in or self.end.startswith("reset")))

    def report(self):
        return {
            "end": self.end,
            "fin": self.fin_in,
            "grant": self.grant,
            "nacks": self.nacks,
            "bytes": self.bytes,
            "chunks": self.chunks,
            "last": self.last,
            "pieces": self.pieces,
            "pauses": self.pauses,
            "while_paused": self.while_paused,
            "heartbeats_in": self.heartbeats_in,
            "heartbeats_out": self.heartbeats_out,
            "session": self.session,
            "sha256": self.hash.hexdigest(),
        }


class Client(QuicConnectionProtocol):
    """One connection. `start` opens the control stream."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.owners = {}
        self.messages = wire.Messages()
        self.news = asyncio.Event()
        self.ended = None
        self.error = None
        self.hello = None
        self.going_away = None
        self.pongs = []
        self.pages = []
        self.stops = {}
        self.resets = {}

    def start(self):
        """AB-C1, AB-C4"""
        self.control = self.open_stream(None, wire.varint(wire.CONTROL) + wire.hello())
        if self.control != 0:
            raise ProtocolError("AB-C1: the control stream is stream 0")

    # -------------------------------------------------------------- streams

    def open_stream(self, owner, first, unidirectional=False):
        stream = self._quic.get_next_available_stream_id(is_unidirectional=unidirectional)
        self.owners[stream] = owner
        self.send(stream, first)
        return stream

    def send(self, stream, data, fin=False):
        if self.ended is None and stream not in self.stops:
            self._quic.send_stream_data(stream, data, end_stream=fin)
            self.transmit()

    def say(self, *messages):
        """Control messages."""
        self.send(0, b"".join(messages))

    def abort(self, stream, code):
        self._quic.reset_stream(stream, code)
        self._quic.stop_stream(stream, code)
        self.transmit()

    async def until(self, done):
        """Waits until `done()`; an error or the end of the connection ends the wait."""
        while not done():
            if self.error:
                raise self.error
            if self.ended:
                raise ConnectionEnded(str(self.ended))
            self.news.clear()
            await self.news.wait()
        if self.error:
            raise self.error

    def key(self):
        """AB-T3"""
        certificate = self._quic.tls._peer_certificate
        spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(spki).digest()

    # -------------------------------------------------------------- events

    def quic_event_received(self, event):
        try:
            self._on_event(event)
        except Exception as error:
            self.error = self.error or error
        self.news.set()

    def _on_event(self, event):
        if isinstance(event, ConnectionTerminated):
            application = event.frame_type is None
            self.ended = {
                "code": event.error_code,
                "application": application,
                "reason": event.reason_phrase,
            }
        elif isinstance(event, StreamReset):
            self.resets[event.stream_id] = event.error_code
            owner = self.owners.get(event.stream_id)
            if owner:
                owner.on_reset(event.error_code)
        elif isinstance(event, StopSendingReceived):
            self.stops[event.stream_id] = event.error_code
        elif isinstance(event, StreamDataReceived):
            if event.stream_id not in self.owners:
                raise ProtocolError(f"AB-S1: the server opened stream {event.stream_id}")
            owner = self.owners[event.stream_id]
            if owner:
                owner.on_data(event.data, event.end_stream)
            elif event.stream_id == 0:
                self._on_control(event.data, event.end_stream)

    def _on_control(self, data, fin):
        for kind, body in self.messages.feed(data):
            if (kind == wire.HELLO) != (self.hello is None):
                raise ProtocolError("AB-C4: HELLO comes first, and once")
            self._on_message(kind, wire.Fields(body))
        if fin:
            raise ProtocolError("AB-C1: the control stream ended")

    def _on_message(self, kind, fields):
        if kind == wire.HELLO:
            lowest, highest = fields.varint(), fields.varint()
            agent = dict(fields.tlvs()).get(1, b"").decode()
            self.hello = {"lowest": lowest, "highest": highest, "agent": agent}
            if not lowest <= wire.VERSION <= highest:
                raise ProtocolError("AB-C4: no common version")
        elif kind == wire.PING:
            self.say(wire.message(wire.PONG, wire.varint(fields.varint())))
        elif kind == wire.PONG:
            self.pongs.append(fields.varint())
        elif kind == wire.GOAWAY:
            self.going_away = fields.varint()
        elif kind == wire.LISTING:
            self.pages.append(wire.read_listing(fields.data))
        elif kind == wire.LIST:
            self.error = ProtocolError("AB-C3: LIST from a server")
