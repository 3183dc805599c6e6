import logging
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telegram import Bot

from bot.adapters.clock import SystemClock
from bot.adapters.sandbox.telegram import SandboxTelegram
from bot.adapters.telegram.connection import connect, username
from bot.adapters.telegram.messenger import TelegramMessenger, answer_tap, split_text
from bot.errors import ConfigurationError, DeliveryDelayed, DeliveryRefused, DeliveryUnknown
from bot.ports.records import Outgoing

TOKEN = "123456:sandbox-token_AAAAAAAAAAAAAAAAAAAA"
NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)


def outgoing(body: Mapping[str, Any], kind: Any = "question") -> Outgoing:
    return Outgoing("k", "telegram", "chat:1", kind, body, not_before=NOW, created_at=NOW)


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxTelegram]:
    async with SandboxTelegram(token=TOKEN, clock=SystemClock().now) as server:
        yield server


@pytest.fixture
async def bot(sandbox: SandboxTelegram) -> AsyncIterator[Bot]:
    async with connect(TOKEN, sandbox.base_url, patience=timedelta(seconds=0.3)) as opened:
        yield opened


async def started(sandbox: SandboxTelegram) -> Any:
    customer = sandbox.customer(first_name="Freja")
    await customer.start()
    return customer


async def test_a_question_arrives_with_its_buttons(sandbox: SandboxTelegram, bot: Bot) -> None:
    """Text and rows of buttons stand in the chat as they were given, signs of markup untouched, without a preview."""
    customer = await started(sandbox)
    body = {
        "chat_id": customer.user_id,
        "text": "Was <b>all</b> *well*? https://example.com",
        "buttons": [[{"label": "👍 Yes", "data": "a:1:0"}], [{"label": "Review", "url": "https://example.com/r"}]],
    }
    external = await TelegramMessenger(bot).deliver(outgoing(body))
    assert customer.last.message_id == int(external)
    assert customer.last.text == body["text"]
    assert customer.last.buttons == [["👍 Yes"], ["Review"]]
    assert sandbox.calls[-1].params["link_preview_options"] == {"is_disabled": True}


async def test_only_a_bot_that_pays_says_so(sandbox: SandboxTelegram, bot: Bot) -> None:
    """A message costs Stars only where the shop has set more a second than Telegram gives for nothing."""
    customer = await started(sandbox)
    for is_paid in (False, True):
        body = {"chat_id": customer.user_id, "text": "Well?"}
        await TelegramMessenger(bot, is_paid=is_paid).deliver(outgoing(body))
        assert sandbox.calls[-1].params.get("allow_paid_broadcast", False) is is_paid


async def a_photo(sandbox: SandboxTelegram) -> str:
    """Give the id of a picture that Telegram has."""
    sender = await started(sandbox)
    await sender.send_photo()
    return "SANDBOX-photo-00000001"


async def test_a_text_stands_below_its_picture_and_is_edited_there(sandbox: SandboxTelegram, bot: Bot) -> None:
    """One message with picture, words and buttons; its words are edited as the caption that they are."""
    photo = await a_photo(sandbox)
    customer, messenger = await started(sandbox), TelegramMessenger(bot)
    body = {"chat_id": customer.user_id, "text": "Well?", "photo": photo, "buttons": [[{"label": "Yes", "data": "a"}]]}
    external = await messenger.deliver(outgoing(body))
    asked = customer.last
    assert (asked.media, asked.caption, asked.buttons) == ("photo", "Well?", [["Yes"]])
    edit = {"chat_id": customer.user_id, "message_id": external, "text": "Well?\n✓ Yes", "captioned": True}
    assert await messenger.deliver(outgoing(edit, "edit")) == external
    assert (asked.caption, asked.buttons) == ("Well?\n✓ Yes", [])


async def test_a_text_too_long_for_a_caption_follows_its_picture(sandbox: SandboxTelegram, bot: Bot) -> None:
    """Nothing is cut: the picture comes first, then all the words with their buttons; a later limit is then in doubt."""
    photo = await a_photo(sandbox)
    customer, messenger = await started(sandbox), TelegramMessenger(bot)
    body = {
        "chat_id": customer.user_id,
        "text": "w" * 1025,
        "photo": photo,
        "buttons": [[{"label": "Yes", "data": "a"}]],
    }
    external = await messenger.deliver(outgoing(body))
    first, second = (message for message in customer.chat if message.from_bot)
    assert (first.media, first.caption, first.buttons) == ("photo", "", [])
    assert (second.text, second.buttons, second.message_id) == ("w" * 1025, [["Yes"]], int(external))
    sandbox.fail_next("sendMessage", status=429, retry_after=3)
    with pytest.raises(DeliveryUnknown):
        await messenger.deliver(outgoing(body))


async def test_words_arrive_without_a_picture_that_cannot_be_had(sandbox: SandboxTelegram, bot: Bot) -> None:
    """A wrong address of a picture keeps no question back, nor the edit of what went out without it."""
    customer, messenger = await started(sandbox), TelegramMessenger(bot)
    body = {"chat_id": customer.user_id, "text": "Well?", "photo": "https://example.com/gone.jpg"}
    external = await messenger.deliver(outgoing(body))
    assert customer.last.text == "Well?"
    edit = {"chat_id": customer.user_id, "message_id": external, "text": "Well? Yes", "captioned": True}
    await messenger.deliver(outgoing(edit, "edit"))
    assert customer.last.text == "Well? Yes"
    sandbox.fail_next("sendPhoto", status=403, description="Forbidden: bot was blocked by the user")
    with pytest.raises(DeliveryRefused):
        await messenger.deliver(outgoing(body))


async def test_an_edit_changes_text_and_takes_the_keyboard_away(sandbox: SandboxTelegram, bot: Bot) -> None:
    """The keyboard is replaced by the choice; with no text only the keyboard goes."""
    customer, messenger = await started(sandbox), TelegramMessenger(bot)
    body = {"chat_id": customer.user_id, "text": "Well?", "buttons": [[{"label": "Yes", "data": "a"}]]}
    first = await messenger.deliver(outgoing(body))
    second = await messenger.deliver(outgoing(body))
    edit = {"chat_id": customer.user_id, "message_id": int(first), "text": "Well?\n✓ Yes"}
    assert await messenger.deliver(outgoing(edit, "edit")) == first
    assert await messenger.deliver(outgoing({**edit, "message_id": second, "text": None}, "edit")) == second
    shown = {message.message_id: message for message in customer.chat}
    assert (shown[int(first)].text, shown[int(first)].buttons) == ("Well?\n✓ Yes", [])
    assert (shown[int(second)].text, shown[int(second)].buttons) == ("Well?", [])


@pytest.mark.parametrize(
    ("message_id", "text", "reason"),
    [(999_999, "new", "gone"), (None, "new", "gone"), ("first", "Well?", "unchanged")],
)
async def test_an_edit_that_cannot_be_says_why(
    sandbox: SandboxTelegram, bot: Bot, message_id: Any, text: str, reason: str
) -> None:
    """Never a new message in place of an edit: gone and unchanged are told apart."""
    customer, messenger = await started(sandbox), TelegramMessenger(bot)
    first = await messenger.deliver(outgoing({"chat_id": customer.user_id, "text": "Well?"}))
    known = int(first) if message_id == "first" else message_id
    with pytest.raises(DeliveryRefused) as refused:
        await messenger.deliver(
            outgoing({"chat_id": customer.user_id, "message_id": known, "text": text, "buttons": []}, "edit")
        )
    assert refused.value.reason == reason
    assert customer.last.text == "Well?"


async def test_a_long_text_comes_in_parts_and_the_last_has_the_buttons(sandbox: SandboxTelegram, bot: Bot) -> None:
    """A staff reply beyond Telegram's limit arrives whole and in order; the id given is that of the buttons."""
    customer, messenger = await started(sandbox), TelegramMessenger(bot)
    paragraphs = [f"{n}. " + "We looked at it again 🍷. " * 60 for n in range(6)]
    body = {
        "chat_id": customer.user_id,
        "text": "\n\n".join(paragraphs),
        "buttons": [[{"label": "Thanks", "data": "a"}]],
    }
    external = await messenger.deliver(outgoing(body, "staff_reply"))
    parts = [message for message in customer.chat if message.from_bot]
    assert len(parts) > 1
    assert "".join("".join(part.text for part in parts).split()) == "".join(body["text"].split())
    assert [part.buttons for part in parts] == [[]] * (len(parts) - 1) + [[["Thanks"]]]
    assert int(external) == parts[-1].message_id
    edited = {"chat_id": customer.user_id, "message_id": external, "text": body["text"] + "\n\n✓ Thanks"}
    await messenger.deliver(outgoing(edited, "edit"))
    assert customer.last.text.endswith("✓ Thanks")


async def test_a_half_delivered_text_is_unknown(sandbox: SandboxTelegram, bot: Bot) -> None:
    """Once a part arrived, nothing may claim that surely nothing was taken."""
    customer = await started(sandbox)
    text = "a" * 3000 + "\n\n" + "b" * 3000
    messenger = TelegramMessenger(_SecondCallLimited(bot, sandbox))  # type: ignore[arg-type]
    with pytest.raises(DeliveryUnknown, match="first 1 parts"):
        await messenger.deliver(outgoing({"chat_id": customer.user_id, "text": text}))


class _SecondCallLimited:
    """Orders a flood limit between the first and the second call."""

    def __init__(self, bot: Bot, sandbox: SandboxTelegram) -> None:
        self._bot, self._sandbox = bot, sandbox

    async def do_api_request(self, *args: Any, **kwargs: Any) -> Any:
        sent = await self._bot.do_api_request(*args, **kwargs)
        self._sandbox.fail_next("sendMessage", status=429, retry_after=3)
        return sent


@pytest.mark.parametrize(
    ("status", "description", "expected"),
    [
        (403, "Forbidden: bot was blocked by the user", DeliveryRefused),
        (400, "Bad Request: chat not found", DeliveryRefused),
        (401, "Unauthorized", DeliveryDelayed),
        (404, "Not Found", DeliveryDelayed),
        (429, None, DeliveryDelayed),
        (500, None, DeliveryUnknown),
        (502, None, DeliveryUnknown),
    ],
)
async def test_each_answer_has_its_meaning(
    sandbox: SandboxTelegram, bot: Bot, status: int, description: str | None, expected: type[Exception]
) -> None:
    """What Telegram answers through the real library becomes the error that dispatch acts on."""
    customer = await started(sandbox)
    sandbox.fail_next("sendMessage", status=status, description=description)
    with pytest.raises(expected) as raised:
        await TelegramMessenger(bot).deliver(outgoing({"chat_id": customer.user_id, "text": "Well?"}))
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


async def test_429_says_how_long_everyone_waits(sandbox: SandboxTelegram, bot: Bot) -> None:
    """The span that Telegram asks for reaches dispatch."""
    customer = await started(sandbox)
    sandbox.fail_next("sendMessage", status=429, retry_after=17)
    with pytest.raises(DeliveryDelayed) as delayed:
        await TelegramMessenger(bot).deliver(outgoing({"chat_id": customer.user_id, "text": "Well?"}))
    assert (delayed.value.retry_after, delayed.value.everyone) == (timedelta(seconds=17), True)


async def test_a_reply_that_is_lost_is_unknown_although_the_message_arrived(sandbox: SandboxTelegram, bot: Bot) -> None:
    """The connection broke after Telegram took the message: it must not count as unsent."""
    customer = await started(sandbox)
    sandbox.drop_reply_next("sendMessage")
    with pytest.raises(DeliveryUnknown):
        await TelegramMessenger(bot).deliver(outgoing({"chat_id": customer.user_id, "text": "Well?"}))
    assert customer.last.text == "Well?"


async def test_an_answer_that_takes_too_long_is_unknown(sandbox: SandboxTelegram, bot: Bot) -> None:
    """Telegram took the message, but our patience ended before it said so."""
    customer = await started(sandbox)
    sandbox.hang_next("sendMessage", 5)
    with pytest.raises(DeliveryUnknown):
        await TelegramMessenger(bot).deliver(outgoing({"chat_id": customer.user_id, "text": "Well?"}))
    assert customer.last.text == "Well?"


async def test_where_nobody_listens_the_message_waits() -> None:
    """No connection, nothing sent: surely not taken."""
    async with SandboxTelegram(token=TOKEN, clock=SystemClock().now) as closed:
        address = closed.base_url
    async with connect(TOKEN, address) as bot:
        with pytest.raises(DeliveryDelayed):
            await TelegramMessenger(bot).deliver(outgoing({"chat_id": 1, "text": "Well?"}))


async def test_who_blocked_the_bot_is_told_apart(sandbox: SandboxTelegram, bot: Bot) -> None:
    """Blocked, deactivated and unheard-of chats through the real library."""
    messenger = TelegramMessenger(bot)
    blocking, leaving = await started(sandbox), await started(sandbox)
    await blocking.block()
    await leaving.deactivate()
    for chat_id, reason in ((blocking.user_id, "blocked"), (leaving.user_id, "chat_gone"), (4711, "chat_gone")):
        with pytest.raises(DeliveryRefused) as refused:
            await messenger.deliver(outgoing({"chat_id": chat_id, "text": "Well?"}))
        assert refused.value.reason == reason


async def test_a_tap_is_answered_and_an_old_one_does_not_matter(sandbox: SandboxTelegram, bot: Bot) -> None:
    """The waiting sign goes; a tap that Telegram no longer knows raises nothing."""
    customer = await started(sandbox)
    body = {"chat_id": customer.user_id, "text": "Well?", "buttons": [[{"label": "Yes", "data": "a"}]]}
    await TelegramMessenger(bot).deliver(outgoing(body))
    query = await customer.tap("Yes")
    assert await answer_tap(bot, query, "Thank you")
    assert not await answer_tap(bot, query)


async def test_the_token_stays_out_of_the_log(
    sandbox: SandboxTelegram, bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    """Every address carries the token; nobody writes one, not even who writes everything."""
    customer = await started(sandbox)
    with caplog.at_level(logging.DEBUG):
        await TelegramMessenger(bot).deliver(outgoing({"chat_id": customer.user_id, "text": "Well?"}))
    assert TOKEN not in caplog.text


async def test_the_name_of_the_bot_and_a_wrong_token(sandbox: SandboxTelegram, bot: Bot) -> None:
    """The bot tells its name; a token that Telegram does not know is the operator's, and is not repeated in words."""
    assert await username(bot) == "aftersale_sandbox_bot"
    wrong = "654321:another-token_BBBBBBBBBBBBBBBBBBBB"
    async with connect(wrong, sandbox.base_url) as stranger:
        with pytest.raises(ConfigurationError, match="TELEGRAM_BOT_TOKEN") as refused:
            await username(stranger)
    assert wrong not in str(refused.value)
    with pytest.raises(ConfigurationError, match="TELEGRAM_BOT_TOKEN"):
        async with connect("nonsense", sandbox.base_url):
            pass


@given(st.text(alphabet="ab .\n🍷", max_size=200), st.integers(4, 40))
def test_split_parts_fit_and_lose_nothing(text: str, limit: int) -> None:
    """Parts never exceed the limit in UTF-16 units, are never empty, and together hold every word in order."""
    parts = split_text(text, limit)
    assert all(len(part.encode("utf-16-le")) // 2 <= limit for part in parts)
    assert all(part.strip() for part in parts) or not text.strip()
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_split_prefers_paragraphs_to_sentences_to_words() -> None:
    """The cut stands where a reader would pause."""
    assert split_text("One two. Three.\n\nFour five six.", 20) == ["One two. Three.", "Four five six."]
    assert split_text("One two three. Four five.", 20) == ["One two three.", "Four five."]
    assert split_text("onetwothreefourfivesix", 10) == ["onetwothre", "efourfives", "ix"]
