"""A consistent copy of a SQLite file while the program works on it. PostgreSQL has tools of its own for that."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

from bot.errors import ConfigurationError, InputRefused
from storage.database import is_in_memory, parse_url

_PAGES_AT_ONCE = 2_000
_ONLY_ITS_OWNER = 0o600


def copy_database(
    url: str, target: Path, *, taken_at: datetime, mark: str, progress: Callable[[int, int], None]
) -> int:
    """Copy the database at `url` into the new file `target`, as it stands at this moment; give its size in bytes.

    The program may go on writing: the copy shows one moment, and keeps nobody waiting. It bears a note of when it was
    taken, which the original does not have.

    Args:
        url: of a SQLite file.
        target: a file that is not there yet.
        taken_at: the present time.
        mark: the key of that note.
        progress: is told pages done and pages in all.

    Raises:
        ConfigurationError: it is not a SQLite file.
        InputRefused: the file is there already, or cannot be written.

    Source: https://www.sqlite.org/backup.html (read 2026-11-25)
    """
    location = parse_url(url)
    if location.get_backend_name() != "sqlite" or is_in_memory(location):
        shown = location.set(drivername="postgresql").render_as_string(hide_password=True)
        mend = f"use its own tool: pg_dump --format=custom --file={target} '{shown}'"
        raise ConfigurationError("DATABASE_URL", "only a SQLite file is copied by this command", mend)
    if not Path(str(location.database)).is_file():
        raise ConfigurationError("DATABASE_URL", f"there is no file {location.database}", "aftersale migrate makes it")
    if target.exists():
        raise InputRefused([(str(target), "is there already; name another file")])
    part = target.with_name(target.name + ".part")
    try:
        part.touch(_ONLY_ITS_OWNER)  # names, addresses, what customers said: nobody else's to read
        os.truncate(part, 0)
        _copy(Path(str(location.database)), part, taken_at, mark, progress)
        os.link(part, target)  # unlike a renaming, this fails where the name was taken meanwhile
    except FileExistsError:
        raise InputRefused([(str(target), "is there already; name another file")]) from None
    except (OSError, sqlite3.Error) as error:
        raise InputRefused([(str(target), f"cannot be written ({error})")]) from error
    finally:
        for leftover in (part, part.with_name(part.name + "-wal"), part.with_name(part.name + "-shm")):
            leftover.unlink(missing_ok=True)
    return target.stat().st_size


def _copy(source: Path, target: Path, taken_at: datetime, mark: str, progress: Callable[[int, int], None]) -> None:
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, isolation_level=None)) as original,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        # A transaction that has read something holds on to what it saw; without it, each write of the program would
        # make the copy begin anew.
        original.execute("BEGIN")
        original.execute("SELECT count(*) FROM sqlite_master").fetchone()
        original.backup(copy, pages=_PAGES_AT_ONCE, progress=lambda _, left, total: progress(total - left, total))
        original.execute("ROLLBACK")
        copy.execute("INSERT OR REPLACE INTO notes (key, value) VALUES (?, ?)", (mark, taken_at.isoformat()))
        if copy.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("the copy is not whole; check the disk")
        # Into one file: whoever takes a backup away takes no -wal beside it along.
        copy.execute("PRAGMA journal_mode=DELETE")
