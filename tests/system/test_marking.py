"""Marks: many plain ones do what each by itself would do, and what is not ours any more is left as others left it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.adapters.clock import MovableClock
from bot.dispatch import Outcome, claim, mark, mark_all, recover
from bot.errors import DeliveryDelayed, DeliveryRefused, DeliveryUnknown
from bot.flows.state import State
from bot.messages import House
from bot.ports.records import Conversation, Customer, Outgoing, Sale
from bot.ports.store import UnitOfWork
from storage.database import SqlDatabase, open_database
from tests.databases import PostgresqlTemplate, SqliteTemplate
from tests.system.stage import MORNING, shipped_flows, shop

HOUSE = House(shop(), shipped_flows(), MovableClock(MORNING))
LATER = MORNING + timedelta(minutes=5)
TIMERS = {"remind": "3d", "silence": "2bd"}
STATE = State("asking", "arrived", turn=1, visits=2)


def message(key: str, kind: Any, **more: Any) -> Outgoing:
    body = {"chat_id": 7, "text": f"text of {key}", "timers": TIMERS}
    given = {"customer_id": "c-1", "sale_id": "s-1", "conversation_id": "v-1", "turn": 1, "body": body}
    return Outgoing(key, "telegram", f"chat:{key}", kind, not_before=MORNING, created_at=MORNING, **{**given, **more})


def put_all(uow: UnitOfWork) -> None:
    """Two sales whose talks wait for an answer, one whose talk went on, and a message of each kind about them."""
    for number in (1, 2, 3):
        uow.put_customer(
            Customer(
                f"c-{number}", name="Freja", chat_id=number, consents={"service": True}, time_zone="Europe/Copenhagen"
            )
        )
        uow.put_sale(Sale(f"s-{number}", f"c-{number}", asked_at=MORNING if number == 2 else None))
        state = STATE if number < 3 else replace(STATE, turn=5)
        uow.put_conversation(
            Conversation(f"v-{number}", f"k-{number}", f"s-{number}", f"c-{number}", "f", "1", state, MORNING)
        )
    second = {"customer_id": "c-2", "sale_id": "s-2", "conversation_id": "v-2"}
    third = {"customer_id": "c-3", "sale_id": "s-3", "conversation_id": "v-3"}
    for each in (
        message("question", "question"),
        message("second", "question", **second),
        message("moved on", "question", **third, body={"chat_id": 3, "text": "Too late", "prompted": True}),
        message("notice", "notice", conversation_id=None, turn=None),
        message("answer", "answer", **second, turn=None),
        message("system", "system", customer_id=None, sale_id=None, conversation_id=None, turn=None),
        message("edit", "edit", body={"chat_id": 7, "message_id": 5, "text": "changed"}),
        message("alone", "system", conversation_id="gone", turn=3),
    ):
        uow.send(each)


def claimed(database: SqlDatabase, now: Any = MORNING) -> list[Outgoing]:
    ready: list[Outgoing] = []

    def work(uow: UnitOfWork) -> None:
        # A question is claimed only once per customer and transaction, and the one that moved on is dropped.
        ids = [each.id or 0 for each in uow.outbox(("waiting",), 20)]
        uow.claim(ids, now + timedelta(minutes=2))
        ready[:] = uow.outbox(("sending",), 20)

    database.run_now(work)
    return ready


def outcomes(messages: list[Outgoing]) -> list[Outcome]:
    found = [Outcome(each, external=f"ext-{each.key}") for each in messages]
    unchanged = DeliveryRefused("unchanged", "it looks so already")
    return [Outcome(each.message, error=unchanged) if each.message.kind == "edit" else each for each in found]


def books(database: SqlDatabase) -> dict[str, Any]:
    """Give all that a mark may change, without ids."""

    def work(uow: UnitOfWork) -> dict[str, Any]:
        rows = uow.outbox(("sent", "sending", "waiting", "unknown", "failed"), 50)
        return {
            "outbox": [replace(each, id=None) for each in rows],
            "customers": [uow.customer(f"c-{number}") for number in (1, 2, 3)],
            "sales": [uow.sale(f"s-{number}") for number in (1, 2, 3)],
            "moments": [replace(each, id=None) for number in (1, 2, 3) for each in uow.moments_of(f"s-{number}")],
            "log": [replace(each, id=None) for number in (1, 2, 3) for each in uow.story_of(f"s-{number}")],
        }

    return database.run_now(work)


Fresh = Callable[[], SqlDatabase]


@pytest.fixture(params=["sqlite", "postgres"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Give as many new databases of one kind as a test asks for."""
    opened: list[SqlDatabase] = []
    closing: list[Any] = []

    def one() -> SqlDatabase:
        if request.param == "sqlite":
            template: SqliteTemplate = request.getfixturevalue("sqlite_template")
            url = template.fresh(tmp_path)
        else:
            postgresql: PostgresqlTemplate = request.getfixturevalue("postgresql_template")
            context = postgresql.fresh()
            closing.append(context)
            url = context.__enter__()
        opened.append(open_database(url))
        return opened[-1]

    yield one
    for database in opened:
        database.close()
    for context in closing:
        context.__exit__(None, None, None)


def test_many_plain_marks_do_what_each_by_itself_does(fresh: Fresh) -> None:
    """Rows, timers, log, sale and customer are the same whether marked together or one after the other."""
    together, apart = fresh(), fresh()
    for database in (together, apart):
        database.run_now(put_all)
    many, single = (outcomes(claimed(database)) for database in (together, apart))
    together.run_now(lambda uow: mark_all(uow, HOUSE, many, LATER))

    def one_by_one(uow: UnitOfWork) -> None:
        for each in single:
            mark(uow, HOUSE, each, LATER)

    apart.run_now(one_by_one)
    here, there = books(together), books(apart)
    for name in here:
        assert sorted(map(repr, here[name])) == sorted(map(repr, there[name])), name
    assert {each.state for each in here["outbox"]} == {"sent"}
    assert len(here["moments"]) == 4
    assert [each.asked_at for each in here["sales"]] == [LATER, MORNING, None]
    assert [each.last_question_at for each in here["customers"]] == [LATER, LATER, None]


def test_done_with_care_the_result_is_the_same(fresh: Fresh) -> None:
    """With a savepoint for each, too."""
    plain, careful = fresh(), fresh()
    for database in (plain, careful):
        database.run_now(put_all)
        many = outcomes(claimed(database))
        database.run_now(
            lambda uow, many=many, care=database is careful: mark_all(uow, HOUSE, many, LATER, careful=care)
        )
    assert {name: sorted(map(repr, rows)) for name, rows in books(plain).items()} == {
        name: sorted(map(repr, rows)) for name, rows in books(careful).items()
    }


@pytest.fixture
def left_behind(fresh: Fresh) -> tuple[SqlDatabase, dict[str, Outgoing]]:
    """A question and a person's reply were claimed; their leases ended, and another program settled them."""
    database = fresh()
    database.run_now(put_all)

    def reply(uow: UnitOfWork) -> None:
        uow.send(message("reply", "staff_reply", priority=0, case_id="no"))

    database.run_now(reply)
    messages = {each.key: each for each in claimed(database)}
    after = MORNING + timedelta(minutes=3)
    assert database.run_now(lambda uow: recover(uow, HOUSE, after, after)) == len(messages)
    return database, messages


def state_of(database: SqlDatabase, message: Outgoing) -> tuple[str, int, str | None]:
    found = database.run_now(lambda uow: uow.outgoing(message.id or 0))
    assert found is not None
    return found.state, found.attempts, found.external


def test_what_arrived_after_all_is_known_late_and_not_repeated(
    left_behind: tuple[SqlDatabase, dict[str, Outgoing]],
) -> None:
    """The sender was only slow: unknown becomes sent, and the reply that was to be repeated is not."""
    database, messages = left_behind
    question, reply = messages["question"], messages["reply"]
    assert [state_of(database, each)[0] for each in (question, reply)] == ["unknown", "waiting"]
    timers = len(database.run_now(lambda uow: uow.moments_of("s-1")))
    late = [Outcome(question, external="11"), Outcome(reply, external="12")]
    database.run_now(lambda uow: mark_all(uow, HOUSE, late, LATER))
    assert [state_of(database, each) for each in (question, reply)] == [("sent", 1, "11"), ("sent", 1, "12")]
    assert len(database.run_now(lambda uow: uow.moments_of("s-1"))) == timers
    _, due = database.run_now(lambda uow: claim(uow, HOUSE, "telegram", LATER, 10))
    assert due == len([each for each in messages.values() if each.kind in ("system", "edit")])


@pytest.mark.parametrize(
    "error", [DeliveryDelayed("later"), DeliveryUnknown("who knows"), DeliveryRefused("blocked"), ValueError("ours")]
)
def test_what_is_not_ours_any_more_is_left_as_others_left_it(
    left_behind: tuple[SqlDatabase, dict[str, Outgoing]], error: Exception
) -> None:
    """Whatever else comes out late changes nothing: neither is a question asked again, nor a reply given up."""
    database, messages = left_behind
    before = {key: state_of(database, each) for key, each in messages.items()}
    late = [Outcome(each, error=error) for each in messages.values()]
    for careful in (False, True):
        database.run_now(lambda uow, care=careful: mark_all(uow, HOUSE, late, LATER, careful=care))  # type: ignore[misc]
    assert {key: state_of(database, each) for key, each in messages.items()} == before


def test_what_another_program_has_claimed_anew_is_its_own(left_behind: tuple[SqlDatabase, dict[str, Outgoing]]) -> None:
    """The reply is on its way once more: what came of the first attempt says nothing of the second."""
    database, messages = left_behind
    reply = messages["reply"]
    database.run_now(lambda uow: uow.claim([reply.id or 0], LATER + timedelta(minutes=2)))
    late = [Outcome(reply, external="12")]
    database.run_now(lambda uow: mark_all(uow, HOUSE, late, LATER))
    assert state_of(database, reply) == ("sending", 2, None)


def test_what_we_have_in_hand_ourselves_is_not_settled_as_left_behind(fresh: Fresh) -> None:
    """A mark that could not be committed for long is still ours to make, though its lease is over."""
    database = fresh()
    database.run_now(put_all)
    messages = claimed(database)
    after = MORNING + timedelta(minutes=3)
    own = {each.id for each in messages[:2]}
    assert database.run_now(lambda uow: recover(uow, HOUSE, after, after, own)) == len(messages) - 2
    assert {state_of(database, each)[0] for each in messages[:2]} == {"sending"}
