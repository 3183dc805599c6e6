"""The outbox as its sender sees it, on both databases: what may go with its facts, and many marks at once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from bot.flows.state import State
from bot.ports.records import Arrived, Candidate, Customer, Outgoing, Sale, Underway
from bot.ports.store import UnitOfWork
from storage.database import SqlDatabase
from tests.contract.test_store import (
    CASE,
    CONVERSATION,
    FREJA,
    HOUR,
    NOW,
    SALE,
    fill,
    outgoing,
    plans_of,
    put_freja,
)
from tests.databases import opened

ASKING = State("asking", "arrived", turn=2, visits=3, spoken=True)


def spoken(key: str, **more: Any) -> Outgoing:
    """Give a message about the sale of Freja's conversation."""
    about = {"customer_id": "c-7", "sale_id": "1001", "conversation_id": "v1", "turn": 2}
    return outgoing(key, **{**about, **more})


def put_talk(unit: UnitOfWork) -> None:
    put_freja(unit)
    unit.put_conversation(replace(CONVERSATION, state=ASKING))
    spoke_at = FREJA.last_wrote_at  # only then can a case be confirmed
    unit.put_case(replace(CASE, id="k0", status="confirmed", opened_at=NOW + HOUR, closed_at=spoke_at))
    unit.put_case(replace(CASE, id="k1", status="claimed", opened_at=NOW))
    unit.put_case(replace(CASE, id="k2", status="unconfirmed", opened_at=NOW - HOUR))


@pytest.fixture
def talk(database: SqlDatabase) -> SqlDatabase:
    database.run_now(put_talk)
    return database


def candidates(database: SqlDatabase, limit: int = 10, channel: str = "telegram") -> list[Candidate]:
    return database.run_now(lambda unit: unit.candidates(NOW, limit, channel))


def test_a_candidate_comes_with_all_that_the_guards_ask(talk: SqlDatabase) -> None:
    """Proves that message and facts come back whole, and that the newest case that is not confirmed counts."""
    words = {"text": 'Freja\'s "two"\n\\bottles\\ 🍷', "buttons": [[{"label": "👍", "data": "a:v1:2:0"}]], "n": 1}
    asked = replace(spoken("q"), body=words, state="sent", sent_at=NOW)
    reminder = replace(spoken("r"), kind="reminder", body=words, priority=8, expires_at=NOW + HOUR, purpose="service")
    talk.run_now(lambda unit: [unit.send(each) for each in (asked, reminder)])
    (found,) = candidates(talk)
    assert found == Candidate(
        replace(reminder, id=found.message.id),
        is_known=True,
        is_linked=True,
        is_stopped=True,
        is_unreachable=True,
        consents={"service": True, "result": False},
        country="DK",
        time_zone="Europe/Copenhagen",
        last_question_at=FREJA.last_question_at,
        last_wrote_at=FREJA.last_wrote_at,
        case_status="claimed",
        talk_status="asking",
        talk_turn=2,
        has_spoken=True,
        question_state="sent",
        flow="after_delivery",
        about_case=True,
    )


def test_a_candidate_about_nobody_has_no_facts(database: SqlDatabase) -> None:
    """Proves that what is missing counts as missing: an unknown customer, one who is not linked, no sale."""
    database.run_now(lambda unit: unit.put_customer(Customer("c-8")))

    def work(unit: UnitOfWork) -> None:
        unit.send(outgoing("nobody", "chat:1"))
        unit.send(replace(outgoing("gone", "chat:2"), customer_id="c-9", sale_id="9", conversation_id="9", turn=1))
        unit.send(replace(outgoing("unlinked", "chat:3"), customer_id="c-8"))

    database.run_now(work)
    nobody, gone, unlinked = candidates(database)
    assert nobody == Candidate(nobody.message)
    assert gone == Candidate(gone.message)
    assert unlinked == Candidate(unlinked.message, is_known=True)


def test_candidates_are_what_is_due_in_the_same_order(database: SqlDatabase) -> None:
    """Proves that priorities, ages, lanes and limits hold for candidates as they do for what is due."""
    rows = [
        replace(
            outgoing(f"m-{n}", ("chat:1", "chat:2", "chat:3", "case:k", "chat:5")[n % 5]),
            priority=(8, 0, 5)[n % 3],
            not_before=NOW - n % 7 * HOUR + timedelta(hours=2 if n % 11 == 0 else 0),
            state=("sending" if n == 7 else "waiting"),
            attempts=1 if n == 12 else 0,
            channel="slack" if n % 5 == 3 else "telegram",  # the lane of a case
        )
        for n in range(60)
    ]
    database.run_now(lambda unit: [unit.send(each) for each in rows])
    for channel in ("telegram", "slack"):
        for limit in (1, 5, 100):
            stored = database.run_now(lambda unit: unit.outbox(["waiting", "sending"], 100))
            due = [each for each in stored if each.channel == channel and may_go(each, stored)]
            due = sorted(due, key=lambda each: (each.priority, each.not_before, each.id))[:limit]
            assert [each.message for each in candidates(database, limit, channel)] == due
            assert due


def may_go(message: Outgoing, stored: list[Outgoing]) -> bool:
    """Tell it by the rules themselves, one message at a time."""
    lane = [each for each in stored if each.lane == message.lane]
    earlier = [each for each in lane if (each.id or 0) < (message.id or 0)]
    is_behind_a_repeat = message.priority == 0 and any(
        each.state == "waiting" and each.priority == 0 and each.attempts for each in earlier
    )
    return not (
        message.state != "waiting"
        or message.not_before > NOW
        or any(each.state == "sending" for each in lane)
        or (message.lane.startswith("case:") and earlier)
        or is_behind_a_repeat
    )


def test_a_claim_does_not_believe_that_nothing_waits(postgresql_url: str) -> None:
    """Proves that where the statistics are of an hour in which nothing waited, no claim joins all that waits with itself.

    PostgreSQL gathers them each minute at most; the messages of a morning become due all at once.
    """
    with opened(postgresql_url) as database:
        database.run_now(lambda unit: [unit.send(outgoing(f"old-{n}", state="sent")) for n in range(100)])
        with psycopg.connect(postgresql_url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE outbox")
        database.run_now(lambda unit: [unit.send(outgoing(f"m-{n}", f"chat:{n}")) for n in range(500)])
        asked = plans_of(database, lambda unit: unit.candidates(NOW, 10, "telegram"))
    assert len(asked.result) == 10
    assert not [line for line in asked.lines if "Anti Join" in line]


def test_claims_and_marks_of_many_are_stored_and_count(talk: SqlDatabase) -> None:
    """Proves that a claim counts an attempt, and that what arrived is sent, with its name, its sale and customer asked."""
    talk.run_now(lambda unit: unit.put_sale(replace(SALE, asked_at=None)))
    talk.run_now(lambda unit: unit.put_customer(Customer("c-8")))
    talk.run_now(lambda unit: unit.put_sale(Sale("2", "c-8", asked_at=NOW - HOUR)))
    rows = [spoken(f"q-{n}", lane=f"chat:{n}", reason="waited") for n in range(5)]
    talk.run_now(lambda unit: [unit.send(each) for each in rows])
    claimed = [each.message for each in candidates(talk)]
    ids = [each.id or 0 for each in claimed]
    talk.run_now(lambda unit: unit.claim(ids, NOW + HOUR))
    talk.run_now(lambda unit: unit.claim([], NOW + HOUR))
    assert candidates(talk) == []
    under = talk.run_now(lambda unit: unit.underway(claimed))
    assert under == dict.fromkeys(ids, Underway("sending", 1, "asking", 2, 3, "1001", "c-7"))

    later = NOW + HOUR
    names = ['1"', "2'", "3🍷", "4"]
    taken = [Arrived(each, name, ("1001", "c-7")) for each, name in zip(ids, names, strict=False)]
    taken[1] = replace(taken[1], asked_of=("2", "c-8"))
    taken[3] = replace(taken[3], asked_of=None)
    talk.run_now(lambda unit: unit.arrived(taken, later))
    stored = [talk.run_now(lambda unit, each=each: unit.outgoing(each)) for each in ids]  # type: ignore[misc]
    want = [
        replace(each, state="sent", external=name, sent_at=later, reason=None, attempts=1)
        for each, name in zip(claimed, names, strict=False)
    ]
    assert stored[:4] == want
    assert stored[4] == replace(claimed[4], state="sending", attempts=1, lease_until=NOW + HOUR)
    asked = talk.run_now(lambda unit: [unit.sale("1001"), unit.sale("2"), unit.customer("c-7"), unit.customer("c-8")])
    assert [asked[0].asked_at, asked[1].asked_at] == [later, NOW - HOUR]  # type: ignore[union-attr]
    assert asked[2] == replace(FREJA, last_question_at=later)
    assert asked[3] == Customer("c-8", last_question_at=later)


def test_what_is_no_more_is_not_under_way(database: SqlDatabase) -> None:
    """Proves that a message whose row was erased has no standing, and that one without a talk says so."""
    database.run_now(lambda unit: unit.send(outgoing("one")))
    (one,) = [each.message for each in candidates(database)]
    gone = replace(one, id=(one.id or 0) + 1000)
    found = database.run_now(lambda unit: unit.underway([one, gone]))
    assert found == {one.id: Underway("waiting", 0)}


def test_candidates_are_found_by_index_among_a_hundred_thousand_that_wait(database: SqlDatabase) -> None:
    """Proves that what waits for the future costs a claim nothing: it seeks in a partial index, as do the marks."""
    fill(database)

    def many(unit: Any) -> None:
        for number in range(3000):
            unit.put_customer(Customer(f"x-{number}"))
            unit.put_sale(Sale(f"x-{number}", f"x-{number}"))
            unit.put_conversation(
                replace(
                    CONVERSATION, id=f"x-{number}", key=f"x-{number}", sale_id=f"x-{number}", customer_id=f"x-{number}"
                )
            )
            unit.put_case(replace(CASE, id=f"x-{number}", sale_id=f"x-{number}", customer_id=f"x-{number}"))

    database.run_now(many)
    # Each message is of a talk of its own, as in life: the planner goes by how many are of one.
    apart = "UPDATE outbox SET conversation_id = key, turn = 1"
    for command in (apart, "ANALYZE"):
        database.run_now(lambda unit, command=command: unit._connection.exec_driver_sql(command))  # type: ignore[misc]

    def work(unit: Any) -> list[str]:
        found = [each.message for each in unit.candidates(NOW, 10, "telegram")]
        unit.claim([each.id for each in found], NOW + HOUR)
        unit.underway(found)
        unit.arrived([Arrived(found[0].id, "1", ("1001", "c-7"))], NOW)
        return [each.key for each in found]

    asked = plans_of(database, work)
    assert asked.result == ["due"]
    # A list that was handed in, or was found, is walked over; no table is.
    lists = ("SCAN given VIRTUAL TABLE", "SCAN json_each VIRTUAL TABLE", "SCAN found")
    scans = [each for each in asked.scans if not each.startswith(lists)]
    assert not scans, scans
