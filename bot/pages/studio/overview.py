"""The list of flows: which version runs, who is where in it, and whether its file says something else."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from nicegui import ui

from bot import publishing
from bot.app.drafts import Drafts
from bot.app.editing import LIBRARY, Workshop
from bot.flows.model import Flow
from bot.pages.drawing import Given, form, handed, put
from bot.pages.frame import Visit, frame
from bot.pages.studio.shop_floor import add_style, workshop_of
from bot.pages.studio.versions import pauses_on
from bot.ports.records import Pause, Publication
from bot.ports.store import UnitOfWork


@dataclass(frozen=True, slots=True)
class Figures:
    """How many conversations of a flow are where.

    `running` have not ended, `waiting` of them for the customer's word; `answered` and `silent` have ended so;
    `complete` is how many belong to a sale that the customer said is complete.
    """

    running: int = 0
    waiting: int = 0
    answered: int = 0
    complete: int = 0
    silent: int = 0


def figures_of(counted: Sequence[tuple[str, str, str | None, bool, int]]) -> dict[str, Figures]:
    """Put counts together: flow, status, outcome, whether the sale is complete, how many."""
    found: dict[str, Figures] = {}
    for flow, status, outcome, is_complete, number in counted:
        so_far, is_over = found.get(flow, Figures()), status == "finished"
        found[flow] = replace(
            so_far,
            running=so_far.running + (0 if is_over else number),
            waiting=so_far.waiting + (number if status == "asking" else 0),
            answered=so_far.answered + (number if is_over and outcome == "answered" else 0),
            silent=so_far.silent + (number if is_over and outcome == "silent" else 0),
            complete=so_far.complete + (number if is_complete else 0),
        )
    return found


async def draw(visit: Visit) -> None:
    """Draw the page."""
    words, workshop = visit.words, workshop_of(visit)
    drafts = await asyncio.to_thread(workshop.drafts)

    def ask(uow: UnitOfWork) -> tuple[dict[str, Publication], list[Pause]]:
        return publishing.heads_of(uow), uow.pauses()

    heads, pauses = await visit.world.program.database.run(ask)
    with frame(visit, words("flows"), "/flows") as main:
        add_style(visit)
        put("h1", words("flows"), "page-title")
        put("p", _where(visit, workshop), "lead")
        for error in drafts.flow_files.errors:
            with put("p", None, "says bad"):
                # A file that cannot be read may have no name of a flow yet: its own leads to it.
                file = error.file.rpartition("/")[2]
                put("a", file, href=f"{visit.root}/flows/{file.rpartition('.')[0]}")
                put("span", str(error).removeprefix(error.file))
        with put("section", None, "card scroll-x", aria_label=words("flows")):
            table = put("table", None, "list flows")
        names = sorted({*drafts.flow_files.flows, *heads})
        shown = _Shown(names, drafts, heads, {name for name in names if pauses_on(pauses, name)})
        _fill(visit, table, shown, None)
        if workshop.folder is not None and visit.visitor.may("admin"):
            _new(visit, drafts)

    async def count() -> None:
        counted = await visit.world.program.database.read(lambda reports: reports.conversations_by_flow())
        if not main.is_deleted:
            table.clear()
            _fill(visit, table, shown, figures_of(counted))

    ui.timer(0.01, count, once=True)


def _where(visit: Visit, workshop: Workshop) -> str:
    if workshop.folder is None:
        return f"{visit.words('flows_shipped')} {visit.words('own_copy', library=LIBRARY)}"
    return visit.words("flows_from", folder=str(workshop.folder))


_COUNTS = ("running", "waiting", "answered", "complete", "silent")


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the list says of each flow before anything is counted."""

    names: Sequence[str]
    drafts: Drafts
    heads: Mapping[str, Publication]
    paused: Collection[str]


def _fill(visit: Visit, table: ui.element, shown: _Shown, figures: Mapping[str, Figures] | None) -> None:
    words = visit.words
    with table:
        with put("thead"), put("tr"):
            for column in ("flow", "runs"):
                put("th", words(column), scope="col")
            for column in _COUNTS:
                put("th", words(f"count_{column}"), "num", scope="col", title=words(f"count_{column}_means"))
        with put("tbody"):
            for name in shown.names:
                with put("tr"):
                    with put("td"):
                        put("a", name, "name", href=f"{visit.root}/flows/{name}")
                    with put("td"):
                        _runs(visit, shown.heads.get(name), shown.drafts.flow_files.flows.get(name))
                        if name in shown.paused:
                            put("span", words("paused"), "tag warm")
                    for column in _COUNTS:
                        label = words(f"count_{column}")
                        number = "…" if figures is None else str(getattr(figures.get(name, Figures()), column))
                        put("td", number, "num", data_label=label)


def _runs(visit: Visit, head: Publication | None, file: Flow | None) -> None:
    words = visit.words
    if head is None:
        put("span", words("as_file"), "tag")
    elif not head.version:
        put("span", words("out_of_use"), "tag warm")
    else:
        put("span", f"v{head.number}", "tag good")
        put("span", words.moment(head.at, visit.zone), "quiet small")
        if head.by:
            put("span", f" · {head.by}", "quiet small")
    if publishing.is_by_hand(head) and head is not None and file is not None and file.version != head.version:
        put("span", words("file_differs"), "tag warm")
    if file is None:
        put("span", words("no_file"), "tag warm")


def _new(visit: Visit, drafts: Drafts) -> None:
    words = visit.words

    async def begin(given: Given) -> None:
        name = handed(given.get("name")).strip()
        if name in drafts.flow_files.flows:
            visit.say(words("name_taken", name=name), "bad")
            return
        ui.navigate.to(f"/flows/{name}")

    with form(begin, "row"):
        field = {"name": "name", "required": True, "pattern": "[A-Za-z][A-Za-z0-9_]{0,63}", "autocomplete": "off"}
        with put("label", None, "labelled inline"):
            put("span", words("new_flow"))
            put("input", None, "field", placeholder="after_return", **field)
        put("button", words("begin"), "button", type="submit")
