"""Reading flows: what is accepted, what it means, and where an error points."""

from dataclasses import replace
from datetime import timedelta
from importlib.resources import files

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.durations import Duration
from bot.errors import FlowError
from bot.flows.model import Ask, End, Factor, Purpose, Remind, Say, Silence, Trigger, Wait
from bot.flows.parse import parse_flow, read_flow
from bot.flows.yaml_tree import TEXT_MAX_BYTES

SKETCH = """\
flow: after_delivery
purpose: service                      # service | result | story: what consent it needs
start: { on: order.delivered, after: 2d, unless: [case.open, order.cancelled] }
expires: 45d
steps:
  arrived:
    ask:
      en: "Hi {{ customer.first_name }}! Your {{ sale.summary }} should be with you. Was everything as we promised?"
      da: "Hej {{ customer.first_name }}! {{ sale.summary }} skulle være hos dig nu. Var alt, som vi lovede?"
    choices:
      yes:      { label: { en: "👍 Yes", da: "👍 Ja" },                        factors: { promise: 1 },   next: care_tip }
      not_quite: { label: { en: "🤔 Not quite", da: "🤔 Ikke helt" },           factors: { promise: 0.5 }, next: what }
      missing:  { label: { en: "📦 Not here yet", da: "📦 Ikke kommet endnu" }, factors: { promise: 0 }, touchpoint: delivery, next: sorry }
    remind: { after: 3d, times: 1 }
    silence: { after: 7d, next: close_silent }
  care_tip: { say: { en: "Keep it lying down.", da: "Opbevar den liggende." }, next: pause }
  pause: { wait: 1bd }
  what: { ask: What was wrong?, silence: { after: 3d, next: end }, next: sorry }
  sorry: { say: Thank you! }
  close_silent: { end: silent }
"""
SMALL = """\
flow: f
purpose: result
start: { on: order.placed }
steps:
  a:
    ask: Well?
    choices:
      yes: Yes
      no: { label: No }
    next: b
  b: { end: answered }
"""


def days(number: int) -> Duration:
    return Duration(span=timedelta(days=number))


def test_the_sketch_is_accepted_to_the_letter() -> None:
    """The flow of the design page, its missing steps added, means what it says."""
    flow = parse_flow(SKETCH, file="after_delivery.yaml")
    assert (flow.name, flow.purpose, flow.expires, flow.once) == ("after_delivery", Purpose.SERVICE, days(45), True)
    assert flow.triggers == (Trigger("order.delivered", days(2), "arrived", ("case.open", "order.cancelled")),)
    arrived = flow.steps["arrived"]
    assert isinstance(arrived, Ask)
    assert arrived.remind == Remind(days(3), 1)
    assert arrived.silence == Silence(days(7), "close_silent")
    assert [(one.name, one.next, one.unhappy, one.touchpoint) for one in arrived.choices] == [
        ("yes", "care_tip", False, None),
        ("not_quite", "what", True, None),
        ("missing", "sorry", True, "delivery"),
    ]
    assert arrived.choices[1].factors == {Factor.PROMISE: 0.5}
    assert flow.steps["care_tip"] == Say(
        "care_tip", {"en": "Keep it lying down.", "da": "Opbevar den liggende."}, "pause"
    )
    assert flow.steps["pause"] == Wait("pause", Duration(business_days=1))
    assert flow.steps["what"] == Ask("what", {"en": "What was wrong?"}, (), Silence(days(3)), next="sorry")
    assert flow.steps["close_silent"] == End("close_silent", "silent")
    assert flow.source == SKETCH


def test_yes_and_no_are_words() -> None:
    """Choices called yes and no keep their names, and a choice without a next takes that of its step."""
    ask = parse_flow(SMALL, file="f").steps["a"]
    assert isinstance(ask, Ask)
    assert [(one.name, one.label, one.next) for one in ask.choices] == [
        ("yes", {"en": "Yes"}, "b"),
        ("no", {"en": "No"}, "b"),
    ]
    assert ask.silence == Silence(days(7))


def test_many_starts() -> None:
    """A list of starts, each with one event or several, gives one trigger for each event."""
    start = (
        "start:\n"
        "  - { on: [order.placed, order.shipped], step: b, unless: sale.complete }\n"
        "  - { on: order.delivered, after: { item: first_use_after, default: 7d } }\n"
        "once: false"
    )
    flow = parse_flow(SMALL.replace("start: { on: order.placed }", start), file="f")
    assert flow.triggers == (
        Trigger("order.placed", Duration(), "b", ("sale.complete",)),
        Trigger("order.shipped", Duration(), "b", ("sale.complete",)),
        Trigger("order.delivered", days(7), "a", (), "first_use_after"),
    )
    assert flow.once is False


def test_the_version_is_of_the_content_alone() -> None:
    """Comments, quotes and white space do not change the version; a word that the customer sees does."""
    flow = parse_flow(SMALL, file="f")
    assert len(flow.version) == 16
    assert parse_flow("# hello\n" + SMALL.replace("yes: Yes", 'yes:   "Yes"'), file="g").version == flow.version
    assert parse_flow(SMALL.replace("Well?", "Well??"), file="f").version != flow.version
    assert parse_flow(SMALL.replace("order.placed", "order.shipped"), file="f").version != flow.version


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "reason", "hint"),
    [
        ("purpose: result", "purpos: result", 2, 1, "knows no key 'purpos'", "did you mean 'purpose'?"),
        ("purpose: result", "purpose: results", 2, 10, "cannot be 'results'", "did you mean 'result'?"),
        ("flow: f", "flow: 'f g'", 1, 7, "not a plain word", ""),
        ("flow: f\n", "", 1, 1, "lacks 'flow'", ""),
        ("order.placed", "order.payed", 3, 14, "'order.payed'", "did you mean 'order.placed'?"),
        ("{ on: order.placed }", "{ on: case.open }", 3, 14, "'case.open'", ""),
        ("{ on: order.placed }", "{ on: order.placed, after: 2 days }", 3, 35, "not a length of time", "2d"),
        ("{ on: order.placed }", "{ on: order.placed, step: aa }", 3, 34, "no step 'aa'", "did you mean 'a'?"),
        ("{ on: order.placed }", "[]", 3, 8, "starts on nothing", "order.placed"),
        ("{ on: order.placed }", "{ on: order.placed, after: {item: x, default: 1d} }", 3, 42, "'x'", "first_use"),
        ("next: b", "next: bb", 10, 11, "there is no step 'bb'", "did you mean 'b'?"),
        ("next: b", "silence: { after: 0s }", 10, 23, "silence after no time", ""),
        ("next: b", "silence: { nxt: b, after: 1d }", 10, 16, "'nxt'", "did you mean 'next'?"),
        ("next: b", "remind: { after: 1d, times: 3 }", 10, 33, "times must be 1 or 2", "at most two"),
        ("next: b", "say: Hello", 5, 3, "it has say and ask", ""),
        ("answered", "happy", 11, 13, "cannot be 'happy'", "answered, silent"),
        (
            "b: { end: answered }",
            "b: { ende: answered }",
            11,
            3,
            "must have exactly one of say, ask",
            "did you mean 'end'?",
        ),
        (
            "b: { end: answered }",
            "b: { end: answered }\n  end: { end: silent }",
            12,
            3,
            "no step can be called 'end'",
            "",
        ),
        ("{ label: No }", "{ label: No, factors: { promis: 1 } }", 9, 35, "'promis'", "did you mean 'promise'?"),
        ("{ label: No }", "{ label: No, factors: { quality: 2 } }", 9, 44, "from 0 to 1", ""),
        ("{ label: No }", "{ label: No, factors: { quality: nan } }", 9, 44, "from 0 to 1", ""),
        ("{ label: No }", "{ label: No, factors: {quality: 0}, unhappy: false }", 9, 56, "is an unhappy reply", ""),
        ("{ label: No }", "{ label: No, factors: {quality: 0}, completes: true }", 9, 11, "cannot complete", ""),
        ("{ label: No }", "{ label: No, unhappy: true, completes: true }", 9, 11, "cannot complete", ""),
        ("{ label: No }", "{ label: No, completes: yes }", 9, 35, "cannot be 'yes'", "true"),
        ("{ label: No }", "{ factors: { quality: 1 } }", 9, 11, "lacks 'label'", ""),
        ("{ label: No }", "{ label: { english: No } }", 9, 22, "not a language code", ""),
        ("no: {", "yes: {", 9, 7, "'yes' stands here twice", ""),
        ("Well?", "*a", 6, 10, "anchors and aliases", ""),
        ("Well?", "!!python/object:x y", 6, 10, "tags (!)", ""),
        ("Well?", "'Well?", 11, 1, "not valid YAML", ""),
        ("Well?", "", 6, 5, "lacks 'ask'", ""),
    ],
)
def test_an_error_names_place_reason_and_mend(
    old: str, new: str, line: int, column: int, reason: str, hint: str
) -> None:
    """Each mistake is refused at its own line and column, with a reason and, where one can help, a suggestion."""
    assert old in SMALL
    with pytest.raises(FlowError) as caught:
        parse_flow(SMALL.replace(old, new), file="f.yaml")
    assert caught.value.file == "f.yaml"
    assert reason in caught.value.reason
    assert hint in caught.value.hint
    # A string that never ends is only found at the end of the file.
    assert caught.value.line == line or "YAML" in reason
    assert caught.value.column == column or "YAML" in reason or "lacks" in reason


def test_all_errors_are_told_at_once() -> None:
    """An admin sees every mistake in the order of the file, not one for each try."""
    flow, errors = read_flow(SMALL.replace("result", "results").replace("next: b", "next: c"), "f")
    assert flow is None
    assert [error.line for error in errors] == [2, 10, 11] or [error.line for error in errors] == [2, 10]


@pytest.mark.parametrize(
    "text", ["", "   ", "# nothing", "- a", "a", "[" * 5000, "a: " * 300, "\x00", "\ud800", "? ", "---\n---\n"]
)
def test_what_is_no_flow_at_all_is_refused(text: str) -> None:
    """An empty file, a list, a scalar or deep nesting gives errors, at once."""
    flow, errors = read_flow(text, "f")
    assert flow is None
    assert errors


def test_a_huge_file_is_refused_unread() -> None:
    """The size is looked at before anything else."""
    _, errors = read_flow("#" * (TEXT_MAX_BYTES + 1), "f")
    assert "longer than 256 KB" in errors[0].reason


pieces = st.one_of(
    st.sampled_from(list("{}[]:,-#&*!|>'\"%@`?~\n\t ")),
    st.sampled_from(["null", "0", "end", "next: a", "\n  ", "<<: ", "---", "%YAML 1.1\n", "\x85", "\ufeff", "\ud800"]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, len(SMALL)), st.integers(0, 12), pieces), min_size=1, max_size=5))
def test_mangled_text_gives_a_flow_or_errors(changes: list[tuple[int, int, str]]) -> None:
    """However a file is mangled, reading it gives a flow or errors with a place, and never raises anything else."""
    text = SMALL
    for at, length, piece in changes:
        text = text[:at] + piece + text[at + length :]
    flow, errors = read_flow(text, "f")
    assert (flow is None) == bool(errors)
    assert all(error.line >= 1 and error.column >= 1 for error in errors)


def test_the_shipped_flows_survive_being_read_again() -> None:
    """Reading the kept source of a flow gives the same version: conversations find what they began on."""
    for one in files("bot.flows").joinpath("library").iterdir():
        if one.name.endswith(".yaml") and one.name != "phrases.yaml" and not one.name.endswith(".tests.yaml"):
            flow = parse_flow(one.read_text("utf-8"), file=one.name)
            assert parse_flow(flow.source, file="again") == flow
            assert replace(flow, source="") != flow
