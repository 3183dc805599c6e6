"""A clock that several processes share: it goes on as real time does, and is moved from outside while they run.

Its only state is a small file that all of them map into memory: what is to be added to the machine's monotonic time.
"""

import mmap
import struct
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.adapters.clock import SystemClock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OFFSET = struct.Struct("d")


class SharedClock(SystemClock):
    """The time of one campaign, as one process reads it; `skew` is by how much its own machine's clock is wrong."""

    def __init__(self, file: Path) -> None:
        """Read the clock that `made` has made."""
        with file.open("r+b") as handle:
            self._map = mmap.mmap(handle.fileno(), _OFFSET.size)
        self.skew = timedelta(0)

    @classmethod
    def made(cls, file: Path, start: datetime) -> "SharedClock":
        """Make a clock that shows `start` now."""
        file.write_bytes(_OFFSET.pack((start - _EPOCH).total_seconds() - time.monotonic()))
        return cls(file)

    def now(self) -> datetime:
        """Give the time, aware, in UTC."""
        return _EPOCH + timedelta(seconds=time.monotonic() + self._offset()) + self.skew

    def advance(self, by: timedelta) -> None:
        """Move it for everybody; `by` may be negative, as when a machine's clock is put right."""
        _OFFSET.pack_into(self._map, 0, self._offset() + by.total_seconds())

    def move_to(self, at: datetime) -> None:
        """Move it on to `at` for everybody; where that is past, nothing changes."""
        self.advance(max(at - (self.now() - self.skew), timedelta(0)))

    def _offset(self) -> float:
        offset: float
        (offset,) = _OFFSET.unpack_from(self._map, 0)
        return offset
