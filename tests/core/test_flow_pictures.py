"""Ways, Mermaid and SVG of flows: everything is shown, nothing overlaps, no text breaks out of its grammar."""

import re
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.durations import Duration
from bot.flows.edges import ways_of_flow, ways_of_step
from bot.flows.layers import Arrow, Box, lay_out, leading_down
from bot.flows.mermaid import mermaid
from bot.flows.model import Arm, Branch, Flow, Set, Wait
from bot.flows.parse import parse_flow
from bot.flows.picture import picture
from bot.flows.sketch import sketch

SHIPPED = ("after_delivery", "after_first_use", "after_remedy", "on_the_way")


def shipped(name: str) -> Flow:
    text = files("bot.flows").joinpath("library", f"{name}.yaml").read_text(encoding="utf-8")
    return parse_flow(text, file=f"{name}.yaml")


def circling(words: str = "Hi", label: str = "Again") -> Flow:
    source = f"""
flow: circling
purpose: service
start: {{ on: order.delivered, after: 3d }}
steps:
  hello: {{ ask: {{ en: {words!r} }}, choices: {{ again: {{ label: {label!r}, next: pause }}, stop: Stop }} }}
  pause: {{ wait: 5d, next: hello }}
"""
    return parse_flow(source, file="circling.yaml")


# ways


def test_ways_name_everything_that_can_happen_at_a_step() -> None:
    """Choices, words, reminders, silence, pauses and starts are ways, each with its time and its target."""
    flow = parse_flow(
        """
flow: all_ways
purpose: service
start: [ { on: order.placed }, { on: order.delivered, after: { item: first_use_after, default: 7d }, step: words } ]
steps:
  ask:
    ask: { en: How was it? }
    choices: { good: { label: Good, next: rest }, bad: { label: Bad } }
    remind: { after: 2d, times: 2 }
    silence: { after: 5d, next: words }
  rest: { wait: 1w, next: words }
  words: { ask: { en: Tell us }, next: thanks }
  thanks: { say: { en: Thanks } }
  over: { end: silent }
""",
        file="all_ways.yaml",
    )
    assert [(str(way), way.target, way.after) for way in ways_of_flow(flow)] == [
        ("start → on order.placed", "ask", "at once"),
        ("start → on order.delivered", "words", "first_use_after, else 1w"),
        ("ask → good", "rest", ""),
        ("ask → bad", None, ""),
        ("ask → reminder 1", "ask", "2d"),
        ("ask → reminder 2", "ask", "2d"),
        ("ask → silence", "words", "5d"),
        ("rest → pause", "words", "1w"),
        ("words → words", "thanks", ""),
        ("words → silence", None, "1w"),
        ("thanks → next", None, ""),
    ]


def test_a_parting_shows_every_arm_and_a_step_that_wants_nothing_leads_on() -> None:
    """Arms, otherwise and next are shown and counted, whatever the kind of step."""
    parting = Branch("parting", (Arm("sale.total > 100", "big"), Arm("true", "end")), "small")
    assert [(str(way), way.target, way.is_branch) for way in ways_of_step("parting", parting)] == [
        ("parting → if sale.total > 100", "big", True),
        ("parting → if true", None, True),
        ("parting → if otherwise", "small", True),
    ]
    plain = Set("note", {}, "thanks")
    assert [(way.target, way.is_branch) for way in ways_of_step("note", plain)] == [("thanks", False)]


def test_a_pause_for_an_event_has_two_ways() -> None:
    """Where a pause waits for an event, the event and the end of waiting are ways of their own."""

    @dataclass(frozen=True)
    class Patient(Wait):
        events: tuple[str, ...] = ("order.delivered",)
        otherwise: str | None = "late"

    step = Patient("rest", Duration(business_days=3), "arrived")
    assert [(way.kind, way.name, way.target, way.after) for way in ways_of_step("rest", step)] == [
        ("event", "order.delivered", "arrived", ""),
        ("pause", "", "late", "3bd"),
    ]


# pictures


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("language", ["en", "da"])
def test_pictures_show_every_step_and_every_way(name: str, language: str) -> None:
    """Mermaid and SVG name each step that is more than an end, and have an arrow or a word for each way out."""
    flow = shipped(name)
    cards = sketch(flow, [language])
    graph, svg = mermaid(flow, [language]), picture(flow, [language])
    texts = ["".join(each.itertext()) for each in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314 - our own
    exits = [each for card in cards for each in card.exits]
    assert len(re.findall(r"^    \w+ -\.?->", graph, re.MULTILINE)) == len(exits)
    for card in cards:
        assert (card.text if card.kind == "start" else f"<b>{card.name}</b>") in graph
        assert (card.text if card.kind == "start" else card.name) in texts
    arrows = svg.count("marker-end=")
    told = sum(text.startswith(("■", "↩")) for text in texts)
    assert arrows + told == len(exits)


def test_times_stand_on_the_arrows() -> None:
    """How long after the event, how long a pause, and how long nobody answers can be read off both kinds of picture."""
    flow = shipped("after_first_use")
    graph, svg = mermaid(flow, ["en"]), picture(flow, ["en"])
    for time in ("first_use_after, else 1w", "1d", "5d", "10d", "2w"):
        assert f'|"{time}"|' in graph
        assert f">{time}</text>" in svg
    assert '-.->|"no answer, 1w"|' in graph
    assert ">no answer, 1w</text>" in svg


def test_a_way_back_up_is_told_in_words() -> None:
    """A circle is no tangle: the way back names its step, and every arrow leads down."""
    svg = picture(circling(), ["en"])
    assert ">↩ hello</text>" in svg
    assert svg.count("marker-end=") == 2


@pytest.mark.parametrize("words", ['"] --> end', "<b>&amp;</b>", "a|b|c", "#quot;", "`x`", "{{ shop.name }} <script>"])
def test_no_text_breaks_out_of_the_picture(words: str) -> None:
    """Signs that mean something in Mermaid or XML are shown as signs."""
    flow = circling(words.replace("'", ""), words.replace("{{ shop.name }}", "")[:40])
    graph, svg = mermaid(flow, ["en"]), picture(flow, ["en"])
    ET.fromstring(svg)  # noqa: S314 - our own
    for line in graph.splitlines()[1:]:
        inside = re.sub(r'"[^"]*"', "", line.replace("<b>", "").replace("</b>", "").replace("<br/>", ""))
        assert re.fullmatch(r"    \w+ ?([\[\](){}]*|-\.?->\|?\|? \w+|--> \w+)", inside), line


# the layout


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Box], list[Arrow]]:
    count = draw(st.integers(1, 14))
    names = [f"n{number}" for number in range(count)]
    sizes = st.floats(10, 400)
    boxes = [Box(name, draw(sizes), draw(sizes)) for name in names]
    ends = st.integers(0, count - 1)
    pairs = draw(st.lists(st.tuples(ends, ends), max_size=30))
    named = [(names[one], names[other]) for one, other in pairs]
    down = leading_down(names, named)
    return boxes, [Arrow(*pair) for pair in named if pair in down]


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_boxes_never_overlap_and_arrows_run_down(graph: tuple[list[Box], list[Arrow]]) -> None:
    """Whatever the flow: no box covers another, nothing lies outside, each arrow ends below where it begins."""
    boxes, arrows = graph
    layout = lay_out(boxes, arrows)
    size = {box.name: box for box in boxes}
    rows: dict[int, list[str]] = {}
    for spot in layout.spots.values():
        rows.setdefault(spot.row, []).append(spot.name)
        assert spot.x - spot.width / 2 >= 0
        assert spot.x + spot.width / 2 <= layout.width + 1e-6
        assert spot.y + size[spot.name].height <= layout.height
    for names in rows.values():
        placed = sorted((layout.spots[name] for name in names), key=lambda spot: spot.x)
        for one, other in pairwise(placed):
            assert one.x + one.width / 2 < other.x - other.width / 2
    for arrow in arrows:
        source, target = layout.spots[arrow.source], layout.spots[arrow.target]
        assert source.y + size[arrow.source].height < target.y


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=40))
def test_what_leads_down_closes_no_circle(pairs: list[tuple[int, int]]) -> None:
    """The arrows that are kept can all run downwards, and only those that close a circle are not kept."""
    names = [f"n{number}" for number in range(10)]
    named = {(names[one], names[other]) for one, other in pairs}
    kept = leading_down(names, sorted(named))
    left = set(names)
    while free := {name for name in left if not any(t == name and s in left for s, t in kept)}:
        left -= free
    assert left == set()
    if all(one < other for one, other in pairs):
        assert kept == named
