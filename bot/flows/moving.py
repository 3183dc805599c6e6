"""Whether a conversation may go on in another version of its flow, and how it stands there. Pure.

A customer may have a question before them whose buttons say, by their place, what they mean. So a conversation moves
only where its open step is there and takes the same kind of answer, and each button that was sent still means what it
meant. Answers given before keep their meaning by their names. Nothing is asked, said or timed anew by moving.
"""

from dataclasses import replace

from bot.flows.model import Ask, Flow, Step, Wait
from bot.flows.state import Asked, State


def carried_over(old: Flow, new: Flow, state: State) -> State | str:
    """Return how a conversation stands in `new`, or in words why it has to stay on `old`."""
    if state.status not in {"asking", "waiting"}:
        return "it has ended" if state.status == "finished" else "it has not begun"
    was, becomes = old.steps.get(state.step or ""), new.steps.get(state.step or "")
    if was is None or becomes is None:
        return f"its step “{state.step}” is not there any more"
    reason = _unlike(was, becomes)
    if reason is not None:
        return reason
    asked = []
    for each in state.asked:
        carried = _carried(old, new, each)
        if isinstance(carried, str):
            return carried
        asked.append(carried)
    return replace(state, asked=tuple(asked))


def _unlike(was: Step, becomes: Step) -> str | None:
    """Say why an open step does not take the same kind of answer."""
    if type(was) is not type(becomes):
        return f"its step “{was.name}” is of another kind now"
    if isinstance(was, Wait) and isinstance(becomes, Wait) and bool(was.events) != bool(becomes.events):
        return f"its pause “{was.name}” waits for something else now"
    if isinstance(was, Ask) and isinstance(becomes, Ask):
        return _other_buttons(was, becomes)
    return None


def _other_buttons(was: Ask, becomes: Ask) -> str | None:
    before, after = [each.name for each in was.choices], [each.name for each in becomes.choices]
    if bool(before) != bool(after) or was.per_promise != becomes.per_promise:
        return f"its question “{was.name}” takes another kind of answer now"
    gone = [name for name in before if name not in after]
    if gone:
        return f"“{gone[0]}” is no answer to its question “{was.name}” any more"
    if after[: len(before)] != before:
        return f"the buttons of its question “{was.name}” stand in another order now"
    return None


def _carried(old: Flow, new: Flow, asked: Asked) -> Asked | str:
    """Return a question that went out before as it stands in `new`: an answer keeps its name, not its place."""
    was, becomes = old.steps.get(asked.step), new.steps.get(asked.step)
    if not isinstance(was, Ask):
        return asked
    if not asked.answered:
        # Its buttons may be on the customer's screen: a late tap still counts.
        if not isinstance(becomes, Ask):
            return f"its question “{asked.step}”, which can still be answered, is not there any more"
        return _other_buttons(was, becomes) or asked
    if asked.choice is None or not 0 <= asked.choice < len(was.choices):
        return asked
    name = was.choices[asked.choice].name
    places = (
        [place for place, each in enumerate(becomes.choices) if each.name == name] if isinstance(becomes, Ask) else []
    )
    if not places:
        return f"the answer “{name}” that was given to “{asked.step}” is not there any more"
    return replace(asked, choice=places[0])
