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

An answer can be changed for some minutes, unless a later question is answered by then: the question is asked anew,
under a turn of its own, and the first answer stands until another comes in its place; then what followed from it (the
case, the completed sale) is taken back.

Words are never lost. If they are exactly the label of one button they are a tap. At a question for words they are the
answer. Anywhere else they go to a person: to the case, if there is one, else to a new one, because a program must not
guess what was meant. Only a plain word of thanks after the end (or in a pause) needs nobody.

What does not fit gives the unchanged state and one `Ignored` that says why. Nothing here raises for odd input.

A stopped customer is heard (their own taps and words still count) but not spoken to: no effect towards them follows.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
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
    SendReminder,
    StartTimer,
    StopTimers,
    TakeBack,
    TellCase,
)
from bot.flows.events import (
    Begun,
    ChangedMind,
    Event,
    Happened,
    Stopped,
    Tapped,
    TimerFired,
    Unreachable,
    Withdrawn,
    Wrote,
)
from bot.flows.facts import NO_FACTS, Facts
from bot.flows.model import END, Ask, Flow, Offer, Say, Texts, Wait
from bot.flows.run import (
    MAX_STEPS_PER_EVENT,
    MAX_VISITS,
    NO_FACTORS,
    Scene,
    Transition,
    choice_of,
    close_open,
    enter,
    finish,
    is_unhappy,
    open_question,
)
from bot.flows.state import Asked, State
from bot.flows.words import choice_said, is_plain_thanks

__all__ = [
    "ARROWS",
    "MAX_REMINDERS",
    "MAX_STEPS_PER_EVENT",
    "MAX_VISITS",
    "Transition",
    "change_span",
    "is_unhappy",
    "label_of",
    "step",
]

MAX_REMINDERS = 2
"""Reminders for one question, whatever the flow says (rule 9)."""


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
    Arrow("asking", "ChangedMind", "the last answered question is asked anew", "asking"),
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
    Arrow("waiting", "ChangedMind", "the last answered question is asked anew", "asking"),
    Arrow("waiting", "Happened", "what it waits for, and the next step asks", "asking"),
    Arrow("waiting", "Happened", "what it waits for, and the next step waits", "waiting"),
    Arrow("waiting", "Happened", "what it waits for, and no next step", "finished"),
    Arrow("waiting", "Wrote", "to a person", "waiting"),
    Arrow("waiting", "Stopped", "", "finished"),
    Arrow("waiting", "Unreachable", "", "finished"),
    Arrow("waiting", "Withdrawn", "", "finished"),
    Arrow("finished", "Tapped", "late, and the next step asks: reopened", "asking"),
    Arrow("finished", "Tapped", "late, and the next step waits: reopened", "waiting"),
    Arrow("finished", "Tapped", "late, and no next step; or stopped or withdrawn", "finished"),
    Arrow("finished", "ChangedMind", "the last answered question is asked anew: reopened", "asking"),
    Arrow("finished", "Wrote", "to a person", "finished"),
    Arrow("finished", "Stopped", "nothing more goes out", "finished"),
)
"""The transition table. The tests hold the engine to it, and the documentation's diagram is drawn from it.

An event that is not in a status' rows is ignored there.
"""


def step(  # noqa: PLR0911 - one way out for each thing that can happen
    flow: Flow, state: State, event: Event, now: datetime, facts: Facts = NO_FACTS
) -> Transition:
    """Return what follows from `event`. Pure and total: the same arguments give the same answer, and nothing raises.

    Args:
        flow: the pinned version on which the conversation began.
        state: where it stands; the caller keeps `Transition.state` in its place.
        event: what happened.
        now: the moment at which it happened, aware UTC.
        facts: what is known of sale, customer and promises at that moment.
    """
    scene = Scene(flow, facts, now)
    match event:
        case Begun():
            return _begun(scene, state, event)
        case Tapped():
            return _tapped(scene, state, event)
        case ChangedMind():
            return _changed_mind(scene, state, event)
        case Wrote():
            return _wrote(scene, state, event)
        case TimerFired():
            return _timer_fired(scene, state, event)
        case Happened():
            return _happened(scene, state, event)
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


def _open_ask(flow: Flow, state: State) -> Ask | None:
    """Return the question that is open now, if the conversation asks and the flow knows it."""
    found = flow.steps.get(state.step or "") if state.status == "asking" else None
    return found if isinstance(found, Ask) else None


def _asked_at(state: State, turn: int) -> Asked | None:
    return next((one for one in state.asked if one.turn == turn), None)


def _marked(state: State, asked: Asked, **changes: object) -> State:
    """Return the state with something noted about one question."""
    changed = replace(asked, **changes)  # type: ignore[arg-type] # fields of Asked, by name
    return replace(state, asked=tuple(changed if one.turn == asked.turn else one for one in state.asked))


def _after(ask: Ask) -> str | None:
    """Return where an answer leads that says nothing else: on, or to the next promise."""
    return ask.name if ask.per_promise else ask.next


# -- beginning and ending ----------------------------------------------------------------------------------------------


def _begun(scene: Scene, state: State, event: Begun) -> Transition:
    if state.status != "new":
        return _ignored(state, "it has begun already")
    if event.step not in scene.flow.steps:
        return _ignored(state, f"there is no step {event.step!r} in this flow")
    return enter(scene, state, event.step, StartTimer("expire", 0, scene.flow.expires))


def _stopped(state: State) -> Transition:
    if state.stopped:
        return _ignored(state, "the customer has stopped it already")
    silenced = replace(state, stopped=True)
    if state.status == "finished":
        # How it ended stays true; but a late tap must no longer wake it.
        return Transition(silenced, (StopTimers(),))
    return finish(silenced, Finish("stopped"), *close_open(state))


def _ended_from_outside(state: State, end: Finish) -> Transition:
    if state.status == "finished":
        return _ignored(state, "it is finished already")
    # Nothing can be edited in a chat that does not take our messages.
    closing = () if end.outcome == "unreachable" else close_open(state)
    return finish(state, end, *closing)


# -- what the customer taps --------------------------------------------------------------------------------------------


def _tapped(scene: Scene, state: State, event: Tapped) -> Transition:
    asked = _asked_at(state, event.turn)
    if asked is None:
        return _ignored(state, f"question {event.turn} was never asked")
    if asked.answered:
        return _ignored(state, "already answered")
    ask = scene.flow.steps.get(asked.step)
    if not isinstance(ask, Ask) or not 0 <= event.choice < len(ask.choices):
        return _ignored(state, f"there is no button {event.choice} at {asked.step!r}")
    return _chosen(scene, state, ask, asked, event.choice)


def _chosen(scene: Scene, state: State, ask: Ask, asked: Asked, number: int, text: str = "") -> Transition:
    """Take a choice as made: on the open question, or late on an earlier one."""
    choice = ask.choices[number]
    is_open = state.status == "asking" and state.turn == asked.turn
    unhappy = is_unhappy(choice)
    touchpoint = choice.touchpoint or ask.touchpoint
    effects: list[Effect] = [CloseQuestion(ask.name, asked.turn, number)]
    if is_open:
        effects.append(StopTimers(("remind", "silence")))
    state, taken_back = _taken_back(scene, state, asked, unhappy=unhappy)
    effects += taken_back
    effects.append(
        RecordVerdict(ask.name, asked.turn, choice.name, choice.factors, touchpoint, text, promise=asked.promise)
    )
    if unhappy:
        said = text or label_of(choice.label)
        effects.append(OpenCase("unhappy", ask.name, choice.factors, touchpoint, said, promise=asked.promise))
    elif choice.completes:
        effects.append(CompleteSale())
    elif ask.reason_for is not None and state.unhappy:
        effects.append(TellCase(text or label_of(choice.label), touchpoint=choice.touchpoint))
    state = _marked(
        replace(state, unhappy=state.unhappy or unhappy), asked, answered=True, choice=number, at=scene.now.isoformat()
    )
    if not is_open and not _may_move(state):
        return _remembered(Transition(state, tuple(effects)), asked.turn)
    if state.status == "waiting":
        effects.append(StopTimers(("wait",)))
    elif state.status == "finished":
        effects.append(StartTimer("expire", 0, scene.flow.expires))
    answering = replace(scene, is_happy_choice=not unhappy)
    about = replace(state, promise=asked.promise)
    return _remembered(enter(answering, about, choice.next or _after(ask), *effects), asked.turn)


def _remembered(transition: Transition, turn: int) -> Transition:
    """Note at the question that its answer completed the sale, so that a change of mind can take that back."""
    asked = _asked_at(transition.state, turn)
    if asked is None or CompleteSale() not in transition.effects:
        return transition
    return replace(transition, state=_marked(transition.state, asked, completed=True))


def _may_move(state: State) -> bool:
    """Tell whether a late tap may move the conversation: no question is open, nobody stopped it, its ground stands."""
    if state.status == "finished":
        return not state.stopped and state.outcome not in {"stopped", "withdrawn"}
    return state.status == "waiting"


# -- changing an answer ------------------------------------------------------------------------------------------------


def change_span(flow: Flow, facts: Facts) -> timedelta:
    """Return how long an answer can be changed: as the flow says, or else the shop; zero: never."""
    return facts.change_answer if flow.change_answer is None else flow.change_answer.span


def _changed_mind(scene: Scene, state: State, event: ChangedMind) -> Transition:
    """Ask the last answered question once more; what was answered stands until a new answer comes."""
    asked = _asked_at(state, event.turn)
    ask = scene.flow.steps.get(asked.step) if asked is not None else None
    if asked is None or not isinstance(ask, Ask) or asked.choice is None or asked.at is None:
        return _ignored(state, "there is no answer to change")
    refused = _cannot_change(scene, state, asked)
    if refused is not None:
        return _ignored(state, refused)
    effects: list[Effect] = [CloseQuestion(ask.name, asked.turn, None)]
    if state.status == "asking":
        effects += [*close_open(state), StopTimers(("remind", "silence"))]
        open_now = _asked_at(state, state.turn)
        state = state if open_now is None else _marked(state, open_now, put_back=True)
    elif state.status == "waiting":
        effects.append(StopTimers(("wait",)))
    else:
        effects.append(StartTimer("expire", 0, scene.flow.expires))
    state = replace(state, promise=asked.promise, visits=state.visits + 1)
    return open_question(state, ask, *effects, instead_of=asked.turn)


def _cannot_change(scene: Scene, state: State, asked: Asked) -> str | None:
    later = [one for one in state.asked if one.turn > asked.turn]
    is_over = state.status == "finished" and not _may_move(state)
    if state.stopped or is_over or state.outcome == "unreachable":
        return "the conversation is over"
    if any(one.answered for one in later):
        return "a later question is answered already"
    if any(one.instead_of == asked.turn and not one.put_back for one in later):
        return "the question is asked anew already"
    if scene.now - datetime.fromisoformat(asked.at or "") >= change_span(scene.flow, scene.facts):
        return "the time to change the answer is over"
    return "the conversation went round too often" if state.visits >= MAX_VISITS else None


def _taken_back(scene: Scene, state: State, asked: Asked, *, unhappy: bool) -> tuple[State, list[Effect]]:
    """Take an earlier answer back where this one is given in its place: its case, its completion."""
    before = _asked_at(state, asked.instead_of) if asked.instead_of is not None else None
    if before is None:
        return state, []
    others = [choice for one in state.asked if one != before and (choice := choice_of(scene.flow, one)) is not None]
    was = choice_of(scene.flow, before)
    was_unhappy = was is not None and is_unhappy(was)
    state = replace(state, unhappy=any(is_unhappy(choice) for choice in others))
    state = _marked(state, before, choice=None, completed=False)
    factors = NO_FACTORS if was is None else was.factors
    loses_case = was_unhappy and not unhappy
    taken = TakeBack(before.step, before.turn, before.at, loses_case, before.completed, factors, before.promise)
    return state, [taken]


def label_of(label: Texts) -> str:
    """Return a label for people who read it inside the firm: the English one, else the first."""
    return label.get("en") or next(iter(label.values()), "")


# -- what the customer writes ------------------------------------------------------------------------------------------


def _wrote(scene: Scene, state: State, event: Wrote) -> Transition:
    if not event.text.strip() and not event.media:
        return _ignored(state, "nothing was written")
    ask = _open_ask(scene.flow, state)
    asked = _asked_at(state, state.turn)
    if ask is None:
        return _words_outside(scene, state, event)
    if not ask.choices:
        return _words_asked_for(scene, state, ask, event)
    chosen = None if event.media or event.ambiguous else choice_said(event.text, ask.choices)
    if chosen is not None and asked is not None:
        return _chosen(scene, state, ask, asked, chosen, event.text)
    return _words_instead_of_choice(state, ask, event)


def _verdict_in_words(state: State, event: Wrote, touchpoint: str | None) -> RecordVerdict:
    step_name = state.step or ""
    return RecordVerdict(
        step_name, state.turn, None, NO_FACTORS, touchpoint, event.text, event.media, promise=state.promise
    )


def _to_a_person(state: State, event: Wrote, touchpoint: str | None) -> Effect:
    """Hand the words to the case that stands already, else open one: a program must not guess (rule 4)."""
    if state.unhappy or state.spoken:
        return TellCase(event.text, event.media)
    step_name = state.step or ""
    return OpenCase("unclear", step_name, NO_FACTORS, touchpoint, event.text, event.media, promise=state.promise)


def _acknowledge(state: State, kind: Literal["passed_on", "noted"]) -> tuple[State, Acknowledge]:
    visit = state.acknowledged + 1
    return replace(state, acknowledged=visit), Acknowledge(kind, visit)


def _words_asked_for(scene: Scene, state: State, ask: Ask, event: Wrote) -> Transition:
    effects: list[Effect] = [
        CloseQuestion(ask.name, state.turn, None),
        StopTimers(("remind", "silence")),
        _verdict_in_words(state, event, ask.touchpoint),
        _to_a_person(state, event, ask.touchpoint),
    ]
    if not isinstance(scene.flow.steps.get(_after(ask) or ""), Ask | Say | Offer):
        # No step says a word in return, so the customer would not know that anybody read it.
        state, thanks = _acknowledge(state, "passed_on")
        effects.append(thanks)
    asked = _asked_at(state, state.turn)
    state = state if asked is None else _marked(state, asked, answered=True, at=scene.now.isoformat())
    return enter(scene, state, _after(ask), *effects)


def _words_instead_of_choice(state: State, ask: Ask, event: Wrote) -> Transition:
    effects: list[Effect] = [
        _verdict_in_words(state, event, ask.touchpoint),
        _to_a_person(state, event, ask.touchpoint),
    ]
    if not state.spoken:
        state, thanks = _acknowledge(state, "passed_on")
        effects += [StopTimers(("remind",)), thanks]
    return Transition(replace(state, spoken=True), tuple(effects))


def _words_outside(scene: Scene, state: State, event: Wrote) -> Transition:
    """Take words that no open question waits for: before it began, in a pause, or after the end."""
    effects: list[Effect] = [_verdict_in_words(state, event, None)]
    if not event.media and is_plain_thanks(event.text, scene.facts.thanks):
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


def _timer_fired(scene: Scene, state: State, event: TimerFired) -> Transition:
    if event.kind == "expire":
        return _expired(state, event)
    if event.turn != state.turn:
        return _ignored(state, "stale timer")
    found = scene.flow.steps.get(state.step or "")
    if event.kind == "wait":
        if state.status != "waiting" or not isinstance(found, Wait):
            return _ignored(state, "stale timer")
        return enter(scene, state, found.otherwise if found.events else found.next)
    if state.status != "asking" or not isinstance(found, Ask):
        return _ignored(state, "stale timer")
    return _reminded(state, found) if event.kind == "remind" else _silent(scene, state, found)


def _happened(scene: Scene, state: State, event: Happened) -> Transition:
    found = scene.flow.steps.get(state.step or "")
    if state.status != "waiting" or not isinstance(found, Wait) or event.event not in found.events:
        return _ignored(state, f"it does not wait for {event.event}")
    return enter(scene, state, found.next, StopTimers(("wait",)))


def _expired(state: State, event: TimerFired) -> Transition:
    if event.turn != 0 or state.status not in {"asking", "waiting"}:
        return _ignored(state, "stale timer")
    outcome = "answered" if state.unhappy or state.spoken else "expired"
    return finish(state, Finish(outcome, "its time was over"), *close_open(state))


def _reminded(state: State, ask: Ask) -> Transition:
    if state.spoken:
        return _ignored(state, "the customer has replied")
    if state.unhappy:
        return _ignored(state, "a case is open")
    if ask.remind is None or state.reminded >= min(ask.remind.times, MAX_REMINDERS):
        return _ignored(state, "reminded often enough")
    nth = state.reminded + 1
    return Transition(replace(state, reminded=nth), (SendReminder(ask.name, state.turn, nth),))


def _silent(scene: Scene, state: State, ask: Ask) -> Transition:
    closing = (*close_open(state), StopTimers(("remind",)))
    if state.spoken:
        return finish(state, Finish("answered"), *closing)
    if ask.silence.next is None or ask.silence.next == END:
        return finish(state, Finish("silent"), *closing)
    return enter(scene, state, ask.silence.next, *closing)
