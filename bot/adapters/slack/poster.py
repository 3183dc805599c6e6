"""Sends what the outbox holds for Slack: cards, tasks, lines in threads with their photos, whispers, alarms.

Says what a failure means; never retries.

A card goes out at least once, yet never twice: before a repeat the channel is searched for the card's metadata. When to
send, and whether again, is dispatch's business.
"""

from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import MISSING, asdict, fields, replace
from datetime import timedelta
from typing import Any, TypeVar

import aiohttp
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.adapters.slack.attachments import Attachments, Fetch
from bot.adapters.slack.blocks import card_blocks, task_blocks
from bot.adapters.slack.client import CALL_FAILURES, SlackClient, error_code, http_status, in_words
from bot.adapters.slack.text import Block, fit, mrkdwn
from bot.errors import DeliveryDelayed, DeliveryRefused, DeliveryUnknown, FollowUpError
from bot.ports.channels import Card, Channel, TaskCard
from bot.ports.records import Json, Outgoing

Shown = TypeVar("Shown", Card, TaskCard)

FILE_TRIES = 3
"""How often a line waits for its photo to be had before it goes out without it, and says so."""
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

    def __init__(
        self, token: str, api_base: str, *, patience: timedelta = timedelta(seconds=10), fetch: Fetch | None = None
    ) -> None:
        """Post with a bot `token` to the Web API at `api_base`; waiting at most `patience` for an answer.

        `fetch` brings what a customer sent beside words; without it the thread says that it cannot be shown.
        """
        self._client = SlackClient(token, api_base, patience=patience)
        self._attachments = Attachments(self._client, fetch)

    async def close(self) -> None:
        """End the kept connections."""
        await self._client.close()

    async def deliver(self, message: Outgoing) -> str:
        """Send a card, a task, a line, an alarm or a whisper; give its ts. See `Channel.deliver` for the errors."""
        message = replace(message, body={**message.body, "channel": await self._channel_id(message.body)})
        match message.kind:
            case "card":
                return await self._shown(message, *card_blocks(_read(Card, message.body, "card")))
            case "task":
                task = _read(TaskCard, message.body, "task")
                return await self._shown(message, *task_blocks(task, str(message.body.get("language") or "en")))
            case "thread":
                return await self._thread(message)
            case "alarm" | "digest":
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

    async def _shown(self, message: Outgoing, text: str, blocks: list[Block], metadata: Block) -> str:
        """Post something that stands and is brought up to date, or do that; a repeat looks for it first."""
        body = message.body
        channel, ts = _needed(body, "channel"), body.get("ts")
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
            if theirs == metadata:
                return str(found["ts"])
        return None

    async def _thread(self, message: Outgoing) -> str:
        """Post a line, and below it what belongs to it; what cannot be had is told in the line itself."""
        body = message.body
        wanted = body.get("media") or ()
        brought = await self._attachments.bring(wanted, is_last_try=message.attempts >= FILE_TRIES)
        ts = await self._line(message, *brought.problems)
        problem = await self._attachments.share(brought, _needed(body, "channel"), str(body.get("thread_ts") or ts))
        if problem:
            told = {"channel": body["channel"], "thread_ts": body.get("thread_ts") or ts, "text": mrkdwn(problem)}
            with suppress(*CALL_FAILURES):  # The words stand there; to post them once more would be worse.
                await self._client.chat_postMessage(**told)
        return ts

    async def _line(self, message: Outgoing, *further: str) -> str:
        body = message.body
        content: dict[str, Any] = {
            "channel": _needed(body, "channel"),
            "text": _words(body, *further) + (PERHAPS_TWICE if body.get("repeated") else ""),
        }
        if body.get("ts"):
            update = self._client.chat_update(**content, ts=body["ts"])
            return str((await _answered(update, is_repeatable=True, binds_all=True))["ts"])
        content |= {"unfurl_links": False, "unfurl_media": False}
        if body.get("thread_ts"):
            content["thread_ts"] = body["thread_ts"]
        return str((await _answered(self._client.chat_postMessage(**content), binds_all=True))["ts"])

    async def _whisper(self, body: Json) -> str:
        content: dict[str, Any] = {
            "channel": _needed(body, "channel"),
            "user": _needed(body, "user"),
            "text": _words(body),
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


def _words(body: Json, *further: str) -> str:
    text = str(body.get("text") or "")
    mention = body.get("mention")
    if mention and f"{{user:{mention}}}" not in text:
        text = f"{{user:{mention}}} {text}"
    text = "\n".join(part for part in (text, *further) if part.strip())
    if not text.strip():
        raise DeliveryRefused("invalid", "the message has no text")
    return fit(mrkdwn(text), TEXT_MAX_CHARS)


def _read(kind: type[Shown], body: Json, name: str) -> Shown:
    """Read a card as it was laid out; of what an older program laid out, what it did not know has its default."""
    given = body.get(name)
    if not isinstance(given, Mapping):
        raise DeliveryRefused("invalid", f"the message holds no {name}")
    known = fields(kind)
    missing = [each.name for each in known if each.name not in given and each.default is MISSING]
    if missing:
        raise DeliveryRefused("invalid", f"the {name} lacks {', '.join(missing)}")
    values = {each.name: given[each.name] for each in known if each.name in given}
    if values.get("tasks"):
        values["tasks"] = [_read(TaskCard, {"task": each}, "task") for each in map(_as_json, values["tasks"])]
    return kind(**values)


def _as_json(task: Any) -> Any:
    return asdict(task) if isinstance(task, TaskCard) else task
