"""The connection to the Bot API: one HTTP pool, one `telegram.Bot`, no token in the logs.

Opening it needs no network, so that the program starts, and takes in orders, while Telegram is down.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from telegram import Bot
from telegram.error import BadRequest, InvalidToken, TelegramError

from bot.adapters.telegram.failures import plain_words, translate_error
from bot.adapters.telegram.request import AiohttpRequest
from bot.errors import ConfigurationError

DEFAULT_API_BASE = "https://api.telegram.org"
ALLOWED_UPDATES = ("message", "edited_message", "callback_query", "my_chat_member", "message_reaction")
"""Always asked for by name: Telegram otherwise keeps what was asked for before, and reactions never come unasked."""

# 256 messages side by side, and room for the long poll and the answers to taps.
_CONNECTIONS = 320
_CONNECT_WITHIN = timedelta(seconds=10)
_TOKEN = re.compile(r"\d+:[A-Za-z0-9_-]+")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")


@asynccontextmanager
async def connect(
    token: str, api_base: str = DEFAULT_API_BASE, *, patience: timedelta = timedelta(seconds=20)
) -> AsyncIterator[Bot]:
    """Give a bot whose connections are closed with the context. Nothing is asked of Telegram yet.

    Args:
        token: As BotFather gave it.
        api_base: Where the Bot API stands, without ``/bot``.
        patience: How long to wait for an answer before a message counts as unknown.

    Raises:
        ConfigurationError: the token cannot be one.
    """
    if not _TOKEN.fullmatch(token):
        raise ConfigurationError(
            "TELEGRAM_BOT_TOKEN", "is not a bot token", "it looks like 123456:ABC…; ask @BotFather for it"
        )
    request = AiohttpRequest(_CONNECTIONS, patience, _CONNECT_WITHIN)
    base = api_base.rstrip("/")
    try:
        yield Bot(
            token,
            base_url=f"{base}/bot",
            base_file_url=f"{base}/file/bot",
            request=request,
            get_updates_request=request,
        )
    finally:
        await request.shutdown()


async def username(bot: Bot) -> str:
    """Give the bot's user name, without @, as deep links need it.

    Raises:
        ConfigurationError: Telegram does not know the token.
        DeliveryDelayed, DeliveryUnknown: Telegram could not be asked just now.
    """
    try:
        me = await bot.get_me()
    except InvalidToken:
        raise ConfigurationError(
            "TELEGRAM_BOT_TOKEN", "Telegram does not know it", "copy it anew from @BotFather; mind TELEGRAM_API_BASE"
        ) from None
    except TelegramError as error:
        raise translate_error(error) from None
    return me.username or ""


async def set_webhook(bot: Bot, url: str, secret: str) -> None:
    """Tell Telegram to send updates to `url`, each with `secret` in its header.

    Raises:
        ConfigurationError: the secret is not one, or Telegram does not like the address.
        DeliveryDelayed, DeliveryUnknown: Telegram could not be told; doing it again is harmless.

    Source: https://core.telegram.org/bots/api#setwebhook
    """
    checked_secret(secret)
    try:
        await bot.set_webhook(url, secret_token=secret, allowed_updates=ALLOWED_UPDATES)
    except BadRequest as error:
        raise ConfigurationError(
            "PUBLIC_URL",
            f"Telegram refuses {url} as a webhook: {plain_words(error)}",
            "it must be https on port 443, 80, 88 or 8443, with a valid certificate",
        ) from None
    except TelegramError as error:
        raise translate_error(error) from None


def checked_secret(secret: str) -> str:
    """Give the webhook's secret as it is.

    Raises:
        ConfigurationError: it is empty or has characters that Telegram does not send.
    """
    if not _SECRET.fullmatch(secret):
        raise ConfigurationError(
            "TELEGRAM_WEBHOOK_SECRET",
            "must be 1 to 256 characters of A-Z, a-z, 0-9, _ and -",
            'make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"',
        )
    return secret
