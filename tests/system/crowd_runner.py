"""The program as one of several processes: its clock is a file that the test writes, its limits are arguments.

Beside its own migrations it knows those that are planted in a folder, as a newer version of it would.
"""

import argparse
import asyncio
import signal
import sys
from datetime import datetime
from pathlib import Path

import storage.migrations.versions
from bot.adapters.clock import SystemClock
from bot.adapters.logs import set_up_logs
from bot.app.service import open_service
from bot.errors import FollowUpError
from bot.settings import Settings
from storage.database import migrate
from tests.system.stage import FAST, shop


class SteeredClock(SystemClock):
    """A clock that shows what stands in a file."""

    def __init__(self, file: Path) -> None:
        """Show what stands in `file` at each look."""
        self._file = file

    def now(self) -> datetime:
        """Give the time that stands in the file."""
        return datetime.fromisoformat(self._file.read_text(encoding="utf-8"))


async def run(clock: SteeredClock, per_second: int) -> None:
    """Run until SIGTERM; say so once everything is open."""
    settings = Settings.load(env_file=None)
    asked_to_stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked_to_stop.set)
    the_shop = shop(messages_per_second=per_second)
    async with open_service(settings, clock=clock, shop=the_shop, slack_per_second=FAST) as service:
        sys.stdout.write(f"runs {service.address}\n")
        sys.stdout.flush()
        await asked_to_stop.wait()


def main() -> int:
    """Run, or migrate first and then run; a refusal is said on stdout, with exit code 2."""
    parser = argparse.ArgumentParser()
    parser.add_argument("clock", type=Path)
    parser.add_argument("--per-second", type=int, default=int(FAST))
    parser.add_argument("--planted", type=Path)
    parser.add_argument("--migrate", action="store_true")
    given = parser.parse_args()
    if given.planted is not None:
        storage.migrations.versions.__path__.append(str(given.planted))
    set_up_logs("json", level=30)
    try:
        if given.migrate:
            migrate(Settings.load(env_file=None).database_url)
        asyncio.run(run(SteeredClock(given.clock), given.per_second))
    except FollowUpError as error:
        sys.stdout.write(f"refused {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
