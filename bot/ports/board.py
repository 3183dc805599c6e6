"""What staff are told at a glance: cases as they stand, figures of the day, what a search found. Values alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

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


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """What a form says about a case. `language` is an IETF tag, or ""; `team` a key of the shop's teams.

    `has_fallen_back`: it stands in the fallback channel, because its team's own cannot be used.
    """

    customer: str
    language: str
    team: str = ""
    sale_id: str = ""
    bought: str = ""
    said: str = ""
    has_fallen_back: bool = False


class Answers(Protocol):
    """What staff can ask from where they are; whoever takes their clicks is handed this."""

    async def facts(self, case_id: str) -> CaseFacts | None:
        """Give what a form says about a case; None where there is none of that id."""

    async def task_team(self, case_id: str, task_id: str) -> str | None:
        """Give the team that is asked for a task; None where there is no such task."""

    async def compose(self, case_id: str, name: str, text: str) -> str:
        """Give a reply exactly as the customer would get it."""

    async def board(self, user: str, teams: Sequence[str]) -> Board:
        """Give what a member of staff, who may work for `teams`, sees first."""

    async def running(self) -> Running:
        """Give how the program is."""

    async def pause(self, user: str) -> None:
        """Let the bot say nothing of its own accord until somebody resumes."""

    async def resume(self, user: str) -> None:
        """End that."""

    async def why(self, order: str) -> Sequence[str]:
        """Say in lines why which message of a sale was sent, or not, and what comes next.

        Raises:
            NotFound: there is no such sale.
        """

    async def find(self, text: str) -> Sequence[Found]:
        """Give the sales whose order number or customer has `text` in it, newest first."""
