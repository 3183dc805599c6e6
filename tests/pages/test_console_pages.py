"""The console's pages in a real browser, over a shop whose customers and staff are played."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot import passes
from bot.errors import Forbidden
from bot.pages.door import Keeper
from bot.pages.frame import Visit
from bot.pages.sale_page import links
from bot.pages.words import TEXTS, Words
from bot.pages.world import World
from bot.ports.records import Customer, Incoming, Outgoing, Role, Sale
from bot.ports.store import UnitOfWork
from tests.pages.browser import PHONE, needs_browser, open_browser, open_window, picture, violations
from tests.pages.visiting import ticket, visitor
from tests.system.stage import MORNING, Stage, order, stage

BLINK_SECONDS = 1.0
"""What a page may take on a busy machine; on a quiet one it is a tenth of that."""


@pytest.fixture
async def browser() -> AsyncIterator[Any]:
    async with open_browser() as opened:
        yield opened


@asynccontextmanager
async def console(play: Stage, browser: Any, role: Role = "admin", **given: Any) -> AsyncIterator[Any]:
    """Give a window that has come in by a link."""
    async with open_window(browser, **given) as page:
        await page.goto(f"{play.service.address}/console/enter?ticket={await ticket(play, role)}")
        await page.locator("form button").click()
        await page.get_by_role("heading", level=1).wait_for()
        yield page


async def seen(page: Any, text: str | re.Pattern[str], within: str = "#content") -> None:
    """Wait until a text is to be seen."""
    await page.locator(within).get_by_text(text).first.wait_for()


async def unhappy_sale(play: Stage) -> None:
    """Play a sale whose customer is unhappy, and is answered."""
    promise = {"id": "p1", "text": "Delivered before the weekend", "touchpoint": "site", "made_by": "checkout"}
    await play.happens(order("order.placed", promises=(promise,)))
    customer = await play.link()
    await play.happens(order("order.delivered", at=play.clock.now()))
    await play.pass_time(timedelta(days=2))
    await play.tap(customer, "🤔 Not quite")
    await play.write(customer, "One bottle <b>was</b> broken.")
    member = play.slack.member("Mette Juhl", "U0METTE")
    await play.claim(member, play.card("wine"))


@needs_browser
async def test_a_sale_is_found_and_told_as_a_line_of_time(sqlite_url: str, browser: Any) -> None:
    """By name or number; then promises, both sides, verdict, case, what comes next and why, as the command tells them."""
    async with stage(sqlite_url) as play:
        await unhappy_sale(play)
        await play.happens(order("order.placed", "2002", customer="c-8", name="Bo Lund", summary="a dress"))
        async with console(play, browser) as page:
            await seen(page, "two bottles of Barolo")
            await seen(page, "no chat yet")
            await page.get_by_role("searchbox").fill("freja")
            await page.get_by_role("searchbox").press("Enter")
            await page.wait_for_url(re.compile(r"q=freja"))
            assert await page.locator("tbody tr").count() == 1
            await picture(page, "sales")
            assert await violations(page) == []
            await page.get_by_role("link", name="1001").click()
            await seen(page, "Delivered before the weekend")
            await seen(page, "wrote “One bottle <b>was</b> broken.”")
            await seen(page, "took the case")
            await seen(page, "if nobody answers the customer before")
            await seen(page, "as things stand, it would be held: a case is open")
            await picture(page, "sale")
            assert await violations(page) == []
            await play.reply(play.slack.member("Mette Juhl", "U0METTE"), play.card("wine"), "A new one is on its way.")
            await seen(page, "wrote to the customer: “A new one is on its way.”")
            await page.get_by_role("link", name="Sales", exact=True).first.click()
            await page.get_by_role("link", name="Open case").click()
            await page.wait_for_url(re.compile("only=case"))
            assert await page.locator("tbody tr").count() == 1
        async with console(play, browser, viewport=PHONE, color_scheme="dark", locale="da-DK") as page:
            await page.goto(f"{play.service.address}/console/sales/1001")
            await seen(page, "Hvad der skete")
            await seen(page, "ordren blev afgivet")
            await seen(page, "som det står, ville den blive holdt: en sag er åben")
            await picture(page, "sale-phone-dark")
            assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
            assert await violations(page) == []
            await page.goto(f"{play.service.address}/console/sales/none")
            await seen(page, "Der er intet salg none.")
            answer = await page.goto(f"{play.service.address}/console/nowhere")
            assert answer.status == 404
            await seen(page, "Der er intet på denne adresse.")


@needs_browser
async def test_links_are_made_on_a_page_and_work_in_the_chat(sqlite_url: str, browser: Any) -> None:
    """The sheet of the unlinked gives each a link and a code; scanned, it joins the chat. A reader gets no button."""
    async with stage(sqlite_url) as play:
        await play.happens(order("order.placed"))
        async with console(play, browser, "reader") as page:
            await page.goto(f"{play.service.address}/console/unlinked")
            await seen(page, "two bottles of Barolo")
            assert await page.get_by_role("button", name=re.compile("Make")).count() == 0
        async with console(play, browser, "staff") as page:
            await page.goto(f"{play.service.address}/console/unlinked")
            await page.get_by_role("button", name="Make links and codes").click()
            link = page.locator("#content a[href^='https://t.me/']")
            await link.wait_for()
            await page.get_by_role("img", name=re.compile("QR code")).wait_for()
            await picture(page, "unlinked")
            assert await violations(page) == []
            token = (await link.get_attribute("href")).partition("start=")[2]
            customer = play.telegram.customer(first_name="Freja")
            await customer.start(token)
            await play.rest()
            assert "I am the bot of Nordlys" in customer.chat[-1].text
            await page.reload()
            await seen(page, "Every customer has joined a chat.")


@needs_browser
async def test_what_failed_is_shown_with_its_cure_and_tried_again(sqlite_url: str, browser: Any) -> None:
    """A message in doubt is asked about before it goes again; it then arrives. So does what came in and failed."""
    async with stage(sqlite_url) as play:
        await play.happens(order("order.placed"))
        customer = await play.link()
        before = len(customer.chat)
        row = await play.read(lambda uow: stuck(uow, customer.user_id))
        async with console(play, browser) as page:
            await page.get_by_role("link", name="Messages out").click()
            await seen(page, "A message that nobody knows of")
            await seen(page, "nobody can tell whether it arrived")
            await picture(page, "outbox")
            assert await violations(page) == []
            await page.get_by_role("button", name="Try again", exact=True).click()
            assert len(customer.chat) == before
            await page.get_by_role("button", name="It may arrive twice. Send it anyway").click()
            await seen(page, "1 will be tried again.")
            await customer.wait_for(lambda message: "nobody knows of" in message.text)
            await page.get_by_role("link", name="What came in").click()
            await seen(page, "there is no order of that kind")
            await page.get_by_role("button", name="Try again", exact=True).click()
            await seen(page, "1 will be tried again.")
            await picture(page, "inbox")
    assert row is not None


def stuck(uow: UnitOfWork, chat: int) -> int:
    """Leave a message in doubt, and something that came in and failed."""
    body = {"chat_id": chat, "text": "A message that nobody knows of"}
    message = Outgoing(
        "k", "telegram", f"chat:{chat}", "system", body, MORNING, MORNING, sale_id="1001", customer_id="c-7"
    )
    uow.send(replace(message, state="unknown", reason="the answer was lost"))
    event = Incoming("shop", "evt-odd", "sale:9", {"type": "order.odd"}, MORNING)
    uow.receive([event])
    (new,) = [each for each in uow.inbox(("new",), 10) if each.key == "evt-odd"]
    uow.settle_incoming(new.id or 0, "failed", "there is no order of that kind")
    return new.id or 0


async def test_a_page_that_cannot_be_shown_says_so_without_particulars(sqlite_url: str) -> None:
    """A fault of ours becomes one sentence and a reference for the log; no stack trace, no SQL."""
    async with stage(sqlite_url) as play, visitor(play) as one:
        await one.enter(play)
        await play.read(lambda uow: uow._connection.exec_driver_sql("ALTER TABLE sales RENAME TO gone"))
        status, html, _ = await one.get("/sales")
        (failed,) = [each for each in play.log if each["event"] == "page_failed"]
        assert status == 500
        assert failed["reference"] in html
        assert "OperationalError" not in html
        assert "gone" not in html


async def test_a_page_of_ten_thousand_sales_opens_within_a_blink(sqlite_url: str) -> None:
    """It shows fifty of them, and the next fifty, each at once; so does a search among them."""
    async with stage(sqlite_url) as play, visitor(play) as one:
        await play.read(many)
        await one.enter(play)
        await one.get("/sales")  # loads the pages
        for path in ("/sales", "/sales?only=silent", "/sales?q=customer+99", "/sales?only=unlinked"):
            took = []
            for _ in range(3):
                began = time.monotonic()
                status, html, _ = await one.get(path)
                took.append(time.monotonic() - began)
                assert status == 200
            assert html.count("/console/sales/s") == 50, path
            assert min(took) < BLINK_SECONDS, path


async def test_older_pages_go_on_where_the_one_before_ended(sqlite_url: str) -> None:
    """Page after page, each sale comes once, and none is left out; so on the sheets of links."""
    async with stage(sqlite_url) as play, visitor(play) as one:
        await play.read(many)
        await one.enter(play)
        for path, size in (("/sales?q=&only=all", 50), ("/unlinked", 12)):
            seen: list[str] = []
            for _ in range(3):
                html = (await one.get(path))[1]
                seen += re.findall(r"/console/sales/(s\d+)", html)
                path = re.search(r"/console(/[a-z]+\?[^\"\\]*after=[^\"\\]+)", html)[1].replace("&amp;", "&")  # type: ignore[index]  # noqa: PLW2901 - on to the next
            assert seen == [f"s{number}" for number in range(3 * size)]


def many(uow: UnitOfWork) -> None:
    """Store ten thousand sales."""
    for number in range(10_000):
        uow.put_customer(Customer(f"c{number}", name=f"Customer {number}"))
        at = MORNING - timedelta(minutes=number)
        uow.put_sale(Sale(f"s{number}", f"c{number}", f"thing {number}", happened={"order.placed": at}, asked_at=at))


async def test_who_may_not_is_refused_at_the_moment_of_acting(sqlite_url: str) -> None:
    """A reader, and somebody whose session ended while the page was open, get a clear word and nothing happens."""
    async with stage(sqlite_url) as play:
        await play.happens(order("order.placed"))
        keeper = Keeper(play.program.database, play.clock)

        async def visit(role: Role) -> Visit:
            entered = await keeper.let_in(await ticket(play, role))
            assert entered is not None
            within = await keeper.visitor(entered.token)
            assert within is not None
            return Visit(within, World(play.program), Words("en"), "/console", "auto")

        with pytest.raises(Forbidden, match="This is for staff only"):
            await links(await visit("reader"), ["1001"])
        gone, late, staff = await visit("admin"), await visit("admin"), await visit("staff")
        await keeper.leave(gone.visitor.token)
        with pytest.raises(Forbidden, match="Your session is over"):
            await links(gone, ["1001"])
        assert "link.made" not in await play.told()
        made = await links(staff, ["1001"])
        assert made["1001"].startswith("https://t.me/")
        await play.pass_time(passes.SESSION_LIVES)
        with pytest.raises(Forbidden, match="Your session is over"):
            await links(late, ["1001"])


@needs_browser
async def test_a_window_that_stays_open_ends_with_its_session(sqlite_url: str, browser: Any) -> None:
    """Signed out in one window, the other goes back to the sign-in by itself and shows nothing any more."""
    async with stage(sqlite_url) as play, console(play, browser) as page:
        other = await page.context.new_page()
        await other.goto(f"{play.service.address}/console/sales")
        await other.get_by_role("heading", level=1).wait_for()
        await page.get_by_role("button", name=re.compile("Sign out")).click()
        await page.wait_for_url("**/console/sign-in")
        await other.wait_for_url("**/console/sign-in")


def test_every_text_is_there_in_both_languages() -> None:
    """No text is empty, and both languages fill in the same things."""
    for key, texts in TEXTS.items():
        assert len(texts) == 2, key
        assert all(texts), key
        assert len({frozenset(re.findall(r"\{\w+\}", text)) for text in texts}) == 1, key
