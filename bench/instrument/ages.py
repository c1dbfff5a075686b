"""How old a peer is.

In scope: when versions were released, as their projects say. Out of scope: what distributions have patched since.
"""

import datetime
import re

# Year and month of the release.
RELEASED = {
    "nginx 1.22.1": (2022, 10), "nginx 1.31.3": (2026, 7),
    "haproxy 2.6.12": (2023, 3), "haproxy 2.8.25": (2026, 6),
    "envoy 1.40.0": (2026, 10), "traefik 3.7.15": (2026, 10),
}


def age(kind, told, today):
    """A sentence for what a program says of its version."""
    version = re.search(r"\b\d+\.\d+\.\d+\b", told)
    released = RELEASED.get(f"{kind} {version[0]}") if version else None
    if released is None:
        return "when it was released is not known here"
    months = (today.year - released[0]) * 12 + today.month - released[1]
    name = datetime.date(*released, 1).strftime("%B %Y")
    return f"released in {name}, {'less than a month' if months < 1 else years(months)} ago"


def years(months):
    """Months for eyes."""
    if months < 24:
        return f"{months} month{'s' if months > 1 else ''}"
    return f"{months / 12:.1f} years"
