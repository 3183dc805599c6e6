"""Playing the flow that is being written, with time in one's hand: from its beginning, or from any of its steps."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from nicegui.element import Element

from bot.app.drafts import Drafts
from bot.app.editing import file_of_tests
from bot.flows.previews import languages_in
from bot.flows.render import name_of_language
from bot.pages.drawing import Given, Row, Rows, button, choose, form, handed, put
from bot.pages.frame import scroll_down
from bot.pages.studio.hands import Hands
from bot.trials.by_hand import LOOK_AHEAD, as_test, begin, entering, go, usual
from bot.trials.parse import EVENTS
from bot.trials.reasons import clock, reason
from bot.trials.simulation import NotYet, Simulation
from bot.trials.trail import Did, Entry, Noted, Said
from storage.scratch import ScratchDatabase

_SO_LONG_AFTER = re.compile(r"(\S+(?: \(\w+\))?) after ([\w.]+)")
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


class Play:
    """The panel on which a flow is played."""

    def __init__(self, hands: Hands, kept: Callable[[], Awaitable[None]]) -> None:
        """Draw it here. `kept` is called after what was played has become a test."""
        self._hands, self._kept = hands, kept
        self._simulation: Simulation | None = None
        self._drafts: Drafts | None = None
        self._database: ScratchDatabase | None = None
        self._one_at_a_time = asyncio.Lock()
        self._step, self._language, self._led_to = "", hands.visit.words.language, 0
        words = hands.visit.words
        with put("div", None, "studio-bar"):
            self._options = Rows(put("div", None, "row"))
            button(words("play_begin"), self.start, "button small primary")
        with put("div", None, "play"):
            self._chat = put("div", None, "phone-chat", role="log", tabindex="0", aria_label=words("chat"))
            self._bubbles = Rows(self._chat)
            self._foot = put("div", None, "play-foot")
        self._show_options()
        self._draw_foot()
        self._show()
        self._foot.client.on_delete(self._close)

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    # choosing

    def _show_options(self) -> None:
        """Show what there is to choose. What is still the same stays: somebody may have their hand on it."""
        hands, words = self._hands, self._hands.visit.words
        steps = {"": words("from_beginning")}
        if hands.flow is not None:
            steps |= {name: words("from_step", name=name) for name in hands.flow.steps if "." not in name}
        languages = languages_in(hands.flow, hands.workshop.shop.languages) if hands.flow else [self._language]
        if self._language not in languages:
            self._language = languages[0]
        if self._step not in steps:
            self._step = ""
        looks = (tuple(steps), tuple(languages), self._led_to)
        self._options.show([Row("options", looks, partial(self._draw_options, steps, languages))])

    def _draw_options(self, steps: Mapping[str, str], languages: Sequence[str]) -> None:
        words = self._hands.visit.words
        choose(steps, self._step, self._choose_step, aria_label=words("play_from"))
        names = {each: name_of_language(each) for each in languages}
        choose(names, self._language, self._choose_language, aria_label=words("customer_language"))

    async def _choose_step(self, step: str) -> None:
        self._step = step

    async def _choose_language(self, language: str) -> None:
        self._language = language

    async def shown(self) -> None:
        """Look whether there are other steps by now."""
        self._show_options()

    async def start_at(self, step: str) -> None:
        """Play from a step on."""
        self._step, self._led_to = step, self._led_to + 1
        self._show_options()
        await self.start()

    async def start(self) -> None:
        """Begin anew, with the flow as it is typed."""
        hands = self._hands
        step, language, typed = self._step, self._language, hands.typed()

        def play() -> tuple[Drafts, Simulation]:
            drafts = hands.workshop.drafts(typed)
            flow = drafts.flow(hands.name)
            source = _Source({**drafts.flow_files.flows}, drafts.flow_files.phrases)
            if step:
                source.flows[hands.name] = flow = entering(flow, step)
            if self._database is None:
                self._database = ScratchDatabase()
            given = usual(drafts.shop, language)
            played = Simulation(drafts.shop, source, given, taking_part=[hands.name], database=self._database)
            begin(flow, played)
            if step:
                played.go_to_next_said(played.now)
            return drafts, played

        async def work() -> None:
            async with self._one_at_a_time:
                self._drafts, self._simulation = await asyncio.to_thread(play)

        hands.visit.say("")
        if hands.flow is None or not hands.is_readable:
            hands.visit.say(hands.visit.words("play_not_readable"), "bad")
        elif await hands.attempt(work):
            self._show()

    # what one does

    async def _do(self, work: Callable[[Simulation], object]) -> None:
        hands = self._hands

        async def act() -> None:
            async with self._one_at_a_time:
                if self._simulation is None:
                    raise NotYet(hands.visit.words("play_first"))
                await asyncio.to_thread(work, self._simulation)

        hands.visit.say("")
        await hands.attempt(act)
        self._show()

    async def _next(self) -> None:
        await self._do(lambda simulation: simulation.go_to_next_said(simulation.now + LOOK_AHEAD))

    async def _later(self, length: timedelta) -> None:
        await self._do(lambda simulation: simulation.go(simulation.now + length))

    async def _until(self, moment: str) -> None:
        await self._do(lambda simulation: go(simulation, moment))

    async def _write(self, given: Given) -> None:
        if text := handed(given.get("text")).strip():
            await self._do(lambda simulation: simulation.writes(text))

    async def _move(self, given: Given) -> None:
        await self._until(handed(given.get("moment")))

    async def _event(self, given: Given) -> None:
        kind = handed(given.get("event"))
        await self._do(lambda simulation: simulation.happens(kind))

    async def _staff(self, given: Given) -> None:
        kind, note = handed(given.get("remedy")), handed(given.get("note")).strip()
        await self._do(lambda simulation: simulation.remedies(kind, note))

    async def _reply(self, given: Given) -> None:
        if text := handed(given.get("reply")).strip():
            await self._do(lambda simulation: simulation.replies(text))

    async def _keep(self) -> None:
        hands, simulation, drafts = self._hands, self._simulation, self._drafts
        if simulation is None or drafts is None:
            hands.visit.say(hands.visit.words("play_first"))
            return
        file = file_of_tests(hands.file)

        def write() -> str:
            opened = hands.workshop.open(file)
            flow = drafts.flow(hands.name)
            kept = as_test(opened.text, file, flow, simulation, drafts.shop, drafts.flow_files)
            if kept.error is not None:
                raise kept.error
            hands.workshop.save(file, kept.text, opened.stamp)
            return kept.name

        async def work() -> None:
            await hands.visit.demand("admin")
            async with self._one_at_a_time:
                name = await asyncio.to_thread(write)
            await self._kept()
            hands.visit.say(hands.visit.words("play_kept", name=name, file=file), "good")

        await hands.attempt(work)

    # what one sees

    def _draw_foot(self) -> None:
        words, shop = self._hands.visit.words, self._hands.workshop.shop
        with self._foot:
            self._now = Rows(put("div", None, aria_live="polite"))
            with form(self._write, "compose", clears=True):
                label = words("play_message")
                put("input", None, "field", name="text", autocomplete="off", placeholder=label, aria_label=label)
                put("button", words("send"), "button", type="submit")
            with put("div", None, "row"):
                button(words("play_next"), self._next, "button small primary")
                button(words("plus_hour"), partial(self._later, _HOUR), "button small")
                button(words("plus_day"), partial(self._later, _DAY), "button small")
                button(words("next_morning"), partial(self._until, "tomorrow 9:00"), "button small")
                with form(self._move, "row"):
                    given = {"name": "moment", "required": True, "placeholder": "+2d, fri 17:30"}
                    put("input", None, "field narrow", autocomplete="off", aria_label=words("play_moment"), **given)
                    put("button", words("play_go"), "button small", type="submit")
            with put("details"):
                put("summary", words("play_more"))
                with put("div", None, "stack"):
                    self._draw_more(shop.remedies)

    def _draw_more(self, remedies: Mapping[str, Any]) -> None:
        words = self._hands.visit.words
        with form(self._event, "row"):
            choose({each: each for each in EVENTS}, EVENTS[0], name="event", aria_label=words("play_event")).classes(
                "narrow"
            )
            put("button", words("play_let_happen"), "button small", type="submit")
        with form(self._reply, "row", clears=True):
            label = words("play_reply")
            put("input", None, "field narrow", name="reply", autocomplete="off", placeholder=label, aria_label=label)
            put("button", words("send"), "button small", type="submit")
        with form(self._staff, "row", clears=True):
            kinds = {each: each for each in remedies}
            choose(kinds, next(iter(kinds)), name="remedy", aria_label=words("play_remedy")).classes("narrow")
            label = words("play_note")
            put("input", None, "field narrow", name="note", autocomplete="off", placeholder=label, aria_label=label)
            put("button", words("play_remedied"), "button small", type="submit")
        with put("div", None, "row"):
            button("/stop", partial(self._do, lambda simulation: simulation.writes("/stop")), "button small")
            button(words("send_photo"), partial(self._do, lambda simulation: simulation.sends("photo")), "button small")
            button(words("block"), partial(self._do, lambda simulation: simulation.blocks()), "button small")
            button(words("play_claim"), partial(self._do, lambda simulation: simulation.claims()), "button small")
            if self._hands.may_save:
                button(words("play_keep"), self._keep, "button small")

    def _show(self) -> None:
        simulation, words = self._simulation, self._hands.visit.words
        if simulation is None:
            self._bubbles.show([Row("none", None, lambda: put("p", words("play_empty"), "empty"))])
            self._now.show([])
            return
        rows: list[Row] = []
        day = ""
        for number, entry in enumerate(simulation.entries):
            at = clock(entry.at, simulation.zone)
            if at != day:
                day = at
                rows.append(Row((id(simulation), number, "day"), at, partial(put, "p", at, "day")))
            rows.append(Row((id(simulation), number), entry, partial(self._entry, simulation, entry)))
        if self._bubbles.show(rows):
            scroll_down(self._chat)
        now = words("play_now", time=clock(simulation.now, simulation.zone))
        waiting = simulation.waiting_for()
        at, _, what = waiting[0].partition("  ") if waiting else ("", "", "")
        ahead = words("play_ahead", what=f"{at} {self._told(what)}") if waiting else words("nothing_planned")
        self._now.show([Row("now", (now, ahead), partial(_draw_now, now, ahead))])

    def _told(self, sentence: str) -> str:
        """Give a sentence of the play in the language of the page."""
        after = _SO_LONG_AFTER.fullmatch(sentence)
        if after is not None:
            return self._hands.visit.words("so_long_after", length=after[1], event=after[2])
        return self._hands.visit.told(sentence)

    def _entry(self, simulation: Simulation, entry: Entry) -> None:
        words = self._hands.visit.words
        match entry:
            case Said():
                with put("div", None, "bubble-box"):
                    with put("div", None, "bubble"):
                        put("span", words("bot_says"), "sr")
                        if entry.photo:
                            put("div", f"🖼 {entry.photo}", "photo named")
                        put("p", entry.text, "bubble-text")
                    if entry.live:
                        with put("div", None, "keys"):
                            for each in entry.live:
                                with put("div", None, "keys-row"):
                                    if each.url:
                                        put("span", f"{each.label} ↗", "key shown")
                                        continue
                                    tap = partial(_tap, wanted=each.name or each.label)
                                    button(each.label, partial(self._do, tap), "key")
                put("p", words("why", reason=reason(entry.why, simulation.zone, self._told)), "play-why")
            case Did() if entry.who == "customer":
                with put("div", None, "bubble-box mine"), put("div", None, "bubble"):
                    put("span", words("you_say"), "sr")
                    put("p", self._told(entry.words), "bubble-text")
                if entry.refused:
                    put("p", self._told(entry.refused), "play-note bad")
            case Did():
                put("p", f"{'🛒' if entry.who == 'shop' else '🧑‍🔧'} {self._told(entry.words)}", "play-note")
                if entry.refused:
                    put("p", self._told(entry.refused), "play-note bad")
            case Noted():
                put("p", self._told(entry.words), "play-note")


class _Source:
    """The flows that are played: as they are typed, one of them perhaps entered elsewhere."""

    def __init__(self, flows: dict[str, Any], phrases: Mapping[str, Any]) -> None:
        self.flows, self.phrases = flows, phrases


def _tap(simulation: Simulation, wanted: str) -> None:
    simulation.taps(wanted)


def _draw_now(now: str, ahead: str) -> Element:
    element = put("p", None, "small")
    with element:
        put("span", now, "strong")
        put("span", f" {ahead}", "quiet")
    return element
