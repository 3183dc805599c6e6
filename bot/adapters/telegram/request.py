"""HTTP for python-telegram-bot over aiohttp: one kept session, JSON both ways, and errors that say whether it was sent.

No text that leaves this module holds an address: every address of the Bot API carries the token. What an error means
for a message is not decided here (see `failures`).
"""

import json
from datetime import timedelta
from typing import Any

import aiohttp
from telegram.error import NetworkError, TelegramError, TimedOut
from telegram.request import BaseRequest, RequestData
from yarl import URL

_JSON = {"Content-Type": "application/json"}
_KEEP_ALIVE_SECONDS = 15.0
# Nothing is compressed at this size, and nobody reads who we are.
_UNSAID = ("Accept", "Accept-Encoding", "User-Agent")


class Unreachable(NetworkError):
    """No connection came about: surely nothing was sent."""


class NoPlace(NetworkError):
    """No connection was free in time: surely nothing was sent, and the fault is ours."""


class AiohttpRequest(BaseRequest):
    """What `telegram.Bot` calls through: a call costs a third of what it costs over httpx.

    The session is opened by the first call, in the loop that runs then, and ended by `shutdown`. It follows no
    redirect, keeps no cookie and repeats nothing: what is sent twice would be said twice.
    """

    def __init__(self, connections: int, patience: timedelta, connect_within: timedelta) -> None:
        """Keep at most `connections`; wait at most `patience` for an answer and `connect_within` for a connection."""
        self._connections, self._patience = connections, patience.total_seconds()
        self._connect_seconds = connect_within.total_seconds()
        self._session: aiohttp.ClientSession | None = None
        self._timeouts: dict[float | None, aiohttp.ClientTimeout] = {}
        self._addresses: dict[str, URL] = {}
        self._busy = 0

    @property
    def read_timeout(self) -> float:
        """How many seconds an answer may take."""
        return self._patience

    async def initialize(self) -> None:
        """Do nothing: the first call opens the session."""

    async def shutdown(self) -> None:
        """End the kept connections; a later call opens new ones."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: Any = BaseRequest.DEFAULT_NONE,
        write_timeout: Any = BaseRequest.DEFAULT_NONE,  # noqa: ARG002 - a part of `read_timeout` here
        connect_timeout: Any = BaseRequest.DEFAULT_NONE,  # noqa: ARG002 - one for all calls
        pool_timeout: Any = BaseRequest.DEFAULT_NONE,  # noqa: ARG002 - a part of the time to connect
    ) -> tuple[int, bytes]:
        """Make one call and give status and body.

        Raises:
            Unreachable: no connection came about.
            NoPlace: all connections were busy.
            TimedOut: it was sent, and no answer came.
            NetworkError: it may have been sent, and the connection broke.
        """
        session = self._session
        if session is None or session.closed:
            session = self._session = self._open()
        seconds = self._patience if read_timeout is BaseRequest.DEFAULT_NONE else read_timeout
        body, headers = _body(request_data)
        self._busy += 1
        try:
            async with session.request(
                method,
                self._address(url),
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=self._timeout(seconds),
            ) as answer:
                return answer.status, await answer.read()
        except aiohttp.ConnectionTimeoutError:
            if self._busy > self._connections:
                raise NoPlace("no connection was free in time") from None
            raise Unreachable("no connection in time") from None
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise Unreachable(type(error).__name__) from None
        except TimeoutError:
            raise TimedOut from None
        except (aiohttp.ClientError, OSError) as error:
            raise NetworkError(type(error).__name__) from None
        finally:
            self._busy -= 1

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """Read an answer; one that cannot be read stays out of the log, where the library would put all of it."""
        try:
            answer = json.loads(payload)
        except ValueError:
            raise TelegramError("Invalid server response") from None
        if not isinstance(answer, dict):
            raise TelegramError("Invalid server response")
        return answer

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=_KEEP_ALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_UNSAID,
        )

    def _address(self, url: str) -> URL:
        """Give an address in parts; those of the few methods that are called are taken apart once."""
        address = self._addresses.get(url)
        if address is None:
            address = URL(url)
            if len(self._addresses) < self._connections:
                self._addresses[url] = address
        return address

    def _timeout(self, seconds: float | None) -> aiohttp.ClientTimeout:
        timeout = self._timeouts.get(seconds)
        if timeout is None:
            timeout = aiohttp.ClientTimeout(total=None, connect=self._connect_seconds, sock_read=seconds)
            self._timeouts[seconds] = timeout
        return timeout


def _body(data: RequestData | None) -> tuple[bytes | aiohttp.FormData | None, dict[str, str] | None]:
    if data is None:
        return None, None
    if not data.contains_files:
        return json.dumps(data.parameters).encode(), _JSON
    form = aiohttp.FormData(data.json_parameters)
    for name, (filename, content, kind) in data.multipart_data.items():
        form.add_field(name, content, filename=filename, content_type=kind)
    return form, None
