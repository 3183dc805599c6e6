"""`aftersale flows move`: running conversations go on in another version, those that can."""

from collections.abc import Callable

from bot import publishing
from bot.app.story import find_sale
from bot.cli.flow_desk import Desk, ask, content_of, desk_of, move_all, number_of, reasons_of, whose
from bot.cli.flow_difference import show_difference
from bot.cli.opening import opened
from bot.cli.terminal import counted, heading, say
from bot.errors import NotFound
from bot.flows.differences import difference
from bot.flows.model import Flow
from bot.ports.records import Conversation, Publication
from bot.ports.store import UnitOfWork


def move_conversations(name: str, start: str, end: str | None, sale: str | None, *, by: str | None, yes: bool) -> int:
    """Let conversations go on in another version; gives 1 where none of them can.

    Raises:
        NotFound: there is no such flow, version or sale.
    """
    with opened() as base:
        desk = desk_of(base)
        desk.known(name)
        (from_name, old), (source, target) = content_of(desk, name, number_of(start)), _ends(desk, name, start, end)
        to_name, new = content_of(desk, name, target.number)
        if source.version == target.version:
            raise NotFound(f"whoever is on {from_name} of {name} is on {to_name} already, which says the same")
        if old is None or new is None:
            out = from_name if old is None else to_name
            raise NotFound(f"{out} took {name} out of use; nobody can be moved from or to it")
        heading(f"{name}: {from_name} → {to_name}")
        show_difference(difference(old, new))
        could, stay = base.database.run_now(lambda uow: _counted(uow, source, old, new, sale))
        say("")
        say(
            f"{counted(could, 'conversation')} can move" + (f"; others stay ({reasons_of(stay)})" if stay else "") + "."
        )
        if not could:
            return 1
        say(
            "What waits to be sent keeps its words; timers keep their moments; nothing is said to anybody by moving.",
            "dim",
        )
        ask(f"Move {counted(could, 'conversation')} to {to_name}?", yes=yes)
        move_all(base, source, target, sale, whose() if by is None else by)
        return 0


def _ends(desk: Desk, name: str, start: str, end: str | None) -> tuple[Publication, Publication]:
    def look(uow: UnitOfWork) -> tuple[Publication, Publication]:
        newest = desk.now_running()[name].number if end is None and name in desk.now_running() else number_of(end or "")
        return publishing.publication_of(uow, name, number_of(start)), publishing.publication_of(uow, name, newest)

    return desk.base.database.run_now(look)


def _counted(
    uow: UnitOfWork, source: Publication, old: Flow, new: Flow, sale: str | None
) -> tuple[int, dict[str, int]]:
    could, stay = 0, dict[str, int]()
    if sale is not None:
        find_sale(uow, sale)
    for page in _pages(lambda after: publishing.to_move(uow, source.flow, source.version, sale_id=sale, after=after)):
        for each in page:
            reason = publishing.may_move(old, new, each)
            if reason is None:
                could += 1
            else:
                stay[reason] = stay.get(reason, 0) + 1
    return could, stay


def _pages(look: Callable[[str], list[Conversation]]) -> list[list[Conversation]]:
    pages, after = [], ""
    while page := look(after):
        pages.append(page)
        after = max(each.id for each in page)
    return pages
