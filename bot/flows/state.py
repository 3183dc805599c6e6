"""Where one customer stands in one pinned version of a flow. Frozen, and serialisable between any two events."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

NO_NOTES: Mapping[str, Any] = MappingProxyType({})

Status: TypeAlias = Literal["new", "asking", "waiting", "finished"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that went out: its number, its step, and whether (and when, and with which choice) it was answered.

    `promise`: the promise that it is about. `instead_of`: the earlier turn whose answer is being changed. `put_back`:
    it was closed only because an earlier answer was to be changed. `completed`: its answer completed the sale.
    """

    turn: int
    step: str
    answered: bool = False
    choice: int | None = None
    at: str | None = None
    promise: str | None = None
    instead_of: int | None = None
    put_back: bool = False
    completed: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """The whole memory of a conversation between two events.

    `turn` numbers questions and waits, so that a late timer or button is known for what it is. `visits` counts the
    steps entered, which bounds loops. `unhappy`: an unhappy reply was given here, so further words belong to the case.
    `spoken`: words came since the open question, so no reminder and no "silence"; outside a question: words came that
    a person was told of. `stopped`: the customer said stop, so nothing more goes out to them from this conversation,
    even where it had ended another way before. `acknowledged` counts the thanks for words, and so numbers them.
    `notes` is what steps set; `promise` the promise that is being spoken of. `about` names the items (by sku) that it
    is about, where it is not about the whole order; `batch` is the import that it began by, if it did.
    `follows`: it began in the same talk as another, right after the customer's answer there.
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
    notes: Mapping[str, Any] = field(default_factory=lambda: NO_NOTES)
    promise: str | None = None
    about: tuple[str, ...] = ()
    batch: str = ""
    follows: bool = False


def state_to(state: State) -> dict[str, Any]:
    """Return `state` as plain values that JSON can hold."""
    asked = [{name: value for name in _ASKED if (value := getattr(each, name)) != _ASKED[name]} for each in state.asked]
    return {name: getattr(state, name) for name in State.__dataclass_fields__} | {
        "asked": asked,
        "notes": dict(state.notes),
        "about": list(state.about),
    }


_NEVER = object()
_ASKED: Mapping[str, Any] = {
    each.name: _NEVER if each.name in {"turn", "step"} else each.default for each in fields(Asked)
}
"""The fields of a question, each with the value that need not be stored."""


def state_from(values: Mapping[str, Any]) -> State:
    """Return the state that `state_to` wrote, also after a way through JSON.

    Fields that an older program did not know take their defaults; fields that this one no longer knows are left out, so
    that a running conversation survives an upgrade.
    """
    known = {name: values[name] for name in State.__dataclass_fields__ if name in values}
    asked = tuple(Asked(**{name: one[name] for name in _ASKED if name in one}) for one in known.pop("asked", ()))
    notes = dict(known.pop("notes", None) or NO_NOTES)
    about = tuple(known.pop("about", ()))
    return State(**known, asked=asked, notes=notes, about=about)
