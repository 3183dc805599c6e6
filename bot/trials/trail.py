"""What a simulation leaves behind: everything that was said and done, each with its moment and its reason.

What lives here: the entries, and how they come to be out of what `bot.trials.ear` hears. What must not: moving time
(`bot.trials.simulation`) and judging (`bot.trials.trial`).
"""

from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from bot.desk.states import Case
from bot.flows.model import Flow, Step
from bot.flows.state import State
from bot.ports.records import Conversation, LogEntry, Moment, Outgoing, Verdict

Who: TypeAlias = Literal["customer", "shop", "staff"]


@dataclass(frozen=True, slots=True)
class Held:
    """One guard that held a message or a conversation back; `until` is None where it waits for something to happen."""

    reason: str
    at: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Why:
    """Why something is said when it is said: what set it off, when that was, and what held it back since."""

    words: str
    since: datetime | None = None
    held: tuple[Held, ...] = ()


@dataclass(frozen=True, slots=True)
class Button:
    """A button below a message: what stands on it, the choice it is (`name`), and the data that a tap sends.

    A button with an address (`url`) sends nothing: it opens a page.
    """

    label: str
    data: str = ""
    name: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """A message that reached the customer. `step` is the step of the flow that says it, where one does.

    `buttons` are those that it came with, `live` those that stand below it now. `number` is the message's in the chat,
    `photo` the picture above the words, if there is one.
    """

    at: datetime
    text: str
    kind: str
    why: Why
    number: int
    buttons: tuple[Button, ...] = ()
    step: str | None = None
    live: tuple[Button, ...] = ()
    photo: str = ""


@dataclass(frozen=True, slots=True)
class Did:
    """What somebody did; `refused` says why nothing came of it. `act` is the same as a line of a flow test."""

    at: datetime
    who: Who
    words: str
    act: Mapping[str, str]
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """What happened without a word to the customer: a case, the end of a conversation, the sale is complete."""

    at: datetime
    words: str


Entry: TypeAlias = Said | Did | Noted


@dataclass(frozen=True, slots=True)
class Fired:
    """A moment of a conversation that came: what it was for, and the turn it was planned at."""

    kind: str
    turn: int


@dataclass(frozen=True, slots=True)
class Moved:
    """A conversation that something happened to: how it stood, and how it stands.

    `fired` is the moment that came, if that was it; `by_event` the order event, `begun_by` the one that it began on.
    `touched` are the steps that were looked up meanwhile, in order.
    """

    flow: str
    before: State
    after: State
    fired: Fired | None = None
    by_event: str | None = None
    begun_by: str | None = None
    touched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """A verdict: the step, and the choice, or None for words."""

    flow: str
    step: str
    choice: str | None


@dataclass(slots=True)
class _Expected:
    """What the trail knows of a message from when it was decided until it goes out."""

    why: Why
    held: list[Held] = field(default_factory=list)


class Trail:
    """Remembers what happens. `flows` are those whose steps are known by name.

    `to_fire` and `to_send` (keys per channel) are what may have something to do at this moment, since it was looked at.
    """

    def __init__(self, flows: Mapping[str, Flow]) -> None:
        """Begin with nothing."""
        self._flows = flows
        self.watched = {name: replace(flow, steps=_Watched(flow, self._touch)) for name, flow in flows.items()}
        self.entries: list[Entry] = []
        self.moves: list[Moved | Answered] = []
        self.cases: dict[str, Case] = {}
        self.outcomes: dict[str, str] = {}
        self.told: list[str] = []
        self.now = datetime.min.replace(tzinfo=UTC)
        self.why = Why("")
        self.fired: Fired | None = None
        self.by_event: str | None = None
        self.begun_by: str | None = None
        self._touched: list[tuple[str, str]] = []
        self._expected: dict[str, _Expected] = {}
        self._planned_at: dict[str, datetime] = {}
        self._held_moments: dict[int, list[Held]] = {}
        self._states: dict[str, Conversation] = {}
        self._places: dict[int, int] = {}
        self.to_fire = False
        self.to_send: dict[str, set[str]] = {"telegram": set(), "slack": set()}

    # what is said

    def said(self, message: Outgoing, number: int) -> None:
        """Take down a message that the customer has now received, under that number."""
        expected = self._expected.pop(message.key, None) or _Expected(self.why)
        why = replace(expected.why, held=(*expected.why.held, *expected.held))
        if message.kind == "edit":
            self._edit(message)
            return
        buttons = self._buttons(message)
        step = self._step_of(message)
        text = str(message.body.get("text") or "")
        self._places[number] = len(self.entries)
        photo = str(message.body.get("photo") or "")
        self.entries.append(Said(self.now, text, message.kind, why, number, buttons, step, buttons, photo))

    def _edit(self, message: Outgoing) -> None:
        place = self._places.get(int(message.body.get("message_id") or 0))
        shown = self.entries[place] if place is not None else None
        if place is not None and isinstance(shown, Said):
            # The words stay as they were said, for that is what a test and a reader look for.
            self.entries[place] = replace(shown, live=self._buttons(message))

    def _buttons(self, message: Outgoing) -> tuple[Button, ...]:
        shown = [each for row in message.body.get("buttons", ()) for each in row]
        return tuple(
            Button(each["label"], each.get("data", ""), self._choice(each.get("data", "")), each.get("url", ""))
            for each in shown
        )

    def begins(self, why: Why, by_event: str | None) -> None:
        """Let `why` be the reason of whatever follows, until a moment comes."""
        self.why, self.fired, self.by_event = why, None, by_event

    def did(self, who: Who, words: str, act: Mapping[str, str]) -> None:
        """Take down that somebody did something."""
        self.entries.append(Did(self.now, who, words, act))

    def tells_staff(self, message: Outgoing) -> None:
        """Take down what staff reads in the thread of a case."""
        if message.kind == "thread":
            self.told.append(str(message.body.get("text", "")))

    def refuse(self, reason: str) -> None:
        """Add to what was done last why nothing came of it."""
        last = next(place for place in range(len(self.entries) - 1, -1, -1) if isinstance(self.entries[place], Did))
        done = self.entries[last]
        if isinstance(done, Did):
            self.entries[last] = replace(done, refused=reason)

    def _step_of(self, message: Outgoing) -> str | None:
        conversation = self._states.get(message.conversation_id or "")
        if conversation is None or message.turn is None:
            return None
        return next((each.step for each in conversation.state.asked if each.turn == message.turn), None)

    def _choice(self, data: str) -> str:
        """Tell the choice of a button by its data, ``a:CONVERSATION:TURN:CHOICE``; for others what stands last.

        ``x:CONVERSATION:TURN:0`` takes an answer back, and is called ``change``.
        """
        parts = data.split(":")
        if parts[0] == "x":
            return "change"
        conversation = self._states.get(parts[1]) if len(parts) == 4 else None  # noqa: PLR2004 - as above
        if conversation is None or not parts[2].isdigit() or not parts[3].isdigit():
            return parts[-1]
        step = next((each.step for each in conversation.state.asked if each.turn == int(parts[2])), "")
        flow = self._flows.get(conversation.flow)
        choices = getattr(flow.steps.get(step), "choices", ()) if flow else ()
        place = int(parts[3])
        return choices[place].name if place < len(choices) else parts[-1]

    # why it is said

    def comes(self, moment: Moment) -> None:
        """Let a moment be the reason of whatever follows."""
        held = tuple(self._held_moments.get(moment.id or 0, ()))
        self.by_event = None
        if moment.kind == "start":
            self.fired = None
            self.begun_by = str(moment.data.get("on", ""))
            self.why = replace(self._start(moment), held=held)
            return
        self.fired = Fired(moment.kind, int(moment.data.get("turn", 0)))
        since = self._planned_at.get(moment.key)
        length = _length(moment.due_at - since) if since else ""
        words = {
            "remind": f"a reminder: no answer for {length}",
            "silence": f"no answer for {length}",
            "wait": f"after a pause of {length}",
            "expire": "the conversation's time is over",
            "ladder": "the team has not answered in time",
        }
        self.why = Why(words.get(moment.kind, moment.kind), since, held)

    def _start(self, moment: Moment) -> Why:
        flow = self._flows.get(str(moment.data.get("flow")))
        on, step = moment.data.get("on"), moment.data.get("step")
        trigger = next((each for each in flow.triggers if (each.on, each.step) == (on, step)), None) if flow else None
        since = self._planned_at.get(moment.key)
        if trigger is None:
            return Why(f"on {on}", since)
        if trigger.item_field is None:
            return Why(f"at once on {on}" if trigger.after.is_zero() else f"{trigger.after} after {on}", since)
        length = _length(moment.due_at - since) if since else str(trigger.after)
        return Why(f"{length} ({trigger.item_field}) after {on}", since)

    # what the ear hears

    def sends(self, message: Outgoing) -> None:
        """Hear that a message was decided upon."""
        self.to_send[message.channel].add(message.key)
        self._expected.setdefault(message.key, _Expected(self.why))

    def puts_outgoing(self, message: Outgoing) -> None:
        """Hear what became of a message: held back and why, or never to be sent."""
        if message.state != "waiting" or message.not_before > self.now:
            self.to_send[message.channel].discard(message.key)
        expected = self._expected.get(message.key)
        if expected is None or message.channel != "telegram":
            return
        if message.state == "waiting" and message.reason and message.not_before > self.now:
            held = Held(message.reason, self.now, message.not_before)
        elif message.state == "held":
            held = Held(message.reason or "held back", self.now)
        else:
            return
        if not expected.held or expected.held[-1].reason != held.reason or expected.held[-1].until != held.until:
            expected.held.append(held)

    def releases(self) -> None:
        """Hear that what was held may have become free."""
        self.to_fire = True
        if any(each.held for each in self._expected.values()):
            self.to_send["telegram"].add("")

    def plans(self, moment: Moment) -> None:
        """Hear that something is to happen later."""
        if moment.due_at <= self.now:
            self.to_fire = True
        self._planned_at.setdefault(moment.key, self.now)

    def settles(self, moment_id: int, state: str, reason: str | None) -> None:
        """Hear what became of a moment."""
        if state == "held":
            self._held_moments.setdefault(moment_id, []).append(Held(reason or "", self.now))
            self.entries.append(Noted(self.now, f"waits: {reason}"))
        elif state == "dropped" and self.fired is None:
            self.entries.append(Noted(self.now, f"does not begin: {reason}"))

    def puts_conversation(self, conversation: Conversation) -> None:
        """Hear that a conversation moved."""
        before = self._states.get(conversation.id)
        self._states[conversation.id] = conversation
        state = before.state if before else State()
        if before is None or state == conversation.state:
            return
        begun_by = self.begun_by if state.status == "new" else None
        touched = tuple(step for flow, step in self._touched if flow == conversation.flow)
        self._touched.clear()
        self.moves.append(
            Moved(conversation.flow, state, conversation.state, self.fired, self.by_event, begun_by, touched)
        )

    def adds_verdict(self, verdict: Verdict) -> None:
        """Hear that the customer gave an answer."""
        self.moves.append(Answered(verdict.flow, verdict.step, verdict.choice))

    def puts_case(self, case: Case) -> None:
        """Hear how a case stands; what is new about it is noted."""
        before = self.cases.get(case.id)
        self.cases[case.id] = case
        if before is None:
            about = ", ".join(word for word in (case.factor, case.touchpoint) if word) or "a person reads it"
            self.entries.append(Noted(self.now, f"case for team {case.team} ({about})"))
        elif before.status != case.status or before.team != case.team:
            team = f", team {case.team}" if before.team != case.team else ""
            self.entries.append(Noted(self.now, f"case is {case.status}{team}"))

    def logs(self, entry: LogEntry) -> None:
        """Hear what is written into the log of a sale, and note what a reader of the transcript should see."""
        match entry.kind:
            case "sale.complete":
                self.entries.append(Noted(self.now, "the sale is complete"))
            case "sale.reopened":
                self.entries.append(Noted(self.now, "the sale is no longer complete"))
            case "conversation.finished":
                outcome, reason = entry.data.get("outcome", ""), entry.data.get("reason", "")
                self.outcomes[str(entry.data.get("flow"))] = outcome
                about = f"{entry.data.get('flow')} ends: {outcome}" + (f" ({reason})" if reason else "")
                self.entries.append(Noted(self.now, about))
            case "message.dropped":
                self.entries.append(Noted(self.now, f"not sent: {entry.data.get('reason')}"))
            case _:
                pass

    def _touch(self, flow: str, step: str) -> None:
        self._touched.append((flow, step))


class _Watched(Mapping[str, Step]):
    """The steps of a flow, telling which is looked up: what a conversation passes through leaves no other trace."""

    def __init__(self, flow: Flow, touch: Callable[[str, str], None]) -> None:
        self._flow, self._steps, self._touch = flow.name, flow.steps, touch

    def __getitem__(self, name: str) -> Step:
        found = self._steps[name]
        self._touch(self._flow, name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def values(self) -> ValuesView[Step]:
        """Give all steps; looking at all of them is walking through none."""
        return self._steps.values()

    def items(self) -> ItemsView[str, Step]:
        """Give all steps with their names, likewise."""
        return self._steps.items()


def _length(span: timedelta) -> str:
    """Write a length of time shortly: ``7d``, ``1d 2h``."""
    left = int(span.total_seconds())
    words = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if number := left // size:
            words.append(f"{number}{unit}")
        left %= size
    return " ".join(words) or f"{left}s"
