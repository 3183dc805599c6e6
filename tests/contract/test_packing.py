"""Many rows in one step on SQLite: what is stored so is what would have been stored row by row."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.dialects import sqlite

from bot.ports.records import LogEntry, Outgoing
from storage.database import SqlDatabase, open_database
from storage.mapping import log_values, outgoing_values
from storage.packing import WORTH_IT, execute
from storage.tables import metadata
from tests.contract.test_store import NOW, counting, incoming, outgoing
from tests.databases import SqliteTemplate

LOG, OUTBOX = metadata.tables["log"], metadata.tables["outbox"]
MANY = WORTH_IT + 3


@pytest.fixture
def file(sqlite_template: SqliteTemplate, tmp_path: Any) -> Any:
    opened = open_database(sqlite_template.fresh(tmp_path))
    yield opened
    opened.close()


def entries() -> list[LogEntry]:
    words = ["plain", 'it\'s "quoted" \\ and\nlong', "🍷 æøå \u2028", "", "null", "12", "{}"]
    return [
        LogEntry(NOW + timedelta(microseconds=n), f"kind {n}", "s-1", None, word, {"text": word, "n": [1, None, 0.5]})
        for n, word in enumerate(words[:MANY])
    ]


def test_rows_come_back_as_they_were_given(file: SqlDatabase) -> None:
    """Proves that times, JSON, nothing at all and odd words are the same as where each row is bound by itself."""
    given = entries()
    statement = sqlite.insert(LOG)

    def together(unit: Any) -> None:
        execute(unit._connection, statement, [log_values(each) for each in given])

    def apart(unit: Any) -> None:
        for each in given:
            execute(unit._connection, statement, [log_values(replace(each, sale_id="s-2"))])

    file.run_now(together)
    file.run_now(apart)
    first, second = (
        [replace(each, id=None) for each in file.run_now(lambda u, s=s: u.story_of(s))] for s in ("s-1", "s-2")
    )  # type: ignore[misc]
    assert first == given
    assert [replace(each, sale_id="s-1") for each in second] == given

    def raw(unit: Any) -> Any:
        asked = (
            "SELECT typeof(at), at, typeof(customer_id), typeof(data), data FROM log WHERE sale_id = ? ORDER BY at, id"
        )
        return [unit._connection.exec_driver_sql(asked, (sale,)).fetchall() for sale in ("s-1", "s-2")]

    packed, bound = file.run_now(raw)
    assert packed == bound


def test_what_is_there_already_is_kept_or_replaced_as_the_statement_says(file: SqlDatabase) -> None:
    """Proves that ON CONFLICT holds for packed rows, also for two of one key among them."""
    first = [replace(outgoing(f"m-{n}"), lane="old") for n in range(3)]
    file.run_now(lambda unit: [unit.send(each) for each in first])
    rows = [outgoing_values(replace(outgoing(f"m-{n % 6}"), lane=f"new-{n}")) for n in range(MANY)]
    keep = sqlite.insert(OUTBOX).on_conflict_do_nothing(index_elements=["key"])
    file.run_now(lambda unit: execute(unit._connection, keep, rows))

    def lanes() -> dict[str, str]:
        found: list[Outgoing] = file.run_now(lambda unit: unit.outbox(("waiting",), 50))
        return {each.key: each.lane for each in found}

    assert lanes() == {"m-0": "old", "m-1": "old", "m-2": "old", "m-3": "new-3", "m-4": "new-4", "m-5": "new-5"}
    statement = sqlite.insert(OUTBOX)
    renew = statement.on_conflict_do_update(index_elements=["key"], set_={"lane": statement.excluded.lane})
    file.run_now(lambda unit: execute(unit._connection, renew, rows))
    assert lanes()["m-0"] == "new-6"
    assert lanes()["m-1"] == "new-1"


def test_what_no_database_can_store_is_refused_as_ever(file: SqlDatabase) -> None:
    """Proves that half an emoji is an error when it is written, not when it is read."""
    spoiled = [replace(each, kind="\ud83d") for each in entries()]
    with pytest.raises(UnicodeEncodeError):
        file.run_now(lambda unit: execute(unit._connection, sqlite.insert(LOG), [log_values(each) for each in spoiled]))
    assert file.run_now(lambda unit: unit.story_of("s-1")) == []


def test_what_is_changed_alike_is_changed_together_and_the_rest_one_by_one(file: SqlDatabase) -> None:
    """Proves that many rows end as they would have one by one: alike, unlike, and one row twice."""
    names = [f"in-{number}" for number in range(MANY)]
    file.run_now(lambda unit: unit.receive([incoming(name) for name in names]))

    def settle(outcomes: list[tuple[int, str, str | None]]) -> list[str]:
        asked: list[str] = []
        with counting(file, asked):
            file.run_now(lambda unit: [unit.settle_incoming(*each) for each in outcomes])
        return [each for each in asked if each.startswith("UPDATE")]

    (alike,) = settle([(number, "done", None) for number in range(1, MANY + 1)])
    assert "json_each" in alike
    assert [each.state for each in file.run_now(lambda unit: unit.inbox(["done"], 99))] == ["done"] * MANY
    settle([(number, "failed", f"reason {number}") for number in range(1, MANY + 1)])
    found = file.run_now(lambda unit: unit.inbox(["failed"], 99))
    assert [each.error for each in found] == [f"reason {number}" for number in range(1, MANY + 1)]
    settle([*((number, "ignored", None) for number in range(1, MANY + 1)), (1, "done", None)])
    assert [each.id for each in file.run_now(lambda unit: unit.inbox(["done"], 99))] == [1]
