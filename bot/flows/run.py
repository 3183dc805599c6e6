"""Running on through a flow: from a step through all that wants nothing, to a question, a pause or the end.

What lives here: entering steps, opening questions, finishing, and the limits that end an admin's circle politely. What
must not: what an event means (`bot.flows.engine`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, assert_never

from bot.flows.effects import (
    CloseQuestion,
    CompleteSale,
    Effect,
    Finish,
    NoteTrouble,
    OpenCase,
    SendOffer,
    SendQuestion,
    SendText,
    StartTimer,
    StopTimers,
)
from bot.flows.expressions import evaluate, holds
from bot.flows.facts import Facts, due_promises, values_of, variant_for
from bot.flows.model import (
    END,
    Ask,
    Branch,
    Choice,
    Complete,
    End,
    Factor,
    Flow,
    GoTo,
    Offer,
    OpenCaseStep,
    Say,
    Set,
    Wait,
)
from bot.flows.state import Asked, State
from bot.flows.times import is_sensible, on_the_clock

MAX_STEPS_PER_EVENT = 50
"""Steps that one event may run through without a question or a pause."""

MAX_VISITS = 200
"""Steps that one conversation may enter in all its life."""

NO_FACTORS: Mapping[Factor, float] = {}


@dataclass(frozen=True, slots=True)
class Transition:
    """The answer of the engine: where the conversation now stands, and what is to be done, in this order."""

    state: State
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """What stays the same while one event is worked on.

    `is_happy_choice`: the event is the customer's own choice, and not an unhappy one; only then can a sale be complete.
    """

    flow: Flow
    facts: Facts
    now: datetime
    is_happy_choice: bool = False


def is_unhappy(choice: Choice) -> bool:
    """Tell whether a choice is an unhappy reply. A zero always is, whatever the flow says (rule 3)."""
    return choice.unhappy or any(value <= 0 for value in choice.factors.values())


def choice_of(flow: Flow, asked: Asked) -> Choice | None:
    """Return the choice that answered a question; None where it is open, or was answered by words."""
    ask = flow.steps.get(asked.step)
    if asked.choice is None or not isinstance(ask, Ask) or not 0 <= asked.choice < len(ask.choices):
        return None
    return ask.choices[asked.choice]


def own_values(flow: Flow, state: State, facts: Facts) -> dict[str, Any]:
    """Return what the conversation itself knows, under the names of `bot.flows.expressions.NAMES`."""
    answers: dict[str, str] = {}
    last: dict[str, Any] = {}
    for asked in state.asked:
        choice = choice_of(flow, asked)
        if choice is not None and asked.answered:
            answers[asked.step] = choice.name
            last = {"step": asked.step, "choice": choice.name, "unhappy": is_unhappy(choice)}
    promise = next((each for each in facts.promises if each.id == state.promise), None)
    about = (
        {name: getattr(promise, name) for name in ("id", "text", "touchpoint", "due_at", "state")} if promise else {}
    )
    return {
        "answer": last,
        "answers": answers,
        "unhappy": state.unhappy,
        "vars": dict(state.notes),
        "promise": about,
    }


def conditions_for(scene: Scene, state: State) -> dict[str, Any]:
    """Return all that a condition can see here and now."""
    return values_of(scene.facts, scene.now, own_values(scene.flow, state, scene.facts))


# -- moving on ---------------------------------------------------------------------------------------------------------


def enter(scene: Scene, state: State, target: str | None, *before: Effect) -> Transition:  # noqa: C901, PLR0912 - one arm for each kind of step
    """Enter `target` and run on until a question, a pause or the end; `before` are the effects so far."""
    effects = list(before)
    for _ in range(MAX_STEPS_PER_EVENT):
        if target is None or target == END:
            return finish(state, Finish("answered"), *effects)
        entered = scene.flow.steps.get(target)
        if entered is None:
            reason = f"step {target!r} is not in this version of the flow"
            return finish(state, Finish("withdrawn", reason), *effects)
        if state.visits >= MAX_VISITS:
            break
        state = replace(state, step=target, visits=state.visits + 1)
        match entered:
            case Ask():
                state, is_asked = _for_a_promise(scene, state, entered)
                if is_asked:
                    return open_question(state, entered, *effects)
                target = entered.next
            case Wait():
                timer = _pause(scene, state, entered, effects)
                if timer is not None:
                    state = replace(next_turn(state), status="waiting")
                    return Transition(state, (*effects, replace(timer, turn=state.turn)))
                target = _way_past(entered, effects)
            case End():
                return finish(state, Finish(entered.outcome), *effects)
            case Say():
                effects.append(SendText(target, state.visits))
                target = entered.next
            case Offer():
                effects.append(_offer(scene, state, entered))
                target = entered.next
            case Branch():
                target = _branch(scene, state, entered, effects)
            case Set():
                state = _set(scene, state, entered, effects)
                target = entered.next
            case OpenCaseStep():
                effects.append(_case(state, entered))
                target = entered.next
            case Complete():
                effects.append(_complete(scene, entered))
                target = entered.next
            case GoTo():
                target = entered.next
            case _:
                assert_never(entered)
    return finish(state, Finish("looped"), *effects)


def next_turn(state: State) -> State:
    """Return the state with the number of the next question or pause."""
    return replace(state, turn=state.turn + 1, reminded=0, spoken=False, outcome=None)


def open_question(state: State, ask: Ask, *before: Effect, instead_of: int | None = None) -> Transition:
    """Ask: the one question that is now open."""
    asked = Asked(state.turn + 1, ask.name, promise=state.promise, instead_of=instead_of)
    state = replace(next_turn(state), status="asking", step=ask.name, asked=(*state.asked, asked))
    return Transition(state, (*before, SendQuestion(ask.name, state.turn)))


def finish(state: State, end: Finish, *before: Effect) -> Transition:
    """End the conversation; whatever it had planned is stopped first."""
    finished = replace(state, status="finished", outcome=end.outcome, spoken=False)
    return Transition(finished, (*before, StopTimers(), end))


def close_open(state: State) -> tuple[Effect, ...]:
    """Return what takes the buttons of the open question away, if one is open."""
    if state.status != "asking":
        return ()
    return (CloseQuestion(state.step or "", state.turn, None),)


# -- single steps ------------------------------------------------------------------------------------------------------


def _for_a_promise(scene: Scene, state: State, ask: Ask) -> tuple[State, bool]:
    """Take the next promise for a question that is asked for each; give whether there is one (or none is needed)."""
    if not ask.per_promise:
        return state, True
    spoken_of = {each.promise for each in state.asked if each.step == ask.name and not each.put_back}
    left = [each for each in due_promises(scene.facts, scene.now) if each.id not in spoken_of]
    return replace(state, promise=left[0].id if left else None), bool(left)


def _pause(scene: Scene, state: State, wait: Wait, effects: list[Effect]) -> StartTimer | None:
    """Return the timer that ends a pause, or None where there is nothing to wait for."""
    if any(event in scene.facts.happened for event in wait.events):
        return None
    own = own_values(scene.flow, state, scene.facts)
    variant = variant_for(wait.variants, scene.facts, scene.now, own)
    after = wait.after if variant is None or variant.after is None else variant.after
    since = None
    if wait.since is not None:
        since = scene.facts.happened.get(wait.since)
        if since is None:
            effects.append(NoteTrouble(wait.name, f"{wait.since} has not happened; the pause counts from now"))
    if wait.moment is not None:
        since = _moment(scene, state, wait.moment)
        if since is None:
            effects.append(NoteTrouble(wait.name, f"{wait.moment!r} is no moment here; the pause was left out"))
            return None
    return StartTimer("wait", state.turn, after, since, wait.window)


def _moment(scene: Scene, state: State, written: datetime | str) -> datetime | None:
    """Return the moment that a pause waits for; a text of the shop's is read as one where it can be."""
    if isinstance(written, datetime):
        if not is_sensible(written):
            return None
        return on_the_clock(written, scene.facts.zone, scene.now)
    value = evaluate(written, conditions_for(scene, state)).value
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime) or not is_sensible(value):
        return None
    return value.astimezone(UTC) if value.tzinfo else on_the_clock(value, scene.facts.zone, scene.now)


def _way_past(wait: Wait, effects: list[Effect]) -> str | None:
    """Return where a pause that is none leads: on, or where its moment is unknown, the other way."""
    failed = bool(effects) and isinstance(effects[-1], NoteTrouble) and effects[-1].step == wait.name
    return wait.otherwise or wait.next if failed else wait.next


def _branch(scene: Scene, state: State, branch: Branch, effects: list[Effect]) -> str | None:
    values = conditions_for(scene, state)
    for arm in branch.arms:
        answer = holds(arm.condition, values)
        if answer.trouble:
            effects.append(NoteTrouble(branch.name, f"the condition does not hold: {answer.trouble}"))
        if answer.value:
            return arm.next
    return branch.otherwise


def _set(scene: Scene, state: State, entered: Set, effects: list[Effect]) -> State:
    notes = dict(state.notes)
    values = conditions_for(scene, state)
    for name, source in entered.values.items():
        answer = evaluate(source, values)
        if answer.trouble:
            effects.append(NoteTrouble(entered.name, f"{name} stays unknown: {answer.trouble}"))
        value = answer.value
        notes[name] = value.isoformat() if isinstance(value, datetime) else value
    return replace(state, notes=notes)


def _case(state: State, entered: OpenCaseStep) -> Effect:
    return OpenCase(
        "flow", entered.name, NO_FACTORS, entered.touchpoint, entered.about, promise=state.promise, team=entered.team
    )


def _complete(scene: Scene, entered: Complete) -> Effect:
    if scene.is_happy_choice:
        return CompleteSale()
    return NoteTrouble(entered.name, "not complete: only the customer's own happy choice completes a sale")


def _offer(scene: Scene, state: State, offer: Offer) -> Effect:
    if not scene.facts.links.get(offer.what):
        return NoteTrouble(offer.name, f"not offered: the shop has no link for a {offer.what}")
    if offer.what == "referral" and not _is_happy(scene, state):
        return NoteTrouble(offer.name, "not offered: a referral is for those alone who said that they are happy")
    return SendOffer(offer.name, state.visits)


def _is_happy(scene: Scene, state: State) -> bool:
    """Tell whether the customer said something good here, and nothing bad anywhere."""
    said = [choice for each in state.asked if (choice := choice_of(scene.flow, each)) is not None and each.answered]
    is_well = any(choice.completes or any(value > 0 for value in choice.factors.values()) for choice in said)
    is_unwell = state.unhappy or bool(scene.facts.case.get("open")) or 0 in scene.facts.factors.values()
    return is_well and not is_unwell
