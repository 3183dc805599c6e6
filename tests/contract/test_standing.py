"""How the queues stand, asked of both databases: right figures, and the same small effort however much waits."""

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, event, insert, text

from bot.desk.states import Case
from bot.ports.records import Customer, Incoming, Outgoing, Sale
from bot.ports.standing import Standing
from bot.ports.store import UnitOfWork
from storage import standing
from storage.database import SqlDatabase, open_database, parse_url
from storage.tables import metadata

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def incoming(key: str, source: Any = "shop", at: datetime = NOW) -> Incoming:
    return Incoming(source, key, f"lane:{key}", {"n": key}, at)


def outgoing(key: str, **more: Any) -> Outgoing:
    given: dict[str, Any] = {"channel": "telegram", "lane": f"chat:{key}", "kind": "system", "not_before": NOW}
    return Outgoing(key=key, body={"text": key}, created_at=NOW, **{**given, **more})


def fill(uow: UnitOfWork) -> None:
    """A day at work: things of every state in both queues, and cases of every age."""
    uow.receive(
        [
            incoming("s1", at=NOW - 7 * MINUTE),
            incoming("s2"),
            incoming("t1", "telegram", NOW - MINUTE),
            incoming("bad"),
            incoming("odd", "slack"),
        ]
    )
    rows = {row.key: row.id or 0 for row in uow.inbox(("new",), 10)}
    uow.settle_incoming(rows["bad"], "failed", "sale.id: is missing")
    uow.settle_incoming(rows["odd"], "ignored", "nothing of ours")
    for key, channel, priority, at in (
        ("due", "telegram", 5, NOW - 3 * MINUTE),
        ("urgent", "telegram", 0, NOW - MINUTE),
        ("later", "telegram", 8, NOW + DAY),
        ("card", "slack", 0, NOW + MINUTE),
    ):
        uow.send(outgoing(key, channel=channel, priority=priority, not_before=at))
    for state in ("unknown", "failed", "held", "sent", "sending"):
        uow.send(outgoing(state, state=state))
    uow.put_customer(Customer("c-1", "Freja", chat_id=7, last_wrote_at=NOW))
    uow.put_customer(Customer("c-2", "Sofie"))
    uow.put_sale(Sale("1", "c-1", asked_at=NOW, answered_at=NOW, confirmed_at=NOW))
    uow.put_sale(Sale("2", "c-2", asked_at=NOW))
    uow.put_sale(Sale("3", "c-2"))
    for number, (status, team, age, due) in enumerate(
        [
            ("open", "wine", timedelta(hours=23), DAY),
            ("claimed", "wine", 2 * DAY, -DAY),
            ("open", "fashion", 5 * DAY, -DAY),
            ("remedied", "wine", 9 * DAY, -DAY),
            ("confirmed", "wine", 30 * DAY, -DAY),
        ]
    ):
        opened = NOW - age
        case = Case(f"k{number}", "1", "c-1", "v-1", status, team, "its", "unhappy", "no", opened, NOW + due, "soon")  # type: ignore[arg-type]
        uow.put_case(replace(case, closed_at=NOW) if status == "confirmed" else case)


def test_the_figures_are_right(database: SqlDatabase) -> None:
    """Counts by source, channel and state; lags from the oldest; cases by team, age and whether they are overdue."""
    database.run_now(fill)
    now = database.reports().standing(NOW)
    assert now.new_inbox == {"shop": 2, "telegram": 1, "slack": 0}
    assert (now.inbox_lag("shop"), now.inbox_lag("telegram"), now.inbox_lag("slack")) == (7 * MINUTE, MINUTE, 0 * DAY)
    assert now.failed_inbox == 1
    assert (now.due, now.later) == ({"telegram": 2, "slack": 0}, {"telegram": 1, "slack": 1})
    assert (now.outbox_lag("telegram"), now.outbox_lag("slack")) == (3 * MINUTE, 0 * DAY)
    assert (now.unknown, now.failed, now.held, now.sending) == (1, 1, 1, 1)
    assert now.sales == 3
    assert now.moment_lag == timedelta()
    assert now.cases["wine"].by_age == {"under_1d": 1, "1d_to_3d": 1, "3d_to_7d": 0, "over_7d": 1}
    assert now.cases["fashion"].by_age == {"under_1d": 0, "1d_to_3d": 0, "3d_to_7d": 1, "over_7d": 0}
    assert {team: each.overdue for team, each in now.cases.items()} == {"wine": 1, "fashion": 1}
    assert database.reports().sales_by_stage() == {"all": 3, "linked": 1, "asked": 2, "answered": 1, "confirmed": 1}


def test_an_empty_database_lags_by_nothing(database: SqlDatabase) -> None:
    """A newcomer's queues are empty, and nothing is late."""
    now = database.reports().standing(NOW)
    nothing = {"telegram": 0, "slack": 0}
    assert now == Standing(NOW, standing.COUNTED_UP_TO, new_inbox={"shop": 0, **nothing}, due=nothing, later=nothing)
    assert database.reports().arrivals(0) == (0, {})


def test_counting_ends_at_its_bound(database: SqlDatabase) -> None:
    """Beyond the bound the figure is the bound, which means so many or more; the lag is exact all the same."""
    database.run_now(lambda uow: uow.receive([incoming(f"s{number}", at=NOW - DAY) for number in range(30)]))
    database.run_now(lambda uow: [uow.send(outgoing(f"m{number}")) for number in range(30)])

    def bounded(connection: Connection) -> Standing:
        return standing.standing(connection, NOW, up_to=20)

    now: Standing = database._read(bounded)
    assert (now.new_inbox["shop"], now.due["telegram"], now.later["telegram"]) == (20, 20, 0)
    assert now.inbox_lag("shop") == DAY


def test_arrivals_are_heard_from_where_the_last_look_ended(database: SqlDatabase) -> None:
    """Each look hears of every source once, and of nothing that it heard before."""
    database.run_now(lambda uow: uow.receive([incoming("a"), incoming("b", at=NOW + MINUTE)]))
    newest, heard = database.reports().arrivals(0)
    assert heard == {"shop": NOW + MINUTE}
    assert database.reports().arrivals(newest) == (newest, {})
    database.run_now(lambda uow: uow.receive([incoming("c", "telegram", NOW + 2 * MINUTE)]))
    assert database.reports().arrivals(newest)[1] == {"telegram": NOW + 2 * MINUTE}


def test_what_needs_a_person_comes_first_in_the_lists(database: SqlDatabase) -> None:
    """State by state in the order asked for; what waits by when it may go, the rest oldest first; no more than asked."""
    database.run_now(fill)
    reports = database.reports()
    states = ("unknown", "failed", "held", "sending", "waiting")
    keys = [message.key for message in reports.outbox(states, 50)]
    assert keys == ["unknown", "failed", "held", "sending", "due", "urgent", "card", "later"]
    assert [message.key for message in reports.outbox(states, 6)] == keys[:6]
    assert [item.key for item in reports.inbox(("failed", "new"), 3)] == ["bad", "s1", "s2"]
    assert [message.key for message in reports.outbox(("sent",), 3)] == ["sent"]
    assert reports.numbers("outbox", states) == {"unknown": 1, "failed": 1, "held": 1, "sending": 1, "waiting": 4}
    assert reports.numbers("inbox", ("failed", "new")) == {"failed": 1, "new": 3}


def test_only_what_failed_or_was_ignored_is_handled_again(database: SqlDatabase) -> None:
    """Of all that is named, done and new rows stay as they are; those that go again lose their error."""
    database.run_now(fill)
    everything = database.reports().inbox(("new", "failed", "ignored"), 50)
    ids = [row.id or 0 for row in everything]
    again = database.run_now(lambda uow: uow.retry_incoming(ids))
    assert sorted(again) == sorted(row.id or 0 for row in everything if row.state != "new")
    assert {(row.state, row.error) for row in database.reports().inbox(("new", "failed", "ignored"), 50)} == {
        ("new", None)
    }


# Effort ------------------------------------------------------------------------------------------------------------

MANY = 20_000
QUESTIONS = {
    "standing": lambda connection: standing.standing(connection, NOW, up_to=100),
    "arrivals": lambda connection: standing.arrivals(connection, 0, up_to=100),
    "outbox list": lambda connection: standing.messages_in(
        connection, ("unknown", "failed", "held", "sending", "waiting"), 20
    ),
    "inbox list": lambda connection: standing.incoming_in(connection, ("failed", "new"), 20),
    "outbox numbers": lambda connection: standing.numbers_in(
        connection, "outbox", ("unknown", "failed", "held", "sending", "waiting"), 100
    ),
    "inbox numbers": lambda connection: standing.numbers_in(connection, "inbox", ("failed", "new"), 100),
    "failed ids": lambda connection: standing.failed_ids(connection, "outbox", 0, 20),
}


def crowd(url: str, number: int) -> None:
    """Put `number` rows of each kind of waiting in front of a few that failed."""
    engine = create_engine(parse_url(url))
    inbox, outbox = metadata.tables["inbox"], metadata.tables["outbox"]
    blank = dict.fromkeys(column.name for column in outbox.columns if column.name != "id")
    states: Sequence[tuple[str, int]] = (("sent", number), ("held", number), ("waiting", number), ("failed", 3))
    with engine.begin() as connection:
        for state, many in states:
            connection.execute(
                insert(outbox),
                [
                    {
                        **blank,
                        "key": f"{state}{each}",
                        "channel": "telegram",
                        "lane": f"chat:{each}",
                        "kind": "question",
                        "body": {},
                        "not_before": NOW + each * MINUTE,
                        "created_at": NOW,
                        "priority": 5,
                        "state": state,
                        "attempts": 0,
                    }
                    for each in range(many)
                ],
            )
        for source, state, many in (("shop", "done", number), ("shop", "new", number), ("telegram", "failed", 3)):
            rows = [
                {
                    "source": source,
                    "key": f"{state}{each}",
                    "lane": f"sale:{each}",
                    "payload": {},
                    "received_at": NOW,
                    "state": state,
                    "attempts": 0,
                    "error": None,
                }
                for each in range(many)
            ]
            connection.execute(insert(inbox), rows)
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    engine.dispose()


def steps(url: str, name: str) -> int:
    """Give how many of SQLite's own steps a question takes, in hundreds: no clock, so no busy machine disturbs it."""
    engine, count = create_engine(url), [0]

    def tick() -> int:
        count[0] += 1
        return 0

    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.set_progress_handler(tick, 100)
        QUESTIONS[name](connection)
    engine.dispose()
    return count[0]


@pytest.fixture(scope="module")
def crowds(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Any) -> tuple[str, str]:
    """Give a SQLite database with a few hundred rows of each kind, and one with very many."""
    folder = tmp_path_factory.mktemp("crowds")
    few, many = sqlite_template.fresh(folder), sqlite_template.fresh(folder)
    crowd(few, MANY // 100)
    crowd(many, MANY)
    return few, many


@pytest.mark.parametrize("name", QUESTIONS)
def test_looking_takes_the_same_effort_however_much_waits(crowds: tuple[str, str], name: str) -> None:
    """A hundred times as many rows cost SQLite not even half as much again."""
    few, many = (steps(url, name) for url in crowds)
    assert few <= many <= 1.5 * few + 10


@pytest.fixture
def looked_at(postgresql_url: str) -> Iterator[tuple[SqlDatabase, list[int]]]:
    """A crowded PostgreSQL, and for each statement the most rows that any step of its plan went through."""
    crowd(postgresql_url, MANY)
    database = open_database(postgresql_url)
    walked: list[int] = []

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:  # noqa: FBT001 - SQLAlchemy's own
        with connection.connection.driver_connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
            plan = cursor.fetchone()[0]
        walked.append(most_rows((plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"]))

    event.listen(database._engine, "before_cursor_execute", explain)
    yield database, walked
    event.remove(database._engine, "before_cursor_execute", explain)
    database.close()


def most_rows(plan: dict[str, Any]) -> int:
    own = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return int(max([own, *(most_rows(each) for each in plan.get("Plans", []))]))


def test_looking_walks_over_few_rows_on_postgresql(looked_at: tuple[SqlDatabase, list[int]]) -> None:
    """No step of any plan goes through more than the bound, and a little that lies beside it."""
    database, walked = looked_at
    for question in QUESTIONS.values():
        database._read(question)
    assert len(walked) > 15
    assert max(walked) <= 1000


def test_a_duty_is_known_to_be_held_or_not(database: SqlDatabase, database_url: str) -> None:
    """Asked from another program: held while somebody has it, free before and after; on SQLite there is one program."""
    duties = ("telegram-polling", "watch", "an-unheard-of")
    reports = database.reports()
    if database.is_alone:
        assert reports.unheld_duties(duties) == []
        assert database.duties.holds("telegram-polling")
        return
    assert reports.unheld_duties(duties) == list(duties)
    other = open_database(database_url)
    try:
        assert other.duties.hold("telegram-polling")
        assert reports.unheld_duties(duties) == ["watch", "an-unheard-of"]
        assert other.duties.holds("telegram-polling")
        assert not database.duties.holds("telegram-polling")
    finally:
        other.close()
    deadline = time.monotonic() + 20  # the server learns a moment later that the connection has ended
    while reports.unheld_duties(duties) != list(duties):
        assert time.monotonic() < deadline
        time.sleep(0.02)
