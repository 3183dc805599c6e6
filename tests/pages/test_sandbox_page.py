"""The sandbox page in a real browser: both sides are played, the clock is moved, and what is seen is what is so."""

import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bot.errors import ConfigurationError
from bot.pages.playground import demand_sandbox
from bot.pages.sandbox import open_sandbox_page
from bot.settings import Settings
from tests.pages.browser import PHONE, needs_browser, open_browser, open_window, picture, violations

pytestmark = needs_browser


@pytest.fixture
async def browser() -> AsyncIterator[Any]:
    async with open_browser() as opened:
        yield opened


async def seen(page: Any, text: str | re.Pattern[str], within: str = "body") -> None:
    """Wait until a text is to be seen."""
    await page.locator(within).get_by_text(text).first.wait_for()


async def press(page: Any, name: str, *, exact: bool = True) -> None:
    """Press a button."""
    await page.get_by_role("button", name=name, exact=exact).first.click()


async def moved(page: Any, button: str) -> None:
    """Press a button of the clock, and wait until it shows another time."""
    before = await page.locator(".clock-now").inner_text()
    await press(page, button)
    await page.wait_for_function(f"document.querySelector('.clock-now').innerText !== {before!r}")


async def go_on_until(page: Any, hint: str) -> None:
    """Go from one thing that happens to the next until the line at the top says something."""
    for _ in range(8):
        await moved(page, "Next thing that happens")
        if await page.locator(".try").get_by_text(hint).count():
            return
    raise AssertionError(await page.locator(".try").inner_text())


async def test_a_newcomer_is_customer_and_staff_makes_somebody_unhappy_and_puts_it_right(browser: Any) -> None:
    """From the order to “complete”, by the hints alone: chat, card, forms and clock all act through the real adapters."""
    async with open_sandbox_page() as address, open_window(browser) as page:
        await page.goto(address)
        await seen(page, "Freja buys something")
        await press(page, "Order placed")
        await seen(page, "scan the code on the receipt")
        await press(page, "Scan and press Start")
        await seen(page, "Hi Freja! I am the bot of Nordlys", ".phone")
        await press(page, "Yes: delivery, and how it turns out")
        await seen(page, "Let the parcel arrive")
        await press(page, "Delivered")
        await seen(page, "“after delivery” begins", ".plan")
        await seen(page, "because of order.delivered", ".plan")
        await press(page, "Next thing that happens")
        await seen(page, "Was everything as we promised?", ".phone")
        await picture(page, "sandbox-question")
        await press(page, "🤔 Not quite")
        await seen(page, "Write it in your own words", ".phone")
        await seen(page, "Say in Freja's own words")
        await page.get_by_label("Message, as Freja").fill("One bottle was broken.")
        await page.get_by_label("Message, as Freja").press("Enter")
        await seen(page, "Now be staff")
        await seen(page, "One bottle was broken.", ".slack")
        await press(page, "Claim")
        await seen(page, "Press “Reply to customer”")
        await press(page, "Reply to customer")
        form = page.get_by_role("dialog")
        await form.get_by_role("textbox").fill("A new bottle is on its way, Freja.")
        await picture(page, "sandbox-form")
        await form.get_by_role("button", name=re.compile("Preview|Next|Continue|Show")).click()
        await seen(page, "The customer gets exactly this", "[role=dialog]")
        await form.get_by_role("button", name="Send", exact=True).click()
        await seen(page, "A new bottle is on its way, Freja.", ".phone")
        await press(page, "Remedy done")
        await form.get_by_label("What was done?").select_option(label="Replacement")
        await form.get_by_label("Why did it go wrong?").select_option(index=1)
        await form.get_by_role("textbox").last.fill("Another bottle.")
        await form.locator("button[type=submit]").click()
        await seen(page, "is asked whether it is right now")
        await picture(page, "sandbox-remedy")
        await go_on_until(page, "Only Freja can complete the sale")
        await press(page, "👍 Yes, it is right")
        await seen(page, "Complete, because Freja says so")
        await seen(page, "complete", ".plan .tag")
        await moved(page, "+4 days")
        await picture(page, "sandbox-complete")
        assert await violations(page) == []


async def test_two_windows_stay_in_step_and_each_looks_where_it_likes(browser: Any) -> None:
    """What happens in one window is seen in the other, which may be at another customer; starting over clears both."""
    async with open_sandbox_page() as address, open_window(browser) as one, open_window(browser) as other:
        await one.goto(address)
        await other.goto(address)
        await other.get_by_role("button", name="Mads").click()
        await seen(other, "Mads buys something")
        await press(one, "Order placed")
        await press(one, "Scan and press Start")
        await seen(other, "Freja: two bottles of Barolo", ".plan")
        await other.get_by_role("button", name="Freja, new message").click()
        await seen(other, "Hi Freja! I am the bot of Nordlys", ".phone")
        await press(other, "Start over")
        await seen(one, "Freja buys something")
        assert await one.locator(".bubble").count() == 0


async def test_a_customer_can_stop_block_send_a_photo_and_staff_write_in_a_thread(browser: Any) -> None:
    """/stop, blocking, a photo, and Slack's own talk do what they do in life."""
    async with open_sandbox_page() as address, open_window(browser, locale="da-DK", color_scheme="dark") as page:
        await page.goto(address)
        await press(page, "Ordre afgivet")
        await press(page, "Scan og tryk på Start")
        await press(page, "Yes: delivery, and how it turns out")
        await press(page, "Send et billede")
        await page.get_by_role("img", name="Et billede").wait_for()
        await press(page, "/stop")
        await seen(page, re.compile("stop", re.IGNORECASE), ".phone .bubble-box:not(.mine)")
        await press(page, "Bloker botten")
        await seen(page, "Botten er blokeret.")
        await press(page, "Ophæv blokering")
        await page.get_by_role("button", name="# fashion").click()
        await page.get_by_label("Besked i #fashion, som Mette Juhl").fill("Hvem har et 40?")
        await page.get_by_label("Besked i #fashion, som Mette Juhl").press("Enter")
        await seen(page, "Hvem har et 40?", ".slack")
        await page.get_by_label("Svar i tråden").fill("Odense")
        await page.get_by_label("Svar i tråden").press("Enter")
        await seen(page, "Odense", ".slack .thread")
        await picture(page, "sandbox-danish-dark")
        assert await violations(page) == []


async def test_staff_have_their_home_their_command_and_the_rarer_deeds(browser: Any) -> None:
    """App Home shows the case and its buttons act; /aftersale answers them alone; the menu of a card opens its forms."""
    async with open_sandbox_page() as address, open_window(browser) as page:
        await page.goto(address)
        await press(page, "Order placed")
        await press(page, "Scan and press Start")
        await press(page, "Yes: delivery, and how it turns out")
        await page.get_by_label("Message, as Freja").fill("Where is my wine? I am not happy.")
        await page.get_by_label("Message, as Freja").press("Enter")
        await press(page, "Claim")
        await page.get_by_role("combobox", name="Choose").select_option(label="Put aside")
        form = page.get_by_role("dialog")
        await form.get_by_role("combobox").first.select_option(index=1)
        await form.locator("input[type=datetime-local]").fill("2026-11-25T10:00")
        await form.get_by_role("textbox", name="What is awaited, in a few words").fill("She looks at home first.")
        await picture(page, "sandbox-snooze")
        await form.locator("button[type=submit]").click()
        await form.wait_for(state="detached")
        await seen(page, re.compile("25 Nov"), ".slack .thread")
        await page.get_by_label("Message in #wine, as Mette Juhl").fill("/aftersale why 1001")
        await page.get_by_label("Message in #wine, as Mette Juhl").press("Enter")
        await seen(page, "Only you can see this")
        await press(page, "App Home")
        await seen(page, re.compile("Freja"), ".slack-talk")
        await picture(page, "sandbox-home")
        assert await violations(page) == []


async def test_it_can_be_played_with_the_keyboard_alone(browser: Any) -> None:
    """Tab, Enter and Escape do all; what is drawn anew does not throw the focus away, and a form takes it and gives it back."""
    async with open_sandbox_page() as address, open_window(browser) as page:
        await page.goto(address)
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Skip to the content"
        for name in ("Order placed", "Scan and press Start"):
            await page.get_by_role("button", name=name).focus()
            await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Only about delivery and service").wait_for()
        await page.wait_for_function("document.activeElement.closest('.phone') !== null")
        await page.get_by_label("Message, as Freja").focus()
        await page.keyboard.type("Where is it? I am not happy at all.")
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Reply to customer").focus()
        await page.keyboard.press("Enter")
        await page.wait_for_function("document.activeElement.matches('[role=dialog] textarea')")
        await page.keyboard.press("Escape")
        await page.get_by_role("dialog").wait_for(state="detached")
        await page.wait_for_function("document.activeElement !== document.body")


async def test_on_a_phone_everything_is_there_one_below_the_other(browser: Any) -> None:
    """At the width of a phone nothing sticks out to the side."""
    async with open_sandbox_page() as address, open_window(browser, viewport=PHONE) as page:
        await page.goto(address)
        await press(page, "Order placed")
        await press(page, "Scan and press Start")
        await seen(page, "Hi Freja! I am the bot of Nordlys", ".phone")
        await picture(page, "sandbox-phone")
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"]


async def test_nothing_is_served_to_another_name_or_from_another_page() -> None:
    """The open door is open to this machine alone: a name that only leads here, and other pages, are refused."""
    async with open_sandbox_page() as address, aiohttp.ClientSession() as http:
        async with http.get(address, headers={"Host": "evil.example"}) as answer:
            assert answer.status == 403
        socket = f"{address}_nicegui_ws/socket.io/?EIO=4&transport=websocket"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(socket, headers={"Origin": "https://evil.example"})


def test_the_sandbox_is_refused_beside_real_tokens() -> None:
    """A stage whose messages would go to the real Telegram or the real Slack is not set, and the reason is said."""
    slack = {"telegram_bot_token": "1:x", "telegram_api_base": "http://127.0.0.1:1", "slack_bot_token": "xoxb-1"}
    with pytest.raises(ConfigurationError, match="SLACK_API_BASE: the sandbox page never runs beside real tokens"):
        demand_sandbox(Settings.of(**slack), "http://127.0.0.1:1", "http://127.0.0.1:2/api/")
    with pytest.raises(ConfigurationError, match="TELEGRAM_API_BASE: the sandbox page never runs beside real tokens"):
        demand_sandbox(Settings.of(telegram_bot_token="1:x"), "http://127.0.0.1:1", "http://127.0.0.1:2/api/")
