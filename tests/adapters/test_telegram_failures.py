from datetime import timedelta

import pytest
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    EndPointNotFound,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)

from bot.adapters.telegram.failures import translate_error
from bot.adapters.telegram.request import NoPlace, Unreachable
from bot.errors import DeliveryDelayed, DeliveryRefused, DeliveryUnknown

TOKEN = "123456:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQ"


def because(error: TelegramError, cause: TelegramError) -> TelegramError:
    """Chain an error as the library does with an answer that it cannot read."""
    error.__cause__ = cause
    return error


REFUSED = [
    (Forbidden("Forbidden: bot was blocked by the user"), "blocked"),
    (Forbidden("Forbidden: bot can't initiate conversation with a user"), "blocked"),
    (Forbidden("Forbidden: user is deactivated"), "chat_gone"),
    (ChatMigrated(-100), "chat_gone"),
    (BadRequest("Bad Request: chat not found"), "chat_gone"),
    (BadRequest("Bad Request: message is not modified: specified new message content"), "unchanged"),
    (BadRequest("Bad Request: message to edit not found"), "gone"),
    (BadRequest("Bad Request: message can't be edited"), "gone"),
    (BadRequest("Bad Request: BUTTON_DATA_INVALID"), "invalid"),
    (BadRequest("Bad Request: message is too long"), "invalid"),
]


@pytest.mark.parametrize(("error", "reason"), REFUSED)
def test_what_telegram_refuses_is_never_repeated(error: TelegramError, reason: str) -> None:
    """Each wording of Telegram has the reason that the use cases act on."""
    trouble = translate_error(error)
    assert isinstance(trouble, DeliveryRefused)
    assert trouble.reason == reason


PAGE = TelegramError("Invalid server response")
DELAYED = [
    InvalidToken("Unauthorized"),
    EndPointNotFound("Endpoint 'getupdates' not found in Bot API"),
    Conflict("Conflict: terminated by setWebhook request"),
    because(Forbidden("Forbidden (403). Parsing the server response b'<html>' failed"), PAGE),
    because(BadRequest("Bad Request (400). Parsing the server response b'<html>' failed"), PAGE),
    NoPlace("no connection was free in time"),
    Unreachable("ClientConnectorError"),
]


@pytest.mark.parametrize("error", DELAYED)
def test_what_was_surely_not_sent_waits(error: TelegramError) -> None:
    """No connection, no known bot, no Telegram at the other end: the message was not taken and may be sent again."""
    assert isinstance(translate_error(error), DeliveryDelayed)


UNKNOWN = [
    TimedOut(),
    NetworkError("Bad Gateway"),
    NetworkError("Internal Server Error"),
    NetworkError("Unknown error in HTTP implementation: RuntimeError('Session is closed')"),
    TelegramError("Invalid server response"),
    NetworkError("ServerDisconnectedError"),
]


@pytest.mark.parametrize("error", UNKNOWN)
def test_whatever_is_in_doubt_is_unknown(error: TelegramError) -> None:
    """A time-out, a lost connection or a failure within Telegram may hide a message that arrived."""
    assert isinstance(translate_error(error), DeliveryUnknown)


@pytest.mark.parametrize("wait", [7, timedelta(seconds=7)])
def test_a_flood_limit_binds_the_whole_bot(wait: int | timedelta) -> None:
    """429 carries how long everyone has to wait, whichever type the library uses."""
    trouble = translate_error(RetryAfter(wait))
    assert isinstance(trouble, DeliveryDelayed)
    assert trouble.retry_after == timedelta(seconds=7)
    assert trouble.everyone


def test_no_text_of_an_error_carries_the_token() -> None:
    """The library quotes the token or a URL with it in some errors; ours never do."""
    for error in (NetworkError(f"lost https://api.telegram.org/bot{TOKEN}/sendMessage"), BadRequest(f"bot {TOKEN}")):
        assert TOKEN not in str(translate_error(error))
