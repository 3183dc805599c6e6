"""What outside things may do to the program, and what it may do to itself: nothing is lost, no question is doubled."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from bot import cases
from bot.adapters.slack.translate import incoming
from bot.app.service import open_service
from bot.dispatch.claiming import claim
from bot.dispatch.marking import recover
from bot.ports.records import Incoming, Outgoing
from bot.ports.store import UnitOfWork
from storage.database import SqlDatabase, parse_url
from tests.databases import opened
from tests.system.stage import FAST, becomes, order, questions_to, said_to, shipped_flows, stage

ARRIVED = "Was everything as we promised?"
LEASE_OVER = timedelta(minutes=11)


def outbox(database: SqlDatabase, *states: str) -> list[Outgoing]:
    """Give what stands in the outbox, seen from outside the program."""
    return database.run_now(lambda uow: uow.outbox(states, 100))


@contextmanager
def refusing(url: str, table: str, condition: str) -> Iterator[None]:
    """Let the database itself refuse rows of a table, as a full disk or a failing server would."""
    if url.startswith("sqlite"):
        make = [
            f"CREATE TRIGGER refusing BEFORE INSERT ON {table} WHEN {condition} BEGIN SELECT RAISE(ABORT, 'no'); END"
        ]
        drop = ["DROP TRIGGER refusing"]
    else:
        make = [
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$",
            f"CREATE TRIGGER refusing BEFORE INSERT ON {table} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION refuse()",
        ]
        drop = [f"DROP TRIGGER refusing ON {table}", "DROP FUNCTION refuse"]
    engine = create_engine(parse_url(url))

    def run(commands: list[str]) -> None:
        with engine.begin() as connection:
            for command in commands:
                connection.execute(text(command))

    run(make)
    try:
        yield
    finally:
        run(drop)
        engine.dispose()


# The process is killed -----------------------------------------------------------------------------------------------


async def test_killed_between_commit_and_send_the_message_goes_out_once(database_url: str) -> None:
    """What was committed and not yet on its way when the process died goes out after the restart, exactly once."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.close()
        with opened(database_url) as database:
            async with play.process() as process:
                # The first message of the chat hangs, so the second is committed and cannot be sent.
                play.telegram.hang_next("sendMessage", 30, acts=False, chat_id=freja.user_id)
                await freja.send("/help")
                await becomes(lambda: len(outbox(database, "sending")) == 1)
                shipped = order("order.shipped")
                row = Incoming("shop", shipped["id"], "sale:1001", shipped, play.clock.now())
                database.run_now(lambda uow: uow.receive([row]))
                await becomes(lambda: [each.kind for each in outbox(database, "waiting")] == ["notice"])
                process.kill()
                await process.wait()
        play.clock.advance(LEASE_OVER)
        await play.open()
        await play.rest()
        await play.pass_time(timedelta(minutes=1))
        assert len(questions_to(freja, "is on its way")) == 1
        assert len(questions_to(freja, "/stop – I stop writing to you")) == 1


async def test_killed_between_send_and_mark_a_question_is_unknown_and_the_rest_is_repeated(database_url: str) -> None:
    """A question is not asked twice; a person's words are repeated and say so; a card is found and not doubled."""
    async with stage(database_url) as play:
        await play.happens(
            order("order.placed"),
            order("order.delivered"),
            order("order.placed", "1002", customer="c-8", name="Bob Lund"),
            order("order.placed", "1003", customer="c-9", name="Cara Ek", tags=("fashion",)),
        )
        freja = await play.link()
        bob = await play.link("1002", name="Bob")
        cara = await play.link("1003", name="Cara")
        await play.write(bob, "Where is my wine?")
        card, anna = play.card("wine"), play.slack.member("Anna Berg")
        await play.close()
        play.clock.advance(timedelta(days=2))
        play.telegram.hang_next("sendMessage", 30, chat_id=freja.user_id)
        play.telegram.hang_next("sendMessage", 30, chat_id=bob.user_id)
        with opened(database_url) as database:
            async with play.process() as process:
                await freja.wait_for(lambda message: ARRIVED in message.text)
                await anna.click(card, "Reply to customer")
                await anna.submit({"text": "It left today."})
                await anna.submit()
                await bob.wait_for(lambda message: "It left today." in message.text)
                await play.slack.wait_thread(card, lambda line: "replied to the customer" in line.text)
                await becomes(lambda: not [each for each in outbox(database, "waiting", "sending") if _on_desk(each)])
                play.slack.hang_next("chat.postMessage", 2)
                await cara.send("The dress is torn.")
                await becomes(lambda: any(each.kind == "card" for each in outbox(database, "sending")))
                await asyncio.sleep(0.7)  # claimed: now the call reaches Slack, which takes two seconds to act on it
                process.kill()
                await process.wait()
        await play.channels["fashion"].wait_for(lambda message: "The dress is torn." in message.plain())
        play.clock.advance(LEASE_OVER)
        await play.open()
        await play.rest()
        await play.pass_time(timedelta(minutes=5))

        assert len(questions_to(freja, ARRIVED)) == 1
        (unknown,) = [each for each in await play.sent("unknown") if each.kind == "question"]
        assert unknown.sale_id == "1001"
        assert "may have been sent" in str(unknown.reason)
        await play.tap(freja, "👍 Yes")
        assert (await play.sale()).factors == {"promise": 1}

        first, again = questions_to(bob, "It left today.")
        assert again == f"{first}\n(perhaps sent twice)"
        assert "May have been sent; it is sent once more and says so." in play.story(card)
        assert len(play.channels["fashion"].messages) == 1


def _on_desk(message: Outgoing) -> bool:
    return message.channel == "slack"


async def test_a_sender_that_comes_back_late_undoes_nothing(postgresql_url: str) -> None:
    """Its lease was over, and another program has sent the message since: what it says then does not send it again."""
    async with stage(postgresql_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.write(freja, "The bottle is broken")
        anna, card = play.slack.member("Anna Berg"), play.card("wine")
        beside = open_service(
            play.settings, clock=play.clock, shop=play.the_shop, flow_files=shipped_flows(), slack_per_second=FAST
        )
        async with beside as other:
            play.telegram.hang_next("sendMessage", 4, acts=False, chat_id=freja.user_id)
            await anna.click(card, "Reply to customer")
            await anna.submit({"text": "A new one is on its way."})
            await anna.submit()
            await becomes(lambda: ("sendMessage", freja.user_id) in play.telegram.played)
            hangs_until = asyncio.get_running_loop().time() + 4.5
            play.clock.advance(LEASE_OVER)
            while asyncio.get_running_loop().time() < hangs_until or not questions_to(freja, "A new one"):
                await play.program.tick()
                await other.program.tick()
                await asyncio.sleep(0.1)
                play.clock.advance(timedelta(seconds=1))
            await play.rest()
            await play.pass_time(timedelta(minutes=20))
        (once,) = questions_to(freja, "A new one")
        assert once.endswith("(perhaps sent twice)")


# What comes twice ----------------------------------------------------------------------------------------------------


async def test_a_repeated_update_envelope_and_event_have_one_effect(database_url: str) -> None:
    """Telegram, Slack and the shop may each tell the same thing twice: it happens once."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        play.telegram.repeat_next_update()
        await play.write(freja, "Is it on its way?")
        (case,) = await play.read(lambda uow: uow.cases_of("1001"))
        assert len(questions_to(freja, "I have passed this on")) == 1
        card, anna = play.card("wine"), play.slack.member("Anna Berg")
        assert "once more" not in play.story(card)

        play.slack.repeat_next_envelope()
        await play.claim(anna, card)
        assert play.story(card).count("has taken this") == 1
        assert anna.ephemerals == []
        rows = await play.read(lambda uow: uow.inbox(("new", "done", "ignored", "failed"), 100))
        assert [row.source for row in rows].count("slack") == 1

        event = order("order.placed")
        row = Incoming("shop", event["id"], "sale:1001", event, play.clock.now())
        assert await play.program.commit([row]) == [False]
        assert case.id == (await play.case()).id


# Several at once ---------------------------------------------------------------------------------------------------------


async def without_waiting_in_a_circle(url: str, customers: list[str], works: Callable[[UnitOfWork], object]) -> None:
    """Let one program take customers one after the other, as everybody does, while another works: neither is undone.

    Where they wait for one another the database ends one of them, and its work is done a second time.
    """
    has_first, times = threading.Event(), Counter[str]()

    def hears(uow: UnitOfWork) -> None:
        times["hears"] += 1
        uow.read_ahead(customers=customers[:1])
        has_first.set()
        time.sleep(0.5)  # The other one has begun, and stands where it stands.
        uow.read_ahead(customers=customers[1:], sales=["1001"])

    def counted(uow: UnitOfWork) -> None:
        times["works"] += 1
        works(uow)

    with opened(url) as first, opened(url) as second:
        hearing = asyncio.create_task(first.run(hears))
        await asyncio.to_thread(has_first.wait, 10)
        await second.run(counted)
        await hearing
    assert times == {"hears": 1, "works": 1}


@pytest.mark.parametrize("what", ["a card is claimed", "a reply is previewed"])
async def test_who_works_on_a_case_takes_its_customer_first(postgresql_url: str, what: str) -> None:
    """As everybody does who hears the customer; otherwise two would wait for one another until the database ends one."""
    async with stage(postgresql_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.slack.go_offline()
        await play.write(freja, "The bottle is broken")
        case, house, at = (await play.case()).id, play.program.house, play.clock.now() + timedelta(hours=1)
    works: dict[str, Callable[[UnitOfWork], object]] = {
        "a card is claimed": lambda uow: claim(uow, house, "slack", at, 10),
        "a reply is previewed": lambda uow: cases.compose(uow, house, case, "Anna", "Sorry!"),
    }
    await without_waiting_in_a_circle(postgresql_url, ["c-7"], works[what])


async def test_what_the_dead_left_is_settled_in_the_order_in_which_everybody_takes_customers(
    postgresql_url: str,
) -> None:
    """Whatever the order in which their messages were claimed."""
    async with stage(postgresql_url) as play:
        await play.happens(order("order.placed", "1002", customer="c-8", name="Bob"), order("order.placed"))
        await play.link("1002", name="Bob")
        await play.link()
        earlier = play.clock.now() - timedelta(hours=2)
        await play.happens(order("order.delivered", "1002", customer="c-8", name="Bob", at=earlier))
        await play.happens(order("order.delivered"))
        await play.pass_time(timedelta(days=1, hours=21))
        await play.telegram.go_offline()
        play.clock.advance(timedelta(hours=4))
        await play.rest()
        house, at = play.program.house, play.clock.now() + timedelta(hours=1)
    with opened(postgresql_url) as database:
        asked = {str(each.customer_id): each.id or 0 for each in outbox(database, "waiting")}
        for minutes, customer in enumerate(("c-8", "c-7")):
            until = at + timedelta(minutes=minutes)
            database.run_now(lambda uow, customer=customer, until=until: uow.claim([asked[customer]], until))
    later = at + timedelta(hours=1)
    await without_waiting_in_a_circle(postgresql_url, ["c-7", "c-8"], lambda uow: recover(uow, house, later, later))


# Slack and Telegram fail ---------------------------------------------------------------------------------------------


async def test_a_case_waits_while_slack_is_down_and_arrives_when_it_is_up(sqlite_url: str) -> None:
    """The customer is answered all the same; the card waits visibly, and comes once, in order, when Slack is back."""
    async with stage(sqlite_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        play.slack.down = True
        await play.write(freja, "The bottle is broken")
        await play.write(freja, "Both of them, in fact")
        assert "I have passed this on" in freja.last.text
        assert [each.kind for each in await play.sent("waiting") if each.attempts][:1] == ["card"]
        await play.pass_time(timedelta(minutes=10))
        assert play.channels["wine"].messages == []
        play.slack.down = False
        await play.pass_time(timedelta(minutes=30))
        (card,) = play.channels["wine"].messages
        assert "The bottle is broken" in card.plain()
        assert "Both of them, in fact" in play.story(card)


async def test_a_channel_that_is_gone_sends_its_cases_to_the_fallback(sqlite_url: str) -> None:
    """Archived: the card stands in the fallback channel at once, and says where it belonged."""
    async with stage(sqlite_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        play.channels["wine"].archive()
        await play.write(freja, "The bottle is broken")
        card = play.card("customers")
        assert "The bottle is broken" in card.plain()
        assert "The channel of team wine cannot be used" in play.story(card)


async def test_telegram_is_given_the_time_that_it_asks_for(sqlite_url: str) -> None:
    """A 429 is no loss: the message waits as long as Telegram said, and then goes out once."""
    async with stage(sqlite_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        play.telegram.fail_next("sendMessage", status=429, retry_after=1)
        await play.write(freja, "/help")
        assert questions_to(freja, "/privacy") == []
        (waiting,) = await play.sent("waiting")
        assert waiting.not_before == play.clock.now() + timedelta(seconds=1)
        assert "Telegram asks to wait" in str(waiting.reason)
        await play.pass_time(timedelta(seconds=1))
        assert len(questions_to(freja, "/privacy")) == 1


async def test_a_question_whose_answer_was_lost_is_not_asked_again(database_url: str) -> None:
    """Telegram took it and the line broke: unknown, shown, not repeated; the reminder covers the rest."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.happens(order("order.delivered", at=play.clock.now()))
        play.telegram.drop_reply_next("sendMessage")
        await play.pass_time(timedelta(days=2))
        assert len(questions_to(freja, ARRIVED)) == 1
        (unknown,) = await play.sent("unknown")
        assert unknown.kind == "question"
        assert (await play.program.database.read(lambda reports: reports.counts()))["unknown"] == 1
        await play.pass_time(timedelta(days=2, hours=23))
        assert len(questions_to(freja, ARRIVED)) == 1
        await play.pass_time(timedelta(hours=2))
        assert freja.last.text.startswith("Just a friendly reminder:")


async def test_the_question_for_consent_is_asked_once_as_well(sqlite_url: str) -> None:
    """Telegram took it and the line broke: whoever pressed Start is not asked twice what the bot may write about."""
    async with stage(sqlite_url) as play:
        await play.happens(order("order.placed"))
        freja = play.telegram.customer(first_name="Freja")
        play.telegram.drop_reply_next("sendMessage")
        await freja.start(await play.make_link())
        await play.rest()
        await play.pass_time(timedelta(hours=1))
        assert len(questions_to(freja, "I am the bot of")) == 1
        await play.tap(freja, freja.buttons[0])
        assert await play.read(lambda uow: uow.customer("c-7").consents) == {"service": True, "result": True}


async def test_a_persons_reply_whose_answer_was_lost_is_repeated_and_says_so(sqlite_url: str) -> None:
    """A person's words must arrive: they are sent once more, marked, and the thread tells staff."""
    async with stage(sqlite_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.write(freja, "The bottle is broken")
        play.telegram.drop_reply_next("sendMessage")
        card = play.card("wine")
        await play.reply(play.slack.member("Anna Berg"), card, "A new one is on its way.")
        await play.pass_time(timedelta(minutes=1))
        assert [text.endswith("(perhaps sent twice)") for text in questions_to(freja, "A new one")] == [False, True]
        assert "May have been sent" in play.story(card)


async def test_what_was_said_later_does_not_overtake_what_is_said_once_more(sqlite_url: str) -> None:
    """Two answers are on their way together; the outcome of the first is unknown, so the second waits for its repeat."""
    async with stage(sqlite_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        play.telegram.fail_next("sendMessage", status=500)
        play.telegram.delay_next_update(2)
        await freja.send("/help")
        await freja.send("/privacy")
        play.telegram.release_updates()
        await play.rest()
        await play.pass_time(timedelta(minutes=1))
        *_, first, second = said_to(freja)
        assert "/stop – I stop writing to you" in first
        assert "keeps your order" in second


async def test_a_card_whose_answer_was_lost_is_found_and_not_doubled(sqlite_url: str) -> None:
    """Slack posted the card and the line broke: the repeat finds it by its metadata and updates it."""
    async with stage(sqlite_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        play.slack.drop_reply_next("chat.postMessage")
        await play.write(freja, "The bottle is broken")
        await play.pass_time(timedelta(minutes=1))
        (card,) = play.channels["wine"].messages
        await play.claim(play.slack.member("Anna Berg"), card)
        assert "CLAIMED" in card.plain()


async def test_a_card_that_may_stand_already_is_sought_where_it_was_posted(sqlite_url: str) -> None:
    """The program died while it posted the card, and the case was handed over since: no second card, and none forgotten."""
    async with stage(sqlite_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        play.slack.drop_reply_next("chat.postMessage")
        await play.write(freja, "The bottle is broken")
        (card,) = [each for each in await play.sent("waiting") if each.kind == "card"]
        later = play.clock.now() + timedelta(hours=1)
        # As a program that died leaves it: nothing of what it had prepared was stored.
        left = replace(card, body=without_address(card), not_before=later)
        await play.read(lambda uow: uow.put_outgoing(left))
        about = {"key": "view:1", "case_id": str(card.case_id), "by": "U1", "now": play.clock.now()}
        await play.program.commit([incoming("hand_over", **about, team="fashion", reason="it is a dress")])
        await play.rest()
        await play.pass_time(timedelta(hours=2))
        assert [len(play.channels[name].messages) for name in ("wine", "fashion")] == [1, 1]
        assert "handed this over from wine to fashion" in play.story(play.card("fashion"))


def without_address(card: Outgoing) -> dict[str, Any]:
    """Give what a card is made of, as it was before anybody prepared it for sending."""
    return {name: value for name, value in card.body.items() if name not in ("channel", "ts", "card", "repeated")}


# The database and what stands in it ---------------------------------------------------------------------------------


async def test_an_update_that_could_not_be_stored_comes_again(database_url: str) -> None:
    """The database refuses the commit: Telegram is not told that the update arrived, and brings it again."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        with refusing(database_url, "inbox", "NEW.source = 'telegram'"):
            await freja.send("Is anybody there?")
            await becomes(lambda: any("could not be stored" in problem for problem in play.service.problems()))
            assert play.telegram.pending_updates == 1
            assert await play.read(lambda uow: uow.cases_of("1001")) == []
        await play.rest()
        assert (await play.case()).said == "Is anybody there?"


async def test_a_row_that_cannot_be_handled_is_set_aside_and_blocks_nobody(database_url: str) -> None:
    """Poison ends as failed, with its error and a reference; what came before and after it is handled."""
    async with stage(database_url) as play:
        with refusing(database_url, "sales", "NEW.id = 'poison'"):
            await play.happens(
                order("order.placed"),
                order("order.placed", "poison", customer="c-8"),
                order("order.placed", "1002", customer="c-9"),
            )
        (failed,) = await play.read(lambda uow: uow.inbox(("failed",), 10))
        assert failed.key == "evt-poison-order.placed"
        assert "reference" in str(failed.error)
        assert [(await play.sale(each)).id for each in ("1001", "1002")] == ["1001", "1002"]
        assert (await play.program.database.read(lambda reports: reports.counts()))["failed_inbox"] == 1


async def test_a_moment_that_cannot_be_carried_out_is_set_aside_and_blocks_nobody(database_url: str) -> None:
    """One conversation that cannot begin is put off with its error, the others begin; when it can begin, it does."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"), order("order.placed", "1002", customer="c-9", name="Bob"))
        freja, bob = await play.link(), await play.link("1002", name="Bob")
        await play.happens(order("order.delivered"), order("order.delivered", "1002", customer="c-9", name="Bob"))
        with refusing(database_url, "conversations", "NEW.sale_id = '1001'"):
            await play.pass_time(timedelta(days=2))
        assert questions_to(freja, ARRIVED) == []
        assert len(questions_to(bob, ARRIVED)) == 1
        (put_off,) = [moment for moment in await play.moments(state="planned") if "failed" in str(moment.reason)]
        assert put_off.data["flow"] == "after_delivery"
        await play.pass_time(timedelta(hours=1))
        assert len(questions_to(freja, ARRIVED)) == 1
