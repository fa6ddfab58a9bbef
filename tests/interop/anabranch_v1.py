#!/usr/bin/env python3
"""A client of `anabranch/1` after docs/protocol.md, for interoperability tests.

    probe     HELLO, PING, LIST through all pages, another connection id, everything unknown
    play      one session: name, start, pause, pace, close in the middle
    two       two sessions at once; the first is paused until the second is complete
    refuse    everything that OPEN_NACK is for, and a good OPEN_STREAM on the same stream
    goaway    plays on after GOAWAY, and is refused another session
    violate   breaks the rules one after the other, and looks at the codes
    resume    HELLO, PING and LIST in 0-RTT

The result is one JSON object on standard output; the exit code is 0 if the server kept to the page.
"""

import argparse
import asyncio
import base64
import json
import ssl
import sys
import traceback
from contextlib import asynccontextmanager

from aioquic.asyncio import connect
from aioquic.quic.configuration import QuicConfiguration

import anabranch_violations as violations
import anabranch_wire as wire
import classic_pdu as pdu
from anabranch_client import Client, ConnectionEnded, Session
from classic_pdu import ProtocolError

OPTIONS = None


@asynccontextmanager
async def connected(ticket=None, on_ticket=None, start=Client.start):
    """A connection with its control stream."""
    configuration = QuicConfiguration(is_client=True, alpn_protocols=[wire.ALPN])
    configuration.verify_mode = ssl.CERT_NONE
    configuration.session_ticket = ticket
    async with connect(
        OPTIONS.host,
        OPTIONS.port,
        configuration=configuration,
        create_protocol=Client,
        session_ticket_handler=on_ticket,
        wait_connected=ticket is None,
    ) as client:
        start(client)
        yield client
        if client.error:
            raise client.error
        # AB-T6: a client that has all it wants closes with NONE.
        client._quic.close(error_code=wire.NONE)


def expect(condition, what):
    if not condition:
        raise ProtocolError(what)


# ------------------------------------------------------------------ probe


async def ping(client, numbers):
    """AB-C5: the answers come in the order of the requests."""
    before = len(client.pongs)
    client.say(*(wire.ping(number) for number in numbers))
    await client.until(lambda: len(client.pongs) >= before + len(numbers))
    expect(client.pongs[before:] == list(numbers), f"AB-C5: {client.pongs[before:]}")


async def all_pages(client, most):
    """Every entry, and how many pages it took."""
    entries, after, pages = [], "", 0
    while True:
        client.say(wire.list_request(1_000 + pages, most, after))
        await client.until(lambda: len(client.pages) > pages)
        page = client.pages[pages]
        expect(page.request == 1_000 + pages, "AB-C3: LISTING of another request")
        expect(len(page.entries) <= most, f"AB-C3: {len(page.entries)} entries, not {most}")
        entries += page.entries
        pages += 1
        if not page.more_after:
            names = [entry["name"].encode() for entry in entries]
            expect(names == sorted(set(names)), "AB-C3: the order of the names")
            return entries, pages
        expect(page.more_after == entries[-1]["name"], "AB-C3: the last name of the page")
        after = page.more_after


async def refused_streams(client):
    """AB-S3, AB-S4: the codes with which streams of no known type are refused."""
    expected = {wire.reserved(n): wire.NONE for n in (0, 1, 40_000)}
    expected |= {kind: wire.UNKNOWN_STREAM for kind in (2, 5, 6, 7, 8, 100, 1 << 40)}
    refused = {}
    for index, (kind, code) in enumerate(expected.items()):
        for unidirectional in [False] * 5 + [True] * (index % 4 == 0):
            first = wire.varint(kind) + b"what nobody reads"
            stream = client.open_stream(None, first, unidirectional)
            await client.until(
                lambda: stream in client.stops and (unidirectional or stream in client.resets)
            )
            got = {client.stops[stream]} | {client.resets.get(stream, code)}
            expect(got == {code}, f"AB-S3, AB-S4: type {kind} refused with {got}, not {code}")
            refused[str(kind)] = code
    return refused


class FileControl:
    """A file control stream with one message of ours, and what is answered."""

    def __init__(self, client, first):
        self.reader = wire.Messages()
        self.said = []
        self.fin = False
        self.stream = client.open_stream(self, wire.varint(wire.FILE_CONTROL) + first)

    def on_data(self, data, fin):
        self.said += self.reader.feed(data)
        self.fin |= fin

    def on_reset(self, code):
        raise ProtocolError(f"AB-F26: a refusal is a word, not a reset with {code}")


async def refused_files(client):
    """AB-F30: a server without files refuses what is offered, requested and asked."""
    token = bytes(range(16))
    offer = wire.message(wire.OFFER, token + wire.varint(2) + wire.varint(0))
    request = wire.message(
        wire.REQUEST, token + wire.varint(1 << 20) + wire.varint(1) + wire.sized(b"clip")
    )
    question = wire.message(
        wire.QUERY, wire.varint(0) + wire.sized(b"") + wire.sized(b"") + wire.varint(9)
    )
    for first, answer in ((offer, wire.CANCEL), (request, wire.CANCEL), (question, wire.REPLY)):
        control = FileControl(client, first)
        await client.until(lambda: control.fin)
        client.send(control.stream, b"", fin=True)
        ((kind, body),) = control.said
        fields = wire.Fields(body)
        expect(kind == answer, f"AB-F26, AB-F32: {kind} instead of {answer}")
        if kind == wire.REPLY:
            expect(fields.varint() == 0, "AB-F32: no refusal")
        code = fields.varint()
        expect(code == wire.REFUSED, f"AB-F30: refused with {code}")


async def probe():
    async with connected() as client:
        await ping(client, [7])
        nothing = [wire.message(wire.reserved(n), bytes(n)) for n in (0, 1, 2, 400)]
        client.say(*nothing, wire.message(100), wire.message(6, bytes(wire.MAX_MESSAGE)))
        await ping(client, [0, 63, 64, 16_384, 1 << 30, (1 << 62) - 1])
        # Messages may come a byte at a time, and with fields that nobody knows.
        for byte in wire.message(wire.PING, wire.varint(9) + wire.varint(99) + wire.sized(b"?")):
            client.say(bytes([byte]))
        await client.until(lambda: client.pongs[-1] == 9)
        refused = await refused_streams(client)
        await refused_files(client)
        client.change_connection_id()
        await ping(client, list(range(64)))
        entries, pages = await all_pages(client, OPTIONS.page)
        key = base64.b64encode(client.key()).decode().rstrip("=")
        return {
            "hello": client.hello,
            "key": f"SHA256:{key}",
            "pongs": len(client.pongs),
            "entries": entries,
            "pages": pages,
            "refused": refused,
        }


async def resume():
    tickets = []
    async with connected(on_ticket=tickets.append) as client:
        await client.until(lambda: client.hello)
        while not tickets:
            await ping(client, [1])
    async with connected(ticket=tickets[0]) as client:
        client.say(wire.ping(5), wire.list_request(1_000, 64))
        await client.until(lambda: client.pongs and client.pages)
        return {
            "early": client._quic.tls.early_data_accepted,
            "pongs": client.pongs,
            "entries": client.pages[0].entries,
        }


# ------------------------------------------------------------------ sessions


def wanted():
    """OPEN_STREAM as the command line wants it."""
    tlvs = [(wire.reserved(0), b"unknown")]
    for kind, value in (
        (wire.NAME, OPTIONS.name),
        (wire.FIRST_CHUNK, OPTIONS.start_chunk),
        (wire.FIRST_BYTE, OPTIONS.start_byte),
        (wire.PAUSE, wire.LIVE if OPTIONS.live else None),
        (wire.PACE, wire.UNPACED if OPTIONS.unpaced else None),
        (wire.MAX_CHUNK, OPTIONS.chunk),
        (wire.KEEPALIVE, OPTIONS.keepalive),
        (wire.TIMEOUT, OPTIONS.timeout),
    ):
        if value is not None:
            tlvs.append((kind, value))
    return wire.Open(bitrates=OPTIONS.bitrates, tlvs=tlvs)


def output():
    return open(OPTIONS.output, "wb") if OPTIONS.output else None


async def paused(session):
    """AB-M15: waits for some heartbeats with no chunk between them."""
    await session.client.until(lambda: session.quiet_heartbeats >= OPTIONS.quiet or session.end)


async def play():
    async with connected() as client:

        def on_chunk(sequence):
            if sequence == OPTIONS.close_at:
                session.close()
            elif sequence == OPTIONS.pause_at:
                session.pause()

        session = Session(client, output(), on_chunk)
        # AB-M8: PDUs that nobody knows, or that mean nothing now, are passed over.
        session.request(wanted())
        session.send(pdu.pdu(0x5B, 4_711, b"unknown"))
        session.command(pdu.RESUME_STREAM)
        session.send(pdu.HEADER.pack(pdu.VERSION, pdu.HEARTBEAT, 0xFF, 0xFF, 99, 8) + bytes(8))
        if OPTIONS.pause_at:
            await client.until(lambda: session.paused or session.end)
            await paused(session)
            if not session.end:
                session.resume()
        await session.over()
        return session.report()


async def two():
    async with connected() as client:
        first, second = Session(client, output()), Session(client)
        first.on_chunk = lambda sequence: sequence == OPTIONS.pause_at and first.pause()
        first.request(wanted())
        await client.until(lambda: first.paused)
        second.request(wire.Open(tlvs=[(wire.NAME, OPTIONS.name), (wire.PACE, wire.UNPACED)]))
        await second.over()
        await paused(first)
        expect(first.end is None, "the paused session ended")
        first.resume()
        await first.over()
        return {"first": first.report(), "second": second.report()}


async def refuse():
    """AB-M11, AB-M12: one stream, many requests."""
    name = (wire.NAME, OPTIONS.name)
    cut_short = wire.varint(wire.FIRST_BYTE) + wire.varint(8) + b"\0"
    requests = [
        ("no codec", 1, wire.Open(codec="", tlvs=[name])),
        ("unknown name", 4, wire.Open(tlvs=[(wire.NAME, "no such media")])),
        ("byte beyond the end", 5, wire.Open(tlvs=[name, (wire.FIRST_BYTE, 1 << 60)])),
        ("chunk beyond the end", 5, wire.Open(tlvs=[name, (wire.FIRST_CHUNK, 1 << 31)])),
        ("encryption 2", 2, wire.Open(encryption=2, tlvs=[name])),
        ("multicast", 3, wire.Open(delivery=1, tlvs=[name])),
        ("a TLV cut short", 99, wire.Open(tlvs=[name], raw=cut_short)),
        ("a TLV of half a varint", 99, wire.Open(raw=b"\x40")),
        ("a name that is no UTF-8", 99, wire.Open(raw=wire.varint(1) + wire.sized(b"\xff"))),
        ("a name of 129 bytes", 99, wire.Open(tlvs=[(wire.NAME, "x" * 129)])),
        ("a varint with a tail", 99, wire.Open(raw=wire.varint(3) + wire.sized(b"\0\0"))),
        ("a start at chunk 0", 99, wire.Open(tlvs=[name, (wire.FIRST_CHUNK, 0)])),
        ("a name twice", 99, wire.Open(tlvs=[name, name])),
        ("two starts", 99, wire.Open(tlvs=[(wire.FIRST_CHUNK, 1), (wire.FIRST_BYTE, 0)])),
        ("pause 2", 99, wire.Open(tlvs=[(wire.PAUSE, 2)])),
        ("a chunk of 2^32", 99, wire.Open(tlvs=[(wire.MAX_CHUNK, 1 << 32)])),
        ("pause of 2 bytes", 99, wire.Open(raw=wire.varint(wire.PAUSE) + wire.sized(b"\0\0"))),
    ]
    answers = {}
    async with connected() as client:
        session = Session(client, output())
        session.asks_again = True
        for what, error, request in requests:
            session.request(request)
            answers[what] = await session.answer()
            expect(answers[what] == error, f"{what}: answered {answers[what]}, not {error}")
        session.send(pdu.pdu(pdu.OPEN_STREAM, 0, b"\0"))
        expect(await session.answer() == pdu.NACK_PROTOCOL_VIOLATION, "a body cut short")
        nacks = len(session.nacks)
        # At once, so that the second one cannot come after the end of the session.
        session.send(wanted().pdu() * 2)
        grant = await session.answer()
        expect(isinstance(grant, dict), f"the good OPEN_STREAM: {grant}")
        await session.over()
        expect(session.nacks[nacks:] == [99], f"AB-M12: {session.nacks[nacks:]} while it is open")
        return session.report() | {"answers": answers}


async def goaway():
    async with connected() as client:
        session = Session(client, output())
        session.on_chunk = lambda sequence: sequence == OPTIONS.pause_at and session.pause()
        session.request(wanted())
        await paused(session)
        print(json.dumps({"paused": session.last}), flush=True)
        await client.until(lambda: client.going_away is not None)
        late = Session(client)
        late.asks_again = True
        late.request(wanted())
        refused = await late.answer()
        late.close()
        session.resume()
        await session.over()
        try:
            await client.until(lambda: False)
        except ConnectionEnded:
            pass
        report = session.report()
        return report | {"left": client.going_away, "late": refused, "closed": client.ended}


async def violate():
    return await violations.run(connected, OPTIONS.name)


# ------------------------------------------------------------------ command line


def arguments():
    parser = argparse.ArgumentParser(description="a client of anabranch/1")
    scenarios = (probe, play, two, refuse, goaway, violate, resume)
    parser.add_argument("scenario", choices=[scenario.__name__ for scenario in scenarios])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--name", help="media; without it, the server's default")
    parser.add_argument("--bitrates", type=int, nargs="*", default=[])
    parser.add_argument("--start-byte", type=int)
    parser.add_argument("--start-chunk", type=int)
    parser.add_argument("--chunk", type=int, help="largest chunk wanted")
    parser.add_argument("--keepalive", type=int, help="seconds wanted")
    parser.add_argument("--timeout", type=int, help="seconds wanted")
    parser.add_argument("--live", action="store_true", help="a pause leaves out what passes")
    parser.add_argument("--unpaced", action="store_true", help="as fast as possible")
    parser.add_argument("--pause-at", type=int, help="sequence; resumes after quiet heartbeats")
    parser.add_argument("--quiet", type=int, default=2, help="heartbeats that a pause lasts")
    parser.add_argument("--close-at", type=int, help="sequence")
    parser.add_argument("--page", type=int, default=3, help="entries of a page")
    parser.add_argument("--output", help="file for the payload")
    parser.add_argument("--give-up", type=float, default=60.0, help="seconds for everything")
    return parser.parse_args()


def main():
    global OPTIONS
    OPTIONS = arguments()
    scenario = globals()[OPTIONS.scenario]

    async def limited():
        return await asyncio.wait_for(scenario(), OPTIONS.give_up)

    try:
        print(json.dumps({"scenario": OPTIONS.scenario} | asyncio.run(limited())))
        return 0
    except Exception as error:
        print(json.dumps({"scenario": OPTIONS.scenario, "error": repr(error)}))
        if not isinstance(error, (ProtocolError, ConnectionEnded)):
            traceback.print_exception(error)
    return 1


if __name__ == "__main__":
    sys.exit(main())
