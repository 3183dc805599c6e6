"""The one way to Slack's Web API: no hidden repeats, one kept connection, no endless waiting.

What a failure means is the caller's to decide (see `poster.delivery_error`).
"""

import ipaddress
import logging
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

CALL_FAILURES = (SlackClientError, aiohttp.ClientError, TimeoutError, OSError)
"""All that a call may raise."""

CHANNELS_A_PAGE = 1000
CONNECT_WITHIN = timedelta(seconds=5)


class SlackClient(AsyncWebClient):
    """slack_sdk's client with its retries taken out (a repeat might double a post) and its connection kept open.

    The HTTP session is made at the first call, in the loop that runs then; `close` ends it.
    """

    def __init__(self, token: str, api_base: str, *, patience: timedelta = timedelta(seconds=10)) -> None:
        """Be ready to call `api_base` with `token`; no call takes longer than `patience`."""
        logger = logging.getLogger(__name__)
        # The SDK writes whole messages, customers' words included, to a logger that stands at DEBUG or at no level.
        logger.setLevel(logging.INFO)
        super().__init__(token=token, base_url=api_base, retry_handlers=[], logger=logger)
        self._ids: dict[str, str] = {}
        self._patience = aiohttp.ClientTimeout(
            total=patience.total_seconds(), sock_connect=CONNECT_WITHIN.total_seconds()
        )
        if is_local(api_base):
            self.proxy = None  # The SDK takes HTTPS_PROXY for every host, this machine's own included.

    async def api_call(self, api_method: str, **given: Any) -> AsyncSlackResponse:
        """Call a method; see `AsyncWebClient.api_call`.

        Raises:
            SlackClientError: Slack said no (its `response` tells why).
            aiohttp.ClientError: there was no connection, or it broke.
            TimeoutError: no answer within the patience.
        """
        if self.session is None or self.session.closed:
            self.session = aiohttp.ClientSession(timeout=self._patience)
        try:
            return await super().api_call(api_method, **given)
        except AttributeError as error:
            # slack_sdk trips over an answer in plain text, as a proxy or a failing server gives it.
            raise SlackClientError("the answer is no JSON") from error

    async def channel_id(self, channel: str) -> str:
        """Give the id behind a ``#name``; an id, and a name that Slack does not know, come back as they are.

        A post may name its channel, but an update, a search and a question must have the id.
        Source: https://docs.slack.dev/reference/methods/chat.update (channel; read 2026-11-22).
        """
        if not channel.startswith("#"):
            return channel
        if channel not in self._ids:
            cursor: str | None = ""
            while cursor is not None and channel not in self._ids:
                page = await self.conversations_list(
                    types="public_channel,private_channel", limit=CHANNELS_A_PAGE, cursor=cursor or None
                )
                self._ids |= {f"#{each['name']}": each["id"] for each in page.get("channels") or []}
                cursor = (page.get("response_metadata") or {}).get("next_cursor") or None
        return self._ids.get(channel, channel)

    async def close(self) -> None:
        """End the kept connections; a later call opens new ones."""
        if self.session is not None:
            await self.session.close()


def is_local(address: str) -> bool:
    """Tell whether an address names this very machine, which no proxy can reach."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def error_code(error: Exception) -> str:
    """Give Slack's code of a refusal (``invalid_auth``); "" where it gave none."""
    data = getattr(getattr(error, "response", None), "data", None)
    return str(data.get("error") or "") if isinstance(data, dict) else ""


def http_status(error: Exception) -> int:
    """Give the HTTP status of the answer that an error carries; 0 where there was none."""
    response = getattr(error, "response", None)
    return int(getattr(response, "status_code", None) or getattr(response, "status", None) or 0)


def in_words(error: Exception) -> str:
    """Give a failure in a few words, without tokens or texts of messages."""
    return error_code(error) or (f"HTTP {http_status(error)}" if http_status(error) else type(error).__name__)
