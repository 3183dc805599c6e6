"""What the commands about versions of flows work on, and what they all ask and write.

What is decided stands in `bot.publishing`.
"""

import getpass
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import typer

from bot import publishing
from bot.adapters.flow_files import FlowFiles
from bot.adapters.shop_file import default_shop
from bot.app.base import Base
from bot.app.drafts import Drafts
from bot.cli.terminal import counted, say
from bot.errors import FollowUpError, NotFound
from bot.flows.model import Flow
from bot.flows.yaml_tree import did_you_mean
from bot.ports.records import Publication
from bot.ports.store import UnitOfWork
from bot.settings import Settings


@dataclass(frozen=True, slots=True)
class Desk:
    """The files as they are now, without anything that stands in for them, and the house with its database."""

    base: Base
    drafts: Drafts

    @property
    def files(self) -> FlowFiles:
        """The flows as their files have them at this moment."""
        return self.drafts.flow_files

    def now_running(self) -> Mapping[str, Publication]:
        """Give the newest publication of each flow."""
        return self.base.flows.heads

    def names(self) -> list[str]:
        """Give the names of all flows, in a file or published."""
        return sorted({*self.files.flows, *self.now_running()})

    def known(self, name: str) -> str:
        """Make sure that there is such a flow, in a file or published.

        Raises:
            NotFound: there is none; says which there are.
        """
        if name not in self.names() and not self.refusals(name):
            raise NotFound(f"there is no flow {name!r} → {did_you_mean(name, self.names())}")
        return name

    def refusals(self, name: str) -> list[str]:
        """Say what keeps a flow from being published."""
        return self.drafts.refusals(name, self.base.house.shop)

    def file(self, name: str) -> str:
        """Say where a flow comes from."""
        return self.files.names.get(name, "the shipped flow" if name in self.files.flows else "no file")


def desk_of(base: Base) -> Desk:
    """Read the files anew, beside a house that may have something standing in for them."""
    folder = Settings.load().flows_dir
    files = FlowFiles(folder)
    files.load()
    return Desk(base, Drafts(files, base.house.shop if folder else default_shop(), folder))


def content_of(desk: Desk, name: str, number: int) -> tuple[str, Flow | None]:
    """Give a version by its name with its note, and its content; none where it took the flow out of use.

    Raises:
        NotFound, FlowError: there is no such version, or it cannot be read any more.
    """
    publication, flow = desk.base.database.run_now(lambda uow: publishing.content_of(uow, name, number))
    return f"v{number}" + (f" ({publication.note})" if publication.note else ""), flow


def number_of(text: str) -> int:
    """Read a version as people write it: ``v3`` or ``3``.

    Raises:
        NotFound: it is neither.
    """
    digits = text.strip().lower().removeprefix("v")
    if not digits.isdigit():
        raise NotFound(f"{text!r} is no version → write v3, as aftersale flows list shows them")
    return int(digits)


def whose() -> str:
    """Give the name under which somebody publishes who does not say: that of the account."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def ask(question: str, *, yes: bool) -> None:
    """Ask before something is changed; go on only with a yes.

    Raises:
        FollowUpError: nobody is there to be asked.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise FollowUpError(f"{question} → nothing was changed; add --yes to say so beforehand")
    typer.confirm(question, abort=True)


def reasons_of(why_not: Mapping[str, int]) -> str:
    """Write why conversations stay, the commonest reasons first."""
    first = list(why_not.items())[:2]
    return "; ".join(f"{count} because {reason}" for reason, count in first) + (
        "; …" if len(why_not) > len(first) else ""
    )


def move_all(base: Base, source: Publication, target: Publication, sale: str | None, by: str) -> None:
    """Move page by page, each in a transaction of its own, so that nobody waits long."""
    moved, stay = 0, dict[str, int]()
    after = ""
    while True:

        def page(uow: UnitOfWork, after: str = after) -> publishing.MovedPage:
            now = base.house.clock.now()
            return publishing.move_page(uow, base.house, source, target, now, by=by, sale_id=sale, after=after)

        turned = base.database.run_now(page)
        done, after = turned.moved, turned.after
        moved += done.moved
        stay = {reason: stay.get(reason, 0) + done.stay.get(reason, 0) for reason in {**stay, **done.stay}}
        if not after:
            break
    number = sum(stay.values())
    rest = f"; {counted(number, 'conversation')} stay{'s' if number == 1 else ''} ({reasons_of(stay)})" if stay else ""
    say(
        f"Moved {counted(moved, 'conversation')} from v{source.number} to v{target.number} of {target.flow}{rest}.",
        "green",
    )
