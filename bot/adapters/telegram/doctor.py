"""What `aftersale doctor` says about Telegram: it looks, and changes nothing."""

from typing import Literal

from telegram import Bot, WebhookInfo
from telegram.error import InvalidToken, TelegramError

from bot.adapters.telegram.connection import ALLOWED_UPDATES
from bot.adapters.telegram.failures import translate_error
from bot.ports.channels import Finding

_MANY_WAITING = 100


async def check(bot: Bot, mode: Literal["polling", "webhook"], webhook_url: str | None = None) -> list[Finding]:
    """Give what was found: token, webhook or polling, what waits, what went wrong lately, groups.

    Args:
        bot: An open connection.
        mode: `TELEGRAM_MODE`.
        webhook_url: Where updates should come in webhook mode; None: not compared.
    """
    try:
        me = await bot.get_me()
        info = await bot.get_webhook_info()
    except TelegramError as error:
        return [_unasked(error)]
    findings = [
        Finding("Telegram token", ok=True, said=f"it belongs to @{me.username}"),
        _mode(info, mode, webhook_url),
        _waiting(info.pending_update_count),
    ]
    if mode == "webhook" and info.url:
        findings += [_kinds(info), _last_error(info)]
    if me.can_join_groups:
        findings.append(
            Finding(
                "Telegram groups",
                ok=None,
                said="the bot can be added to groups, where it answers nobody",
                mend="in @BotFather: /setjoingroups → Disable",
            )
        )
    return findings


def _unasked(error: TelegramError) -> Finding:
    said, _, mend = str(translate_error(error)).partition(" → ")
    is_refused = isinstance(error, InvalidToken)
    return Finding(
        "Telegram token",
        ok=False if is_refused else None,
        said=said,
        mend=mend or "check the network and TELEGRAM_API_BASE, then try again",
    )


def _mode(info: WebhookInfo, mode: str, webhook_url: str | None) -> Finding:
    name = "Telegram updates"
    match mode, info.url:
        case "polling", "":
            return Finding(name, ok=True, said="polling, and no webhook stands in its way")
        case "polling", url:
            return Finding(
                name,
                ok=False,
                said=f"polling gets nothing, because a webhook is set: {url}",
                mend="if no other program needs it, call deleteWebhook; else set TELEGRAM_MODE=webhook",
            )
        case _, "":
            return Finding(name, ok=False, said="no webhook is set", mend="`aftersale run` sets it; check PUBLIC_URL")
        case _, url if webhook_url is not None and url != webhook_url:
            return Finding(
                name,
                ok=False,
                said=f"the webhook is {url}, not {webhook_url}",
                mend="check PUBLIC_URL; `aftersale run` sets it anew",
            )
        case _, url:
            return Finding(name, ok=True, said=f"the webhook is {url}")


def _waiting(count: int) -> Finding:
    name = "Telegram backlog"
    if count < _MANY_WAITING:
        return Finding(name, ok=True, said=f"{count} updates wait")
    return Finding(
        name,
        ok=None,
        said=f"{count} updates wait",
        mend="is `aftersale run` running? Telegram keeps them for 24 hours only",
    )


def _kinds(info: WebhookInfo) -> Finding:
    name = "Telegram kinds of updates"
    missing = sorted(set(ALLOWED_UPDATES) - set(info.allowed_updates or ()))
    if not missing:
        return Finding(name, ok=True, said="all that are needed")
    return Finding(
        name, ok=False, said=f"the webhook leaves out {', '.join(missing)}", mend="`aftersale run` sets it anew"
    )


def _last_error(info: WebhookInfo) -> Finding:
    name = "Telegram webhook"
    if not info.last_error_message:
        return Finding(name, ok=True, said="Telegram has met no error")
    at = f" ({info.last_error_date:%Y-%m-%d %H:%M} UTC)" if info.last_error_date else ""
    return Finding(
        name,
        ok=None,
        said=f"Telegram's last error{at}: {info.last_error_message}",
        mend="if it is recent: can PUBLIC_URL be reached, is its certificate valid, is the secret the same?",
    )
