"""Where one customer stands in one pinned version of a flow. Frozen, and serialisable between any two events."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

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

    `turn` numbers questions and waits, so that a late timer or button is known for what it is. `visits` counts the steps
    entered, which bounds loops. `unhappy`: an unhappy reply was given here, so further words belong to the case. `spoken`:
    words came since the open question, so no reminder and no "silence".
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
