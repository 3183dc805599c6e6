"""Where one customer stands in one pinned version of a flow. Frozen, and serialisable between any two events."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Status: TypeAlias = Literal["new", "asking", "waiting", "finished"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that went out: its number, its step, and whether a choice answered it."""

    turn: int
    step: str
    answered: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """The whole memory of a conversation between two events.

    `turn` numbers questions and waits, so that a late timer or button is known for what it is. `visits` counts the
    steps entered, which bounds loops. `unhappy`: an unhappy reply was given here, so further words belong to the case.
    `spoken`: words came since the open question, so no reminder and no "silence"; outside a question: words came that
    a person was told of. `stopped`: the customer said stop, so nothing more goes out to them from this conversation,
    even where it had ended another way before. `acknowledged` counts the thanks for words, and so numbers them.
    """

    status: Status = "new"
    step: str | None = None
    turn: int = 0
    visits: int = 0
    reminded: int = 0
    spoken: bool = False
    unhappy: bool = False
    asked: tuple[Asked, ...] = ()
    outcome: str | None = None
    stopped: bool = False
    acknowledged: int = 0


def state_to(state: State) -> dict[str, Any]:
    """Return `state` as plain values that JSON can hold."""
    asked = [{"turn": each.turn, "step": each.step, "answered": each.answered} for each in state.asked]
    return {name: getattr(state, name) for name in State.__dataclass_fields__} | {"asked": asked}


def state_from(values: Mapping[str, Any]) -> State:
    """Return the state that `state_to` wrote, also after a way through JSON.

    Fields that an older program did not know take their defaults; fields that this one no longer knows are left out, so
    that a running conversation survives an upgrade.
    """
    known = {name: values[name] for name in State.__dataclass_fields__ if name in values}
    asked = tuple(
        Asked(turn=one["turn"], step=one["step"], answered=one.get("answered", False)) for one in known.pop("asked", ())
    )
    return State(**known, asked=asked)
