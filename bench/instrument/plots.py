"""Which figures are drawn.

In scope: from figures to charts. Out of scope: drawing (svg), tables (report).
"""

from . import svg
from .figures import CHEAPEST
from .scenarios import SCENARIOS
from .svg import Bar
from .targets import TARGETS, US

COLOURS = {"floor": "#9a9a9a", US: "#0072b2", "nginx": "#009e73", "haproxy": "#e69f00", "haproxy-splice": "#b37700", "nginx-64k": "#00664b", "haproxy-64k": "#b37700",
           "nginx-new": "#7fcdb5", "haproxy-new": "#f2cc80", "envoy": "#cc79a7", "traefik": "#56b4e9"}
MET, MISSED = "#0072b2", "#d55e00"


def all_of(figures):
    """Every chart that the figures suffice for, by name."""
    makers = {"targets": targets, "small-replies": small, "bodies": bodies, "connections": connections, "latency": latency,
              "idle-memory": idle, "system-calls": calls, "workers-and-services": many, "workers": workers}
    drawn = {name: make(figures) for name, make in makers.items()}
    return {name: picture for name, picture in drawn.items() if picture}


def of_chapter(figures, *chapters):
    """The scenarios of chapters that were measured."""
    measured = set(figures.scenarios())
    return [scenario.name for scenario in SCENARIOS if scenario.chapter in chapters and scenario.name in measured]


def colour(proxy):
    """The same for a proxy in every chart."""
    return COLOURS.get(proxy, "#777777")


def targets(figures):
    """How near each aim is: 1 is the bound."""
    groups = []
    for target in TARGETS:
        measured = target.measured(figures)
        if measured is None:
            continue
        met = target.is_met(figures)
        # Against a bound of nothing there is no share.
        share = measured / target.bound if target.bound else (0.0 if met else 2.0)
        label = f"{target.form().format(measured)} of {target.bound:,g}"
        groups.append((f"{target.scenario}: {target.told()}", [Bar(share, MET if met else MISSED, label, "met" if met else "MISSED")]))
    if not groups:
        return None
    return svg.bars("What was aimed at", "measured over bound: a bar that ends before the line has met it", groups, 1.0, "the bound",
                    limit=2.0, left=440)


def cost_chart(figures, title, scenarios, limit=2.6):
    """CPU per request, each row's cheapest peer being 1."""
    groups = []
    for scenario in scenarios:
        cheapest = figures.cheapest_peer(scenario)
        if cheapest is None:
            continue
        base = figures.median(scenario, cheapest, "cpu_us")
        group = []
        for proxy in figures.proxies(scenario):
            # Its own ratio within the rounds, not that of medians.
            ratio = figures.ratio((scenario, proxy), (scenario, CHEAPEST)) or figures.median(scenario, proxy, "cpu_us") / base
            group.append(Bar(ratio, colour(proxy), f"{figures.median(scenario, proxy, 'cpu_us'):,.1f} µs", proxy))
        groups.append((scenario, group))
    if not groups:
        return None
    return svg.bars(title, "CPU per request; the cheapest peer of each row is 1, shorter is better", groups, 1.0, "cheapest peer",
                    limit=limit)


def small(figures):
    """Small replies."""
    return cost_chart(figures, "Small replies", of_chapter(figures, "Small replies", "GateKeeper's published matrix"))


def bodies(figures):
    """Bodies down and up."""
    return cost_chart(figures, "Bodies, 32 connections", of_chapter(figures, "Bodies"))


def connections(figures):
    """Connections and tunnels."""
    return cost_chart(figures, "New connections, pipelining, tunnels", of_chapter(figures, "Connections", "Tunnels"))


def latency(figures):
    """Percentiles at fixed rates."""
    rows = []
    for scenario in of_chapter(figures, "Latency", "Reloads"):
        proxies = [proxy for proxy in figures.proxies(scenario) if figures.median(scenario, proxy, "rate_per_s")]
        if not proxies:
            continue
        rows.append((f"{scenario}", "", []))
        for proxy in proxies:
            marks = [(name, figures.median(scenario, proxy, field) or 0)
                     for name, field in (("p50", "p50_ms"), ("p99", "p99_ms"), ("p99.9", "p999_ms"))]
            rate = figures.median(scenario, proxy, "rate_per_s")
            rows.append((f"{proxy}, {rate / 1000:.1f} k/s", colour(proxy), marks))
    if not rows:
        return None
    return svg.dots("Latency at a fixed rate", "p50, p99 and p99.9 (small to large dot), from when a request was due; the number is "
                    "p99.9", rows, "ms")


def plain_chart(figures, title, subtitle, scenarios, field, form, left=svg.LEFT):
    """Bars of one figure."""
    groups = []
    for scenario in scenarios:
        group = [Bar(figures.median(scenario, proxy, field), colour(proxy), form.format(figures.median(scenario, proxy, field)), proxy)
                 for proxy in figures.proxies(scenario) if figures.median(scenario, proxy, field) is not None]
        if group:
            groups.append((scenario, group))
    return svg.bars(title, subtitle, groups, left=left) if groups else None


def idle(figures):
    """Memory of idle connections."""
    return plain_chart(figures, "Memory of an idle connection", "growth of the resident size per connection, after one exchange each and "
                       "10 s of nothing", of_chapter(figures, "Idle memory"), "idle_bytes", "{:,.0f} B")


def calls(figures):
    """System calls per request."""
    return plain_chart(figures, "System calls per request", "all threads, counted by perf trace", of_chapter(figures, "System calls"),
                       "syscalls", "{:.2f}")


def many(figures):
    """Workers, services, rules and trouble."""
    return plain_chart(figures, "More workers, more services, rules, being watched, trouble", "CPU per request of the gateway on one core",
                       of_chapter(figures, "Workers", "Services", "Rules", "Being watched", "Trouble"), "cpu_us", "{:.1f} µs", left=330)


def workers(figures):
    """Instructions by number of workers."""
    return plain_chart(figures, "Instructions per request, by workers", "counted by callgrind on the epoll rung; flat, "
                       "as workers share nothing on the path", of_chapter(figures, "Instructions"), "instructions", "{:,.0f}")
