"""Configurations of the gateway that are made rather than kept: one of many services.

In scope: their text. Out of scope: which scenario uses which.
"""

from .proxies import CONF

RULE = 'rule = "/bench"'
NAME = 'name = "bench"'


def write_generated(scratch):
    """Writes the folders that `proxies.gatekeeper` names."""
    for services in (1, 5000):
        folder = scratch / f"services-{services}"
        folder.mkdir()
        (folder / "base.toml").write_text((CONF / "base.toml").read_text(encoding="utf-8"), encoding="utf-8")
        (folder / "module.toml").write_text(modules(services), encoding="utf-8")


def modules(services, title="bench"):
    """So many services like the one of the plain configuration, whose paths begin with /s0, /s1 and so on."""
    plain = (CONF / "module.toml").read_text(encoding="utf-8").replace('service_name = "bench"', f'service_name = "{title}"')
    if plain.count(RULE) != 1 or plain.count(f"    {NAME}\n") != 1:
        raise RuntimeError("conf/module.toml is not as this program expects it")
    return "\n".join(plain.replace(RULE, f'rule = "/s{number}"').replace(f"    {NAME}\n", f'    name = "s{number}"\n')
                     for number in range(services))
