#!/usr/bin/env python3
"""A classic media server with the habits of those that exist.

Each stream that a client opens is one session. Its habits, each of which can be switched off:

* It ignores what follows the delivery mode in OPEN_STREAM, and grants the same to everybody.
* It handles PDUs in tasks of their own: an answer is queued after the datagram that asked for it
  has been dealt with.
* It queues a chunk each 50 ms, whatever the bitrate, and looks each 100 ms whether a pause is over.
* It does not flush what it has queued (--flush does): it leaves when the next datagram arrives or
  a timer fires.

It prints one JSON line when it is ready ({"port": ...}) and one for each session that ended.
"""

import argparse
import asyncio
import datetime
import ipaddress
import json
import os
import sys

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamDataReceived
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import classic_pdu as wire

IDLE, STREAMING, PAUSED, CLOSING, CLOSED = "IDLE", "STREAMING", "PAUSED", "CLOSING", "CLOSED"


def say(**record):
    print(json.dumps(record), flush=True)


class Session:
    """One stream."""

    def __init__(self, connection, stream, options):
        self.connection = connection
        self.stream = stream
        self.options = options
        self.state = IDLE
        self.reader = wire.Reader()
        self.id = (stream // 4) + 1
        self.sequence = 0
        self.bytes = 0
        self.seen = {}
        self.task = None

    def queue(self, data, fin=False):
        self.connection._quic.send_stream_data(self.stream, data, end_stream=fin)
        if self.options.flush:
            self.connection.transmit()

    async def on_data(self, data, fin):
        try:
            for pdu in self.reader.feed(data):
                self.on_pdu(pdu)
        except wire.ProtocolError as error:
            self.queue(wire.open_nack(wire.NACK_PROTOCOL_VIOLATION, self.id))
            print(f"warning: {error}", file=sys.stderr)

    def on_pdu(self, pdu):
        self.seen[pdu.name] = self.seen.get(pdu.name, 0) + 1
        if pdu.kind == wire.OPEN_STREAM:
            self.on_open(pdu)
        elif pdu.kind == wire.PAUSE_STREAM and self.state == STREAMING:
            self.state = PAUSED
        elif pdu.kind == wire.RESUME_STREAM and self.state == PAUSED:
            self.state = STREAMING
        elif pdu.kind == wire.CLOSE_STREAM and self.state in (STREAMING, PAUSED):
            self.close("closed by the client")
        elif pdu.kind == wire.HEARTBEAT and self.state != IDLE:
            pass
        else:
            print(f"warning: {pdu.name} ignored in {self.state}", file=sys.stderr)

    def on_open(self, pdu):
        try:
            if self.state != IDLE:
                raise wire.ProtocolError(f"OPEN_STREAM in {self.state}")
            self.request = wire.parse_open_stream(pdu.body)
        except wire.ProtocolError as error:
            print(f"warning: {error}", file=sys.stderr)
            self.queue(wire.open_nack(wire.NACK_PROTOCOL_VIOLATION, self.id))
            return
        grant = wire.OpenAck(500_000, self.options.chunk, 5, 30)
        self.queue(wire.open_ack(grant, self.id))
        self.state = STREAMING
        self.task = asyncio.ensure_future(self.stream_media())

    async def stream_media(self):
        with open(self.options.media, "rb") as media:
            while self.state in (STREAMING, PAUSED):
                if self.state == PAUSED:
                    await asyncio.sleep(0.1)
                    continue
                payload = media.read(self.options.chunk)
                if not payload:
                    self.close("complete")
                    return
                self.sequence += 1
                self.bytes += len(payload)
                self.queue(wire.chunk(self.sequence, payload, self.id))
                await asyncio.sleep(0.05)

    def close(self, end):
        self.state = CLOSING
        self.queue(wire.pdu(wire.CLOSE_STREAM, self.id), fin=True)
        self.state = CLOSED
        say(
            session=self.id,
            end=end,
            bytes=self.bytes,
            chunks=self.sequence,
            seen=self.seen,
            request=vars(self.request),
        )


class ClassicServer(QuicConnectionProtocol):
    """One connection."""

    options = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.sessions = {}

    def quic_event_received(self, event):
        if isinstance(event, StreamDataReceived):
            session = self.sessions.get(event.stream_id)
            if session is None:
                session = Session(self, event.stream_id, self.options)
                self.sessions[event.stream_id] = session
            work = session.on_data(event.data, event.end_stream)
            asyncio.ensure_future(work)
        elif isinstance(event, ConnectionTerminated):
            for session in self.sessions.values():
                session.state = CLOSED
                if session.task:
                    session.task.cancel()


def make_certificate(cert_path, key_path):
    """A self-signed RSA certificate that forbids signatures, as classic servers make it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    with open(cert_path, "wb") as file:
        file.write(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    with open(key_path, "wb") as file:
        file.write(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))


def arguments():
    parser = argparse.ArgumentParser(description="a classic media server")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000, help="0 for a free one")
    parser.add_argument("--media", required=True)
    parser.add_argument("--cert", required=True, help="made if it is not there")
    parser.add_argument("--key", required=True, help="made if it is not there")
    parser.add_argument("--chunk", type=int, default=65_536)
    parser.add_argument("--flush", action="store_true", help="flush what is queued")
    parser.add_argument("--give-up", type=float, default=90.0, help="seconds to live")
    return parser.parse_args()


async def run(options):
    ClassicServer.options = options
    configuration = QuicConfiguration(is_client=False, alpn_protocols=[wire.ALPN])
    configuration.load_cert_chain(options.cert, options.key)
    server = await serve(
        options.host, options.port, configuration=configuration, create_protocol=ClassicServer
    )
    say(port=server._transport.get_extra_info("sockname")[1])
    await asyncio.sleep(options.give_up)
    server.close()


def main():
    options = arguments()
    if not (os.path.exists(options.cert) and os.path.exists(options.key)):
        make_certificate(options.cert, options.key)
    try:
        asyncio.run(run(options))
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
