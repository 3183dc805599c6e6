"""What Telegram's errors mean for a message: not taken, perhaps taken, or never to be taken.

Only `translate_error` decides that. Nothing of the vendor's exception chain leaves this module: the texts of its causes
may carry the bot token within a URL.
"""

import os
import re
from datetime import timedelta

from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    EndPointNotFound,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
)

from bot.adapters.telegram.request import NoPlace, Unreachable
from bot.errors import DeliveryDelayed, DeliveryRefused, DeliveryUnknown, FollowUpError

# Without it the library warns of a deprecated number at every 429; it is the vendor's own switch, read at run time.
# Source: https://docs.python-telegram-bot.org/en/v22.8/telegram.error.html#telegram.error.RetryAfter.retry_after
os.environ.setdefault("PTB_TIMEDELTA", "true")

UNKNOWN_BOT = "Telegram does not know this bot → check TELEGRAM_BOT_TOKEN and TELEGRAM_API_BASE"
UNKNOWN_BOT_PAUSE = timedelta(minutes=1)
UNREACHABLE_PAUSE = timedelta(seconds=5)
_WORDS_MAX_CHARS = 300
_TOKEN = re.compile(r"\d+:[A-Za-z0-9_-]{3,}")

# They have no codes. Source of the wordings: https://github.com/tdlib/telegram-bot-api (Client.cpp)
_REASONS = {
    "message is not modified": "unchanged",
    "message to edit not found": "gone",
    "message can't be edited": "gone",
    "message_id_invalid": "gone",
    "there is no text in the message to edit": "gone",
    "chat not found": "chat_gone",
    "user not found": "chat_gone",
    "peer_id_invalid": "chat_gone",
    "user is deactivated": "chat_gone",
    "input_user_deactivated": "chat_gone",
}


def translate_error(error: TelegramError) -> FollowUpError:
    """Give the error of ours that says what became of the message; raise it ``from None``.

    `DeliveryDelayed` only where the message was surely not taken; whatever is in doubt is `DeliveryUnknown`.

    Source: https://core.telegram.org/bots/api#making-requests (400, 401, 403, 404, 409, 429 and their parameters).
    """
    words = plain_words(error)
    if isinstance(error, Forbidden | BadRequest | Conflict) and isinstance(error.__cause__, TelegramError):
        # Its body could not be read: a proxy or a wrong server answered, and nothing is known of the customer.
        return DeliveryDelayed(f"something else than Telegram answered → check TELEGRAM_API_BASE ({words})")
    return _refused(error, words) or _unanswered(error, words)


def _refused(error: TelegramError, words: str) -> FollowUpError | None:
    """Give what it means if Telegram itself said no; None where it did not."""
    match error:
        case RetryAfter():
            return DeliveryDelayed(f"Telegram asks to wait: {words}", retry_after=_span(error), everyone=True)
        case InvalidToken() | EndPointNotFound():
            return DeliveryDelayed(UNKNOWN_BOT, retry_after=UNKNOWN_BOT_PAUSE, everyone=True)
        case ChatMigrated():
            return DeliveryRefused("chat_gone", f"Telegram: {words}")
        case Forbidden():
            may_come_back = "blocked" in words.lower() or "initiate" in words.lower()
            return DeliveryRefused("blocked" if may_come_back else "chat_gone", f"Telegram: {words}")
        case BadRequest():
            return DeliveryRefused(_reason(words), f"Telegram: {words}")
        case Conflict():
            return DeliveryDelayed(f"Telegram: {words}")
        case _:
            return None


def _unanswered(error: TelegramError, words: str) -> FollowUpError:
    """Give what it means if the answer is missing, broken, or a failure within Telegram."""
    if isinstance(error, NoPlace):
        return DeliveryDelayed("too many messages at once: no connection to Telegram was free in time")
    if isinstance(error, Unreachable):
        return DeliveryDelayed("Telegram cannot be reached", retry_after=UNREACHABLE_PAUSE, everyone=True)
    return DeliveryUnknown(f"nobody knows whether Telegram took it: {words}")


def plain_words(error: TelegramError) -> str:
    """Give Telegram's own words, shortened, without a token that may stand in them."""
    words = _TOKEN.sub("<token>", error.message)
    return words if len(words) <= _WORDS_MAX_CHARS else words[:_WORDS_MAX_CHARS] + "…"


def _span(error: RetryAfter) -> timedelta:
    """Give the time to wait, whichever of its two types this version of the library hands out."""
    wait = error.retry_after
    return wait if isinstance(wait, timedelta) else timedelta(seconds=wait)


def _reason(words: str) -> str:
    known = words.lower()
    return next((reason for wording, reason in _REASONS.items() if wording in known), "invalid")
