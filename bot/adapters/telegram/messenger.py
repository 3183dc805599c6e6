"""The way out: one `Outgoing` becomes one message (or several, where the text is too long) or one edit.

Plain text only, so that nothing a customer or a member of staff writes can break a message. When and whether to send
is not decided here.
"""

import logging
from collections.abc import Mapping
from typing import Any

from telegram import Bot
from telegram.error import BadRequest, TelegramError

from bot.adapters.telegram.failures import plain_words, translate_error
from bot.errors import DeliveryDelayed, DeliveryRefused, DeliveryUnknown
from bot.ports.channels import CAPTION_MAX_UNITS, Channel, is_caption
from bot.ports.records import Json, Outgoing

TEXT_MAX_UNITS = 4096
"""UTF-16 code units. Source: https://core.telegram.org/bots/api#sendmessage"""

FREE_PER_SECOND = 30
"""More, up to 1000, costs 0.1 Stars each.

Source: https://core.telegram.org/bots/api#paid-broadcasts (read 2026-11-25).
"""

_NO_CAPTION = "there is no caption in the message to edit"
_NO_PREVIEW: Json = {"is_disabled": True}
# The library's door to the raw API warns of a name that it has a method for; so each is written in a way that only its
# own rule of spelling turns into Telegram's. Its methods would build and read objects of which nothing is used here.
_SEND, _EDIT_TEXT, _EDIT_KEYBOARD = "send_Message", "edit_Message_Text", "edit_Message_Reply_Markup"
_SEND_PHOTO, _EDIT_CAPTION = "send_Photo", "edit_Message_Caption"
_ANSWER_TAP = "answer_Callback_Query"
# From the best place to cut to the worst.
_SEAMS = (("\n\n",), ("\n",), (". ", "! ", "? ", "… ", "。"), (" ",))
_log = logging.getLogger(__name__)


class TelegramMessenger(Channel):
    """Delivers messages to Telegram, whose calls carry no idempotency key: what is in doubt is said to be in doubt."""

    def __init__(self, bot: Bot, *, is_paid: bool = False) -> None:
        """Send through `bot`, which must stay open as long as this is used.

        `is_paid`: beyond `FREE_PER_SECOND` Telegram takes messages from a bot that says it will pay for them.
        """
        self._bot, self._more = bot, {"allow_paid_broadcast": True} if is_paid else {}

    async def deliver(self, message: Outgoing) -> str:
        """Send or edit, and give Telegram's message id.

        A text beyond 4096 units goes out in parts; the last part has the buttons, and its id is given.

        Raises:
            DeliveryDelayed: surely not taken; later again.
            DeliveryUnknown: it, or a part of it, may have arrived.
            DeliveryRefused: never again as it is; ``unchanged`` means that it already looks so.
        """
        body = message.body
        if message.kind == "edit" or body.get("message_id") is not None:
            return await self._edit(body)
        before = 0
        if body.get("photo"):
            sent = await self._send_photo(body)
            if sent is not None and is_caption(body):
                return sent
            before = int(sent is not None)
        *firsts, last = split_text(body["text"])
        for done, part in enumerate(firsts):
            await self._send_part(body["chat_id"], part, None, before + done)
        return await self._send_part(body["chat_id"], last, _keyboard(body), before + len(firsts))

    async def _send_photo(self, body: Mapping[str, Any]) -> str | None:
        """Send the picture, with the text below it where that fits.

        Gives its id; None where Telegram cannot take this picture: the words must arrive all the same.
        """
        content = {"chat_id": body["chat_id"], "photo": body["photo"], **self._more}
        if is_caption(body):
            content |= {"caption": body["text"], "reply_markup": _keyboard(body)}
        try:
            sent = await self._bot.do_api_request(_SEND_PHOTO, content)
        except TelegramError as error:
            trouble = translate_error(error)
            if isinstance(trouble, DeliveryRefused) and trouble.reason == "invalid":
                _log.warning("a picture was not taken, the text goes out without it: %s", plain_words(error))
                return None
            raise trouble from None
        return _id_of(sent)

    async def _send_part(self, chat_id: int, text: str, keyboard: Json | None, done: int) -> str:
        content = {
            "chat_id": chat_id,
            "text": text,
            "reply_markup": keyboard,
            "link_preview_options": _NO_PREVIEW,
            **self._more,
        }
        try:
            sent = await self._bot.do_api_request(_SEND, content)
        except TelegramError as error:
            trouble = translate_error(error)
            if done and isinstance(trouble, DeliveryDelayed):
                # "Surely not taken" would be a lie now, and the whole would be sent once more.
                trouble = DeliveryUnknown(f"only the first {done} parts arrived: {trouble}")
            raise trouble from None
        return _id_of(sent)

    async def _edit(self, body: Mapping[str, Any]) -> str:
        message_id = _message_id(body)
        content = {"chat_id": body["chat_id"], "message_id": message_id, "reply_markup": _keyboard(body)}
        text = body.get("text")
        try:
            if text is None:
                await self._bot.do_api_request(_EDIT_KEYBOARD, content)
            elif body.get("captioned") and await self._edit_caption(content, text):
                pass
            else:
                # Of a long question only the last part, the one with the buttons, can be the message that is edited.
                content |= {"text": split_text(text)[-1], "link_preview_options": _NO_PREVIEW}
                await self._bot.do_api_request(_EDIT_TEXT, content)
        except TelegramError as error:
            raise translate_error(error) from None
        return str(message_id)

    async def _edit_caption(self, content: Json, text: str) -> bool:
        """Edit the text below a picture; give whether there is one (it may have gone out without its picture)."""
        try:
            caption = split_text(text, CAPTION_MAX_UNITS)[-1]
            await self._bot.do_api_request(_EDIT_CAPTION, {**content, "caption": caption})
        except BadRequest as error:
            if _NO_CAPTION in error.message.lower():
                return False
            raise
        return True


async def answer_tap(bot: Bot, callback_id: str, text: str | None = None) -> bool:
    """End the waiting sign on a tapped button; give whether Telegram took it.

    It never raises: a tap that is too old to be answered (certain after a downtime) is a tap all the same.

    Source: https://core.telegram.org/bots/api#answercallbackquery
    """
    try:
        await bot.do_api_request(_ANSWER_TAP, {"callback_query_id": callback_id, "text": text})
    except TelegramError as error:
        _log.debug("a tap was not answered: %s", plain_words(error))
        return False
    return True


def split_text(text: str, limit: int = TEXT_MAX_UNITS) -> list[str]:
    """Give the text in parts of at most `limit` UTF-16 units, cut after a paragraph, line, sentence or word.

    A part is never empty, unless the whole text is; blanks at the seams go, as Telegram would take them away.
    """
    parts = []
    rest = text.strip()
    while (fitting := _fitting(rest, limit)) < len(rest):
        cut = _seam(rest[:fitting])
        parts.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*parts, rest]


def _fitting(text: str, limit: int) -> int:
    """Give how many characters fit."""
    if len(text) * 2 <= limit:
        return len(text)
    units = 0
    for position, character in enumerate(text):
        units += 2 if ord(character) > 0xFFFF else 1  # noqa: PLR2004 - beyond it UTF-16 needs two units
        if units > limit:
            return max(position, 1)
    return len(text)


def _seam(window: str) -> int:
    """Give where to cut: the best kind of seam in the second half of the window, so that no part becomes a stub."""
    half = len(window) // 2
    for seams in _SEAMS:
        ends = [at + len(seam) for seam in seams if (at := window.rfind(seam, half)) >= 0]
        if ends:
            return max(ends)
    return len(window)


def _id_of(sent: Any) -> str:
    if not isinstance(sent, dict) or "message_id" not in sent:
        raise DeliveryUnknown("the answer names no message → check TELEGRAM_API_BASE")
    return str(sent["message_id"])


def _message_id(body: Mapping[str, Any]) -> int:
    try:
        return int(body["message_id"])
    except (KeyError, TypeError, ValueError):
        raise DeliveryRefused("gone", "nobody knows which message to edit") from None


def _keyboard(body: Mapping[str, Any]) -> Json | None:
    rows = body.get("buttons")
    return {"inline_keyboard": [[_button(each) for each in row] for row in rows]} if rows else None


def _button(given: Json) -> dict[str, str]:
    button = {"text": given["label"], "callback_data": given.get("data"), "url": given.get("url")}
    return {name: value for name, value in button.items() if value is not None}
