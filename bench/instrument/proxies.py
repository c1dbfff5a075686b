"""The proxies that are compared, and the origin behind them.

In scope: how each is started and which port it listens on. Out of scope: load and figures.
"""

import pathlib
import shutil
import subprocess

BENCH = pathlib.Path(__file__).resolve().parent.parent
RELEASE = BENCH.parent / "target" / "release"
ORIGIN_PORT = 18701


class Proxy:
    """One contestant. `connections_max` is what it can serve under the descriptor limit of 20,000."""

    def __init__(self, name, port, command, version=None, package=None, connections_max=10_000):
        self.name, self.port, self.command = name, port, command
        self.version_command, self.package, self.connections_max = version, package, connections_max

    def is_there(self):
        """Its program exists."""
        return shutil.which(str(self.command[0])) is not None

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
