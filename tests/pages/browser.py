"""A real browser for the tests of the pages: Debian's Chromium, driven by Playwright; where it is missing, that is said.

What lives here: starting it, axe, and a picture on demand. What must not: expectations; they stand in the tests.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.async_api", reason="no playwright: pages are not tested in a browser")

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine: pages are not tested in a browser"
)

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
PATIENCE_MS = 20_000
"""How long something may take to be seen, on a busy machine."""
DESKTOP = {"width": 1400, "height": 1250}
PHONE = {"width": 390, "height": 844}
PICTURES = os.environ.get("AFTERSALE_PICTURES", "")
"""A folder: pictures of the pages are put there, for people to look at."""


@asynccontextmanager
async def open_browser() -> AsyncIterator[Any]:
    """Give a browser."""
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def open_window(browser: Any, **given: Any) -> AsyncIterator[Any]:
    """Give a window of its own (own cookies), and make sure that nothing went wrong in it and nothing came from afar."""
    context = await browser.new_context(**{"viewport": DESKTOP, "locale": "en-GB", **given})
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "requestfailed",
        lambda request: problems.append(f"failed: {request.url}") if "socket.io" not in request.url else None,
    )
    page.on("request", lambda request: problems.append(f"from afar: {request.url}") if is_far(request.url) else None)
    yield page
    await context.close()
    assert problems == []


def is_far(address: str) -> bool:
    """Tell whether an address is not on this machine."""
    return not address.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:", "about:"))


async def picture(page: Any, name: str) -> None:
    """Take a picture, if somebody wants to look."""
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


async def violations(page: Any) -> list[str]:
    """Give what axe finds seriously wrong for people who use no mouse or see little."""
    from axe_playwright_python.async_playwright import Axe  # noqa: PLC0415 - a browser may be there without it

    found = await Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:200]}"
        for each in found.response["violations"]
        if each["impact"] in ("serious", "critical")
    ]
