"""The way in: updates are committed to the inbox first, and only then is Telegram told that they arrived.

The library's own updater acknowledges before anything is stored (at most once), so it is not used:
`TelegramPoller` asks and commits, `TelegramWebhook` is handed what came by HTTP. What an update means is not read here.

Source: https://core.telegram.org/bots/api#getupdates (an offset confirms all before it; unconfirmed is kept 24 hours).
"""

import asyncio
import hmac
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar

from telegram import Bot
from telegram.error import Conflict, EndPointNotFound, InvalidToken, NetworkError, RetryAfter, TelegramError

from bot.adapters.telegram.connection import ALLOWED_UPDATES, checked_secret
from bot.adapters.telegram.failures import UNKNOWN_BOT, plain_words, translate_error
from bot.adapters.telegram.messenger import answer_tap
from bot.adapters.telegram.translate import incoming
from bot.errors import DeliveryDelayed
from bot.ports.channels import Clock
from bot.ports.records import Incoming

Commit: TypeAlias = Callable[[list[Incoming]], Awaitable[None]]
"""Puts updates into the inbox; returns when they are durable, raises when they are not. A repeat changes nothing."""

Update: TypeAlias = dict[str, Any]
T = TypeVar("T")

SECRET_HEADER = "x-telegram-bot-api-secret-token"  # noqa: S105 - the name of a header
_BATCH = 100
_ANSWERS_AT_ONCE = 32
_ANSWERS_WAITING = 1000
_GROWTH_MAX = 30
_PATIENCE_BEYOND_POLL = timedelta(seconds=10)
_log = logging.getLogger(__name__)


class TelegramPoller:
    """Long polling with an inbox: nothing is confirmed before it is stored, so nothing is lost.

    Attributes:
        health: Why it is not well, in words for the operator; None while it is.
    """

    def __init__(
        self,
        bot: Bot,
        commit: Commit,
        clock: Clock,
        on_state: Callable[[str | None], None] | None = None,
        *,
        long_poll: timedelta = timedelta(seconds=30),
        first_pause: timedelta = timedelta(seconds=1),
    ) -> None:
        """Prepare; nothing is asked before `run`.

        Args:
            bot: An open connection.
            commit: The inbox.
            clock: Says when something came in.
            on_state: Called with `health` whenever it changes.
            long_poll: How long Telegram may hold a question that has no answer yet; at most 50 seconds.
            first_pause: The pause after a first failure. It doubles, up to thirty times as long.
        """
        self._bot, self._commit, self._clock, self._on_state = bot, commit, clock, on_state
        self._long_poll, self._first_pause = long_poll, first_pause
        self._answers = _TapAnswers(bot)
        self._stopping, self._ended = asyncio.Event(), asyncio.Event()
        self._is_running = False
        self.health: str | None = None

    async def run(self) -> None:
        """Ask for updates until `stop` is called. Trouble is waited out, never raised."""
        self._is_running = True
        offset: int | None = None
        failures = 0
        try:
            while not self._stopping.is_set():
                try:
                    offset = await self._turn(offset)
                except TelegramError as error:
                    self._tell(_why(error))
                    pause = _asked_pause(error) or self._pause(failures)
                except Exception as error:  # noqa: BLE001 - whatever ails the inbox, Telegram keeps the updates meanwhile
                    _log.exception("updates from Telegram could not be stored; they are fetched again")
                    self._tell(
                        f"updates from Telegram could not be stored ({type(error).__name__}); they are kept there"
                    )
                    pause = self._pause(failures)
                else:
                    failures = 0
                    continue
                failures += 1
                await self._unless_stopped(asyncio.sleep(pause.total_seconds()))
            await self._answers.finish()
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """End `run` and wait for it: a commit under way is finished, a question to Telegram is given up.

        Nothing is lost by that: what was not confirmed comes again, and what comes again changes nothing.
        """
        self._stopping.set()
        if self._is_running:
            await self._ended.wait()

    async def _turn(self, offset: int | None) -> int | None:
        """Fetch, commit, answer the taps; give the offset that confirms it with the next question."""
        updates = await self._unless_stopped(self._fetch(offset))
        if updates is None:
            return offset
        if updates:
            now = self._clock.now()
            await self._commit([incoming(update, now) for update in updates])
            self._answers.begin(updates)
        self._tell(None)
        # After an empty answer everything is confirmed. Asking without an offset then cannot skip anything should
        # Telegram begin a new row of update ids, as it does after a quiet week.
        return max(update["update_id"] for update in updates) + 1 if updates else None

    async def _fetch(self, offset: int | None) -> list[Update]:
        """Ask for raw updates.

        The library gives updates as objects of its own, which keep only what this version knows; and its door to the
        raw
        API warns of a name that it has a method for. So the name is written in a way that only its own rule of spelling
        turns into ``getUpdates``.
        """
        # After trouble a quick question, to know at once that it is over; but beside another poller it would always win
        # a moment, and look healthy.
        is_quick = self.health not in (None, _CONFLICTS["poller"])
        wait = timedelta(0) if is_quick else self._long_poll
        question = {
            "offset": offset,
            "limit": _BATCH,
            "timeout": int(wait.total_seconds()),
            "allowed_updates": list(ALLOWED_UPDATES),
        }
        answer = await self._bot.do_api_request(
            "get_Updates", question, read_timeout=(wait + _PATIENCE_BEYOND_POLL).total_seconds()
        )
        if not isinstance(answer, list) or not all(_is_update(update) for update in answer):
            raise NetworkError("the answer to getUpdates is not a list of updates → check TELEGRAM_API_BASE")
        return answer

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Give what `work` gives; None, with `work` given up, as soon as `stop` is called."""
        working, stopping = asyncio.create_task(work), asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            stopping.cancel()
            working.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)

    def _pause(self, failures: int) -> timedelta:
        return self._first_pause * min(1 << min(failures, 10), _GROWTH_MAX)

    def _tell(self, health: str | None) -> None:
        if health == self.health:
            return
        self.health = health
        if health is None:
            _log.info("Telegram answers again")
        else:
            _log.warning("polling Telegram: %s", health)
        if self._on_state is not None:
            self._on_state(health)


class TelegramWebhook:
    """What a web server needs to take updates by HTTP. It knows no web framework."""

    def __init__(self, bot: Bot, secret: str, commit: Commit, clock: Clock) -> None:
        """Take updates that carry `secret`.

        Raises:
            ConfigurationError: there is no secret; without one anybody could write in a customer's name.
        """
        self._secret = checked_secret(secret).encode()
        self._commit, self._clock = commit, clock
        self._answers = _TapAnswers(bot)

    async def handle(self, headers: Mapping[str, str], body: bytes) -> int:
        """Store one update and give the HTTP status: 200 only once it is durable.

        401: the secret is wrong or missing. 400: not an update. 503: it could not be stored; Telegram sends it again.
        """
        given = next((value for name, value in headers.items() if name.lower() == SECRET_HEADER), "")
        if not hmac.compare_digest(given.encode(errors="replace"), self._secret):
            return 401
        try:
            update = json.loads(body)
        except (ValueError, RecursionError):
            return 400
        if not _is_update(update):
            return 400
        try:
            await self._commit([incoming(update, self._clock.now())])
        except Exception:  # noqa: BLE001 - whatever ails the inbox, Telegram keeps the update and brings it again
            _log.exception("an update from Telegram could not be stored; Telegram sends it again")
            return 503
        self._answers.begin([update])
        return 200

    @property
    def answers_waiting(self) -> int:
        """How many taps wait to be answered; never more than a thousand."""
        return self._answers.waiting

    async def stop(self) -> None:
        """Wait for the answers to taps that are under way."""
        await self._answers.finish()


class _TapAnswers:
    """Answers taps beside the work: a bounded number at once, so that messages keep their connections.

    The newest come first, since Telegram takes no late answers. In a storm the oldest are given up; the taps themselves
    are stored.
    """

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._waiting: deque[str] = deque(maxlen=_ANSWERS_WAITING)
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def begin(self, updates: Sequence[Update]) -> None:
        for update in updates:
            query = update.get("callback_query")
            callback_id = query.get("id") if isinstance(query, dict) else None
            if isinstance(callback_id, str):
                self._waiting.append(callback_id)
        for _ in range(min(len(self._waiting), _ANSWERS_AT_ONCE - len(self._under_way))):
            answering = asyncio.create_task(self._answer())
            self._under_way.add(answering)
            answering.add_done_callback(self._under_way.discard)

    async def _answer(self) -> None:
        while self._waiting:
            await answer_tap(self._bot, self._waiting.pop())

    async def finish(self) -> None:
        """Give them a moment; a waiting sign that stays harms nobody."""
        if not self._under_way:
            return
        _, late = await asyncio.wait(self._under_way, timeout=2)
        for answering in late:
            answering.cancel()
        await asyncio.gather(*late, return_exceptions=True)


_CONFLICTS = {
    "webhook": "a webhook is set for this bot, so polling gets nothing → set TELEGRAM_MODE=webhook, or delete it",
    "poller": "another program polls with the same token → stop it, or give this one a bot of its own",
}


def _why(error: TelegramError) -> str:
    match error:
        case Conflict():
            # "terminated by setWebhook request" is a webhook as well.
            return _CONFLICTS["webhook" if "webhook" in error.message.lower() else "poller"]
        case InvalidToken() | EndPointNotFound():
            return UNKNOWN_BOT
        case _:
            return f"Telegram does not answer as it should: {plain_words(error)}"


def _asked_pause(error: TelegramError) -> timedelta | None:
    trouble = translate_error(error) if isinstance(error, RetryAfter) else None
    return trouble.retry_after if isinstance(trouble, DeliveryDelayed) else None


def _is_update(value: object) -> bool:
    return isinstance(value, dict) and type(value.get("update_id")) is int
