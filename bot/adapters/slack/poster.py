"""Sends what the outbox holds for Slack: cards, lines in threads, whispers, alarms.

Says what a failure means; never retries.

A card goes out at least once, yet never twice: before a repeat the channel is searched for the card's metadata. When to
send, and whether again, is dispatch's business.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import aiohttp
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.adapters.slack.blocks import EVENT_TYPE, card_blocks, fit, mrkdwn
from bot.adapters.slack.client import CALL_FAILURES, SlackClient, error_code, http_status, in_words
from bot.errors import DeliveryDelayed, DeliveryRefused, DeliveryUnknown, FollowUpError
from bot.ports.channels import Card, Channel
from bot.ports.records import Json, Outgoing

SEARCHED_MESSAGES = 200
"""How far back a repeat looks for its card. Slack recommends no more for one page.

Source: https://docs.slack.dev/reference/methods/conversations.history (read 2026-11-22).
"""
TEXT_MAX_CHARS = 39_000
"""Slack cuts a text at 40,000 characters. Source: https://docs.slack.dev/reference/methods/chat.postMessage."""
RETRY_AFTER_DEFAULT = timedelta(seconds=30)
PERHAPS_TWICE = " (perhaps posted twice)"

REFUSALS: Mapping[str, str] = {
    "not_in_channel": "channel_gone",
    "is_archived": "channel_gone",
    "channel_not_found": "channel_gone",
    "restricted_action": "channel_gone",
    "restricted_action_read_only_channel": "channel_gone",
    "restricted_action_thread_only_channel": "channel_gone",
    "restricted_action_non_threadable_channel": "channel_gone",
    "restricted_action_thread_locked": "channel_gone",
    "not_allowed": "channel_gone",
    "cannot_reply_to_message": "gone",
    "message_not_found": "gone",
    "cant_update_message": "gone",
    "edit_window_closed": "gone",
    "thread_not_found": "gone",
    "user_not_in_channel": "invalid",
    "user_not_found": "invalid",
    "invalid_blocks": "invalid",
    "invalid_blocks_format": "invalid",
    "invalid_arguments": "invalid",
    "invalid_metadata_format": "invalid",
    "metadata_too_large": "invalid",
    "msg_too_long": "invalid",
    "msg_blocks_too_long": "invalid",
    "no_text": "invalid",
}
"""What Slack never takes as it is.

Source: https://docs.slack.dev/reference/methods/chat.postMessage (errors; read 2026-11-22).
"""

OPERATOR_MENDS: Mapping[str, str] = {
    "invalid_auth": "the bot token is not valid; put the right SLACK_BOT_TOKEN into the settings",
    "not_authed": "no bot token was sent; put SLACK_BOT_TOKEN into the settings",
    "token_revoked": "the bot token was revoked; install the app again and renew SLACK_BOT_TOKEN",
    "token_expired": "the bot token has expired; install the app again and renew SLACK_BOT_TOKEN",
    "account_inactive": "the app was removed from the workspace; install it again and renew SLACK_BOT_TOKEN",
    "missing_scope": "the app lacks a permission; install it again from the manifest that ships with aftersale",
    "not_allowed_token_type": "SLACK_BOT_TOKEN is not a bot token (xoxb-…); exchange it",
    "no_permission": "the app lacks a permission; install it again from the manifest that ships with aftersale",
    "ekm_access_denied": "the workspace's administrators suspended posting; ask them",
    "team_access_not_granted": "the app was not granted to this workspace; ask its administrators",
    "org_login_required": "the workspace is being moved by Slack; wait",
}
"""What waits until a person mends it: nothing is lost meanwhile."""

PERHAPS_DONE = frozenset({"internal_error", "fatal_error", "service_unavailable"})
"""Slack's own trouble, of which it says that part of the work may have been done.

Source: https://docs.slack.dev/reference/methods/chat.postMessage (errors; read 2026-11-22).
"""


class SlackPoster(Channel):
    """The outbox's way to Slack."""

    def __init__(self, token: str, api_base: str, *, patience: timedelta = timedelta(seconds=10)) -> None:
        """Post with a bot `token` to the Web API at `api_base`; waiting at most `patience` for an answer."""
        self._client = SlackClient(token, api_base, patience=patience)

    async def close(self) -> None:
        """End the kept connections."""
        await self._client.close()

    async def deliver(self, message: Outgoing) -> str:
        """Send a card, a line in a thread, an alarm or a whisper; give its ts. See `Channel.deliver` for the errors."""
        message = replace(message, body={**message.body, "channel": await self._channel_id(message.body)})
        match message.kind:
            case "card":
                return await self._card(message)
            case "thread" | "alarm":
                return await self._thread(message)
            case "task" | "digest":
                return await self._line(message)
            case "whisper":
                return await self._whisper(message.body)
            case other:
                raise DeliveryRefused("invalid", f"nothing of the kind {other!r} goes to Slack")

    async def _channel_id(self, body: Json) -> str:
        named = _needed(body, "channel")
        try:
            return await self._client.channel_id(named)
        except CALL_FAILURES as error:
            raise delivery_error(error, is_repeatable=True) from error

    async def _card(self, message: Outgoing) -> str:
        body = message.body
        channel, ts = _needed(body, "channel"), body.get("ts")
        text, blocks, metadata = card_blocks(_card_in(body))
        # The row's own key beside the case id: a case that came back to a channel has an old card there as well.
        metadata["event_payload"]["post"] = message.key
        if ts is None and message.attempts > 1:
            ts = await self._find(channel, metadata)
        content: dict[str, Any] = {"channel": channel, "text": text, "blocks": blocks, "metadata": metadata}
        if ts is not None:
            update = self._client.chat_update(**content, ts=ts)
            answer = await _answered(update, is_repeatable=True, binds_all=True)
        else:
            post = self._client.chat_postMessage(**content, unfurl_links=False, unfurl_media=False)
            answer = await _answered(post, binds_all=True)
        return str(answer["ts"])

    async def _find(self, channel: str, metadata: Json) -> str | None:
        """Give the ts of the card that an earlier attempt posted after all, if it did."""
        search = self._client.conversations_history(channel=channel, limit=SEARCHED_MESSAGES, include_all_metadata=True)
        answer = await _answered(search, is_repeatable=True)
        for found in answer.get("messages") or []:
            theirs = found.get("metadata") or {}
            if theirs.get("event_type") == EVENT_TYPE and theirs.get("event_payload") == metadata["event_payload"]:
                return str(found["ts"])
        return None

    async def _thread(self, message: Outgoing) -> str:
        body = message.body
        content: dict[str, Any] = {
            "channel": _needed(body, "channel"),
            "text": _line(body) + (PERHAPS_TWICE if body.get("repeated") else ""),
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if body.get("thread_ts"):
            content["thread_ts"] = body["thread_ts"]
        return str((await _answered(self._client.chat_postMessage(**content), binds_all=True))["ts"])

    async def _line(self, message: Outgoing) -> str:
        """Post one line in a channel, or bring the one that stands there up to date."""
        body = message.body
        if not body.get("ts"):
            return await self._thread(message)
        update = self._client.chat_update(channel=_needed(body, "channel"), ts=body["ts"], text=_line(body))
        return str((await _answered(update, is_repeatable=True, binds_all=True))["ts"])

    async def _whisper(self, body: Json) -> str:
        content: dict[str, Any] = {
            "channel": _needed(body, "channel"),
            "user": _needed(body, "user"),
            "text": _line(body),
        }
        if body.get("thread_ts"):
            content["thread_ts"] = body["thread_ts"]
        return str((await _answered(self._client.chat_postEphemeral(**content), binds_all=True))["message_ts"])


async def _answered(
    call: Awaitable[AsyncSlackResponse], *, is_repeatable: bool = False, binds_all: bool = False
) -> AsyncSlackResponse:
    try:
        return await call
    except CALL_FAILURES as error:
        raise delivery_error(error, is_repeatable=is_repeatable, binds_all=binds_all) from error


def delivery_error(error: Exception, *, is_repeatable: bool = False, binds_all: bool = False) -> FollowUpError:
    """Say what a failed call means for the message.

    Args:
        error: one of `CALL_FAILURES`.
        is_repeatable: the call may be made twice without harm (an update, a search): not knowing is then no matter.
        binds_all: a limit that it met binds all messages that go by the same method, and not this one alone.

    Source: https://docs.slack.dev/apis/web-api/rate-limits (limits are of a method in a workspace; read 2026-11-25).
    """
    code, status = error_code(error), http_status(error)
    if code == "ratelimited" or status == 429:  # noqa: PLR2004 - HTTP's own number
        return DeliveryDelayed("Slack asks to wait", retry_after=_retry_after(error), everyone=binds_all)
    if code in REFUSALS:
        return DeliveryRefused(REFUSALS[code], f"Slack: {code}")
    if code in OPERATOR_MENDS:
        return DeliveryDelayed(f"Slack: {code} – {OPERATOR_MENDS[code]}")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return DeliveryDelayed("there is no connection to Slack")
    is_refused_underway = 400 <= status < 500  # noqa: PLR2004 - HTTP's own numbers: no proxy passes such a call on
    may_have_happened = code in PERHAPS_DONE or not (code or is_refused_underway)
    if may_have_happened and not is_repeatable:
        return DeliveryUnknown(f"Slack may have taken it: {in_words(error)}")
    return DeliveryDelayed(f"Slack: {in_words(error)}")


def _retry_after(error: Exception) -> timedelta:
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return timedelta(seconds=float(headers.get("Retry-After", "")))
    except ValueError:
        return RETRY_AFTER_DEFAULT


def _needed(body: Json, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise DeliveryRefused("invalid", f"the message names no {name}")
    return value


def _line(body: Json) -> str:
    text = str(body.get("text") or "")
    mention = body.get("mention")
    if mention and f"{{user:{mention}}}" not in text:
        text = f"{{user:{mention}}} {text}"
    if not text.strip():
        raise DeliveryRefused("invalid", "the message has no text")
    return fit(mrkdwn(text), TEXT_MAX_CHARS)


def _card_in(body: Json) -> Card:
    given = body.get("card")
    if not isinstance(given, Mapping):
        raise DeliveryRefused("invalid", "the message holds no card")
    missing = [field.name for field in fields(Card) if field.name not in given]
    if missing:
        raise DeliveryRefused("invalid", f"the card lacks {', '.join(missing)}")
    return Card(**{field.name: given[field.name] for field in fields(Card)})
