"""Peers of the reload storm: real WebSocket clients and servers, and a server that sends back what it gets.

    storm_peers.py origin            prints its two ports, serves until standard input ends
    storm_peers.py clients URL N     says when N are open, talks until standard input ends, prints how much was said

In scope: whole messages, every byte compared, nothing closed but by ourselves. Out of scope: frames, which raw clients
of the test make by hand.
"""

import asyncio
import os
import random
import resource
import sys

import websockets

OPENING_AT_ONCE = 50


async def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if sys.argv[1] == "origin":
        return await origin()
    return await clients(sys.argv[2], int(sys.argv[3]))


async def until_input_ends():
    """Whoever started this holds the other end, and lets go when it ends, however it ends."""
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def origin():
    async def echo_messages(socket, *_):
        try:
            async for message in socket:
                await socket.send(message)
        except websockets.ConnectionClosed:
            pass  # raw clients end without a close frame

    async def echo_bytes(reader, writer):
        try:
            while received := await reader.read(65_536):
                writer.write(received)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()

    # Its own pings would stand between the messages that raw clients expect.
    messages = await websockets.serve(echo_messages, "127.0.0.1", 0, ping_interval=None, backlog=1024)
    plain = await asyncio.start_server(echo_bytes, "127.0.0.1", 0, backlog=1024)
    for server in (messages, plain):
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
    await until_input_ends()
    # Connections may still be open; their ends are nobody's matter now.
    os._exit(0)


async def clients(url, count):
    finished, gate = asyncio.Event(), asyncio.Semaphore(OPENING_AT_ONCE)
    open_now = [0]

    async def client(number):
        chance, said = random.Random(number), 0
        async with gate:
            socket = await websockets.connect(url, open_timeout=60)
        open_now[0] += 1
        if open_now[0] == count:
            print("open", flush=True)
        while not finished.is_set():
            size = chance.choice((1, 64, 500, 4_000, 4_000, 70_000))
            message = b"%d %d " % (number, said) + chance.randbytes(size)
            await socket.send(message)
            answer = await asyncio.wait_for(socket.recv(), 60)
            if answer != message:
                raise RuntimeError(f"client {number}: message {said} came back as {answer[:40]!r}…")
            said += 1
            await asyncio.sleep(chance.uniform(0.2, 0.8))
        await socket.close()
        return said

    running = [asyncio.create_task(client(number)) for number in range(count)]
    stopping = asyncio.create_task(until_input_ends())
    await asyncio.wait([stopping, *running], return_when=asyncio.FIRST_COMPLETED)
    broken = [task.exception() for task in running if task.done()]
    if broken:
        print("broken", len(broken), repr(broken[0]), flush=True)
        os._exit(1)
    finished.set()
    print("said", sum(await asyncio.gather(*running)), flush=True)
    # A thread still reads standard input.
    os._exit(0)


asyncio.run(main())
