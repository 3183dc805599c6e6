"""A flow as a picture: one SVG file, drawn without any other program. Pure: a flow in, a text out.

Each step is a card with its words; its ways out stand at its lower edge, as buttons do below a message, and an arrow
leads from each to the next step. Each card is a group that bears its step's name (``data-step``), so that a page can
lead from it to where it is written. Where a way ends the conversation, it says so itself; where one leads back up, it
names the step, so that no arrow runs through the picture against the reading direction.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from bot.flows.layers import Arrow, Box, Layout, lay_out, leading_down
from bot.flows.model import Flow
from bot.flows.sketch import Card, Exit, sketch

CARD_MIN_WIDTH = 190.0
PORT_HEIGHT, LINE_HEIGHT, PAD = 24.0, 16.0, 12.0
PORT_MAX_CHARS = 44
TITLE_HEIGHT = 40.0
_TIP = (
    "<defs><marker id='tip' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='7' markerHeight='7' orient='auto'>"
    "<path d='M0,0 L10,5 L0,10 z' fill='#475569'/></marker></defs>"
)
_FONT = "font-family='Inter,Segoe UI,Helvetica,Arial,sans-serif'"
_COLOURS: Mapping[str, tuple[str, str]] = {
    "start": ("#0f766e", "#ffffff"),
    "ask": ("#ffffff", "#1e3a8a"),
    "say": ("#ffffff", "#475569"),
    "wait": ("#fef9c3", "#a16207"),
    "branch": ("#f3e8ff", "#7e22ce"),
}
_KNOWN_AT_SIGHT = frozenset({"ask", "say"})
_OTHER = ("#f1f5f9", "#334155")
"""Fill and line of a card by its kind; those of kinds without a colour of their own."""


@dataclass(frozen=True, slots=True)
class _Port:
    """One way out, as drawn: its lines of words, its width, and how far right of the card's middle it lies."""

    exit: Exit
    lines: tuple[str, ...]
    width: float
    offset: float = 0.0
    leads: bool = False


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A card with its measures."""

    card: Card
    lines: tuple[str, ...]
    ports: tuple[_Port, ...]
    width: float
    height: float


def picture(flow: Flow, languages: Sequence[str]) -> str:
    """Draw the flow. The SVG names no font file and needs no script; it is as wide as the flow."""
    cards = sketch(flow, languages)
    pairs = [(card.name, each.target) for card in cards for each in card.exits if each.target is not None]
    down = leading_down([card.name for card in cards], pairs)
    drawn = {card.name: _measured(card, down) for card in cards}
    arrows, ports = [], []
    for name, each in drawn.items():
        for port in each.ports:
            if port.leads and port.exit.target is not None:
                arrows.append(Arrow(name, port.exit.target, port.offset))
                ports.append(port)
    layout = lay_out([Box(name, each.width, each.height) for name, each in drawn.items()], arrows)
    width, height = layout.width, layout.height + TITLE_HEIGHT
    size = f"width='{width:.0f}' height='{height:.0f}' viewBox='0 0 {width:.0f} {height:.0f}'"
    title = (
        f"<text x='24' y='28' font-size='16' font-weight='bold' fill='#0f172a'>{escape(flow.name)}"
        f"<tspan font-size='12' font-weight='normal' fill='#64748b' dx='10'>{escape(_headline(flow))}</tspan></text>"
    )
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' {size} {_FONT} font-size='12'>",
        f"<title>{escape(flow.name)}</title>",
        _TIP,
        "<rect width='100%' height='100%' fill='#f8fafc'/>",
        title,
        f"<g transform='translate(0,{TITLE_HEIGHT:.0f})'>",
        *_arrows(layout, arrows, ports, drawn),
        *(line for name, each in drawn.items() for line in _card(each, layout.spots[name].x, layout.spots[name].y)),
        "</g></svg>",
    ]
    return "\n".join(parts) + "\n"


def _headline(flow: Flow) -> str:
    return f"{flow.purpose.value} · expires {flow.expires} · ✔ completes the sale · ⚠ opens a case"


# measures ---------------------------------------------------------------------------------------------------------


def text_width(text: str, size: float = 12.0) -> float:
    """Guess how wide a text is: nobody can be asked for the font. A little too wide is better than too narrow."""
    return sum(size * (1.3 if ord(each) > 0x2190 else 0.62 if each.isupper() else 0.53) for each in text)  # noqa: PLR2004 - arrows, signs and emoji begin there


def _measured(card: Card, down: set[tuple[str, str]]) -> _Drawn:
    if card.kind == "start":
        width = max(120.0, text_width(card.text) + 2 * PAD)
        port = _Port(card.exits[0], (), 0.0, leads=True)
        return _Drawn(card, (), (port,), width, 30.0)
    alone = len(card.exits) == 1
    ports = [_port(each, (card.name, each.target or "") in down, alone) for each in card.exits]
    shown = [port for port in ports if port.lines]
    row = sum(port.width for port in shown) + 6.0 * max(len(shown) - 1, 0)
    kind = 0.0 if card.kind in _KNOWN_AT_SIGHT else text_width(card.kind, 10.0) + PAD
    heading = text_width(card.name, 13.0) * 1.2 + kind + 2 * PAD
    width = max(CARD_MIN_WIDTH if card.text else 0.0, row + 2 * PAD, heading)
    lines = tuple(textwrap.wrap(card.text, max(int((width - 2 * PAD) / 6.6), 12))) + card.remarks
    foot = max((PORT_HEIGHT + LINE_HEIGHT * (len(port.lines) - 1) for port in shown), default=0.0)
    height = PAD + LINE_HEIGHT * (1 + len(lines)) + (foot + PAD if shown else PAD)
    placed, x = [], -row / 2
    for port in ports:
        if not port.lines:
            placed.append(port)
            continue
        placed.append(_Port(port.exit, port.lines, port.width, x + port.width / 2, port.leads))
        x += port.width + 6.0
    return _Drawn(card, lines, tuple(placed), width, height)


def _port(each: Exit, leads: bool, alone: bool) -> _Port:  # noqa: FBT001 - whether an arrow leads from it; no other does
    if leads and alone and each.way.kind == "pause":
        return _Port(each, (), 0.0, leads=True)  # its length stands on the arrow
    words = textwrap.shorten(each.words, PORT_MAX_CHARS, placeholder="…") if each.words else ""
    then = ""
    if each.ends is not None:
        then = f"■ {each.ends}"
    elif not leads:
        then = f"↩ {each.target}"
    lines = tuple(line for line in (words, then) if line)
    return _Port(each, lines, max((text_width(line) for line in lines), default=0.0) + 14.0, leads=leads)


# drawing ------------------------------------------------------------------------------------------------------------


def _card(drawn: _Drawn, x: float, y: float) -> Iterator[str]:
    card = drawn.card
    fill, line = _COLOURS.get(card.kind, _OTHER)
    left = x - drawn.width / 2
    if card.kind == "start":
        yield f"<rect x='{left:.1f}' y='{y:.1f}' width='{drawn.width:.1f}' height='30' rx='15' fill='{fill}'/>"
        yield _words(card.text, x, y + 19, "#ffffff", anchor="middle", weight="bold")
        return
    yield f"<g data-step='{escape(card.name)}'>"
    yield (
        f"<rect x='{left:.1f}' y='{y:.1f}' width='{drawn.width:.1f}' height='{drawn.height:.1f}' rx='8' "
        f"fill='{fill}' stroke='{line}' stroke-width='1.4'/>"
    )
    baseline = y + PAD + 8
    yield _words(card.name, left + PAD, baseline, line, weight="bold", size=13)
    if card.kind not in _KNOWN_AT_SIGHT:
        yield _words(card.kind, left + drawn.width - PAD, baseline, line, anchor="end", size=10)
    for text in drawn.lines:
        baseline += LINE_HEIGHT
        is_remark = text in card.remarks
        yield _words(text, left + PAD, baseline, "#64748b" if is_remark else "#0f172a", size=11 if is_remark else 12)
    for port in drawn.ports:
        if port.lines:
            yield from _drawn_port(port, x + port.offset, y + drawn.height)
    yield "</g>"


def _drawn_port(port: _Port, x: float, bottom: float) -> Iterator[str]:
    kind = port.exit.way.kind
    height = PORT_HEIGHT + LINE_HEIGHT * (len(port.lines) - 1)
    top, dash = bottom - PAD / 2 - height, " stroke-dasharray='4 3'" if kind == "silence" else ""
    fill, line = ("#eff6ff", "#93c5fd") if kind == "choice" else ("#ffffff", "#94a3b8")
    yield (
        f"<rect x='{x - port.width / 2:.1f}' y='{top:.1f}' width='{port.width:.1f}' height='{height:.1f}' rx='5' "
        f"fill='{fill}' stroke='{line}'{dash}/>"
    )
    for number, text in enumerate(port.lines):
        colour = "#64748b" if text.startswith(("■", "↩")) else "#0f172a"
        yield _words(text, x, top + 16 + LINE_HEIGHT * number, colour, anchor="middle")


def _words(
    text: str, x: float, y: float, colour: str, *, anchor: str = "start", weight: str = "normal", size: int = 12
) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' fill='{colour}' text-anchor='{anchor}' font-weight='{weight}' "
        f"font-size='{size}'>{escape(text)}</text>"
    )


def _arrows(
    layout: Layout, arrows: Sequence[Arrow], ports: Sequence[_Port], drawn: Mapping[str, _Drawn]
) -> Iterator[str]:
    """Draw each arrow from its port, straight down past the rows between, bending only in the room between rows."""
    entries = _entries(layout, arrows, drawn)
    for number, (arrow, port) in enumerate(zip(arrows, ports, strict=True)):
        source = layout.spots[arrow.source]
        x, y = source.x + arrow.offset, source.y + drawn[arrow.source].height
        path = [f"M{x:.1f},{y:.1f}"]
        for spot in layout.waypoints[number]:
            height = layout.heights[spot.row]
            path += [_bend(x, y, spot.x, spot.y), f"L{spot.x:.1f},{spot.y + height:.1f}"]
            x, y = spot.x, spot.y + height
        target = layout.spots[arrow.target]
        end = entries[number]
        path.append(_bend(x, y, end, target.y - 2))
        dash = " stroke-dasharray='5 4'" if port.exit.way.kind == "silence" else ""
        yield (
            f"<path d='{' '.join(path)}' fill='none' stroke='#475569' stroke-width='1.3'{dash} marker-end='url(#tip)'/>"
        )
        if port.exit.words and not port.lines:
            start = source.x + arrow.offset
            yield from _label(port.exit.words, start, source.y + drawn[arrow.source].height + 16)


def _label(text: str, x: float, y: float) -> Iterator[str]:
    width = text_width(text, 11) + 10
    yield (
        f"<rect x='{x - width / 2:.1f}' y='{y - 9:.1f}' width='{width:.1f}' height='18' rx='9' fill='#ffffff' "
        f"stroke='#94a3b8'/>"
    )
    yield _words(text, x, y + 4, "#0f172a", anchor="middle", size=11)


def _bend(x: float, y: float, to_x: float, to_y: float) -> str:
    middle = (to_y - y) / 2
    return f"C{x:.1f},{y + middle:.1f} {to_x:.1f},{to_y - middle:.1f} {to_x:.1f},{to_y:.1f}"


def _entries(layout: Layout, arrows: Sequence[Arrow], drawn: Mapping[str, _Drawn]) -> list[float]:
    """Tell where on the upper edge of its target each arrow ends: side by side, in the order in which they come."""
    came_from = [
        layout.waypoints[n][-1].x if layout.waypoints[n] else layout.spots[arrow.source].x + arrow.offset
        for n, arrow in enumerate(arrows)
    ]
    entries = [0.0] * len(arrows)
    for name in {arrow.target for arrow in arrows}:
        coming = sorted((n for n, arrow in enumerate(arrows) if arrow.target == name), key=lambda n: came_from[n])
        room = min(drawn[name].width * 0.6, 26.0 * (len(coming) - 1))
        for place, number in enumerate(coming):
            part = place / (len(coming) - 1) - 0.5 if len(coming) > 1 else 0.0
            entries[number] = layout.spots[name].x + part * room
    return entries
