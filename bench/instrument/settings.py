"""Configurations of the gateway that are made rather than kept: those of many services, and the plain one being watched.

In scope: their text. Out of scope: which scenario uses which.
"""

from .proxies import CONF, SLOW_ORIGIN_PORT

# As the one in conf/module.toml.
SERVICE = """\
[[module]]
  [module.base]
    name = "s{number}"
  [[module.match_rule]]
    rule = "/s{number}"
  [module.load_balance]
    check_method = "httpchk"
    check_url = "/ping"
    ip_list = "127.0.0.1:18701"
    weight_list = "{weight}"
    connections_max = 128
    max_idle_conn = 128
"""


# Appended to the plain base.toml. Any server that answers 200 is a collector of spans.
LOGGED = """
[log.file_writer]
on = true
log_path = "{folder}/requests.log"
"""
TRACED = f"""
[trace]
on = true
sample_ratio = 0.01
endpoint = "http://127.0.0.1:{SLOW_ORIGIN_PORT}/v1/traces"
"""


def write_generated(scratch):
    """Writes the folders that `proxies.gatekeeper` names."""
    base, plain = ((CONF / name).read_text(encoding="utf-8") for name in ("base.toml", "module.toml"))
    for count in (1, 5000):
        write(scratch / f"services-{count}", base, services(count))
    logged = scratch / "logged"
    logging = base.replace('access_log = "off"', 'access_log = "on"')
    write(logged, logging + LOGGED.format(folder=logged), plain)
    write(scratch / "traced", base + TRACED, plain)
    watched = scratch / "watched"
    write(watched, logging + LOGGED.format(folder=watched) + TRACED, plain)
    # A share of 128 connections is three for each of 48 workers; these are the bounds of a service that names none.
    write(scratch / "workers", base, plain.replace("conn = 128", "conn = 512").replace("max = 128", "max = 512"))


def forget_logs(scratch):
    """Request logs grow by some 20 MB a second."""
    for file in scratch.glob("*/requests.log"):
        file.unlink()


def write(folder, base, modules):
    """One configuration."""
    folder.mkdir()
    (folder / "base.toml").write_text(base, encoding="utf-8")
    (folder / "module.toml").write_text(modules, encoding="utf-8")


def services(count, first_weight=100):
    """So many services, whose paths begin with /s0, /s1 and so on; the first may have another weight."""
    return "\n".join(SERVICE.format(number=number, weight=100 if number else first_weight) for number in range(count))
