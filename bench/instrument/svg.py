"""Charts as SVG: horizontal bars in groups, and dots on a logarithmic axis.

In scope: drawing what is given, so that it can be read at a glance, in black print too: every mark has its number or its
name beside it. Out of scope: which figures are drawn (plots).
"""

import math
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT = 900, 285, 150
TOP, BOTTOM, BAR, GAP, ROW = 74, 26, 15, 13, 22
INK, FAINT, RULE = "#1a1a1a", "#666666", "#dddddd"
FONT = "font-family='system-ui, Helvetica, Arial, sans-serif'"


@dataclass(frozen=True)
class Bar:
    """One bar: how long, in which colour, what stands at its end and what it is called."""

    length: float
    colour: str
    label: str
    name: str


def text(x, y, words, size=12, anchor="start", colour=INK, weight="normal"):
    """Words at a place."""
    return (f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}' fill='{colour}' "
            f"font-weight='{weight}'>{escape(words)}</text>")


def rimmed(x, y, words, size):
    """Words that a line may lie under: written in white first, wider."""
    rim = text(x, y, words, size).replace("<text ", "<text aria-hidden='true' stroke='white' stroke-width='4' ")
    return rim + text(x, y, words, size)


def line(x1, y1, x2, y2, colour=RULE, width=1, dash=""):
    """A line between two places."""
    dashes = f" stroke-dasharray='{dash}'" if dash else ""
    return f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}' stroke-width='{width}'{dashes}/>"


def box(x, y, width, height, colour, title=""):
    """A filled rectangle."""
    inside = f"<title>{escape(title)}</title>" if title else ""
    return f"<rect x='{x:.1f}' y='{y:.1f}' width='{max(width, 0.5):.1f}' height='{height}' fill='{colour}'>{inside}</rect>"


def dot(x, y, radius, colour, title=""):
    """A filled circle with a white rim, so that two that touch are two."""
    return (f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{radius}' fill='{colour}' stroke='white' stroke-width='1'>"
            f"<title>{escape(title)}</title></circle>")


def page(height, title, subtitle, parts):
    """The whole picture. White behind it, because what is around it may be dark."""
    head = [f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' height='{height}' {FONT}>",
            f"<rect width='{WIDTH}' height='{height}' fill='white'/>", text(16, 26, title, 17, weight="bold"),
            text(16, 46, subtitle, 12, colour=FAINT)]
    return "\n".join([*head, *parts, "</svg>", ""])


def bars(title, subtitle, groups, mark=None, mark_label="", limit=None, left=LEFT):
    """Groups of bars, a list of (name, [Bar]), whose names have `left` for themselves. `mark` is a vertical line at that
    length. Bars longer than `limit` are cut, with a gap that shows it; their labels tell how long they are."""
    longest = max([bar.length for _, group in groups for bar in group] + [mark or 0])
    full = min(longest, limit or longest) or 1
    scale = (WIDTH - left - RIGHT) / full
    parts, y = [], TOP
    for name, group in groups:
        height = len(group) * (BAR + 2)
        parts.append(text(left - 12, y + height / 2 + 4, name, 13, "end"))
        for bar in group:
            parts += one_bar(bar, left, y, scale, full)
            y += BAR + 2
        y += GAP
    if mark is not None:
        x = left + mark * scale
        parts.insert(0, line(x, TOP - 6, x, y - GAP + 2, FAINT, 1, "4 3"))
        parts.append(text(x, TOP - 10, mark_label, 11, "middle", FAINT))
    return page(y - GAP + BOTTOM, title, subtitle, parts)


def one_bar(bar, left, y, scale, full):
    """A bar and its label."""
    shown = min(bar.length, full)
    end = left + shown * scale
    parts = [box(left, y, shown * scale, BAR, bar.colour, f"{bar.name}: {bar.label}")]
    if bar.length > full:
        parts.append(f"<path d='M{end - 26:.1f} {y + BAR + 1} l6 -{BAR + 2} l5 0 l-6 {BAR + 2} z' fill='white'/>")
    parts.append(rimmed(end + 6, y + BAR - 3, f"{bar.name}  {bar.label}", 11.5))
    return parts


def dots(title, subtitle, rows, unit):
    """Rows of (name, colour, [(label, value)]) on one logarithmic axis, each row a line from its least to its most. A row
    without values is a heading."""
    values = [value for _, _, marks in rows for _, value in marks if value > 0]
    low, high = math.floor(math.log10(min(values)) * 2) / 2, math.ceil(math.log10(max(values)) * 2) / 2
    scale = (WIDTH - LEFT - 60) / max(high - low, 0.5)

    def place(value):
        return LEFT + (math.log10(value) - low) * scale

    bottom = TOP + 12 + ROW * len(rows)
    parts = [part for tick in ticks(low, high) for part in (
        line(place(tick), TOP - 4, place(tick), bottom - 8), text(place(tick), TOP - 10, f"{tick:g} {unit}", 11, "middle", FAINT))]
    for number, (name, colour, marks) in enumerate(rows):
        y = TOP + 14 + ROW * number
        if not marks:
            parts.append(text(16, y + 4, name, 13, weight="bold"))
            continue
        parts.append(text(LEFT - 12, y + 4, name, 12.5, "end"))
        known = [(label, value) for label, value in marks if value > 0]
        parts.append(line(place(known[0][1]), y, place(known[-1][1]), y, colour, 2))
        for order, (label, value) in enumerate(known):
            parts.append(dot(place(value), y, 4 + order, colour, f"{name}, {label}: {value:g} {unit}"))
        parts.append(rimmed(place(known[-1][1]) + 12, y + 4, f"{known[-1][1]:.3g}", 11))
    return page(bottom + 8, title, subtitle, parts)


def ticks(low, high):
    """1, 2, 5 and so on between two powers of ten, fewer where there are many."""
    steps = (1, 2, 5) if high - low <= 2 else (1,)
    found = [step * 10.0 ** power for power in range(math.floor(low), math.ceil(high) + 1) for step in steps]
    return [tick for tick in found if low - 1e-9 <= math.log10(tick) <= high + 1e-9]
