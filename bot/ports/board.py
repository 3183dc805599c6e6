"""What staff are told at a glance: cases as they stand, figures of the day, what a search found. Values alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.desk.states import Case
from bot.ports.channels import Light
from bot.ports.records import Customer, Post, Sale


@dataclass(frozen=True, slots=True)
class CaseSeen:
    """A case with whom and what it is about, and where its card stands, if it does."""

    case: Case
    customer: Customer
    sale: Sale
    post: Post | None


@dataclass(frozen=True, slots=True)
class Line:
    """One case, or one task, of a list: in plain words, times written for its team. `card` is where it stands."""

    title: str
    about: str
    light: Light
    light_word: str
    light_shape: str
    due: str
    claimed_by: str | None = None
    card: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Board:
    """What one member of staff sees first: each list the most pressing first, and how many more there are of it.

    `teams` are those that they may work for; without any there is nothing to see.
    """

    at: str
    language: str = "en"
    shop: str = ""
    teams: Sequence[str] = ()
    mine: Sequence[Line] = ()
    team: Sequence[Line] = ()
    waiting: Sequence[Line] = ()
    tasks: Sequence[Line] = ()
    more: Mapping[str, int] = field(default_factory=dict)
    figures: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Running:
    """How the program is, for those who answer for it: what is not well, and since when and why it is paused."""

    problems: Sequence[str] = ()
    paused: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A sale that a search found, in words: how far it is, what the customer last said, and its case."""

    sale_id: str
    customer: str
    bought: str
    stage: str
    case: str
    card: tuple[str, str] | None = None
