"""HTTP to the Bot API: what was surely not sent is told from what may have been, and no error holds an address."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from telegram import Bot, InputFile
from telegram.error import NetworkError, TelegramError, TimedOut

from bot.adapters.clock import SystemClock
from bot.adapters.sandbox.telegram import SandboxTelegram
from bot.adapters.telegram.request import AiohttpRequest, NoPlace, Unreachable

TOKEN = "123456:sandbox-token_AAAAAAAAAAAAAAAAAAAA"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def calling(
    base: str, *, connections: int = 4, connect_seconds: float = 5, patience: float = 5
) -> AsyncIterator[Bot]:
    """Give a bot that calls through the request under test."""
    request = AiohttpRequest(connections, timedelta(seconds=patience), timedelta(seconds=connect_seconds))
    try:
        yield Bot(TOKEN, base_url=f"{base}/bot", request=request, get_updates_request=request)
    finally:
        await request.shutdown()


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[str]:
    """Listen, and do with each connection what `serve` does."""
    at_work: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        working = asyncio.ensure_future(serve(reader, writer))
        at_work.add(working)
        await asyncio.wait({working})
        writer.transport.abort()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        for working in at_work:
            working.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)
        await asyncio.sleep(0.01)


async def take(reader: asyncio.StreamReader) -> None:
    """Read a whole call."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)


async def error_of(bot: Bot) -> TelegramError:
    """Give how a call fails, having made sure that nothing of it holds the token."""
    with pytest.raises(TelegramError) as raised:
        await bot.do_api_request("send_Message", {"chat_id": 1, "text": "Well?"})
    assert TOKEN not in "".join(traceback.format_exception(raised.value))
    return raised.value


async def test_where_nobody_listens_nothing_was_sent() -> None:
    """A refused connection, a name that nobody knows, an address that is none: surely not sent."""
    async with server(_hang) as base:
        pass
    for address in (base, "http://no-such-host.invalid", "telegram"):
        async with calling(address) as bot:
            assert isinstance(await error_of(bot), Unreachable)


async def _hang(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def test_an_answer_that_never_comes_is_in_doubt() -> None:
    """The call arrived, and the patience ended."""
    async with server(_hang) as base, calling(base, patience=0.2) as bot:
        error = await error_of(bot)
    assert isinstance(error, TimedOut)
    assert not isinstance(error, Unreachable | NoPlace)


async def test_a_connection_that_breaks_after_the_call_is_in_doubt() -> None:
    """The other side took the call and broke the line, before the answer or within it: it may have been sent."""

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take(reader)
        writer.transport.abort()

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await take(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
        await writer.drain()
        writer.close()

    for serve in (break_off, half):
        async with server(serve) as base, calling(base) as bot:
            error = await error_of(bot)
        assert isinstance(error, NetworkError)
        assert not isinstance(error, Unreachable | NoPlace | TimedOut)


async def test_where_all_connections_are_busy_the_fault_is_ours() -> None:
    """A call that waits in vain for a place was not sent, and says so."""
    async with server(_hang) as base, calling(base, connections=1, connect_seconds=0.3, patience=2) as bot:
        first = asyncio.create_task(error_of(bot))
        await asyncio.sleep(0.05)
        assert isinstance(await error_of(bot), NoPlace)
        assert isinstance(await first, TimedOut)


async def test_a_redirect_is_not_followed_and_an_answer_that_is_no_json_stays_out_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever answers so is not Telegram: nothing is sent on to another address, and no page lands in the log."""
    asked = []

    async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for status in (b"307 Temporary Redirect\r\nLocation: /other", b"200 OK"):
            await take(reader)
            asked.append(status)
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 12\r\n\r\n<a>secret</a>"[:-1])
            await writer.drain()

    async with server(elsewhere) as base, calling(base) as bot:
        assert type(await error_of(bot)) is NetworkError
        assert str(await error_of(bot)) == "Invalid server response"
    assert len(asked) == 2
    assert "secret" not in caplog.text


async def test_a_file_goes_out_whole() -> None:
    """The library's own methods work through it, uploads included."""
    async with SandboxTelegram(token=TOKEN, clock=SystemClock().now) as sandbox, calling(sandbox.base_url) as bot:
        customer = sandbox.customer(first_name="Freja")
        await customer.start()
        sent = await bot.send_document(customer.user_id, InputFile(b"the bill", filename="bill.txt"), caption="Here")
        assert sent.document is not None
        assert (sent.document.file_name, sent.document.file_size) == ("bill.txt", 8)
