"""monoio-http's HTTP/1.1 decoder against the messages of tests/corpus, and against a server of its own making.

In scope: where its answers differ from the right ones, and what single requests do to a process. Out of scope: the
decoder's words (decoder/src/verdict.rs), the rules (src/proto).
"""

import re
import socket
import subprocess
import time

from instrument import report
from instrument.measure import LOAD_CORE, PROXY_CORE
from instrument.processes import Process, read, wait_until
from instrument.proxies import BENCH

PROGRAM = BENCH / "rt-compare" / "target" / "release" / "decode-with-monoio-http"
CORPUS = BENCH.parent / "tests" / "corpus"
ENDLESS_HEAD_BYTES = 32 << 20
NEXT = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"

# What a request is, what a gateway must do with it, its bytes. NEXT stands where a second request could hide.
REQUESTS = [
    ("length and chunks together, a request behind the last chunk", "refuse",
     b"POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s"
     % (5 + len(NEXT), NEXT)),
    ("coding `identity`, then `chunked`, and a length", "refuse",
     b"POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n"
     b"Content-Length: 3\r\n\r\n0\r\n" + NEXT),
    ("two different lengths, the first ends before a request", "refuse",
     b"POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: %d\r\n\r\nabc%s" % (3 + len(NEXT), NEXT)),
    ("empty line where a chunk's size belongs", "refuse",
     b"POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\n\r\n" + NEXT),
    ("head of bare line feeds, then good requests for /lost and /hidden", "refuse",
     b"GET /first HTTP/1.1\nHost: a\n\nGET /lost HTTP/1.1\r\nHost: a\r\n\r\n" + NEXT),
    ("no Host", "refuse", b"GET /first HTTP/1.1\r\n\r\n"),
    ("a chunk extension", "serve",
     b"POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n" + NEXT),
    ("a trailer", "serve",
     b"POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n" + NEXT),
    ("96 fields", "serve", b"GET /first HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 95 + b"\r\n"),
    ("97 fields", "serve", b"GET /first HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 96 + b"\r\n"),
    ("a field name of 70,000 bytes", "refuse", b"GET /first HTTP/1.1\r\n" + b"a" * 70_000 + b": b\r\n\r\n"),
]


# One for each server: a ring lets go of its listener only some time after its process has ended.
PORTS = range(18730, 18730 + len(REQUESTS) + 1)


def corpus():
    """Rows of kind, case, right verdict, verdict, verdict byte by byte."""
    run = subprocess.run([PROGRAM, "corpus", CORPUS], capture_output=True, text=True, check=True, timeout=60)
    # Its errors all begin so, whatever the version of HTTP.
    return [line.replace("http2 decode error ", "").split("\t") for line in run.stdout.splitlines()]


def class_of(verdict):
    """`panics`, `refuses`, `waits` or `accepts`."""
    if verdict == "panic":
        return "panics"
    if verdict.startswith("incomplete"):
        return "waits"
    accepted = re.match(r"none|length\(|chunked|untilclose|data=", verdict)
    return "accepts" if accepted else "refuses"


def judge(right, found, in_pieces):
    """How an answer differs from the right one; None when it does not. Whether the connection lives on is not compared,
    because the decoder does not say."""
    is_framing = class_of(right) == "accepts" and not right.startswith("data=")
    expected = right.split(" ")[0] if is_framing else right
    wanted, got = class_of(right), class_of(found)
    if "panics" in (got, class_of(in_pieces)):
        return "panics"
    if wanted == got and (wanted != "accepts" or found == expected) and class_of(in_pieces) == got:
        return None
    if wanted == "refuses" and "accepts" in (got, class_of(in_pieces)):
        return "accepts what must be refused"
    if wanted == "accepts" and got == "refuses":
        return "refuses what is good"
    if got == "waits":
        return "waits for more"
    return "takes it for something else"


def differences():
    """The summary by kind, and the single differences."""
    rows, groups = [["messages", "case", "right", "monoio-http", ""]], {}
    for kind, case, right, found, in_pieces in corpus():
        fault = judge(right, found, in_pieces)
        group = f"{kind}, {case.split('/')[0]}" if kind == "requests" else kind
        groups.setdefault(group, []).append(fault)
        if fault:
            told = found if found == in_pieces else f"{found}; byte by byte {in_pieces}"
            rows.append([kind, case.replace("all/", ""), right, told, fault])
    faults = ["accepts what must be refused", "refuses what is good", "takes it for something else", "waits for more",
              "panics"]
    summary = [["messages", "cases", "as it should be", *faults]]
    for name, found in groups.items():
        summary.append([name, str(len(found)), str(found.count(None)), *(str(found.count(fault)) for fault in faults)])
    summary.append(["all", *(str(sum(int(row[column]) for row in summary[1:])) for column in range(1, len(summary[0])))])
    return summary, rows


def served(scratch):
    """What a process that uses the decoder, as monoio-http's own example does, makes of each request."""
    rows = [["request", "a gateway must", "monoio-http"]]
    for number, (name, duty, request) in enumerate(REQUESTS):
        rows.append([name, duty, one_request(request, PORTS[number], f"{scratch}/served{number}.log")])
    rows.append([f"a head of {ENDLESS_HEAD_BYTES >> 20} MiB without an end", "refuse",
                 endless_head(PORTS[-1], f"{scratch}/endless.log")])
    rows.append(["(in the process) `DecodeError::clone`", "return", cloned()])
    return rows


def server(port, log):
    """The decoder behind a socket, once it listens."""
    process = Process("monoio-http", [PROGRAM, "serve", str(port)], PROXY_CORE, log)
    try:
        wait_until(lambda: "ready" in read(log), 10, "the decoder's server listens")
    except RuntimeError:
        process.stop()
        raise
    return process


def one_request(request, port, log):
    """Sends the bytes, ends the connection, and returns what the server said."""
    with server(port, log) as process:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            wait_until(lambda: process.popen.poll() is not None or last_word(log) in ("end", "refused"), 10, "an answer")
        time.sleep(0.05)
        if process.popen.poll() is not None:
            return f"**the process ends** (code {process.popen.returncode})"
        said = [line.replace("http2 decode error ", "") for line in read(log).splitlines()]
        return "; ".join(line for line in said if line not in ("ready", "end")) or "ends in silence"


def last_word(log):
    """The first word of the last line."""
    lines = read(log).splitlines()
    return lines[-1].split(" ")[0] if lines else ""


def endless_head(port, log):
    """Sends one field that never ends, and reads how much of it the process holds."""
    with server(port, log) as process:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            sent, deadline_s = 0, time.monotonic() + 20
            try:
                client.sendall(b"GET / HTTP/1.1\r\nA: ")
                while sent < ENDLESS_HEAD_BYTES and time.monotonic() < deadline_s:
                    client.sendall(b"a" * 65_536)
                    sent += 65_536
            except OSError:
                pass
            time.sleep(0.5)
            peak_mib = process.peak_rss_kib() / 1024
            said = last_word(log)
    return f"took {sent >> 20} MiB, holds {peak_mib:.0f} MiB, {'waits for more' if said == 'ready' else said}"


def cloned():
    """Clones an error in a process of its own."""
    with Process("clone", [PROGRAM, "clone"], LOAD_CORE) as process:
        try:
            code = process.popen.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "**never returns**"
    return "returns" if code == 0 else f"**the process ends** (code {code})"


def page(scratch):
    """The record as text."""
    summary, rows = differences()
    return "\n".join([
        "# Record: monoio-http's decoder", "",
        "monoio-http 0.3.12 (its newest release), HTTP/1.1, run over tests/corpus by bench/rt-compare. Each message is given",
        "whole and again byte by byte; a different class of answer for the same bytes counts as a difference too. What `Host`,",
        "targets, `Connection` and `Expect` may say (the cases of `routing`) a decoder can leave to its user; framing, syntax",
        "and chunks it cannot. `waits for more` means that it decides nothing although it has all it needs to.", "",
        report.markdown(summary), "", "## Every difference", "", report.markdown(rows), "",
        "## Single requests to a process", "",
        "The decoder behind a socket, one task per connection, as in its own example. `request` is one that it hands to its",
        "user: a `/hidden` one after a message that must be refused is request smuggling. After bare line feeds it throws",
        "everything away up to the next empty line, a whole request among it. Code 101 is a panic, which monoio does not",
        "catch; negative codes are signals.", "",
        report.markdown(served(scratch)), ""])
