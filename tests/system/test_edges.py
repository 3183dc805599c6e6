"""Edges of the whole program that once went wrong: each test is named after what must hold there."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from bot import cases, conversations, inbox
from bot.adapters.clock import MovableClock
from bot.adapters.sandbox.slack import Member, Message
from bot.adapters.sandbox.telegram import Customer
from bot.app.service import open_service
from bot.errors import NotFound
from bot.messages import House
from bot.ports.inbound import ButtonTapped, CaseClaimed, CaseReplied
from bot.ports.records import Conversation, Incoming, Moment, Outgoing
from bot.ports.store import UnitOfWork
from storage.database import open_database, parse_url
from tests.databases import SqliteTemplate
from tests.system.stage import MORNING, Stage, becomes, order, questions_to, said_to, shop, stage
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


async def open_case(play: Stage) -> tuple[Customer, Member, Message]:
    """Play an unhappy reply that stands as a card, and somebody of the team."""
    customer = await ask_after_delivery(play)
    await play.tap(customer, "📦 Not here yet")
    return customer, play.slack.member("Anna Berg"), play.card("delivery")


async def remedied_case(play: Stage) -> tuple[Customer, Member, Message]:
    """Play on until the customer is asked whether it is right now."""
    customer, anna, card = await open_case(play)
    await play.claim(anna, card)
    await play.remedy(anna, card, "replacement", "sent again by courier")
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
        assert customer.buttons == ["👍 Yes, it is right", "🙁 No, not yet"]
        await play.pass_time(timedelta(days=3))
        assert len(questions_to(customer, RIGHT_NOW)) == 2
        await play.tap(customer, "👍 Yes, it is right")
        assert (await play.case()).status == "confirmed"


async def test_a_complaint_takes_a_complete_sale_back_until_the_customer_says_yes_again(url: str) -> None:
    """Only the customer completes a sale, and takes that back: unhappy after the yes, it is open until their next yes."""
    async with stage(url) as play:
        freja = await ask_after_delivery(play, first_use_after="1d")
        # The question about the delivery waits while the other one is open; that one completes the sale.
        assert TRIED in said_to(freja)[-1] or ARRIVED in said_to(freja)[-1]
        question = next(message for message in freja.chat if message.from_bot and ARRIVED in message.text)
        await play.happens(order("product.first_used", at=play.clock.now()))
        await play.tap(freja, "👍 Yes", "👍 Yes, all of it")
        await play.pass_time(timedelta(days=1))
        del question
        while (await play.sale()).confirmed_at is None:
            await play.tap(freja, "👍 Yes")
        await play.happens(order("order.placed", "2002", summary="a decanter"))
        await _complain_late(play, freja)
        assert (await play.sale()).confirmed_at is None
        assert "sale.reopened" in await play.told()

        anna, card = play.slack.member("Anna Berg"), play.card("wine")
        await play.remedy(anna, card, "replacement", "a new bottle")
        assert (await play.sale()).confirmed_at is None
        await play.pass_time(timedelta(days=3))
        assert RIGHT_NOW in freja.last.text
        await play.tap(freja, "👍 Yes, it is right")
        assert (await play.case()).status == "confirmed"
        assert (await play.sale()).confirmed_at is not None
