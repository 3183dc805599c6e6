"""Commands that look: the story of a sale after both sides spoke, the reasons, the figures, the queues."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot import dispatch, inbox, overdue
from bot.app.base import Base
from bot.catch_up import TAKEN, text_of
from bot.conversations import moment_came
from bot.errors import DeliveryUnknown
from bot.ports.inbound import ButtonTapped, ChatStarted
from bot.ports.records import Incoming, Outgoing
from bot.ports.store import UnitOfWork
from bot.sales import make_link
from tests.databases import SqliteTemplate
from tests.system.terminal import NOW, Terminal, event, logs_left_alone

CHAT = 77


@pytest.fixture
def aftersale(
    sqlite_template: SqliteTemplate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Terminal]:
    """A terminal in which one sale was added, three days after its parcel came."""
    with logs_left_alone():
        terminal = Terminal(tmp_path, monkeypatch, capsys, DATABASE_URL=sqlite_template.fresh(tmp_path))
        _add(terminal)
        yield terminal


@pytest.fixture
def on_both(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Terminal]:
    """The same on SQLite and PostgreSQL."""
    with logs_left_alone():
        terminal = Terminal(tmp_path, monkeypatch, capsys, DATABASE_URL=database_url)
        _add(terminal)
        yield terminal


def _add(terminal: Terminal) -> None:
    terminal.keep_flows("after_delivery", "after_first_use")
    added = terminal("sale", "add", stdin=json.dumps(event(ago=timedelta(days=3))))
    assert added.code == 0, added.err


def _linked(base: Base) -> None:
    """Let the customer link their chat and agree to everything."""

    def work(uow: UnitOfWork) -> None:
        sale = uow.sale("1001")
        assert sale is not None
        token = make_link(uow, base.house, sale, NOW).partition("start=")[2]
        inbox.chat(uow, base.house, ChatStarted(CHAT, token, "Freja", "en"), NOW)
        inbox.chat(uow, base.house, ButtonTapped(CHAT, "c:all", None, "en"), NOW)

    base.database.run_now(work)


def _asked(base: Base, error: Exception | None = None) -> None:
    """Let the question after delivery fall due and be sent (or, with `error`, perhaps)."""

    def work(uow: UnitOfWork) -> None:
        for moment in uow.due_moments(NOW, 10):
            moment_came(uow, base.house, moment, NOW)
        question = next(each for each in uow.outgoing_of("1001") if each.kind == "question")
        outcome = dispatch.Outcome(question, external=None if error else "5", error=error)
        dispatch.mark(uow, base.house, outcome, NOW)

    base.database.run_now(work)


def _tapped(base: Base, choice: str) -> None:
    """Let the customer tap this choice of the open question."""

    def work(uow: UnitOfWork) -> None:
        open_one = next(each for each in uow.conversations_of("1001") if each.state.status == "asking")
        flow = base.house.flows.flows[open_one.flow]
        names = [each.name for each in flow.steps[open_one.state.step or ""].choices]  # type: ignore[union-attr]
        data = f"a:{open_one.id}:{open_one.state.turn}:{names.index(choice)}"
        inbox.chat(uow, base.house, ButtonTapped(CHAT, data, 5, "en"), NOW)

    base.database.run_now(work)


def test_the_story_shows_both_sides(on_both: Terminal) -> None:
    """Question and answer, the case, the factor and what is due stand in the story of the sale, in plain words."""
    with on_both.base() as base:
        _linked(base)
        _asked(base)
        _tapped(base, "missing")

    shown = on_both("sale", "show", "1001")

    assert shown.code == 0, shown.err
    assert "linked their chat" in shown.out
    assert "linked on" in shown.out
    assert "service: yes, result: yes" in shown.out
    assert "bot →" in shown.out
    assert "Was everything as we promised?" in shown.out
    assert "tapped “📦 Not here yet”  (promise 0)" in shown.out
    assert "opened for team delivery" in shown.out
    assert "satisfaction  0 = promise 0 × service – × clarity – × quality –" in shown.out
    assert "✖ broken" in shown.out
    assert "the case climbs a rung" in shown.out
    assert "Traceback" not in shown.err


def test_why_gives_one_reason_for_each_message(aftersale: Terminal) -> None:
    """Whatever was sent, waits or will not go out has a state and exactly one reason."""
    with aftersale.base() as base:
        _linked(base)
        _asked(base)

    told = aftersale.json("why", "1001")

    assert all(each["reason"] and each["state"] for each in told)
    question = next(each for each in told if each["what"] == "question")
    assert question["state"] == "sent"
    assert "“after delivery”" in question["reason"]
    assert question["next_at"] is not None, "its reminder is due one day"
    assert any(each["what"] == "first of “after first use”" for each in told)
    shown = aftersale("why", "1001")
    assert shown.code == 0
    assert "the flow “after delivery” says so" in shown.out
    assert "as things stand, it would be held: waits its turn: another question to this customer is open" in shown.out


def test_the_report_tells_coverage_factors_and_open_cases(on_both: Terminal) -> None:
    """The figures count each sale once, leave unknown factors unknown, and name what limits."""
    on_both("sale", "add", stdin=json.dumps(event("1002")))
    with on_both.base() as base:
        _linked(base)
        _asked(base)
        _tapped(base, "missing")

    told = on_both.json("report")
    assert told["figures"]["sales"] == 2
    assert told["figures"]["coverage"] == 0.5
    assert told["figures"]["satisfaction"] == {"value": 0.0, "n": 1}
    assert told["figures"]["limiting_factor"] == "promise"
    assert (told["linked"], told["complete"], told["silent"]) == (1, 0, 0)
    assert told["open_cases"]["delivery"]["under a day"] == 1
    assert [each["sale"] for each in told["broken_promises"]] == ["1001"]

    shown = on_both("report")
    assert shown.code == 0
    for words in ("Nordlys: 2 sales", "goal 0.9: 0.9 short", "← limits", "Broken promises: 1", "Open cases: 1"):
        assert words in shown.out
    assert "clarity  –" in shown.out


def test_a_report_over_nothing_says_how_to_begin(aftersale: Terminal) -> None:
    """Before anybody answered there is no satisfaction, neither 0 nor 1."""
    shown = aftersale("report")

    assert shown.code == 0
    assert "nobody has answered yet" in shown.out
    assert aftersale.json("report")["figures"]["satisfaction"] is None


def test_an_unknown_question_is_sent_again_only_when_asked_for(on_both: Terminal) -> None:
    """A question that may have arrived is shown; sending it again needs a yes, because it may arrive twice."""
    with on_both.base() as base:
        _linked(base)
        _asked(base, DeliveryUnknown("timed out"))
    [message] = on_both.json("outbox", "list", "--state", "unknown")
    number = str(message["id"])
    assert "may have been sent" in on_both("outbox", "list").out

    refused = on_both("outbox", "retry", number)
    assert refused.code == 1
    assert "add --yes" in refused.err
    assert on_both.json("outbox", "list", "--state", "unknown") != []

    assert on_both("outbox", "retry", number, "--yes").code == 0
    assert on_both.json("outbox", "list", "--state", "unknown") == []
    assert number in [str(each["id"]) for each in on_both.json("outbox", "list", "--state", "waiting")]
    assert "let a message (question) go again, which was unknown" in on_both("sale", "show", "1001").out


def test_failed_messages_are_retried_all_at_once(aftersale: Terminal) -> None:
    """--all-failed takes every failed message and no other; what was sent or dropped cannot go again."""
    states = ("failed", "failed", "sent", "dropped")
    with aftersale.base() as base:

        def work(uow: UnitOfWork) -> None:
            for number in range(len(states)):
                body = {"chat_id": CHAT, "text": "Hello"}
                uow.send(Outgoing(f"k{number}", "telegram", "chat:77", "notice", body, NOW, NOW, sale_id="1001"))
            for message, state in zip(uow.outgoing_of("1001"), states, strict=True):
                uow.put_outgoing(replace(message, state=state, reason="because"))  # type: ignore[arg-type]

        base.database.run_now(work)

    answer = aftersale("outbox", "retry", "--all-failed")

    assert "2 messages will be tried again" in answer.out
    [sent] = aftersale.json("outbox", "list", "--state", "sent")
    again = aftersale("outbox", "retry", str(sent["id"]))
    assert again.code == 1
    assert "is sent" in again.err
    assert aftersale("outbox", "retry", "--all-failed").out.startswith("Nothing to retry")


def test_wrong_ids_and_states_are_refused(aftersale: Terminal) -> None:
    """A message that is not there gives 1, a state that does not exist gives 2, and nothing changes."""
    assert aftersale("outbox", "retry", "999").code == 1
    assert aftersale("outbox", "retry").code == 1
    assert aftersale("outbox", "retry", "x").code == 2
    assert aftersale("inbox", "retry", "999").code == 1
    wrong = aftersale("outbox", "list", "--state", "lost")
    assert wrong.code == 2
    assert "is not a state" in wrong.err


def test_what_could_not_be_handled_is_shown_and_tried_again(aftersale: Terminal) -> None:
    """A failed row of the inbox is listed with its error, and after a retry it is new again."""
    with aftersale.base() as base:

        def work(uow: UnitOfWork) -> None:
            uow.receive([Incoming("telegram", "42", "chat:1", {"update_id": 42}, NOW)])
            [row] = uow.inbox(["new"], 10)
            uow.settle_incoming(row.id or 0, "failed", "the flow is broken")

        base.database.run_now(work)
    listed = aftersale("inbox", "list")
    assert "the flow is broken" in listed.out
    [row] = aftersale.json("inbox", "list", "--state", "failed")

    assert aftersale("inbox", "retry", str(row["id"])).code == 0
    assert aftersale.json("inbox", "list", "--state", "failed") == []
    assert [each["key"] for each in aftersale.json("inbox", "list", "--state", "new")] == ["42"]


# Pausing -----------------------------------------------------------------------------------------------------------


def test_a_pause_is_seen_wherever_one_looks_and_ends_by_command(on_both: Terminal) -> None:
    """Pause says what goes on; why and sale show name it with its reason and its end; resume without a name lists it."""
    held = on_both("pause", "--flow", "after_delivery", "--reason", "stocktaking", "--until", "2d")
    assert held.code == 0, held.err
    assert "Paused: The flow after_delivery" in held.out
    assert "Answers to customers, staff's replies, cases and /stop go on." in held.out
    with on_both.base() as base:
        _linked(base)
        base.database.run_now(lambda uow: overdue.fire(uow, base.house, uow.due_moments(NOW, 10), NOW))

    (held_one,) = [each for each in on_both.json("why", "1001") if each["state"] == "held"]
    assert held_one["reason"].startswith("paused (flow after_delivery) since ")
    assert held_one["reason"].endswith(": stocktaking")
    assert held_one["next_at"] is not None
    assert "held, at most till" in on_both("sale", "show", "1001").out
    listed = on_both("resume")
    assert "The flow after_delivery is paused since" in listed.out
    assert "stocktaking  → aftersale resume --flow after_delivery" in listed.out
    with on_both.base() as base:
        span = [(NOW, NOW + timedelta(days=2))]
        base.database.run_now(lambda uow: uow.put_note(TAKEN, text_of(span)))
    examined = on_both("doctor").out
    assert "Paused: flow after_delivery is paused since" in examined
    assert "Turns: late questions are asked one after the other; the last turn given so far is" in examined

    done = on_both("resume", "--flow", "after_delivery")
    assert done.code == 0, done.err
    assert "1 conversation and 0 messages had waited: they are given turns, 60 an hour." in done.out
    assert on_both("resume").out == "Nothing is paused.\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("pause",), "say what: --all, --flow NAME, --sale ID or --import NAME"),
        (("pause", "--all", "--sale", "1001"), "one at a time"),
        (("pause", "--sale", "nope"), "there is no sale 'nope'"),
        (("pause", "--flow", "after_all"), "there is no flow 'after_all'; there are: after_delivery"),
        (("pause", "--all", "--until", "soon"), "'soon' is no time; write 2d, or a time such as 2026-12-27T08:00"),
        (("pause", "--all", "--until", "2020-01-01"), "lies in the past"),
        (("resume", "--all"), "everything is not paused; what is: nothing"),
    ],
)
def test_what_cannot_be_paused_is_said_with_its_mend(aftersale: Terminal, words: tuple[str, ...], says: str) -> None:
    """Nothing named, two things, one that is not there, a time that is none."""
    answer = aftersale(*words)
    assert answer.code != 0
    assert says in answer.err


def test_what_waits_its_turn_says_until_when_at_most(on_both: Terminal) -> None:
    """It is free when the open question is answered, and at the latest when that counts as unanswered."""
    on_both("sale", "add", stdin=json.dumps({**event("1002", ago=timedelta(days=3)), "id": "other"}))
    with on_both.base() as base:
        _linked(base)

        def same_customer(uow: UnitOfWork) -> None:
            other = uow.sale("1002")
            assert other is not None
            uow.put_sale(replace(other, customer_id="c-1001"))

        base.database.run_now(same_customer)
        _asked(base)
    (waits,) = [each for each in on_both.json("why", "1002") if each["state"] == "held"]
    assert waits["reason"] == "waits its turn: another question to this customer is open"
    assert waits["next_at"] is not None
    assert waits["next_at"].startswith((NOW + timedelta(days=7)).date().isoformat())
