"""Versions: what publishing would change, publishing, pausing, what was published before, restoring, and moving.

What each of them does is that of `bot.publishing` and `bot.holding`; the commands do the same with them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from nicegui.element import Element

from bot import publishing
from bot.app.editing import Opened
from bot.errors import FollowUpError
from bot.flows.differences import difference
from bot.flows.model import Flow
from bot.holding import pause, resume, words_for
from bot.pages.drawing import Given, button, form, handed, html, put
from bot.pages.studio import markup
from bot.pages.studio.hands import Hands
from bot.ports.records import Pause, Publication
from bot.ports.store import UnitOfWork
from bot.publishing import Plan

_REASONS = 3


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the database says of a flow at one moment."""

    plan: Plan
    history: Sequence[Publication]
    running: Mapping[str, int]
    pauses: Sequence[Pause]


def pauses_on(pauses: Iterable[Pause], flow: str) -> list[Pause]:
    """Give those pauses that hold all of a flow."""
    return [each for each in pauses if each.scope == "all" or (each.scope, each.name) == ("flow", flow)]


class Versions:
    """The panel of the versions."""

    def __init__(
        self, hands: Hands, written: Callable[[], Awaitable[None]], changed: Callable[[], Awaitable[None]]
    ) -> None:
        """Draw it here, empty. `written` is called when restoring wrote the file, `changed` when what runs has."""
        self._hands, self._written, self._changed = hands, written, changed
        label = hands.visit.words("versions")
        self._body = put("div", None, "panel-body", tabindex="0", role="region", aria_label=label)
        self._looking = asyncio.Lock()

    async def shown(self) -> None:
        """Look anew, and show it."""
        hands, words = self._hands, self._hands.visit.words
        if not self._body.default_slot.children:
            with self._body:
                put("p", words("working"), "empty")
        async with self._looking:
            try:
                seen = await self._look()
            except FollowUpError as error:
                hands.visit.say(str(error), "bad")
                return
        if self._body.is_deleted:
            return
        self._body.clear()
        with self._body:
            self._draw_plan(seen)
            self._draw_pause(seen)
            self._draw_history(seen)

    async def _look(self) -> _Seen:
        hands = self._hands
        program = hands.visit.world.program
        house, name = program.house, hands.name

        def read() -> tuple[Flow | None, list[str]]:
            drafts = hands.workshop.drafts()
            return drafts.flow_files.flows.get(name), drafts.refusals(name, house.shop)

        draft, refusals = await asyncio.to_thread(read)

        def ask(uow: UnitOfWork) -> _Seen:
            plan = publishing.plan_publication(uow, house, name, draft, refusals)
            running = {version: count for (_, version), count in uow.running_on(name).items()}
            return _Seen(plan, uow.publications(name), running, pauses_on(uow.pauses(), name))

        return await program.database.run(ask)

    # publishing

    def _draw_plan(self, seen: _Seen) -> None:
        hands, words, plan = self._hands, self._hands.visit.words, seen.plan
        with put("section", None, "publish", aria_label=words("publish")):
            put("h2", words(f"plan_{plan.kind}", now=plan.seen, next=plan.number), "strong")
            if plan.refusals:
                put("p", words("plan_refused"), "wrong")
                with put("ul", None, "why"):
                    for each in plan.refusals:
                        put("li", each, "small")
            elif plan.kind == "changed" and plan.old is not None:
                html(markup.difference(plan.difference, words))
            self._draw_standing(plan)
            if hands.is_dirty:
                put("p", words("plan_unsaved"), "quiet")
            if plan.is_needed and not plan.refusals and hands.visit.visitor.may("admin"):
                with form(partial(self._publish, plan), "row"):
                    label = words("publish_note")
                    given = {"name": "note", "autocomplete": "off", "placeholder": label}
                    put("input", None, "field narrow", aria_label=label, maxlength="200", **given)
                    put("button", words("publish_as", number=plan.number), "button primary", type="submit")

    def _draw_standing(self, plan: Plan) -> None:
        words = self._hands.visit.words
        for each in plan.standing:
            if plan.new is not None and each.version == plan.new.version:
                continue
            where = f"v{each.number}" if each.number else words("older_version")
            told = words("stay_on", number=each.running, version=where, could=each.could_move)
            why = "; ".join(f"{count} × {reason}" for reason, count in list(each.why_not.items())[:_REASONS])
            put("p", f"{told} {f'({why})' if why else ''}".strip(), "quiet small")

    async def _publish(self, plan: Plan, given: Given) -> None:
        hands = self._hands
        program = hands.visit.world.program

        async def work() -> None:
            await hands.visit.demand("admin")
            now, by, note = program.house.clock.now(), hands.visit.visitor.given.name, handed(given.get("note")).strip()
            done = await program.database.run(lambda uow: publishing.publish(uow, plan, now, by=by, note=note))
            await program.reload()
            await self._changed()
            stay = sum(each.running for each in plan.standing if not plan.new or each.version != plan.new.version)
            hands.visit.say(hands.visit.words("published", number=done.number, stay=stay), "good")

        await hands.attempt(work)
        await self.shown()

    # pausing

    def _draw_pause(self, seen: _Seen) -> None:
        hands, words = self._hands, self._hands.visit.words
        house = hands.visit.world.program.house
        may = hands.visit.visitor.may("admin")
        own = next((each for each in seen.pauses if each.scope == "flow"), None)
        if not seen.pauses and not may:
            return
        with put("section", None, "publish", aria_label=words("pause")):
            for each in seen.pauses:
                put("p", words_for(each, house), "strong")
            if may and own is not None:
                with put("div", None, "row"):
                    button(words("resume"), self._resume, "button")
            elif may:
                put("p", words("pause_means"), "quiet small")
                with form(self._pause, "row"):
                    label = words("pause_reason")
                    given = {"name": "reason", "autocomplete": "off", "placeholder": label}
                    put("input", None, "field", aria_label=label, maxlength="200", **given)
                    put("button", words("pause"), "button", type="submit")

    async def _pause(self, given: Given) -> None:
        hands = self._hands
        program, reason = hands.visit.world.program, handed(given.get("reason"))

        async def work() -> None:
            await hands.visit.demand("admin")
            now, by = program.house.clock.now(), hands.visit.visitor.given.name
            await program.database.run(
                lambda uow: pause(uow, program.house, now, scope="flow", name=hands.name, reason=reason, by=by)
            )
            await self._changed()
            hands.visit.say(hands.visit.words("paused_now"), "good")

        await hands.attempt(work)
        await self.shown()

    async def _resume(self) -> None:
        hands = self._hands
        program = hands.visit.world.program

        async def work() -> None:
            await hands.visit.demand("admin")
            now, by = program.house.clock.now(), hands.visit.visitor.given.name
            done = await program.database.run(
                lambda uow: resume(uow, program.house, now, scope="flow", name=hands.name, by=by)
            )
            await self._changed()
            told = hands.visit.words("resumed", conversations=done.moments, messages=done.messages)
            hands.visit.say(told, "good")

        await hands.attempt(work)
        await self.shown()

    # what was published

    def _draw_history(self, seen: _Seen) -> None:
        hands, words = self._hands, self._hands.visit.words
        put("h2", words("history"), "card-head")
        if not seen.history:
            put("p", words("history_none"), "empty")
        newest = {each.version: each.number for each in seen.history}
        head = seen.history[-1] if seen.history else None
        for each in reversed(seen.history):
            with put("div", None, "history-item"):
                put("span", f"v{each.number}", "number")
                with put("div"):
                    about = [words.moment(each.at, hands.visit.zone), each.by, words(f"how_{each.how}"), each.note]
                    put("p", " · ".join(part for part in about if part))
                    is_newest = newest.get(each.version) == each.number
                    if is_newest and (count := seen.running.get(each.version, 0)):
                        put("p", words("running_here", number=count), "quiet small")
                if head is not None and each is not head and each.version:
                    look = partial(self._look_at, put("div", None, "opened-version"), seen, each)
                    with put("div", None, "row"):
                        button(words("look"), look, "button small", aria_label=words("look_at", number=each.number))

    async def _look_at(self, opened: Element, seen: _Seen, version: Publication) -> None:
        hands = self._hands
        program, head = hands.visit.world.program, seen.history[-1]
        if opened.default_slot.children:
            opened.clear()
            return

        def ask(uow: UnitOfWork) -> tuple[Flow | None, Flow | None, Plan]:
            then = publishing.content_of(uow, hands.name, version.number)[1]
            now = publishing.content_of(uow, hands.name, head.number)[1]
            plan = publishing.plan_restore(uow, program.house, hands.name, version.number)
            return then, now, plan

        async def work() -> None:
            then, now, plan = await program.database.run(ask)
            running = seen.running.get(version.version, 0)
            with opened:
                if then is not None and now is not None:
                    put("p", hands.visit.words("from_to", old=f"v{version.number}", new=f"v{head.number}"), "strong")
                    html(markup.difference(difference(then, now), hands.visit.words))
                if hands.visit.visitor.may("admin"):
                    with put("div", None, "row"):
                        self._draw_restore(plan, version)
                        if running and head.version and head.version != version.version:
                            label = hands.visit.words("move_all", number=running, version=head.number)
                            button(label, partial(self._move, version, head), "button small")

        await hands.attempt(work)

    def _draw_restore(self, plan: Plan, version: Publication) -> None:
        words = self._hands.visit.words
        if plan.is_needed:
            label = words("restore_as", number=version.number, next=plan.number)
            button(label, partial(self._restore, plan, version, None), "button small")

    async def _restore(self, plan: Plan, version: Publication, seen: Opened | None) -> None:
        """Publish an old version anew, and let the file say it again; edits that no version keeps are asked about."""
        hands, words = self._hands, self._hands.visit.words
        program, workshop = hands.visit.world.program, hands.workshop
        on_disk = await asyncio.to_thread(workshop.open, hands.file)
        is_kept = await program.database.run(lambda uow: publishing.is_kept(uow, hands.name, on_disk.text))
        has_edits = workshop.folder is not None and bool(on_disk.stamp) and not is_kept
        if (hands.is_dirty or has_edits) and (seen is None or seen.stamp != on_disk.stamp):
            hands.visit.say(words("restore_loses"), "bad")
            with self._body:
                element = put("div", None, "publish")
                element.move(target_index=0)
                with element:
                    put("p", words("restore_loses"))
                    again = partial(self._restore, plan, version, on_disk)
                    button(words("restore_anyway", number=version.number), again, "button danger")
            return

        async def work() -> None:
            await hands.visit.demand("admin")
            now, by = program.house.clock.now(), hands.visit.visitor.given.name
            note = f"v{version.number} again"
            done = await program.database.run(lambda uow: publishing.publish(uow, plan, now, by=by, note=note))
            if plan.new is not None and workshop.folder is not None:
                await asyncio.to_thread(workshop.save, hands.file, plan.new.source, on_disk.stamp)
            await program.reload()
            await self._written()
            hands.visit.say(words("restored", number=version.number, next=done.number), "good")

        await hands.attempt(work)
        await self.shown()

    async def _move(self, source: Publication, target: Publication) -> None:
        hands, words = self._hands, self._hands.visit.words
        program = hands.visit.world.program

        async def work() -> None:
            await hands.visit.demand("admin")
            moved, stay, after = 0, 0, ""
            by = hands.visit.visitor.given.name
            while True:
                now = program.house.clock.now()
                page = partial(
                    publishing.move_page, house=program.house, start=source, target=target, now=now, by=by, after=after
                )
                turned = await program.database.run(lambda uow, page=page: page(uow))  # type: ignore[misc]
                moved += turned.moved.moved
                stay += sum(turned.moved.stay.values())
                after = turned.after
                hands.visit.say(words("moved", moved=moved, version=target.number, stay=stay), "good")
                if not after:
                    return

        await hands.attempt(work)
        await self.shown()
