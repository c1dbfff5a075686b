"""A WebSocket server and a client of the package `websockets`, with the gateway between them.

Prints the server's port, reads the gateway's, and ends well when everything came through as it was sent.
"""

import asyncio
import os
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


async def echo(socket):
    async for message in socket:
        if message == "bye":
            await socket.close(1000, "as asked")
        else:
            await socket.send(message)


async def converse(url, compression):
    async with connect(url, subprotocols=["other", "chat"], compression=compression, max_size=None) as socket:
        assert socket.subprotocol == "chat", socket.subprotocol
        names = [extension.name for extension in socket.protocol.extensions]
        assert names == (["permessage-deflate"] if compression else []), names
        mebibyte = os.urandom(1024 * 1024)
        for message in ["", "text", "ж" * 70_000, b"", b"x" * 125, b"x" * 126, b"x" * 65_536, mebibyte]:
            await socket.send(message)
            assert await socket.recv() == message, "a message differs"
        await socket.send(mebibyte[i : i + 5_000] for i in range(0, len(mebibyte), 5_000))
        assert await socket.recv() == mebibyte, "a message in fragments differs"
        await asyncio.wait_for(await socket.ping(b"are you there"), 10)
        await socket.send("bye")
        try:
            await socket.recv()
        except ConnectionClosed as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (1000, "as asked"), closed.rcvd
        else:
            raise AssertionError("the server's Close did not come")


async def main():
    async with serve(echo, "127.0.0.1", 0, subprotocols=["chat"], max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        port = int(await asyncio.to_thread(sys.stdin.readline))
        for compression in (None, "deflate"):
            await asyncio.gather(*(converse(f"ws://127.0.0.1:{port}/svc/chat?a=b", compression) for _ in range(4)))


asyncio.run(main())
