"""Many rows in one step, on both databases: what is stored so is what would have been stored row by row."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Insert
from sqlalchemy.dialects import postgresql, sqlite

from bot.ports.records import LogEntry, Moment, Outgoing
from bot.ports.store import UnitOfWork
from storage.database import SqlDatabase, open_database
from storage.mapping import log_values, outgoing_values
from storage.packing import WORTH_IT, execute
from storage.tables import metadata
from tests.contract.test_store import HOUR, NOW, counting, incoming, moment, outgoing, put_freja
from tests.databases import SqliteTemplate

LOG, OUTBOX = metadata.tables["log"], metadata.tables["outbox"]
MANY = WORTH_IT + 3


def inserting(database: SqlDatabase, table: Any) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if database.is_alone else postgresql.insert(table)


def stored(database: SqlDatabase, statement: Insert, rows: list[dict[str, Any]]) -> list[str]:
    """Store the rows, and give the inserts that it took."""
    asked: list[str] = []
    with counting(database, asked):
        database.run_now(lambda unit: execute(unit._connection, statement, rows))
    return [each for each in asked if each.startswith("INSERT")]


def entries() -> list[LogEntry]:
    words = ["plain", 'it\'s "quoted" \\ and\nlong', "🍷 æøå \u2028", "", "null", "12", "{}"]
    return [
        LogEntry(NOW + timedelta(microseconds=n), f"kind {n}", "s-1", None, word, {"text": word, "n": [1, None, 0.5]})
        for n, word in enumerate(words[:MANY])
    ]


def test_rows_come_back_as_they_were_given(database: SqlDatabase) -> None:
    """Proves that times, JSON, nothing at all and odd words are the same as where each row is bound by itself."""
    given = entries()
    statement = inserting(database, LOG)
    assert len(stored(database, statement, [log_values(each) for each in given])) == 1
    for each in given:
        stored(database, statement, [log_values(replace(each, sale_id="s-2"))])
    first, second = (
        [replace(each, id=None) for each in database.run_now(lambda u, s=s: u.story_of(s))] for s in ("s-1", "s-2")
    )  # type: ignore[misc]
    assert first == given
    assert [replace(each, sale_id="s-1") for each in second] == given

    kind = "typeof" if database.is_alone else "pg_typeof"

    def raw(unit: Any) -> Any:
        asked = f"SELECT {kind}(at), at, {kind}(customer_id), CAST(data AS text) FROM log"  # noqa: S608 - as above
        return [
            [
                tuple(row)
                for row in unit._connection.exec_driver_sql(f"{asked} WHERE sale_id = '{sale}' ORDER BY at, id")
            ]
            for sale in ("s-1", "s-2")
        ]

    packed, bound = database.run_now(raw)
    assert packed == bound


def test_what_is_there_already_is_kept_or_replaced_as_the_statement_says(database: SqlDatabase) -> None:
    """Proves that ON CONFLICT holds for packed rows, also for two of one key among them."""
    first = [replace(outgoing(f"m-{n}"), lane="old") for n in range(3)]
    database.run_now(lambda unit: [unit.send(each) for each in first])
    rows = [outgoing_values(replace(outgoing(f"m-{n % 6}"), lane=f"new-{n}")) for n in range(MANY)]
    keep = inserting(database, OUTBOX).on_conflict_do_nothing(index_elements=["key"])
    stored(database, keep, rows)

    def lanes() -> dict[str, str]:
        found: list[Outgoing] = database.run_now(lambda unit: unit.outbox(("waiting",), 50))
        return {each.key: each.lane for each in found}

    assert lanes() == {"m-0": "old", "m-1": "old", "m-2": "old", "m-3": "new-3", "m-4": "new-4", "m-5": "new-5"}
    statement = inserting(database, OUTBOX)
    renew = statement.on_conflict_do_update(index_elements=["key"], set_={"lane": statement.excluded.lane})
    stored(database, renew, rows)
    assert lanes()["m-0"] == "new-6"
    assert lanes()["m-1"] == "new-1"


def test_a_moment_that_is_planned_twice_among_many_comes_at_the_earlier_time(database: SqlDatabase) -> None:
    """Proves that several plans of one key in one transaction end as they would have one by one, whatever their order."""
    database.run_now(put_freja)

    def work(unit: UnitOfWork) -> list[Moment]:
        for number in range(MANY):
            unit.plan(moment(f"m-{number}", NOW + HOUR))
        unit.plan(moment("m-0", NOW))
        unit.plan(moment("m-0", NOW + 2 * HOUR))
        return unit.moments_of("1001")

    assert [(each.key, each.due_at) for each in database.run_now(work)] == [
        ("m-0", NOW),
        *((f"m-{number}", NOW + HOUR) for number in range(1, MANY)),
    ]


def test_rows_are_numbered_in_the_order_in_which_they_were_given(database: SqlDatabase) -> None:
    """Proves that what is told of later has the higher number, since lists are sorted by it."""
    rows = [log_values(replace(entries()[0], kind=f"kind {number}")) for number in range(100)]
    stored(database, inserting(database, LOG), rows)
    story = database.run_now(lambda unit: unit.story_of("s-1"))
    assert [each.kind for each in sorted(story, key=lambda each: each.id or 0)] == [row["kind"] for row in rows]


def test_what_postgresql_cannot_store_is_replaced_and_stays_to_the_letter_within_json(
    postgres: SqlDatabase,
) -> None:
    """Proves that a NUL and half an emoji among many rows cost no row, and that JSON keeps them."""
    odd = ["a\x00b", "\x00\x00", "\\\x00", "\\u0000", "\ud83d", "🍷\x00"]
    rows = [replace(entries()[0], kind=word, data={"said": word}) for word in odd]
    assert len(stored(postgres, postgresql.insert(LOG), [log_values(each) for each in rows])) == 1
    story = sorted(postgres.run_now(lambda unit: unit.story_of("s-1")), key=lambda each: each.id or 0)
    assert [each.kind for each in story] == ["a\ufffdb", "\ufffd\ufffd", "\\\ufffd", "\\u0000", "\ufffd", "🍷\ufffd"]
    assert [each.data["said"] for each in story] == odd


@pytest.fixture
def postgres(postgresql_url: str) -> Any:
    opened = open_database(postgresql_url)
    yield opened
    opened.close()


def test_what_sqlite_cannot_store_is_refused_as_ever(sqlite_template: SqliteTemplate, tmp_path: Any) -> None:
    """Proves that half an emoji is an error when it is written, not when it is read."""
    file = open_database(sqlite_template.fresh(tmp_path))
    spoiled = [replace(each, kind="\ud83d") for each in entries()]
    with pytest.raises(UnicodeEncodeError):
        stored(file, sqlite.insert(LOG), [log_values(each) for each in spoiled])
    assert file.run_now(lambda unit: unit.story_of("s-1")) == []
    file.close()


def test_what_is_changed_alike_is_changed_together_and_the_rest_one_by_one(database: SqlDatabase) -> None:
    """Proves that many rows end as they would have one by one: alike, unlike, and one row twice."""
    names = [f"in-{number}" for number in range(MANY)]
    database.run_now(lambda unit: unit.receive([incoming(name) for name in names]))

    def settle(outcomes: list[tuple[int, str, str | None]]) -> list[str]:
        asked: list[str] = []
        with counting(database, asked):
            database.run_now(lambda unit: [unit.settle_incoming(*each) for each in outcomes])
        return [each for each in asked if each.startswith("UPDATE")]

    assert len(settle([(number, "done", None) for number in range(1, MANY + 1)])) == 1
    assert [each.state for each in database.run_now(lambda unit: unit.inbox(["done"], 99))] == ["done"] * MANY
    settle([(number, "failed", f"reason {number}") for number in range(1, MANY + 1)])
    found = database.run_now(lambda unit: unit.inbox(["failed"], 99))
    assert [each.error for each in found] == [f"reason {number}" for number in range(1, MANY + 1)]
    settle([*((number, "ignored", None) for number in range(1, MANY + 1)), (1, "done", None)])
    assert [each.id for each in database.run_now(lambda unit: unit.inbox(["done"], 99))] == [1]
