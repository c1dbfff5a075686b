"""The proxies that are compared, and the origin behind them.

In scope: how each is started and which port it listens on. Out of scope: load and figures.
"""

import pathlib
import shutil
import subprocess
import sys

BENCH = pathlib.Path(__file__).resolve().parent.parent
RELEASE = BENCH.parent / "target" / "release"
ORIGIN_PORT = 18701


class Proxy:
    """One contestant. `connections_max` is what it can serve under the descriptor limit of 20,000."""

    def __init__(self, name, port, command, version=None, package=None, connections_max=10_000, needs=None):
        self.name, self.port, self.command, self.needs = name, port, command, needs
        self.version_command, self.package, self.connections_max = version, package, connections_max

    def is_there(self):
        """Its program exists, and the module it needs."""
        return shutil.which(str(self.command[0])) is not None and (self.needs is None or self.needs.exists())

    def takes_part(self, scenario):
        """It can be measured in that scenario."""
        return scenario.connections <= self.connections_max

    def start_command(self, scratch):
        """Its command line, with an empty folder of its own for what it must write."""
        return [str(word).replace("{scratch}", str(scratch)) for word in self.command]

    def version(self):
        """What the program says of itself, in one line."""
        if self.version_command is None:
            return "from this tree"
        run = subprocess.run(self.version_command, capture_output=True, text=True, check=False)
        return (run.stdout + run.stderr).strip().splitlines()[0]


ORIGIN_COMMAND = [RELEASE / "bench-origin", "--listen", f"127.0.0.1:{ORIGIN_PORT}", "--body-bytes", "12"]

PROXIES = [
    # One upstream connection per client, so 10,000 clients do not fit.
    Proxy("floor", 18710, [RELEASE / "bench-floor", "--listen", "127.0.0.1:18710", "--upstream",
                           f"127.0.0.1:{ORIGIN_PORT}"], connections_max=9_000),
    Proxy("gatekeeper", 18711, [RELEASE / "gatekeeper", "--cores", "1", BENCH / "conf" / "module.toml"]),
    Proxy("nginx", 18712, ["/usr/sbin/nginx", "-p", "{scratch}", "-e", "stderr", "-c", BENCH / "peers" / "nginx.conf"],
          version=["/usr/sbin/nginx", "-v"], package="nginx"),
    Proxy("haproxy", 18713, ["/usr/sbin/haproxy", "-db", "-q", "-f", BENCH / "peers" / "haproxy.cfg"],
          version=["/usr/sbin/haproxy", "-v"], package="haproxy"),
]

PEERS = ("nginx", "haproxy")


class TunnelProxy(Proxy):
    """One contestant that carries opaque bytes; `port` is for TCP. It may be made for messages or for bulk alone."""

    def __init__(self, name, port, websocket_port, command, messages=True, bulk=True, **rest):
        super().__init__(name, port, command, **rest)
        self.websocket_port, self.messages, self.bulk = websocket_port, messages, bulk

    def port_for(self, scenario):
        """Where the scenario's clients connect."""
        return self.websocket_port if scenario.websocket else self.port

    def takes_part(self, scenario):
        """It is made for what the scenario is about."""
        return self.bulk if scenario.is_bulk() else self.messages


MESSAGES = RELEASE / "bench-messages"
MESSAGE_ORIGIN_PORT = 18702
MESSAGE_ORIGIN_COMMAND = [MESSAGES, "origin", "--listen", f"127.0.0.1:{MESSAGE_ORIGIN_PORT}"]
NGINX_STREAM = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")
HAPROXY_TUNNELS = ["/usr/sbin/haproxy", "-db", "-q", "-f", BENCH / "peers" / "tunnels-haproxy.cfg"]

TUNNEL_PROXIES = [
    # To a shuttle of bytes a WebSocket is bytes. It holds what a slow peer does not take, so it is no floor of bulk.
    TunnelProxy("floor", 18720, 18720, [RELEASE / "bench-floor", "--listen", "127.0.0.1:18720", "--upstream",
                                        f"127.0.0.1:{MESSAGE_ORIGIN_PORT}"], bulk=False),
    TunnelProxy("gatekeeper", 18721, 18731,
                [RELEASE / "gatekeeper", "--cores", "1", BENCH / "conf" / "tunnels" / "module.toml"]),
    TunnelProxy("nginx", 18722, 18732,
                ["/usr/sbin/nginx", "-p", "{scratch}", "-e", "stderr", "-c", BENCH / "peers" / "tunnels-nginx.conf"],
                version=["/usr/sbin/nginx", "-v"], package="libnginx-mod-stream", needs=NGINX_STREAM),
    TunnelProxy("haproxy", 18723, 18733, HAPROXY_TUNNELS, version=["/usr/sbin/haproxy", "-v"], package="haproxy"),
    TunnelProxy("haproxy-splice", 18724, 18724, HAPROXY_TUNNELS, messages=False),
]


def contestants(proxies, origin_command, only):
    """Those of `proxies` that are asked for and there; says which are not."""
    names = only.split(",") if only else [proxy.name for proxy in proxies]
    unknown = set(names) - {proxy.name for proxy in proxies}
    if unknown:
        sys.exit(f"bench: unknown proxy {', '.join(unknown)}")
    if not origin_command[0].exists():
        sys.exit("bench: the origin is not built; run it as `make bench`")
    asked = [proxy for proxy in proxies if proxy.name in names]
    for proxy in asked:
        if not proxy.is_there():
            print(f"{proxy.name} is not there and is left out")
    return [proxy for proxy in asked if proxy.is_there()]
