"""Bytes on plain connections: what every actor of the soak sends and reads.

In scope: deadlines, HTTP messages just well enough to check them, bytes that only their seed knows. Out of scope: who sends what.
"""

import asyncio
import random
import socket
import struct

# How long anything that must happen may take on a busy machine.
PATIENCE_S = 60


class Refused(Exception):
    """The gateway said no, in words of its own or by closing; right or wrong depends on what was asked of it."""


class Wrong(Exception):
    """Bytes that nobody sent, or an exchange that failed and had no right to: the soak has failed."""


def stuff(seed, size):
    """The bytes of a seed."""
    return random.Random(seed).randbytes(size)


class Wire:
    """One connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port):
        """To a port of this machine."""
        return cls(*await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port, limit=1 << 22), PATIENCE_S))

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.close()

    def close(self):
        """Closes, in the way the kernel finds right."""
        self.writer.close()

    def reset(self):
        """Closes so that the other side sees a reset."""
        plug = self.writer.get_extra_info("socket")
        if plug is not None and plug.fileno() >= 0:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def finish(self):
        """Says that no more bytes come."""
        self.writer.write_eof()

    async def send(self, data, chance=None):
        """Sends everything; with `chance` in parts, with pauses."""
        parts = [data]
        if chance is not None and len(data) > 1:
            cuts = sorted(chance.randrange(len(data)) for _ in range(chance.randrange(1, 4)))
            parts = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)])]
        for part in parts:
            self.writer.write(part)
            await asyncio.wait_for(self.writer.drain(), PATIENCE_S)
            if chance is not None:
                await asyncio.sleep(chance.uniform(0, 0.02))

    async def exactly(self, count):
        """So many bytes."""
        return await asyncio.wait_for(self.reader.readexactly(count), PATIENCE_S)

    async def line(self):
        """A line without its end."""
        line = await asyncio.wait_for(self.reader.readline(), PATIENCE_S)
        if not line.endswith(b"\n"):
            raise Refused("closed")
        return line.rstrip(b"\r\n")

    async def some(self):
        """What comes next; empty at the end."""
        return await asyncio.wait_for(self.reader.read(65_536), PATIENCE_S)

    async def rest(self):
        """Everything until the end."""
        return await asyncio.wait_for(self.reader.read(-1), PATIENCE_S)

    async def head(self):
        """A message's first line and its fields."""
        first, fields = await self.line(), {}
        while line := await self.line():
            name, _, value = line.partition(b":")
            fields[name.strip().lower().decode()] = value.strip().decode()
        return first.decode(), fields

    async def body(self, fields):
        """The body that the fields announce."""
        if fields.get("transfer-encoding", "").lower() == "chunked":
            parts = []
            while size := int((await self.line()).split(b";")[0], 16):
                parts.append(await self.exactly(size))
                await self.exactly(2)
            while await self.line():
                pass
            return b"".join(parts)
        return await self.exactly(int(fields.get("content-length", "0")))


def chunked(data, chance):
    """A body in chunks of random sizes."""
    out, at = [], 0
    while at < len(data):
        part = data[at:at + chance.randrange(1, 9_000)]
        out.append(b"%x\r\n%s\r\n" % (len(part), part))
        at += len(part)
    return b"".join([*out, b"0\r\n\r\n"])
