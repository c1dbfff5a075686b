"""What a record says about the machine it was made on.

In scope: what a reader needs to judge the figures. Out of scope: names of hosts, users or folders.
"""

import os
import platform
import re
import resource
from pathlib import Path


def describe():
    """Pairs of a property and its value."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    memory_kib = int(re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(encoding="utf-8"))[1])
    return [
        ("processor", f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores"),
        ("memory", f"{memory_kib / 1024 / 1024:.0f} GiB"),
        ("kernel", "Linux " + re.match(r"[\d.]+", platform.release())[0]),
        # They decide what a send through the kernel costs, which is most of every proxy's figure.
        ("mitigations", "; ".join(f"{name}: {value}" for name, value in mitigations())),
        ("descriptor limit", str(resource.getrlimit(resource.RLIMIT_NOFILE)[1])),
        ("congestion control", setting("net/ipv4/tcp_congestion_control")),
        ("accept queue limit", setting("net/core/somaxconn")),
        ("load average at the start", f"{os.getloadavg()[0]:.1f}"),
    ]


def mitigations():
    """What this kernel does about the processor's faults, where it is affected."""
    for path in sorted(Path("/sys/devices/system/cpu/vulnerabilities").glob("*")):
        value = path.read_text(encoding="utf-8").strip()
        if value != "Not affected":
            yield path.name, value


def setting(name):
    """A value under /proc/sys."""
    path = Path("/proc/sys") / name
    return path.read_text(encoding="utf-8").strip() if path.exists() else "unknown"
