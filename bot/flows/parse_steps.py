"""Reading the steps of a flow: each kind as an admin writes it, into the values of the model.

What lives here: what stands below `steps`, and its defaults. What must not: the flow around them (`bot.flows.parse`).
"""

import re
from collections.abc import Callable
from collections.abc import Mapping as Values
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, time, timedelta

from bot.durations import Duration
from bot.flows.expressions import EXPRESSION_MAX_CHARS
from bot.flows.facts import WEEKDAYS
from bot.flows.forms import FORMS, MATCH_KEYS, OFFERS, OUTCOMES, REMINDERS_MAX, SALE_EVENTS, SCALES, SINCE_EVENTS, STEPS
from bot.flows.model import (
    END,
    UNHAPPY_AT_MOST,
    Arm,
    Ask,
    Branch,
    Choice,
    Complete,
    End,
    Factor,
    GoTo,
    Match,
    Offer,
    OpenCaseStep,
    Remind,
    Say,
    Set,
    Silence,
    Step,
    Variant,
    Wait,
    Window,
)
from bot.flows.times import is_sensible
from bot.flows.yaml_tree import Entry, Mapping, Node, Scalar, did_you_mean
from bot.flows.yaml_values import ValueReader

DEFAULT_SILENCE = Duration(span=timedelta(days=7))

RATINGS: Values[str, float] = {"very_bad": 0.0, "bad": 0.25, "so_so": 0.5, "good": 0.75, "very_good": 1.0}
"""The five choices of a rating, and what each says of its factor."""

FACES = ("😡", "🙁", "😐", "🙂", "😍")
STARS = ("1 ⭐", "2 ⭐", "3 ⭐", "4 ⭐", "5 ⭐")

_NO_TIME = Duration()
_CLOCK = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?)?")
_LINK = re.compile(r"https?://\S{3,2000}|[A-Za-z0-9_-]{8,255}")


class StepReader(ValueReader):
    """Reads steps. `step_names` are all names of the file; `reason_steps` the questions that reasons become."""

    def __init__(self, file: str) -> None:
        """Read for the file of this name."""
        super().__init__(file)
        self.step_names: tuple[str, ...] = ()
        self.reason_steps: dict[str, Step] = {}

    def step(self, entry: Entry) -> Step | None:
        """Read one step, whatever its kind."""
        name, node = entry.key.text, entry.value
        kinds = [kind for kind in STEPS if isinstance(node, Mapping) and kind in node.entries]
        if not isinstance(node, Mapping) or len(kinds) != 1:
            self.wrong(
                entry.key,
                f"step {name!r} must have exactly one of {', '.join(STEPS)}"
                + (f"; it has {' and '.join(kinds)}" if kinds else ""),
                _kind_hint(node),
            )
            return None
        kind = kinds[0]
        self.mapping(node, f"step {name!r} ({kind})", STEPS[kind].names)
        content = self.required(node, kind, f"step {name!r}", "it cannot be empty")
        read: Callable[[str, Mapping, Node | None], Step] = getattr(self, f"_{kind}")
        return read(name, node, content)

    def target(self, node: Node | None, what: str = "next") -> str | None:
        """Read the name of a step that must be there, or `end`."""
        text = self.text(node, what)
        if node is not None and text is not None and text not in {END, *self.step_names}:
            hint = did_you_mean(text, (*self.step_names, END))
            self.wrong(node, f"there is no step {text!r}", hint)
        return text

    def condition(self, node: Node | None, what: str) -> str | None:
        """Read an expression; whether it is a good one is for `bot.flows.check` to say."""
        text = self.text(node, what)
        if node is not None and text is not None and len(text) > EXPRESSION_MAX_CHARS:
            self.wrong(node, f"{what} is longer than {EXPRESSION_MAX_CHARS} characters", "split it with set")
        return text

    def _way_on(self, node: Mapping, key: str = "next") -> str | None:
        """Read where a step leads; the end is None."""
        found = self.target(node.get(key), key)
        return None if found == END else found

    # -- what is said ----------------------------------------------------------------------------------------------

    def _say(self, name: str, node: Mapping, content: Node | None) -> Step:
        return Say(
            name,
            self.texts(content, "say") or {},
            self._way_on(node),
            self._photo(node.get("photo")),
            self.variants(node.get("for"), "for_say", "say"),
        )

    def _offer(self, name: str, node: Mapping, content: Node | None) -> Step:
        what = self.one_of(content, "offer", OFFERS)
        text = self.required(node, "text", f"step {name!r}", "what is said")
        label = self.required(node, "label", f"step {name!r}", "what stands on the button")
        return Offer(
            name,
            "referral" if what == "referral" else "review",
            self.texts(text, "text") or {},
            self.texts(label, "label") or {},
            self._way_on(node),
            self._photo(node.get("photo")),
            self.variants(node.get("for"), "for_offer", "text"),
        )

    def _photo(self, node: Node | None) -> str | None:
        text = self.text(node, "photo")
        if node is not None and text is not None and not _LINK.fullmatch(text):
            hint = "an address that begins with https://, or the id of a file that Telegram has"
            self.wrong(node, f"photo cannot be {text!r}", hint)
        return text

    def variants(self, node: Node | None, form: str, words: str) -> tuple[Variant, ...]:
        """Read what is different for some products; `words` is the key of their texts ("": of their time)."""
        if node is None:
            return ()
        return tuple(self.each(node, lambda one: self._variant(one, form, words)))

    def _variant(self, node: Node, form: str, words: str) -> Variant | None:
        one = self.mapping(node, "for", FORMS[form].names)
        if one is None:
            return None
        kinds = [key for key in MATCH_KEYS if one.get(key) is not None]
        if len(kinds) != 1:
            self.wrong(one, "for must say for what, once", f"exactly one of {', '.join(MATCH_KEYS)}")
            return None
        value = self.condition(one.get(kinds[0]), kinds[0]) or ""
        match = Match("tag" if kinds[0] == "tag" else "sku" if kinds[0] == "sku" else "if", value)
        if not words:
            after = self.required(one, "after", "for", "how long, for example 4d")
            return Variant(match, after=self.duration(after, "after") or _NO_TIME)
        texts, photo = self.texts(one.get(words), words), self._photo(one.get("photo"))
        if texts is None and photo is None:
            self.wrong(one, "for changes nothing", f"give it {words} or photo")
        return Variant(match, texts, photo)

    # -- what is asked ---------------------------------------------------------------------------------------------

    def _ask(self, name: str, node: Mapping, content: Node | None) -> Step:
        per_promise = self.one_of(node.get("each"), "each", ("promise",)) is not None
        following = self._way_on(node)
        choices = self._choices(name, node.get("choices"), name if per_promise else following)
        return Ask(
            name=name,
            texts=self.texts(content, "ask") or {},
            choices=choices,
            silence=self._silence(node.get("silence")),
            remind=self._remind(node.get("remind")),
            next=following,
            touchpoint=self.word(node.get("touchpoint"), "touchpoint"),
            photo=self._photo(node.get("photo")),
            variants=self.variants(node.get("for"), "for_ask", "ask"),
            per_promise=per_promise,
        )

    def _rate(self, name: str, node: Mapping, content: Node | None) -> Step:
        known = tuple(factor.value for factor in Factor)
        rated = self.required(node, "factor", f"step {name!r}", f"one of {', '.join(known)}")
        factor = Factor(self.one_of(rated, "factor", known) or "quality")
        scale = self.one_of(node.get("scale"), "scale", SCALES) or "faces"
        low, following = self._way_on(node, "low"), self._way_on(node)
        if node.get("low") is None:
            low = following
        labels = STARS if scale == "stars" else FACES
        choices = [
            Choice(word, {"en": label}, low if value <= UNHAPPY_AT_MOST else following, {factor: value})
            for (word, value), label in zip(RATINGS.items(), labels, strict=True)
        ]
        return Ask(
            name=name,
            texts=self.texts(content, "rate") or {},
            choices=tuple(replace(each, unhappy=each.factors[factor] <= UNHAPPY_AT_MOST) for each in choices),
            silence=self._silence(node.get("silence")),
            remind=self._remind(node.get("remind")),
            next=following,
            touchpoint=self.word(node.get("touchpoint"), "touchpoint"),
            photo=self._photo(node.get("photo")),
            variants=self.variants(node.get("for"), "for_rate", "rate"),
            scale="stars" if scale == "stars" else "faces",
        )

    def _silence(self, node: Node | None) -> Silence:
        silence = self.mapping(node, "silence", FORMS["silence"].names)
        if silence is None:
            return Silence(DEFAULT_SILENCE)
        hint = "how long after the question, for example 7d"
        after = self.required(silence, "after", "silence", hint)
        duration = self.duration(after, "after")
        if after is not None and duration is not None and duration.is_zero():
            self.wrong(after, "silence after no time at all answers for the customer", hint)
        return Silence(duration or DEFAULT_SILENCE, self._way_on(silence))

    def _remind(self, node: Node | None) -> Remind | None:
        remind = self.mapping(node, "remind", FORMS["remind"].names)
        if remind is None:
            return None
        after = self.required(remind, "after", "remind", "for example 3d")
        duration = self.duration(after, "after")
        if after is not None and duration is not None and duration.is_zero():
            self.wrong(after, "a reminder cannot come at once", "for example 3d")
        hint = "at most two reminders, and none after a reply"
        times_node = remind.get("times")
        times = self.text(times_node, "times")
        if times_node is not None and times not in {"1", "2"}:
            self.wrong(times_node, f"times must be 1 or {REMINDERS_MAX}", hint)
        texts = self.texts(remind.get("text"), "text")
        return Remind(duration or DEFAULT_SILENCE, 2 if times == "2" else 1, texts)

    # -- choices ---------------------------------------------------------------------------------------------------

    def _choices(self, step: str, node: Node | None, following: str | None) -> tuple[Choice, ...]:
        if node is None:
            return ()
        if not isinstance(node, Mapping):
            self.wrong(node, "choices must be a list of 'name: choice'")
            return ()
        return tuple(self._choice(step, entry, following) for entry in node.entries.values())

    def _choice(self, step: str, entry: Entry, step_next: str | None) -> Choice:
        name, node = entry.key.text, entry.value
        self.word(entry.key, "the name of a choice")
        if isinstance(node, Scalar):
            return Choice(name, self.texts(node, "label") or {}, step_next)
        choice = self.mapping(node, f"choice {name!r}", FORMS["choice"].names)
        if choice is None:
            return Choice(name, {})
        label = self.required(choice, "label", f"choice {name!r}", "what stands on the button")
        factors = self._factors(choice.get("factors"))
        target = self._own_target(choice, step_next)
        completes = self.truth(choice.get("completes"), "completes") or False
        return Choice(
            name=name,
            label=self.texts(label, "label") or {},
            next=self._reasons(step, name, choice.get("reasons"), target) or target,
            factors=factors,
            touchpoint=self.word(choice.get("touchpoint"), "touchpoint"),
            completes=completes,
            unhappy=self._unhappy(choice, factors, completes=completes),
        )

    def _own_target(self, choice: Mapping, step_next: str | None) -> str | None:
        target = self.target(choice.get("next"))
        return step_next if target is None or (target == END and step_next is None) else target

    def _reasons(self, step: str, choice: str, node: Node | None, following: str | None) -> str | None:
        """Make the question for the reasons of a choice a step of its own; its name no admin can write."""
        reasons = self.mapping(node, "reasons", FORMS["reasons"].names)
        if reasons is None:
            return None
        text = self.required(reasons, "ask", "reasons", "the question")
        chips = self.required(reasons, "choices", "reasons", "at least one reason")
        entries = chips.entries.values() if isinstance(chips, Mapping) else ()
        if chips is not None and not entries:
            self.wrong(chips, "choices must be a list of 'name: reason'")
        name = f"{step}.{choice}"
        silence = self._silence(reasons.get("silence"))
        if reasons.get("silence") is None:
            silence = replace(silence, next=None if following == END else following)
        self.reason_steps[name] = Ask(
            name=name,
            texts=self.texts(text, "ask") or {},
            choices=tuple(self._reason(entry, following) for entry in entries),
            silence=silence,
            next=None if following == END else following,
            reason_for=(step, choice),
        )
        return name

    def _reason(self, entry: Entry, following: str | None) -> Choice:
        name, node = entry.key.text, entry.value
        self.word(entry.key, "the name of a reason")
        if isinstance(node, Scalar):
            return Choice(name, self.texts(node, "label") or {}, following)
        reason = self.mapping(node, f"reason {name!r}", FORMS["reason"].names)
        if reason is None:
            return Choice(name, {})
        label = self.required(reason, "label", f"reason {name!r}", "what stands on the button")
        touchpoint = self.word(reason.get("touchpoint"), "touchpoint")
        return Choice(
            name, self.texts(label, "label") or {}, self._own_target(reason, following), touchpoint=touchpoint
        )

    def _factors(self, node: Node | None) -> dict[Factor, float]:
        factors = self.mapping(node, "factors", FORMS["factors"].names)
        found: dict[Factor, float] = {}
        for name, entry in factors.entries.items() if factors is not None else ():
            text = self.text(entry.value, name)
            try:
                value = float(text or "")
            except ValueError:
                value = -1.0
            if not 0 <= value <= 1:
                self.wrong(entry.value, f"{name} must be a number from 0 to 1", "0, 0.5 or 1")
            elif name in set(Factor):
                found[Factor(name)] = value
        return found

    def _unhappy(self, choice: Mapping, factors: Values[Factor, float], *, completes: bool) -> bool:
        node = choice.get("unhappy")
        stated = self.truth(node, "unhappy")
        if stated is False and node is not None and 0 in factors.values():
            self.wrong(
                node,
                "a factor of 0 is an unhappy reply, whatever the words",
                "leave 'unhappy' out, or give the factor another value",
            )
        worst = min(factors.values(), default=1.0)
        unhappy = worst <= UNHAPPY_AT_MOST if stated is None else stated
        if unhappy and completes:
            self.wrong(
                choice,
                "an unhappy reply cannot complete the sale",
                "leave 'completes' out, or say 'unhappy: false' where no factor is 0",
            )
        return unhappy

    # -- what passes -----------------------------------------------------------------------------------------------

    def _wait(self, name: str, node: Mapping, content: Node | None) -> Step:
        following, otherwise = self._way_on(node), self._way_on(node, "otherwise")
        variants = self.variants(node.get("for"), "for_wait", "")
        if not isinstance(content, Mapping):
            after = self.duration(content, "wait") or _NO_TIME
            return Wait(name, after, following, otherwise=otherwise, variants=variants)
        wait = self.mapping(content, "wait", FORMS["wait"].names) or content
        events_node, since, until = wait.get("event"), wait.get("since"), wait.get("until")
        events = self.each(events_node, lambda one: self.one_of(one, "event", SALE_EVENTS)) if events_node else []
        longest = wait.get("at_most")
        if events_node is not None and longest is None:
            self.wrong(wait, "a wait for an event needs an end: 'at_most'", "how long at most, for example 30d")
        if longest is not None and events_node is None:
            self.wrong(longest, "at_most belongs to 'event'", "write after: how long the pause is")
        if since is not None and until is not None:
            self.wrong(until, "a pause counts from 'since' or from 'until', not from both", "keep one of them")
        if wait.entries and not any(wait.get(key) is not None for key in FORMS["wait"].names):
            self.wrong(wait, "the pause waits for nothing", "for example after: 5d")
        after = self.duration(longest if longest is not None else wait.get("after"), "after") or _NO_TIME
        return Wait(
            name,
            after,
            following,
            since=self.one_of(since, "since", SINCE_EVENTS),
            moment=self._moment(until),
            window=self._window(wait),
            events=tuple(events),
            otherwise=otherwise,
            variants=variants,
        )

    def _moment(self, node: Node | None) -> datetime | str | None:
        text = self.condition(node, "until")
        if node is None or text is None or not _MOMENT.fullmatch(text):
            return text
        moment: datetime | None = None
        with suppress(ValueError):
            moment = datetime.fromisoformat(text)
        if moment is not None and is_sensible(moment):
            return moment
        self.wrong(node, f"there is no such moment as {text!r}", "for example 2026-12-24 18:00")
        return None

    def _window(self, wait: Mapping) -> Window | None:
        days_node, hours = wait.get("days"), wait.get("between")
        if days_node is None and hours is None:
            return None
        days = self.each(days_node, lambda one: self.one_of(one, "days", WEEKDAYS)) if days_node is not None else []
        begins, ends = self._hours(hours)
        return Window(tuple(sorted(WEEKDAYS.index(day) for day in days)), begins, ends)

    def _hours(self, node: Node | None) -> tuple[time, time]:
        text = self.text(node, "between")
        if node is None or text is None:
            return time(), time()
        found = [_clock(part.strip()) for part in text.split("-")]
        if len(found) != 2 or found[0] is None or found[1] is None or found[0] == found[1]:  # noqa: PLR2004 - from and to
            self.wrong(node, f"between cannot be {text!r}", "from-to on the clock, for example 10:00-18:00")
            return time(), time()
        return found[0], found[1]

    def _branch(self, name: str, node: Mapping, content: Node | None) -> Step:
        arms = self.each(content, self._arm) if content is not None else []
        return Branch(name, tuple(arms), self._way_on(node, "otherwise"))

    def _arm(self, node: Node) -> Arm | None:
        arm = self.mapping(node, "a way of branch", FORMS["arm"].names)
        if arm is None:
            return None
        condition = self.condition(self.required(arm, "if", "this way", "the condition"), "if")
        target = self.target(self.required(arm, "next", "this way", "a step, or end"))
        return Arm(condition or "false", None if target == END else target)

    def _set(self, name: str, node: Mapping, content: Node | None) -> Step:
        values: dict[str, str] = {}
        if content is not None and not isinstance(content, Mapping):
            self.wrong(content, "set must be a list of 'name: value'", "for example { rounds: 1 }")
        for entry in content.entries.values() if isinstance(content, Mapping) else ():
            self.word(entry.key, "the name of a note")
            value = self.condition(entry.value, entry.key.text)
            if value is not None:
                values[entry.key.text] = value
        return Set(name, values, self._way_on(node))

    def _case(self, name: str, node: Mapping, content: Node | None) -> Step:
        return OpenCaseStep(
            name,
            self.text(content, "case") or "",
            self.word(node.get("team"), "team"),
            self.word(node.get("touchpoint"), "touchpoint"),
            self._way_on(node),
        )

    def _complete(self, name: str, node: Mapping, content: Node | None) -> Step:
        self.one_of(content, "complete", ("sale",))
        return Complete(name, self._way_on(node))

    def _go_to(self, name: str, _node: Mapping, content: Node | None) -> Step:
        target = self.target(content, "go_to")
        return GoTo(name, None if target == END else target)

    def _end(self, name: str, _node: Mapping, content: Node | None) -> Step:
        return End(name, self.one_of(content, "end", OUTCOMES) or "answered")


def _clock(text: str) -> time | None:
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    hour, minute = int(found[1]), int(found[2])
    if hour == 24:  # noqa: PLR2004 - the end of the day
        return time() if minute == 0 else None
    return time(hour, minute)


def _kind_hint(node: Node) -> str:
    """Suggest the kind that was meant, where one key of the step comes near one."""
    for key in node.entries if isinstance(node, Mapping) else ():
        near = did_you_mean(key, STEPS)
        if near.startswith("did you mean"):
            return near
    return 'for example say: { en: "Thank you!" }'
