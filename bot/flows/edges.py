"""The ways through a flow: out of each step, what leads on, after how long, and where to.

What lives here: the one list of ways that pictures are drawn from and coverage is counted by. What must not: drawing,
and playing. A step of a kind that is not named here still shows its ways, by the fields that every kind uses alike:
`arms`, `otherwise`, `next`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from bot.durations import Duration
from bot.flows.engine import MAX_REMINDERS
from bot.flows.model import END, Ask, Choice, End, Flow, Say, Texts, Trigger, Wait

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


def ways_of_step(name: str, step: object) -> Iterator[Way]:
    """Give the ways out of one step, whatever its kind."""
    match step:
        case Ask():
            yield from _of_question(name, step)
        case Say():
            yield Way(name, "next", target=_target(step.next))
        case Wait():
            yield from _of_pause(name, step)
        case End():
            return
        case _:
            yield from _of_any_kind(name, step)


def _of_question(name: str, ask: Ask) -> Iterator[Way]:
    again = bool(getattr(ask, "per_promise", False))  # asked once for each promise: an answer leads back here
    onward = name if again else ask.next
    for choice in ask.choices:
        yield Way(name, "choice", choice.name, _target(choice.next or onward), label=choice.label)
    if not ask.choices:
        yield Way(name, "words", target=_target(onward))
    if again:
        yield Way(name, "next", "none left", _target(ask.next))
    times = min(ask.remind.times, MAX_REMINDERS) if ask.remind else 0
    for nth in range(1, times + 1):
        yield Way(name, "remind", str(nth), name, str(ask.remind.after) if ask.remind else "")
    yield Way(name, "silence", target=_target(ask.silence.next), after=str(ask.silence.after))


def _of_pause(name: str, wait: Wait) -> Iterator[Way]:
    events: Iterable[str] = getattr(wait, "events", ())
    if not events:
        yield Way(name, "pause", target=_target(wait.next), after=pause_length(wait))
        if isinstance(getattr(wait, "moment", None), str):
            yield Way(name, "arm", "there is no such moment", _target(getattr(wait, "otherwise", None)))
        return
    for event in events:
        yield Way(name, "event", event, _target(wait.next))
    yield Way(name, "pause", target=_target(getattr(wait, "otherwise", None)), after=pause_length(wait))


def _of_any_kind(name: str, step: object) -> Iterator[Way]:
    arms = tuple(getattr(step, "arms", ()))
    for arm in arms:
        yield Way(name, "arm", str(arm.condition), _target(arm.next))
    if arms:
        yield Way(name, "arm", "otherwise", _target(getattr(step, "otherwise", None)))
        return
    yield Way(name, "next", target=_target(getattr(step, "next", None)))


def pause_length(wait: Wait) -> str:
    """Write how long a pause lasts: ``5d``, ``until 2026-12-24 09:00``, ``5d, then mon-fri 10:00-12:00``."""
    moment: Any = getattr(wait, "moment", None)
    since: Any = getattr(wait, "since", None)
    words = str(wait.after)
    if moment is not None:
        words = f"until {moment}"
    elif since is not None:
        words = f"{words} after {since}"
    elif getattr(wait, "window", None) is not None and wait.after.is_zero():
        words = ""
    return ", ".join(each for each in (words, _window(getattr(wait, "window", None))) if each)


_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _window(window: Any) -> str:
    if window is None:
        return ""
    days = " ".join(_DAYS[day] for day in window.days)
    hours = f"{window.begins:%H:%M}-{window.ends:%H:%M}" if window.begins != window.ends else ""
    return " ".join(each for each in (days, hours) if each)


def _start_length(trigger: Trigger) -> str:
    if trigger.item_field is not None:
        return f"{trigger.item_field}, else {trigger.after}"
    return "at once" if trigger.after == Duration() else str(trigger.after)


def _target(name: str | None) -> str | None:
    return None if name == END else name


def choices_of(step: object) -> Mapping[str, Choice]:
    """Give the choices of a step by their names; none where it has none."""
    choices: Iterable[Choice] = getattr(step, "choices", ())
    return {choice.name: choice for choice in choices}
