"""The sandbox to play with: the demo's stage, its people, and everything that one may let happen there.

Whatever is done goes the way that it goes in life: to the sandbox's Telegram and Slack, or as an event of the shop.
What came of it is read as a `bot.pages.scene.Scene`. One thing after the other, whichever window it comes from.
"""

import asyncio
import contextlib
import json
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from bot.adapters.sandbox.slack import CannotDo, Channel, Member, Message
from bot.adapters.sandbox.slack.forms import Answer
from bot.adapters.sandbox.telegram import ChatMessage, Customer, SandboxError
from bot.app.story import coming
from bot.demo import tale as tales
from bot.demo.stage import Stage, open_stage
from bot.demo.tale import START, TALES, Tale
from bot.errors import ConfigurationError, FollowUpError
from bot.pages.scene import Bubble, Chat, Order, Post, Room, Scene, Staff, Step
from bot.ports.store import UnitOfWork
from bot.satisfaction import FACTORS, satisfaction
from bot.settings import Settings

_log = structlog.get_logger("aftersale.pages")

MORNING = 9
LOOK_EVERY = 0.2
"""Seconds between looks at what came of itself (an answer that is late); what somebody does is looked at at once."""
EVENTS = ("order.placed", "order.shipped", "order.delayed", "order.delivered", "order.returned")
_ENOUGH_STEPS = 500
"""So many moments one jump takes at most, so that no flow can keep it going for ever."""


@dataclass(slots=True)
class Guest:
    """A customer: their tale, their Telegram, and their orders, the newest last."""

    tale: Tale
    customer: Customer
    orders: list[str] = field(default_factory=list)


class Playground:
    """One sandbox, seen from any number of windows.

    Attributes:
        scene: what is to be seen now.
        version: how often the scene has changed; windows compare it.
        is_busy: whether something is under way.
    """

    def __init__(self, flows_dir: Path | None = None) -> None:
        """Be ready to begin. `flows_dir`: flows to play instead of the shipped ones."""
        self._flows_dir = flows_dir
        self._open = AsyncExitStack()
        self._acting = asyncio.Lock()
        self._stage: Stage | None = None
        self._wire: object = None
        self.guests: list[Guest] = []
        self.members: dict[str, Member] = {}
        self._errors: dict[str, tuple[tuple[str, str], ...]] = {}
        self.scene = Scene(START, (), (), ())
        self.version = 0
        self.is_busy = False

    @property
    def stage(self) -> Stage:
        """The stage as it stands now."""
        if self._stage is None:
            raise FollowUpError("the sandbox is being set up; try again in a moment")
        return self._stage

    @property
    def zone(self) -> ZoneInfo:
        """On whose clock times are shown."""
        return ZoneInfo(self.stage.shop.time_zone)

    # beginning, and beginning anew

    async def begin(self) -> None:
        """Open a stage on which nothing has happened yet."""
        folder = self._open.enter_context(tempfile.TemporaryDirectory(prefix="aftersale-sandbox-"))
        stage = await self._open.enter_async_context(open_stage(Path(folder), START, self._flows_dir))
        demand_sandbox(stage.settings, stage.telegram.base_url, stage.slack.base_url)
        self._stage = stage
        self._errors.clear()
        self.guests = [
            Guest(tale, stage.telegram.customer(first_name=tale.first_name, language_code=tale.locale))
            for tale in TALES
        ]
        names = dict.fromkeys([*tales.STAFF.values(), tales.SOMEBODY])
        made = [stage.slack.member(name, f"U{name.partition(' ')[0].upper()}") for name in names]
        self.members = {member.id: member for member in made}
        await stage.rest()
        await self.look()

    async def close(self) -> None:
        """Close the stage; nothing is left behind."""
        self._stage = None
        stack, self._open = self._open, AsyncExitStack()
        await stack.aclose()

    async def start_over(self) -> None:
        """Begin anew, in every window."""
        async with self._acting:
            self.is_busy = True
            self.version += 1
            try:
                await self.close()
                await self.begin()
            finally:
                self.is_busy = False
                self.version += 1

    # letting something happen

    async def act(self, work: Callable[[], Awaitable[object]]) -> str:
        """Do something and wait until all has come to rest. Gives what kept it from being done, in words, or ""."""
        async with self._acting:
            self.is_busy = True
            self.version += 1
            try:
                await work()
                await self.stage.rest()
            except (FollowUpError, SandboxError, CannotDo, LookupError, TimeoutError) as error:
                return str(error)
            finally:
                self.is_busy = False
                await self.look()
                self.version += 1
        return ""

    async def happens(self, guest: Guest, kind: str) -> None:
        """Let the shop's system tell of an order event; `order.placed` begins a new order."""
        if kind == "order.placed":
            number = len(guest.orders) + 1
            guest.orders.append(guest.tale.sale if number == 1 else f"{guest.tale.sale}-{number}")
        elif not guest.orders:
            raise FollowUpError("there is no order yet")
        await self.stage.happens(self._event(guest, kind))

    def _event(self, guest: Guest, kind: str) -> dict[str, object]:
        now = self.stage.clock.now()
        told = guest.tale.events()[0][1]
        order = guest.orders[-1]
        promise = dict(guest.tale.promise)
        if "due_at" in promise:
            # As long after the order as in the tale.
            promise["due_at"] = (now + (datetime.fromisoformat(promise["due_at"]) - guest.tale.placed)).isoformat()
        sale = {**told["sale"], "id": order}
        if kind == "order.placed":
            sale["promises"] = [promise]
        else:
            del sale["promises"]
        event_id = f"evt-{order}-{kind}-{now.timestamp():.0f}"
        return {"id": event_id, "type": kind, "occurred_at": now.isoformat(), "sale": sale}

    async def scan(self, guest: Guest) -> None:
        """Let a customer scan the code on their newest receipt and press Start."""
        link = await self.stage.link(guest.orders[-1])
        await guest.customer.start(link.partition("start=")[2])

    # time

    async def next_thing(self) -> None:
        """Go to the next moment at which something happens of itself."""
        due = await self.stage.next_due()
        if due is None:
            raise FollowUpError("nothing is planned")
        self.stage.clock.move_to(due)

    async def go_on(self, by: timedelta) -> None:
        """Go on by a span, stopping at every moment on the way."""
        await self.go_to(self.stage.clock.now() + by)

    async def next_morning(self) -> None:
        """Go to the next morning on the shop's clock."""
        local = self.stage.clock.now().astimezone(self.zone)
        morning = local.replace(hour=MORNING, minute=0, second=0, microsecond=0)
        await self.go_to(morning if morning > local else morning + timedelta(days=1))

    async def go_to(self, at: datetime) -> None:
        """Go to a time, stopping at every moment on the way, so that each thing happens when it should."""
        for _ in range(_ENOUGH_STEPS):
            due = await self.stage.next_due()
            if due is None or due > at:
                break
            self.stage.clock.move_to(due)
            await self.stage.rest()
        self.stage.clock.move_to(at)

    # staff

    def message(self, room: str, ts: str) -> Message:
        """Find a message of a channel.

        Raises:
            LookupError: it is there no more.
        """
        channel = next(each for each in self.stage.channels if each.id == room)
        if ts not in channel.by_ts:
            raise LookupError("this message is there no more")
        return channel.by_ts[ts]

    def channel(self, room: str) -> Channel:
        """Find a channel."""
        return next(each for each in self.stage.channels if each.id == room)

    async def submit(self, member: Member, answers: Mapping[str, Answer]) -> None:
        """Fill in a member's open modal and send it; what the app finds wrong is shown at its fields.

        Raises:
            FollowUpError: the app did not answer, or Slack did not take its answer.
        """
        self._errors.pop(member.id, None)
        done = await member.submit(answers)
        self._errors[member.id] = tuple(done.errors.items())
        if not done.acked or done.problem:
            raise FollowUpError(f"Slack did not take it: {done.problem or 'no answer came'}")

    # looking

    async def look(self) -> None:
        """Bring `scene` up to date."""
        stage = self._stage
        if stage is None:
            return
        wire = (
            stage.clock.now(),
            tuple(map(_chat, self.guests)),
            tuple(Room(each.id, each.name, _posts(stage, each.messages)) for each in stage.channels),
            tuple(self._staff(stage, each) for each in self.members.values()),
        )
        if wire == self._wire and not self._acting.locked():
            return
        orders, steps = await stage.read(self._books)
        scene = Scene(*wire, orders, steps, await stage.next_due())
        self._wire = wire
        if scene != self.scene:
            self.scene = scene
            self.version += 1

    async def watch(self) -> None:
        """Go on looking, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if self._stage is None or self._acting.locked():
                continue
            try:
                await self.look()
            except Exception:  # noqa: BLE001 - the next look may succeed; the windows show the last scene meanwhile
                _log.exception("sandbox_look_failed")

    def _staff(self, stage: Stage, member: Member) -> Staff:
        view, home = member.view, member.home
        return Staff(
            member.id,
            member.name,
            view=json.dumps(view) if view else "",
            home=json.dumps(home) if home else "",
            whispers=_posts(stage, member.ephemerals),
            errors=self._errors.get(member.id, ()) if view else (),
        )

    def _books(self, uow: UnitOfWork) -> tuple[tuple[Order, ...], tuple[Step, ...]]:
        orders: list[Order] = []
        steps: list[Step] = []
        house, now = self.stage.program.house, self.stage.clock.now()
        for place, guest in enumerate(self.guests):
            for sale_id in guest.orders:
                sale = uow.sale(sale_id)
                customer = uow.customer(sale.customer_id) if sale else None
                if sale is None or customer is None:
                    continue
                case = next(iter(uow.cases_of(sale_id)), None)
                orders.append(
                    Order(
                        id=sale_id,
                        chat=place,
                        summary=sale.summary,
                        stage=sale.stage,
                        is_linked=customer.chat_id is not None,
                        is_complete=sale.confirmed_at is not None,
                        factors=tuple((factor, sale.factors.get(factor)) for factor in FACTORS),
                        satisfaction=satisfaction(sale.factors),
                        case=case.status if case else None,
                        is_answered=case is not None and case.answered_at is not None,
                        promises=tuple((each.text, each.state) for each in uow.promises_of(sale_id)),
                    )
                )
                steps += [
                    Step(each.at, each.what, each.reason, sale_id, guest.tale.first_name)
                    for each in coming(uow, house, sale, customer, now)
                ]
        steps.sort(key=lambda each: (each.at is None, each.at or now))
        return tuple(orders), tuple(steps)


def demand_sandbox(settings: Settings, telegram: str, slack: str) -> None:
    """Make sure that everything which goes out goes to the sandbox, whose addresses are `telegram` and `slack`.

    Raises:
        ConfigurationError: it would go to real people.
    """
    problem = "the sandbox page never runs beside real tokens"
    mend = "use aftersale run, and the console, for your shop"
    if settings.telegram_api_base != telegram:
        raise ConfigurationError("TELEGRAM_API_BASE", problem, mend)
    if settings.slack_api_base.rstrip("/") != slack.rstrip("/"):
        raise ConfigurationError("SLACK_API_BASE", problem, mend)


@asynccontextmanager
async def open_playground(flows_dir: Path | None = None) -> AsyncIterator[Playground]:
    """Open a sandbox and go on looking at it, while the context lasts."""
    playground = Playground(flows_dir)
    await playground.begin()
    watching = asyncio.create_task(playground.watch())
    try:
        yield playground
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await playground.close()


def _chat(guest: Guest) -> Chat:
    customer = guest.customer
    return Chat(
        guest.tale.first_name,
        customer.has_started,
        customer.has_blocked,
        tuple(_bubble(each) for each in customer.chat if not each.deleted),
        tuple(each.text for each in customer.answers if each.text),
    )


def _bubble(message: ChatMessage) -> Bubble:
    return Bubble(
        message.message_id,
        not message.from_bot,
        # A deep link's token is sent, but Telegram's own client does not show it.
        re.sub(r"^/start\b.*", "/start", message.text or message.caption),
        tuple(map(tuple, message.buttons)),
        message.at,
        message.edited,
        message.media,
    )


def _posts(stage: Stage, messages: Sequence[Message]) -> tuple[Post, ...]:
    people = stage.slack.workspace
    return tuple(
        Post(
            each.ts,
            people.name_of(each.user),
            each.bot_id is not None,
            each.sent_at,
            each.text,
            json.dumps(each.blocks),
            each.edited is not None,
            tuple(str(file.get("name", "")) for file in each.files),
            _posts(stage, each.replies),
        )
        for each in messages
    )
