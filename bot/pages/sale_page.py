"""One sale as a line of time: what was promised, what went in and out, what the customer said, and what comes next.

All of it is `bot.app.story`'s, as in `aftersale sale show` and `aftersale why`; here it is only laid out.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from bot.adapters import qr
from bot.app.story import Line, Next, Story, Why, gather, number
from bot.errors import FollowUpError, NotFound
from bot.pages.drawing import Row, Rows, button, html, put
from bot.pages.frame import Visit, frame
from bot.ports.records import Promise
from bot.ports.store import UnitOfWork
from bot.sales import make_link
from bot.satisfaction import FACTORS

_LOOK_EVERY = 5.0


async def draw(visit: Visit, sale_id: str) -> None:
    """Draw the page."""
    words = visit.words
    try:
        story = await _story(visit, sale_id)
    except NotFound:
        with frame(visit, words("sale"), "/sales"):
            put("h1", words("no_such_sale", sale=sale_id), "page-title")
            put("a", words("sales"), "button", href=f"{visit.root}/sales").style("align-self: start")
        return
    with frame(visit, f"{words('sale')} {sale_id}", "/sales"):
        SaleView(visit, sale_id).show(story)


async def _story(visit: Visit, sale_id: str) -> Story:
    program = visit.world.program
    house = program.house
    return await program.database.run(lambda uow: gather(uow, house, sale_id, house.clock.now()))


class SaleView:
    """One sale in one window; what changes is shown within seconds."""

    def __init__(self, visit: Visit, sale_id: str) -> None:
        """Draw it here."""
        self._visit, self._sale_id = visit, sale_id
        words = visit.words
        self._head = Rows(put("div", None))
        with put("div", None, "plan side-first"):
            with put("div", None, "stack"):
                with put("section", None, "card", aria_label=words("next")):
                    put("h2", words("next"), "card-head")
                    self._next = Rows(put("ul", None, "plan-list"), "li", "")
                with put("section", None, "card", aria_label=words("story")):
                    put("h2", words("story"), "card-head")
                    self._lines = Rows(put("ol", None, "line"), "li", "")
                with put("section", None, "card", aria_label=words("why")):
                    put("h2", words("why"), "card-head")
                    self._why = Rows(put("ul", None, "plan-list"), "li", "")
            with put("div", None, "stack"):
                self._side = Rows(put("div", None, "stack"))
                self._link = put("section", None, "card receipt", aria_label=words("chat_link"))
        visit.every(_LOOK_EVERY, self._look)

    async def _look(self) -> None:
        self.show(await _story(self._visit, self._sale_id))

    def show(self, story: Story) -> None:
        """Show the story as it stands now."""
        words = self._visit.words
        self._head.show([Row("head", repr((story.sale, story.customer)), partial(self._draw_head, story))])
        steps = [Row(place, step, partial(self._draw_next, step)) for place, step in enumerate(story.next)]
        self._next.show(steps or [Row("none", None, partial(put, "p", words("nothing_planned"), "quiet"))])
        self._lines.show(self._line_of_time(story))
        why = [Row(place, each, partial(self._draw_why, each)) for place, each in enumerate(story.why)]
        self._why.show(why or [Row("none", None, partial(put, "p", words("no_messages"), "quiet"))])
        looks = repr((story.sale.factors, story.promises, story.cases))
        self._side.show([Row("side", looks, partial(self._draw_side, story))])
        self._show_link(story)

    def _draw_head(self, story: Story) -> None:
        words, sale, customer = self._visit.words, story.sale, story.customer
        with put("div", None, "stack"):
            with put("div", None, "row"):
                put("h1", sale.summary or f"{words('sale')} {sale.id}", "page-title")
                if sale.confirmed_at is not None:
                    put("span", words("complete"), "tag good")
                if sale.paused:
                    put("span", words("paused"), "tag warm")
            facts = [f"{words('sale')} {sale.id}", customer.name or customer.id, words.stage(sale.stage)]
            put("p", " · ".join(facts), "lead")

    # the line of time

    def _line_of_time(self, story: Story) -> list[Row]:
        zone, words = self._visit.zone, self._visit.words
        rows: list[Row] = []
        day = None
        for place, line in enumerate(story.story):
            local = line.at.astimezone(zone).date()
            if local != day:
                day = local
                title = words.day(line.at, zone)
                rows.append(Row(("day", place), title, partial(put, "p", title, "line-day")))
            rows.append(Row(place, line, partial(self._draw_line, line)))
        return rows

    def _draw_line(self, line: Line) -> None:
        with put("div", None, f"line-row {_kind(line)}"):
            put("span", self._visit.words.hour(line.at, self._visit.zone), "line-time")
            put("span", self._visit.told(line.who), "line-who")
            put("span", self._visit.told(line.what), "line-what")

    def _draw_next(self, step: Next) -> None:
        self._when(step.at)
        with put("div", None):
            put("p", self._visit.told(step.what), "strong")
            put("p", self._visit.told(step.reason), "quiet small")

    def _draw_why(self, each: Why) -> None:
        with put("div", None):
            put("span", self._visit.told(each.state), f"tag {_STATE.get(each.state, '')}")
        with put("div", None):
            put("p", self._visit.told(each.what) + (f" “{each.text}”" if each.text else ""), "strong")
            put("p", self._visit.told(each.reason), "quiet small")
            if each.next_at is not None:
                then = self._visit.words.moment(each.next_at, self._visit.zone)
                put("p", f"{self._visit.words('then')} {then}", "quiet small")

    def _when(self, at: datetime | None) -> None:
        words = self._visit.words
        put("span", words.moment(at, self._visit.zone) if at else words("held"), "when")

    # beside it

    def _draw_side(self, story: Story) -> None:
        words, sale = self._visit.words, story.sale
        with put("section", None, "card", aria_label=words("satisfaction_title")):
            put("h2", words("satisfaction_title"), "card-head")
            with put("div", None, "sale"):
                factors(self._visit, [(each, sale.factors.get(each)) for each in FACTORS], story.satisfaction)
        if story.promises:
            with put("section", None, "card", aria_label=words("promises")):
                put("h2", words("promises"), "card-head")
                with put("ul", None, "plain-list"):
                    for promise in story.promises:
                        self._draw_promise(promise)
        for case in story.cases:
            with put("section", None, "card", aria_label=words("case")):
                with put("h2", None, "card-head"):
                    put("span", words("case") + " ")
                    put("span", words(f"case_{case.status}"), "tag warm" if case.status != "confirmed" else "tag good")
                with put("div", None, "sale"):
                    put("p", f"“{case.said}”")
                    put("p", f"{words('team')}: {case.team} – {case.why_team}", "quiet small")
                    for remedy in case.remedies:
                        put("p", f"{words('remedy')}: {remedy.kind} – {remedy.note}", "small")

    def _draw_promise(self, promise: Promise) -> None:
        words = self._visit.words
        kind = {"kept": "good", "broken": "bad"}.get(promise.state, "")
        with put("li", None):
            with put("p", None, "row spread"):
                put("span", promise.text, "strong")
                put("span", words(f"promise_{promise.state}"), f"tag {kind}")
            due = f"{words('by')} {words.moment(promise.due_at, self._visit.zone)}" if promise.due_at else ""
            made = " / ".join(part for part in (promise.touchpoint, promise.made_by) if part)
            if due or made:
                put("p", " · ".join(part for part in (due, made) if part), "quiet small")

    # a link for their chat

    def _show_link(self, story: Story) -> None:
        words, customer = self._visit.words, story.customer
        is_needed = customer.chat_id is None
        self._link.set_visibility(is_needed)
        if not is_needed or self._link.default_slot.children:
            return
        with self._link:
            put("p", words("not_linked", name=customer.name or customer.id), "strong")
            if self._visit.visitor.may("staff"):
                button(words("make_link"), self._make_link, "button primary")

    async def _make_link(self) -> None:
        try:
            url = (await links(self._visit, [self._sale_id]))[self._sale_id]
        except FollowUpError as error:
            self._visit.say(str(error), "bad")
            return
        self._link.clear()
        with self._link:
            draw_link(self._visit, url)


_STATE = {"sent": "good", "failed": "bad", "refused": "bad", "unknown": "bad", "held": "warm", "dropped": "warm"}


def _kind(line: Line) -> str:
    if line.kind.startswith("verdict") or line.who == "customer":
        return "from-customer"
    if line.kind.startswith("case") or line.who.startswith("staff"):
        return "from-staff"
    return ""


def factors(visit: Visit, values: Sequence[tuple[str, float | None]], product: float | None) -> None:
    """Draw the four factors and their product; what was not answered is a dash, never a nought."""
    with put("div", None, "factors"):
        for factor, value in values:
            with put("div", None, "factor zero" if value == 0 else "factor"):
                put("span", visit.words(f"factor_{factor}"))
                with put("span", None, "bar"):
                    put("span", None).style(f"width: {100 * (value or 0):.0f}%")
                put("span", number(value), "value")
    put("p", f"{visit.words('satisfaction')} {number(product)}", "quiet small")


async def links(visit: Visit, sales: Sequence[str]) -> dict[str, str]:
    """Make a link for the customer of each sale, in one transaction; the links by sale.

    Raises:
        Forbidden: they may not.
        FollowUpError: the bot's name is not known yet.
    """
    await visit.demand("staff")
    house = visit.world.program.house
    if not house.bot_username:
        raise FollowUpError(visit.words("bot_unknown"))

    def make(uow: UnitOfWork) -> dict[str, str]:
        found = [(each, uow.sale(each)) for each in sales]
        return {each: make_link(uow, house, sale, house.clock.now()) for each, sale in found if sale is not None}

    return await visit.world.program.database.run(make)


def draw_link(visit: Visit, url: str) -> None:
    """Draw a link with its code, to be handed out."""
    code = html(qr.svg(url))
    code.props.update({"role": "img", "aria-label": visit.words("code_of", url=url)})
    put("a", url, "small", href=url, target="_blank", rel="noreferrer").style("overflow-wrap: anywhere")
