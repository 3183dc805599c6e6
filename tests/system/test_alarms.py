"""Alarms from the facts in the database to the words in Slack: once each, by one program, whatever is down."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import aiohttp

from bot.adapters.clock import MovableClock
from bot.app.alarming import INBOUND, Alarming
from bot.app.lookout import ALARMS, Lookout, Pulse
from bot.messages import House
from bot.ports.records import Incoming
from bot.ports.store import UnitOfWork
from bot.ports.watch import Nobody
from bot.silence import Habit, Inbound, write_inbound
from storage.database import SqlDatabase, open_database
from tests.system.stage import MORNING, Stage, becomes, order, shipped_flows, shop, stage

OPS = "COPS"
MINUTE = timedelta(minutes=1)
POISON = "🚨 1 thing that came in could not be handled\n→ aftersale inbox list --state failed says why"


class Watcher:
    """The part of a program that looks and tells, over a database on which nothing else works."""

    def __init__(self, url: str, clock: MovableClock, *duties: str) -> None:
        self.clock, self.database = clock, open_database(url)
        self.house = House(shop(ops_channel=OPS), shipped_flows(), clock)
        self.lookout = Lookout(self.database, clock)
        self.lookout.duties += duties
        self.alarming = Alarming(self.house, self.database, self.lookout)

    async def look(self, times: int = 1, every: timedelta = MINUTE) -> None:
        """Look, let what is told go out, and let time pass."""
        for _ in range(times):
            await self.alarming.look()
            self.database.run_now(self._sent)
            self.clock.advance(every)

    @staticmethod
    def _sent(uow: UnitOfWork) -> None:
        for each in uow.outbox(("waiting",), 100):
            assert (each.channel, each.kind, each.body["channel"]) == ("slack", "alarm", OPS)
            uow.put_outgoing(replace(each, state="sent"))

    @property
    def words(self) -> list[str]:
        """What was told the operator so far, oldest first."""
        return [each.body["text"] for each in self.database.reports().outbox(("sent",), 100)]

    def receive(self, *items: Incoming) -> None:
        """Let something come in."""
        self.database.run_now(lambda uow: uow.receive(items))

    async def close(self) -> None:
        """End, as a program does."""
        await self.lookout.close()
        self.database.close()


@contextmanager
def poisoned(database: SqlDatabase, key: str = "bad") -> Iterator[None]:
    """Keep something that cannot be handled in the inbox while the block lasts."""
    item = Incoming("shop", key, f"sale:{key}", {"nonsense": True}, MORNING)
    database.run_now(lambda uow: uow.receive([item]))
    (row,) = (each.id or 0 for each in database.reports().inbox(("new",), 10) if each.key == key)
    database.run_now(lambda uow: uow.settle_incoming(row, "failed", "type: is missing"))
    yield
    database.run_now(lambda uow: uow.settle_incoming(row, "done"))


async def test_poison_is_told_once_in_the_ops_channel_and_once_when_it_is_gone(database_url: str) -> None:
    """From a row that cannot be handled to a line in Slack; another look and a restart add nothing; retried, it is over."""
    async with stage(database_url, the_shop=shop(ops_channel=OPS)) as play:
        ops = play.slack.channel(OPS, "ops")
        await play.program.commit([Incoming("shop", "bad", "sale:bad", {"nonsense": True}, play.clock.now())])
        await play.rest()
        for _ in range(3):
            await look(play)
        assert [message.text for message in ops.messages] == [POISON]
        await play.close()
        await play.open()
        await look(play)
        assert len(ops.messages) == 1
        (row,) = await play.read(lambda uow: uow.inbox(("failed",), 10))
        await play.read(lambda uow: uow.settle_incoming(row.id or 0, "ignored", "an operator says so"))
        await look(play)
        play.clock.advance(3 * MINUTE)
        await look(play)
        [_, over] = [message.text for message in ops.messages]
        assert over == "✅ Resolved after 4 min: 1 thing that came in could not be handled"
        assert play.channels["customers"].messages == []


async def look(play: Stage) -> None:
    """Look whether something is to be told, let it go out, and let a minute pass."""
    await play.service.alarming.look()
    await play.rest()
    play.clock.advance(MINUTE)


async def test_without_an_ops_channel_the_fallback_channel_hears_of_it(sqlite_url: str) -> None:
    """An alarm that nobody sees is none."""
    async with stage(sqlite_url) as play:
        with poisoned(play.program.database):
            await look(play)
        assert [message.text for message in play.channels["customers"].messages] == [POISON]


async def test_an_ops_channel_that_cannot_be_used_is_told_of_in_the_fallback_channel(sqlite_url: str) -> None:
    """The channel is unknown to Slack: the alarm comes where it can be seen, and says what to mend."""
    async with stage(sqlite_url, the_shop=shop(ops_channel="CNOWHERE")) as play:
        with poisoned(play.program.database):
            await look(play)
        [message] = play.channels["customers"].messages
        assert message.text.startswith(POISON)
        assert "the channel CNOWHERE for alarms cannot be used" in message.text
        assert "shop.yaml" in message.text


async def test_an_alarm_waits_while_both_channels_are_gone(sqlite_url: str) -> None:
    """Even the fallback channel is archived: it waits in the outbox with its reason, and comes once that is open."""
    async with stage(sqlite_url) as play:
        play.channels["customers"].archive()
        with poisoned(play.program.database):
            await look(play)
            [waiting] = await play.sent("waiting")
            assert "cannot be used" in (waiting.reason or "")
            play.channels["customers"].is_archived = False
            await play.pass_time(6 * MINUTE)
            assert [message.text for message in play.channels["customers"].messages] == [POISON]


async def test_while_slack_is_down_the_alarm_waits_and_health_says_it(sqlite_url: str) -> None:
    """The words are in the outbox, the log and /health meanwhile; when Slack is back they arrive, in their order."""
    async with stage(sqlite_url, the_shop=shop(ops_channel=OPS)) as play:
        ops = play.slack.channel(OPS, "ops")
        play.slack.down = True
        await becomes(lambda: any(each.startswith("Slack:") for each in play.service.problems()))
        with poisoned(play.program.database):
            for _ in range(6):
                await play.service.alarming.look()
                play.clock.advance(MINUTE)
            keys = {each["key"].split(":")[1] for each in play.log if each["event"] == "alarm"}
            assert keys == {"failed", "unreached"}
            async with aiohttp.ClientSession() as session, session.get(f"{play.service.address}/health") as answer:
                state = await answer.json()
            assert answer.status == 503
            assert any(each.startswith("Slack: not connected") for each in state["problems"])
            assert state["warnings"] == ["Inbox: 1 could not be handled → aftersale inbox list --state failed"]
            play.slack.down = False
            await play.slack.wait_connected(40)
            await play.pass_time(20 * MINUTE)
        told = [message.text for message in ops.messages]
        assert told[0].startswith(POISON)
        assert told[1].startswith("🚨 Slack: not connected")


async def test_the_loop_looks_by_itself_and_outlives_a_bad_look(sqlite_url: str) -> None:
    """With the database's tables away a look fails and is logged; the next one, with them back, tells."""
    async with stage(sqlite_url, the_shop=shop(ops_channel=OPS)) as play:
        ops = play.slack.channel(OPS, "ops")
        await play.read(lambda uow: rename(uow, "notes", "notes_away"))
        looking = asyncio.create_task(play.service.alarming.run(timedelta(milliseconds=20)))
        try:
            await becomes(lambda: any(each["event"] == "look_failed" for each in play.log))
            await play.read(lambda uow: rename(uow, "notes_away", "notes"))
            with poisoned(play.program.database):
                await becomes(lambda: bool(ops.messages))
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        assert ops.messages[0].text == POISON


def rename(uow: object, table: str, name: str) -> None:
    uow._connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {name}")  # type: ignore[attr-defined]


async def test_a_queue_that_grows_is_told_and_one_that_is_worked_off_is_not(database_url: str) -> None:
    """Nobody handles what comes in: after ten minutes it is told; when it is handled, that it is over."""
    watcher = Watcher(database_url, MovableClock(MORNING))
    watcher.receive(Incoming("shop", "one", "sale:1", {}, MORNING))
    await watcher.look(10)
    assert watcher.words == []
    await watcher.look()
    assert watcher.words[0].startswith("🚨 The inbox (shop) lags 10 min behind")
    (row,) = watcher.database.reports().inbox(("new",), 2)
    watcher.database.run_now(lambda uow: uow.settle_incoming(row.id or 0, "done"))
    await watcher.look(4)
    assert [text[:1] for text in watcher.words] == ["🚨", "✅"]
    # A month away: what came in meanwhile is old, but it becomes less and less.
    items = [Incoming("shop", f"old{day}", "sale:2", {}, MORNING + day * timedelta(hours=1)) for day in range(30)]
    watcher.receive(*items)
    watcher.clock.advance(timedelta(days=30))
    for row in watcher.database.reports().inbox(("new",), 30):
        await watcher.look()
        watcher.database.run_now(lambda uow, row=row: uow.settle_incoming(row.id or 0, "done"))  # type: ignore[misc]
    assert len(watcher.words) == 2
    await watcher.close()


async def test_silence_is_told_when_it_is_longer_than_normal(sqlite_url: str) -> None:
    """A shop that usually sells in three quarters of each hour by day: hours without an order are told; one order ends it."""
    usual = dict.fromkeys((day * 24 + hour for day in range(7) for hour in range(8, 18)), (3.0, 5))
    learnt = Inbound(MORNING, 0, {"shop": MORNING}, {"shop": Habit(usual=usual)})
    watcher = Watcher(sqlite_url, MovableClock(MORNING))
    watcher.database.run_now(lambda uow: uow.put_note(INBOUND, write_inbound(learnt)))
    await watcher.look(18, every=timedelta(minutes=9))
    assert watcher.words == []
    await watcher.look(10, every=timedelta(minutes=9))
    [told] = watcher.words
    assert told.startswith("🚨 Nothing has come from the shop for 3 h")
    health = await watcher.lookout.health()
    assert health["ready"]
    assert any("nothing has come from the shop" in line for line in health["warnings"])
    await watcher.look(60, every=timedelta(minutes=9))
    assert len(watcher.words) == 1
    watcher.receive(Incoming("shop", "at last", "sale:1", {}, watcher.clock.now()))
    settle_all(watcher)
    await watcher.look(4)
    assert watcher.words[1].startswith("✅ Resolved after")
    await watcher.close()


def settle_all(watcher: Watcher) -> None:
    for row in watcher.database.reports().inbox(("new",), 10):
        watcher.database.run_now(lambda uow, row=row: uow.settle_incoming(row.id or 0, "done"))  # type: ignore[misc]


async def test_a_duty_without_a_holder_is_told(postgresql_url: str) -> None:
    """Nobody polls Telegram: after a minute it is told, and when some program takes the duty, that it is over."""
    watcher = Watcher(postgresql_url, MovableClock(MORNING), "telegram-polling")
    other = open_database(postgresql_url)
    await watcher.look(3)
    [told] = watcher.words
    assert told.startswith("🚨 No program has the duty 'telegram-polling'")
    assert any("telegram-polling" in line for line in (await watcher.lookout.health())["problems"])
    assert other.duties.hold("telegram-polling")
    await watcher.look(4)
    assert watcher.words[1].startswith("✅ Resolved after")
    other.close()
    await watcher.close()


async def test_of_several_programs_one_tells_and_another_takes_over(postgresql_url: str) -> None:
    """Both look all the time; each thing is told once, also when the first dies in the middle of it."""
    clock = MovableClock(MORNING)
    first, second = Watcher(postgresql_url, clock), Watcher(postgresql_url, clock)
    with poisoned(second.database):
        for _ in range(5):
            await first.look()
            await second.look()
        assert second.words == [POISON]
        await first.close()
        await second.look(5)
        assert second.words == [POISON]
    await second.look(4)
    assert [text[:1] for text in second.words] == ["🚨", "✅"]
    await second.close()


async def test_what_is_known_of_alarms_is_in_the_database(sqlite_url: str) -> None:
    """A program that starts anew reads which alarms are on, and what is usual, where the last one wrote it."""
    clock = MovableClock(MORNING)
    first = Watcher(sqlite_url, clock)
    first.receive(Incoming("telegram", "one", "chat:1", {}, MORNING))
    settle_all(first)
    second = Watcher(sqlite_url, clock)
    with poisoned(second.database):
        await first.look(6)
        await first.close()
        await second.look()
        assert second.words == [POISON]
        assert "failed:inbox" in (second.database.reports().note(ALARMS) or "")
        assert second.alarming._inbound is not None
        assert second.alarming._inbound.last["telegram"] == MORNING
    await second.close()


async def test_sending_that_comes_to_nothing_counts_as_not_reached() -> None:
    """Three attempts in a row over three minutes that nobody took; a refusal is an answer, and ends it."""
    clock = MovableClock(MORNING)
    pulse = Pulse(Nobody(), clock)
    for _ in range(3):
        assert pulse.why("slack") is None
        pulse.attempted("slack", "card", "delayed")
        clock.advance(MINUTE)
    assert "no message got through for 3 min" in (pulse.why("slack") or "")
    assert pulse.why("telegram") is None
    pulse.attempted("slack", "card", "refused")
    assert pulse.why("slack") is None


async def test_orders_and_talks_make_no_alarm(database_url: str) -> None:
    """A day on which all goes well is a day without a word of the program's own."""
    async with stage(database_url, the_shop=shop(ops_channel=OPS)) as play:
        ops = play.slack.channel(OPS, "ops")
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.happens(order("order.delivered"))
        for _ in range(4):
            await look(play)
            await play.pass_time(timedelta(hours=14))
        assert any("Was everything as we promised?" in message.text for message in freja.chat)
        await look(play)
        assert ops.messages == []
