"""One sale played with time in one's hand: the real use cases, over a database in memory, on a clock that is moved.

What lives here: letting things happen at a moment, and going from moment to moment as the running program would find
them due, so that guards, holidays, clock changes, reminders and silence are for real. What must not: what was expected
of it (`bot.trials.trial`), and how it is shown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from bot import conversations, inbox
from bot.adapters.clock import MovableClock
from bot.desk.shop import Shop
from bot.desk.states import Case
from bot.dispatch import Outcome, claim, mark
from bot.errors import FollowUpError
from bot.flows.events import Media
from bot.flows.model import Flow, Texts
from bot.messages import House, zone_of
from bot.ports.channels import FlowSource
from bot.ports.inbound import (
    ButtonTapped,
    CaseClaimed,
    CaseHandedOver,
    CaseRemedied,
    CaseReplied,
    ChatBlocked,
    ChatStarted,
    CommandGiven,
    DeskEvent,
    MessageWritten,
)
from bot.ports.records import Customer, InboxSource, Incoming, Sale
from bot.ports.store import UnitOfWork
from bot.sales import make_link
from bot.trials.ear import Ear
from bot.trials.labels import letters
from bot.trials.trail import Button, Entry, Said, Trail, Who, Why
from storage.scratch import ScratchDatabase, shared_scratch

CHAT = 7
"""The id of the customer's chat: there is but one."""

STAFF, STAFF_NAME = "U1", "Jonas"

_AHEAD: Mapping[str, str] = {
    "start": "{flow} begins",
    "remind": "a reminder, if nobody answers",
    "silence": "the way out, if nobody answers",
    "wait": "the pause is over",
    "expire": "the conversation's time is over",
    "ladder": "the team is reminded, if it has not answered",
}
"""What a planned moment will be, in words."""

ROUNDS_MAX = 1000
"""How often one moment may have something more to do, before it counts as a circle."""

_BATCH = 100


@dataclass(frozen=True, slots=True)
class Given:
    """How things stand when a simulation begins.

    `sale` is the sale of a native event, customer included. `consents`: what the customer agreed to; None: their chat
    is not linked yet. `start` is aware.
    """

    sale: Mapping[str, Any]
    start: datetime
    consents: tuple[str, ...] | None = ("service", "result")
    language: str | None = None


@dataclass(frozen=True, slots=True)
class _Source:
    """The flows that take part, and the bot's own sentences."""

    flows: Mapping[str, Flow]
    phrases: Mapping[str, Texts]


@dataclass(frozen=True, slots=True)
class _Translated:
    """Hands the inbox an event that needs no translating."""

    event: Any

    def __call__(self, _payload: Any) -> Any:
        return self.event


class Simulation:
    """A sale, its customer, the shop and its staff, at one moment of a clock that only the caller moves.

    Everything takes effect at once, with whatever is due at that moment; `entries` tells what was said and done.
    """

    def __init__(
        self,
        shop: Shop,
        flows: FlowSource,
        given: Given,
        *,
        taking_part: Sequence[str] | None = None,
        database: ScratchDatabase | None = None,
    ) -> None:
        """Begin at `given`.

        Args:
            shop: its guards and teams apply.
            flows: the flows and the bot's own sentences.
            given: the sale, its customer, and when it begins.
            taking_part: the flows that may begin, by name, the one that it is about first; None: all.
            database: is emptied first; None: one that all simulations of this program share, one after the other.
        """
        chosen = {name: flow for name, flow in flows.flows.items() if taking_part is None or name in taking_part}
        self.given = given
        self.main_flow = taking_part[0] if taking_part else ""
        self.clock = MovableClock(given.start)
        self._trail = Trail(chosen)
        source = _Source(self._trail.watched, flows.phrases)
        self.house = House(shop, source, self.clock, bot_username="bot")
        self._database = database or shared_scratch()
        self._database.empty()
        self._next_moment: datetime | None = None
        self._next_outgoing: datetime | None = None
        self._numbers = 0
        self._events = 0
        self._customer = _customer(given)
        if given.consents is not None:
            self._do(lambda uow: uow.put_customer(self._customer))
        self.zone = zone_of(self.house, self._customer)

    @staticmethod
    def zone_of(given: Given, shop: Shop) -> str:
        """Give the time zone that the customer will have."""
        return zone_of(House(shop, _Source({}, {}), MovableClock(given.start)), _customer(given))

    # looking

    @property
    def now(self) -> datetime:
        """The moment that it is."""
        return self.clock.now()

    @property
    def entries(self) -> Sequence[Entry]:
        """Everything that was said and done so far, in order."""
        return self._trail.entries

    @property
    def trail(self) -> Trail:
        """What there is to know beside the entries."""
        return self._trail

    @property
    def next_at(self) -> datetime | None:
        """When something is due next of the program's own accord; None: nothing ever."""
        return min((at for at in (self._next_moment, self._next_outgoing) if at is not None), default=None)

    @property
    def case(self) -> Case | None:
        """The newest case."""
        return next(reversed(self._trail.cases.values()), None)

    def sale(self) -> Sale | None:
        """Give the sale as it stands."""
        return self._database.run(lambda uow: uow.sale(str(self.given.sale["id"])))

    def waiting_for(self) -> list[str]:
        """Tell what is planned or held, each in one line of words with its moment, soonest first."""
        return self._database.run(self._waiting)

    def _waiting(self, uow: UnitOfWork) -> list[str]:
        sale_id = str(self.given.sale["id"])
        found: list[tuple[datetime, str]] = []
        for moment in uow.moments_of(sale_id):
            if moment.state in ("planned", "held"):
                what = _AHEAD.get(moment.kind, moment.kind).format(flow=moment.data.get("flow"))
                found.append((moment.due_at, what if moment.state == "planned" else f"{what}, held: {moment.reason}"))
        found += [
            (message.not_before, f"a {message.kind} waits: {message.reason or 'it is not yet time'}")
            for message in uow.outgoing_of(sale_id)
            if message.channel == "telegram" and message.state in ("waiting", "held")
        ]
        return [f"{self.local(at):%a %d %b %Y %H:%M}  {words}" for at, words in sorted(found)]

    def local(self, at: datetime) -> datetime:
        """Give a moment on the customer's clock."""
        return at.astimezone(ZoneInfo(self.zone))

    # time

    def go(self, until: datetime) -> None:
        """Let time pass until then, with whatever becomes due on the way; in the past nothing happens."""
        while (at := self.next_at) is not None and at <= until:
            self._come_to(at)
        self.clock.move_to(until)

    def go_to_next_said(self, until: datetime) -> Said | None:
        """Let time pass until the customer is told something; give that, or None where nothing is said by `until`.

        Where nothing is said, the time is `until` afterwards.
        """
        before = len(self.entries)
        while (at := self.next_at) is not None and at <= until:
            self._come_to(at)
            said = next((each for each in self.entries[before:] if isinstance(each, Said)), None)
            if said is not None:
                return said
        self.clock.move_to(until)
        return None

    def _come_to(self, at: datetime) -> None:
        self.clock.move_to(at)
        self._trail.to_fire = self._next_moment is not None and self._next_moment <= at
        if self._next_outgoing is not None and self._next_outgoing <= at:
            for waiting in self._trail.to_send.values():
                waiting.add("")
        self._do(lambda _uow: None)

    # what happens

    def happens(self, kind: str, *, occurred_at: datetime | None = None, **more: Any) -> None:
        """Let the shop's system tell of an order event; `more` are fields of the sale that it tells anew."""
        self._events += 1
        event = {
            "id": f"event-{self._events}",
            "type": kind,
            "occurred_at": (occurred_at or self.now).isoformat(),
            "sale": {**self.given.sale, **more},
        }
        self._take("shop", event, "shop", kind, Why(f"on {kind}", self.now), {"event": kind})

    def taps(self, wanted: str) -> Button:
        """Let the customer tap a button, by what stands on it or by the name of the choice.

        Raises:
            NoSuchButton: no message has it; the error knows those that there are.
        """
        button = self.button(wanted)
        tapped = ButtonTapped(CHAT, button.data, self._number_of(button), None, "")
        why = Why("the answer to the tap", self.now)
        self._take("telegram", tapped, "customer", f"taps [{button.label}]", why, {"tap": button.name})
        return button

    def button(self, wanted: str) -> Button:
        """Find a button, the newest first. See `taps`."""
        shown = [each for each in reversed(self.entries) if isinstance(each, Said)]
        # Those that are gone come last: on a screen that has not heard of it yet they can still be tapped.
        newest_first = [each for said in shown for each in said.live]
        newest_first += [each for said in shown for each in said.buttons]
        for fits in (_is_named, _is_labelled, _is_like):
            found = next((each for each in newest_first if fits(each, wanted)), None)
            if found is not None and found.url:
                raise NotYet(f"[{found.label}] opens {found.url}: the bot does not hear of it")
            if found is not None:
                return found
        raise NoSuchButton(wanted, newest_first)

    def _number_of(self, button: Button) -> int:
        shown = (each for each in self.entries if isinstance(each, Said))
        return next(each.number for each in shown if button in (*each.buttons, *each.live))

    def writes(self, text: str) -> None:
        """Let the customer write words, or a command such as /stop."""
        self._numbers += 1
        why, word = Why("the answer to the command", self.now), text.split(" ", maxsplit=1)[0]
        event: ChatStarted | CommandGiven | MessageWritten
        if word == "/start":
            event = ChatStarted(CHAT, None, self._customer.name.split(" ", maxsplit=1)[0], None)
        elif word.startswith("/"):
            event = CommandGiven(CHAT, word[1:].lower(), text, None)
        else:
            why = Why("the answer to their words", self.now)
            event = MessageWritten(CHAT, self._numbers, text, (), None)
        self._take("telegram", event, "customer", f"“{text}”", why, {"write": text})

    def sends(self, kind: str, caption: str = "") -> None:
        """Let the customer send a photo, voice, sticker …, perhaps with words."""
        self._numbers += 1
        media = (Media(kind, f"file-{self._numbers}", caption),)
        written = MessageWritten(CHAT, self._numbers, caption, media, None)
        words = f"sends a {kind}" + (f" “{caption}”" if caption else "")
        act = {"send": kind} | ({"caption": caption} if caption else {})
        self._take("telegram", written, "customer", words, Why("the answer to their words", self.now), act)

    def links(self) -> None:
        """Let the customer open the link on their receipt: the bot asks what it may write about.

        Raises:
            NotYet: there is no sale yet.
        """
        tokens: list[str] = []

        def make(uow: UnitOfWork) -> None:
            sale = uow.sale(str(self.given.sale["id"]))
            if sale is None:
                raise NotYet("there is no order yet → let an event come first, for example order.placed")
            tokens.append(make_link(uow, self.house, sale, self.now).rpartition("=")[2])

        self._database.run(make)
        started = ChatStarted(CHAT, tokens[0], self._customer.name.split(" ", maxsplit=1)[0], None)
        why = Why("the customer opened the link", self.now)
        self._take("telegram", started, "customer", "opens the link", why, {"link": "true"})

    def blocks(self) -> None:
        """Let the customer block the bot."""
        words = "blocks the bot"
        self._take("telegram", ChatBlocked(CHAT, True), "customer", words, Why(words, self.now), {"block": "true"})  # noqa: FBT003

    # what staff does

    def claims(self) -> None:
        """Let somebody take the newest case.

        Raises:
            NotYet: there is none; so for everything that staff does.
        """
        self._staff(CaseClaimed(self._case_id(), STAFF, "C1"), "takes the case", {"claim": "true"})

    def replies(self, text: str) -> None:
        """Let them reply to the customer."""
        self._staff(CaseReplied(self._case_id(), STAFF, STAFF_NAME, text), f"replies “{text}”", {"reply": text})

    def remedies(self, kind: str, note: str = "") -> None:
        """Let them note a remedy, a key of the shop's remedies."""
        words = f"remedy: {kind}" + (f" – {note}" if note else "")
        act = {"remedy": kind} | ({"note": note} if note else {})
        # What a form asks for besides says nothing about a flow.
        asked = {"value": "1", "root_cause": next(iter(self.house.shop.causes))}
        self._staff(CaseRemedied(self._case_id(), STAFF, kind, note or "done", **asked), words, act)

    def hands_over(self, team: str, reason: str = "") -> None:
        """Let them give the case to another team."""
        action = CaseHandedOver(self._case_id(), STAFF, team, reason)
        self._staff(action, f"hands the case to {team}", {"hand_over": team})

    def _case_id(self) -> str:
        if self.case is None:
            raise NotYet("there is no case → staff can only act on one")
        return self.case.id

    def _staff(self, action: DeskEvent, words: str, act: Mapping[str, str]) -> None:
        self._take("slack", action, "staff", words, Why("a person answers", self.now), act)

    # the way in, and what is due

    def _take(self, source: InboxSource, event: Any, who: Who, words: str, why: Why, act: Mapping[str, str]) -> None:
        item = Incoming(source, "", "", event if source == "shop" else {}, self.now)
        translators = inbox.Translators(_Translated(event), _Translated(event))

        def work(uow: UnitOfWork) -> None:
            self._trail.begins(why, event["type"] if source == "shop" else None)
            self._trail.did(who, words, act)
            inbox.handle(uow, self.house, translators, [item], self.now, careful=False)

        self._do(work)

    def _do(self, work: Callable[[UnitOfWork], None]) -> None:
        """Let something happen, and then all that is due, in one transaction; look when something is due next."""

        def whole(uow: UnitOfWork) -> None:
            ear = cast(UnitOfWork, Ear(uow, self._trail))
            self._trail.now = self.now
            work(ear)
            for _ in range(ROUNDS_MAX):
                if not self._fire(ear) and not self._send(ear):
                    break

        self._next_moment, self._next_outgoing = self._database.run_at(self.now, whole)

    def _fire(self, uow: UnitOfWork) -> bool:
        """Do what is due. It is looked for only where something can have become so: looking is most of the work."""
        if not self._trail.to_fire:
            return False
        self._trail.to_fire = False
        due = uow.due_moments(self.now, _BATCH)
        for moment in due:
            self._trail.comes(moment)
            conversations.moment_came(uow, self.house, moment, self.now)
        return bool(due)

    def _send(self, uow: UnitOfWork) -> bool:
        """Claim what may go, as dispatch does, and let it arrive."""
        arrived = False
        for channel, waiting in self._trail.to_send.items():
            if not waiting:
                continue
            ready, _ = claim(uow, self.house, channel, self.now, _BATCH, careful=False)
            if not ready:
                waiting.clear()
            for message in ready:
                self._numbers += 1
                arrived = True
                external = str(message.body.get("message_id") or message.body.get("ts") or self._numbers)
                if channel == "telegram":
                    self._trail.said(message, int(external))
                else:
                    self._trail.tells_staff(message)
                mark(uow, self.house, Outcome(message, external=external), self.now)
                waiting.discard(message.key)
        return arrived


class NotYet(FollowUpError):
    """This cannot happen."""


class NoSuchButton(FollowUpError):
    """There is no such button."""

    def __init__(self, wanted: str, there_are: Sequence[Button]) -> None:
        """Carry the labels that there are, the newest message's first."""
        self.labels = tuple(dict.fromkeys(each.label for each in there_are))
        shown = ", ".join(f"[{each}]" for each in self.labels) or "none"
        super().__init__(f"there is no button {wanted!r} → there are: {shown}")


def _is_named(button: Button, wanted: str) -> bool:
    return button.name == wanted


def _is_labelled(button: Button, wanted: str) -> bool:
    return button.label == wanted


def _is_like(button: Button, wanted: str) -> bool:
    return letters(button.label) == letters(wanted)


def _customer(given: Given) -> Customer:
    form = given.sale["customer"]
    linked = given.consents is not None
    return Customer(
        id=form["id"],
        name=form.get("name") or "",
        locale=form.get("locale"),
        country=form["country"].upper() if form.get("country") else None,
        time_zone=form.get("time_zone"),
        chat_id=CHAT if linked else None,
        linked_at=given.start if linked else None,
        language=given.language,
        consents={purpose: purpose in (given.consents or ()) for purpose in ("service", "result")},
    )
