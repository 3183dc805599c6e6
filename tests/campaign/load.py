"""The people of a campaign, each with dice of their own: the shop that sells, customers who answer, staff who put right.

What each of them did is written into the `Ledger`, for the books. They know nothing of the faults: a person whose tap
had no effect taps again, a shop that got no answer sends again. What must not live here: anything the program decides.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import aiohttp
from sqlalchemy.exc import DBAPIError
from standardwebhooks import Webhook

from bot.adapters.sandbox.slack import CannotDo, Member, Message
from bot.adapters.sandbox.telegram import ChatMessage, Customer, SandboxError
from bot.adapters.slack.blocks import EVENT_TYPE, REMEDY
from bot.adapters.slack.words import label, state
from bot.errors import ConfigurationError
from bot.ports.records import LinkToken
from bot.sales import hash_token
from storage.database import open_database
from tests.campaign.dice import dice
from tests.campaign.world import World
from tests.system.stage import INTAKE_SECRET, order

PATIENCE = 0.15
"""Seconds of real time between two looks of a person at their screen, on average."""
KINDS = ("wine", "fashion", "skincare", "other")
TEAMS = ("delivery", "accounting", "wine", "fashion", "skincare")
REMEDIES = ("refund", "replacement", "credit", "explanation", "visit")
NAMES = ("Freja", "Bob", "Cara", "Dan", "Eva", "Finn", "Gro", "Hugo", "Ida", "Jens", "Kaja", "Lars")
PEOPLE = ("Anna Berg", "Bo Dahl")


@dataclass(slots=True)
class Said:
    """Words that a customer wrote: found again by `token`, which nobody else ever writes."""

    chat_id: int
    token: str


@dataclass(slots=True)
class StaffReply:
    """A reply that staff sent from Slack; `acked`: Slack was told that it is taken."""

    case_id: str
    token: str
    acked: bool


@dataclass(slots=True)
class Ledger:
    """What people did, as they would remember it."""

    said: list[Said] = field(default_factory=list)
    replies: list[StaffReply] = field(default_factory=list)
    remedies: list[tuple[str, bool]] = field(default_factory=list)
    accepted_events: list[str] = field(default_factory=list)


class Shop:
    """Sells, and tells of it by HTTP until it is told that it was heard; sometimes twice, sometimes out of order."""

    def __init__(self, world: World, ledger: Ledger, seed: str) -> None:
        self._world, self._ledger, self._dice = world, ledger, dice(seed, "shop")
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))
        self._webhook = Webhook(INTAKE_SECRET)

    async def close(self) -> None:
        """Close the shop."""
        await self._session.close()

    async def sells(self, sale: str, customer: str, name: str, tag: str) -> None:
        """Tell of a new sale, in whatever order, until all of it was heard."""
        await self._tell(self._event("order.placed", sale, customer, name, tag))

    async def lives(self, sale: str, customer: str, name: str, tag: str) -> None:
        """Tell what becomes of a sale, over the time that passes."""
        course = ["order.shipped", "order.delivered"]
        luck = self._dice.random()
        if luck < 0.15:
            course.insert(1, "order.delayed")
        elif luck < 0.25:
            course.append("order.returned")
        elif luck < 0.3:
            course = ["order.cancelled"]
        if self._dice.random() < 0.2:
            self._dice.shuffle(course)
        for kind in course:
            await asyncio.sleep(self._dice.uniform(0.2, 2.0))
            told = self._event(kind, sale, customer, name, tag)
            await self._tell(told)
            if self._dice.random() < 0.2:
                await self._tell(told)

    def _event(self, kind: str, sale: str, customer: str, name: str, tag: str) -> dict[str, Any]:
        promise = {
            "id": "p1",
            "text": "Delivered before the weekend",
            "touchpoint": "site",
            "due_at": (self._world.clock.now() + timedelta(days=2)).isoformat(),
        }
        locale = "da" if sale.endswith("3") else "en"
        return order(
            kind,
            sale,
            at=self._world.clock.now(),
            customer=customer,
            name=name,
            tags=(tag,),
            locale=locale,
            promises=(promise,) if sale.endswith(("2", "5")) else (),
            summary=f"order {sale}",
        )

    async def _tell(self, told: dict[str, Any]) -> None:
        body = json.dumps(told)
        while True:
            running = self._world.running
            if running:
                process = self._dice.choice(running)
                at = datetime.now(UTC)  # noqa: TID251 - a signature carries the real time of whoever verifies it
                headers = {
                    "content-type": "application/json",
                    "webhook-id": told["id"],
                    "webhook-timestamp": str(int(at.timestamp())),
                    "webhook-signature": self._webhook.sign(told["id"], at, body),
                }
                with suppress(aiohttp.ClientError, TimeoutError, OSError):
                    async with self._session.post(f"{process.address}/events", data=body, headers=headers) as answer:
                        if answer.status == 202:
                            self._ledger.accepted_events.append(told["id"])
                            return
            await asyncio.sleep(0.2)


def make_links(world: World, sales: list[tuple[str, str]], throw: random.Random) -> dict[str, str]:
    """Give a token of a deep link for each pair of sale and customer, as `aftersale link` makes them.

    Raises:
        ConfigurationError, DBAPIError: the database is away just now.
    """
    now = world.clock.now()
    tokens = {sale: f"{sale}-{throw.getrandbits(64):x}" for sale, _ in sales}
    database = open_database(world.tables.url)
    try:
        for sale, customer in sales:
            row = LinkToken(hash_token(tokens[sale]), sale, customer, now, now + timedelta(days=365))
            database.run_now(lambda uow, row=row: uow.put_link_token(row))
    finally:
        database.close()
    return tokens


class Buyer:
    """A customer with a phone: looks at it now and then, and does what people do."""

    def __init__(self, world: World, ledger: Ledger, seed: str, number: int, tokens: list[str]) -> None:
        self._world, self._ledger, self._tokens = world, ledger, tokens
        self._dice = dice(seed, f"buyer:{number}")
        self._number, self._words = number, 0
        self._seen = 0
        self.phone: Customer = world.telegram.customer(first_name=NAMES[number % len(NAMES)])

    async def lives(self) -> None:
        """Go on until cancelled."""
        mine = self._dice
        await asyncio.sleep(mine.uniform(0, 1))
        for token in self._tokens:
            await self.phone.start(token)
        while True:
            await asyncio.sleep(mine.uniform(0.3, 1.7) * PATIENCE)
            await self.looks()

    async def looks(self) -> None:
        """Look at the chat once: answer what is new, or do something for no reason."""
        new = [each for each in self.phone.chat if each.from_bot and each.message_id > self._seen]
        for message in new:
            self._seen = message.message_id
            await self._reacts(message)
        if not new:
            await self._idles()

    async def _reacts(self, message: ChatMessage) -> None:
        mine = self._dice
        luck = mine.random()
        labels = [label for row in message.buttons for label in row]
        if labels and luck < 0.7:
            label = labels[0] if mine.random() < 0.45 else mine.choice(labels)
            with suppress(SandboxError):
                await (self.phone.tap_twice(label) if mine.random() < 0.15 else self.phone.tap(label))
        elif labels and luck < 0.82:
            await self.writes("instead of a button")
        elif not labels and message.text.rstrip().endswith(("?", "welcome too.", "velkommen.")):
            if luck < 0.75:
                await self.writes("an answer")
            elif luck < 0.85:
                await self.phone.send_photo(self._new_words("a picture"))

    async def _idles(self) -> None:
        mine = self._dice
        luck = mine.random()
        if luck < 0.02:
            await self.writes("out of the blue")
        elif luck < 0.025:
            await self.phone.send("/help")
        elif luck < 0.029:
            await self.phone.send("/stop")
        elif luck < 0.036:
            await self.phone.start()
        elif luck < 0.039:
            await self.phone.block()
            await asyncio.sleep(mine.uniform(0.1, 0.6))
            await self.phone.unblock()
        elif luck < 0.044 and self._words:
            await self.phone.edit_last(self._new_words("changed"))
        elif luck < 0.055:
            await self._taps_something_old()

    async def _taps_something_old(self) -> None:
        asked = [each for each in self._world.telegram.arrivals if each.chat_id == self.phone.user_id and each.data]
        if asked:
            old = self._dice.choice(asked)
            await self.phone.tap_old(old.message_id, self._dice.choice(old.data))

    async def writes(self, why: str) -> None:
        """Write words that can be found again."""
        await self.phone.send(self._new_words(why))

    def _new_words(self, why: str) -> str:
        self._words += 1
        token = f"w{self._number}x{self._words}z"
        self._ledger.said.append(Said(self.phone.user_id, token))
        return f"{why} {token}"

    async def settles(self) -> bool:
        """Answer, once all is calm, what is asked: mostly yes. Gives whether anything was answered."""
        acted = False
        new = [each for each in self.phone.chat if each.from_bot and each.message_id > self._seen]
        for message in new:
            self._seen = message.message_id
            labels = [label for row in message.buttons for label in row]
            if labels and self._dice.random() < 0.8:
                with suppress(SandboxError):
                    await self.phone.tap(labels[0])
                    acted = True
        return acted


class Clerk:
    """A member of staff: looks at the channels now and then, and works on cards."""

    def __init__(self, world: World, ledger: Ledger, seed: str, number: int) -> None:
        self._world, self._ledger = world, ledger
        self._dice = dice(seed, f"clerk:{number}")
        self._number, self._words = number, 0
        self.person: Member = world.slack.member(PEOPLE[number % len(PEOPLE)])

    def cards(self) -> Iterator[tuple[Message, str]]:
        """Give every card that stands anywhere, with the id of its case."""
        for channel in self._world.channels.values():
            for message in channel.messages:
                if (message.metadata or {}).get("event_type") == EVENT_TYPE:
                    yield message, str((message.metadata or {})["event_payload"]["case_id"])

    async def lives(self) -> None:
        """Go on until cancelled."""
        while True:
            await asyncio.sleep(self._dice.uniform(0.5, 3) * PATIENCE)
            cards = list(self.cards())
            if cards:
                await self._works_on(*self._dice.choice(cards[-8:]))

    async def _works_on(self, card: Message, case_id: str) -> None:
        luck = self._dice.random()
        if state("remedied", "en").upper() in card.plain() and luck > 0.1:
            return
        if luck < 0.3:
            await self._tries(lambda: self._presses(card, "Claim"))
        elif luck < 0.6:
            await self._tries(lambda: self.replies(card, case_id))
        elif luck < 0.85:
            await self._tries(lambda: self.remedies(card, case_id))
        elif luck < 0.92:
            await self._tries(lambda: self._hands_over(card))
        else:
            with suppress(CannotDo, LookupError):
                await self.person.type_in_thread(card, "only among us")

    async def stirs(self) -> None:
        """Press a button of any card."""
        if cards := list(self.cards()):
            card, _ = self._dice.choice(cards)
            await self._tries(lambda: self._presses(card, "Claim"))

    async def _tries(self, act: Callable[[], Awaitable[bool]]) -> bool:
        """Do something in Slack; what could not be done is tried a second time, as people do."""
        for _ in range(2):
            with suppress(CannotDo, LookupError, KeyError):
                if await act():
                    return True
            await asyncio.sleep(PATIENCE)
        return False

    async def _presses(self, card: Message, button: str) -> bool:
        return (await self.person.click(card, button)).acked

    async def _opens(self, card: Message, button: str) -> bool:
        if self.person.view is not None:
            await self.person.close_view(everything=True)
        return (await self.person.click(card, button)).acked and self.person.view is not None

    async def replies(self, card: Message, case_id: str) -> bool:
        """Write to the customer of a case, look at the preview, send it."""
        if not await self._opens(card, "Reply to customer"):
            return False
        self._words += 1
        token = f"r{self._number}x{self._words}z"
        if (await self.person.submit({"text": f"We are at it {token}"})).action != "push":
            return False
        reply = StaffReply(case_id, token, acked=False)
        self._ledger.replies.append(reply)
        for _ in range(3):
            reply.acked = (await self.person.submit()).action == "clear"
            if reply.acked:
                return True
            await asyncio.sleep(PATIENCE)
        return True

    async def remedies(self, card: Message, case_id: str) -> bool:
        """Note what was done about a case."""
        if label(REMEDY, "en") not in card.buttons or not await self._opens(card, label(REMEDY, "en")):
            return False
        kind = self._dice.choice(REMEDIES)
        answers = {"kind": kind, "value": "100 kr.", "cause": "handling", "note": "done"}
        done = (await self.person.submit(answers)).action == "close"
        self._ledger.remedies.append((case_id, done))
        return done

    async def _hands_over(self, card: Message) -> bool:
        if not await self._opens(card, "Hand over"):
            return False
        team = self._dice.choice(TEAMS)
        return (await self.person.submit({"team": team, "reason": "closer to it"})).action == "close"

    async def settles(self) -> bool:
        """Note a remedy, once all is calm, for every case that still waits for one. Gives whether there was any."""
        question = "SELECT id FROM cases WHERE status IN ('open', 'claimed', 'call', 'unconfirmed')"
        waiting = {row[0] for row in await asyncio.to_thread(self._world.tables.ask, question)}
        by_age = sorted(self.cards(), key=lambda each: float(each[0].ts))
        newest = {case_id: card for card, case_id in by_age if case_id in waiting}
        acted = [await self._tries(partial(self.remedies, card, case_id)) for case_id, card in newest.items()]
        return any(acted)


class Load:
    """All of them together."""

    def __init__(self, world: World, seed: str, *, buyers: int, clerks: int = 2) -> None:
        self.world, self.ledger = world, Ledger()
        self._dice = dice(seed, "load")
        self._seed, self._buyers_wanted = seed, buyers
        self.shop = Shop(world, self.ledger, seed)
        self.buyers: list[Buyer] = []
        self.clerks = [Clerk(world, self.ledger, seed, number) for number in range(clerks)]
        self._at_work: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Sell what is sold, and let everybody live."""
        for number in range(self._buyers_wanted):
            await self.joins(number)
        self._at_work += [asyncio.create_task(each.lives()) for each in self.clerks]

    async def joins(self, number: int) -> None:
        """Let one more customer buy something, or two things, and go on living."""
        customer, name = f"c{number}", f"{NAMES[number % len(NAMES)]} Holm"
        tag = KINDS[number % len(KINDS)]
        sales = [f"{1000 + number}"] + ([f"{5000 + number}"] if number % 4 == 0 else [])
        for sale in sales:
            await self.shop.sells(sale, customer, name, tag)
        # Linked in the shop: a guest's second order may even come under another customer number.
        tokens = await self._links([(sale, customer) for sale in sales])
        buyer = Buyer(self.world, self.ledger, self._seed, number, [tokens[sale] for sale in sales])
        self.buyers.append(buyer)
        self._at_work.append(asyncio.create_task(buyer.lives()))
        self._at_work += [asyncio.create_task(self.shop.lives(sale, customer, name, tag)) for sale in sales]

    async def _links(self, sales: list[tuple[str, str]]) -> dict[str, str]:
        while True:
            with suppress(DBAPIError, ConfigurationError):
                return await asyncio.to_thread(make_links, self.world, sales, self._dice)
            await asyncio.sleep(0.2)

    async def stirs(self) -> None:
        """Have somebody do something now, so that every step of the program is taken soon."""
        if not self.buyers:
            return
        for buyer in self._dice.sample(self.buyers, min(3, len(self.buyers))):
            await buyer.phone.send("/help")
        await self._dice.choice(self.buyers).writes("stirred up")
        self._at_work.append(asyncio.create_task(self._dice.choice(self.clerks).stirs()))

    def failed(self) -> list[BaseException]:
        """Give what ended anybody's life too early: a mistake of the campaign's own."""
        done = [each for each in self._at_work if each.done() and not each.cancelled()]
        return [error for each in done if (error := each.exception()) is not None]

    async def end(self) -> None:
        """Let everybody come to rest where they are; the shop tells what it has to tell to the end."""
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)

    async def close(self) -> None:
        """Close the shop."""
        await self.shop.close()
