"""The ways through a flow as a graph: what can be reached, and what leads round in a circle."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.flows.check import check_flow
from bot.flows.parse import parse_flow
from bot.flows.ways import circles, reached, targets_in, ways_of

NAMES = "abcdef"
GRAPHS = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3), max_size=6).map(
    lambda given: {name: given.get(name, []) for name in NAMES}
)


@settings(max_examples=200, deadline=None)
@given(GRAPHS)
def test_a_circle_is_a_group_in_which_each_leads_to_each(graph: dict[str, list[str]]) -> None:
    """Exactly the steps that lead back to themselves stand in a group, together with all that they lead to and from."""
    ahead = {name: reached(graph[name], lambda each: graph[each]) for name in NAMES}
    expected = {
        frozenset(other for other in NAMES if other in ahead[name] and name in ahead[other])
        for name in NAMES
        if name in ahead[name]
    }
    found = circles(NAMES, graph)
    assert {frozenset(group) for group in found} == expected
    assert all(group == sorted(group) for group in found)
    assert found == sorted(found)


def test_a_very_large_flow_is_checked_in_seconds() -> None:
    """Checking takes time with the length of a flow, not with its square."""
    steps = "".join(f"  s{n}: {{ say: Hi, next: s{n + 1} }}\n" for n in range(4000))
    text = f"flow: f\npurpose: result\nstart: {{ on: order.placed }}\nsteps:\n{steps}  s4000: {{ say: Bye }}\n"
    flow = parse_flow(text, file="f")
    begun = time.process_time()
    assert check_flow(flow, languages=("en",)) == []
    assert time.process_time() - begun < 15  # of its own; some ten times what it takes


def test_every_way_out_of_a_question() -> None:
    """Choices, words, silence, and where a question for each promise goes on once none is left."""
    flow = parse_flow(
        "flow: f\npurpose: result\nstart: { on: order.placed }\nsteps:\n"
        "  a: { ask: Well?, each: promise, choices: { x: X, y: { label: Y, next: b } }, silence: { after: 1d, next: c }, next: d }\n"
        "  b: { ask: Words?, next: d }\n  c: { end: silent }\n  d: { say: Bye }\n",
        file="f",
    )
    assert [(way.by, way.target) for way in ways_of(flow.steps["a"])] == [
        ("choice", "a"),
        ("choice", "b"),
        ("none left", "d"),
        ("silence", "c"),
    ]
    assert [(way.by, way.target) for way in ways_of(flow.steps["b"])] == [("words", "d"), ("silence", None)]
    assert targets_in(flow, "b") == ["d"]
