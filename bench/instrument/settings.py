"""Configurations of the gateway that are made rather than kept: those of many services.

In scope: their text. Out of scope: which scenario uses which.
"""

from .proxies import CONF

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


def write_generated(scratch):
    """Writes the folders that `proxies.gatekeeper` names."""
    for count in (1, 5000):
        folder = scratch / f"services-{count}"
        folder.mkdir()
        (folder / "base.toml").write_text((CONF / "base.toml").read_text(encoding="utf-8"), encoding="utf-8")
        (folder / "module.toml").write_text(services(count), encoding="utf-8")


def services(count, first_weight=100):
    """So many services, whose paths begin with /s0, /s1 and so on; the first may have another weight."""
    return "\n".join(SERVICE.format(number=number, weight=100 if number else first_weight) for number in range(count))
