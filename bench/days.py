"""Sixty simulated days of one sale, with every guard asked: what a preview, or a test that travels in time, waits for.

The use cases and the database are the real ones (SQLite in memory); Telegram and Slack are channels that record. The
parcel comes late in the evening; the customer is silent, is reminded, is not quite happy and says why; staff claim the
case, reply, and note a remedy; the customer is asked again and says that it is right. Opening the program is not
counted.
"""

import time
from datetime import datetime, timedelta
from typing import Any

from bench.contender import Values, run
from bench.figures import Figure, Measurement, attempt
from bench.server import FIRST_CHAT
from bench.shop import DELIVERED, Recorder, bare_program, link, open_shop, order_event, take_in
from bench.world import Builder
from bot.adapters.clock import MovableClock
from bot.adapters.slack.translate import incoming as act
from bot.adapters.telegram.translate import incoming as update
from bot.app.program import Program
from bot.desk.shop import Guards
from bot.ports.records import Outgoing

DAYS = 60
_EVENING = DELIVERED + timedelta(hours=13, minutes=40)


async def measure(builder: Builder) -> list[Measurement]:
    """Play it some times."""
    figure = Figure("aftersale", "ours")
    for _ in range(builder.sizes.days_runs):
        if figure.failure is None:
            await attempt(figure, _ours())
    measured = Measurement(
        "days",
        f"{DAYS} simulated days of one sale with all guards, from the parcel to “it is right now”",
        "run_ms",
        [figure],
        ("cpu_ms", "count"),
        note="Each run in a process of its own, after one that only warms up.",
    )
    measured.at_most("< 50 ms", measured.value("aftersale", "run_ms"), 50, "{:.0f} ms")
    return [measured]


async def _ours() -> Values:
    values: Values = await run("bench.days:ours")
    return values


async def ours() -> Values:
    """Play it twice; the second counts."""
    await _played()
    return await _played()


async def _played() -> Values:
    telegram, slack = Recorder(), Recorder()
    guards = Guards(ask_every=timedelta(hours=20), pause_after_talk=timedelta(minutes=30))
    with bare_program("sqlite://", {"telegram": telegram, "slack": slack}, open_shop(guards=guards)) as (
        program,
        clock,
    ):
        begun, cpu = time.perf_counter(), time.process_time()
        await _play(program, clock, telegram, slack)
        took, used = time.perf_counter() - begun, time.process_time() - cpu
        sale = await program.database.run(lambda uow: uow.sale("s-1"))
        if sale is None or sale.confirmed_at is None or not slack.taken:
            raise RuntimeError(f"the story went another way: {[each.body.get('text') for each in telegram.taken]}")
        return {"run_ms": took * 1000, "cpu_ms": used * 1000, "count": len(telegram.taken) + len(slack.taken)}


async def _play(program: Program, clock: MovableClock, telegram: Recorder, slack: Recorder) -> None:
    clock.move_to(_EVENING)
    end = _EVENING + timedelta(days=DAYS)
    await take_in(program, [order_event(1, at=_EVENING)])
    await link(program, "c-1", FIRST_CHAT)
    customer = _Customer(program, clock)
    reminder = await _until(program, clock, telegram, "reminder", end)
    clock.advance(timedelta(minutes=12))
    await customer.tap(reminder, 1)
    clock.advance(timedelta(minutes=2))
    await customer.write("one bottle was corked")
    case = next(each.case_id for each in slack.taken if each.case_id)
    for hours, kind, fields in (
        (1, "claim", {"channel": "CWINE"}),
        (1, "reply", {"name": "Jonas", "text": "A new bottle leaves today, Freja."}),
        (20, "remedy", {"remedy": "replacement", "note": "one bottle"}),
    ):
        clock.advance(timedelta(hours=hours))
        item = act(kind, key=kind, case_id=case, by="U1", now=clock.now(), **fields)  # type: ignore[arg-type]
        await program.commit([item])
        await program.settle()
    telegram.taken.clear()
    question = await _until(program, clock, telegram, "question", end)
    clock.advance(timedelta(minutes=30))
    await customer.tap(question, 0)
    await _pass(program, clock, end)


class _Customer:
    """Somebody who taps and writes."""

    def __init__(self, program: Program, clock: MovableClock) -> None:
        self._program, self._clock, self._number = program, clock, 0

    async def tap(self, message: Outgoing, choice: int) -> None:
        """Tap a button of a message."""
        data = message.body["buttons"][choice][0]["data"]
        await self._send({"callback_query": {"id": "1", "from": {"id": FIRST_CHAT}, "data": data}})

    async def write(self, text: str) -> None:
        """Write words."""
        chat = {"id": FIRST_CHAT, "type": "private"}
        await self._send({"message": {"message_id": 90, "from": {"id": FIRST_CHAT}, "chat": chat, "text": text}})

    async def _send(self, what: dict[str, Any]) -> None:
        self._number += 1
        await self._program.commit([update({"update_id": self._number, **what}, self._clock.now())])
        await self._program.settle()


async def _until(program: Program, clock: MovableClock, telegram: Recorder, kind: str, end: datetime) -> Outgoing:
    """Let time pass until a message of that kind went out, and give it."""
    while clock.now() < end:
        found = next((each for each in telegram.taken if each.kind == kind), None)
        if found is not None:
            return found
        await _step(program, clock, end)
    raise RuntimeError(f"no {kind} went out within {DAYS} days")


async def _pass(program: Program, clock: MovableClock, end: datetime) -> None:
    while clock.now() < end:
        await _step(program, clock, end)


async def _step(program: Program, clock: MovableClock, end: datetime) -> None:
    """Go to whatever is due next, at the latest to `end`, and do it."""
    times = await program.database.run(lambda uow: (uow.next_moment_at(), uow.next_outgoing_at()))
    ahead = [at for at in times if at is not None and at > clock.now()]
    clock.move_to(min([*ahead, end]))
    await program.settle()
