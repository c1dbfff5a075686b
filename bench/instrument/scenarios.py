"""The matrix: what is asked of which proxy, as data.

In scope: every scenario and what it is about. Out of scope: how it is measured (measure, counts, idle, scale), what is
aimed at (targets).
"""

from dataclasses import dataclass

from .loads import MIB, Messages, OneByOne, Steady, Wrk

KIB = 1024
# Every peer that is there takes part where these say PEERS.
PEERS = "peers"
EVERY = ("floor", "gatekeeper", PEERS)
PRODUCTS = ("gatekeeper", PEERS)
BULK = (*PRODUCTS, "nginx-64k", "haproxy-64k", "haproxy-splice")
OURS = ("gatekeeper",)
PAIR = ("floor", "gatekeeper")


@dataclass(frozen=True)
class Scenario:
    """One row of the matrix for each proxy that takes part."""

    name: str
    chapter: str
    load: object
    proxies: tuple = PRODUCTS
    setting: str = "plain"
    # How it is measured: cost, system calls, idle or instructions.
    kind: str = "cost"
    warm_s: float = 1.0
    # Measured in these many further rounds by these proxies, where a ratio near 1 is to be told from 1.
    pairs: tuple = ()
    # At most so many rounds.
    rounds_max: int = 99
    # Of the gateway: everything but its workers runs on the load's core.
    control_apart: bool = False
    # What happens meanwhile: reloads, or clients of a slow service.
    beside: str = ""
    # Also a part of the short run.
    quick: bool = False

    def takes_part(self, proxy):
        """Whether a proxy is measured in this scenario."""
        named = proxy.name in self.proxies or proxy.is_peer and not proxy.only_named and PEERS in self.proxies
        return named and self.setting in proxy.settings and self.load.door in proxy.ports \
            and self.load.connections <= proxy.connections_max


PEAK = "small, 64 connections"
RULED = "rules on"
WATCHED = "logs, traces, metrics on"


def small():
    """Small replies, whose body is 12 bytes."""
    for connections in (64, 1_000, 10_000):
        title = f"small, {connections:,} connections"
        yield Scenario(title, "Small replies", Wrk(connections), EVERY, warm_s=1.0 + connections / 4_000, quick=True,
                       # What rules and being watched cost is told from nothing.
                       pairs=OURS if title == PEAK else ())


def published():
    """The matrix of GateKeeper's own benchmark: wrk threads as its concurrency, on 48 threads; here all of them share
    the load's core, so more than four would only measure the switching between them."""
    for threads, connections in ((2, 1_000), (4, 5_000), (4, 10_000)):
        yield Scenario(f"published, {threads} threads, {connections:,} connections", "GateKeeper's published matrix",
                       Wrk(connections, threads=threads), warm_s=1.0 + connections / 4_000, rounds_max=3)


BODIES = (("0 B", 0), ("1 KiB", KIB), ("16 KiB", 16 * KIB), ("256 KiB", 256 * KIB), ("1 MiB", MIB))


def bodies():
    """Bodies down, then up."""
    for title, size in BODIES:
        yield Scenario(f"{title} down", "Bodies", Wrk(32, f"/bench/bytes/{size}"), contestants(size),
                       rounds_max=rounds(size), quick=size >= 16 * KIB)
    for title, size in BODIES[1:]:
        yield Scenario(f"{title} up", "Bodies", Wrk(32, script=(f"upload={size}",)), contestants(size),
                       rounds_max=rounds(size), quick=size >= 16 * KIB)


def contestants(size):
    """Peers that are made for large bodies take part in those."""
    return BULK if size >= 16 * KIB else PRODUCTS


def rounds(size):
    """Nothing is aimed at with the small ones."""
    return 99 if size >= 16 * KIB else 3


def connections():
    """What a connection costs, and what it costs to have more than one request on its way."""
    yield Scenario("connection per request", "Connections", Wrk(64, script=("close=1",)), quick=True)
    yield Scenario("pipelining, 16 deep", "Connections", Wrk(64, script=("depth=16",)))


def messages():
    """Tunnels."""
    for title, websocket in (("tcp", False), ("websocket", True)):
        yield Scenario(f"{title} 64 B", "Tunnels", Messages(64, websocket=websocket), EVERY, "tunnels", pairs=PAIR, quick=True)
    yield Scenario("tcp 1 MiB down", "Tunnels", Messages(16, 64, MIB), BULK, "tunnels")
    yield Scenario("tcp 1 MiB up", "Tunnels", Messages(16, MIB, 64), BULK, "tunnels")


def scale():
    """The same work with more workers or more services."""
    for workers in (2, 48):
        yield Scenario(f"{workers} workers on one core", "Workers", Wrk(1_000), OURS, f"{workers} workers", warm_s=2.0,
                       quick=True)
    for title, services in (("1 service", 1), ("5,000 services", 5_000)):
        # Each service has connections of its own; they must be there before the window begins.
        yield Scenario(title, "Services", Wrk(64, "/s0/bench", script=(f"services={services}",)), OURS, title, warm_s=3.0,
                       pairs=OURS, quick=True)


def rules():
    """What rules cost (lists, a tenant, limits, fields, a rewrite), beside the plain row of 64 connections. A setting of the gateway for each: its folder in conf/."""
    for title, setting in ((RULED, "rules"),):
        yield Scenario(title, "Rules", Wrk(64, "/bench/ruled?app_id=bench&sign=benchmark"), OURS, setting, pairs=OURS, quick=True)


def watched():
    """What it costs to be watched, beside the plain rows of 64 connections and of 5,000 services. A setting of the gateway for
    each, as with rules."""
    for title, setting in (("request log to a file", "logged"), ("1 % of requests traced", "traced")):
        yield Scenario(title, "Being watched", Wrk(64), OURS, setting, quick=True)
    yield Scenario("5,000 services, metrics asked for each second", "Being watched",
                   Wrk(64, "/s0/bench", script=("services=5000",)), OURS, "5,000 services", warm_s=3.0, beside="scrapes")
    # What it costs the data core: who formats and sends is elsewhere, as for reloads.
    yield Scenario(WATCHED, "Being watched", Wrk(64), OURS, "watched", pairs=OURS, control_apart=True, beside="scrapes", quick=True)


def trouble():
    """A service with a dead endpoint beside its good one, while 200 clients wait for a slow service."""
    yield Scenario("a dead endpoint, a slow service", "Trouble", Wrk(64), OURS, "troubled", beside="slow clients")


RELOADED = "5,000 services, control apart"


def open_loop():
    """Latency at rates that do not yield: shares of the peak with 64 connections, and one rate for all."""
    for share in (0.5, 0.8):
        yield Scenario(f"{share:.0%} of its own peak", "Latency", Steady(share, PEAK), EVERY, rounds_max=3, quick=share == 0.5)
    yield Scenario("one rate for all", "Latency", Steady(0.8, PEAK, least=True), EVERY, rounds_max=3)


def reloads():
    """Another file ten times a second, of whose services one has changed. What the gateway does beside its workers is on the load's core, where the load
    and the origin go first; the rate is half of what it bears there without reloads."""
    yield Scenario(RELOADED, "Reloads", Wrk(64, "/s0/bench", script=("services=5000",)), OURS, "5,000 services", warm_s=3.0,
                   control_apart=True, rounds_max=5)
    for title, what in (("without reloads", ""), ("with ten reloads a second", "reloads")):
        yield Scenario(title, "Reloads", Steady(0.5, RELOADED, services=5_000, warm_s=3.0), OURS, "5,000 services", warm_s=3.0,
                       control_apart=True, beside=what)


def idle():
    """Memory of connections that do nothing."""
    yield Scenario("10,000 idle clients", "Idle memory", Wrk(10_000), kind="idle", rounds_max=3)
    for title, websocket in (("tcp", False), ("websocket", True)):
        yield Scenario(f"4,000 idle {title} tunnels", "Idle memory", Messages(4_000, websocket=websocket), EVERY, "tunnels",
                       kind="idle", rounds_max=1)


def calls():
    """System calls per request."""
    for connections in (64, 1_000):
        yield Scenario(f"system calls, {connections:,} connections", "System calls", Wrk(connections), EVERY, kind="calls",
                       rounds_max=1, quick=connections == 64)
    yield Scenario("system calls, 16 KiB down", "System calls", Wrk(32, "/bench/bytes/16384"), kind="calls", rounds_max=1)
    yield Scenario("system calls, 16 KiB up", "System calls", Wrk(32, script=("upload=16384",)), kind="calls", rounds_max=1)
    yield Scenario("system calls, connection per request", "System calls", Wrk(64, script=("close=1",)), kind="calls",
                   rounds_max=1)
    yield Scenario("system calls, tcp 64 B", "System calls", Messages(64), EVERY, "tunnels", kind="calls", rounds_max=1)


def instructions():
    """More workers than this machine has cores."""
    for workers in (1, 4, 16, 48):
        yield Scenario(f"instructions, {workers} worker{'s' if workers > 1 else ''}", "Instructions", OneByOne(workers), OURS, kind="instructions",
                       rounds_max=1)


SCENARIOS = (*small(), *published(), *bodies(), *connections(), *messages(), *scale(), *rules(), *watched(), *trouble(), *open_loop(),
             *reloads(), *idle(), *calls(), *instructions())


def chosen(words, quick):
    """Those with one of `words`, which `|` divides, in their name; without words all, or those of the short run."""
    parts = [word.strip() for word in words.split("|") if word.strip()]
    if parts:
        return [scenario for scenario in SCENARIOS if any(part in scenario.name for part in parts)]
    return [scenario for scenario in SCENARIOS if scenario.quick or not quick]
