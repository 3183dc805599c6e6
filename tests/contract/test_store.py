"""The door to storage, one suite for both databases: what `bot.ports.store` promises is kept by SQLite and PostgreSQL."""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Self

import pytest
from sqlalchemy import event, insert
from sqlalchemy.exc import IntegrityError, StatementError

from bot.desk.states import Attachment, Case, Remedy, Snooze, Task
from bot.errors import ConfigurationError, Forbidden
from bot.flows.state import Asked, State
from bot.ports.listing import ONLY
from bot.ports.records import (
    Conversation,
    Customer,
    FlowVersion,
    Incoming,
    LinkToken,
    LogEntry,
    Moment,
    Outgoing,
    Pass,
    Post,
    Promise,
    Publication,
    Sale,
    Verdict,
)
from bot.ports.store import UnitOfWork
from storage.database import SqlDatabase, open_database
from storage.mapping import case_values
from storage.tables import metadata

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)

FREJA = Customer(
    "c-7",
    name="Freja Holm 🍷",
    locale="da",
    country="DK",
    time_zone="Europe/Copenhagen",
    chat_id=7_777_777_777,
    chat_locale="da-DK",
    language="en",
    linked_at=NOW,
    consents={"service": True, "result": False},
    stopped_at=NOW + HOUR,
    unreachable_at=NOW + 2 * HOUR,
    last_wrote_at=NOW + 3 * HOUR,
    last_question_at=NOW + 4 * HOUR,
    extra={"loyalty": {"level": 3}},
)
SALE = Sale(
    "1001",
    "c-7",
    summary="two bottles of Barolo",
    items=({"sku": "BAROLO-19", "quantity": 2, "tags": ["wine"]}, {"sku": "BOX"}),
    stage="order.delivered",
    happened={"order.placed": NOW - HOUR, "order.delivered": NOW},
    factors={"promise": 0.5, "quality": 1},
    asked_at=NOW,
    answered_at=NOW + HOUR,
    confirmed_at=FREJA.last_wrote_at,
    paused=True,
    extra={"note": "gift"},
)
STATE = State(
    "asking",
    "arrived",
    turn=2,
    visits=3,
    reminded=1,
    spoken=True,
    unhappy=True,
    asked=(Asked(1, "hello", answered=True), Asked(2, "arrived")),
    outcome="happy",
)
CONVERSATION = Conversation(
    "v1", "1001/after_delivery", "1001", "c-7", "after_delivery", "abc123", STATE, NOW, NOW + HOUR, 2, "k1"
)
CASE = Case(
    "k1",
    "1001",
    "c-7",
    "v1",
    "remedied",
    "parcels",
    "answers for delivery",
    "unhappy",
    "one bottle is broken",
    NOW,
    NOW + HOUR,
    "one working hour",
    factor="quality",
    touchpoint="delivery",
    promise_id="p1",
    cycle=2,
    rung=1,
    claimed_by="U1",
    claimed_at=NOW,
    answered_at=NOW,
    remedies=(Remedy("refund", "one bottle", "U1", NOW, "100 kr.", "carrier"), Remedy("credit", "", "U2", NOW + HOUR)),
    closed_at=NOW + 2 * HOUR,
    snooze=Snooze("customer", NOW, NOW + HOUR, "U1", "asked for a photo", left=timedelta(minutes=90)),
    tasks=(
        Task(
            "t1", "accounting", "rewrite it", "U1", NOW, NOW + HOUR, "one business day", NOW, "U2", "done", "C1", "1.0"
        ),
        Task("t2", "wine", "send one", "U1", NOW, NOW + HOUR, "one business day"),
    ),
    media=(Attachment("photo", "f1", "broken"),),
    call_reason="upset",
    fell_back="C9",
)


def outgoing(key: str, lane: str = "chat:1", **more: Any) -> Outgoing:
    return Outgoing(key, "telegram", lane, "question", {"text": key}, more.pop("not_before", NOW), NOW, **more)


def incoming(key: str, lane: str = "c-7", **more: Any) -> Incoming:
    return Incoming("shop", key, lane, {"id": key}, NOW, **more)


def moment(key: str, due_at: datetime = NOW, **more: Any) -> Moment:
    return Moment(key, "start", due_at, "1001", **more)


def planning(planned: Moment) -> Callable[[UnitOfWork], None]:
    return lambda unit: unit.plan(planned)


def sending(message: Outgoing) -> Callable[[UnitOfWork], None]:
    return lambda unit: unit.send(message)


def put_freja(unit: UnitOfWork) -> None:
    unit.put_customer(FREJA)
    unit.put_sale(SALE)


@pytest.fixture
def freja(database: SqlDatabase) -> SqlDatabase:
    database.run_now(put_freja)
    return database


def due(unit: UnitOfWork, limit: int, now: datetime = NOW) -> list[Outgoing]:
    return [each.message for each in unit.candidates(now, limit, "telegram")]


def keys(found: list[Any]) -> list[str]:
    return [each.key for each in found]


# Round trips ------------------------------------------------------------------------------------------------------


def test_customer_comes_back_as_stored(freja: SqlDatabase) -> None:
    """Proves that no field of a customer is lost, by id and by chat, and that unknown ones are None."""
    assert freja.run_now(lambda unit: unit.customer("c-7")) == FREJA
    assert freja.run_now(lambda unit: unit.customer_by_chat(7_777_777_777)) == FREJA
    assert freja.run_now(lambda unit: (unit.customer("c-8"), unit.customer_by_chat(8))) == (None, None)


def test_customer_is_replaced_whole(freja: SqlDatabase) -> None:
    """Proves that storing again overwrites, also with nothing."""
    freja.run_now(lambda unit: unit.put_customer(Customer("c-7")))
    assert freja.run_now(lambda unit: unit.customer("c-7")) == Customer("c-7")


def test_sale_comes_back_as_stored(freja: SqlDatabase) -> None:
    """Proves that no field of a sale is lost, with its times aware."""
    found = freja.run_now(lambda unit: unit.sale("1001"))
    assert found == SALE
    assert found is not None
    assert found.happened["order.delivered"].tzinfo is UTC


def test_sales_of_a_customer_come_newest_first(freja: SqlDatabase) -> None:
    """Proves the order: by the latest event, then id; what never had an event comes last."""
    in_an_hour = {"order.placed": NOW + HOUR}

    def work(unit: UnitOfWork) -> None:
        unit.put_sale(Sale("a", "c-7"))
        unit.put_sale(Sale("b", "c-7", happened=in_an_hour))
        unit.put_sale(Sale("c", "c-7", happened=in_an_hour))

    freja.run_now(work)
    assert [sale.id for sale in freja.run_now(lambda unit: unit.sales_of("c-7"))] == ["c", "b", "1001", "a"]


def test_promises_come_back_in_order(freja: SqlDatabase) -> None:
    """Proves the round trip of promises, and that the same id is replaced."""
    second = Promise("1001", "p2", "the dress fits")
    first = Promise("1001", "p1", "before the weekend", "site", "checkout", NOW, "broken")

    def work(unit: UnitOfWork) -> list[Promise]:
        for promise in (second, replace(first, state="open"), first):
            unit.put_promise(promise)
        return unit.promises_of("1001")

    assert freja.run_now(work) == [first, second]


def test_conversations_come_back_newest_first(freja: SqlDatabase) -> None:
    """Proves the round trip of a conversation with its whole state, by id, key and sale."""
    later = replace(CONVERSATION, id="v0", key="other", state=State(), started_at=NOW + HOUR, expires_at=None)

    def work(unit: UnitOfWork) -> None:
        unit.put_conversation(CONVERSATION)
        unit.put_conversation(later)

    freja.run_now(work)
    assert freja.run_now(lambda unit: unit.conversation("v1")) == CONVERSATION
    assert freja.run_now(lambda unit: unit.conversation_by_key("other")) == later
    assert freja.run_now(lambda unit: unit.conversations_of("1001")) == [later, CONVERSATION]
    assert freja.run_now(lambda unit: (unit.conversation("?"), unit.conversation_by_key("?"))) == (None, None)


def test_sale_cannot_have_two_conversations_with_one_key(freja: SqlDatabase) -> None:
    """Proves that a second conversation of the same start is refused."""
    freja.run_now(lambda unit: unit.put_conversation(CONVERSATION))
    with pytest.raises(IntegrityError):
        freja.run_now(lambda unit: unit.put_conversation(replace(CONVERSATION, id="v2")))


def test_verdicts_come_back_oldest_first(freja: SqlDatabase) -> None:
    """Proves that verdicts are appended, each cycle beside the earlier one."""
    said = Verdict(
        "1001",
        "v1",
        "after_delivery",
        "arrived",
        "missing",
        {"promise": 0},
        "delivery",
        "wo?",
        ({"file": "f"},),
        1,
        NOW,
    )
    again = replace(said, choice=None, touchpoint=None, factors={}, media=(), cycle=2, at=NOW + HOUR)

    def work(unit: UnitOfWork) -> list[Verdict]:
        unit.put_conversation(CONVERSATION)
        unit.add_verdict(said)
        unit.add_verdict(again)
        return unit.verdicts_of("1001")

    assert freja.run_now(work) == [said, again]


def test_flow_version_is_kept_for_ever(database: SqlDatabase) -> None:
    """Proves that a version, once kept, is never changed."""
    kept = FlowVersion("f", "1", "first", NOW, {"reminder": {"en": "Well?"}}, 1)

    def work(unit: UnitOfWork) -> tuple[FlowVersion | None, FlowVersion | None]:
        unit.put_flow(kept)
        unit.put_flow(FlowVersion("f", "1", "changed", NOW))
        return unit.flow_version("f", "1"), unit.flow_version("f", "2")

    assert database.run_now(work) == (kept, None)
    assert database.run_now(lambda unit: unit.put_flow(FlowVersion("f", "1", "changed", NOW))) is None
    assert database.run_now(lambda unit: unit.flow_version("f", "1")) == kept


def test_a_version_that_an_older_program_kept_is_of_the_first_form(database: SqlDatabase) -> None:
    """Proves that what was kept without form and sentences is given out with the values that stand for that."""
    versions = metadata.tables["flow_versions"]
    row = {"flow": "f", "version": "1", "source": "x", "created_at": NOW}
    database.run_now(lambda unit: unit._connection.execute(versions.insert().values(**row)))
    assert database.run_now(lambda unit: unit.flow_version("f", "1")) == FlowVersion("f", "1", "x", NOW, {}, 1)


def test_publications_are_numbered_once(database: SqlDatabase) -> None:
    """Proves that history is only added to: of two with one number the second is refused and changes nothing."""
    first, second = (Publication("f", number, "a", "start", NOW) for number in (1, 2))
    other = Publication("e", 1, "b", "publish", NOW, "Ida", "kinder")
    assert [database.run_now(lambda unit, each=each: unit.publish(each)) for each in (second, first, other)] == [
        True
    ] * 3
    assert not database.run_now(lambda unit: unit.publish(replace(first, version="b", by="Bo")))
    assert database.run_now(lambda unit: unit.publications()) == [other, first, second]
    assert database.run_now(lambda unit: unit.publications("f")) == [first, second]


def test_conversations_are_counted_and_found_by_version(freja: SqlDatabase) -> None:
    """Proves that those which have ended are left out, and that pages follow one another without a gap."""
    asking = replace(CONVERSATION.state, status="asking")
    mine = [replace(CONVERSATION, id=f"t{n}", key=f"k{n}", flow="f", version="1", state=asking) for n in range(5)]
    ended = replace(mine[0], id="t9", key="k9", state=replace(asking, status="finished"))
    elsewhere = replace(mine[0], id="t8", key="k8", version="2")

    def work(unit: UnitOfWork) -> None:
        for each in (*mine, ended, elsewhere):
            unit.put_conversation(each)

    freja.run_now(work)
    assert freja.run_now(lambda unit: unit.running_on("f")) == {("f", "1"): 5, ("f", "2"): 1}
    assert freja.run_now(lambda unit: unit.running_on()) == {("f", "1"): 5, ("f", "2"): 1}
    assert freja.run_now(lambda unit: unit.unfinished_on("f", "1", "", 3)) == mine[:3]
    assert freja.run_now(lambda unit: unit.unfinished_on("f", "1", "t2", 3)) == mine[3:]


def test_conversations_are_counted_by_flow_and_how_they_stand(freja: SqlDatabase) -> None:
    """Open or how they ended, and whether their sale is complete: what the list of flows shows."""
    ended = State("finished", outcome="silent")
    open_sale = replace(SALE, id="1002", confirmed_at=None)

    def put(uow: UnitOfWork) -> None:
        uow.put_sale(SALE)
        uow.put_sale(open_sale)
        uow.put_conversation(CONVERSATION)
        for number, sale in enumerate(("1001", "1002", "1002")):
            uow.put_conversation(
                replace(CONVERSATION, id=f"n{number}", key=f"n{number}", sale_id=sale, flow="other", state=ended)
            )

    freja.run_now(put)
    counted = {each[:4]: each[4] for each in freja.reports().conversations_by_flow()}
    assert counted == {
        (CONVERSATION.flow, "asking", "happy", True): 1,
        ("other", "finished", "silent", True): 1,
        ("other", "finished", "silent", False): 2,
    }


def test_case_comes_back_as_stored(freja: SqlDatabase) -> None:
    """Proves the round trip of a case with its remedies, and the order of a sale's cases."""
    earlier = replace(CASE, id="k0", opened_at=NOW - HOUR, remedies=(), closed_at=None, status="open")

    def work(unit: UnitOfWork) -> None:
        unit.put_case(earlier)
        unit.put_case(CASE)

    freja.run_now(work)
    assert freja.run_now(lambda unit: unit.case("k1")) == CASE
    assert freja.run_now(lambda unit: unit.cases_of("1001")) == [CASE, earlier]
    assert freja.run_now(lambda unit: unit.case("?")) is None


def test_case_that_an_older_program_wrote_is_read(freja: SqlDatabase) -> None:
    """Proves that a case without what was added since, and remedies of before, is a case with nothing of it."""
    kept = replace(
        CASE, remedies=(Remedy("refund", "one bottle", "U1", NOW),), snooze=None, tasks=(), media=(), call_reason=None,
        fell_back=None,
    )  # fmt: skip
    added = ("snooze", "tasks", "media", "call_reason", "fell_back")
    row = {name: value for name, value in case_values(kept).items() if name not in added}
    row["remedies"] = [{"kind": "refund", "note": "one bottle", "by": "U1", "at": NOW.isoformat()}]
    with freja._engine.begin() as connection:
        connection.execute(insert(metadata.tables["cases"]).values(row))
    assert freja.run_now(lambda unit: unit.case("k1")) == kept


def test_cases_whose_first_card_waits_come_the_oldest_due_first(freja: SqlDatabase) -> None:
    """Proves whose card counts as still to come: of these teams, not closed, not posted, and with no time of its own."""

    def work(unit: UnitOfWork) -> list[str]:
        for number, (team, status) in enumerate(
            [("wine", "open"), ("wine", "claimed"), ("wine", "unconfirmed"), ("fashion", "open"), ("wine", "open")]
        ):
            case = replace(CASE, id=f"k{number}", team=team, status=status, due_at=NOW - number * HOUR)  # type: ignore[arg-type]
            unit.put_case(case)
            unit.send(card_of(case.id))
        unit.put_case(replace(CASE, id="posted", team="wine", status="open"))
        unit.send(card_of("posted"))
        unit.put_post(Post("posted", "C1", "1.0"))
        unit.put_case(replace(CASE, id="later", team="wine", status="open"))
        unit.send(card_of("later", not_before=NOW + HOUR))
        unit.put_case(replace(CASE, id="crowded", team="wine", status="open"))
        unit.send(replace(card_of("crowded", not_before=NOW + HOUR), reason="others are before it"))
        unit.put_case(replace(CASE, id="none", team="wine", status="open"))
        return [each.id for each in unit.cases_to_show(["wine", "nowhere"], NOW)]

    assert freja.run_now(work) == ["k4", "k1", "k0", "crowded"]
    assert freja.run_now(lambda unit: unit.cases_to_show([], NOW)) == []


def card_of(case_id: str, **more: Any) -> Outgoing:
    waiting = outgoing(f"card {case_id}", f"case:{case_id}", **more)
    return replace(waiting, channel="slack", kind="card", sale_id="1001", case_id=case_id)


def test_case_is_confirmed_only_when_its_customer_spoke(freja: SqlDatabase) -> None:
    """Proves rule 1 in the store: confirmed at the moment of the customer's own word alone, and from then on."""
    confirmed = replace(CASE, status="confirmed", closed_at=NOW)
    freja.run_now(lambda unit: unit.put_case(CASE))
    with pytest.raises(Forbidden):
        freja.run_now(lambda unit: unit.put_case(confirmed))

    def spoken(unit: UnitOfWork) -> None:
        customer = unit.customer("c-7")
        assert customer is not None
        unit.put_customer(replace(customer, last_wrote_at=NOW))
        unit.put_case(confirmed)

    freja.run_now(spoken)
    freja.run_now(lambda unit: unit.put_case(replace(confirmed, said="told again")))
    assert freja.run_now(lambda unit: unit.case("k1")) == replace(confirmed, said="told again")


def test_sale_is_complete_only_when_its_customer_spoke(freja: SqlDatabase) -> None:
    """Proves rule 1 in the store for the sale itself; what is complete may be stored again, and taken back."""
    freja.run_now(lambda unit: unit.put_sale(replace(SALE, confirmed_at=None)))
    with pytest.raises(Forbidden):
        freja.run_now(lambda unit: unit.put_sale(replace(SALE, confirmed_at=NOW)))
    freja.run_now(lambda unit: unit.put_sale(SALE))
    freja.run_now(lambda unit: unit.put_sale(replace(SALE, summary="told again")))
    assert freja.run_now(lambda unit: unit.sale("1001")) == replace(SALE, summary="told again")


def test_case_has_one_live_post(freja: SqlDatabase) -> None:
    """Proves that the newest card is the live one, also when a case moves back to where it stood."""

    def work(unit: UnitOfWork) -> list[Post | None]:
        unit.put_case(CASE)
        seen = [unit.post_of("k1")]
        for post in (Post("k1", "C1", "1.0"), Post("k1", "C2", "2.0"), Post("k1", "C1", "1.0")):
            unit.put_post(post)
            seen.append(unit.post_of("k1"))
        unit.put_post(Post("k1", "C1", "1.0", live=False))
        return [*seen, unit.post_of("k1")]

    seen = freja.run_now(work)
    assert seen == [None, Post("k1", "C1", "1.0"), Post("k1", "C2", "2.0"), Post("k1", "C1", "1.0"), None]


def test_link_token_log_and_notes_come_back(freja: SqlDatabase) -> None:
    """Proves the round trips of the small things."""
    token = LinkToken("h", "1001", "c-7", NOW, NOW + HOUR, NOW, 7_777_777_777)
    entries = [
        LogEntry(NOW + HOUR, "later", "1001", "c-7", "k1", {"a": [1]}),
        LogEntry(NOW, "earlier", "1001"),
        LogEntry(NOW, "other", "1002"),
    ]

    def work(unit: UnitOfWork) -> tuple[Any, ...]:
        unit.put_link_token(replace(token, used_at=None, used_by=None))
        unit.put_link_token(token)
        for entry in entries:
            unit.log(entry)
        unit.put_note("offset", "1")
        unit.put_note("offset", "2")
        story = [replace(entry, id=None) for entry in unit.story_of("1001")]
        return unit.link_token("h"), unit.link_token("?"), story, unit.note("offset"), unit.note("?")

    assert freja.run_now(work) == (token, None, [entries[1], entries[0]], "2", None)


def test_passes_come_back_and_are_forgotten_once_they_expired(database: SqlDatabase) -> None:
    """Proves the round trip of a pass to the console, that using one is kept, and that expired ones go."""
    link = Pass("l", "link", "admin", "Ida Holst", NOW, NOW + HOUR)
    session = Pass("s", "session", "reader", "Ida Holst", NOW, NOW + 2 * HOUR, member="U1")

    def work(unit: UnitOfWork) -> list[Pass | None]:
        unit.put_pass(link)
        unit.put_pass(replace(link, used_at=NOW))
        unit.put_pass(session)
        before = [unit.pass_of("l"), unit.pass_of("s"), unit.pass_of("?")]
        unit.drop_passes(NOW + HOUR)
        return [*before, unit.pass_of("l"), unit.pass_of("s")]

    assert database.run_now(work) == [replace(link, used_at=NOW), session, None, None, session]


def test_times_come_back_in_utc_and_naive_ones_are_refused(freja: SqlDatabase) -> None:
    """Proves that a time with another offset is the same moment again, and that a time without one never gets in."""
    copenhagen = NOW.astimezone(timezone(timedelta(hours=1)))
    naive = NOW.replace(tzinfo=None)
    freja.run_now(lambda unit: unit.put_customer(Customer("x", linked_at=copenhagen)))
    found = freja.run_now(lambda unit: unit.customer("x"))
    assert found is not None
    assert (found.linked_at, found.linked_at and found.linked_at.tzinfo) == (NOW, UTC)
    with pytest.raises(StatementError, match="timezone"):
        freja.run_now(lambda unit: unit.put_customer(Customer("y", linked_at=naive)))
    with pytest.raises(ValueError, match="aware"):
        freja.run_now(lambda unit: unit.put_sale(Sale("y", "c-7", happened={"order.placed": naive})))
    with pytest.raises(StatementError, match="timezone"):
        freja.run_now(lambda unit: unit.due_moments(naive, 1))


def test_odd_text_is_stored_and_does_not_spoil_a_transaction(database: SqlDatabase) -> None:
    """Proves that a NUL (which PostgreSQL refuses) and any script can be stored, in text and within JSON."""

    def work(unit: UnitOfWork) -> Customer | None:
        unit.put_customer(Customer("n", name="a\x00b ✓ 日本 👩‍👩‍👧", extra={"raw": "a\x00b \ud800"}))
        return unit.customer("n")

    found = database.run_now(work)
    assert found is not None
    assert found.name in {"a\x00b ✓ 日本 👩‍👩‍👧", "a\ufffdb ✓ 日本 👩‍👩‍👧"}
    assert found.extra == {"raw": "a\x00b \ud800"}


# Transactions -----------------------------------------------------------------------------------------------------


async def test_work_that_raises_leaves_nothing_behind(database: SqlDatabase) -> None:
    """Proves that a transaction is whole: committed when the work returns, undone when it raises."""

    def spoiled(unit: UnitOfWork) -> None:
        unit.put_note("a", "1")
        raise LookupError("no")

    with pytest.raises(LookupError):
        await database.run(spoiled)
    assert await database.run(lambda unit: unit.note("a")) is None


def test_savepoint_undoes_only_what_is_inside(database: SqlDatabase) -> None:
    """Proves that one poisoned event of a batch is undone and the rest of the transaction stands."""

    def work(unit: UnitOfWork) -> None:
        unit.put_note("before", "1")
        with pytest.raises(LookupError):
            spoil(unit)
        (item,) = unit.new_incoming(1)
        with pytest.raises(IntegrityError), unit.savepoint():
            unit.settle_incoming(item.id or 0, "no such state")
        with unit.savepoint():
            unit.put_note("after", "1")

    database.run_now(lambda unit: unit.receive([incoming("1")]))
    database.run_now(work)
    notes = database.run_now(lambda unit: [unit.note(key) for key in ("before", "inside", "after")])
    assert notes == ["1", None, "1"]
    assert database.run_now(lambda unit: keys(unit.new_incoming(5))) == ["1"]


def spoil(unit: UnitOfWork) -> None:
    with unit.savepoint():
        unit.put_note("inside", "1")
        raise LookupError


def test_row_that_refers_to_nothing_is_refused_at_commit(database: SqlDatabase) -> None:
    """Proves that foreign keys hold, and that the order of writing within a transaction is free."""

    def child_first(unit: UnitOfWork) -> None:
        unit.put_sale(replace(SALE, confirmed_at=None))
        unit.put_customer(FREJA)

    database.run_now(child_first)
    with pytest.raises(IntegrityError):
        database.run_now(lambda unit: unit.put_sale(Sale("1002", "nobody")))
    assert database.run_now(lambda unit: unit.sale("1002")) is None


def test_no_update_is_lost_between_threads(database: SqlDatabase) -> None:
    """Proves that 800 concurrent read-then-write transactions of eight threads end at 800 (DESIGN: 712 were lost)."""
    database.run_now(lambda unit: unit.put_customer(Customer("c", extra={"n": 0})))

    def increment(unit: UnitOfWork) -> None:
        customer = unit.customer("c")
        assert customer is not None
        unit.put_customer(replace(customer, extra={"n": customer.extra["n"] + 1}))

    with ThreadPoolExecutor(8) as threads:
        for each in [threads.submit(lambda: [database.run_now(increment) for _ in range(100)]) for _ in range(8)]:
            each.result()
    found = database.run_now(lambda unit: unit.customer("c"))
    assert found is not None
    assert found.extra == {"n": 800}


def test_no_update_is_lost_between_programs(database: SqlDatabase, database_url: str) -> None:
    """Proves the same for two programs on one database, each with connections of its own, and a customer who is new."""
    other = open_database(database_url)

    def increment(unit: UnitOfWork) -> None:
        customer = unit.customer("new") or Customer("new", extra={"n": 0})
        unit.put_customer(replace(customer, extra={"n": customer.extra["n"] + 1}))

    def fifty_times(program: SqlDatabase) -> None:
        for _ in range(50):
            program.run_now(increment)

    with ThreadPoolExecutor(4) as threads:
        for each in [threads.submit(fifty_times, program) for program in (database, other, database, other)]:
            each.result()
    other.close()
    found = database.run_now(lambda unit: unit.customer("new"))
    assert found is not None
    assert found.extra == {"n": 200}


def test_deadlock_is_done_again(database: SqlDatabase) -> None:
    """Proves that two transactions that lock two customers crosswise both succeed: the one that loses is run anew."""
    database.run_now(lambda unit: unit.put_customer(Customer("a")))
    database.run_now(lambda unit: unit.put_customer(Customer("b")))
    both_hold_one = threading.Barrier(2)
    runs: list[str] = []

    def crosswise(first: str, second: str) -> Callable[[UnitOfWork], None]:
        def work(unit: UnitOfWork) -> None:
            runs.append(first)
            unit.customer(first)
            if runs.count(first) == 1 and len(set(runs)) <= 2:
                # SQLite runs one after the other: there is nobody to wait for.
                with contextlib.suppress(threading.BrokenBarrierError):
                    both_hold_one.wait(1)
            unit.customer(second)
            unit.log(LogEntry(NOW, first, "deadlock"))

        return work

    with ThreadPoolExecutor(2) as threads:
        for each in [threads.submit(database.run_now, crosswise(*pair)) for pair in (("a", "b"), ("b", "a"))]:
            each.result()
    story = database.run_now(lambda unit: unit.story_of("deadlock"))
    assert sorted(entry.kind for entry in story) == ["a", "b"]


async def test_many_transactions_side_by_side(database: SqlDatabase) -> None:
    """Proves that async callers may ask for more transactions at once than there are threads."""

    def noting(key: str) -> Callable[[UnitOfWork], None]:
        return lambda unit: unit.put_note(key, "x")

    await asyncio.gather(*(database.run(noting(str(n))) for n in range(40)))
    assert await database.run(lambda unit: all(unit.note(str(n)) for n in range(40)))


# Moments ----------------------------------------------------------------------------------------------------------


def test_moment_is_planned_once_and_only_brought_forward(freja: SqlDatabase) -> None:
    """Proves that planning again changes nothing but for an earlier time, which brings its own data; nothing once it is done."""

    def work(unit: UnitOfWork) -> list[Moment]:
        unit.plan(moment("m", NOW + HOUR, data={"flow": "f"}))
        unit.plan(moment("m", NOW + 2 * HOUR, data={"flow": "other"}))
        unit.plan(moment("m", NOW, data={"flow": "other"}))
        unit.plan(moment("d", NOW))
        done = next(each for each in unit.moments_of("1001") if each.key == "d")
        unit.settle(done.id or 0, "done")
        unit.plan(moment("d", NOW - HOUR))
        return [replace(each, id=None) for each in unit.moments_of("1001")]

    assert freja.run_now(work) == [moment("m", NOW, data={"flow": "other"}), moment("d", NOW, state="done")]


def test_due_moments_come_oldest_first(freja: SqlDatabase) -> None:
    """Proves what is due: planned, its time come; in the order of time; no more than asked for."""

    def work(unit: UnitOfWork) -> tuple[list[str], list[str], datetime | None]:
        for key, due_at in (("b", NOW), ("a", NOW - HOUR), ("future", NOW + HOUR)):
            unit.plan(moment(key, due_at))
        unit.plan(moment("held", NOW - 2 * HOUR, state="held"))
        return keys(unit.due_moments(NOW, 5)), keys(unit.due_moments(NOW, 1)), unit.next_moment_at()

    assert freja.run_now(work) == (["a", "b"], ["a"], NOW - HOUR)


def test_moment_is_settled_and_planned_anew(freja: SqlDatabase) -> None:
    """Proves that a moment keeps its reason, and moves where a new time is given."""

    def work(unit: UnitOfWork) -> list[Moment]:
        unit.plan(moment("m"))
        (found,) = unit.due_moments(NOW, 1)
        assert found.id is not None
        unit.settle(found.id, "planned", "quiet hours", NOW + HOUR)
        first = unit.moments_of("1001")
        unit.settle(found.id, "dropped", "cancelled")
        return first + unit.moments_of("1001")

    assert [(each.state, each.reason, each.due_at) for each in freja.run_now(work)] == [
        ("planned", "quiet hours", NOW + HOUR),
        ("dropped", "cancelled", NOW + HOUR),
    ]


def test_moments_of_a_conversation_or_case_are_dropped(freja: SqlDatabase) -> None:
    """Proves that only what is still open, of the named one, of the named kinds, is dropped."""

    def work(unit: UnitOfWork) -> dict[str, tuple[str, str | None]]:
        unit.put_conversation(CONVERSATION)
        unit.put_case(CASE)
        for key, kind, state in (("r", "remind", "planned"), ("s", "silence", "held"), ("d", "remind", "done")):
            unit.plan(Moment(key, kind, NOW, "1001", conversation_id="v1", state=state))  # type: ignore[arg-type]
        unit.plan(Moment("l", "ladder", NOW, "1001", case_id="k1"))
        unit.drop_moments(conversation_id="v1", kinds=["remind"], reason="answered")
        unit.drop_moments(case_id="k1", reason="closed")
        return {each.key: (each.state, each.reason) for each in unit.moments_of("1001")}

    assert freja.run_now(work) == {
        "r": ("dropped", "answered"),
        "s": ("held", None),
        "d": ("done", None),
        "l": ("dropped", "closed"),
    }
    with pytest.raises(ValueError, match="name the conversation"):
        freja.run_now(lambda unit: unit.drop_moments(reason="all of them"))


def test_what_a_sale_held_back_is_released(freja: SqlDatabase) -> None:
    """Proves that held moments are planned anew (now, if their time is past) and held messages wait again."""

    def work(unit: UnitOfWork) -> tuple[list[tuple[str, str, datetime]], list[str]]:
        unit.plan(moment("past", NOW - HOUR, state="held", reason="case.open"))
        unit.plan(moment("future", NOW + HOUR, state="held"))
        unit.plan(moment("dropped", NOW, state="dropped"))
        unit.send(outgoing("m", sale_id="1001", state="held", reason="case.open"))
        unit.send(outgoing("other", sale_id="1002", state="held"))
        unit.release_held("1001", NOW)
        moments = [(each.key, str(each.state), each.due_at) for each in unit.moments_of("1001")]
        return moments, keys(due(unit, 5))

    moments, messages = freja.run_now(work)
    assert sorted(moments) == [
        ("dropped", "dropped", NOW),
        ("future", "planned", NOW + HOUR),
        ("past", "planned", NOW),
    ]
    assert messages == ["m"]


# Outbox -----------------------------------------------------------------------------------------------------------


def test_message_comes_back_as_stored_and_is_sent_once(database: SqlDatabase) -> None:
    """Proves the round trip of a message through the outbox, and that its key makes the same effect twice one message."""
    full = Outgoing(
        "key", "slack", "case:k1", "card", {"card": {"a": [1]}}, NOW, NOW, "service", 0, NOW + HOUR,
        "waiting", "why", 2, NOW, NOW, "17.1", "1001", "c-7", "v1", "k1", 3,
    )  # fmt: skip

    def work(unit: UnitOfWork) -> list[Outgoing]:
        unit.send(full)
        unit.send(replace(full, body={"changed": True}))
        return unit.outgoing_of("1001")

    (found,) = database.run_now(work)
    assert found.id is not None
    assert found == replace(full, id=found.id)
    assert database.run_now(lambda unit: (unit.outgoing(found.id or 0), unit.outgoing(0))) == (found, None)
    with pytest.raises(ValueError, match="no id"):
        database.run_now(lambda unit: unit.put_outgoing(full))


def test_due_messages_come_by_priority_and_age(database: SqlDatabase) -> None:
    """Proves the order, the limit across priorities, and that what waits for a later time is left."""

    def work(unit: UnitOfWork) -> list[list[str]]:
        unit.send(outgoing("reminder", "chat:1", priority=8, not_before=NOW - 2 * HOUR))
        unit.send(outgoing("newer", "chat:2", not_before=NOW))
        unit.send(outgoing("older", "chat:3", not_before=NOW - HOUR))
        unit.send(outgoing("answer", "chat:4", priority=0))
        unit.send(outgoing("future", "chat:5", priority=0, not_before=NOW + HOUR))
        unit.send(outgoing("held", "chat:6", state="held"))
        return [keys(due(unit, limit)) for limit in (9, 3, 1)]

    everything = ["answer", "older", "newer", "reminder"]
    assert database.run_now(work) == [everything, everything[:3], everything[:1]]
    assert database.run_now(lambda unit: unit.next_outgoing_at()) == NOW - 2 * HOUR


def test_nothing_waits_in_an_empty_database(database: SqlDatabase) -> None:
    """Proves that every question about due work has an answer when there is none."""
    assert database.run_now(lambda unit: (unit.next_outgoing_at(), unit.next_moment_at())) == (None, None)
    assert database.run_now(lambda unit: (due(unit, 5), unit.due_moments(NOW, 5))) == ([], [])
    assert database.run_now(lambda unit: (unit.new_incoming(5), unit.receive([]), unit.expired_leases(NOW))) == (
        [],
        [],
        [],
    )
    assert database.run_now(lambda unit: (unit.outbox([], 5), unit.inbox([], 5))) == ([], [])


def test_lane_waits_while_one_of_it_is_being_sent(database: SqlDatabase) -> None:
    """Proves that a chat keeps its order: nothing more of it is given until what was claimed is settled."""

    def claim_first(unit: UnitOfWork) -> list[str]:
        unit.send(outgoing("1", "chat:1"))
        unit.send(outgoing("2", "chat:1"))
        unit.send(outgoing("3", "chat:2"))
        first = due(unit, 1)
        unit.claim([each.id or 0 for each in first], NOW + HOUR)
        return keys(due(unit, 9))

    def settle_first(unit: UnitOfWork) -> list[str]:
        (first,) = unit.outbox(["sending"], 5)
        assert (first.attempts, first.lease_until) == (1, NOW + HOUR)
        unit.put_outgoing(replace(first, state="sent", sent_at=NOW, external="55", lease_until=None))
        return keys(due(unit, 9))

    assert database.run_now(claim_first) == ["3"]
    assert database.run_now(settle_first) == ["2", "3"]


def test_thread_of_a_case_keeps_its_order_over_a_retry(database: SqlDatabase) -> None:
    """Proves that in the lane of a case the first unsettled message holds back the later ones, even while it waits."""

    def work(unit: UnitOfWork) -> list[list[str]]:
        unit.send(outgoing("card", "case:k1", not_before=NOW + HOUR))
        unit.send(outgoing("thread", "case:k1", priority=0))
        unit.send(outgoing("other", "case:k2"))
        seen = [keys(due(unit, 9)), keys(due(unit, 9, NOW + HOUR))]
        (card,) = [each for each in unit.outbox(["waiting"], 9) if each.key == "card"]
        unit.put_outgoing(replace(card, state="failed"))
        return [*seen, keys(due(unit, 9))]

    assert database.run_now(work) == [["other"], ["other", "card"], ["thread", "other"]]


def test_claim_is_taken_once_and_its_lease_runs_out(database: SqlDatabase) -> None:
    """Proves that a claimed message is nobody else's, and is found when its sender died."""

    def work(unit: UnitOfWork) -> tuple[list[str], list[str], int]:
        unit.send(outgoing("1"))
        (message,) = due(unit, 5)
        assert message.id is not None
        unit.claim([message.id], NOW + HOUR)
        unit.claim([message.id], NOW + 2 * HOUR)
        (claimed,) = unit.outbox(["sending"], 5)
        return keys(unit.expired_leases(NOW + HOUR)), keys(unit.expired_leases(NOW + 2 * HOUR)), claimed.attempts

    assert database.run_now(work) == ([], ["1"], 1)


def test_question_is_found_by_its_turn(database: SqlDatabase) -> None:
    """Proves that the message that asked is found, not its reminder."""

    def work(unit: UnitOfWork) -> tuple[Outgoing | None, Outgoing | None]:
        unit.send(outgoing("q", conversation_id="v1", turn=2))
        unit.send(replace(outgoing("r", conversation_id="v1", turn=2), kind="reminder"))
        return unit.question_of("v1", 2), unit.question_of("v1", 3)

    found, missing = database.run_now(work)
    assert found is not None
    assert (found.key, missing) == ("q", None)


# Inbox ------------------------------------------------------------------------------------------------------------


def test_repeat_of_what_came_in_changes_nothing(database: SqlDatabase) -> None:
    """Proves that source and key make a thing unique, within a batch, across batches, and after it was handled."""
    first = database.run_now(lambda unit: unit.receive([incoming("1"), incoming("1"), incoming("2")]))
    (one, _) = database.run_now(lambda unit: unit.new_incoming(5))
    database.run_now(lambda unit: unit.settle_incoming(one.id or 0, "done"))
    again = database.run_now(
        lambda unit: unit.receive([incoming("3"), incoming("1"), replace(incoming("1"), source="slack")])
    )
    assert (first, again) == ([True, False, True], [True, False, True])
    assert database.run_now(lambda unit: keys(unit.new_incoming(9))) == ["1", "2", "3"]


def test_incoming_comes_back_as_stored_in_order_of_arrival(database: SqlDatabase) -> None:
    """Proves the round trip of what came in, and that the batch keeps its order."""
    items = [incoming(str(number), f"lane-{number % 3}") for number in range(300)]
    assert all(database.run_now(lambda unit: unit.receive(items)))
    assert [replace(each, id=None) for each in database.run_now(lambda unit: unit.new_incoming(1000))] == items
    assert database.run_now(lambda unit: keys(unit.new_incoming(2))) == ["0", "1"]


def test_staff_come_before_customers_before_orders_and_nobody_waits_for_ever(database: SqlDatabase) -> None:
    """Proves that a burst of orders keeps no member of staff waiting, and a storm of taps no order."""
    orders = [incoming(f"o{number}") for number in range(50)]
    taps = [replace(incoming(f"t{number}"), source="telegram") for number in range(50)]
    clicks = [replace(incoming(f"s{number}"), source="slack") for number in range(3)]
    database.run_now(lambda unit: unit.receive([*orders, *taps, *clicks]))
    batch = keys(database.run_now(lambda unit: unit.new_incoming(20)))
    assert batch == ["s0", "s1", "s2", *(f"t{number}" for number in range(13)), *(f"o{number}" for number in range(4))]


def test_rows_are_found_by_their_keys_while_they_wait(database: SqlDatabase) -> None:
    """Proves that a command finds just what it brought, in order, and not what was handled meanwhile."""
    database.run_now(lambda unit: unit.receive([incoming("a"), incoming("b"), incoming("c")]))
    (first, *_) = database.run_now(lambda unit: unit.new_incoming(1))
    database.run_now(lambda unit: unit.settle_incoming(first.id or 0, "done"))
    assert keys(database.run_now(lambda unit: unit.new_among("shop", {"c", "b", "a"}))) == ["b", "c"]
    assert database.run_now(lambda unit: unit.new_among("slack", {"b"})) == []


def test_states_are_given_of_what_came_in(database: SqlDatabase) -> None:
    """Proves that the states of known things are given by their key, and nothing about unknown ones."""
    database.run_now(lambda unit: unit.receive([incoming("a"), incoming("b")]))
    (first, *_) = database.run_now(lambda unit: unit.new_incoming(1))
    database.run_now(lambda unit: unit.settle_incoming(first.id or 0, "done"))
    found = database.run_now(lambda unit: unit.states_among("shop", {"a", "b", "c"}))
    assert found == {"a": "done", "b": "new"}
    assert database.run_now(lambda unit: unit.states_among("slack", {"a"})) == {}
    assert database.run_now(lambda unit: unit.states_among("shop", set())) == {}


def test_failed_incoming_stays_visible_and_can_be_retried(database: SqlDatabase) -> None:
    """Proves that a failure is counted with its error, an ignored one is not, and a retry by hand makes it new."""
    database.run_now(lambda unit: unit.receive([incoming("1"), incoming("2")]))

    def fail(unit: UnitOfWork) -> None:
        one, two = unit.new_incoming(5)
        unit.settle_incoming(one.id or 0, "failed", "the flow is gone")
        unit.settle_incoming(two.id or 0, "ignored", "not for us")

    database.run_now(fail)
    (failed,) = database.run_now(lambda unit: unit.inbox(["failed"], 5))
    assert (failed.key, failed.attempts, failed.error) == ("1", 1, "the flow is gone")
    assert [each.attempts for each in database.run_now(lambda unit: unit.inbox(["ignored"], 5))] == [0]
    database.run_now(lambda unit: unit.settle_incoming(failed.id or 0, "new"))
    assert [(each.key, each.attempts) for each in database.run_now(lambda unit: unit.new_incoming(5))] == [("1", 1)]


# What is read ahead -----------------------------------------------------------------------------------------------


def test_what_was_read_ahead_is_answered_without_another_question(freja: SqlDatabase) -> None:
    """Proves that a batch asks once for all: a whole sale costs no statement more, and writes go out with their kind."""

    def fill(unit: UnitOfWork) -> None:
        unit.put_conversation(CONVERSATION)
        unit.put_case(CASE)
        unit.put_promise(Promise("1001", "p1", "before the weekend"))
        unit.send(replace(outgoing("q"), sale_id="1001", conversation_id="v1", turn=2))

    freja.run_now(fill)
    asked: list[str] = []

    def work(unit: UnitOfWork) -> None:
        unit.read_ahead(chats=[7_777_777_777], conversations=["v1"], is_whole=True)
        asked.clear()
        assert unit.customer_by_chat(7_777_777_777) == FREJA
        assert unit.customer("c-7") == FREJA
        assert unit.sale("1001") == SALE
        assert unit.conversations_of("1001") == [CONVERSATION]
        assert unit.conversation_by_key(CONVERSATION.key) == CONVERSATION
        assert unit.cases_of("1001") == [CASE]
        assert [each.id for each in unit.promises_of("1001")] == ["p1"]
        (question,) = unit.asks_of("1001")
        assert unit.question_of("v1", 2) == question
        unit.put_conversation(replace(CONVERSATION, cycle=3))
        unit.put_sale(replace(SALE, paused=False))
        assert unit.conversations_of("1001")[0].cycle == 3
        unit.drop_outgoing(question, "closed")
        unit.release_held("1001", NOW)
        assert unit.asks_of("1001")[0].state == "dropped"
        assert asked == []

    with counting(freja, asked):
        freja.run_now(work)
    assert len(asked) == 4 + 1  # conversation, sale, dropped and released messages, released moments
    assert freja.run_now(lambda unit: unit.asks_of("1001"))[0].reason == "closed"


def test_a_message_on_its_way_is_not_dropped_any_more(freja: SqlDatabase) -> None:
    """Proves that what another program claimed meanwhile keeps its state: it may be at the customer by now."""
    freja.run_now(sending(replace(outgoing("q"), sale_id="1001")))
    (before,) = freja.run_now(lambda unit: unit.asks_of("1001"))
    freja.run_now(lambda unit: unit.claim([before.id or 0], NOW + HOUR))
    freja.run_now(lambda unit: unit.drop_outgoing(before, "closed"))
    assert freja.run_now(lambda unit: unit.asks_of("1001"))[0].state == "sending"


def test_writes_about_one_sale_keep_their_order_among_those_of_others(freja: SqlDatabase) -> None:
    """Proves that gathering mixes nothing up: held, then released, then dropped, for two sales in turn."""
    freja.run_now(lambda unit: unit.put_sale(Sale("1002", "c-7")))
    freja.run_now(planning(moment("a")))
    freja.run_now(planning(replace(moment("b"), sale_id="1002")))

    def work(unit: UnitOfWork) -> None:
        for each in unit.due_moments(NOW, 2):
            unit.settle(each.id or 0, "held", "waits")
            unit.release_held(each.sale_id, NOW + HOUR)
        unit.plan(replace(moment("a"), due_at=NOW - HOUR))

    freja.run_now(work)
    (a,) = freja.run_now(lambda unit: unit.moments_of("1001"))
    (b,) = freja.run_now(lambda unit: unit.moments_of("1002"))
    assert [(each.state, each.reason) for each in (a, b)] == [("planned", None)] * 2
    assert (a.due_at, b.due_at) == (NOW - HOUR, NOW + HOUR)


@contextlib.contextmanager
def counting(database: SqlDatabase, asked: list[str]) -> Iterator[None]:
    """Note every statement that goes to the database."""

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        asked.append(statement)

    event.listen(database._engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(database._engine, "before_cursor_execute", note)


# Several programs on one PostgreSQL -------------------------------------------------------------------------------


class Beside:
    """A second program whose transaction stays open while the block lasts."""

    def __init__(self, url: str, work: Callable[[UnitOfWork], list[Any]]) -> None:
        self._database = open_database(url)
        self._work = work
        self._is_open, self._may_end = threading.Event(), threading.Event()
        self.found: list[str] = []

    def __enter__(self) -> Self:
        def hold(unit: UnitOfWork) -> None:
            self.found = keys(self._work(unit))
            self._is_open.set()
            assert self._may_end.wait(20)

        self._thread = threading.Thread(target=self._database.run_now, args=(hold,))
        self._thread.start()
        assert self._is_open.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._may_end.set()
        self._thread.join()
        self._database.close()


@pytest.fixture
def postgres(postgresql_url: str) -> Iterator[SqlDatabase]:
    """PostgreSQL only: on SQLite no two write transactions are open at once."""
    opened = open_database(postgresql_url)
    yield opened
    opened.close()


def test_other_programs_hear_at_once_of_what_came_in_or_is_to_go_out(
    postgres: SqlDatabase, postgresql_url: str
) -> None:
    """Proves that a reply taken in by one program need not wait for the tick of the one that sends."""
    other = open_database(postgresql_url)
    heard: queue.Queue[str] = queue.Queue()
    try:
        other.listen(lambda: heard.put("look"))
        heard.get(timeout=20)  # it listens
        postgres.run_now(sending(outgoing("1")))
        heard.get(timeout=20)
        postgres.run_now(lambda unit: unit.receive([incoming("1")]))
        heard.get(timeout=20)
        postgres.run_now(lambda unit: unit.receive([incoming("1")]))
        postgres.run_now(put_freja)
        time.sleep(0.2)
        assert heard.empty()
    finally:
        other.close()


def test_second_program_gets_other_moments_without_waiting(postgres: SqlDatabase, postgresql_url: str) -> None:
    """Proves SKIP LOCKED: what one program holds, the other leaves out."""
    postgres.run_now(put_freja)
    for key in ("a", "b", "c"):
        postgres.run_now(planning(moment(key)))
    with Beside(postgresql_url, lambda unit: unit.due_moments(NOW, 2)) as other:
        assert other.found == ["a", "b"]
        assert postgres.run_now(lambda unit: keys(unit.due_moments(NOW, 2))) == ["c"]


def test_second_program_gets_no_message_of_a_lane_that_the_first_claims(
    postgres: SqlDatabase, postgresql_url: str
) -> None:
    """Proves that the order of a chat holds across programs, also before the first has committed its claim."""
    for key, lane in (("1", "chat:1"), ("2", "chat:1"), ("3", "chat:2")):
        postgres.run_now(sending(outgoing(key, lane)))

    def claim_one(unit: UnitOfWork) -> list[Outgoing]:
        found = due(unit, 1)
        unit.claim([each.id or 0 for each in found], NOW + HOUR)
        return found

    with Beside(postgresql_url, claim_one) as other:
        assert other.found == ["1"]
        assert postgres.run_now(lambda unit: keys(due(unit, 1))) == ["3"]
        assert postgres.run_now(lambda unit: keys(due(unit, 9))) == ["3"]
    assert postgres.run_now(lambda unit: keys(due(unit, 9))) == ["3"]


def test_second_program_does_not_overtake_a_lane_of_the_inbox(postgres: SqlDatabase, postgresql_url: str) -> None:
    """Proves that while one program handles the first of a lane, the other leaves all of that lane, and takes others."""
    items = [incoming("1", "a"), incoming("2", "a"), incoming("3", "b"), incoming("4", "a")]
    postgres.run_now(lambda unit: unit.receive(items))

    def handle_first(unit: UnitOfWork) -> list[Incoming]:
        found = unit.new_incoming(1)
        unit.settle_incoming(found[0].id or 0, "done")
        return found

    with Beside(postgresql_url, handle_first) as other:
        assert other.found == ["1"]
        assert postgres.run_now(lambda unit: keys(unit.new_incoming(1))) == ["3"]
        assert postgres.run_now(lambda unit: keys(unit.new_incoming(9))) == ["3"]
    assert postgres.run_now(lambda unit: keys(unit.new_incoming(9))) == ["2", "3", "4"]


def test_every_message_is_claimed_by_exactly_one_program(database: SqlDatabase, database_url: str) -> None:
    """Proves that two programs that claim as fast as they can share 200 messages without taking one twice."""

    def fill_outbox(unit: UnitOfWork) -> None:
        for n in range(200):
            unit.send(outgoing(str(n), f"chat:{n % 40}"))

    database.run_now(fill_outbox)
    other = open_database(database_url)

    def claim_and_send(unit: UnitOfWork) -> list[str]:
        found = due(unit, 7)
        unit.claim([each.id or 0 for each in found], NOW + HOUR)
        for each in found:
            unit.put_outgoing(replace(each, state="sent"))
        return keys(found)

    def drain(program: SqlDatabase) -> list[str]:
        sent: list[str] = []
        while program.run_now(lambda unit: unit.outbox(["waiting"], 1)):
            sent += program.run_now(claim_and_send)
        return sent

    with ThreadPoolExecutor(4) as threads:
        shares = [each.result() for each in [threads.submit(drain, p) for p in (database, other, database, other)]]
    other.close()
    assert sorted(key for share in shares for key in share) == sorted(str(n) for n in range(200))


# Many rows --------------------------------------------------------------------------------------------------------


def test_due_work_is_found_by_index_among_a_hundred_thousand_that_wait(
    database: SqlDatabase, database_url: str
) -> None:
    """Proves that what waits for the future costs nothing: every question about due work seeks in a partial index."""
    fill(database)
    asked = plans_of(
        database,
        lambda unit: (
            keys(unit.due_moments(NOW, 10)),
            keys(unit.new_incoming(10)),
            unit.expired_leases(NOW),
            unit.next_moment_at(),
            unit.next_outgoing_at(),
        ),
    )
    assert asked.result[:3] == (["due"], ["due"], [])
    assert asked.result[3:] == (NOW, NOW)
    assert not asked.scans, asked.scans


def fill(database: SqlDatabase, rows: int = 100_000) -> None:
    """Put `rows` waiting messages, planned moments and handled events beside one of each that is due."""

    def work(unit: Any) -> None:
        put_freja(unit)
        numbers = (
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"  # noqa: S608 - a number
            if database_is_sqlite(unit)
            else f"WITH n(i) AS (SELECT generate_series(1, {rows}))"
        )
        far = "'2027-01-01 00:00:00.000000'" if database_is_sqlite(unit) else "timestamptz '2027-01-01 00:00:00Z'"
        unit.plan(moment("due"))
        unit.send(outgoing("due", priority=8))
        unit.receive([incoming("old")])
        (old,) = unit.new_incoming(1)
        unit.settle_incoming(old.id, "done")
        execute = unit._connection.exec_driver_sql
        copy_rows(execute, numbers, "moments", {"key": "'m' || i", "due_at": far})
        copy_rows(
            execute, numbers, "outbox", {"key": "'o' || i", "lane": "'chat:x' || i", "not_before": far, "priority": "5"}
        )
        copy_rows(execute, numbers, "inbox", {"key": "'i' || i"})
        unit.receive([incoming("due")])

    database.run_now(work)
    database.run_now(lambda unit: unit._connection.exec_driver_sql("ANALYZE"))


def database_is_sqlite(unit: Any) -> bool:
    return bool(unit._connection.dialect.name == "sqlite")


def copy_rows(execute: Callable[[str], Any], numbers: str, table: str, changed: dict[str, str]) -> None:
    """Copy the one row of `table` once for each number, with some columns changed."""
    columns = [each.name for each in metadata.tables[table].columns if each.name != "id"]
    values = ", ".join(changed.get(column, f"one.{column}") for column in columns)
    execute(
        f"INSERT INTO {table} ({', '.join(columns)}) {numbers}"  # noqa: S608 - written in this file
        f" SELECT {values} FROM n, (SELECT * FROM {table} LIMIT 1) AS one"
    )


class Plans:
    """What a piece of work gave, how its statements were done, and which of them walk over a whole table."""

    def __init__(self, result: Any, lines: list[str], scans: list[str]) -> None:
        self.result, self.lines, self.scans = result, lines, scans


def plans_of(database: SqlDatabase, work: Callable[[Any], Any]) -> Plans:
    def explained(unit: Any) -> Plans:
        asked: list[tuple[str, Any]] = []
        connection = unit._connection

        def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            asked.append((statement, parameters))

        event.listen(connection, "before_cursor_execute", note)
        result = work(unit)
        event.remove(connection, "before_cursor_execute", note)
        explain = "EXPLAIN QUERY PLAN " if database_is_sqlite(unit) else "EXPLAIN "
        scans, lines = [], []
        for statement, parameters in asked:
            for row in connection.exec_driver_sql(explain + statement, parameters):
                line = str(row[-1]).strip()
                lines.append(line)
                walks_over_all = line.startswith("SCAN") and "ix_" not in line and "CONSTANT ROW" not in line
                if walks_over_all or "Seq Scan" in line:
                    scans.append(f"{line}: {statement}")
        return Plans(result, lines, scans)

    return database.run_now(explained)


# Reports and opening ----------------------------------------------------------------------------------------------


def test_reports_count_and_find(freja: SqlDatabase) -> None:
    """Proves the figures of one sale with a case, a broken promise and messages, and the search by id and name."""

    def work(unit: UnitOfWork) -> None:
        unit.put_customer(Customer("c-8", name="Bo 100% Lund"))
        unit.put_sale(Sale("2002", "c-8", happened={"order.placed": NOW + HOUR}))
        unit.put_case(CASE)
        unit.put_promise(Promise("1001", "p1", "before the weekend", "site", state="broken"))
        unit.put_promise(Promise("1001", "p2", "fits", "site", state="kept"))
        unit.send(outgoing("w"))
        unit.send(outgoing("u", state="unknown"))
        unit.receive([incoming("1")])

    freja.run_now(work)
    reports = freja.reports()
    counts = reports.counts()
    expected = {"sales": 2, "linked": 1, "asked": 1, "answered": 1, "confirmed": 1, "open_cases": 1, "waiting": 1}
    assert {**counts, **expected, "unknown": 1, "failed": 0, "new_inbox": 1} == counts
    assert reports.sales_for_figures() == [
        {
            "id": "1001",
            "asked": True,
            "answered": True,
            "confirmed": True,
            "factors": {"promise": 0.5, "quality": 1},
            "unhappy_touchpoints": ["delivery"],
            "broken_promises": [{"id": "p1", "text": "before the weekend", "touchpoint": "site"}],
        },
        {
            "id": "2002",
            "asked": False,
            "answered": False,
            "confirmed": False,
            "factors": {},
            "unhappy_touchpoints": [],
            "broken_promises": [],
        },
    ]
    assert [sale.id for sale in reports.sales()] == ["2002", "1001"]
    assert [sale.id for sale in reports.sales(limit=1)] == ["2002"]
    assert [sale.id for sale in reports.sales(text="freja")] == ["1001"]
    assert [sale.id for sale in reports.sales(text="100%")] == ["2002"]
    assert [sale.id for sale in reports.sales(text="00")] == ["2002", "1001"]
    found = {only: [sale.id for sale in reports.sales_page(only=only)] for only in ONLY}
    assert found["unlinked"] == ["2002"]
    assert found["complete"] == ["1001"]
    assert found["silent"] == []
    assert found["case"] == ["1001"]
    assert [(sale.customer, sale.is_linked, sale.case) for sale in reports.sales_page()] == [
        ("Bo 100% Lund", False, None),
        ("Freja Holm 🍷", True, CASE.status),
    ]
    newest = reports.sales_page(limit=1, text="00")[-1]
    assert [sale.id for sale in reports.sales_page(after=newest.place)] == ["1001"]
    assert [sale.id for sale in reports.sales_page(after=reports.sales_page()[-1].place)] == []


async def test_reports_do_not_wait_for_a_write_and_cannot_write(freja: SqlDatabase) -> None:
    """Proves that a reader sees the last committed state while a write is open."""
    may_end = threading.Event()

    def slow(unit: UnitOfWork) -> None:
        unit.put_sale(Sale("2", "c-7"))
        assert may_end.wait(20)

    writing = asyncio.create_task(freja.run(slow))
    await asyncio.sleep(0.05)
    assert (await freja.read(lambda reports: reports.counts()))["sales"] == 1
    may_end.set()
    await writing
    assert (await freja.read(lambda reports: reports.counts()))["sales"] == 2


def test_database_in_memory_is_ready_at_once() -> None:
    """Proves that ``sqlite://`` comes with its schema, and that reports see what was written."""
    database = open_database("sqlite://")
    database.run_now(put_freja)
    assert database.schema_state() == "current"
    assert database.reports().counts()["sales"] == 1
    database.close()
    database.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "cannot be read"),
        ("mysql://root@localhost/x", "mysql is not a database that we can use"),
        ("sqlite:////no/such/folder/x.db", "the folder of /no/such/folder/x.db does not exist"),
        ("postgresql://u:secret@127.0.0.1:1/x", r"u:\*\*\*@127.0.0.1:1/x does not answer"),
    ],
)
def test_wrong_url_is_refused_by_name(url: str, said: str) -> None:
    """Proves that whoever set DATABASE_URL is told which setting is wrong and what to do, and no password is shown."""
    with pytest.raises(ConfigurationError, match=said) as refused:
        open_database(url)
    assert str(refused.value).startswith("DATABASE_URL: ")
    assert " → " in str(refused.value)
    assert "secret" not in str(refused.value)


def test_file_that_is_no_database_is_refused_by_name(tmp_path: Any) -> None:
    """Proves that a file of another kind is named and left as it is."""
    file = tmp_path / "notes.txt"
    file.write_text("This is not a database, but it is long enough to have a header." * 10)
    with pytest.raises(ConfigurationError, match="file is not a database"):
        open_database(f"sqlite:///{file}")
