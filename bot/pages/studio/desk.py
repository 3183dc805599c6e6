"""One flow under somebody's hands: the editor at the left; drawing, phone, play, tests and versions at the right."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from nicegui import background_tasks, ui

from bot import publishing
from bot.adapters.flow_files import PHRASES_FILE
from bot.app.drafts import Drafts
from bot.app.editing import LIBRARY, NOT_THERE, Opened, Workshop, file_of_tests, flow_in
from bot.errors import FollowUpError
from bot.flows.completion import steps_in
from bot.flows.findings import Finding
from bot.flows.model import Flow
from bot.flows.phrases import spoken_by
from bot.flows.picture import picture
from bot.flows.previews import USUAL, languages_in, longest_for, previews, values_for
from bot.flows.render import name_of_language
from bot.messages import as_kept, context_for
from bot.pages.drawing import Row, Rows, button, choose, html, put
from bot.pages.frame import VERSION, Visit, frame
from bot.pages.studio import markup
from bot.pages.studio.hands import Hands, Tabs
from bot.pages.studio.play import Play
from bot.pages.studio.shop_floor import add_style, workshop_of
from bot.pages.studio.trials import Trials
from bot.pages.studio.versions import Versions, pauses_on
from bot.ports.records import Publication, Sale
from bot.ports.store import UnitOfWork

_TYPES_ON = 0.35
"""Seconds without a key after which what is typed is looked at."""
_LOOK_EVERY = 2.0
"""Seconds between looks whether somebody else has changed the file."""
_SALES_OFFERED = 12
_BEGINNING = """flow: {name}
purpose: service
start: {{ on: order.delivered, after: 2d, unless: [case.open, order.cancelled] }}
steps:
  first:
    ask:
{texts}
    choices:
      yes: {{ label: {{ en: "👍 Yes" }}, factors: {{ promise: 1 }}, next: thanks }}
      no: {{ label: {{ en: "🙁 No" }}, factors: {{ promise: 0 }}, touchpoint: delivery, next: sorry }}
    silence: {{ after: 7d, next: end }}
  thanks:
    say: {{ en: "Thank you." }}
  sorry:
    say: {{ en: "I am sorry. A person answers you here." }}
"""


async def draw(visit: Visit, name: str, file: str) -> None:
    """Draw the page of a flow; `file`: which of its files is opened, "" for its own."""
    workshop = workshop_of(visit)
    drafts = await asyncio.to_thread(workshop.drafts)
    own = drafts.flow_files.names.get(name) or _file_of_broken(drafts, name) or f"{name}.yaml"
    with frame(visit, name, "/flows", kind="studio"):
        add_style(visit)
        address = f"{visit.root}/studio/studio.js?{VERSION}"
        ui.add_head_html(f'<script src="{address}"></script>')
        try:
            opened = await _opened(visit, workshop, drafts, name, own, file or own)
        except FollowUpError as error:
            put("p", str(error), "says bad")
            return
        hands = Hands(visit, workshop, name, own, opened, opened.text, drafts)
        await Desk(hands).draw()


def _file_of_broken(drafts: Drafts, name: str) -> str | None:
    """Find the file of a flow that cannot be read: one that bears its name."""
    files = (error.file.rsplit("/", maxsplit=1)[-1] for error in drafts.flow_files.errors)
    return next((each for each in files if each.rsplit(".", maxsplit=1)[0] == name), None)


async def _opened(visit: Visit, workshop: Workshop, drafts: Drafts, name: str, own: str, file: str) -> Opened:
    """Open a file; a flow that has none yet shows what it says elsewhere, or how one begins."""
    found = await asyncio.to_thread(workshop.open, file)
    if found.stamp != NOT_THERE or file != own:
        return found
    flow = drafts.flow_files.flows.get(name)
    if flow is not None:
        return Opened(file, flow.source, NOT_THERE)

    def published(uow: UnitOfWork) -> str | None:
        head = next((each for each in reversed(uow.publications(name)) if each.version), None)
        return as_kept(uow, name, head.version).source if head is not None else None

    text = await visit.world.program.database.run(published)
    if text is None:
        languages = workshop.shop.languages
        texts = "\n".join(f'      {each}: "Hi {{{{ customer.first_name }}}}. …"' for each in languages)
        text = _BEGINNING.format(name=name, texts=texts)
    return Opened(file, text, NOT_THERE)


@dataclass(frozen=True, slots=True)
class _Judged:
    """What was found out about a text."""

    findings: list[Finding]
    flow: Flow | None
    svg: str = ""


class Desk:
    """One window of the studio."""

    def __init__(self, hands: Hands) -> None:
        """Stand before the flow that `hands` hold."""
        self._hands = hands
        self._judging: asyncio.Task[Any] | None = None
        self._running: asyncio.Task[Any] | None = None
        self._theirs: Opened | None = None
        self._language = hands.visit.words.language
        self._values: str = "usual"
        self._sales: list[Sale] = []
        self._fits = True
        self._found = ""

    @property
    def _is_flow(self) -> bool:
        return self._hands.opened.name == self._hands.file

    async def draw(self) -> None:
        """Draw it here."""
        hands, words = self._hands, self._hands.visit.words
        judged = await asyncio.to_thread(self._judge, hands.text)
        hands.flow = judged.flow if self._is_flow else hands.drafts.flow_files.flows.get(hands.name)
        with put("div", None, "studio-head"):
            put("h1", hands.name, "page-title")
            self._runs = put("div", None, "row")
            with put("div", None, "row end"):
                put("a", words("all_flows"), "button small bare", href=f"{hands.visit.root}/flows")
        with put("div", None, "studio-grid"):
            with put("section", None, "card", aria_label=words("editor")):
                self._draw_editor(judged)
            with put("section", None, "card", aria_label=words("what_it_does")):
                self._draw_side()
        await self._draw_runs()
        self._show_findings(judged.findings)
        self._show_drawing(judged.svg)
        await self._tabs.choose("drawing")
        if self._is_flow and not self._is_there:
            self._typed()
        hands.visit.every(_LOOK_EVERY, self._look)

    @property
    def _is_there(self) -> bool:
        return self._hands.opened.stamp != NOT_THERE

    # the editor

    def _draw_editor(self, judged: _Judged) -> None:
        hands, words = self._hands, self._hands.visit.words
        with put("div", None, "studio-bar"):
            files = {hands.file: hands.file, file_of_tests(hands.file): words("file_tests", name=hands.name)}
            if hands.workshop.folder is not None:
                files[PHRASES_FILE] = words("file_phrases")
            go = json.dumps(f"{hands.visit.root}/flows/{hands.name}?file=")
            choose(
                files, hands.opened.name, f"location.href = {go} + encodeURIComponent(value);", aria_label=words("file")
            )
            self._state = put("span", "", "quiet small", role="status")
            with put("div", None, "row end"):
                button(words("play_here"), self._play_here, "button small", title=words("play_here_means"))
                if hands.may_save:
                    button(words("save"), self._save, "button small primary", title="Ctrl+S / ⌘S")
        self._notes = put("div", None)
        self._draw_notes()
        with put("div", None, "studio-editor"):
            self._editor = ui.codemirror(
                hands.text,
                language="YAML",
                indent="  ",
                line_wrapping=True,
                keymap={"Mod-s": self._save},
                on_change=self._typed,
            )
        self._findings = html("", "findings", "ol").props('role="list"')
        options = {
            "complete": f"{hands.visit.root}/studio/complete",
            "file": hands.opened.name,
            "label": words("editor_of", file=hands.opened.name),
            "readOnly": not hands.visit.visitor.may("admin"),
            "findings": _marks(judged.findings),
        }
        self._run(f"aftersaleStudio.attach({self._editor.id}, {json.dumps(options)})")

    def _draw_notes(self) -> None:
        """Say what whoever looks must know before they type."""
        hands, words = self._hands, self._hands.visit.words
        self._notes.clear()
        with self._notes:
            if self._theirs is not None:
                self._draw_conflict(self._theirs)
            elif not hands.visit.visitor.may("admin"):
                put("p", words("note_reader"), "studio-note")
            elif hands.workshop.folder is None:
                put("p", f"{words('note_shipped')} {words('own_copy', library=LIBRARY)}", "studio-note")
            elif hands.opened.stamp == NOT_THERE:
                put("p", words("note_new", file=hands.opened.name), "studio-note")

    def _draw_conflict(self, theirs: Opened) -> None:
        hands, words = self._hands, self._hands.visit.words
        with put("div", None, "studio-note warm", role="alert"):
            put("p", words("changed_on_disk", file=theirs.name), "strong")
            html(markup.texts_apart(theirs.text, hands.text, words))
            with put("div", None, "row"):
                button(words("take_theirs"), self._take_theirs, "button small")
                if hands.may_save:
                    button(words("save_mine"), self._save_mine, "button small danger")

    def _run(self, script: str) -> None:
        _ = self._editor.client.run_javascript(script)

    # what is typed

    def _typed(self, _event: object = None) -> None:
        hands = self._hands
        was_dirty, hands.text = hands.is_dirty, self._editor.value
        if hands.is_dirty != was_dirty:
            self._run(f"aftersaleStudio.dirty({json.dumps(hands.is_dirty and hands.may_save)})")
        self._show_state()
        if self._judging is not None:
            self._judging.cancel()
        self._judging = background_tasks.create(self._judge_soon())

    async def _judge_soon(self) -> None:
        await asyncio.sleep(_TYPES_ON)
        hands, text = self._hands, self._hands.text
        judged = await asyncio.to_thread(self._judge, text)
        if text != hands.text or self._editor.is_deleted:
            return
        hands.is_readable = judged.flow is not None or not self._is_flow
        if judged.flow is not None:
            hands.flow = judged.flow
            self._show_drawing(judged.svg)
            if self._tabs.chosen in ("phone", "play"):
                await self._tabs.choose(self._tabs.chosen)
        self._trials.is_stale()
        self._show_findings(judged.findings)
        self._run(f"aftersaleStudio.mark({json.dumps(_marks(judged.findings))})")

    def _judge(self, text: str) -> _Judged:
        hands = self._hands
        findings = hands.workshop.findings(hands.opened.name, text, hands.drafts)
        flow = flow_in(hands.opened.name, text)
        if flow is None:
            return _Judged(findings, None)
        flow = speaking(flow, hands.drafts)
        return _Judged(findings, flow, picture(flow, [self._language, *hands.workshop.shop.languages]))

    def _show_findings(self, findings: list[Finding]) -> None:
        words = self._hands.visit.words
        self._findings.set_content(markup.findings(findings, words))  # type: ignore[attr-defined]
        errors = sum(each.severity == "error" for each in findings)
        counted = words("state_found", errors=errors, warnings=len(findings) - errors)
        self._found = counted if findings else words("state_good")
        self._show_state()

    def _show_state(self) -> None:
        words = self._hands.visit.words
        state = "state_typed" if self._hands.is_dirty else "state_saved"
        if not self._is_there:
            state = "state_new"
        self._state.text = f"{words(state)} · {self._found}"  # type: ignore[attr-defined]

    # saving

    async def _save(self, _event: object = None) -> None:
        await self._save_over(self._hands.opened.stamp)

    async def _save_mine(self) -> None:
        if self._theirs is not None:
            await self._save_over(self._theirs.stamp)

    async def _save_over(self, seen: str) -> None:
        hands, text = self._hands, self._hands.text

        async def work() -> None:
            await hands.visit.demand("admin")
            hands.opened = await asyncio.to_thread(hands.workshop.save, hands.opened.name, text, seen)
            self._theirs = None
            await self._saved()
            hands.visit.say(self._what_runs_now(), "good")

        try:
            await hands.attempt(work)
        finally:
            await self._look()

    async def _saved(self) -> None:
        """Look at everything anew, and run the tests."""
        hands = self._hands
        hands.drafts = await asyncio.to_thread(hands.workshop.drafts)
        await hands.visit.world.program.reload()
        self._run(f"aftersaleStudio.dirty({json.dumps(hands.is_dirty)})")
        self._draw_notes()
        self._typed()
        await self._draw_runs()
        self._trials.is_stale()
        self._running = background_tasks.create(self._trials.run())
        if self._tabs.chosen == "versions":
            await self._versions.shown()

    def _what_runs_now(self) -> str:
        hands, words = self._hands, self._hands.visit.words
        head = self._head
        if not self._is_flow:
            return words("saved", file=hands.opened.name)
        if any(each.file == hands.opened.name for each in hands.drafts.flow_files.errors):
            return words("saved_with_errors", file=hands.opened.name)
        if publishing.is_by_hand(head) and head is not None:
            return words("saved_not_published", file=hands.opened.name, number=head.number)
        return words("saved_runs", file=hands.opened.name)

    async def _look(self) -> None:
        """Notice that somebody else has changed the file; what is typed here is never thrown away for it."""
        hands = self._hands
        try:
            stamp = await asyncio.to_thread(hands.workshop.stamp, hands.opened.name)
            if stamp == (self._theirs.stamp if self._theirs else hands.opened.stamp):
                return
            theirs = await asyncio.to_thread(hands.workshop.open, hands.opened.name)
        except FollowUpError as error:
            hands.visit.say(str(error), "bad")
            return
        if self._editor.is_deleted:
            return
        if theirs.stamp == hands.opened.stamp or theirs.text == hands.text:
            hands.opened, self._theirs = Opened(theirs.name, theirs.text, theirs.stamp), None
            self._draw_notes()
            return
        if theirs.stamp == NOT_THERE:
            # What it said stands here alone now; saving writes it again.
            hands.opened, self._theirs = theirs, None
            self._draw_notes()
            self._typed()
            hands.visit.say(hands.visit.words("gone_from_disk", file=theirs.name), "bad")
            return
        self._theirs = theirs
        if hands.is_dirty:
            self._draw_notes()
        else:
            await self._take_theirs()
            hands.visit.say(hands.visit.words("took_theirs", file=theirs.name))

    async def _take_theirs(self) -> None:
        theirs, hands = self._theirs, self._hands
        if theirs is None:
            return
        hands.opened, self._theirs, hands.text = theirs, None, theirs.text
        self._editor.set_value(theirs.text)
        await self._saved()

    async def _written(self) -> None:
        """Show what the file says now that restoring has written it."""
        hands = self._hands
        self._theirs = await asyncio.to_thread(hands.workshop.open, hands.opened.name)
        await self._take_theirs()

    # what runs

    async def _draw_runs(self) -> None:
        hands, words = self._hands, self._hands.visit.words

        def ask(uow: UnitOfWork) -> tuple[Publication | None, bool]:
            return publishing.heads_of(uow).get(hands.name), bool(pauses_on(uow.pauses(), hands.name))

        self._head, is_paused = await hands.visit.world.program.database.run(ask)
        self._runs.clear()
        with self._runs:
            if self._head is None:
                put("span", words("as_file"), "tag")
            elif not self._head.version:
                put("span", words("out_of_use"), "tag warm")
            else:
                put("span", words("runs_number", number=self._head.number), "tag good")
                file = hands.drafts.flow_files.flows.get(hands.name)
                if publishing.is_by_hand(self._head) and file is not None and file.version != self._head.version:
                    put("span", words("file_differs"), "tag warm")
            if is_paused:
                put("span", words("paused"), "tag warm")

    # what it does

    def _draw_side(self) -> None:
        words = self._hands.visit.words
        with put("div", None, "studio-bar"):
            self._tabs = Tabs(words("what_it_does"))
        panels = {name: put("div", None, "panel") for name in ("drawing", "phone", "play", "tests", "versions")}
        with panels["drawing"]:
            self._draw_drawing()
        with panels["phone"]:
            self._phone_bar = Rows(put("div", None, "studio-bar"))
            self._phone = put("div", None, "panel-body screen-wrap", tabindex="0", role="region")
            self._phone.props["aria-label"] = words("phone")
            with self._phone:
                self._screen = ui.html("", sanitize=False)
        with panels["play"]:
            self._play = Play(self._hands, self._kept_test)
        with panels["tests"]:
            self._trials = Trials(self._hands)
        with panels["versions"]:
            self._versions = Versions(self._hands, self._written, self._draw_runs)
        shown = {
            "drawing": _nothing,
            "phone": self._show_phone,
            "play": self._play.shown,
            "tests": self._trials.shown,
            "versions": self._versions.shown,
        }
        for name, panel in panels.items():
            self._tabs.add(name, words(f"tab_{name}"), panel, shown[name])

    async def _kept_test(self) -> None:
        self._trials.is_stale()
        await self._look()

    def _draw_drawing(self) -> None:
        words = self._hands.visit.words
        with put("div", None, "studio-bar"):
            put("p", words("drawing_means"), "quiet small")
            with put("div", None, "end"):
                self._fit = button(words("drawing_fit"), self._toggle_fit, "button small", aria_pressed="true")
        label = words("drawing_of", name=self._hands.name)
        self._drawing = put("div", None, "panel-body drawing fits", tabindex="0", role="region", aria_label=label)
        with self._drawing:
            self._svg = ui.html("", sanitize=False)

    async def _toggle_fit(self) -> None:
        self._fits = not self._fits
        self._fit.props["aria-pressed"] = str(self._fits).lower()
        self._drawing.classes(add="fits") if self._fits else self._drawing.classes(remove="fits")

    def _show_drawing(self, svg: str) -> None:
        if not svg and self._hands.flow is not None and not self._svg.content:
            svg = picture(self._hands.flow, [self._language, *self._hands.workshop.shop.languages])
        if svg:
            self._svg.set_content(svg)

    async def _play_here(self) -> None:
        step = ""
        if self._is_flow:
            line = await self._editor.client.run_javascript("aftersaleStudio.line()", timeout=5)
            step = step_at(self._hands.text, int(line))
        await self._tabs.choose("play")
        await self._play.start_at(step)

    # the phone

    async def _show_phone(self) -> None:
        hands, words = self._hands, self._hands.visit.words
        flow = hands.flow
        if flow is None:
            self._screen.set_content(markup.empty(words("play_not_readable")))
            return
        if not self._sales:
            self._sales = await hands.visit.world.program.database.read(
                lambda reports: reports.sales(limit=_SALES_OFFERED)
            )
        languages = languages_in(flow, hands.workshop.shop.languages)
        if self._language not in languages:
            self._language = languages[0]
        looks = (tuple(languages), self._language, self._values, len(self._sales))
        self._phone_bar.show([Row("bar", looks, partial(self._draw_phone_bar, languages))])
        context = await self._context(flow)
        shown = previews(flow, self._language, context, hands.workshop.shop.time_zone)
        self._screen.set_content(markup.screen(shown, words))

    def _draw_phone_bar(self, languages: Sequence[str]) -> None:
        words = self._hands.visit.words
        with put("div", None, "choices", role="group", aria_label=words("customer_language")):
            for each in languages:
                pressed = str(each == self._language).lower()
                choice = partial(self._choose_language, each)
                button(name_of_language(each), choice, "choice", aria_pressed=pressed, lang=each)
        values = {"usual": words("values_usual"), "longest": words("values_longest")}
        values |= {each.id: words("values_sale", sale=each.id, summary=each.summary or "") for each in self._sales}
        choose(values, self._values, self._choose_values, aria_label=words("values"))

    async def _context(self, flow: Flow) -> dict[str, Any]:
        hands = self._hands
        house = hands.visit.world.program.house
        if self._values == "longest":
            return longest_for(flow)
        shop = {"name": house.shop.name, "privacy": house.shop.privacy_link or ""}
        if self._values == "usual":
            return values_for(flow, USUAL, shop)

        def ask(uow: UnitOfWork) -> dict[str, Any]:
            sale = uow.sale(self._values)
            if sale is None:
                return values_for(flow, USUAL, shop)
            customer, case = uow.customer(sale.customer_id), next(iter(uow.cases_of(sale.id)), None)
            known = context_for(house, customer, sale, uow.promises_of(sale.id), case, now=house.clock.now())
            return values_for(flow, known, shop)

        return await hands.visit.world.program.database.run(ask)

    async def _choose_language(self, language: str) -> None:
        self._language = language
        await self._show_phone()

    async def _choose_values(self, values: str) -> None:
        self._values = values
        await self._show_phone()


async def _nothing() -> None:
    pass


def speaking(flow: Flow, drafts: Drafts) -> Flow:
    """Give a flow as it is typed with the bot's own sentences that it would speak with."""
    return replace(flow, phrases=spoken_by(flow, drafts.flow_files.phrases))


def step_at(text: str, line: int) -> str:
    """Give the step of a flow's text in which a line stands; "" above the first."""
    return next((name for name, begins in reversed(steps_in(text).items()) if begins <= line), "")


def _marks(findings: list[Finding]) -> list[dict[str, Any]]:
    return [
        {
            "line": each.line,
            "column": each.column,
            "severity": each.severity,
            "text": each.message + (f" → {each.hint}" if each.hint else ""),
        }
        for each in findings
    ]
