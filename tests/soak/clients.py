"""The clients: well-behaved exchanges that are checked byte for byte, and others that do their worst.

A `Place` is steady or shaky. What is well-behaved must succeed at a steady one, whatever else goes on; at a shaky one,
whose endpoints die and misbehave, it may fail but never bring a wrong byte. In scope: one action each. Out of scope:
how many of them, and when (`run`).
"""

import asyncio
import hashlib
from dataclasses import dataclass

import websockets
from websockets.asyncio.client import connect

from wire import PATIENCE_S, Refused, Wire, Wrong, chunked, stuff

SIZES = (0, 1, 100, 4_096, 4_097, 20_000, 65_536, 300_000)
ORIGIN_FAULTS = ("reset", "garbage", "short", "half-head", "bad-chunk", "unasked", "stall", "close")
FAILED = (ConnectionError, asyncio.IncompleteReadError, asyncio.TimeoutError, Refused, OSError, websockets.WebSocketException)


@dataclass
class Place:
    """Where exchanges of one kind go: a port, a prefix where it is HTTP, and whether they must succeed."""

    kind: str
    name: str
    port: int
    steady: bool


def check(got, expected, what, may_be_cut=False):
    """Every byte of a whole answer. On plain TCP an origin's death is an end like any other."""
    if may_be_cut and len(got) < len(expected) and expected.startswith(got):
        raise Refused(f"{what}: cut after {len(got)} bytes")
    if got != expected:
        at = next((index for index, pair in enumerate(zip(got, expected)) if pair[0] != pair[1]), min(len(got), len(expected)))
        raise Wrong(f"{what}: {len(got)} bytes for {len(expected)}, different from byte {at} on: {got[at:at + 40]!r}")


async def http_good(place, chance):
    """Some requests on one connection, each answer whole and right."""
    async with await Wire.connect(place.port) as wire:
        for number in range(chance.randrange(1, 5)):
            size, seed = chance.choice(SIZES), f"{chance.random()}"
            body, slowly = stuff(seed, size), chance if chance.random() < 0.2 else None
            if chance.random() < 0.5:
                target, method, sent = f"/{place.name}/stuff?seed={seed}&size={size}", "GET", b""
                fields = ""
            else:
                target, method = f"/{place.name}/echo?n={seed}", "POST"
                fields, sent = f"Content-Length: {size}\r\n", body
                if chance.random() < 0.5:
                    fields, sent = "Transfer-Encoding: chunked\r\n", chunked(body, chance)
            head = f"{method} {target} HTTP/1.1\r\nHost: soak.test\r\n{fields}\r\n".encode()
            await wire.send(head + sent, slowly)
            first, told = await wire.head()
            if not first.startswith("HTTP/1.1 200 "):
                raise Refused(f"{first} {told.get('x-gatekeeper-reason', 'of the service')} to {method} {target}")
            check(await wire.body(told), body, f"{method} {target}, request {number}")
            if told.get("connection", "").lower() == "close":
                return


async def http_bad(place, chance):
    """A request that breaks off, or asks the service to. Whole answers are still right."""
    fault = chance.choice(("reset", "half-close", "garbage", "early-close", "stall", "deaf", "origin", "origin"))
    async with await Wire.connect(place.port) as wire:
        if fault == "origin":
            if place.steady:
                return
            kind, seed = chance.choice(ORIGIN_FAULTS), chance.random()
            await wire.send(f"GET /{place.name}/stuff?seed={seed}&size=9&fault={kind} HTTP/1.1\r\nHost: s\r\n\r\n".encode())
            first, told = await wire.head()
            body = await wire.body(told)
            if first.startswith("HTTP/1.1 200 ") and kind != "stall":
                raise Wrong(f"a whole answer to the fault {kind}: {body[:40]!r}")
            return
        if fault == "garbage":
            await wire.send(chance.randbytes(chance.randrange(1, 2_000)), chance)
            await wire.rest()
            return
        body = stuff(fault, 200_000)
        target = f"/{place.name}/echo?n={chance.random()}"
        await wire.send(f"POST {target} HTTP/1.1\r\nHost: s\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        if fault == "deaf":
            await wire.send(body)
            wire.writer.transport.pause_reading()
            await asyncio.sleep(chance.uniform(0.1, 3))
            wire.reset()
            return
        await wire.send(body[:chance.randrange(len(body))])
        if fault == "half-close":
            wire.finish()
            await wire.rest()
        elif fault == "stall":
            await asyncio.sleep(chance.uniform(0.1, 4))
        if fault == "reset":
            wire.reset()


async def tcp_good(place, chance):
    """Bytes there and back, or one way and then the other, or one way only."""
    kind = chance.choice(("echo", "digest", "stuff"))
    seed, size = f"{chance.random()}", chance.choice(SIZES)
    body, slowly = stuff(seed, size), chance if chance.random() < 0.3 else None
    async with await Wire.connect(place.port) as wire:
        if kind == "stuff":
            await wire.send(f"stuff {seed} {size}\n".encode(), slowly)
            check(await wire.rest(), body, f"{place.name} {kind} {seed}", not place.steady)
        elif kind == "digest":
            await wire.send(b"digest\n" + body, slowly)
            wire.finish()
            check(await wire.rest(), hashlib.sha256(body).digest(), f"{place.name} {kind} {seed}", not place.steady)
        else:
            await wire.send(b"echo\n", slowly)
            for part in range(0, len(body), 50_000):
                await wire.send(body[part:part + 50_000], slowly)
                check(await wire.exactly(len(body[part:part + 50_000])), body[part:part + 50_000], f"{place.name} {kind} {seed}")
            wire.finish()
            check(await wire.rest(), b"", f"{place.name} the end of {kind} {seed}")


async def tcp_bad(place, chance):
    """A tunnel that one of the sides breaks."""
    kind = chance.choice(("reset", "close", "deaf-client", "stall", "origin-reset", "deaf-origin", "nothing", "idle"))
    async with await Wire.connect(place.port) as wire:
        if kind == "nothing":
            return wire.reset() if chance.random() < 0.5 else None
        if kind == "origin-reset":
            await wire.send(b"reset %d\n" % chance.randrange(100_000))
            await wire.rest()
        elif kind == "deaf-origin":
            await wire.send(b"deaf %.2f\n" % chance.uniform(0.1, 3))
            await wire.send(b"x" * 3_000_000)
            await wire.rest()
        elif kind == "deaf-client":
            await wire.send(b"stuff 1 3000000\n")
            wire.writer.transport.pause_reading()
            await asyncio.sleep(chance.uniform(0.1, 3))
            wire.reset()
        elif kind == "stall":
            await wire.send(b"stall 1\n")
            await wire.rest()
        else:
            await wire.send(b"echo\n" + b"y" * chance.randrange(100_000))
            if kind == "idle":
                await asyncio.sleep(chance.uniform(0.5, 4))
            if kind == "reset":
                wire.reset()


async def websocket_good(place, chance):
    """A library's client: messages, their echoes, and a close that both sides know of."""
    uri = f"ws://127.0.0.1:{place.port}/{place.name}/chat/{chance.random()}"
    async with connect(uri, open_timeout=PATIENCE_S, max_size=1 << 22, ping_interval=None) as connection:
        for number in range(chance.randrange(1, 8)):
            body = stuff(f"{uri}{number}", chance.choice(SIZES))
            await connection.send(body)
            check(await asyncio.wait_for(connection.recv(), PATIENCE_S), body, f"{uri}, message {number}")
            await asyncio.sleep(chance.uniform(0, 0.3))
    if connection.close_code != 1000:
        raise Refused(f"closed with {connection.close_code}")


async def websocket_bad(place, chance):
    """A WebSocket that one of the sides breaks off."""
    fault = chance.choice(("reset", "garbage", "half-close", "origin", "origin-reset", "handshake"))
    path = f"/{place.name}/{'bad-reset' if fault == 'origin-reset' else 'bad' if fault == 'origin' else 'x'}/{chance.random()}"
    if fault in ("origin", "origin-reset"):
        async with connect(f"ws://127.0.0.1:{place.port}{path}", open_timeout=PATIENCE_S, ping_interval=None) as connection:
            while True:
                await connection.send(b"more")
                check(await asyncio.wait_for(connection.recv(), PATIENCE_S), b"more", path)
    async with await Wire.connect(place.port) as wire:
        head = (f"GET {path} HTTP/1.1\r\nHost: s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode()
        if fault == "handshake":
            await wire.send(head[:chance.randrange(len(head))])
            return wire.reset() if chance.random() < 0.5 else None
        await wire.send(head)
        await wire.head()
        if fault == "garbage":
            await wire.send(chance.randbytes(5_000))
            await wire.rest()
            return
        # A frame of 60,000 bytes of which only the beginning comes.
        await wire.send(b"\x82\xfe\xea\x60\x01\x02\x03\x04" + b"z" * chance.randrange(50_000))
        if fault == "half-close":
            wire.finish()
            await wire.rest()
        else:
            wire.reset()


ACTIONS = {"http": (http_good, http_bad), "tcp": (tcp_good, tcp_bad), "websocket": (websocket_good, websocket_bad)}
