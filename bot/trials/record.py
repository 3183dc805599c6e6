"""Writing a flow test from what was played: the YAML of one test, from a trail. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.trials.parse import DEFAULT_SALE
from bot.trials.simulation import Given, Simulation
from bot.trials.trail import Did, Entry, Noted, Said

_PLAIN = re.compile(r"[A-Za-z0-9/][A-Za-z0-9 _./!?'“”–-]*")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")
_SURPRISES = frozenset({"true", "false", "null", "none", "~"})
_SHOWN_CHARS = 70


def recorded(name: str, simulation: Simulation, about: str = "") -> str:
    """Write the test `name`, which repeats all that happened and expects all that was said."""
    given = simulation.given
    lines = [f"  {name}:"]
    if about:
        lines.append(f"    about: {_scalar(about)}")
    lines.append(f"    given: {_given(given, simulation)}")
    lines.append("    story:")
    lines += [f"      - {_one(line)}" for line in _story(simulation)]
    return "\n".join(lines) + "\n"


def new_file(flow: str, test: str) -> str:
    """Write a file of tests that holds just this one."""
    return f"# Tests of {flow}; run them with: aftersale flows test {flow}\nflow: {flow}\ntests:\n{test}"


def added_to(text: str, test: str) -> str:
    """Write `test` behind the last test of a file, of which `tests` must be the last thing, as in `new_file`."""
    return f"{text.rstrip()}\n\n{test}"


def _given(given: Given, simulation: Simulation) -> str:
    usual, usual_customer = DEFAULT_SALE, DEFAULT_SALE["customer"]
    customer = {key: each for key, each in given.sale["customer"].items() if usual_customer.get(key) != each}
    sale = {key: each for key, each in given.sale.items() if key != "customer" and usual.get(key) != each}
    parts: dict[str, object] = {"start": _moment(given.start, simulation)}
    parts |= {"customer": customer} if customer else {}
    parts |= {"sale": sale} if sale else {}
    if given.consents is None:
        parts["linked"] = "false"
    elif given.consents != ("service", "result"):
        parts["consents"] = list(given.consents) or "none"
    others = [name for name in simulation.house.flows.flows if name != simulation.main_flow]
    if others:
        parts["flows"] = others
    return _flow(parts)


def _story(simulation: Simulation) -> list[Mapping[str, object]]:
    entries = simulation.entries
    lines: list[Mapping[str, object]] = []
    now = _moment(simulation.given.start, simulation)
    for entry in entries:
        line = _line(entry)
        if line is None:
            continue
        at = _moment(entry.at, simulation)
        lines.append(line if at == now else {**line, "at": at})
        now = at
    if _moment(simulation.now, simulation) != now:
        lines.append({"silence": _moment(simulation.now, simulation)})
    case = simulation.case
    if case is not None:
        about = {"team": case.team, "factor": case.factor, "touchpoint": case.touchpoint, "status": case.status}
        lines.append({"case": {key: value or "none" for key, value in about.items()}})
    sale = simulation.sale()
    lines.append({"sale": "complete" if sale is not None and sale.confirmed_at else "not complete"})
    outcome = simulation.trail.outcomes.get(simulation.main_flow)
    if outcome:
        lines.append({"ends": outcome})
    return lines


def _line(entry: Entry) -> Mapping[str, object] | None:
    match entry:
        case Said():
            buttons = [button.label for button in entry.buttons]
            return {"says": telling(entry.text)} | ({"buttons": buttons} if buttons else {})
        case Did() if not entry.refused:
            return entry.act
        case Did() | Noted():
            return None


def telling(text: str) -> str:
    """Give the part of a message by which it is known: its last question, or else how it begins."""
    sentences = re.split(r"(?<=[.!?])\s+", " ".join(text.split()))
    questions = [each for each in sentences if each.endswith("?")]
    found = questions[-1] if questions else sentences[0]
    if len(found) <= _SHOWN_CHARS:
        return found
    return found[:_SHOWN_CHARS].rsplit(" ", maxsplit=1)[0]


def _moment(at: datetime, simulation: Simulation) -> str:
    return f"{simulation.local(at):%Y-%m-%d %H:%M}"


def _one(line: Mapping[str, object]) -> str:
    """Write a line of the story: the short form in braces only where there is more than one thing in it."""
    if len(line) > 1:
        return _flow(line)
    return next(f"{key}: {_flow(value)}" for key, value in line.items())


def _flow(value: object) -> str:
    """Write a value in YAML's short form."""
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key}: {_flow(each)}" for key, each in value.items() if each not in (None, [], ""))
        return f"{{ {inside} }}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(_flow(each) for each in value)}]"
    return _scalar(str(value))


def _scalar(text: str) -> str:
    if _MOMENT.fullmatch(text):
        return text
    plain = _PLAIN.fullmatch(text) is not None and text.lower() not in _SURPRISES and text == text.strip()
    return text if plain else json.dumps(text, ensure_ascii=False)
