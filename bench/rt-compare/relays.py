"""One relay on several runtimes: what a request costs each, and what an idle connection holds.

In scope: the contestants, the order of the measurements, their record. Out of scope: how one measurement is made and
what disturbs it (bench/instrument).
"""

import contextlib
import socket
import subprocess
import time
from pathlib import Path
from statistics import median

from instrument import report
from instrument.bench import Bench
from instrument.figures import Figures
from instrument.loads import Wrk, serves
from instrument.measure import LOAD_CORE, PROXY_CORE, measure
from instrument.processes import Process, read, wait_until
from instrument.proxies import BENCH, ORIGIN_COMMAND, ORIGIN_PORT, PROXIES, Proxy
from instrument.quiet import FOREIGN_CORES_MAX
from instrument.sample import write_csv
from instrument.scenarios import Scenario

BUILT = BENCH / "rt-compare" / "target" / "release"
UPSTREAM = f"127.0.0.1:{ORIGIN_PORT}"
PATH = "/bench"
IDLE_CONNECTIONS = 1000


def on_monoio(driver, port):
    """The relay on one of monoio's drivers."""
    command = [BUILT / "relay-on-monoio", driver, f"127.0.0.1:{port}", UPSTREAM]
    return Proxy(f"monoio {driver}", {"http": port}, {"plain": command})


RELAYS = [proxy for proxy in PROXIES if proxy.name == "floor"] + [
    on_monoio("uring", 18721), on_monoio("uring-defer", 18722), on_monoio("epoll", 18723),
    Proxy("glommio", {"http": 18724}, {"plain": [BUILT / "relay-on-glommio", "127.0.0.1:18724", UPSTREAM]}),
]

EXPLANATION = f"""\
The same byte relay on each runtime: accept, one upstream connection per client, bytes both ways, `TCP_NODELAY`, 4 KiB
buffers. `floor` is bench/floor, a driver of its own with multishot receives and provided buffers. `monoio uring` is
monoio 0.2.4 with its default ring, `uring-defer` with SINGLE_ISSUER and DEFER_TASKRUN (what a worker uses), `epoll` its
other driver; glommio is 0.9.0 with its defaults, rings of 4,096 entries apart. Small replies by wrk, the relay alone on
core 0, wrk and the origin on core 1. CPU is the relay's user and system time per request, median of the rounds; `× floor`
is the median of the ratios within each round; `idle KiB` is what the resident size grew by per connection when
{IDLE_CONNECTIONS:,} clients had each made one request and then did nothing (the kernel's own memory is not in it).

Measured on a shared machine. `disturbed` counts the measurements during which other programs used more than
{FOREIGN_CORES_MAX:.0%} of a core even after waiting and measuring again; the CPU times of such a run are not those of
a quiet machine and vary more, requests per second say little, and only ratios count."""


@contextlib.contextmanager
def origin(scratch):
    """The origin behind all of them."""
    with Process("origin", ORIGIN_COMMAND, LOAD_CORE, f"{scratch}/origin.log") as process:
        wait_until(lambda: serves(ORIGIN_PORT, "/ping"), 10, "the origin serves")
        yield process


def run_rounds(args, scratch, samples):
    """Every relay at every number of connections, round after round, beginning with another one each time. False when
    time ran out before the last round."""
    with origin(scratch) as upstream:
        bench = Bench(Path(scratch), args.window, args.patience, [upstream])
        for round_number in range(args.rounds):
            began_s = time.monotonic()
            shift = round_number % len(RELAYS)
            for connections in args.connections:
                scenario = Scenario(str(connections), "", Wrk(connections, PATH), warm_s=0.8 + connections / 2000)
                for relay in RELAYS[shift:] + RELAYS[:shift]:
                    run_one(args, relay, scenario, round_number, bench, samples)
            if time.monotonic() + (time.monotonic() - began_s) > args.deadline_s and round_number + 1 < args.rounds:
                print("no time is left for another round")
                return False
    return True


def run_one(args, relay, scenario, round_number, bench, samples):
    """One measurement, made again while it was disturbed and patience lasts."""
    label = f"round {round_number + 1}/{args.rounds}  {scenario.name:>5}  {relay.name:<18}"
    while True:
        args.patience.wait()
        began_s = time.monotonic()
        try:
            sample = measure(relay, scenario, round_number, bench)
        except (RuntimeError, subprocess.TimeoutExpired) as fault:
            print(f"{label}  failed: {fault}", flush=True)
            return
        disturbed = sample.foreign_cores > FOREIGN_CORES_MAX
        again = disturbed and args.patience.left_s > 0
        print(f"{label}  {sample.cpu_us:6.2f} µs  busy {sample.busy:4.0%}  errors {sample.errors}"
              f"{f'  disturbed by {sample.foreign_cores:.1f} cores' if disturbed else ''}{', once more' if again else ''}",
              flush=True)
        # A ring lets go of its sockets some time after its process has ended.
        time.sleep(0.3 + scenario.load.connections / 20_000)
        if not again:
            samples.append(sample)
            return
        args.patience.spend(time.monotonic() - began_s)


def idle_kib(scratch):
    """Resident KiB per idle connection of each relay."""
    found = {}
    with origin(scratch):
        for relay in RELAYS:
            with Process(relay.name, relay.command("plain", scratch), PROXY_CORE, f"{scratch}/{relay.name}.log") as process:
                wait_until(lambda port=relay.ports["http"]: serves(port, PATH), 10, f"{relay.name} serves")
                before = resident_kib(process)
                with contextlib.ExitStack() as open_sockets:
                    for _ in range(IDLE_CONNECTIONS):
                        client = socket.create_connection(("127.0.0.1", relay.ports["http"]), timeout=20)
                        open_sockets.enter_context(client)
                        client.sendall(f"GET {PATH} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                        if not client.recv(4096).startswith(b"HTTP/1.1 200"):
                            raise RuntimeError(f"{relay.name} does not serve connection {len(found)}")
                    time.sleep(0.3)
                    found[relay.name] = (resident_kib(process) - before) / IDLE_CONNECTIONS
            print(f"idle  {relay.name:<18}  {found[relay.name]:6.2f} KiB per connection", flush=True)
    return found


def resident_kib(process):
    """What is resident now."""
    return sum(int(line.split()[1]) for pid in process.pids() for line in read(f"/proc/{pid}/status").splitlines()
               if line.startswith("VmRSS:"))


def table(samples, idle):
    """The rows of the record, the head first."""
    rows = [["connections", "relay", "CPU µs/request", "min–max", "× floor", "requests/s", "busy", "errors", "idle KiB",
             "disturbed"]]
    for scenario in dict.fromkeys(sample.scenario for sample in samples):
        group = [sample for sample in samples if sample.scenario == scenario]
        for relay in RELAYS:
            own = [sample for sample in group if sample.proxy == relay.name]
            if own:
                rows.append([scenario, relay.name, *figures(own, group),
                             f"{idle[relay.name]:.1f}" if relay.name in idle else "–",
                             f"{sum(one.foreign_cores > FOREIGN_CORES_MAX for one in own)} of {len(own)}"])
    return rows


def figures(own, group):
    """The cells of one relay at one number of connections."""
    costs = [sample.cpu_us for sample in own]
    return [f"{median(costs):.2f}", f"{min(costs):.2f}–{max(costs):.2f}",
            report.number(Figures(group, ()).ratio(*((own[0].scenario, proxy) for proxy in (own[0].proxy, "floor")))),
            f"{median(sample.requests_per_s for sample in own):,.0f}", f"{median(sample.busy for sample in own):.0%}",
            f"{sum(sample.errors for sample in own)}"]


def write(folder, samples, idle, facts):
    """Writes rt-compare.csv with every sample and rt-compare.md with the table."""
    write_csv(folder / "rt-compare.csv", samples)
    foreign = f"median {median(sample.foreign_cores for sample in samples):.1f} cores, " \
              f"at most {max(sample.foreign_cores for sample in samples):.1f}"
    lines = ["# Record: runtimes compared", "", report.markdown(table(samples, idle)), "", EXPLANATION, ""]
    lines += [f"* {name}: {value}" for name, value in facts + [("used by other programs", foreign)]]
    (folder / "rt-compare.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
