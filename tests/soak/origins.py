"""The services behind the gateway: they do what the exchange itself asks for, good or bad.

In scope: HTTP, WebSocket and plain TCP origins, faults on request, dying and coming back. Out of scope: which exchange
asks for what (`clients`).
"""

import asyncio
import hashlib
import random
from urllib.parse import parse_qsl, urlsplit

import websockets
from websockets.asyncio.server import serve

from wire import Refused, Wire, chunked, stuff

# What goes wrong with a peer that does as it likes. None of it is the origin's own fault.
GONE = (ConnectionError, asyncio.IncompleteReadError, asyncio.TimeoutError, Refused, ValueError, OSError)


class Origin:
    """A listening service on a port that it keeps over its deaths."""

    def __init__(self, port=0):
        self.port, self.server, self.wires = port, None, set()

    async def start(self):
        """Listens, on the port it had before if it had one."""
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", self.port, backlog=1024, limit=1 << 22)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    def die(self):
        """Stops listening and resets every connection."""
        self.server.close()
        for wire in list(self.wires):
            wire.reset()

    async def accept(self, reader, writer):
        """One connection."""
        wire = Wire(reader, writer)
        self.wires.add(wire)
        try:
            await self.serve(wire)
        except GONE:
            pass
        finally:
            self.wires.discard(wire)
            wire.close()


class HttpOrigin(Origin):
    """`/echo` answers with the body, `/stuff` with the bytes of a seed; `fault` says what goes wrong instead."""

    async def serve(self, wire):
        """Requests, one after the other."""
        while True:
            first, fields = await wire.head()
            target = urlsplit(first.split(" ")[1])
            asked = dict(parse_qsl(target.query))
            if target.path == "/ping":
                await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                continue
            chance = random.Random(first)
            if fault := asked.get("fault"):
                if await self.misbehave(wire, fault, chance):
                    return
            received = await wire.body(fields)
            body = received if target.path.endswith("/echo") else stuff(asked["seed"], int(asked["size"]))
            await self.answer(wire, body, chance)

    async def answer(self, wire, body, chance):
        """The body in one of the framings, whole or in parts."""
        slowly = chance if chance.random() < 0.2 else None
        if chance.random() < 0.5:
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            await wire.send(head + body, slowly)
        else:
            await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, chance), slowly)

    async def misbehave(self, wire, fault, chance):
        """True when the connection is over."""
        if fault == "stall":
            await asyncio.sleep(chance.uniform(0.5, 4))
            return False
        if fault == "garbage":
            await wire.send(chance.randbytes(chance.randrange(1, 500)))
        elif fault == "short":
            await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * chance.randrange(99_000))
        elif fault == "half-head":
            await wire.send(b"HTTP/1.1 200 OK\r\nContent-Le")
        elif fault == "bad-chunk":
            await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n")
        elif fault == "unasked":
            # An answer, and then another that nobody asked for.
            await wire.send(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            await asyncio.sleep(0.05)
        if fault in ("reset", "garbage") or chance.random() < 0.3:
            wire.reset()
        return True


class TcpOrigin(Origin):
    """The first line says what the connection is for."""

    async def serve(self, wire):
        """One connection of one kind."""
        words = (await wire.line()).decode(errors="replace").split()
        kind, numbers = words[0], words[1:]
        if kind == "echo":
            while data := await wire.some():
                await wire.send(data)
        elif kind == "digest":
            # Answers only when the other side has ended its half.
            await wire.send(hashlib.sha256(await wire.rest()).digest())
        elif kind == "stuff":
            await wire.send(stuff(numbers[0], int(numbers[1])))
            wire.finish()
            await wire.rest()
        elif kind == "stall":
            await asyncio.sleep(float(numbers[0]))
        elif kind == "reset":
            await wire.send(b"x" * int(numbers[0]))
            wire.reset()
        elif kind == "deaf":
            # Never reads, so that the gateway has bytes that nobody takes.
            wire.writer.transport.pause_reading()
            await asyncio.sleep(float(numbers[0]))
            wire.reset()


class WebSocketOrigin:
    """A library's server that sends messages back; `bad` in the path makes it break off."""

    def __init__(self):
        self.port, self.server = 0, None

    async def start(self):
        """Listens."""
        self.server = await serve(self.talk, "127.0.0.1", self.port, ping_interval=None, max_size=1 << 22, backlog=1024,
                                  process_request=self.ping)
        self.port = next(iter(self.server.sockets)).getsockname()[1]
        return self

    @staticmethod
    def ping(connection, request):
        """The health check."""
        return connection.respond(200, "") if request.path == "/ping" else None

    @staticmethod
    async def talk(connection):
        """Echoes, until one of the sides has had enough."""
        path = connection.request.path
        chance = random.Random(path)
        left = chance.randrange(1, 6) if "bad" in path else None
        try:
            async for message in connection:
                await connection.send(message)
                if left is not None:
                    left -= 1
                    if left == 0:
                        return connection.transport.abort() if "reset" in path else connection.transport.close()
        except websockets.ConnectionClosed:
            pass
