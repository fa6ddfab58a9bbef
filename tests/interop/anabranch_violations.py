"""What a client must not do, rule by rule, and the code that the server answers with."""

import asyncio
import struct

import anabranch_wire as wire
import classic_pdu as pdu
from anabranch_client import ConnectionEnded, Session
from classic_pdu import ProtocolError


def control(*messages):
    """Something on the control stream, after HELLO."""

    def act(client):
        client.say(*messages)

    return act


def stream(kind, unidirectional):
    def act(client):
        client.open_stream(None, wire.varint(kind), unidirectional)

    return act


def end_control(client):
    client.send(0, b"", fin=True)


def reset_control(client):
    client._quic.reset_stream(0, wire.NONE)
    client.transmit()


def stop_control(client):
    # It is noticed when there is something to say: the answer to a PING.
    client._quic.stop_stream(0, wire.NONE)
    client.say(wire.ping(1))


def long_message(client):
    client.say(wire.varint(wire.PING) + wire.varint(wire.MAX_MESSAGE + 1))


BAD_TEXT = wire.varint(1) + wire.varint(3) + wire.sized(b"\xff")
LONG_TEXT = wire.varint(1) + wire.varint(3) + wire.sized(b"x" * 129)

# What ends the connection: (rule, what, code, how).
OF_CONNECTION = [
    ("AB-C1", "a second control stream", 2, stream(wire.CONTROL, False)),
    ("AB-S2", "a unidirectional control stream", 2, stream(wire.CONTROL, True)),
    ("AB-S2", "a unidirectional media stream", 2, stream(wire.MEDIA, True)),
    ("AB-C1", "FIN of the control stream", 2, end_control),
    ("AB-C1", "RESET_STREAM of the control stream", 2, reset_control),
    ("AB-C1", "STOP_SENDING of the control stream", 2, stop_control),
    ("AB-C2", "a message of 16385 bytes", 4, long_message),
    ("AB-C3", "a PING that ends too early", 2, control(wire.message(wire.PING))),
    ("AB-C3", "half a varint", 2, control(wire.message(wire.PING, b"\x40"))),
    ("AB-C3", "a name that is no UTF-8", 2, control(wire.message(wire.LIST, BAD_TEXT))),
    ("AB-C3", "a name of 129 bytes", 2, control(wire.message(wire.LIST, LONG_TEXT))),
    ("AB-C4", "a second HELLO", 2, control(wire.hello())),
]


def first_message(data):
    """Starts the connection with something else than a good HELLO."""

    def start(client):
        client.control = client.open_stream(None, wire.varint(wire.CONTROL) + data)

    return start


OF_HELLO = [
    ("AB-C4", "PING before HELLO", 2, first_message(wire.ping(1))),
    ("AB-C4", "an unknown message before HELLO", 2, first_message(wire.message(58))),
    ("AB-C4", "only version 2", 2, first_message(wire.hello(lowest=2, highest=9))),
    ("AB-C4", "the range 1 to 0", 2, first_message(wire.hello(lowest=1, highest=0))),
    ("AB-C3", "an agent of 129 bytes", 2, first_message(wire.hello("x" * 129))),
]

HEADER = pdu.HEADER.pack

# What ends a session: (rule, what, code, bytes after a good OPEN_STREAM, FIN).
OF_SESSION = [
    ("AB-M2", "version 2", 2, HEADER(2, pdu.HEARTBEAT, 0, 0, 0, 8), False),
    ("AB-M3", "a body of 16385 bytes", 4, HEADER(1, 99, 0, 0, 0, 16_385), False),
    ("AB-M3", "a chunk of 8 + 4194305 bytes", 4, HEADER(1, 4, 0, 0, 0, 4_194_313), False),
    ("AB-M4", "a heartbeat of 7 bytes", 2, pdu.pdu(pdu.HEARTBEAT, 0, bytes(7)), False),
    ("AB-M5", "a chunk that lies", 2, pdu.pdu(4, 0, struct.pack("!II", 1, 9)), False),
    ("AB-M7", "FIN in a header", 2, b"\x01", True),
    ("AB-M7", "FIN in a body", 2, HEADER(1, pdu.HEARTBEAT, 0, 0, 0, 8), True),
    ("AB-M8", "1025 unknown PDUs", 4, pdu.pdu(99, 0) * 1_025, False),
    ("AB-M8", "1025 needless RESUMEs", 4, pdu.pdu(pdu.RESUME_STREAM, 0) * 1_025, False),
]


async def run(connected, name):
    """Every violation; a report of the codes, or an error that names all that differ."""
    seen, wrong = [], []

    def note(rule, what, code, got):
        seen.append([rule, what, got])
        if got != code:
            wrong.append(f"{rule} {what}: {got}, not {code}")

    for rule, what, code, act in OF_CONNECTION:
        async with connected() as client:
            await client.until(lambda: client.hello)
            act(client)
            note(rule, what, code, await close_code(client))
    for rule, what, code, start in OF_HELLO:
        async with connected(start=start) as client:
            note(rule, what, code, await close_code(client))
    async with connected() as client:
        for rule, what, code, data, fin in OF_SESSION:
            note(rule, what, code, await session_code(client, name, data, fin))
        # AB-M9: the connection goes on.
        client.say(wire.ping(77))
        await client.until(lambda: 77 in client.pongs)
    if wrong:
        raise ProtocolError("; ".join(wrong))
    return {"violations": seen}


async def close_code(client):
    """The code of CONNECTION_CLOSE, or what came instead within five seconds."""
    try:
        await asyncio.wait_for(client.until(lambda: False), 5)
    except (ConnectionEnded, asyncio.TimeoutError):
        pass
    ended = client.ended or {"code": "nothing", "application": True}
    return ended["code"] if ended["application"] else f"transport {ended['code']:#x}"


async def session_code(client, name, data, fin):
    session = Session(client)
    # Slow, so that it is under way when the rule is broken.
    tlvs = [(wire.NAME, name), (wire.MAX_CHUNK, 1_024)]
    session.request(wire.Open(bitrates=[64_000], tlvs=tlvs))
    await session.answer()
    session.send(data, fin)
    stream = session.stream
    try:
        await asyncio.wait_for(client.until(lambda: session.end), 5)
    except asyncio.TimeoutError:
        return "nothing"
    if fin:
        return client.resets.get(stream, session.end)
    await client.until(lambda: stream in client.stops or session.fin_in)
    codes = {client.resets.get(stream), client.stops.get(stream)}
    return codes.pop() if len(codes) == 1 else f"{codes}, {session.end}"
