"""The tick comes again and again, never twice at once, survives a bad one, and is waited for at the end."""

import asyncio
from datetime import timedelta

from bot.adapters.scheduler import Ticker

SOON = timedelta(milliseconds=10)


async def test_ticks_come_again_after_one_that_failed() -> None:
    """A tick that raises does not end the later ones."""
    count = 0
    third = asyncio.Event()

    async def tick() -> None:
        nonlocal count
        count += 1
        if count == 3:
            third.set()
        raise RuntimeError("bad tick")

    ticker = Ticker(tick, interval=SOON)
    ticker.start()
    await asyncio.wait_for(third.wait(), 10)
    await ticker.stop()


async def test_a_slow_tick_is_never_joined_by_another() -> None:
    """While one tick runs, no second begins, however long it takes."""
    running = most = 0
    done = asyncio.Event()

    async def tick() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.1)
        running -= 1
        done.set()

    ticker = Ticker(tick, interval=SOON)
    ticker.start()
    await asyncio.wait_for(done.wait(), 10)
    await asyncio.sleep(0.05)
    await ticker.stop()
    assert most == 1
    assert running == 0


async def test_stop_waits_for_the_tick_under_way() -> None:
    """Stopping in the middle of a tick lets it finish, after which none begins; stopping again is harmless."""
    entered = asyncio.Event()
    finished: list[bool] = []

    async def tick() -> None:
        entered.set()
        await asyncio.sleep(0.05)
        finished.append(True)

    ticker = Ticker(tick, interval=SOON)
    ticker.start()
    await asyncio.wait_for(entered.wait(), 10)
    await ticker.stop()
    assert finished == [True]
    await asyncio.sleep(0.05)
    assert finished == [True]
    await ticker.stop()
