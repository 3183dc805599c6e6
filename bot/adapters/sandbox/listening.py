"""How a sandbox listens: on a free port of this machine, with a network that can go away and come back."""

from aiohttp import web

BACKLOG = 1024
"""How many callers the kernel keeps waiting: a crowd of senders comes at once."""


class Listening:
    """A server that listens, from `open` to `close`."""

    def __init__(self, runner: web.BaseRunner) -> None:
        """Serve what `runner` runs."""
        self._runner = runner
        self._port = 0
        self._site: web.TCPSite | None = None

    async def open(self) -> str:
        """Begin to listen, and give the address: ``http://127.0.0.1:PORT``."""
        await self._runner.setup()
        await self._listen()
        self._port = self._runner.addresses[0][1]
        return f"http://127.0.0.1:{self._port}"

    async def go_offline(self) -> None:
        """Cut every connection and listen no more: whoever connects is refused, as where no network is."""
        if self._site is not None and self._runner.server is not None:
            await self._site.stop()
            self._site = None
            for connection in self._runner.server.connections:
                connection.force_close()

    async def come_online(self) -> None:
        """Listen again, at the same address."""
        if self._site is None:
            await self._listen()

    async def close(self) -> None:
        """Cut every connection and stop."""
        await self._runner.cleanup()

    async def _listen(self) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=BACKLOG, reuse_address=True)
        await self._site.start()
