"""The page to play with: a customer's phone, the staff's Slack, the clock above them, and what is planned below."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from nicegui import ui

from bot.pages.drawing import Row, Rows, button, put
from bot.pages.frame import Visit, frame
from bot.pages.phone import Phone
from bot.pages.playground import EVENTS, Playground
from bot.pages.sale_page import factors
from bot.pages.scene import Chat, Order, Scene, Step, try_next
from bot.pages.slack_pane import SlackPane

_LOOK_EVERY = 0.15
"""Seconds between looks whether another window, or the program itself, has changed anything."""
_STEPS_SHOWN = 12


def draw(visit: Visit, playground: Playground) -> None:
    """Draw the page."""
    with frame(visit, visit.words("sandbox"), "/", wide=True):
        Window(visit, playground)


class Window:
    """One window on the sandbox: which customer and which member of staff it shows is its own."""

    def __init__(self, visit: Visit, playground: Playground) -> None:
        """Draw it here."""
        self._visit, self._playground = visit, playground
        self._chat, self._staff, self._seen = 0, "", -1
        self._read: dict[int, int] = {}
        words = visit.words
        self._busy = put("div", None, "busy-line", role="progressbar", aria_label=words("working"))
        put("h1", words("sandbox_title"), "sr")
        with put("div", None, "above stack"):
            self._try = Rows(put("div", None, role="status", aria_live="polite"))
            self._clock = Rows(put("section", None, "card clock", aria_label=words("clock")))
        with put("div", None, "stage"):
            with put("div", None, "stack"):
                put("h2", words("customers"), "section-title")
                self._guests = Rows(put("div", None, "choices", role="group", aria_label=words("customers")))
                self._events = Rows(put("div", None, "choices", role="group", aria_label=words("shop")))
                self._phone = Phone(visit, playground, self._do)
            with put("div", None, "stack"):
                put("h2", words("staff"), "section-title")
                self._members = Rows(put("div", None, "choices", role="group", aria_label=words("staff")))
                self._slack = SlackPane(visit, playground, self._do)
        with put("div", None, "plan"):
            with put("section", None, "card", aria_label=words("planned")):
                put("h2", words("planned"), "card-head")
                self._steps = Rows(put("ul", None, "plan-list"), "li", "")
            with put("section", None, "card", aria_label=words("sales")):
                put("h2", words("sales"), "card-head")
                self._orders = Rows(put("div", None))
        self._show()
        ui.timer(_LOOK_EVERY, self._look)

    async def _do(self, work: Callable[[], Awaitable[object]]) -> bool:
        self._busy.classes(add="on")
        problem = await self._playground.act(work)
        self._busy.classes(remove="on")
        self._visit.say(problem, "bad" if problem else "")
        self._show()
        return not problem

    def _look(self) -> None:
        is_busy = self._playground.is_busy
        self._busy.classes(add="on") if is_busy else self._busy.classes(remove="on")
        if self._seen != self._playground.version and not is_busy:
            self._show()

    def _show(self) -> None:
        scene = self._playground.scene
        if not scene.chats or not scene.staff:
            return
        self._seen = self._playground.version
        if self._staff not in self._playground.members:
            self._staff = scene.staff[0].id
        self._read[self._chat] = len(scene.chats[self._chat].bubbles)
        hint = try_next(scene, self._chat)
        self._try.show([Row("try", (hint, self._chat), partial(self._draw_try, scene, hint))])
        self._clock.show([Row("clock", (scene.now, scene.next_at, scene.steps[:1]), partial(self._draw_clock, scene))])
        self._guests.show(
            [
                Row(place, (place == self._chat, self._unread(place, chat)), partial(self._draw_guest, place, chat))
                for place, chat in enumerate(scene.chats)
            ]
        )
        has_order = any(each.chat == self._chat for each in scene.orders)
        self._events.show([Row("events", (self._chat, has_order), partial(self._draw_events, has_order=has_order))])
        self._members.show(
            [
                Row(each.id, each.id == self._staff, partial(self._draw_member, each.id, each.name))
                for each in scene.staff
            ]
        )
        self._phone.show(scene, self._chat)
        self._slack.show(scene, self._staff)
        self._draw_plan(scene)

    def _unread(self, place: int, chat: Chat) -> bool:
        return place != self._chat and len(chat.bubbles) > self._read.get(place, 0)

    # above

    def _draw_try(self, scene: Scene, hint: str) -> None:
        words = self._visit.words
        with put("div", None, "try"):
            put("span", words("try"), "try-mark")
            put("span", words(hint, name=scene.chats[self._chat].name))

    def _draw_clock(self, scene: Scene) -> None:
        words, zone, playground = self._visit.words, self._visit.zone, self._playground
        put("p", words.moment(scene.now, zone), "clock-now")
        with put("div", None, "clock-next"):
            first = next((each for each in scene.steps if each.at is not None), None)
            if scene.next_at is None:
                put("p", words("nothing_next"))
            else:
                what = f": {first.who} – {self._visit.told(first.what)}" if first is not None else ""
                put("p", words("next_is", time=words.moment(scene.next_at, zone)) + what)
        with put("div", None, "row"):
            self._button("next_thing", playground.next_thing, "button primary", disabled=scene.next_at is None)
            self._button("plus_hour", partial(playground.go_on, timedelta(hours=1)))
            self._button("plus_day", partial(playground.go_on, timedelta(days=1)))
            self._button("plus_four", partial(playground.go_on, timedelta(days=4)))
            self._button("next_morning", playground.next_morning)
            button(words("start_over"), self._start_over, "button bare")

    def _button(
        self, label: str, work: Callable[[], Awaitable[object]], kind: str = "button", *, disabled: bool = False
    ) -> None:
        async def press() -> None:
            await self._do(work)

        button(self._visit.words(label), press, kind, disabled=disabled)

    async def _start_over(self) -> None:
        self._busy.classes(add="on")
        await self._playground.start_over()
        self._busy.classes(remove="on")
        self._read.clear()
        self._visit.say(self._visit.words("started_over"), "good")
        self._show()

    # who is looked at

    def _draw_guest(self, place: int, chat: Chat) -> None:
        is_new = self._unread(place, chat)
        label = f"{chat.name}, {self._visit.words('unread')}" if is_new else None
        chosen = "true" if place == self._chat else "false"
        with button(chat.name, partial(self._choose, place), "choice", aria_pressed=chosen, aria_label=label):
            if is_new:
                put("span", "", "news", aria_hidden="true")

    async def _choose(self, place: int) -> None:
        self._chat = place
        self._show()

    def _draw_member(self, member: str, name: str) -> None:
        chosen = "true" if member == self._staff else "false"
        button(name, partial(self._choose_member, member), "choice", aria_pressed=chosen)

    async def _choose_member(self, member: str) -> None:
        self._staff = member
        self._show()

    def _draw_events(self, *, has_order: bool) -> None:
        words = self._visit.words
        for kind in EVENTS:
            is_off = not has_order and kind != "order.placed"
            name = words(kind.replace(".", "_"))
            button(name, partial(self._event, kind), "button small", disabled=is_off)

    async def _event(self, kind: str) -> None:
        await self._do(partial(self._playground.happens, self._playground.guests[self._chat], kind))

    # below

    def _draw_plan(self, scene: Scene) -> None:
        steps = [
            Row((place, step.order), (step, scene.now.date()), partial(self._draw_step, step))
            for place, step in enumerate(scene.steps[:_STEPS_SHOWN])
        ]
        if not steps:
            steps = [Row("none", None, partial(put, "p", self._visit.words("nothing_planned"), "quiet"))]
        self._steps.show(steps)
        orders = [Row(order.id, order, partial(self._draw_order, scene, order)) for order in reversed(scene.orders)]
        if not orders:
            orders = [Row("none", None, partial(put, "p", self._visit.words("no_sales"), "empty"))]
        self._orders.show(orders)

    def _draw_step(self, step: Step) -> None:
        words = self._visit.words
        put("span", words.moment(step.at, self._visit.zone) if step.at else words("held"), "when")
        with put("div", None):
            put("p", f"{step.who}: {self._visit.told(step.what)}", "strong")
            put("p", self._visit.told(step.why), "quiet small")

    def _draw_order(self, scene: Scene, order: Order) -> None:
        words = self._visit.words
        with put("div", None, "sale"):
            with put("div", None, "row spread"):
                put("span", f"{scene.chats[order.chat].name}: {order.summary}", "strong")
                if order.is_complete:
                    put("span", words("complete"), "tag good")
                elif order.case is not None:
                    put("span", words(f"case_{order.case}"), "tag warm")
                else:
                    put("span", words.stage(order.stage), "tag")
            for text, state in order.promises:
                put("p", f"{words('promise')}: {text} ({words(f'promise_{state}')})", "quiet small")
            factors(self._visit, order.factors, order.satisfaction)
            put("a", words("story"), "small", href=f"{self._visit.root}/sales/{order.id}")
