"""Several processes on one PostgreSQL, joining, dying and being cut off: judged by what Telegram and Slack saw."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url

from bot.adapters.sandbox.slack import Member as Staff
from bot.adapters.sandbox.slack import Message
from bot.adapters.sandbox.telegram import Customer
from tests.migrations.planted import EXPANDS, TAKES_AWAY, plant
from tests.system.crowd import Crowd, Proxy, Refused, crowd, delivered, soon
from tests.system.stage import becomes, order, questions_to, said_to

ARRIVED = "Was everything as we promised?"
EASY = "And was it easy to be our customer"
WORDS = "Write it in your own words"
MOVES_WITHIN_SECONDS = 15
"""How soon a duty has a new holder, on a machine that is busy with other things as well."""
LEASE_OVER = timedelta(minutes=5)


def sales(number: int) -> list[str]:
    return [str(1000 + place) for place in range(number)]


async def in_time(customer: Customer, words: str) -> None:
    """Wait until the bot has said `words`, as long as a busy machine may take."""
    await becomes(lambda: bool(questions_to(customer, words)), within=60)


async def answer_happily(customer: Customer) -> None:
    await customer.tap("👍 Yes")
    await in_time(customer, EASY)
    await customer.tap("👍 Yes, all of it")
    await in_time(customer, "Thank you!")


async def answer_unhappily(customer: Customer) -> None:
    await customer.tap("🤔 Not quite")
    await in_time(customer, WORDS)
    for words in ("It is broken: one.", "It is broken: two.", "It is broken: three."):
        await customer.send(words)


async def claim(staff: Staff, card: Message) -> None:
    """Press *Claim* until Slack has heard that the click arrived: the process that had the socket may have died."""
    for _ in range(5):
        if (await staff.click(card, "Claim")).acked:
            return
        await asyncio.sleep(1)
    raise AssertionError("nobody takes the click")


def unknown_of(many: Crowd) -> set[str]:
    """Give the sales of which nobody knows whether their question arrived: a process died between send and mark."""
    return {sale for (sale,) in many.ask("SELECT sale_id FROM outbox WHERE state = 'unknown' AND kind = 'question'")}


async def test_each_message_goes_out_once_whoever_dies_joins_or_is_cut_off(postgresql_url: str, tmp_path: Path) -> None:
    """Customers, taps, words and staff under a kill -9, a new process and cut connections: the books balance."""
    number = 24
    async with crowd(postgresql_url, tmp_path, customers=number) as (many, people):
        slack = many.play.slack
        first = await many.start("first")
        await many.start("second")
        third = await many.start("third")
        await many.happens(*delivered(sales(number), many.play.clock.now()))
        await many.rest()
        many.advance(timedelta(days=2))
        # The questions are under way: one process dies by force, another one joins.
        await becomes(lambda: sum(bool(questions_to(each, ARRIVED)) for each in people) >= 3, within=60)
        await first.kill()
        await many.start("fourth")
        many.advance(LEASE_OVER)
        await many.rest()
        asked = [each for each in people if questions_to(each, ARRIVED)]
        assert len(asked) >= number - len(unknown_of(many))
        # Now everybody answers at once, and one process loses all its connections meanwhile.
        unhappy = asked[::2]
        answers = [answer_unhappily(each) if each in unhappy else answer_happily(each) for each in asked]
        answering = asyncio.gather(*answers)
        await asyncio.sleep(0.3)
        assert many.terminate(third) > 0
        await answering
        await many.rest()
        anna = slack.member("Anna Berg")
        cards = list(many.play.channels["wine"].messages)
        for card in cards:
            await claim(anna, card)
        many.advance(LEASE_OVER)
        await many.rest()

        for each in people:
            assert len(questions_to(each, ARRIVED)) <= 1
            assert len(said_to(each)) == len(set(said_to(each))), "nothing is said twice"
        in_doubt = len(unknown_of(many))
        assert sum(len(questions_to(each, ARRIVED)) for each in people) >= number - in_doubt
        assert len(cards) == len(unhappy) == len(many.ask("SELECT id FROM cases"))
        for card in many.play.channels["wine"].messages:
            story = card.plain() + many.play.story(card)
            places = [story.index(f"It is broken: {word}.") for word in ("one", "two", "three")]
            assert places == sorted(places), "what a customer wrote stands in its order"
            assert many.play.story(card).count("has taken this") == 1
        assert many.ask("SELECT count(*) FROM outbox WHERE state = 'failed'") == [(0,)]
        assert many.ask("SELECT count(*) FROM inbox WHERE state IN ('new', 'failed')") == [(0,)]


async def test_the_polling_duty_moves_within_seconds_when_its_process_is_killed(
    postgresql_url: str, tmp_path: Path
) -> None:
    """The next process polls, answers what came meanwhile, and at no time did two ask Telegram at once."""
    async with crowd(postgresql_url, tmp_path, customers=1) as (many, (kim,)):
        members = {name: await many.start(name) for name in ("first", "second", "third")}
        await soon(many.holder, within=MOVES_WITHIN_SECONDS)
        for text in ("/help", "/privacy"):
            # What it has just sent is marked first: otherwise the chat waits for its lease to end, by a clock that stands.
            await many.rest()
            holder = str(many.holder())
            await members.pop(holder).kill()
            before = len(said_to(kim))
            await kim.send(text)
            took = await soon(lambda holder=holder: many.holder() not in (None, holder), within=MOVES_WITHIN_SECONDS)
            assert took <= MOVES_WITHIN_SECONDS
            await becomes(lambda before=before: len(said_to(kim)) == before + 1, within=30)
        await many.rest()
        assert many.play.telegram.overlapping_polls == 0


async def test_a_process_that_is_cut_off_loses_its_duty_and_comes_back(postgresql_url: str, tmp_path: Path) -> None:
    """No FIN, no error, just silence: the server takes the duty from it; mended, it works again, and doubles nothing."""
    socket = f"{make_url(postgresql_url).query['host']}/.s.PGSQL.5432"
    async with Proxy(socket) as line, crowd(postgresql_url, tmp_path, customers=3) as (many, people):
        await many.start("far", proxy=line)
        await soon(lambda: many.holder() == "far", within=MOVES_WITHIN_SECONDS)
        await many.start("near")
        assert many.holder() == "far"
        line.cut()
        for each in people:
            await each.send("/help")
        await soon(lambda: many.holder() == "near", within=MOVES_WITHIN_SECONDS)
        for each in people:
            await in_time(each, "/privacy")
        line.mend()
        await many.rest()
        for each in people:
            assert len(questions_to(each, "/privacy")) == 1
        # Moved, not doubled: the one that was cut off had stopped asking before the other began.
        assert many.play.telegram.overlapping_polls == 0
        await many.members[-1].kill()
        await soon(lambda: many.holder() == "far", within=2 * MOVES_WITHIN_SECONDS)
        await people[0].send("/help")
        await becomes(lambda: len(questions_to(people[0], "/privacy")) == 2, within=30)


async def test_a_process_whose_connections_are_ended_goes_on_by_itself(postgresql_url: str, tmp_path: Path) -> None:
    """The database restarts, or an administrator ends its sessions: it connects anew, and nothing is lost."""
    async with crowd(postgresql_url, tmp_path, customers=2) as (many, people):
        only = await many.start("only")
        await soon(many.holder, within=MOVES_WITHIN_SECONDS)
        for place in range(3):
            for each in people:
                await each.send(f"/help {place}")
            await soon(lambda: many.terminate(only), within=30)  # it connects anew when it next needs to
        await becomes(lambda: all(len(questions_to(each, "/privacy")) == 3 for each in people), within=60)
        await many.rest()
        assert many.play.telegram.overlapping_polls == 0


async def test_a_process_that_stops_cleanly_hands_everything_over(postgresql_url: str, tmp_path: Path) -> None:
    """A restart one after the other: what is in flight is finished, the duty is free at once, nothing is in doubt."""
    number = 12
    async with crowd(postgresql_url, tmp_path, customers=number) as (many, people):
        first, second = await many.start("first"), await many.start("second")
        await many.happens(*delivered(sales(number), many.play.clock.now()))
        await many.rest()
        many.advance(timedelta(days=2))
        await becomes(lambda: any(questions_to(each, ARRIVED) for each in people), within=60)
        await first.stop()
        await many.start("third")
        await second.stop()
        await soon(lambda: many.holder() == "third", within=MOVES_WITHIN_SECONDS)
        await many.rest()
        assert [len(questions_to(each, ARRIVED)) for each in people] == [1] * number
        assert many.ask("SELECT count(*) FROM outbox WHERE state IN ('unknown', 'failed')") == [(0,)]


# Old and new --------------------------------------------------------------------------------------------------------


async def test_a_rolling_upgrade_under_load_loses_and_doubles_nothing(postgresql_url: str, tmp_path: Path) -> None:
    """A newer program migrates while the old one works; the old one restarts on the new schema; both share the work."""
    number = 12
    later = plant(tmp_path / "later", EXPANDS)
    async with crowd(postgresql_url, tmp_path, customers=number) as (many, people):
        old = await many.start("old")
        await many.happens(*delivered(sales(number), many.play.clock.now()))
        many.advance(timedelta(days=2))
        await many.start("new", "--migrate", "--planted", str(later))
        assert many.ask("SELECT version_num FROM alembic_version") == [("9001",)]
        happy, unhappy = people[::2], people[1::2]
        for each in people:
            await in_time(each, ARRIVED)
        answering = asyncio.gather(*map(answer_happily, happy), *map(answer_unhappily, unhappy))
        await old.stop()
        await many.start("old-again")
        await answering
        await many.happens(*(order("order.placed", f"2{sale}", customer=f"c-{sale}") for sale in sales(number)))
        await many.rest()
        for each in people:
            assert len(said_to(each)) == len(set(said_to(each)))
            assert len(questions_to(each, ARRIVED)) == 1
        assert len(many.play.channels["wine"].messages) == len(unhappy)
        assert many.ask("SELECT count(*), min(tries_left), max(tries_left) FROM outbox WHERE tries_left <> 3") == [
            (0, None, None)
        ]
        assert many.ask("SELECT count(*) FROM sales") == [(2 * number,)]
        assert many.ask("SELECT count(*) FROM inbox WHERE state IN ('new', 'failed')") == [(0,)]


async def test_a_contract_migration_waits_for_the_old_program_and_then_keeps_it_out(
    postgresql_url: str, tmp_path: Path
) -> None:
    """While an old process runs, the step that would break it is refused; once it is taken, an old one does not start."""
    later = plant(
        tmp_path / "later", TAKES_AWAY.replace("sales", "promises").replace("extra", "made_by"), oldest_program="9001"
    )
    async with crowd(postgresql_url, tmp_path) as (many, _):
        old = await many.start("old")
        with pytest.raises(Refused, match="takes away what programs before 9001 need"):
            await many.start("new", "--migrate", "--planted", str(later))
        await old.stop()
        await many.start("new", "--migrate", "--planted", str(later))
        with pytest.raises(Refused, match="the database was made by a newer aftersale"):
            await many.start("old-again")
