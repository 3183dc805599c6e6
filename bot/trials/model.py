"""A flow test as data: what is given, what happens, what is to be said. Frozen, and valid once it was read.

Reading it from YAML lives in `bot.trials.parse`, running it in `bot.trials.trial`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from bot.desk.shop import Guards
from bot.flows.yaml_tree import Place
from bot.trials.moments import When


@dataclass(frozen=True, slots=True)
class Act:
    """Something that happens: `kind` names it (``event``, ``tap``, ``write`` …), `value` is what stands behind it.

    ``silence`` is an act, too: nobody does anything until then, and nothing may be said meanwhile.
    """

    kind: str
    value: str
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Says:
    """The bot says this next: each of `texts` stands in it, or (`exactly`) it is just this one; `buttons` None: any."""

    texts: tuple[str, ...]
    exactly: bool = False
    buttons: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class CaseStands:
    """A case stands so; None: whatever. `team` is ``none`` where there must be no case."""

    team: str | None = None
    factor: str | None = None
    touchpoint: str | None = None
    status: str | None = None
    cycle: int | None = None


@dataclass(frozen=True, slots=True)
class StaffTold:
    """Staff was told this in the case's thread, after the last line that looked for such."""

    text: str


@dataclass(frozen=True, slots=True)
class SaleStands:
    """The sale is complete, or it is not."""

    complete: bool


@dataclass(frozen=True, slots=True)
class Ends:
    """The conversation of the flow has ended so: answered, silent, stopped, expired, and so on."""

    outcome: str


Line: TypeAlias = Act | Says | CaseStands | StaffTold | SaleStands | Ends


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the story, where it stands in the file, and the moment that was written at it, if any."""

    line: Line
    place: Place
    at: When | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """How things stand at the beginning. `sale` is that of a native event, with its customer.

    `consents` None: the chat is not linked yet. `flows`: which others may begin as well. `guards` None: the shop's.
    """

    start: When
    sale: Mapping[str, Any]
    consents: tuple[str, ...] | None = ("service", "result")
    guards: Guards | None = None
    flows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """One test: a setting and a story."""

    name: str
    flow: str
    setting: Setting
    story: tuple[Step, ...]
    file: str = ""
    about: str = ""
