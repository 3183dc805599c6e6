"""What stands before programs that are called over HTTP: the address that Telegram and Slack know, in front of several.

As a load balancer does, it hands each call to a program that runs; and it can lose calls and answers on their way. What
must not live here: when that happens (`faults`).
"""

import random
from collections.abc import Callable, Sequence
from typing import Self

import aiohttp
from aiohttp import web

from bot.adapters.sandbox.listening import Listening

_PATIENCE = aiohttp.ClientTimeout(total=15)
_OF_THE_CONNECTION = frozenset({"host", "connection", "content-length", "transfer-encoding", "keep-alive"})
"""Headers that are not handed on."""


class Front:
    """One address on 127.0.0.1 for all programs; use it as ``async with Front(…) as front:``.

    Attributes:
        lose_calls: How many of the next calls are cut before a program hears of them.
        lose_answers: How many of the next calls are cut after a program has answered.
    """

    def __init__(self, programs: Callable[[], Sequence[str]], dice: random.Random) -> None:
        """Hand calls to one of the addresses that `programs` gives at that moment."""
        self._programs, self._dice = programs, dice
        self.address = ""
        self.lose_calls = self.lose_answers = 0

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        self._session = aiohttp.ClientSession(timeout=_PATIENCE, auto_decompress=False)
        self._listening = Listening(web.ServerRunner(web.Server(self._pass_on), shutdown_timeout=0.2))
        self.address = await self._listening.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Cut every connection."""
        await self._listening.close()
        await self._session.close()

    async def _pass_on(self, call: web.BaseRequest) -> web.StreamResponse:
        body = await call.read()
        if self.lose_calls:
            self.lose_calls -= 1
            return _cut(call)
        programs = self._programs()
        if not programs:
            return web.Response(status=502)
        headers = {name: value for name, value in call.headers.items() if name.lower() not in _OF_THE_CONNECTION}
        try:
            url = self._dice.choice(programs) + call.path_qs
            async with self._session.request(call.method, url, data=body, headers=headers) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            return web.Response(status=502)
        if self.lose_answers:
            self.lose_answers -= 1
            return _cut(call)
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _OF_THE_CONNECTION}
        return web.Response(status=answer.status, body=content, headers=kept)


def _cut(call: web.BaseRequest) -> web.Response:
    if call.transport is not None:
        call.transport.abort()
    return web.Response()
