"""Edges of the whole program that once went wrong: each test is named after what must hold there."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from bot import cases, conversations, holding, inbox
from bot.adapters.sandbox.slack import Member, Message
from bot.adapters.sandbox.telegram import Customer
from bot.app.service import open_service
from bot.errors import InputRefused
from bot.flows.model import Flow, Texts
from bot.ports.inbound import ButtonTapped, CaseClaimed, CaseReplied, CommandGiven
from bot.ports.records import Conversation, Moment, Outgoing
from bot.ports.store import UnitOfWork
from storage.database import open_database, parse_url
from storage.unit_of_work import SqlUnitOfWork
from tests.databases import SqliteTemplate
from tests.system.stage import MORNING, Stage, becomes, order, questions_to, said_to, stage
from tests.system.test_doors import post

ARRIVED = "Was everything as we promised?"
TRIED = "Have you tried"
RIGHT_NOW = "Is it right now?"
ON_ITS_WAY = "is on its way"
NIGHT = MORNING + timedelta(hours=13)
"""23:00 in Copenhagen: what is due now waits for the morning."""


@pytest.fixture
def url(tmp_path: Path, sqlite_template: SqliteTemplate) -> str:
    """A fresh, migrated SQLite file, for edges that no database makes a difference to."""
    return sqlite_template.fresh(tmp_path)


async def ask_after_delivery(play: Stage, **about: Any) -> Customer:
    """Play everything up to the first question: ordered, linked, delivered, two days gone."""
    await play.happens(order("order.placed", **about))
    customer = await play.link()
    await play.happens(order("order.delivered", **about))
    await play.pass_time(timedelta(days=2))
    assert ARRIVED in customer.last.text
    return customer


async def open_case(play: Stage, **about: Any) -> tuple[Customer, Member, Message]:
    """Play an unhappy reply that stands as a card, and somebody of the team."""
    customer = await ask_after_delivery(play, **about)
    await play.tap(customer, "📦 Not here yet")
    return customer, play.slack.member("Anna Berg"), play.card("delivery")


async def remedied_case(play: Stage) -> tuple[Customer, Member, Message]:
    """Play on until the customer is asked whether it is right now."""
    customer, anna, card = await open_case(play)
    await play.claim(anna, card)
    await play.remedy(anna, card, "explanation", "sent again by courier")
    await play.pass_time(timedelta(days=1))
    assert RIGHT_NOW in customer.last.text
    return customer, anna, card


async def complete_sale(play: Stage) -> Customer:
    """Play everything up to the customer's own yes."""
    freja = await ask_after_delivery(play)
    await play.tap(freja, "👍 Yes", "👍 Yes, all of it")
    await play.pass_time(timedelta(days=4))
    await play.tap(freja, "👍 Yes", "👍 Yes")
    assert (await play.sale()).confirmed_at is not None
    return freja


async def choices(play: Stage, sale: str = "1001") -> list[str | None]:
    """Give what was chosen about a sale, oldest first; None where words were kept instead."""
    return [each.choice for each in await play.read(lambda uow: uow.verdicts_of(sale))]


async def conversation(play: Stage, flow: str, sale: str = "1001") -> Conversation:
    """Give the only conversation of a sale on one flow."""
    found = await play.read(lambda uow: uow.conversations_of(sale))
    (only,) = [each for each in found if each.flow == flow]
    assert isinstance(only, Conversation)
    return only


def tap_of(play: Stage, customer: Customer, of: Conversation, choice: int) -> Callable[[UnitOfWork], str | None]:
    """Give the work of a tap on the open question of a conversation, as a transaction does it."""
    tap = ButtonTapped(customer.user_id, f"a:{of.id}:{of.state.turn}:{choice}", None, "en", "")
    house, now = play.program.house, play.clock.now()
    return lambda uow: inbox.chat(uow, house, tap, now)


@contextmanager
def refusing(database_url: str, change: str) -> Iterator[None]:
    """Let SQLite refuse a change (``UPDATE ON outbox WHEN …``), as a full disk would."""
    engine = create_engine(parse_url(database_url))

    def run(command: str) -> None:
        with engine.begin() as connection:
            connection.execute(text(command))

    run(f"CREATE TRIGGER refusing BEFORE {change} BEGIN SELECT RAISE(ABORT, 'no'); END")
    try:
        yield
    finally:
        run("DROP TRIGGER refusing")
        engine.dispose()


# After a remedy ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["order.returned", "order.cancelled"])
async def test_a_returned_order_does_not_take_the_question_after_a_remedy_away(url: str, event: str) -> None:
    """Returned or cancelled before the remedy: who was unhappy is asked all the same whether it is right now."""
    async with stage(url) as play:
        customer, anna, card = await open_case(play)
        await play.claim(anna, card)
        await play.happens(order(event, at=play.clock.now()))
        await play.remedy(anna, card, "refund", "money back")
        await play.pass_time(timedelta(days=1))
        assert RIGHT_NOW in customer.last.text
        await play.tap(customer, "👍 Yes, it is right")
        assert (await play.case()).status == "confirmed"


async def test_a_return_while_the_customer_is_asked_whether_it_is_right_leaves_the_question_open(url: str) -> None:
    """A question about a case is not withdrawn with the order: its buttons stay, and its reminder comes."""
    async with stage(url) as play:
        customer, _, _ = await remedied_case(play)
        await play.happens(order("order.returned", at=play.clock.now()))
        assert customer.buttons[1:] == ["👍 Yes, it is right", "🙁 No, not yet"]
        await play.pass_time(timedelta(days=4))  # three days later is a Sunday
        assert len(questions_to(customer, RIGHT_NOW)) == 2
        await play.tap(customer, "👍 Yes, it is right")
        assert (await play.case()).status == "confirmed"


async def test_a_complaint_takes_a_complete_sale_back_until_the_customer_says_yes_again(url: str) -> None:
    """Only the customer completes a sale, and takes that back: unhappy after the yes, it is open until the next yes."""
    async with stage(url) as play:
        freja = await ask_after_delivery(play, first_use_after="12d")
        (asked,) = [each for each in await play.sent("sent") if each.kind == "question"]
        await play.pass_time(timedelta(days=11))  # silence ended the first talk; its buttons still count
        await play.tap(freja, "👍 Yes", "👍 Yes")
        assert (await play.sale()).confirmed_at is not None

        await freja.tap_old(int(asked.external or 0), asked.body["buttons"][2][0]["data"])
        await play.rest()
        assert (await play.sale()).confirmed_at is None
        assert "sale.reopened" in await play.told()

        anna, card = play.slack.member("Anna Berg"), play.card("delivery")
        await play.remedy(anna, card, "explanation", "a new parcel")
        assert (await play.sale()).confirmed_at is None
        await play.pass_time(timedelta(days=3))
        assert RIGHT_NOW in freja.last.text
        await play.tap(freja, "👍 Yes, it is right")
        assert (await play.case()).status == "confirmed"
        assert (await play.sale()).confirmed_at is not None


async def test_a_complete_sale_about_which_something_was_done_is_asked_about(url: str) -> None:
    """Words after the yes become a case and leave the sale complete; after the remedy the customer is asked."""
    async with stage(url) as play:
        freja = await complete_sale(play)
        await play.write(freja, "Now a bottle turned out to be corked")
        assert (await play.sale()).confirmed_at is not None
        await play.remedy(play.slack.member("Anna Berg"), play.card("wine"), "explanation", "a new bottle")
        await play.pass_time(timedelta(days=3))
        assert RIGHT_NOW in freja.last.text


async def asked_once_more(play: Stage, customer: Customer, anna: Member) -> None:
    """See that the case stands as unconfirmed, and that a later remedy asks again."""
    assert (await play.case()).status == "unconfirmed"
    assert "UNCONFIRMED" in play.card("delivery").plain()
    before = len(questions_to(customer, RIGHT_NOW))
    await play.remedy(anna, play.card("delivery"), "refund", "money back")
    await play.pass_time(timedelta(days=2))
    assert len(questions_to(customer, RIGHT_NOW)) == before + 1
    assert "Refund" in customer.last.text


async def test_a_stop_instead_of_an_answer_after_the_remedy_leaves_the_case_unconfirmed(url: str) -> None:
    """The question is stopped, and the case not stuck: back with /start, the customer is asked after a later remedy."""
    async with stage(url) as play:
        customer, anna, _ = await remedied_case(play)
        await play.write(customer, "/stop")
        assert (await play.case()).status == "unconfirmed"
        await play.write(customer, "/start")
        await play.tap(customer, "Yes: delivery, and how it turns out")
        await asked_once_more(play, customer, anna)


async def test_a_blocked_question_after_the_remedy_leaves_the_case_unconfirmed(url: str) -> None:
    """Telegram refuses the question for good: the case is not stuck."""
    async with stage(url) as play:
        customer, anna, card = await open_case(play)
        await play.remedy(anna, card, "explanation", "sent again")
        play.telegram.fail_next("sendMessage", status=403)
        await play.pass_time(timedelta(days=1))
        assert questions_to(customer, RIGHT_NOW) == []
        await customer.block()
        await customer.unblock()
        await play.rest()
        await asked_once_more(play, customer, anna)


@pytest.mark.parametrize("held", ["question", "start"])
async def test_a_question_after_the_remedy_that_expires_leaves_the_case_unconfirmed(url: str, held: str) -> None:
    """Held back by a pause of the shop until its time was over, begun or not: the case is not stuck."""
    async with stage(url) as play:
        customer, anna, card = await open_case(play, first_use_after="400d")
        await play.remedy(anna, card, "explanation", "sent again")
        if held == "question":
            # Due in the night: the conversation begins, its question waits for the morning.
            (start,) = [m for m in await play.moments(state="planned") if m.data.get("flow") == "after_remedy"]
            at_night = start.due_at.replace(hour=22)
            await play.read(lambda uow: uow.settle(start.id or 0, "planned", None, due_at=at_night))
            await play.pass_time(to=at_night)
            assert (await conversation(play, "after_remedy")).state.status == "asking"
        await play.read(lambda uow: holding.pause(uow, play.program.house, play.clock.now(), scope="sale", name="1001"))
        await play.pass_time(timedelta(days=61))
        await play.read(
            lambda uow: holding.resume(uow, play.program.house, play.clock.now(), scope="sale", name="1001")
        )
        await play.rest()
        assert questions_to(customer, RIGHT_NOW) == []
        await asked_once_more(play, customer, anna)


async def test_words_to_the_question_after_a_remedy_put_the_case_before_people_again(url: str) -> None:
    """Whether words are a yes is not guessed: the case is open, with a due time that lies ahead, and says so."""
    async with stage(url) as play:
        customer, _, card = await remedied_case(play)
        due_before = (await play.case()).due_at
        await play.pass_time(timedelta(days=2))
        await play.write(customer, "It is still broken, and I am angry now!")
        case = await play.case()
        assert (case.status, case.claimed_by) == ("open", None)
        assert case.due_at > play.clock.now() > due_before
        assert "A person answers by" in customer.last.text
        assert "It is still broken" in play.story(card)
        assert [m.data["stage"] for m in await play.moments(state="planned") if m.kind == "ladder"] == [0, 1]


async def test_words_to_a_case_that_nobody_confirmed_open_it_again(url: str) -> None:
    """After silence the customer writes after all: a person has it again, by a time that lies ahead."""
    async with stage(url) as play:
        customer, _, card = await remedied_case(play)
        await play.pass_time(timedelta(days=8))
        assert (await play.case()).status == "unconfirmed"
        await play.write(customer, "Nothing has come")
        case = await play.case()
        assert case.status == "open"
        assert case.due_at > play.clock.now()
        assert "Nothing has come" in play.story(card)
        assert "A person answers by" in customer.last.text


async def test_no_due_time_that_has_passed_is_named_to_the_customer(url: str) -> None:
    """The case is overdue and the customer writes: nobody promises a time that lies behind (rule 11)."""
    async with stage(url) as play:
        freja = await ask_after_delivery(play, first_use_after="60d")
        await play.tap(freja, "👍 Yes", "🧾 Something was hard to understand")
        await play.pass_time(timedelta(days=2))
        assert (await play.case()).due_at < play.clock.now()
        await play.write(freja, "Line three")
        assert freja.last.text == "Thank you for telling us. I have passed it on; a person answers you here."


async def test_a_yes_to_another_question_completes_a_sale_whose_case_is_unconfirmed(url: str) -> None:
    """Silent after the remedy, then “Yes, I got it”: that is the customer's own word, about the case as well."""
    async with stage(url) as play:
        customer, _, card = await remedied_case(play)
        await play.pass_time(timedelta(days=8))
        assert (await play.case()).status == "unconfirmed"
        await play.pass_time(timedelta(days=1))
        assert TRIED in customer.last.text
        await play.tap(customer, "👍 Yes", "👍 Yes")
        assert (await play.sale()).confirmed_at is not None
        assert (await play.case()).status == "confirmed"
        assert "✅ CONFIRMED" in card.plain()


# Two at the same moment --------------------------------------------------------------------------------------------


async def at_once(play: Stage, first: Callable[[UnitOfWork], Any], second: Callable[[UnitOfWork], Any]) -> None:
    """Begin `second` after `first` has written and before it commits, as two programs on one database would."""
    has_written, may_commit = threading.Event(), threading.Event()

    def held(uow: SqlUnitOfWork) -> None:
        first(uow)
        uow.flush()
        has_written.set()
        may_commit.wait(5)

    begun = asyncio.create_task(play.program.database.run(held))
    await asyncio.to_thread(has_written.wait, 5)
    other = asyncio.create_task(play.program.database.run(second))
    await asyncio.sleep(0.15)  # time to read what the first has not committed yet, if it is not kept from it
    may_commit.set()
    await asyncio.gather(begun, other)


def tick(play: Stage, at: datetime) -> Callable[[UnitOfWork], None]:
    """Give the work of a tick that finds one moment due."""
    house = play.program.house

    def work(uow: UnitOfWork) -> None:
        due = uow.due_moments(at, 1)
        uow.read_ahead(sales={each.sale_id for each in due})
        for moment in due:
            conversations.moment_came(uow, house, moment, at)

    return work


@pytest.mark.parametrize("first", ["tap", "timer"])
async def test_a_tap_and_the_silence_that_it_ends_lose_nothing_of_each_other(postgresql_url: str, first: str) -> None:
    """At the same moment in two programs: the tap counts, and whoever comes second sees what the first did."""
    async with stage(postgresql_url) as play:
        freja = await ask_after_delivery(play, first_use_after="60d")
        await play.pass_time(timedelta(days=4))  # past the reminder, so that the silence is what is due next
        talk = await conversation(play, "after_delivery")
        (silence,) = [each for each in await play.moments(state="planned") if each.kind == "silence"]
        tap, fire = tap_of(play, freja, talk, 2), tick(play, silence.due_at)
        await at_once(play, *((tap, fire) if first == "tap" else (fire, tap)))
        await play.rest()
        assert await choices(play) == ["missing"]
        assert (await play.case()).reason == "unhappy"
        after = await conversation(play, "after_delivery")
        assert after.state.unhappy
        assert [each.answered for each in after.state.asked] == [True]
        assert (after.state.status, after.state.outcome) == ("finished", "answered")
        assert after.state.visits == (2 if first == "tap" else 3)  # the step that silence led to is not forgotten
        assert "A person finds out where it is" in freja.last.text


@pytest.mark.parametrize("first", ["claim", "ladder"])
async def test_a_claim_and_the_ladder_lose_nothing_of_each_other(postgresql_url: str, first: str) -> None:
    """At the same moment in two programs: the case is claimed, and stands on the rung to which the ladder raised it."""
    async with stage(postgresql_url) as play:
        await open_case(play)
        case, house = await play.case(), play.program.house
        (breach,) = [m for m in await play.moments(state="planned") if m.kind == "ladder" and m.data["stage"] == 1]
        at = breach.due_at

        def claim(uow: UnitOfWork) -> None:
            cases.staff(uow, house, CaseClaimed(case.id, "U1", "CDELIVERY"), at)

        def climb(uow: UnitOfWork) -> None:
            uow.read_ahead(sales=[breach.sale_id])
            conversations.moment_came(uow, house, breach, at)

        await at_once(play, *((claim, climb) if first == "claim" else (climb, claim)))
        after = await play.case()
        assert (after.status, after.claimed_by, after.rung) == ("claimed", "U1", 1)


# The ladder, and what is said to whom ------------------------------------------------------------------------------


async def test_the_ladder_goes_on_after_a_hand_over(url: str) -> None:
    """The clock does not restart for the new team, and the breach does not pass unnoticed."""
    async with stage(url) as play:
        _, anna, card = await open_case(play)
        before = await play.case()
        await play.hand_over(anna, card, "accounting", "theirs")
        await play.pass_time(to=before.due_at)
        after = await play.case()
        assert (after.team, after.due_at, after.rung) == ("accounting", before.due_at, 1)
        assert "still waits for an answer, and nobody has taken it" in play.story(play.card("accounting"))
        await play.pass_time(timedelta(days=1))
        assert (await play.case()).rung == 2


DRESS: Mapping[str, Any] = {"sale": "2002", "summary": "a dress", "tags": ("fashion",)}


async def test_a_typed_yes_answers_only_the_question_that_was_sent(url: str) -> None:
    """A question that still waits its turn is not what the customer says yes to."""
    async with stage(url) as play:
        await play.happens(order("order.placed"), order("order.placed", **DRESS))
        freja = await play.link()
        await play.happens(order("order.delivered"), order("order.delivered", **DRESS))
        await play.pass_time(timedelta(days=2))
        assert len(questions_to(freja, ARRIVED)) == 1
        await play.write(freja, "Yes")
        assert await choices(play, "1001") == ["yes"]
        assert await choices(play, "2002") == []


async def test_with_two_open_questions_a_typed_yes_is_for_a_person(url: str) -> None:
    """The customer alone can open a second one, by an old button; which was meant then is not guessed (rule 4)."""
    async with stage(url) as play:
        await play.happens(order("order.placed"), order("order.placed", **DRESS, first_use_after="60d"))
        freja = await play.link()
        await play.happens(order("order.delivered", first_use_after="60d"))
        await play.pass_time(timedelta(days=2))
        (asked,) = [each for each in await play.sent("sent") if each.kind == "question"]
        await play.pass_time(timedelta(days=8))  # nobody answers; its buttons still count
        await play.happens(order("order.delivered", **DRESS, at=play.clock.now(), first_use_after="60d"))
        await play.pass_time(timedelta(days=2))
        assert "a dress" in freja.last.text
        await freja.tap_old(int(asked.external or 0), asked.body["buttons"][0][0]["data"])
        await play.rest()
        assert "easy to be our customer" in freja.last.text
        await play.write(freja, "Yes")
        assert (await choices(play, "1001"), await choices(play, "2002")) == (["yes"], [None])
        found = [case for sale in ("1001", "2002") for case in await play.read(lambda uow, s=sale: uow.cases_of(s))]
        assert [(case.reason, case.said) for case in found] == [("unclear", "Yes")]


async def test_a_second_link_used_in_another_chat_asks_anew(url: str) -> None:
    """A gift, a shared receipt: what one person agreed to binds no other; nothing goes to either before they agree."""
    async with stage(url) as play:
        await play.happens(order("order.placed"))
        mine, yours = await play.make_link(), await play.make_link()
        freja, bob = play.telegram.customer(first_name="Freja"), play.telegram.customer(first_name="Bob")
        await freja.start(mine)
        await play.rest()
        await play.tap(freja, freja.buttons[0])
        await bob.start(yours)
        await play.rest()
        assert "May I write to you about it?" in bob.last.text
        to_freja, to_bob = said_to(freja), said_to(bob)
        await play.happens(order("order.delivered"))
        await play.pass_time(timedelta(days=3))
        assert (said_to(freja), said_to(bob)) == (to_freja, to_bob)
        await play.tap(bob, bob.buttons[0])
        assert ARRIVED in bob.last.text


async def test_after_a_cancellation_nothing_that_waited_goes_out(url: str) -> None:
    """“It is on its way” waits for the morning; in the night the order is cancelled: it is never said."""
    async with stage(url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.pass_time(to=NIGHT)
        await play.happens(order("order.shipped", at=NIGHT))
        (waiting,) = await play.sent("waiting")
        assert waiting.reason == "quiet hours of the customer"
        await play.happens(order("order.cancelled", at=NIGHT))
        await play.pass_time(timedelta(hours=12))
        assert questions_to(freja, ON_ITS_WAY) == []
        assert "order.cancelled happened" in [each.reason for each in await play.sent("dropped")]


async def test_stop_shows_on_the_card_that_nobody_can_write_any_more(url: str) -> None:
    """During a case the card itself says so, not only its thread; with /start the customer can be written to again."""
    async with stage(url) as play:
        customer, _, card = await open_case(play)
        await play.write(customer, "/stop")
        assert "cannot write to this customer" in card.plain()
        assert "The customer said /stop" in play.story(card)


async def test_a_message_changed_into_stop_stops(url: str) -> None:
    """Whoever changes their last message into /stop means it."""
    async with stage(url) as play:
        freja = await ask_after_delivery(play)
        await freja.send("Stop this")
        await play.rest()
        await freja.edit_last("/stop")
        await play.rest()
        assert "I have stopped" in freja.last.text
        assert (await play.read(lambda uow: uow.customer("c-7"))).stopped_at is not None
        before = said_to(freja)
        await play.pass_time(timedelta(days=4))
        assert said_to(freja) == before


async def test_the_same_consent_given_again_is_thanked_for_and_frees_what_waited(url: str) -> None:
    """Stopped, back with /start, the same answer as before: thanks, and on it goes. A double tap is thanked for once."""
    async with stage(url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.happens(order("order.delivered"))
        await play.write(freja, "/stop")
        await play.pass_time(timedelta(days=3))
        assert questions_to(freja, ARRIVED) == []
        await play.write(freja, "/start")
        thanks = len(questions_to(freja, "Thank you! I write when"))
        await freja.tap_twice(freja.buttons[0])
        await play.rest()
        assert len(questions_to(freja, "Thank you! I write when")) == thanks + 1
        assert len(questions_to(freja, ARRIVED)) == 1

        await play.write(freja, "/start")  # not stopped this time: asked all the same, and answered all the same
        await play.tap(freja, "Yes: delivery, and how it turns out")
        assert len(questions_to(freja, "Thank you! I write when")) == thanks + 2


# One question at a time --------------------------------------------------------------------------------------------


WAITS = "waits its turn: another question to this customer is open"


async def test_of_two_questions_due_at_once_the_second_follows_in_the_same_talk(url: str) -> None:
    """It waits its turn and says so; once the first is answered it comes as one thing more; a third not before the next day."""
    async with stage(url) as play:
        third = {"sale": "3003", "summary": "a hat", "tags": ("fashion",)}
        await play.happens(*(order("order.placed", **each) for each in ({}, DRESS, third)))
        freja = await play.link()
        await play.happens(*(order("order.delivered", **each, first_use_after="60d") for each in ({}, DRESS, third)))
        await play.pass_time(timedelta(days=2))
        assert len(questions_to(freja, ARRIVED)) == 1
        for sale in ("2002", "3003"):
            waiting = await play.read(lambda uow, s=sale: [m for m in uow.moments_of(s) if m.state == "held"])
            assert [each.reason for each in waiting] == [WAITS]
        await play.tap(freja, "👍 Yes", "👍 Yes, all of it")
        assert len(questions_to(freja, ARRIVED)) == 2
        assert freja.last.text.startswith("One more thing, while you are here. Hi Freja")
        await play.tap(freja, "👍 Yes", "👍 Yes, all of it")
        assert "If anything turns up later" in freja.last.text
        (waiting,) = [each for each in await play.sent("waiting") if each.kind == "question"]
        assert waiting.reason == "the last question was only just asked"
        assert waiting.not_before == play.clock.now() + timedelta(days=1)
        await play.pass_time(timedelta(days=1))
        assert len(questions_to(freja, ARRIVED)) == 3


async def test_nothing_follows_in_the_same_talk_where_a_person_is_to_look(url: str) -> None:
    """Who is unhappy waits for a person, not for the next question: that comes when the case is settled."""
    async with stage(url) as play:
        await play.happens(order("order.placed"), order("order.placed", **DRESS))
        freja = await play.link()
        await play.happens(order("order.delivered"), order("order.delivered", **DRESS, first_use_after="60d"))
        await play.pass_time(timedelta(days=2))
        await play.tap(freja, "📦 Not here yet")
        assert len(questions_to(freja, ARRIVED)) == 1
        (held,) = [each for each in await play.sent("held") if each.kind == "question"]
        assert (held.sale_id, held.reason) == ("2002", "a case of this customer is open")
        await play.remedy(play.slack.member("Anna Berg"), play.card("delivery"), "refund", "the whole amount")
        await play.pass_time(timedelta(days=1))
        assert RIGHT_NOW in freja.last.text
        await play.tap(freja, "👍 Yes, it is right")
        await play.pass_time(timedelta(days=1))
        assert len(questions_to(freja, ARRIVED)) == 2


@pytest.mark.parametrize("rests", [True, False])
async def test_what_waits_for_another_question_goes_on_when_that_talk_rests_or_ends(url: str, *, rests: bool) -> None:
    """“Another question is open” holds the next flow; a pause, and the end, of that talk both free it."""
    async with stage(url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.happens(order("order.delivered", first_use_after="1d"))
        await play.pass_time(timedelta(days=2))
        assert TRIED in freja.last.text
        assert [each.reason for each in await play.moments()] == [WAITS]
        assert questions_to(freja, ARRIVED) == []
        if rests:
            await play.tap(freja, "⏳ Not yet")
        else:
            await play.pass_time(timedelta(days=7))  # nobody answers, and that talk is over
        assert len(questions_to(freja, ARRIVED)) == 1


async def test_a_question_that_was_to_follow_at_once_is_dropped_when_a_person_is_at_it(url: str) -> None:
    """It was delayed for over half an hour and a case is open: it says why it is dropped, and its talk is over."""
    async with stage(url) as play:
        freja = await ask_after_delivery(play, first_use_after="60d")
        await play.tap(freja, "👍 Yes")
        tap = tap_of(play, freja, await conversation(play, "after_delivery"), 2)
        await play.close()
        beside = open_database(url)  # the tap is taken in, and then everything stands still for a while
        beside.run_now(tap)
        beside.close()
        play.clock.advance(timedelta(minutes=31))
        await play.open()
        await play.rest()
        (card,) = [each for channel in play.channels.values() for each in channel.messages]
        assert "I was not treated well" in card.plain()
        assert questions_to(freja, "What was not as it should be?") == []
        dropped = {each.reason for each in await play.sent("dropped") if each.kind == "question"}
        assert dropped == {"it was to follow the customer's words at once; a person is at it now"}
        assert (await conversation(play, "after_delivery")).state.status == "finished"


# Crowds and limits -------------------------------------------------------------------------------------------------


async def test_a_crowd_before_slack_keeps_no_customer_waiting_and_no_stop(url: str) -> None:
    """Three hundred lines for one channel of Slack: /help is answered at once, and the program stops in seconds."""
    async with stage(url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.write(freja, "help, it is broken")
        case, now = await play.case(), play.clock.now()
        await play.close()
        crowd = [
            Outgoing(
                key=f"crowd-{number}",
                channel="slack",
                lane=f"whisper:{number}",
                kind="whisper",
                body={"user": "U1", "text": "x", "channel": "CWINE"},
                not_before=now,
                created_at=now,
                priority=0,
                case_id=case.id,
            )
            for number in range(300)
        ]
        beside = open_database(url)
        beside.run_now(lambda uow: [uow.send(each) for each in crowd])
        beside.close()
        service = open_service(
            play.settings, clock=play.clock, shop=play.the_shop, flow_files=play.flow_files, slack_per_second=1.0
        )
        async with service as running:
            await becomes(lambda: running.program.dispatcher.flying >= 1)
            await freja.send("/help")
            await becomes(lambda: questions_to(freja, "/privacy") != [], within=3)
            began = time.monotonic()
        assert time.monotonic() - began < 7


async def test_a_short_limit_lets_nothing_overtake_in_a_chat(url: str) -> None:
    """Telegram asks one reply to wait a second: what is said after it arrives after it."""
    async with stage(url) as play:
        customer, anna, card = await open_case(play)
        play.telegram.fail_next("sendMessage", status=429, retry_after=1)
        await play.reply(anna, card, "FIRST")
        await play.reply(anna, card, "SECOND")
        await play.write(customer, "/help")
        assert questions_to(customer, "SECOND") == []
        await play.pass_time(timedelta(seconds=5))
        found = [word for said in said_to(customer) for word in ("FIRST", "SECOND", "/privacy") if word in said]
        assert found == ["FIRST", "SECOND", "/privacy"]


async def test_a_short_limit_lets_nothing_overtake_in_one_batch(url: str) -> None:
    """Two replies claimed together: the second is not sent while the first has to wait."""
    async with stage(url) as play:
        customer, anna, _ = await open_case(play)
        case, house, now = await play.case(), play.program.house, play.clock.now()
        play.telegram.fail_next("sendMessage", status=429, retry_after=1)

        def both(uow: UnitOfWork) -> None:
            for words in ("FIRST", "SECOND"):
                cases.staff(uow, house, CaseReplied(case.id, anna.id, "Anna", words), now)

        await play.read(both)
        await play.rest()
        assert questions_to(customer, "SECOND") == []
        await play.pass_time(timedelta(seconds=5))
        assert [said.splitlines()[1] for said in said_to(customer)[-2:]] == ["FIRST", "SECOND"]


# One customer, two records -----------------------------------------------------------------------------------------


async def joined(play: Stage) -> Customer:
    """Link sale 1001 from another chat, to which another sale was linked before."""
    await play.happens(order("order.placed", **DRESS, customer="c-8"))
    other = await play.link("2002", name="Freja too")
    await other.start(await play.make_link("1001"))
    await play.rest()
    return other


async def test_after_two_records_became_one_the_case_goes_on_in_the_new_chat(url: str) -> None:
    """Staff can still reply, the reply reaches the chat that is linked now, and the customer closes the case there."""
    async with stage(url) as play:
        first, anna, card = await open_case(play)
        other = await joined(play)
        heard_before = said_to(first)
        await play.claim(anna, card)
        assert "Reply to customer" in card.buttons
        await play.reply(anna, card, "We are looking")
        assert "Nordlys:\nWe are looking\n" in other.last.text
        await play.remedy(anna, card, "refund", "all of it")
        await play.pass_time(timedelta(days=2))
        assert RIGHT_NOW in other.last.text
        await play.tap(other, "👍 Yes, it is right")
        assert (await play.case()).status == "confirmed"
        assert said_to(first) == heard_before


async def test_after_two_records_became_one_a_tap_on_an_older_question_counts(url: str) -> None:
    """What was asked under the old record is answered in the new chat, by the buttons of its reminder."""
    async with stage(url) as play:
        await ask_after_delivery(play, first_use_after="60d")
        other = await joined(play)
        await play.pass_time(timedelta(days=4))
        assert other.last.text.startswith("Just a friendly reminder:")
        await play.tap(other, "📦 Not here yet")
        assert await choices(play) == ["missing"]
        assert (await play.case()).customer_id == (await play.sale()).customer_id == "c-8"


# Slack: channels and cards -----------------------------------------------------------------------------------------


async def test_an_archived_channel_gives_exactly_one_card_in_the_fallback(url: str) -> None:
    """Archived while a case stands there: one card in the fallback channel, and every further line below it."""
    async with stage(url) as play:
        customer, anna, _ = await open_case(play)
        play.channels["delivery"].archive()
        await play.write(customer, "Hello?")
        await play.write(customer, "Is anybody there?")
        await play.pass_time(timedelta(minutes=1))
        (fallen,) = play.channels["customers"].messages
        await play.claim(anna, fallen)
        await play.write(customer, "One more thing")
        await play.pass_time(timedelta(minutes=1))
        assert play.channels["customers"].messages == [fallen]
        story = play.story(fallen)
        told = ("Hello?", "Is anybody there?", "has taken this", "One more thing", "cannot be used")
        assert {words: story.count(words) for words in told} == dict.fromkeys(told, 1)
        assert "CLAIMED" in fallen.plain()


async def test_a_deleted_card_is_posted_anew_with_what_the_customer_says_next(url: str) -> None:
    """Somebody deleted the card: the case does not vanish; card and line stand in the channel again."""
    async with stage(url) as play:
        customer, anna, card = await open_case(play)
        await anna.delete(card)
        assert play.channels["delivery"].messages == []
        await play.write(customer, "Where is it?")
        await play.pass_time(timedelta(minutes=1))
        (anew,) = play.channels["delivery"].messages
        assert "Where is it?" in play.story(anew)
        await play.claim(anna, anew)
        assert "CLAIMED" in anew.plain()


async def test_further_words_join_a_case_that_began_without_a_conversation(url: str) -> None:
    """Written before anything was asked: what follows goes to the same case, whatever was ordered since."""
    async with stage(url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link(consent="none")
        await play.write(freja, "My bottle is broken")
        await play.write(freja, "/start")
        await play.tap(freja, freja.buttons[0])
        await play.pass_time(timedelta(hours=1))
        await play.happens(order("order.placed", **DRESS, at=play.clock.now()))
        assert "We have your order: a dress" in freja.last.text
        await play.write(freja, "and the second one leaks too")
        assert "and the second one leaks too" in (await play.case()).said
        assert await play.read(lambda uow: uow.cases_of("2002")) == []
        assert "and the second one leaks too" in play.story(play.card("wine"))


# Deaths and poison -------------------------------------------------------------------------------------------------


async def test_what_a_killed_program_left_on_its_way_is_settled_when_it_starts(url: str) -> None:
    """On SQLite no other program can be sending, so no lease is waited for: unknown at once, or sent once more."""
    async with stage(url) as play:
        await play.happens(order("order.placed"), order("order.placed", "1002", customer="c-9", name="Bob Lund"))
        freja, bob = await play.link(), await play.link("1002", name="Bob")
        await play.write(bob, "Where is my wine?")
        card, anna = play.card("wine"), play.slack.member("Anna Berg")
        await play.happens(order("order.delivered"))
        await play.close()
        play.clock.advance(timedelta(days=2))
        play.telegram.hang_next("sendMessage", 30, chat_id=freja.user_id)
        play.telegram.hang_next("sendMessage", 30, chat_id=bob.user_id)
        async with play.process() as process:
            await anna.click(card, "Reply to customer")
            await anna.submit({"text": "It left today."})
            await anna.submit()
            await freja.wait_for(lambda message: ARRIVED in message.text)
            await bob.wait_for(lambda message: "It left today." in message.text)
            process.kill()
            await process.wait()
        await play.open()
        await play.rest()
        assert await play.sent("sending") == []
        assert [each.kind for each in await play.sent("unknown")] == ["question"]
        await play.pass_time(timedelta(seconds=5))
        assert len(questions_to(freja, ARRIVED)) == 1
        assert [said.endswith("(perhaps sent twice)") for said in questions_to(bob, "It left today.")] == [False, True]


async def test_a_mark_that_cannot_be_committed_is_tried_again_and_nothing_is_sent_twice(url: str) -> None:
    """The database refuses for a while what came of a message: the mark is repeated, the message is not."""
    async with stage(url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        with refusing(url, "UPDATE ON outbox WHEN NEW.state = 'sent'"):
            await freja.send("/help")
            await becomes(lambda: len([each for each in play.log if each["event"] == "message_failed"]) >= 2)
            assert [each.kind for each in await play.sent("sending")] == ["system"]
        await play.rest()
        assert await play.sent("sending", "waiting", "unknown", "failed") == []
        assert len(questions_to(freja, "/privacy")) == 1


async def test_a_row_that_cannot_be_examined_stops_no_other(url: str) -> None:
    """A message that makes no sense ends as failed, with its error; what is claimed with it goes out."""
    async with stage(url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        now, house = play.clock.now(), play.program.house
        poison = Outgoing(
            key="poison",
            channel="telegram",
            lane="chat:0",
            kind="thread",
            body={},
            not_before=now,
            created_at=now,
            priority=0,
            customer_id="c-7",
            sale_id="1001",
        )

        def together(uow: UnitOfWork) -> None:
            uow.send(poison)
            inbox.chat(uow, house, CommandGiven(freja.user_id, "help", "/help", "en"), now)

        await play.read(together)
        await play.rest()
        (failed,) = await play.sent("failed")
        assert failed.key == "poison"
        assert "goes to Slack, not to a customer" in str(failed.reason)
        assert len(questions_to(freja, "/privacy")) == 1


async def two_questions_of_the_night(play: Stage) -> tuple[Customer, Customer]:
    """Let two questions to two customers wait for the morning, of which one has timers that nobody can read."""
    bobs: dict[str, Any] = {"sale": "1002", "customer": "c-9", "name": "Bob Lund"}
    await play.happens(order("order.placed"), order("order.placed", **bobs))
    freja, bob = await play.link(), await play.link("1002", name="Bob")
    await play.happens(order("order.delivered", at=NIGHT), order("order.delivered", **bobs, at=NIGHT))
    await play.pass_time(to=NIGHT + timedelta(days=2, minutes=1))
    await play.read(spoil_timers)
    return freja, bob


def spoil_timers(uow: UnitOfWork) -> None:
    """Let what follows from asking the question of sale 1001 fail by a fault of our own."""
    (question,) = [each for each in uow.outgoing_of("1001") if each.kind == "question"]
    uow.put_outgoing(replace(question, body={**question.body, "timers": {"silence": "some day"}}))


async def test_a_mark_that_spoils_stops_no_other(url: str) -> None:
    """What follows from one message cannot be written down: it counts as sent, with the error; so do those beside it."""
    async with stage(url) as play:
        freja, bob = await two_questions_of_the_night(play)
        await play.pass_time(timedelta(hours=12))
        assert [len(questions_to(each, ARRIVED)) for each in (freja, bob)] == [1, 1]
        asked = {each.sale_id: each for each in await play.sent("sent") if each.kind == "question"}
        assert "ValueError after the attempt" in str(asked["1001"].reason)
        assert asked["1002"].reason is None
        assert "silence" in [each.kind for each in await play.moments("1002", "planned")]


async def test_what_a_dead_sender_left_and_cannot_be_settled_stops_no_other(url: str) -> None:
    """Two questions were on their way when a program died; one spoils: it is shown as failed, the other is settled."""
    async with stage(url) as play:
        await two_questions_of_the_night(play)
        lease = play.clock.now() + timedelta(minutes=2)
        await play.read(lambda uow: uow.claim([each.id or 0 for each in uow.outbox(("waiting",), 10)], lease))
        play.clock.advance(timedelta(minutes=3))
        await play.rest()
        assert await play.sent("sending", "waiting") == []
        (failed,), (unknown,) = await play.sent("failed"), await play.sent("unknown")
        assert (failed.sale_id, unknown.sale_id) == ("1001", "1002")
        assert "ValueError" in str(failed.reason)


class TrappedFlows(dict[str, Flow]):
    """Flows of which one cannot be looked up, by one of this product's own errors."""

    def get(self, name: str, default: Any = None) -> Any:
        """Give a flow, or refuse."""
        if name == "trap":
            raise InputRefused([("flow", "is a trap")])
        return super().get(name, default)


@dataclass(frozen=True)
class Trapped:
    """A source of those flows."""

    flows: Mapping[str, Flow]
    phrases: Mapping[str, Texts]


@pytest.mark.parametrize(
    ("data", "error"),
    [pytest.param({}, "KeyError", id="ours"), pytest.param({"flow": "trap"}, "InputRefused", id="told")],
)
async def test_a_moment_that_raises_blocks_no_other_and_is_tried_again(
    url: str, data: dict[str, str], error: str
) -> None:
    """Whatever a moment raises: those behind it come at their time, and it is tried every few minutes, with its error."""
    async with stage(url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.happens(order("order.delivered"))
        flows = play.program.house.flows
        play.program.house.flows = Trapped(TrappedFlows(flows.flows), flows.phrases)
        due_at = MORNING + timedelta(days=2)
        poison = Moment(key="poison", kind="start", due_at=due_at, sale_id="1001", data=data)
        await play.read(lambda uow: uow.plan(replace(poison, due_at=due_at - timedelta(minutes=1))))
        await play.pass_time(to=due_at)
        assert len(questions_to(freja, ARRIVED)) == 1
        (put_off,) = [each for each in await play.moments(state="planned") if each.key == "poison"]
        assert str(put_off.reason).startswith(f"failed, and is tried again: {error}")
        assert put_off.due_at == due_at + timedelta(minutes=4)
        await play.pass_time(timedelta(minutes=5))
        (again,) = [each for each in await play.moments(state="planned") if each.key == "poison"]
        assert again.due_at == due_at + timedelta(minutes=9)


# The door ----------------------------------------------------------------------------------------------------------


async def test_absurd_times_and_lengths_are_refused_at_the_door(url: str) -> None:
    """A slip in a date or a length of time is told to whoever sent it, with its place; nothing of it is stored."""
    async with stage(url) as play:
        slips = [
            order("order.placed", first_use_after="9999bd"),
            order("order.placed", first_use_after="999999999d"),
            order("order.placed", first_use_after="soon"),
            order("order.placed", at=MORNING.replace(year=9999)),
            order("order.placed", at=MORNING.replace(year=1970)),
            order("order.placed", at=MORNING + timedelta(days=1000)),
            order("order.placed", promises=({"id": "p", "text": "soon", "due_at": "9999-12-31T23:59:59Z"},)),
        ]
        for slip in slips:
            status, answer = await post(play, slip)
            assert (status, len(answer["problems"])) == (422, 1), slip
        assert await play.read(lambda uow: uow.sale("1001")) is None
        assert (await post(play, order("order.placed", first_use_after="999bd")))[0] == 202
        await play.rest()
        freja = await play.link()
        assert (await post(play, order("order.delivered", first_use_after="99999w")))[
            0
        ] == 202  # far, yet it can be planned
        await play.rest()
        assert await play.read(lambda uow: uow.inbox(("failed",), 10)) == []
        assert freja.buttons == []
