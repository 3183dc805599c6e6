"""The sandbox Telegram, driven by the real python-telegram-bot over real HTTP."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp import web
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, MessageEntity, ReplyParameters, Update
from telegram.constants import ParseMode
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter, TimedOut
from telegram.ext import Application, CallbackQueryHandler, CommandHandler
from telegram.request import HTTPXRequest

from bot.adapters.sandbox.telegram import SandboxError, SandboxTelegram

# The library warns, whenever it makes a RetryAfter, that its seconds will one day be a timedelta.
pytestmark = pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")


def seconds(span: timedelta | int | None) -> float:
    """Give a span in seconds: the library hands out either type, by a switch that our adapter may have set."""
    assert span is not None
    return span.total_seconds() if isinstance(span, timedelta) else span


TOKEN = "1234:sandbox"
SECRET = "s3cret_-"


class MovedClock:
    """The sandbox's time, moved by the test."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Gives the time that the test has set."""
        return self.now


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
async def tg(clock: MovedClock) -> AsyncIterator[SandboxTelegram]:
    async with SandboxTelegram(token=TOKEN, clock=clock) as sandbox:
        yield sandbox


def connect(tg: SandboxTelegram, *, token: str = TOKEN) -> Bot:
    return Bot(
        token,
        base_url=f"{tg.base_url}/bot",
        base_file_url=f"{tg.base_url}/file/bot",
        # Nothing here speaks TLS, and loading the certificates for every test would take half the time.
        request=HTTPXRequest(httpx_kwargs={"verify": False}),
        get_updates_request=HTTPXRequest(httpx_kwargs={"verify": False}),
    )


@pytest.fixture
async def bot(tg: SandboxTelegram) -> AsyncIterator[Bot]:
    async with connect(tg) as connected:
        yield connected


def keyboard(*labels: str) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup([[InlineKeyboardButton(label, callback_data=label.lower())] for label in labels])


async def drain(bot: Bot) -> list[Update]:
    """Fetches and confirms everything that waits."""
    updates = list(await bot.get_updates(allowed_updates=Update.ALL_TYPES))
    if updates:
        await bot.get_updates(offset=updates[-1].update_id + 1)
    return updates


async def test_the_bot_introduces_itself(tg: SandboxTelegram, bot: Bot) -> None:
    """getMe, as the client calls it when it starts, names the bot of the token."""
    assert (bot.id, bot.username) == (1234, "aftersale_sandbox_bot")


async def test_wrong_tokens_and_methods_are_refused(tg: SandboxTelegram, bot: Bot) -> None:
    """A well-formed wrong token gives 401, a malformed one and an unknown method give 404."""
    stranger = connect(tg, token="1234:other")
    with pytest.raises(InvalidToken):
        await stranger.initialize()
    await stranger.shutdown()
    async with aiohttp.ClientSession() as http:
        for path, status in (("bot1234:other/getMe", 401), ("botnonsense/getMe", 404), (f"bot{TOKEN}/getLost", 404)):
            async with http.get(f"{tg.base_url}/{path}") as answer:
                body = await answer.json()
                assert (answer.status, body["ok"], body["error_code"]) == (status, False, status)


async def test_get_json_and_form_calls_are_the_same(tg: SandboxTelegram, clock: MovedClock) -> None:
    """A method can be called with a query, a form or JSON, in any spelling of its name."""
    freja = tg.customer()
    await freja.start()
    url = f"{tg.base_url}/bot{TOKEN}/SENDMESSAGE"
    call = {"chat_id": str(freja.user_id), "text": "12"}
    async with aiohttp.ClientSession() as http:
        for ask in (http.get(url, params=call), http.post(url, data=call), http.post(url, json=call)):
            async with ask as answer:
                result = (await answer.json())["result"]
                assert (result["text"], result["chat"]["id"]) == ("12", freja.user_id)
                assert result["date"] == int(clock.now.timestamp())


async def test_start_with_a_token_reaches_the_bot_as_a_command(tg: SandboxTelegram, bot: Bot) -> None:
    """/start TOKEN arrives from a private chat, with its command marked and the sandbox's time."""
    freja = tg.customer(first_name="Freja", language_code="da", user_id=77)
    await freja.start("abc-123")
    (update,) = await drain(bot)
    message = update.message
    assert message.text == "/start abc-123"
    assert message.parse_entities([MessageEntity.BOT_COMMAND]) == {message.entities[0]: "/start"}
    assert (message.from_user.id, message.from_user.first_name, message.from_user.language_code) == (77, "Freja", "da")
    assert (message.chat.id, message.chat.type, message.date) == (77, "private", datetime(2026, 11, 22, 9, tzinfo=UTC))


async def test_entities_count_utf16_units(tg: SandboxTelegram, bot: Bot) -> None:
    """Offsets after an emoji are those of Telegram, which counts UTF-16 code units."""
    freja = tg.customer()
    await freja.send("🍷🍷 /help see https://example.com/a.")
    (update,) = await drain(bot)
    assert list(update.message.parse_entities().values()) == ["/help", "https://example.com/a"]


async def test_confirmed_updates_are_gone_and_others_come_again(tg: SandboxTelegram, bot: Bot) -> None:
    """An update is handed over until an offset beyond it confirms it; limit and negative offsets hold."""
    freja = tg.customer()
    for text in ("one", "two", "three"):
        await freja.send(text)
    first = await bot.get_updates(limit=2)
    again = await bot.get_updates(limit=2)
    assert [u.message.text for u in first] == [u.message.text for u in again] == ["one", "two"]
    rest = await bot.get_updates(offset=first[0].update_id + 1)
    assert [u.message.text for u in rest] == ["two", "three"]
    assert [u.message.text for u in await bot.get_updates(offset=-1)] == ["three"]
    assert tg.pending_updates == 1


async def test_a_long_poll_answers_as_soon_as_something_is_said(tg: SandboxTelegram, bot: Bot) -> None:
    """A waiting getUpdates returns at once when an update arrives, and empty after its time-out."""
    freja = tg.customer()
    began = time.monotonic()
    assert await bot.get_updates(timeout=1) == ()
    assert 0.9 < time.monotonic() - began < 5
    poll = asyncio.create_task(bot.get_updates(timeout=30))
    await asyncio.sleep(0.05)
    began = time.monotonic()
    await freja.send("hello")
    assert [u.message.text for u in await poll] == ["hello"]
    assert time.monotonic() - began < 5


async def test_a_second_poller_ends_the_first(tg: SandboxTelegram, bot: Bot) -> None:
    """Of two waiting getUpdates the older is told of the conflict, the newer gets the update."""
    freja = tg.customer()
    async with connect(tg) as other:
        older = asyncio.create_task(bot.get_updates(timeout=10))
        await asyncio.sleep(0.05)
        newer = asyncio.create_task(other.get_updates(timeout=10))
        with pytest.raises(Conflict, match="terminated by other getUpdates"):
            await older
        await freja.send("hello")
        assert len(await newer) == 1


async def test_only_the_kinds_asked_for_arrive(tg: SandboxTelegram, bot: Bot) -> None:
    """Reactions come only when asked for by name; a list is remembered until the next one."""
    freja = tg.customer()
    message_id = await freja.send("hello")
    await freja.react(message_id, "👍")
    assert [u.message_reaction for u in await drain(bot)] == [None]
    await freja.react(message_id, "❤")
    (update,) = await bot.get_updates(allowed_updates=["message_reaction"])
    assert [r.emoji for r in update.message_reaction.old_reaction] == ["👍"]
    assert [r.emoji for r in update.message_reaction.new_reaction] == ["❤"]
    await bot.get_updates(offset=update.update_id + 1)
    await freja.send("nobody asked")
    assert await bot.get_updates() == ()


async def test_a_repeated_update_comes_twice_with_one_id(tg: SandboxTelegram, bot: Bot) -> None:
    """An update can be ordered to come again although it was confirmed, exactly once more."""
    freja = tg.customer()
    tg.repeat_next_update()
    await freja.send("twice")
    await freja.send("once")
    first, second = await bot.get_updates()
    again = await bot.get_updates(offset=second.update_id + 1)
    assert [u.update_id for u in again] == [first.update_id]
    assert await bot.get_updates(offset=second.update_id + 1) == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "message text is empty"),
        ("   \n", "text must be non-empty"),
        ("x" * 4097, "message is too long"),
        ("🍷" * 2049, "message is too long"),
    ],
)
async def test_texts_beyond_the_limits_are_refused(tg: SandboxTelegram, bot: Bot, text: str, reason: str) -> None:
    """A text has 1 to 4096 UTF-16 code units."""
    freja = tg.customer()
    await freja.start()
    with pytest.raises(BadRequest, match=f"(?i){reason}"):
        await bot.send_message(freja.user_id, text)
    assert len(freja.chat) == 1


async def test_texts_are_measured_after_formatting(tg: SandboxTelegram, bot: Bot) -> None:
    """Tags and escapes do not count towards the 4096 units, and become entities."""
    freja = tg.customer()
    await freja.start()
    sent = await bot.send_message(freja.user_id, "<b>" + "&amp;" * 4096 + "</b>", parse_mode=ParseMode.HTML)
    assert sent.text == "&" * 4096
    assert [(e.type, e.offset, e.length) for e in sent.entities] == [("bold", 0, 4096)]
    sent = await bot.send_message(
        freja.user_id, '🍷 <a href="https://x.dk/?a&amp;b">here</a>', parse_mode=ParseMode.HTML
    )
    assert (sent.text, sent.entities[0].url, sent.entities[0].offset) == ("🍷 here", "https://x.dk/?a&b", 3)


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        ("a < b", "Unclosed start tag at byte offset 2"),
        ("ø<p>x</p>", 'Unsupported start tag "p" at byte offset 2'),
        ("<b>x</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b>x", 'find end tag corresponding to start tag "b"'),
    ],
)
async def test_broken_html_is_refused(tg: SandboxTelegram, bot: Bot, html: str, reason: str) -> None:
    """HTML that Telegram cannot read is refused, with the place."""
    freja = tg.customer()
    await freja.start()
    with pytest.raises(BadRequest) as refused:
        await bot.send_message(freja.user_id, html, parse_mode=ParseMode.HTML)
    assert reason.casefold() in str(refused.value).casefold()


@pytest.mark.parametrize(
    ("button", "reason"),
    [
        (InlineKeyboardButton("Yes", callback_data="æ" * 33), "BUTTON_DATA_INVALID|Button_data_invalid"),
        (InlineKeyboardButton("Yes", url="http://localhost/x"), "Wrong HTTP URL"),
        (InlineKeyboardButton("Yes", url="ftp://example.com"), "Unsupported URL protocol"),
        (InlineKeyboardButton("Yes"), "Text buttons are unallowed"),
        (InlineKeyboardButton(" ", callback_data="x"), "text must be non-empty"),
    ],
)
async def test_impossible_buttons_are_refused(
    tg: SandboxTelegram, bot: Bot, button: InlineKeyboardButton, reason: str
) -> None:
    """Callback data has at most 64 bytes, links are public, labels are not empty."""
    freja = tg.customer()
    await freja.start()
    with pytest.raises(BadRequest, match=f"(?i){reason}"):
        await bot.send_message(freja.user_id, "?", reply_markup=InlineKeyboardMarkup([[button]]))


async def test_keyboards_within_the_limits_pass(tg: SandboxTelegram, bot: Bot) -> None:
    """64 bytes of callback data, links, and an empty keyboard are accepted; the latter shows nothing."""
    freja = tg.customer()
    await freja.start()
    row = [InlineKeyboardButton("A", callback_data="æ" * 32), InlineKeyboardButton("B", url="https://example.com")]
    sent = await bot.send_message(freja.user_id, "?", reply_markup=InlineKeyboardMarkup([row]))
    assert sent.reply_markup.inline_keyboard[0][0].callback_data == "æ" * 32
    assert freja.last.buttons == [["A", "B"]]
    sent = await bot.send_message(freja.user_id, "?", reply_markup=InlineKeyboardMarkup([]))
    assert sent.reply_markup is None


async def test_who_cannot_be_written_to(tg: SandboxTelegram, bot: Bot) -> None:
    """Unknown chats, customers before Start, after blocking and after deactivation each refuse in their way."""
    freja = tg.customer()
    with pytest.raises(BadRequest, match=r"(?i)chat not found"):
        await bot.send_message(1, "hello")
    with pytest.raises(Forbidden, match="can't initiate conversation with a user"):
        await bot.send_message(freja.user_id, "hello")
    await freja.start()
    await bot.send_message(freja.user_id, "hello")
    await freja.block()
    with pytest.raises(Forbidden, match="bot was blocked by the user"):
        await bot.send_message(freja.user_id, "hello")
    await freja.start()
    await bot.send_message(freja.user_id, "hello")
    await freja.deactivate()
    with pytest.raises(Forbidden, match="user is deactivated"):
        await bot.send_message(freja.user_id, "hello")
    changes = [u.my_chat_member.new_chat_member.status for u in await drain(bot) if u.my_chat_member]
    assert changes == ["kicked", "member"]


async def test_a_tap_is_a_callback_query_with_its_message(tg: SandboxTelegram, bot: Bot) -> None:
    """A tap carries data, person and the whole message; answering it shows the text to the customer."""
    freja = tg.customer()
    await freja.start()
    sent = await bot.send_message(freja.user_id, "All well?", reply_markup=keyboard("👍 Yes", "Not quite"))
    await drain(bot)
    await freja.tap("Yes")
    (update,) = await drain(bot)
    query = update.callback_query
    assert (query.data, query.from_user.id) == ("👍 yes", freja.user_id)
    assert query.message.is_accessible
    assert (query.message.message_id, query.message.text) == (sent.message_id, "All well?")
    assert query.message.reply_markup == sent.reply_markup
    await query.answer("Thanks")
    assert [a.text for a in freja.answers] == ["Thanks"]
    with pytest.raises(BadRequest, match=r"(?i)query is too old"):
        await query.answer()


async def test_a_late_answer_to_a_tap_is_refused(clock: MovedClock) -> None:
    """A callback query can be answered for a short real time only, whatever the sandbox's time."""
    async with (
        SandboxTelegram(token=TOKEN, clock=clock, answer_window=timedelta(milliseconds=400)) as tg,
        connect(tg) as bot,
    ):
        freja = tg.customer()
        await freja.start()
        await bot.send_message(freja.user_id, "?", reply_markup=keyboard("Yes"))
        query_id = await freja.tap("Yes")
        clock.now += timedelta(days=3)
        await bot.answer_callback_query(query_id)
        query_id = await freja.tap("Yes")
        await asyncio.sleep(0.45)
        with pytest.raises(
            BadRequest, match=r"(?i)query is too old and response timeout expired or query ID is invalid"
        ):
            await bot.answer_callback_query(query_id)


async def test_taps_find_the_newest_button_or_say_what_is_there(tg: SandboxTelegram, bot: Bot) -> None:
    """A label means the newest message that has it; a wrong or ambiguous one lists what can be tapped."""
    freja = tg.customer()
    await freja.start()
    await bot.send_message(freja.user_id, "1", reply_markup=keyboard("Yes", "Not quite"))
    newest = await bot.send_message(freja.user_id, "2", reply_markup=keyboard("Yes", "Not yet"))
    await drain(bot)
    await freja.tap("Yes")
    (update,) = await drain(bot)
    assert update.callback_query.message.message_id == newest.message_id
    assert freja.buttons == ["Yes", "Not quite", "Yes", "Not yet"]
    with pytest.raises(SandboxError, match=r"Several buttons contain 'Not'.*Not quite.*Not yet"):
        await freja.tap("Not")
    with pytest.raises(SandboxError, match=r"No button with 'Maybe'.*'Not quite'"):
        await freja.tap("Maybe")


async def test_double_and_old_taps_arrive_like_any_other(tg: SandboxTelegram, bot: Bot) -> None:
    """Two taps are two queries; a button that is gone still sends its data; a deleted message is inaccessible."""
    freja = tg.customer()
    await freja.start()
    sent = await bot.send_message(freja.user_id, "?", reply_markup=keyboard("Yes"))
    await drain(bot)
    ids = await freja.tap_twice("Yes")
    assert [u.callback_query.id for u in await drain(bot)] == ids
    assert len(set(ids)) == 2
    await bot.edit_message_reply_markup(freja.user_id, sent.message_id)
    assert freja.buttons == []
    await freja.tap_old(sent.message_id, "Yes")
    await bot.delete_message(freja.user_id, sent.message_id)
    await freja.tap_old(sent.message_id, "own-data")
    closed, deleted = (u.callback_query for u in await drain(bot))
    assert (closed.data, closed.message.is_accessible, closed.message.reply_markup) == ("yes", True, None)
    assert (deleted.data, deleted.message.is_accessible) == ("own-data", False)


async def test_a_link_button_tells_the_bot_nothing(tg: SandboxTelegram, bot: Bot) -> None:
    """Tapping a link opens it on the customer's side alone."""
    freja = tg.customer()
    await freja.start()
    link = InlineKeyboardMarkup([[InlineKeyboardButton("Review", url="https://example.com/r")]])
    await bot.send_message(freja.user_id, "?", reply_markup=link)
    await drain(bot)
    await freja.tap("Review")
    assert (freja.opened, tg.pending_updates) == (["https://example.com/r"], 0)


async def test_edits_change_the_message_and_refuse_to_change_nothing(
    tg: SandboxTelegram, bot: Bot, clock: MovedClock
) -> None:
    """Text and keyboard are replaced, at any age; an identical edit is 'not modified'; strange messages are refused."""
    freja = tg.customer()
    own = await freja.start()
    sent = await bot.send_message(freja.user_id, "All well?", reply_markup=keyboard("Yes"))
    clock.now += timedelta(days=30)
    with pytest.raises(BadRequest, match=r"(?i)message is not modified"):
        await bot.edit_message_text("All well?", freja.user_id, sent.message_id, reply_markup=keyboard("Yes"))
    with pytest.raises(BadRequest, match=r"(?i)message is not modified"):
        await bot.edit_message_reply_markup(freja.user_id, sent.message_id, reply_markup=keyboard("Yes"))
    edited = await bot.edit_message_text("All well? – Yes", freja.user_id, sent.message_id)
    assert (edited.reply_markup, edited.edit_date) == (None, clock.now)
    assert (freja.last.text, freja.last.buttons, freja.last.edited) == ("All well? – Yes", [], True)
    with pytest.raises(BadRequest, match=r"(?i)message to edit not found"):
        await bot.edit_message_text("x", freja.user_id, 999)
    with pytest.raises(BadRequest, match=r"(?i)message can't be edited"):
        await bot.edit_message_text("x", freja.user_id, own)


async def test_only_young_messages_can_be_deleted(tg: SandboxTelegram, bot: Bot, clock: MovedClock) -> None:
    """Deleting works for 48 hours of the sandbox's time."""
    freja = tg.customer()
    await freja.start()
    old = await bot.send_message(freja.user_id, "old")
    clock.now += timedelta(hours=48)
    young = await bot.send_message(freja.user_id, "young")
    await bot.delete_message(freja.user_id, young.message_id)
    assert freja.last.text == "old"
    with pytest.raises(BadRequest, match=r"(?i)message can't be deleted"):
        await bot.delete_message(freja.user_id, old.message_id)
    with pytest.raises(BadRequest, match=r"(?i)message to delete not found"):
        await bot.delete_message(freja.user_id, young.message_id)


async def test_what_customers_send_besides_text_is_whole(tg: SandboxTelegram, bot: Bot) -> None:
    """Photos, voice, stickers, albums and edits parse, and their files can be downloaded."""
    freja = tg.customer()
    await freja.send("helo")
    await freja.edit_last("hello")
    await freja.send_photo("broken glass")
    await freja.send_voice()
    await freja.send_sticker()
    await freja.send_album(2)
    first, edited, photo, voice, sticker, one, two = await drain(bot)
    assert (first.message.text, edited.edited_message.text) == ("helo", "hello")
    assert edited.edited_message.message_id == first.message.message_id
    assert edited.edited_message.edit_date is not None
    assert photo.message.caption == "broken glass"
    assert seconds(voice.message.voice.duration) == 3
    assert sticker.message.sticker.emoji == "👍"
    assert one.message.media_group_id == two.message.media_group_id is not None
    file = await photo.message.photo[-1].get_file()
    assert bytes(await file.download_as_bytearray()) == b"sandbox photo of Freja"
    assert [m.media for m in freja.chat] == [None, "photo", "voice", "sticker", "photo", "photo"]
    with pytest.raises(BadRequest, match=r"(?i)wrong file_id"):
        await bot.get_file("nonsense")


async def test_files_go_up_and_again_by_id(tg: SandboxTelegram, bot: Bot) -> None:
    """An upload gets a file id that can be sent again and downloaded; captions have 1024 units."""
    freja = tg.customer()
    await freja.start()
    sent = await bot.send_document(
        freja.user_id, b"the receipt", filename="receipt.pdf", caption="<b>Here</b>", parse_mode=ParseMode.HTML
    )
    assert (sent.document.file_name, sent.caption, sent.caption_entities[0].type) == ("receipt.pdf", "Here", "bold")
    again = await bot.send_document(freja.user_id, sent.document.file_id)
    file = await again.document.get_file()
    assert bytes(await file.download_as_bytearray()) == b"the receipt"
    photo = await bot.send_photo(freja.user_id, b"\xff\xd8pixels" * 200_000, reply_markup=keyboard("Nice"))
    assert freja.last.media == "photo"
    assert freja.buttons == ["Nice"]
    with pytest.raises(BadRequest, match=r"(?i)caption is too long"):
        await bot.send_photo(freja.user_id, photo.photo[-1].file_id, caption="x" * 1025)
    with pytest.raises(BadRequest, match=r"(?i)wrong remote file identifier"):
        await bot.send_photo(freja.user_id, "nonsense")
    with pytest.raises(BadRequest, match=r"(?i)can't use file of type Document as Photo"):
        await bot.send_photo(freja.user_id, sent.document.file_id)


async def test_faults_come_when_ordered(tg: SandboxTelegram, bot: Bot) -> None:
    """Ordered refusals hit the right method and chat, as often as ordered, without any effect."""
    freja, bo = tg.customer(), tg.customer(first_name="Bo")
    await freja.start()
    await bo.start()
    tg.fail_next("sendMessage", status=429, retry_after=7, chat_id=bo.user_id)
    tg.fail_next("sendMessage", status=500, chat_id=freja.user_id, times=2)
    with pytest.raises(RetryAfter) as told:
        await bot.send_message(bo.user_id, "hello")
    assert seconds(told.value.retry_after) == 7
    for _ in range(2):
        with pytest.raises(NetworkError, match="Internal Server Error"):
            await bot.send_message(freja.user_id, "hello")
    tg.fail_next("getChat", status=403, description="Forbidden: nobody home")
    with pytest.raises(Forbidden, match="nobody home"):
        await bot.get_chat(freja.user_id)
    await bot.send_message(bo.user_id, "hello")
    await bot.send_message(freja.user_id, "hello")
    assert [len(c.chat) for c in (freja, bo)] == [2, 2]
    with pytest.raises(SandboxError, match="knows no method 'sendMesage'"):
        tg.fail_next("sendMesage", status=400)


async def test_a_lost_reply_leaves_the_message_in_the_chat(tg: SandboxTelegram, bot: Bot) -> None:
    """After a dropped reply or a time-out the client knows nothing, yet the customer has the message."""
    freja = tg.customer()
    await freja.start()
    tg.drop_reply_next("sendMessage")
    with pytest.raises(NetworkError) as dropped:
        await bot.send_message(freja.user_id, "dropped")
    assert not isinstance(dropped.value, BadRequest)
    tg.hang_next("sendMessage", 2)
    with pytest.raises(TimedOut):
        await bot.send_message(freja.user_id, "late", read_timeout=0.1)
    tg.hang_next("sendMessage", 2, acts=False)
    with pytest.raises(TimedOut):
        await bot.send_message(freja.user_id, "never", read_timeout=0.1)
    assert [m.text for m in freja.chat if m.from_bot] == ["dropped", "late"]


async def test_when_telegram_is_down_every_connection_closes(tg: SandboxTelegram, bot: Bot) -> None:
    """While down nothing is answered, not even a waiting poll; afterwards everything is still there."""
    freja = tg.customer()
    await freja.start()
    await drain(bot)
    poll = asyncio.create_task(bot.get_updates(timeout=10))
    await asyncio.sleep(0.05)
    tg.down = True
    for call in (poll, bot.send_message(freja.user_id, "hello"), bot.get_me()):
        with pytest.raises(NetworkError):
            await call
    await freja.send("are you there?")
    tg.down = False
    assert [u.message.text for u in await drain(bot)] == ["are you there?"]


async def test_latency_delays_every_call(tg: SandboxTelegram, bot: Bot) -> None:
    """A call takes at least as long as the latency says."""
    tg.latency = timedelta(milliseconds=120)
    began = time.monotonic()
    await bot.get_me()
    assert time.monotonic() - began >= 0.12


async def test_too_fast_to_one_chat_is_refused(clock: MovedClock) -> None:
    """With limits on, a chat takes a small burst, then one message per second; others are untouched."""
    async with SandboxTelegram(token=TOKEN, clock=clock, limits=True) as tg, connect(tg) as bot:
        freja, bo = tg.customer(), tg.customer()
        await freja.start()
        await bo.start()
        for _ in range(3):
            await bot.send_message(freja.user_id, "hello")
        with pytest.raises(RetryAfter) as told:
            await bot.send_message(freja.user_id, "hello")
        assert seconds(told.value.retry_after) == 1
        await bot.send_message(bo.user_id, "hello")
        await asyncio.sleep(1)
        await bot.send_message(freja.user_id, "hello")


async def test_too_fast_altogether_is_refused_and_measured(clock: MovedClock) -> None:
    """With limits on, the 31st send within a second is refused; the worst second counts what arrived."""
    async with SandboxTelegram(token=TOKEN, clock=clock, limits=True) as tg, connect(tg) as bot:
        people = [tg.customer() for _ in range(31)]
        for person in people:
            await person.start()
        # Thirty bare calls, since the library would need too much of the second on a busy machine.
        async with aiohttp.ClientSession() as http:
            for person in people[:30]:
                call = {"chat_id": person.user_id, "text": "hello"}
                async with http.post(f"{tg.base_url}/bot{TOKEN}/sendMessage", data=call) as answer:
                    assert answer.status == 200
        with pytest.raises(RetryAfter, match="Flood control exceeded"):
            await bot.send_message(people[30].user_id, "hello")
        assert tg.worst_second() == 31


async def test_a_webhook_gets_updates_in_order_with_its_secret(tg: SandboxTelegram, bot: Bot) -> None:
    """Updates are posted with the secret, a refused one again before its followers; polling conflicts meanwhile."""
    got: list[Update] = []
    refusals = [500, 503]
    done = asyncio.Event()

    async def receive(request: web.BaseRequest) -> web.Response:
        assert request.headers["X-Telegram-Bot-Api-Secret-Token"] == SECRET
        if refusals:
            return web.Response(status=refusals.pop(0))
        got.append(Update.de_json(await request.json(), bot))
        if len(got) == 4:
            done.set()
        return web.Response()

    runner = web.ServerRunner(web.Server(receive))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    freja = tg.customer()
    await freja.send("before the webhook")
    await bot.set_webhook(f"http://127.0.0.1:{runner.addresses[0][1]}/hook", secret_token=SECRET)
    tg.repeat_next_update()
    await freja.send("twice")
    await freja.send("last")
    with pytest.raises(Conflict, match="while webhook is active"):
        await bot.get_updates()
    await asyncio.wait_for(done.wait(), 3)
    assert [u.message.text for u in got] == ["before the webhook", "twice", "twice", "last"]
    assert got[1].update_id == got[2].update_id
    info = await bot.get_webhook_info()
    assert info.last_error_message == "Wrong response from the webhook: 503 Service Unavailable"
    await bot.delete_webhook()
    await freja.send("by polling")
    assert [u.message.text for u in await drain(bot)] == ["by polling"]
    await runner.cleanup()


async def test_several_programs_may_set_the_webhook_at_once(tg: SandboxTelegram, bot: Bot) -> None:
    """Each starting program sets it anew; nothing is left open behind any of them."""
    for customer in (tg.customer() for _ in range(5)):
        await customer.send("hello")
    await bot.set_webhook("http://127.0.0.1:9/hook")
    await asyncio.gather(*(bot.set_webhook("http://127.0.0.1:9/hook") for _ in range(8)))
    await bot.delete_webhook()
    gc.collect()  # what was left open says so here


async def test_an_unreachable_webhook_keeps_its_updates(tg: SandboxTelegram, bot: Bot) -> None:
    """What a webhook never took waits for the next one who fetches, unless it is dropped on request."""
    freja = tg.customer()
    await bot.set_webhook("http://127.0.0.1:9/hook")
    await freja.send("hello")
    await asyncio.sleep(0.05)
    info = await bot.get_webhook_info()
    assert (info.pending_update_count, info.last_error_message) == (1, "Connection failed: ClientConnectorError")
    await bot.delete_webhook()
    assert len(await bot.get_updates()) == 1
    await bot.delete_webhook(drop_pending_updates=True)
    assert await bot.get_updates() == ()
    with pytest.raises(BadRequest, match=r"(?i)secret token contains unallowed characters"):
        await bot.set_webhook("https://example.com/", secret_token="not allowed")


async def test_waiting_for_the_bot_is_woken_by_messages_and_edits(tg: SandboxTelegram, bot: Bot) -> None:
    """wait_for returns what is there, is woken by what comes or changes, and quotes the last words when it gives up."""
    freja = tg.customer()
    await freja.start()
    first = await bot.send_message(freja.user_id, "hello")
    assert (await freja.wait_for(lambda m: m.text == "hello")).message_id == first.message_id
    waiting = asyncio.create_task(freja.wait_for(lambda m: "hello" in m.text, after=first.message_id))
    edit = asyncio.create_task(freja.wait_for(lambda m: m.edited))
    await asyncio.sleep(0)
    second = await bot.send_message(freja.user_id, "hello again")
    assert (await waiting).message_id == second.message_id
    await bot.edit_message_text("changed", freja.user_id, first.message_id)
    assert (await edit).text == "changed"
    with pytest.raises(TimeoutError, match="hello again"):
        await freja.wait_for(lambda m: m.text == "never", timeout=0.02)


async def test_settings_of_the_bot_are_kept(tg: SandboxTelegram, bot: Bot) -> None:
    """Commands and descriptions are stored per language, and checked."""
    await bot.set_my_commands([("stop", "No more messages")], language_code="en")
    assert tg.commands[("default", "en")] == [{"command": "stop", "description": "No more messages"}]
    assert [c.command for c in await bot.get_my_commands(language_code="en")] == ["stop"]
    await bot.set_my_description("We look after you", language_code="da")
    await bot.set_my_short_description("After the sale")
    assert (tg.descriptions, tg.short_descriptions) == ({"da": "We look after you"}, {"": "After the sale"})
    with pytest.raises(BadRequest, match=r"(?i)BOT_COMMAND_INVALID"):
        await bot.set_my_commands([("Stop!", "No")])
    with pytest.raises(BadRequest, match=r"(?i)SHORT_DESCRIPTION_TOO_LONG"):
        await bot.set_my_short_description("x" * 121)


async def test_chats_can_be_asked_for_and_shown_activity(tg: SandboxTelegram, bot: Bot) -> None:
    """GetChat names the person, sendChatAction is checked, replies must refer to what is there."""
    freja = tg.customer(first_name="Freja")
    own = await freja.start()
    assert (await bot.get_chat(freja.user_id)).first_name == "Freja"
    assert await bot.send_chat_action(freja.user_id, "typing")
    with pytest.raises(BadRequest, match=r"(?i)wrong parameter action"):
        await bot.send_chat_action(freja.user_id, "dancing")
    reply = await bot.send_message(freja.user_id, "yes?", reply_parameters=ReplyParameters(own))
    assert reply.reply_to_message.text == "/start"
    with pytest.raises(BadRequest, match=r"(?i)message to be replied not found"):
        await bot.send_message(freja.user_id, "yes?", reply_parameters=ReplyParameters(999))


async def test_calls_are_kept_as_they_came(clock: MovedClock) -> None:
    """The books hold the newest calls with typed parameters; without recording nothing grows, taps still work."""
    async with SandboxTelegram(token=TOKEN, clock=clock, record=False, keep_calls=2) as tg, connect(tg) as bot:
        freja = tg.customer()
        await freja.start()
        for number in range(3):
            await bot.send_message(freja.user_id, str(number), reply_markup=keyboard(f"Yes {number}"))
        assert [(c.method, c.params["chat_id"], c.params["text"], c.at) for c in tg.calls] == [
            ("sendMessage", freja.user_id, "1", clock.now),
            ("sendMessage", freja.user_id, "2", clock.now),
        ]
        assert freja.chat == []
        assert freja.buttons == ["Yes 2"]
        await drain(bot)
        await freja.tap("Yes 2")
        (update,) = await drain(bot)
        assert update.callback_query.data == "yes 2"


async def test_a_whole_application_runs_on_it(tg: SandboxTelegram, bot: Bot) -> None:
    """The library's own Application polls, answers a command and a tap, and stops, as on the real Telegram."""

    async def greet(update: Update, _context: object) -> None:
        await update.message.reply_html("<b>Hello</b>", reply_markup=keyboard("👍 Yes"))

    async def thank(update: Update, _context: object) -> None:
        await update.callback_query.answer("Noted")
        await update.callback_query.edit_message_text("Thank you")

    application = Application.builder().bot(bot).build()
    application.add_handlers([CommandHandler("start", greet), CallbackQueryHandler(thank)])
    freja = tg.customer()
    async with application:
        await application.start()
        await application.updater.start_polling()
        await freja.start("TOKEN")
        await freja.wait_for(lambda m: m.text == "Hello")
        await freja.tap("Yes")
        await freja.wait_for(lambda m: m.text == "Thank you" and m.edited)
        await application.updater.stop()
        await application.stop()
    assert [a.text for a in freja.answers] == ["Noted"]
    assert (freja.buttons, tg.pending_updates) == ([], 0)


async def test_offline_refuses_connections_and_comes_back_at_the_same_address() -> None:
    """With the network gone nobody listens: a connection is refused; afterwards all is as before."""
    async with SandboxTelegram(token=TOKEN, clock=MovedClock()) as telegram, aiohttp.ClientSession() as session:
        url = f"{telegram.base_url}/bot{TOKEN}/getMe"
        await telegram.go_offline()
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(url)
        await telegram.come_online()
        async with session.get(url) as answer:
            assert answer.status == 200


async def test_what_arrived_and_what_was_handed_over_is_kept_as_it_was() -> None:
    """Books need what was, not what is: neither an edit of the bot nor one of the customer changes it."""
    async with SandboxTelegram(token=TOKEN, clock=MovedClock()) as telegram, aiohttp.ClientSession() as session:
        customer = telegram.customer()
        await customer.send("first")
        await customer.edit_last("second")
        send = {"chat_id": customer.user_id, "text": "a question"}
        async with session.post(f"{telegram.base_url}/bot{TOKEN}/sendMessage", json=send) as answer:
            message_id = (await answer.json())["result"]["message_id"]
        edit = {"chat_id": customer.user_id, "message_id": message_id, "text": "closed"}
        await session.post(f"{telegram.base_url}/bot{TOKEN}/editMessageText", json=edit)
        assert [each["message"]["text"] for each in telegram.handed if "message" in each] == ["first"]
        assert [(each.message_id, each.text) for each in telegram.arrivals] == [(message_id, "a question")]


async def test_a_delayed_update_comes_after_later_ones_with_a_later_number() -> None:
    """What was kept back is as it was when it was said, and gets its update_id only when it is handed over."""
    async with SandboxTelegram(token=TOKEN, clock=MovedClock()) as telegram:
        customer = telegram.customer()
        telegram.delay_next_update(2)
        for words in ("first", "second", "third"):
            await customer.send(words)
        telegram.release_updates(newest_first=True)
        said = [(each["update_id"], each["message"]["text"]) for each in telegram.handed]
        assert [words for _, words in said] == ["third", "second", "first"]
        assert said == sorted(said)
