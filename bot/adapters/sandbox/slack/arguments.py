"""Arguments of a call, however they came, and the paging of what is answered.

Reading only: what the arguments mean stands in `web_api`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from aiohttp import web

from bot.adapters.sandbox.slack.blocks import Json
from bot.adapters.sandbox.slack.workspace import Refused

T = TypeVar("T")

PAGE_DEFAULT = 100
PAGE_MAX = 1000


class Arguments:
    """Arguments of one call, however they came: JSON body, form, or query."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    def __contains__(self, name: str) -> bool:
        return self._given.get(name) is not None

    def text(self, name: str) -> str:
        """Return a string; empty when absent."""
        value = self._given.get(name)
        return value if isinstance(value, str) else "" if value is None else str(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a truth value, which forms write as 1 or true."""
        value = self._given.get(name)
        return default if value is None else str(value).lower() in {"1", "true"}

    def number(self, name: str, default: int) -> int:
        """Return a whole number.

        Raises:
            Refused: `invalid_limit` when it is not one.
        """
        try:
            return int(self._given.get(name) or default)
        except ValueError:
            raise Refused(f"invalid_{name}") from None

    def parsed(self, name: str, error: str) -> Any:
        """Return a JSON argument, which forms carry as text; None when absent.

        Raises:
            Refused: With `error`, when the text is no JSON.
        """
        value = self._given.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value) if value else None
        except ValueError:
            raise Refused(error, [f"[ERROR] {name} is not JSON"]) from None


def micros(args: Arguments, name: str, default: int) -> int:
    """Return a message time among the arguments as whole microseconds.

    Raises:
        Refused: `invalid_ts_…` when it is none.
    """
    text = args.text(name)
    if not text:
        return default
    seconds, _, fraction = text.partition(".")
    if not (seconds + fraction).isdigit():
        raise Refused(f"invalid_ts_{name}")
    return int(seconds + fraction[:6].ljust(6, "0"))


def paged(name: str, items: Sequence[T], args: Arguments) -> Json:
    """Return one page of items under a name, with the cursor of the next page.

    Raises:
        Refused: `invalid_limit` or `invalid_cursor`.
    """
    limit = args.number("limit", PAGE_DEFAULT)
    if not 1 <= limit <= PAGE_MAX:
        raise Refused("invalid_limit")
    cursor = args.text("cursor")
    if cursor and not cursor.isdigit():
        raise Refused("invalid_cursor")
    start = int(cursor or 0)
    following = start + limit
    more = str(following) if following < len(items) else ""
    return {name: list(items[start:following]), "response_metadata": {"next_cursor": more}}


def token_of(request: web.Request, given: Json) -> str:
    """Return the token of a request and take it out of what was given."""
    header = request.headers.get("Authorization", "")
    in_body = str(given.pop("token", "") or "")
    return header.removeprefix("Bearer ").strip() if header else in_body


async def given_in(request: web.Request) -> Json:
    """Return what a request gives: query, form or JSON body, as slack_sdk sends them.

    Raises:
        Refused: `invalid_json` or `json_not_object`.
    """
    given: Json = dict(request.query)
    if request.method == "GET" or not request.can_read_body:
        return given
    if request.content_type != "application/json":
        return given | dict(await request.post())
    try:
        body = await request.json()
    except ValueError:
        raise Refused("invalid_json") from None
    if not isinstance(body, dict):
        raise Refused("json_not_object")
    return given | body
