from datetime import timedelta

import aiohttp
import httpx
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
from bot.errors import DeliveryDelayed, DeliveryRefused, DeliveryUnknown

TOKEN = "123456:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQ"
KEY = aiohttp.client_reqrep.ConnectionKey(
    host="api.telegram.org", port=443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None
)


def because(error: TelegramError, *causes: Exception) -> TelegramError:
    """Chain an error as the library, httpx and aiohttp do."""
    upper: Exception = error
    for cause in causes:
        upper.__cause__ = cause
        upper = cause
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
    TimedOut("Pool timeout: All connections in the connection pool are occupied. Request was *not* sent to Telegram."),
    because(TimedOut("anything"), httpx.PoolTimeout("")),
    because(NetworkError("httpx.ConnectError: refused"), httpx.ConnectError("refused")),
    because(TimedOut(), httpx.ConnectTimeout("")),
    because(TimedOut(), httpx.ConnectTimeout(""), aiohttp.ConnectionTimeoutError(f"to host /bot{TOKEN}/x")),
    because(NetworkError("x"), httpx.ConnectError("x"), aiohttp.ClientConnectorError(KEY, OSError(111, "refused"))),
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
    because(TimedOut(), httpx.ReadTimeout("")),
    because(TimedOut(), httpx.ReadTimeout(""), aiohttp.SocketTimeoutError("Timeout on reading data from socket")),
    because(NetworkError("httpx.ReadError"), httpx.ReadError("")),
    # What the transport makes of a connection that broke after the message was sent.
    because(TimedOut(), httpx.ConnectTimeout(""), aiohttp.ServerDisconnectedError()),
    because(TimedOut(), httpx.ConnectTimeout(""), aiohttp.ClientOSError(104, "reset")),
    because(TimedOut(), httpx.ConnectTimeout(""), aiohttp.ClientConnectionResetError("closing")),
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
