"""Which of several programs sends on a channel: the one that has the duty. No rule of sending itself stands here.

A holder may send for a while after each look that found the duty its own, and not longer: so one that was cut off from
the database has stopped before another can have begun. That one waits for as long, and for the second that the limits
of the other side are counted in.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

import structlog

from bot.dispatch import Dispatcher

_log = structlog.get_logger("aftersale.app")

LOOK = timedelta(seconds=0.5)
"""How often it is looked whether the duty is ours, or to be had."""

RIGHT = timedelta(seconds=2)
"""How long one look that found it ours lets us send."""

SECOND = timedelta(seconds=1)
"""What limits are counted in; the pause of a program that finds nobody sending when it starts."""


class Duties(Protocol):
    """Who has which duty (see `storage.duties`)."""

    def hold(self, duty: str) -> bool:
        """Take a duty, or make sure that it is still ours."""

    def drop(self, duty: str) -> None:
        """Give a duty up."""


def duty_of(channel: str) -> str:
    """Give the name of the duty to send on a channel."""
    return f"{channel}-sending"


class SendingDuties:
    """Lets a dispatcher send on those channels whose duty this program has, until it is cancelled."""

    def __init__(self, duties: Duties, dispatcher: Dispatcher, wake: Callable[[], None]) -> None:
        """Watch over `dispatcher`; `wake` is called when it may send on one more channel."""
        self._duties, self._dispatcher, self._wake = duties, dispatcher, wake
        self._may_begin_at: dict[str, float] = {}
        self._seen_elsewhere: set[str] = set()

    def begin(self) -> list[asyncio.Task[None]]:
        """Forbid all channels, and give the tasks that allow them again while their duty is ours."""
        for channel in self._dispatcher.channels:
            self._dispatcher.forbid(channel)
        return [asyncio.create_task(self._keep(channel)) for channel in self._dispatcher.channels]

    async def _keep(self, channel: str) -> None:
        try:
            while True:
                await self._look(channel)
                await asyncio.sleep(LOOK.total_seconds())
        finally:
            await asyncio.to_thread(self._drop, duty_of(channel))

    async def _look(self, channel: str) -> None:
        looked_at = asyncio.get_running_loop().time()
        if not await self._is_ours(duty_of(channel)):
            self._seen_elsewhere.add(channel)
            if self._may_begin_at.pop(channel, None) is not None:
                _log.warning("duty_lost", duty=duty_of(channel))
                self._dispatcher.forbid(channel)
            return
        if channel not in self._may_begin_at:
            pause = RIGHT + SECOND if channel in self._seen_elsewhere else SECOND
            self._may_begin_at[channel] = asyncio.get_running_loop().time() + pause.total_seconds()
            _log.info("duty_taken", duty=duty_of(channel))
        if looked_at >= self._may_begin_at[channel]:
            had_right = self._dispatcher.has_right(channel)
            self._dispatcher.allow(channel, looked_at + RIGHT.total_seconds())
            if not had_right:
                self._wake()

    async def _is_ours(self, duty: str) -> bool:
        try:
            return await asyncio.to_thread(self._duties.hold, duty)
        except Exception:  # noqa: BLE001 - the database is out of reach: nothing could be claimed either; look again
            _log.exception("duty_unknown", duty=duty)
            return False

    def _drop(self, duty: str) -> None:
        try:
            self._duties.drop(duty)
        except Exception:  # noqa: BLE001 - it ends with the connection at the latest
            _log.exception("duty_not_dropped", duty=duty)
