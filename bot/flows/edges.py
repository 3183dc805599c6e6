"""The ways of a flow in the words of who looks at it: what has to happen for each, and after how long.

What lives here: the list that pictures are drawn from and coverage is counted by, told of what `bot.flows.ways` says
leads where. What must not: drawing, and playing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from bot.durations import Duration
from bot.flows import ways
from bot.flows.engine import MAX_REMINDERS
from bot.flows.model import Ask, Branch, Choice, Flow, Step, Texts, Trigger, Wait, Window

WayKind: TypeAlias = Literal["start", "choice", "words", "silence", "remind", "pause", "event", "arm", "next"]

START = ""
"""Instead of a step's name: where a flow begins."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way out of `step`: what has to happen (`kind`, and `name`: the choice, the event, the number of the arm).

    `target` is None where it ends the conversation. `after` is how long after the step was entered (or said) it is
    taken, None where somebody decides; `label` is what a customer taps.
    """

    step: str
    kind: WayKind
    name: str = ""
    target: str | None = None
    after: str = ""
    label: Texts | None = field(default=None, compare=False)

    @property
    def is_branch(self) -> bool:
        """Whether something has to happen for it; a plain *next* is no branch."""
        return self.kind != "next"

    def __str__(self) -> str:
        """Name it as a reader of the flow would: ``arrived → silence``."""
        words = {"start": f"on {self.name}", "choice": self.name, "remind": f"reminder {self.name}"}
        words |= {"event": f"on {self.name}", "arm": f"if {self.name}"}
        return f"{self.step or 'start'} → {words.get(self.kind, self.kind)}"


def ways_of_flow(flow: Flow) -> list[Way]:
    """Give all ways of a flow: its starts, then those of each step in the order of the text."""
    starts = [Way(START, "start", trigger.on, trigger.step, _start_length(trigger)) for trigger in flow.triggers]
    return [*starts, *(way for name, step in flow.steps.items() for way in ways_of_step(name, step))]


def ways_of_step(name: str, step: Step) -> Iterator[Way]:
    """Give the ways out of one step, whatever its kind."""
    match step:
        case Ask():
            for each in ways.ways_of(step):
                yield from _of_question(name, step, each)
        case Wait():
            for each in ways.ways_of(step):
                yield from _of_pause(name, step, each)
        case Branch():
            words = [*(arm.condition for arm in step.arms), "otherwise"]
            for word, each in zip(words, ways.ways_of(step), strict=True):
                yield Way(name, "arm", word, each.target)
        case _:
            for each in ways.ways_of(step):
                yield Way(name, "next", target=each.target)


def _of_question(name: str, ask: Ask, way: ways.Way) -> Iterator[Way]:
    if way.choice is not None:
        yield Way(name, "choice", way.choice.name, way.target, label=way.choice.label)
    elif way.by == "words":
        yield Way(name, "words", target=way.target)
    elif way.by == "silence":
        if ask.remind is not None:
            for nth in range(1, min(ask.remind.times, MAX_REMINDERS) + 1):
                yield Way(name, "remind", str(nth), name, str(ask.remind.after))
        yield Way(name, "silence", target=way.target, after=str(ask.silence.after))
    else:
        yield Way(name, "next", "none left", way.target)


def _of_pause(name: str, wait: Wait, way: ways.Way) -> Iterator[Way]:
    """Give a pause's ways: waiting for an event, the time that runs out is the other way; else it is the way on."""
    if way.by == ("otherwise" if wait.events else "next"):
        yield Way(name, "pause", target=way.target, after=pause_length(wait))
    elif wait.events:
        for event in wait.events:
            yield Way(name, "event", event, way.target)
    else:
        yield Way(name, "arm", "there is no such moment", way.target)


def pause_length(wait: Wait) -> str:
    """Write how long a pause lasts: ``5d``, ``until 2026-12-24 09:00``, ``5d, then mon-fri 10:00-12:00``."""
    words = str(wait.after)
    if wait.moment is not None:
        words = f"until {wait.moment}"
    elif wait.since is not None:
        words = f"{words} after {wait.since}"
    elif wait.window is not None and wait.after.is_zero():
        words = ""
    return ", ".join(each for each in (words, _window(wait.window)) if each)


_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _window(window: Window | None) -> str:
    if window is None:
        return ""
    days = " ".join(_DAYS[day] for day in window.days)
    hours = f"{window.begins:%H:%M}-{window.ends:%H:%M}" if window.begins != window.ends else ""
    return " ".join(each for each in (days, hours) if each)


def _start_length(trigger: Trigger) -> str:
    if trigger.item_field is not None:
        return f"{trigger.item_field}, else {trigger.after}"
    return "at once" if trigger.after == Duration() else str(trigger.after)


def choices_of(step: object) -> Mapping[str, Choice]:
    """Give the choices of a step by their names; none where it has none."""
    choices: Iterable[Choice] = getattr(step, "choices", ())
    return {choice.name: choice for choice in choices}
