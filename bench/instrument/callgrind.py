"""Instructions per request, counted by valgrind's callgrind.

In scope: one server under callgrind, an exact number of requests or messages from a client that sends one at a time, the
counts of the threads that serve. Out of scope: what count is good (bench/gate/run).

valgrind knows no io_uring, so a server must run on epoll here. One request at a time makes the count repeatable: how
many requests one turn of the loop finds then does not depend on the clock.
"""

import re
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .loads import serves
from .processes import Process, wait_until

CORE = 0
CONNECTIONS = 16
START_S = 60


@dataclass
class Case:
    """What is counted: a server, and how so many requests are sent to it."""

    command: list
    is_ready: Callable
    send: Callable


def http_case(command, port, path, connections=CONNECTIONS):
    """Requests for a path."""
    return Case(command, lambda: serves(port, path), lambda requests, lasting_s: send(port, path, requests, connections, lasting_s))


def message_case(command, port, messages):
    """Messages of a tunnel, all on one connection."""
    def exchange_all(exchanges, _lasting_s):
        load = [*messages.command(port, START_S * 5, connections=1), "--exchanges", str(exchanges)]
        run = subprocess.run(load, capture_output=True, text=True, check=False)
        figures = messages.figures(run.stdout)
        if figures is None or (figures.requests, figures.errors) != (exchanges, 0):
            raise RuntimeError(f"the load says: {run.stdout} {run.stderr}")

    return Case(command, lambda: messages.is_ready(port), exchange_all)


def instructions_per_request(case, mark, scratch, first=500, second=2500, lasting_s=0.0):
    """The difference of two runs over the difference of their requests, so that starting and stopping cancel out, and, where
    both last equally long, what threads do as time goes by.

    `mark` is a pattern of function names that only the counted threads run.
    """
    counts = [count(case, mark, Path(scratch) / str(requests), requests, lasting_s) for requests in (first, second)]
    return (counts[1] - counts[0]) / (second - first)


def count(case, mark, folder, requests, lasting_s=0.0):
    """Instructions of the marked threads in a run of `requests` requests, which lasts so long at least."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    valgrind = ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={folder}/out"]
    with Process("callgrind", [*valgrind, *case.command], CORE, f"{folder}/log") as process:
        try:
            wait_until(case.is_ready, START_S, "the server under valgrind serves")
            case.send(requests, lasting_s)
            process.popen.terminate()
            process.popen.wait(timeout=START_S)
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as fault:
            raise RuntimeError(f"{fault} ({process.last_words()})") from fault
    return marked_instructions(folder, mark)


def marked_instructions(folder, mark):
    """The sum over the threads that ran a function whose name matches `mark`."""
    total, threads = 0, 0
    for file in folder.glob("out*"):
        text = file.read_text(encoding="utf-8", errors="replace")
        totals = re.search(r"^totals: (\d+)", text, re.MULTILINE)
        if totals and re.search(rf"^c?fn=\(\d+\) .*(?:{mark})", text, re.MULTILINE):
            total += int(totals[1])
            threads += 1
    if threads == 0:
        raise RuntimeError(f"no thread ran a function that matches {mark!r}")
    return total


def send(port, path, requests, count, lasting_s):
    """Sends exactly so many requests, one at a time, over `count` connections taken in turn, which stay open that long."""
    began_s = time.monotonic()
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    connections = [socket.create_connection(("127.0.0.1", port), timeout=START_S) for _ in range(count)]
    try:
        for number in range(requests):
            exchange(connections[number % count], request)
        left_s = lasting_s - (time.monotonic() - began_s)
        if lasting_s and left_s < 0:
            raise RuntimeError(f"{requests} requests take longer than {lasting_s:.0f} s")
        time.sleep(max(left_s, 0.0))
    finally:
        for connection in connections:
            connection.close()


def exchange(connection, request):
    """One request and its whole answer."""
    connection.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += receive(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"answered {head.splitlines()[0].decode(errors='replace')}")
    length = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])
    while len(body) < length:
        body += receive(connection)


def receive(connection):
    """What has arrived; it is an error when the server closes."""
    received = connection.recv(65_536)
    if not received:
        raise RuntimeError("the server closed a connection")
    return received
