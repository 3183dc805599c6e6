"""What follows when something happens to a conversation: one pure, total function, `step`.

What lives here: every transition, and nowhere else. What must not: reading a clock, making ids, I/O, logging, and any
knowledge of Telegram, Slack or the database.

Theory of operation
-------------------
A conversation is *new* until its moment comes, then it is *asking* (one question is open), *waiting* (a pause), or
*finished*. Between two of these it runs through steps that want nothing (say, end) within one event; that run is
bounded by `MAX_STEPS_PER_EVENT`, and the whole conversation by `MAX_VISITS`, so that an admin's circle ends politely.

Questions and pauses are numbered by `turn`. A timer carries the turn it was started for: of another turn it is stale,
and ignored. A tap carries the turn of the question below which the button stands, for buttons never expire on the
customer's screen. So a tap on the open question moves the conversation; on a question that silence went past it still
counts as what the customer said (verdict, case, completion), and moves the conversation only where no other question is
open; on an answered question it changes nothing.

Words are never lost. If they are exactly the label of one button they are a tap. At a question for words they are the
answer. Anywhere else they go to a person: to the case, if there is one, else to a new one, because a program must not
guess what was meant. Only a plain word of thanks after the end (or in a pause) needs nobody.

What does not fit gives the unchanged state and one `Ignored` that says why. Nothing here raises for odd input.

A stopped customer is heard (their own taps and words still count) but not spoken to: no effect towards them follows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, assert_never

from bot.flows.effects import (
    Acknowledge,
    CloseQuestion,
    CompleteSale,
    Effect,
    Finish,
    Ignored,
    OpenCase,
    RecordVerdict,
    SendQuestion,
    SendReminder,
    SendText,
    StartTimer,
    StopTimers,
    TellCase,
)
from bot.flows.events import Begun, Event, Stopped, Tapped, TimerFired, Unreachable, Withdrawn, Wrote
from bot.flows.model import END, Ask, Choice, End, Factor, Flow, Say, Texts, Wait
from bot.flows.state import Asked, State
from bot.flows.words import choice_said, is_plain_thanks

MAX_STEPS_PER_EVENT = 50
"""Steps that one event may run through without a question or a pause."""

MAX_VISITS = 200
"""Steps that one conversation may enter in all its life."""

MAX_REMINDERS = 2
"""Reminders for one question, whatever the flow says (rule 9)."""


@dataclass(frozen=True, slots=True)
class Transition:
    """The answer of the engine: where the conversation now stands, and what is to be done, in this order."""

    state: State
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Arrow:
    """One row of the transition table: in status `before`, `event` (under `condition`) leads to status `after`."""

    before: str
    event: str
    condition: str
    after: str


ARROWS: tuple[Arrow, ...] = (
    Arrow("new", "Begun", "the step asks", "asking"),
    Arrow("new", "Begun", "the step waits", "waiting"),
    Arrow("new", "Begun", "only says, or the limit is reached", "finished"),
    Arrow("new", "Wrote", "to a person", "new"),
    Arrow("new", "Stopped", "", "finished"),
    Arrow("new", "Unreachable", "", "finished"),
    Arrow("new", "Withdrawn", "", "finished"),
    Arrow("asking", "Tapped", "the next step asks; or a late tap on an earlier question", "asking"),
    Arrow("asking", "Tapped", "the next step waits", "waiting"),
    Arrow("asking", "Tapped", "no next step", "finished"),
    Arrow("asking", "Wrote", "to a person; or an answer, and the next step asks", "asking"),
    Arrow("asking", "Wrote", "an answer, and the next step waits", "waiting"),
    Arrow("asking", "Wrote", "an answer, and no next step", "finished"),
    Arrow("asking", "TimerFired", "remind; or silence leads to a question", "asking"),
    Arrow("asking", "TimerFired", "silence leads to a pause", "waiting"),
    Arrow("asking", "TimerFired", "silence leads to the end; or expire", "finished"),
    Arrow("asking", "Stopped", "", "finished"),
    Arrow("asking", "Unreachable", "", "finished"),
    Arrow("asking", "Withdrawn", "", "finished"),
    Arrow("waiting", "TimerFired", "wait leads to a question", "asking"),
    Arrow("waiting", "TimerFired", "wait leads to a pause", "waiting"),
    Arrow("waiting", "TimerFired", "wait leads to the end; or expire", "finished"),
    Arrow("waiting", "Tapped", "late, and the next step asks", "asking"),
    Arrow("waiting", "Tapped", "late, and the next step waits", "waiting"),
    Arrow("waiting", "Tapped", "late, and no next step", "finished"),
    Arrow("waiting", "Wrote", "to a person", "waiting"),
    Arrow("waiting", "Stopped", "", "finished"),
    Arrow("waiting", "Unreachable", "", "finished"),
    Arrow("waiting", "Withdrawn", "", "finished"),
    Arrow("finished", "Tapped", "late, and the next step asks: reopened", "asking"),
    Arrow("finished", "Tapped", "late, and the next step waits: reopened", "waiting"),
    Arrow("finished", "Tapped", "late, and no next step; or stopped or withdrawn", "finished"),
    Arrow("finished", "Wrote", "to a person", "finished"),
    Arrow("finished", "Stopped", "nothing more goes out", "finished"),
)
"""The transition table. The tests hold the engine to it, and the documentation's diagram is drawn from it.

An event that is not in a status' rows is ignored there.
"""


def step(flow: Flow, state: State, event: Event, now: datetime) -> Transition:  # noqa: ARG001 - time is handed in by rule; durations are all that the present steps need
    """Return what follows from `event`. Pure and total: the same arguments give the same answer, and nothing raises.

    Args:
        flow: the pinned version on which the conversation began.
        state: where it stands; the caller keeps `Transition.state` in its place.
        event: what happened.
        now: the moment at which it happened, aware UTC.
    """
    match event:
        case Begun():
            return _begun(flow, state, event)
        case Tapped():
            return _tapped(flow, state, event)
        case Wrote():
            return _wrote(flow, state, event)
        case TimerFired():
            return _timer_fired(flow, state, event)
        case Stopped():
            return _stopped(state)
        case Unreachable(reason):
            return _ended_from_outside(state, Finish("unreachable", reason))
        case Withdrawn(reason):
            return _ended_from_outside(state, Finish("withdrawn", reason))
        case _:
            assert_never(event)


def _ignored(state: State, reason: str) -> Transition:
    return Transition(state, (Ignored(reason),))


# -- moving on ---------------------------------------------------------------------------------------------------------


def _enter(flow: Flow, state: State, target: str | None, *before: Effect) -> Transition:
    """Enter `target` and run on until a question, a pause or the end; `before` are the effects so far."""
    effects = list(before)
    for _ in range(MAX_STEPS_PER_EVENT):
        if target is None or target == END:
            return _finish(state, Finish("answered"), *effects)
        entered = flow.steps.get(target)
        if entered is None:
            reason = f"step {target!r} is not in this version of the flow"
            return _finish(state, Finish("withdrawn", reason), *effects)
        if state.visits >= MAX_VISITS:
            break
        state = replace(state, step=target, visits=state.visits + 1)
        match entered:
            case Ask():
                return _open_question(state, entered, effects)
            case Wait():
                state = replace(_next_turn(state), status="waiting")
                effects.append(StartTimer("wait", state.turn, entered.after))
                return Transition(state, tuple(effects))
            case End():
                return _finish(state, Finish(entered.outcome), *effects)
            case Say():
                effects.append(SendText(target, state.visits))
                target = entered.next
            case _:
                assert_never(entered)
    return _finish(state, Finish("looped"), *effects)


def _next_turn(state: State) -> State:
    return replace(state, turn=state.turn + 1, reminded=0, spoken=False, outcome=None)


def _open_question(state: State, ask: Ask, effects: list[Effect]) -> Transition:
    state = replace(_next_turn(state), status="asking")
    state = replace(state, asked=(*state.asked, Asked(state.turn, ask.name)))
    return Transition(state, (*effects, SendQuestion(ask.name, state.turn)))


def _finish(state: State, finish: Finish, *before: Effect) -> Transition:
    finished = replace(state, status="finished", outcome=finish.outcome, spoken=False)
    return Transition(finished, (*before, StopTimers(), finish))


def _open_ask(flow: Flow, state: State) -> Ask | None:
    """Return the question that is open now, if the conversation asks and the flow knows it."""
    found = flow.steps.get(state.step or "") if state.status == "asking" else None
    return found if isinstance(found, Ask) else None


def _close_open(state: State) -> tuple[Effect, ...]:
    if state.status != "asking":
        return ()
    return (CloseQuestion(state.step or "", state.turn, None),)


def _answer(state: State, turn: int) -> State:
    asked = tuple(replace(one, answered=True) if one.turn == turn else one for one in state.asked)
    return replace(state, asked=asked)


# -- beginning and ending ----------------------------------------------------------------------------------------------


def _begun(flow: Flow, state: State, event: Begun) -> Transition:
    if state.status != "new":
        return _ignored(state, "it has begun already")
    if event.step not in flow.steps:
        return _ignored(state, f"there is no step {event.step!r} in this flow")
    return _enter(flow, state, event.step, StartTimer("expire", 0, flow.expires))


def _stopped(state: State) -> Transition:
    if state.stopped:
        return _ignored(state, "the customer has stopped it already")
    silenced = replace(state, stopped=True)
    if state.status == "finished":
        # How it ended stays true; but a late tap must no longer wake it.
        return Transition(silenced, (StopTimers(),))
    return _finish(silenced, Finish("stopped"), *_close_open(state))


def _ended_from_outside(state: State, finish: Finish) -> Transition:
    if state.status == "finished":
        return _ignored(state, "it is finished already")
    # Nothing can be edited in a chat that does not take our messages.
    closing = () if finish.outcome == "unreachable" else _close_open(state)
    return _finish(state, finish, *closing)


# -- what the customer taps --------------------------------------------------------------------------------------------


def _tapped(flow: Flow, state: State, event: Tapped) -> Transition:
    asked = next((one for one in state.asked if one.turn == event.turn), None)
    if asked is None:
        return _ignored(state, f"question {event.turn} was never asked")
    if asked.answered:
        return _ignored(state, "already answered")
    ask = flow.steps.get(asked.step)
    if not isinstance(ask, Ask) or not 0 <= event.choice < len(ask.choices):
        return _ignored(state, f"there is no button {event.choice} at {asked.step!r}")
    return _chosen(flow, state, ask, event)


def _chosen(flow: Flow, state: State, ask: Ask, tap: Tapped, text: str = "") -> Transition:
    """Take a choice as made: on the open question, or late on an earlier one."""
    choice = ask.choices[tap.choice]
    is_open = state.status == "asking" and state.turn == tap.turn
    unhappy = is_unhappy(choice)
    touchpoint = choice.touchpoint or ask.touchpoint
    effects: list[Effect] = [CloseQuestion(ask.name, tap.turn, tap.choice)]
    if is_open:
        effects.append(StopTimers(("remind", "silence")))
    effects.append(RecordVerdict(ask.name, tap.turn, choice.name, choice.factors, touchpoint, text))
    if unhappy:
        said = text or label_of(choice.label)
        effects.append(OpenCase("unhappy", ask.name, choice.factors, touchpoint, said))
    elif choice.completes:
        effects.append(CompleteSale())
    state = _answer(replace(state, unhappy=state.unhappy or unhappy), tap.turn)
    if not is_open and not _may_move(state):
        return Transition(state, tuple(effects))
    if state.status == "waiting":
        effects.append(StopTimers(("wait",)))
    elif state.status == "finished":
        effects.append(StartTimer("expire", 0, flow.expires))
    return _enter(flow, state, choice.next or ask.next, *effects)


def _may_move(state: State) -> bool:
    """Tell whether a late tap may move the conversation: no question is open, nobody stopped it, its ground stands."""
    if state.status == "finished":
        return not state.stopped and state.outcome not in {"stopped", "withdrawn"}
    return state.status == "waiting"


def is_unhappy(choice: Choice) -> bool:
    """Tell whether a choice is an unhappy reply. A zero always is, whatever the flow says (rule 3)."""
    return choice.unhappy or any(value <= 0 for value in choice.factors.values())


def label_of(label: Texts) -> str:
    """Return a label for people who read it inside the firm: the English one, else the first."""
    return label.get("en") or next(iter(label.values()), "")


# -- what the customer writes ------------------------------------------------------------------------------------------


def _wrote(flow: Flow, state: State, event: Wrote) -> Transition:
    if not event.text.strip() and not event.media:
        return _ignored(state, "nothing was written")
    ask = _open_ask(flow, state)
    if ask is None:
        return _words_outside(state, event)
    if not ask.choices:
        return _words_asked_for(flow, state, ask, event)
    chosen = None if event.media or event.ambiguous else choice_said(event.text, ask.choices)
    if chosen is not None:
        return _chosen(flow, state, ask, Tapped(state.turn, chosen), event.text)
    return _words_instead_of_choice(state, ask, event)


NO_FACTORS: Mapping[Factor, float] = {}


def _verdict_in_words(state: State, event: Wrote, touchpoint: str | None) -> RecordVerdict:
    step_name = state.step or ""
    return RecordVerdict(step_name, state.turn, None, NO_FACTORS, touchpoint, event.text, event.media)


def _to_a_person(state: State, event: Wrote, touchpoint: str | None) -> Effect:
    """Hand the words to the case that stands already, else open one: a program must not guess (rule 4)."""
    if state.unhappy or state.spoken:
        return TellCase(event.text, event.media)
    step_name = state.step or ""
    return OpenCase("unclear", step_name, NO_FACTORS, touchpoint, event.text, event.media)


def _acknowledge(state: State, kind: Literal["passed_on", "noted"]) -> tuple[State, Acknowledge]:
    visit = state.acknowledged + 1
    return replace(state, acknowledged=visit), Acknowledge(kind, visit)


def _words_asked_for(flow: Flow, state: State, ask: Ask, event: Wrote) -> Transition:
    effects: list[Effect] = [
        CloseQuestion(ask.name, state.turn, None),
        StopTimers(("remind", "silence")),
        _verdict_in_words(state, event, ask.touchpoint),
        _to_a_person(state, event, ask.touchpoint),
    ]
    if not isinstance(flow.steps.get(ask.next or ""), Ask | Say):
        # No step says a word in return, so the customer would not know that anybody read it.
        state, thanks = _acknowledge(state, "passed_on")
        effects.append(thanks)
    return _enter(flow, _answer(state, state.turn), ask.next, *effects)


def _words_instead_of_choice(state: State, ask: Ask, event: Wrote) -> Transition:
    effects: list[Effect] = [
        _verdict_in_words(state, event, ask.touchpoint),
        _to_a_person(state, event, ask.touchpoint),
    ]
    if not state.spoken:
        state, thanks = _acknowledge(state, "passed_on")
        effects += [StopTimers(("remind",)), thanks]
    return Transition(replace(state, spoken=True), tuple(effects))


def _words_outside(state: State, event: Wrote) -> Transition:
    """Take words that no open question waits for: before it began, in a pause, or after the end."""
    effects: list[Effect] = [_verdict_in_words(state, event, None)]
    if not event.media and is_plain_thanks(event.text):
        # Thanks for thanks, once; after we have said something to their words, silence is the natural answer.
        if not state.stopped and not state.acknowledged:
            state, thanks = _acknowledge(state, "noted")
            effects.append(thanks)
        return Transition(state, tuple(effects))
    effects.append(_to_a_person(state, event, None))
    if not state.stopped and not state.spoken:
        state, thanks = _acknowledge(state, "passed_on")
        effects.append(thanks)
    return Transition(replace(state, spoken=True), tuple(effects))


# -- moments that have come --------------------------------------------------------------------------------------------


def _timer_fired(flow: Flow, state: State, event: TimerFired) -> Transition:
    if event.kind == "expire":
        return _expired(state, event)
    if event.turn != state.turn:
        return _ignored(state, "stale timer")
    found = flow.steps.get(state.step or "")
    if event.kind == "wait":
        if state.status != "waiting" or not isinstance(found, Wait):
            return _ignored(state, "stale timer")
        return _enter(flow, state, found.next)
    if state.status != "asking" or not isinstance(found, Ask):
        return _ignored(state, "stale timer")
    return _reminded(state, found) if event.kind == "remind" else _silent(flow, state, found)


def _expired(state: State, event: TimerFired) -> Transition:
    if event.turn != 0 or state.status not in {"asking", "waiting"}:
        return _ignored(state, "stale timer")
    outcome = "answered" if state.unhappy or state.spoken else "expired"
    return _finish(state, Finish(outcome, "its time was over"), *_close_open(state))


def _reminded(state: State, ask: Ask) -> Transition:
    if state.spoken:
        return _ignored(state, "the customer has replied")
    if state.unhappy:
        return _ignored(state, "a case is open")
    if ask.remind is None or state.reminded >= min(ask.remind.times, MAX_REMINDERS):
        return _ignored(state, "reminded often enough")
    nth = state.reminded + 1
    return Transition(replace(state, reminded=nth), (SendReminder(ask.name, state.turn, nth),))


def _silent(flow: Flow, state: State, ask: Ask) -> Transition:
    closing = (*_close_open(state), StopTimers(("remind",)))
    if state.spoken:
        return _finish(state, Finish("answered"), *closing)
    if ask.silence.next is None or ask.silence.next == END:
        return _finish(state, Finish("silent"), *closing)
    return _enter(flow, state, ask.silence.next, *closing)
