"""Findings about flows."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.adapters.flow_files import FlowFiles
from bot.durations import Duration
from bot.flows.check import Finding, check_flow
from bot.flows.model import ASKED_CONSENT, Ask, Choice, Say, Silence, Step
from bot.flows.parse import parse_flow
from bot.inbox import CONSENTS
from tests.core.test_check_faults import TOUCHPOINTS

GOOD = """\
flow: f
purpose: result
start: { on: order.placed }
steps:
  a:
    ask: { en: "Well?", da: "Nå?" }
    choices:
      yes: { label: { en: Yes, da: Ja }, touchpoint: delivery, next: b }
    silence: { after: 7d, next: b }
  b: { say: { en: "Thanks {{ customer.first_name }}", da: Tak }, next: end }
"""


def found(text: str, touchpoints: tuple[str, ...] | None = ("delivery",)) -> list[Finding]:
    flow = parse_flow(text, file="f.yaml")
    return check_flow(flow, languages=["en", "da"], touchpoints=touchpoints, file="f.yaml")


def test_a_good_flow_has_no_findings() -> None:
    """Nothing is found where nothing is wrong."""
    assert found(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "severity", "line", "message"),
    [
        (', da: "Nå?"', "", "warning", 6, "no text in 'da'"),
        ("    silence: { after: 7d, next: b }\n", "", "warning", 5, "does not say what follows silence"),
        ("touchpoint: delivery", "touchpoint: delivry", "error", 8, "no touchpoint 'delivry'"),
        ("customer.first_name", "customer.nickname", "error", 10, "has no 'nickname'"),
        ("customer.first_name", "custmer.name", "error", 10, "no name 'custmer'"),
        ("{{ customer.first_name }}", "{{ customer", "error", 10, "cannot be read"),
        ("{{ customer.first_name }}", "{{ 9**9**9 }}", "error", 10, "pow is not allowed"),
        ("en: Yes", "en: " + "y" * 65, "error", 8, "longer than 64 characters"),
        ("Thanks", "T" * 4001, "error", 10, "longer than 4000"),
        ("next: end", "next: b", "error", 10, "go round in a circle"),
        ("next: end }", "next: c }\n  c: { wait: 1d, next: b }", "error", 10, "never asks"),
        ("next: end }", "next: end }\n  c: { end: silent }", "error", 11, "no way leads to step 'c'"),
        ("    silence", "    remind: { after: 4d, times: 2 }\n    silence", "warning", 9, "only after the silence"),
        ("order.placed }", "order.placed, unless: [order.placed] }", "error", 3, "prevents it"),
        ("steps:", "expires: 1d\nsteps:", None, 0, ""),
        ("order.placed }", "order.placed, after: 50d }", "error", 1, "expires (45d) before it begins"),
    ],
)
def test_a_finding_has_a_place(old: str, new: str, severity: str | None, line: int, message: str) -> None:
    """Each mistake gives one finding, at its own line, of the right weight."""
    assert old in GOOD
    findings = found(GOOD.replace(old, new))
    if severity is None:
        assert findings == []
    else:
        assert [(one.severity, one.line) for one in findings] == [(severity, line)]
        assert message in str(findings[0])
        assert str(findings[0]).startswith(f"f.yaml:{line}:")


def test_too_many_choices_and_equal_labels() -> None:
    """Nine buttons do not fit, and two that read the same cannot be told apart."""
    rows = "".join(f"      c{n}: {{ label: {{ en: L{n}, da: L{n} }}, next: b }}\n" for n in range(8))
    assert any("9 choices" in one.message for one in found(GOOD.replace("    silence", rows + "    silence")))
    twin = "      no: { label: { en: Yes, da: Nej }, next: b }\n"
    assert any("same label" in one.message for one in found(GOOD.replace("    silence", twin + "    silence")))


def test_touchpoints_that_nobody_knows_are_not_checked() -> None:
    """Without a shop the touchpoints cannot be judged."""
    assert found(GOOD, None) == []


def test_a_flow_made_by_hand_is_checked_as_well() -> None:
    """Without a source there are no places, but the same errors: no way out, ways to nowhere, a completing unhappy reply."""
    flow = parse_flow(GOOD, file="f")
    odd = Choice("odd", {"en": "Odd"}, "nowhere", completes=True, unhappy=True)
    steps: dict[str, Step] = {"a": Ask("a", {}, (odd,), Silence(Duration())), "b": Say("b", {"en": "x"})}
    trigger = replace(flow.triggers[0], step="z")
    messages = [one.message for one in check_flow(replace(flow, source="", steps=steps, triggers=(trigger,)))]
    for part in (
        "no way out",
        "no step 'nowhere'",
        "no step 'z'",
        "cannot complete",
        "there is no text",
        "no way leads",
    ):
        assert any(part in message for message in messages), part


def test_the_purposes_that_are_asked_about_are_those_that_can_be_agreed_to() -> None:
    """A flow is told that it writes to nobody exactly where no answer to the question for consent allows it."""
    granted = {purpose for purposes in CONSENTS.values() for purpose in purposes}
    assert granted == set(ASKED_CONSENT)


def test_a_finding_becomes_an_error() -> None:
    """What keeps a flow from being used is raised with the same place and words."""
    error = Finding("error", "bad", "f.yaml", 3, 4, "mend it").as_error()
    assert str(error) == "f.yaml:3:4: bad → mend it"


def test_the_shipped_flows_are_clean() -> None:
    """All four read well in English and Danish, with the touchpoints of the example shop; not even a warning."""
    shipped = FlowFiles()
    shipped.load()
    assert shipped.errors == []
    assert set(shipped.flows) == {"on_the_way", "after_delivery", "after_first_use", "after_remedy"}
    for flow in shipped.flows.values():
        assert check_flow(flow, languages=["en", "da"], touchpoints=TOUCHPOINTS) == []
        assert all(trigger.after.span < timedelta(days=30) for trigger in flow.triggers)
