"""The program as a process of its own, for tests that kill it: settings from the environment, the time as its argument.

Its clock stands still at that time, so that a test decides what is due.
"""

import asyncio
import sys
from datetime import datetime

from bot.adapters.clock import MovableClock
from bot.app.service import open_service
from bot.settings import Settings
from tests.system.stage import FAST, shop


async def main(start: str) -> None:
    """Run until killed; say so once everything is open."""
    settings = Settings.load(env_file=None)
    clock = MovableClock(datetime.fromisoformat(start))
    async with open_service(settings, clock=clock, shop=shop(), slack_per_second=FAST):
        sys.stdout.write("runs\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
