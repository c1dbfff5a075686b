"""What an idle connection keeps of a proxy's memory.

In scope: clients that connect one after another and ask once, and tunnels that carry one exchange, then ten seconds of
nothing; the growth of the resident size. Out of scope: what the kernel keeps, which is in nobody's figure.
"""

import contextlib
import resource
import socket
import time

from .loads import Messages
from .measure import LOAD_CORE, started
from .processes import Process
from .sample import Sample

IDLE_S = 10


def measure_idle(proxy, scenario, round_number, bench):
    """Bytes per connection."""
    hold = hold_tunnels if isinstance(scenario.load, Messages) else hold_requests
    count = scenario.load.connections
    with started(proxy, scenario, bench.scratch) as process:
        before_kib = process.rss_kib()
        with hold(scenario.load, proxy.ports[scenario.load.door]) as lasts:
            time.sleep(IDLE_S)
            idle_kib = process.rss_kib()
            if not lasts():
                raise RuntimeError("an idle connection was closed")
        return Sample(scenario.name, proxy.name, round_number, idle_bytes=(idle_kib - before_kib) * 1024 / count,
                      peak_rss_mib=process.peak_rss_kib() / 1024)


@contextlib.contextmanager
def hold_requests(load, port):
    """As many clients, one connected after the other, each with one answer; gives whether all are still there."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    request = f"GET {load.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(load.connections):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            client.sendall(request)
            if not client.recv(4096).startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"client {len(clients)} is not served")
            clients.append(client)
        yield lambda: all(is_open(client) for client in clients)


def is_open(client):
    """The other side has said nothing, not even that it closes."""
    client.setblocking(False)
    try:
        client.recv(1)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


@contextlib.contextmanager
def hold_tunnels(load, port):
    """As many tunnels by bench-messages, one opened after the other, each with one exchange."""
    with Process("load", [*load.command(port, 0), "--hold"], LOAD_CORE) as running:
        told = running.popen.stdout.readline()
        if told.strip() != f"held {load.connections}":
            raise RuntimeError(f"the load says: {told} {running.popen.stderr.read()}")
        yield lambda: running.popen.poll() is None
