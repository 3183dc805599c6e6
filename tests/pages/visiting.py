"""Somebody at the door of the console, at the wire. What lives here: their browser; what must not: expectations."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from yarl import URL

from bot import passes
from bot.ports.records import Role
from tests.system.stage import Stage


class Visitor:
    """A browser at the wire: it keeps cookies, says where it comes from, and follows no redirect by itself."""

    def __init__(self, http: aiohttp.ClientSession, address: str) -> None:
        self._http, self.address = http, address

    def url(self, path: str) -> URL:
        """Give the whole address of a path of the console, to the letter: with whatever dots somebody may try."""
        return URL(f"{self.address}/console{path}", encoded=True)

    async def get(self, path: str, **headers: str) -> tuple[int, str, Any]:
        """Get a page: status, text, headers."""
        given = {"Accept": "text/html", **headers}
        async with self._http.get(self.url(path), headers=given, allow_redirects=False) as answer:
            return answer.status, await answer.text(errors="replace"), answer.headers

    async def post(self, path: str, origin: str | None = "own", **form: str) -> tuple[int, str, Any]:
        """Send a form, as its own page does, or as another page would."""
        headers = {} if origin is None else {"Origin": self.address if origin == "own" else origin}
        async with self._http.post(self.url(path), data=form, headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.text(), answer.headers

    async def socket(self, origin: str | None = "own") -> int:
        """Open the pages' socket; gives the status of the handshake."""
        headers = {} if origin is None else {"Origin": self.address if origin == "own" else origin}
        url = self.url("/_nicegui_ws/socket.io/?EIO=4&transport=websocket&client_id=x")
        try:
            async with self._http.ws_connect(url, headers=headers):
                return 101
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status

    async def enter(self, play: Stage, role: Role = "admin") -> None:
        """Come in by a link."""
        status, _, _ = await self.post("/enter", ticket=await ticket(play, role))
        assert status == 303


@asynccontextmanager
async def visitor(play: Stage) -> AsyncIterator[Visitor]:
    """Give somebody outside the door."""
    jar = aiohttp.CookieJar(unsafe=True)  # "unsafe": the address is a number
    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        yield Visitor(http, play.service.address)


async def ticket(play: Stage, role: Role = "admin") -> str:
    """Make a link, as `aftersale console-link` does; gives its token."""
    token, now = play.clock.new_token(), play.clock.now()
    await play.read(lambda uow: passes.make_link(uow, token, role, "Ida", now))
    return token
