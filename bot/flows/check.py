"""Whether a valid flow is also a good one: what an admin should know before publishing it.

What lives here: findings, each with its place and its mend. What must not: reading YAML (`bot.flows.parse` refuses
what is not a flow at all) and anything that changes a flow.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from bot.errors import FlowError
from bot.flows.engine import MAX_REMINDERS, is_unhappy
from bot.flows.model import END, Ask, Flow, Say, Step, Texts, Wait
from bot.flows.render import TEMPLATE_MAX_CHARS, faults
from bot.flows.yaml_tree import Path, Place, did_you_mean, places, read_tree

LABEL_MAX_CHARS = 64
"""Longer labels are cut off on a telephone."""

CHOICES_MAX = 8
"""More buttons than this do not fit on a telephone's screen with the question."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about a flow. An ``error`` keeps it from being used; a ``warning`` is for its author to weigh."""

    severity: Literal["error", "warning"]
    message: str
    file: str
    line: int = 1
    column: int = 1
    hint: str = ""

    def __str__(self) -> str:
        """Write it on one line, the place first, so that editors can jump there."""
        place = f"{self.file}:{self.line}:{self.column}"
        return f"{place}: {self.severity}: {self.message}" + (f" → {self.hint}" if self.hint else "")

    def as_error(self) -> FlowError:
        """Return it as the error with which the flow is refused."""
        return FlowError(self.message, file=self.file, line=self.line, column=self.column, hint=self.hint)


def check_flow(
    flow: Flow,
    *,
    languages: Sequence[str] = (),
    touchpoints: Collection[str] | None = None,
    file: str = "",
) -> list[Finding]:
    """Return all findings about `flow`, in the order of its text.

    Args:
        flow: a flow as parsed; one made by hand is checked just as well, only without places.
        languages: the shop's languages; every text should be there in each.
        touchpoints: those that the shop knows; None where that is not known, and so not checked.
        file: its name, for the messages.
    """
    return _Checker(flow, languages, touchpoints, file or flow.name).run()


class _Checker:
    def __init__(
        self,
        flow: Flow,
        languages: Sequence[str],
        touchpoints: Collection[str] | None,
        file: str,
    ) -> None:
        self._flow, self._languages, self._touchpoints, self._file = (
            flow,
            languages,
            touchpoints,
            file,
        )
        self._places: dict[Path, Place] = {}
        if flow.source:
            try:
                self._places = places(read_tree(flow.source, file=file))
            except FlowError:
                self._places = {}
        self._found: list[Finding] = []

    def run(self) -> list[Finding]:
        for name, step in self._flow.steps.items():
            self._targets(name, step)
            match step:
                case Ask():
                    self._ask(name, step)
                case Say():
                    self._texts(("steps", name, "say"), step.texts)
                case _:
                    pass
        self._triggers()
        self._reachable()
        self._circles()
        return sorted(self._found, key=lambda one: (one.line, one.column))

    def _note(self, severity: Literal["error", "warning"], path: Path, message: str, hint: str = "") -> None:
        """Note a finding at `path`, or at the nearest thing above it that has a place."""
        while path and path not in self._places:
            path = path[:-1]
        place = self._places.get(path, Place())
        self._found.append(Finding(severity, message, self._file, place.line, place.column, hint))

    # -- texts ----------------------------------------------------------------------------------------------------

    def _texts(self, path: Path, texts: Texts, *, limit: int = TEMPLATE_MAX_CHARS) -> None:
        if not texts:
            self._note("error", path, "there is no text")
            return
        for language in self._languages:
            if language not in texts:
                self._note("warning", path, f"there is no text in {language!r}")
        for language, text in texts.items():
            where = (*path, language)
            for fault in faults(text):
                self._note("error", where, fault)
            if limit < len(text) <= TEMPLATE_MAX_CHARS:
                self._note("error", where, f"the label is longer than {limit} characters")

    def _ask(self, name: str, ask: Ask) -> None:
        path = ("steps", name)
        self._texts((*path, "ask"), ask.texts)
        self._touchpoint((*path, "touchpoint"), ask.touchpoint)
        if ask.silence.after.is_zero():
            hint = "silence: { after: 7d }"
            self._note("error", path, f"question {name!r} has no way out when nobody answers", hint)
        elif self._places and (*path, "silence") not in self._places:
            hint = "write it out: silence: { after: 7d, next: … }"
            message = f"question {name!r} does not say what follows silence; it ends after 7d"
            self._note("warning", path, message, hint)
        if ask.remind is not None:
            self._remind((*path, "remind"), ask)
        if len(ask.choices) > CHOICES_MAX:
            message = f"{len(ask.choices)} choices are more than the {CHOICES_MAX} that fit"
            self._note("error", (*path, "choices"), message, "ask two shorter questions")
        self._choices((*path, "choices"), ask)

    def _remind(self, path: Path, ask: Ask) -> None:
        remind = ask.remind
        if remind is None:
            return
        if remind.times > MAX_REMINDERS:
            self._note("error", path, f"more than {MAX_REMINDERS} reminders")
        if remind.texts is not None:
            self._texts((*path, "text"), remind.texts)
        if not remind.after.business_days and not ask.silence.after.business_days:
            last = remind.after.span * min(remind.times, MAX_REMINDERS)
            if last >= ask.silence.after.span:
                message = "the last reminder would come only after the silence"
                self._note("warning", path, message, "remind earlier, or wait longer")

    def _choices(self, path: Path, ask: Ask) -> None:
        labels: dict[tuple[str, str], str] = {}
        for choice in ask.choices:
            here = (*path, choice.name)
            self._texts((*here, "label"), choice.label, limit=LABEL_MAX_CHARS)
            self._touchpoint((*here, "touchpoint"), choice.touchpoint)
            for language, label in choice.label.items():
                other = labels.setdefault((language, label), choice.name)
                if other != choice.name:
                    self._note("error", here, f"the same label as choice {other!r}")
            if choice.completes and is_unhappy(choice):
                self._note("error", here, "an unhappy reply cannot complete the sale")

    def _touchpoint(self, path: Path, touchpoint: str | None) -> None:
        if touchpoint is None or self._touchpoints is None or touchpoint in self._touchpoints:
            return
        hint = did_you_mean(touchpoint, self._touchpoints)
        message = f"the shop knows no touchpoint {touchpoint!r}"
        self._note("error", path, message, hint or "add it to shop.yaml")

    # -- ways -----------------------------------------------------------------------------------------------------

    def _targets(self, name: str, step: Step) -> None:
        for path, target in _ways(name, step):
            if target not in {None, END} and target not in self._flow.steps:
                hint = did_you_mean(str(target), (*self._flow.steps, END))
                self._note("error", path, f"there is no step {target!r}", hint)

    def _triggers(self) -> None:
        for trigger in self._flow.triggers:
            if trigger.step not in self._flow.steps:
                hint = did_you_mean(trigger.step, self._flow.steps)
                self._note("error", ("start",), f"there is no step {trigger.step!r}", hint)
            if trigger.on in trigger.unless:
                self._note("error", ("start",), f"{trigger.on} starts this flow and prevents it")
            span, expires = trigger.after.span, self._flow.expires.span
            if self._flow.expires.business_days == 0 and span >= expires:
                message = f"it expires ({self._flow.expires}) before it begins ({trigger.after})"
                self._note("error", ("expires",), message, "let it expire later")

    def _reachable(self) -> None:
        seen: set[str] = set()
        ahead = [trigger.step for trigger in self._flow.triggers]
        while ahead:
            name = ahead.pop()
            step = self._flow.steps.get(name)
            if step is None or name in seen:
                continue
            seen.add(name)
            ahead += [target for _, target in _ways(name, step) if target is not None]
        for name in self._flow.steps:
            if name not in seen:
                message = f"no way leads to step {name!r}"
                self._note("error", ("steps", name), message, "lead to it, or take it out")

    def _circles(self) -> None:
        """Note circles that never ask: of messages alone, and of messages and pauses without a question."""
        for kinds, message in (
            (Say, "the messages go round in a circle without a pause or a question"),
            (Say | Wait, "the circle never asks anything, so it never ends"),
        ):
            noted: set[str] = set()
            for name in self._flow.steps:
                circle = _circle_from(self._flow, name, kinds)
                if circle and not noted & circle and not self._has(message, circle):
                    noted |= circle
                    self._note("error", ("steps", name), message, "ask a question, or end")

    def _has(self, message: str, circle: set[str]) -> bool:
        """Tell whether a circle of messages alone was noted already, so that it is not told twice."""
        only_says = all(isinstance(self._flow.steps[name], Say) for name in circle)
        return only_says and "never asks" in message


def _circle_from(flow: Flow, start: str, kinds: object) -> set[str]:
    """Return the steps of the circle that leads from `start` back to it through `kinds` alone; else nothing."""
    passed: set[str] = set()
    name: str | None = start
    while name is not None and name not in passed:
        step = flow.steps.get(name)
        if not isinstance(step, Say | Wait) or not isinstance(step, kinds):  # type: ignore[arg-type] # a class or a union of them
            return set()
        passed.add(name)
        name = step.next
    return passed if name == start else set()


def _ways(name: str, step: Step) -> Iterator[tuple[Path, str | None]]:
    """Yield every way out of a step: where it is written, and where it leads."""
    path = ("steps", name)
    if isinstance(step, Say | Wait) or (isinstance(step, Ask) and not step.choices):
        yield (*path, "next"), step.next
    if isinstance(step, Ask):
        yield (*path, "silence", "next"), step.silence.next
        for choice in step.choices:
            yield (*path, "choices", choice.name, "next"), choice.next or step.next
