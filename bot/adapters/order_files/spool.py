"""Where the events of a file are put by between checking and storing: a temporary database of our own, on disk.

It has no name and is gone with the program, however that ends: what customers bought must not lie about. What stands in
it is found again by event, in the order of the file, or together by sale. What the events mean is the use case's.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from bot.errors import FollowUpError
from bot.ports.orders import OrderEvent

_CACHE_KIB = 2_048
"""How much of it is in memory; the rest lies in the folder for temporary files."""

_TABLES = """
CREATE TABLE events (n INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, line INTEGER NOT NULL, id TEXT NOT NULL,
    kind TEXT, at REAL, sale TEXT, customer TEXT, payload TEXT NOT NULL, repeats INTEGER NOT NULL DEFAULT 0);
CREATE TABLE parts (of_event INTEGER NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL);
CREATE TABLE known (n INTEGER PRIMARY KEY);
CREATE TABLE customers (id TEXT PRIMARY KEY, due REAL NOT NULL, unlinked INTEGER NOT NULL) WITHOUT ROWID;
"""
_ADD = "INSERT INTO events (key, line, id, kind, at, sale, customer, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_LOOK = "SELECT n, key, line, payload, sale IS NOT NULL FROM events"
_BY_SALE = "SELECT n, line, id, kind, at, sale, customer, payload FROM events ORDER BY sale, n"
_NEW = """
SELECT n, line, id, kind, at, sale, customer, payload FROM events WHERE n NOT IN (SELECT n FROM known) ORDER BY n
"""
_OVERLONG = """
SELECT line FROM events WHERE n IN (SELECT of_event FROM parts GROUP BY of_event HAVING sum(length(payload)) > ?)
ORDER BY n
"""
_EXPECT = """
INSERT INTO customers VALUES (?, ?, ?)
ON CONFLICT (id) DO UPDATE SET due = min(due, excluded.due), unlinked = max(unlinked, excluded.unlinked)
"""


@dataclass(frozen=True, slots=True)
class PutBy:
    """What stands under a key: its number, the line where it begins, and what it says. `is_sound`: nothing is wrong."""

    n: int
    key: str
    line: int
    payload: dict[str, Any]
    is_sound: bool


@dataclass(frozen=True, slots=True)
class Spooled:
    """One event of the file. `line`: where it begins; `n` counts the events in the order of the file."""

    n: int
    line: int
    id: str
    type: str
    occurred_at: datetime
    sale_id: str
    customer_id: str
    payload: Mapping[str, Any]


class Spool:
    """The events of one file. Events of one key are put by once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Begin with none, in an empty database."""
        self._connection = connection
        # Nothing of this outlives the program, so there is nothing to take back and nothing to wait for the disk for.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.executescript(_TABLES)
        connection.execute("BEGIN")

    # putting by

    def add(self, key: str, line: int, payload: Mapping[str, Any], event: OrderEvent | None) -> None:
        """Put an event by.

        Args:
            key: what makes it the same event as another; there is none of this key yet.
            line: where it begins in the file.
            payload: the event as it came, with its id.
            event: the same as it was read; None where something is wrong in it.
        """
        said: tuple[object, ...] = (payload["id"], None, None, None, None)
        if event is not None:
            said = (event.id, event.type, event.occurred_at.timestamp(), event.sale.id, event.sale.customer.id)
        self._connection.execute(_ADD, (key, line, *said, json.dumps(payload, ensure_ascii=False)))

    def find(self, key: str) -> PutBy | None:
        """Give what was put by under `key`."""
        row = self._connection.execute(f"{_LOOK} WHERE key = ?", (key,)).fetchone()
        return _put_by(row) if row else None

    def repeated(self, n: int) -> None:
        """Count one more event that says just the same."""
        self._connection.execute("UPDATE events SET repeats = repeats + 1 WHERE n = ?", (n,))

    def add_parts(self, n: int, kind: str, parts: Iterable[Mapping[str, Any]]) -> None:
        """Put by more items or promises (`kind`) of an event; see `parts`."""
        rows = ((n, kind, json.dumps(each, ensure_ascii=False)) for each in parts)
        self._connection.executemany("INSERT INTO parts VALUES (?, ?, ?)", rows)

    def overlong(self, chars_max: int) -> list[int]:
        """Give the lines where events begin that have longer parts in all than this."""
        return [row[0] for row in self._connection.execute(_OVERLONG, (chars_max,))]

    def parts(self) -> Iterator[tuple[PutBy, dict[str, list[str]]]]:
        """Give each event that has parts, and the JSON of these by their kind."""
        query = "SELECT of_event, kind, payload FROM parts ORDER BY of_event, rowid"
        for n, rows in groupby(self._connection.execute(query), key=lambda row: int(row[0])):
            parts: dict[str, list[str]] = {}
            for _, kind, text in rows:
                parts.setdefault(kind, []).append(text)
            yield _put_by(self._connection.execute(f"{_LOOK} WHERE n = ?", (n,)).fetchone()), parts

    def replace(self, n: int, payload: Mapping[str, Any]) -> None:
        """Put an event by in place of how it was."""
        text = json.dumps(payload, ensure_ascii=False)
        self._connection.execute("UPDATE events SET id = ?, payload = ? WHERE n = ?", (payload["id"], text, n))

    def close_intake(self) -> None:
        """Say that no more will come: only now the events can be asked for by sale."""
        self._connection.execute("CREATE INDEX events_by_sale ON events (sale, n)")

    # looking at them

    def count(self) -> int:
        """Give how many events the file has, repeats included."""
        return self._number("SELECT count(*) + coalesce(sum(repeats), 0) FROM events")

    def count_new(self) -> int:
        """Give how many different events there are that are not marked as known."""
        return self._number("SELECT (SELECT count(*) FROM events) - (SELECT count(*) FROM known)")

    def by_sale(self) -> Iterator[Spooled]:
        """Give each event, those of one sale together, in the order of the file."""
        return map(_spooled, self._connection.execute(_BY_SALE))

    def new(self) -> Iterator[Spooled]:
        """Give each event that is not marked as known, in the order of the file."""
        return map(_spooled, self._connection.execute(_NEW))

    # what is known of them

    def mark_known(self, numbers: Iterable[int]) -> None:
        """Mark events as stored before."""
        self._connection.executemany("INSERT OR IGNORE INTO known VALUES (?)", ((n,) for n in numbers))

    def repeats(self, limit: int) -> list[str]:
        """Give the ids of the first events that are known, or stand in the file more than once."""
        query = "SELECT id FROM events WHERE repeats > 0 OR n IN (SELECT n FROM known) ORDER BY n LIMIT ?"
        return [row[0] for row in self._connection.execute(query, (limit,))]

    def expect(self, customer_id: str, due_at: datetime, *, is_unlinked: bool) -> None:
        """Note that a customer would be written to at a time, if not earlier already."""
        self._connection.execute(_EXPECT, (customer_id, due_at.timestamp(), is_unlinked))

    def expected(self, after: datetime | None, until: datetime | None) -> int:
        """Give how many customers would be written to first between two times, the first of them excluded."""
        query = "SELECT count(*) FROM customers WHERE due > ? AND due <= ?"
        return self._number(query, *(_seconds(after, "-inf"), _seconds(until, "inf")))

    def expected_unlinked(self) -> int:
        """Give how many of all these customers have no chat."""
        return self._number("SELECT count(*) FROM customers WHERE unlinked")

    def _number(self, query: str, *values: object) -> int:
        return int(self._connection.execute(query, values).fetchone()[0])


@contextmanager
def spool() -> Iterator[Spool]:
    """Give an empty spool that is gone with the block.

    Raises:
        FollowUpError: there is no room for it.
    """
    # A database without a name is a file that nobody else can open, deleted by whatever way the program ends.
    # Source: https://www.sqlite.org/inmemorydb.html (read 2026-11-25)
    try:
        with closing(sqlite3.connect("", isolation_level=None)) as connection:
            yield Spool(connection)
    except sqlite3.OperationalError as error:
        if not error.sqlite_errorname.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
            raise
        mend = "free some, or set TMPDIR to a folder that has it (about four times the size of the file)"
        raise FollowUpError(f"no room for the events while they are checked ({error}) → {mend}") from error


def _seconds(at: datetime | None, otherwise: str) -> float:
    return float(otherwise) if at is None else at.timestamp()


def _put_by(row: tuple[Any, ...]) -> PutBy:
    n, key, line, payload, is_sound = row
    return PutBy(n, key, line, json.loads(payload), bool(is_sound))


def _spooled(row: tuple[Any, ...]) -> Spooled:
    n, line, the_id, kind, at, sale, customer, payload = row
    return Spooled(n, line, the_id, kind, datetime.fromtimestamp(at, UTC), sale, customer, json.loads(payload))
