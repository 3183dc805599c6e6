"""Pausing is holding: what waits, what goes on, and how it goes on afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.adapters.shop_file import default_shop
from bot.errors import InputRefused, NotFound
from bot.flows.model import Flow, Texts
from bot.flows.parse import parse_flow
from bot.ports.records import PAUSED, RESUMED
from tests.system.town import Town, shipped

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
LATER = {"items": [{"sku": "X", "first_use_after": "90d"}]}


def town(customers: int = 1, *, per_hour: int = 60) -> Town:
    """Give a town whose customers all got their parcel this morning."""
    guards = replace(default_shop().guards, catch_up_per_hour=per_hour)
    found = Town(START, shop=replace(default_shop(), guards=guards))
    for number in range(customers):
        found.moves_in(f"c{number}")
        found.happens("order.delivered", f"s{number}", f"c{number}", LATER)
    return found


def kinds(played: Town) -> list[str]:
    return [each.message.kind for each in played.said]


def test_what_the_bot_would_say_waits_and_says_why() -> None:
    """The question is held with the reason that was given, and goes out when the pause is over."""
    played = town()
    played.pauses(reason="the warehouse is  under water", by="Jonas")
    played.go(3 * DAY)
    (held,) = [each for each in played.moments() if each.state == "held"]
    assert held.reason == "paused (everything) since 23 Nov 10:00: the warehouse is under water"
    assert played.said == []
    done = played.resumes()
    assert (done.moments, done.messages, done.others) == (1, 0, ())
    assert kinds(played) == ["question"]


@pytest.mark.parametrize(
    ("scope", "name", "asked"),
    [
        ("all", "", []),
        ("flow", "after_delivery", []),
        ("flow", "after_first_use", ["s0", "s1"]),
        ("sale", "s0", ["s1"]),
    ],
)
def test_a_pause_holds_what_it_names_and_nothing_else(scope: str, name: str, asked: list[str]) -> None:
    """Everything, one flow, or what is said about one order."""
    played = town(2)
    played.pauses(scope, name)
    played.go(3 * DAY)
    assert [each.message.sale_id for each in played.said] == asked


def test_answers_staff_cases_and_stop_go_on() -> None:
    """A pause silences the bot, not the people: who taps is answered, a case opens, staff puts it right, /stop works."""
    played = town()
    played.go(2 * DAY)
    played.pauses()
    played.taps("c0", 1)
    assert kinds(played) == ["question", "question"]
    played.writes("c0", "It is broken")
    assert kinds(played)[-1] == "answer"
    played.remedies()
    played.go(3 * DAY)
    assert kinds(played).count("question") == 2  # whether it is right now waits
    (case,) = played.run(lambda uow: uow.cases_of("s0"))
    assert case.status == "remedied"
    played.resumes()
    played.go(DAY)
    assert "Is it right now?" in played.said[-1].message.body["text"]


def test_what_was_ready_to_go_is_held_and_goes_in_turn() -> None:
    """Twenty questions wait for the morning; paused in the night, they go one after the other when the day is resumed."""
    played = town(20, per_hour=6)
    played.go(to=START.replace(hour=6) + 2 * DAY)  # seven o'clock in Copenhagen, two days later: not yet due
    played.clock.move_to(START + 2 * DAY + 12 * HOUR)
    for number in range(20):
        start = next(m for m in played.moments() if m.sale_id == f"s{number}" and m.data["flow"] == "after_delivery")
        played.run(lambda uow, m=start: uow.settle(m.id or 0, "planned", None, due_at=played.now))
    played.settle()
    assert played.said == []
    played.pauses()
    played.go(DAY)
    held = [each for each in played.messages() if each.state == "held"]
    assert len(held) == 20
    assert all((each.reason or "").startswith(PAUSED) for each in held)
    played.clock.move_to(START + 4 * DAY)
    assert played.resumes().messages == 20
    waiting = [each for each in played.messages() if each.state == "waiting"]
    assert {each.reason for each in waiting} == {RESUMED}
    played.go(12 * HOUR)
    times = [each.at for each in played.said]
    assert len(times) <= 6 * 12 + 2
    assert max(sum(at <= other < at + HOUR for other in times) for at in times) <= 8
    played.go(3 * DAY)
    assert len(played.said) >= 20


def test_the_clock_of_an_open_question_stands_still() -> None:
    """Asked on Wednesday, paused for ten days: the reminder comes three unpaused days later, the end after seven."""
    played = town()
    played.go(2 * DAY)
    asked_at = played.now
    played.go(DAY)
    played.pauses()
    played.go(10 * DAY)
    played.resumes()
    assert kinds(played) == ["question"]
    played.go(4 * DAY)
    assert kinds(played) == ["question", "reminder"]
    assert played.said[-1].at - asked_at >= 13 * DAY
    (talk,) = played.run(lambda uow: uow.conversations_of("s0"))
    assert talk.state.status == "asking"
    played.go(to=asked_at + 17 * DAY)
    (talk,) = played.run(lambda uow: uow.conversations_of("s0"))
    assert talk.state.status == "finished"


def test_pauses_that_overlap_count_once() -> None:
    """Everything is paused and the flow as well, for some of the same days: the clock stood still for the days, not twice."""
    played = town()
    played.go(2 * DAY)
    asked_at = played.now
    played.pauses()
    played.go(2 * DAY)
    played.pauses("flow", "after_delivery")
    played.go(DAY)
    assert [each.name for each in played.resumes().others] == ["after_delivery"]
    played.go(DAY)
    played.resumes("flow", "after_delivery")
    played.go(to=asked_at + 11 * DAY - HOUR)
    assert played.run(lambda uow: uow.conversations_of("s0"))[0].state.status == "asking"
    played.go(2 * HOUR)
    assert played.run(lambda uow: uow.conversations_of("s0"))[0].state.status == "finished"


def test_a_pause_ends_by_itself_when_its_time_is_over() -> None:
    """--until: what waited begins then, without anybody's doing."""
    played = town()
    played.pauses(until=START + 4 * DAY)
    played.go(3 * DAY)
    assert played.said == []
    played.go(DAY + HOUR)
    assert kinds(played) == ["question"]
    assert played.run(lambda uow: uow.pauses()) == []


def test_nothing_but_its_end_frees_what_a_pause_holds() -> None:
    """An order event, a consent given again, an answer elsewhere: they free what waited for them, not what is paused."""
    played = town()
    played.pauses()
    played.go(3 * DAY)
    played.happens("product.first_used", "s0", "c0", LATER)
    (held,) = [each for each in played.moments() if each.data["flow"] == "after_delivery"]
    assert (held.state, held.due_at) == ("held", START + 2 * DAY)


def test_pausing_again_changes_the_reason_and_not_the_beginning() -> None:
    """The second word counts for why and until when; the time for which everything stood still is the whole of it."""
    played = town()
    played.pauses(reason="first")
    played.go(DAY)
    played.pauses(reason="second")
    (running,) = played.run(lambda uow: uow.pauses())
    assert (running.since, running.reason) == (START, "second")


def test_what_cannot_be_paused_or_resumed_is_said() -> None:
    """A flow or an order that is not there, a time that is past, what is not paused."""
    played = town()
    with pytest.raises(NotFound, match="there is no flow 'after_all'; there are: after_delivery"):
        played.pauses("flow", "after_all")
    with pytest.raises(NotFound, match="there is no sale"):
        played.pauses("sale", "nope")
    with pytest.raises(InputRefused, match="lies in the past"):
        played.pauses(until=START)
    played.pauses("flow", "after_delivery")
    with pytest.raises(NotFound, match="everything is not paused; what is: flow after_delivery"):
        played.resumes()


# Cases -----------------------------------------------------------------------------------------------------------

CALL = """
flow: call
purpose: service
start: { on: order.placed, after: 1d }
expires: 30d
steps:
  look: { case: "Nobody has heard of this order for a day.", next: told }
  told: { say: { en: "I have asked a person to look at it.", da: "Jeg har bedt et menneske se på det." }, next: ask }
  ask:
    ask: { en: "Is there anything that they should know?", da: "Er der noget, de skal vide?" }
    silence: { after: 3d }
"""


@dataclass(frozen=True)
class One:
    """One flow of our own, with the shipped sentences."""

    flows: dict[str, Flow]
    phrases: Mapping[str, Texts]


def test_words_that_belong_to_a_case_are_not_held_by_it() -> None:
    """The flow opens a case of its own accord and says so at once: that must not wait until the case is settled."""
    flow = replace(parse_flow(CALL, file="call.yaml"), version="1")
    played = Town(START, flows=One({"call": flow}, shipped().phrases))
    played.moves_in("c0")
    played.happens("order.placed", "s0", "c0", LATER)
    played.go(DAY)
    assert len(played.run(lambda uow: uow.cases_of("s0"))) == 1
    assert [each.message.body["text"] for each in played.said] == [
        "I have asked a person to look at it.",
        "Is there anything that they should know?",
    ]


# The first hour of an import ------------------------------------------------------------------------------------


def imported(customers: int, *, first: int) -> Town:
    """Give a town whose shop has imported as many orders, all to be asked about at the same time."""
    guards = replace(default_shop().guards, import_first=first, catch_up_per_hour=600)
    found = Town(START, shop=replace(default_shop(), guards=guards))
    for number in range(customers):
        found.moves_in(f"c{number}")
        found.happens("order.delivered", f"s{number}", f"c{number}", LATER, batch="orders-2026-11-23")
    return found


def test_of_an_import_the_first_are_asked_and_the_others_an_hour_later() -> None:
    """All is well: the others follow, in turn; each said what it waited for."""
    played = imported(40, first=12)
    played.go(2 * DAY)
    assert len(played.asked()) == 12
    waiting = [each for each in played.moments() if each.state == "planned" and each.data["flow"] == "after_delivery"]
    assert {each.reason for each in waiting} == {
        "the first of this import are asked first (12); the others an hour after these were asked, if all is well"
    }
    played.go(timedelta(minutes=59))
    assert len(played.asked()) == 12
    played.go(3 * HOUR)
    assert len(played.asked()) == 40


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("blocked", "4 of 12 blocked the bot"),
        ("unhappy", "4 of 12 were unhappy"),
        ("unknown", "12 of 12 may not have got it"),
    ],
)
def test_an_import_that_is_taken_badly_is_stopped_and_said_so_until_an_admin_lets_it_go_on(
    what: str, said: str
) -> None:
    """Nobody further is asked; the operator is told in Slack what was out of bounds; resumed, nobody is lost."""
    played = imported(40, first=12)
    played.lost = lambda message: what == "unknown" and message.kind == "question"
    played.go(2 * DAY)
    for each in played.asked()[:4]:
        who = each.message.customer_id or ""
        if what == "blocked":
            played.blocks(who)
        elif what == "unhappy":
            played.taps(who, 2)
    played.go(3 * HOUR)
    assert len(played.asked()) == 12
    (alarm,) = [m for m in played.run(lambda uow: uow.outbox(["sent"], 1000)) if m.kind == "alarm"]
    assert said in alarm.body["text"]
    assert "aftersale resume --import orders-2026-11-23" in alarm.body["text"]
    held = [each for each in played.moments() if each.state == "held" and each.data["flow"] == "after_delivery"]
    assert len(held) == 28
    assert all((each.reason or "").startswith("paused (import orders-2026-11-23)") for each in held)
    played.lost = lambda _message: False
    played.resumes("import", "orders-2026-11-23")
    played.go(DAY)
    assert len(played.asked()) == 40


def test_a_small_import_is_like_any_other_order() -> None:
    """Fewer than the first: nothing waits."""
    played = imported(9, first=12)
    played.go(2 * DAY)
    assert len(played.asked()) == 9
