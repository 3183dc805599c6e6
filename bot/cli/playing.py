"""`aftersale demo` in a terminal: the sandbox page, served on this machine until Ctrl+C."""

import asyncio
import contextlib
import logging
import signal
import sys
import webbrowser
from pathlib import Path

from bot.adapters.logs import set_up_logs
from bot.app.interpreter import loop_factory
from bot.cli.terminal import say
from bot.pages.sandbox import open_sandbox_page


def open_sandbox(*, flows_dir: Path | None, port: int) -> int:
    """Serve the sandbox page until it is stopped; gives the exit code.

    The operator's own settings, shop and database are neither read nor written.

    Raises:
        ConfigurationError, FlowError: it cannot be opened; the text says what to do.
    """
    set_up_logs("console", level=logging.ERROR)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(flows_dir, port))
    return 0


async def _serve(flows_dir: Path | None, port: int) -> None:
    asked_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl+C then arrives as KeyboardInterrupt
            loop.add_signal_handler(each, asked_to_stop.set)
    say("Setting the stage …", "dim")
    async with open_sandbox_page(flows_dir, port=port) as address:
        say(f"Play with it at {address} – Ctrl+C ends it. (aftersale demo --terminal tells a story here instead.)")
        sys.stdout.flush()
        if sys.stdout.isatty() and _has_browser():
            await asyncio.to_thread(webbrowser.open, address)
        await asked_to_stop.wait()
    say("Nothing of it is left behind.", "dim")


def _has_browser() -> bool:
    """Tell whether there is a browser with a window: one that takes over the terminal would be in the way."""
    try:
        found = webbrowser.get()
    except webbrowser.Error:
        return False
    return type(found) is not webbrowser.GenericBrowser
