"""The ways through a flow: from which step, by what, to which. What draws, walks or checks a flow stands on this.

What lives here: edges and what is reached over them. What must not: judgement (`bot.flows.check_ways`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bot.flows.model import (
    END,
    Ask,
    Branch,
    Choice,
    Complete,
    End,
    Flow,
    GoTo,
    Offer,
    OpenCaseStep,
    Say,
    Set,
    Step,
    Wait,
)

Path: TypeAlias = tuple[str, ...]
By: TypeAlias = Literal["next", "choice", "words", "silence", "arm", "otherwise", "none left"]

AT_ONCE = (Say, Offer, Set, Branch, OpenCaseStep, Complete, GoTo)
"""Steps that want nothing: the conversation runs through them within one event."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way out of a step: where it is written (below the step), by what, and where it leads (None: the end)."""

    path: Path
    by: By
    target: str | None
    choice: Choice | None = None


def ways_of(step: Step) -> Iterator[Way]:
    """Yield every way out of a step."""
    match step:
        case Ask():
            yield from _of_question(step)
        case Branch():
            for number, arm in enumerate(step.arms):
                yield Way(("branch", str(number), "next"), "arm", _target(arm.next))
            yield Way(("otherwise",), "otherwise", _target(step.otherwise))
        case Wait():
            yield Way(("next",), "next", _target(step.next))
            if step.events or isinstance(step.moment, str):
                yield Way(("otherwise",), "otherwise", _target(step.otherwise))
        case GoTo():
            yield Way(("go_to",), "next", _target(step.next))
        case End():
            pass
        case _:
            yield Way(("next",), "next", _target(step.next))


def _of_question(ask: Ask) -> Iterator[Way]:
    onward = ask.name if ask.per_promise else ask.next
    if not ask.choices:
        yield Way(("next",), "words", _target(onward))
    for choice in ask.choices:
        yield Way(("choices", choice.name, "next"), "choice", _target(choice.next or onward), choice)
    if ask.per_promise:
        yield Way(("next",), "none left", _target(ask.next))
    yield Way(("silence", "next"), "silence", _target(ask.silence.next))


def _target(name: str | None) -> str | None:
    return None if name == END else name


def place_of(name: str) -> Path:
    """Return where a step is written; a question for reasons stands within the choice that it belongs to."""
    step, dot, choice = name.partition(".")
    return ("steps", step, "choices", choice, "reasons") if dot else ("steps", step)


def reached(starts: Iterable[str], onward: Callable[[str], Iterable[str | None]]) -> set[str]:
    """Return every step that can be reached from `starts`, these included."""
    seen: set[str] = set()
    ahead = list(starts)
    while ahead:
        name = ahead.pop()
        if name not in seen:
            seen.add(name)
            ahead += [target for target in onward(name) if target is not None]
    return seen


def targets_in(flow: Flow, name: str) -> list[str]:
    """Return the steps that the ways out of a step lead to; those that are not there are left out."""
    step = flow.steps.get(name)
    return [way.target for way in ways_of(step) if way.target in flow.steps and way.target] if step else []


def circles(names: Iterable[str], onward: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the groups of steps that lead round in a circle, each in the order of `names`.

    Two walks, in time that grows with the flow and not with its square: along the ways, noting where each step is left,
    and back against them in the opposite order (Kosaraju's algorithm).
    """
    order = list(names)
    back: dict[str, list[str]] = {}
    for name in order:
        for target in onward.get(name, ()):
            back.setdefault(target, []).append(name)
    place = {name: number for number, name in enumerate(order)}
    seen: set[str] = set()
    found = []
    for name in reversed(_left_in_order(order, onward)):
        if name not in seen:
            group = _reached_new(name, back, seen)
            if len(group) > 1 or name in onward.get(name, ()):
                found.append(sorted(group, key=place.__getitem__))
    return sorted(found, key=lambda group: place[group[0]])


def _left_in_order(order: Iterable[str], onward: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the steps in the order in which a walk along the ways leaves them for good."""
    left: list[str] = []
    seen: set[str] = set()
    for begin in order:
        if begin in seen:
            continue
        seen.add(begin)
        stack = [(begin, iter(onward.get(begin, ())))]
        while stack:
            name, ahead = stack[-1]
            new = next((target for target in ahead if target not in seen), None)
            if new is None:
                stack.pop()
                left.append(name)
            else:
                seen.add(new)
                stack.append((new, iter(onward.get(new, ()))))
    return left


def _reached_new(begin: str, back: Mapping[str, Iterable[str]], seen: set[str]) -> list[str]:
    """Return what is reached from `begin` and was not seen before, and note it as seen."""
    group, ahead = [], [begin]
    seen.add(begin)
    while ahead:
        name = ahead.pop()
        group.append(name)
        for target in back.get(name, ()):
            if target not in seen:
                seen.add(target)
                ahead.append(target)
    return group
