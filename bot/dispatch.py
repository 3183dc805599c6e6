"""Drains the outbox: claim what is due, check every guard again, send through the adapter, mark it.

*Delivery* means parcels here, so this room is called dispatch. What goes at most once (anything the bot itself says
to a customer) is marked ``unknown`` when nobody can say whether it arrived; what goes at least once (a person's reply,
anything for Slack, an edit) is repeated and says so.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from bot import cases, conversations, guards, retry
from bot.desk.states import Case
from bot.durations import parse_duration
from bot.errors import DeliveryDelayed, DeliveryRefused, DeliveryUnknown
from bot.flows.events import Withdrawn
from bot.messages import House, note_down, phrase, tell_desk, zone_of
from bot.pacing import Pacer
from bot.ports.channels import Channel
from bot.ports.records import Customer, Outgoing, OutgoingKind, OutgoingState, Post, Sale
from bot.ports.store import Database, UnitOfWork
from bot.sales import after

AT_MOST_ONCE = frozenset({"question", "reminder", "notice", "answer"})
"""What the bot itself says to a customer. Telegram has no idempotency key, so an unknown outcome is never repeated."""

PLACES: Mapping[str, int] = {"telegram": 256, "slack": 32}
"""How many messages of a channel are on their way side by side."""

MARK_AGAIN = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between attempts to commit what came of messages. After the last, it is settled when their leases end."""

LEASE = timedelta(minutes=2)
"""How long a claimed message may take before its sender counts as dead."""

LONGEST_WAIT = 5.0
"""Seconds that a claimed message waits for its turn; a longer wait gives it back to the outbox."""


LIVE = timedelta(minutes=30)
"""How long what answers the customer's own words counts as such.

Later it waits for an allowed hour like anything else.
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt to send: exactly one of `external` (sent) and `error` is set."""

    message: Outgoing
    external: str | None = None
    error: Exception | None = None


# Claiming ---------------------------------------------------------------------------------------------------------


def claim(
    uow: UnitOfWork,
    house: House,
    channel: str,
    now: datetime,
    limit: int,
    lease: timedelta = LEASE,
    *,
    careful: bool = True,
) -> tuple[list[Outgoing], int]:
    """Claim messages of a channel that may go now.

    Gives them, ready to send, and how many rows were looked at. Done `careful`, a row that spoils is set aside and
    stops no other; otherwise it raises, and all is to be done again with care: quicker where nothing spoils.
    """
    due = uow.due_outgoing(now, limit, channel)
    _read_ahead(uow, due)
    ready: list[Outgoing] = []
    asked: set[str] = set()
    for message in due:
        # Whether the next question may follow so soon is known only once this one is marked.
        if message.kind == "question" and message.customer_id in asked and not message.body.get("prompted"):
            continue
        try:
            with uow.savepoint() if careful else nullcontext():
                prepared = _examine(uow, house, message, now)
        except Exception as error:
            if not careful or uow.is_passing(error):
                raise
            # Our own fault: the row ends visibly, the others go out.
            uow.put_outgoing(replace(message, state="failed", reason=f"{type(error).__name__}: {error}"))
            continue
        if prepared is not None:
            ready.append(prepared)
            if message.kind == "question" and message.customer_id:
                asked.add(message.customer_id)
    uow.claim([each.id for each in ready if each.id is not None], now + lease)
    return [replace(each, attempts=each.attempts + 1) for each in ready], len(due)


def _examine(uow: UnitOfWork, house: House, message: Outgoing, now: datetime) -> Outgoing | None:
    """Ask every guard again. Gives the message as it is to be sent, or None where it is not."""
    decision = _decide(uow, house, message, now)
    match decision:
        case guards.Send():
            return _prepare(uow, house, message, now)
        case guards.Defer():
            uow.put_outgoing(replace(message, not_before=decision.until, reason=decision.reason))
        case guards.Hold():
            uow.put_outgoing(replace(message, state="held", reason=decision.reason))
        case guards.Drop():
            _drop(uow, house, message, decision.reason, now)
    return None


def _read_ahead(uow: UnitOfWork, messages: Sequence[Outgoing]) -> None:
    """Read together what the guards and the marks ask for one by one; threads and edits ask for little."""
    spoken = [each for each in messages if each.kind not in ("system", "edit", "thread", "whisper")]
    uow.read_ahead(
        customers={each.customer_id for each in spoken if each.customer_id},
        sales={each.sale_id for each in spoken if each.sale_id},
        conversations={each.conversation_id for each in spoken if each.conversation_id},
    )


def _decide(uow: UnitOfWork, house: House, message: Outgoing, now: datetime) -> guards.Decision:
    if message.channel == "slack" or message.kind in ("system", "edit"):
        return guards.Send()
    customer = uow.customer(message.customer_id) if message.customer_id else None
    sale = uow.sale(message.sale_id) if message.sale_id else None
    if customer is None:
        return guards.Drop("the customer is gone")
    fresh = now - message.created_at <= LIVE
    kind = _spoken(message.kind)
    if kind == "answer" and not fresh:
        kind = "notice"
    elif message.body.get("prompted") and fresh:
        kind = "answer"
    elif message.body.get("prompted") and sale is not None and cases.at_work(cases.open_of(uow, sale.id)):
        # Asked for while an outage lasted; by now people are at it, and the question would come out of the blue.
        return guards.Drop("it was to follow the customer's words at once; a person is at it now")
    facts = guards.Facts(kind, message.purpose, message.expires_at, _question_open(uow, message))
    return guards.check(facts, _standing(uow, house, customer, sale), house.shop.guards, now)


def _spoken(kind: OutgoingKind) -> guards.MessageKind:
    match kind:
        case "card" | "thread" | "whisper":
            msg = f"{kind} goes to Slack, not to a customer"
            raise ValueError(msg)
        case _:
            return kind


def _question_open(uow: UnitOfWork, message: Outgoing) -> bool:
    """Tell whether the question of a reminder still waits for an answer, and was sent at all."""
    if message.conversation_id is None or message.turn is None:
        return True
    conversation = uow.conversation(message.conversation_id)
    if conversation is None or conversation.state.status != "asking" or conversation.state.turn != message.turn:
        return False
    if message.kind != "reminder":
        return True
    question = uow.question_of(message.conversation_id, message.turn)
    return not conversation.state.spoken and question is not None and question.state in ("sent", "unknown")


def _standing(uow: UnitOfWork, house: House, customer: Customer, sale: Sale | None) -> guards.Standing:
    case = cases.open_of(uow, sale.id) if sale else None
    return guards.Standing(
        zone=zone_of(house, customer),
        linked=customer.chat_id is not None,
        stopped=customer.stopped_at is not None,
        unreachable=customer.unreachable_at is not None,
        consents=customer.consents,
        case_open=cases.at_work(case),
        paused=sale.paused if sale else False,
        last_question_at=customer.last_question_at,
        last_exchange_at=customer.last_wrote_at,
    )


def _drop(uow: UnitOfWork, house: House, message: Outgoing, reason: str, now: datetime) -> None:
    uow.put_outgoing(replace(message, state="dropped", reason=reason))
    note_down(uow, now, "message.dropped", sale_id=message.sale_id, message=message.kind, reason=reason)
    if message.kind == "question" and message.conversation_id:
        conversation = uow.conversation(message.conversation_id)
        if conversation is not None and conversation.state.turn == message.turn:
            conversations.advance(uow, house, conversation, Withdrawn(reason), now)
    if message.kind == "staff_reply":
        _say_in_thread(uow, house, message, f"⚠️ Not sent to the customer: {reason}.", now)


def _prepare(uow: UnitOfWork, house: House, message: Outgoing, now: datetime) -> Outgoing | None:
    """Fill in what is known only at the time of sending.

    Where the card stands, what it shows, that it may be a repeat.
    """
    doubtful = (message.reason or "").startswith("unknown")
    if doubtful and message.channel == "slack":
        message = replace(message, body={**message.body, "repeated": True})
    if message.channel == "telegram":
        if doubtful and message.kind == "staff_reply" and not message.body.get("repeated"):
            customer = uow.customer(message.customer_id or "") or Customer("")
            text = f"{message.body['text']}\n{phrase(house, customer, 'repeated', {})}"
            return replace(message, body={**message.body, "text": text, "repeated": True})
        return message
    case = uow.case(message.case_id or "")
    if case is None:
        return message
    post = uow.post_of(case.id)
    home = message.body.get("channel") or house.shop.team(case.team).channel
    if message.kind == "card":
        shown = {name: getattr(card, name) for card in [cases.card(uow, house, case, now)] for name in card.__slots__}
        stays = post is not None and "moved_to" not in message.body
        body = {
            **message.body,
            "channel": post.channel if post and stays else home,
            "ts": post.ts if post and stays else None,
            "card": shown,
        }
        return replace(message, body=body)
    if message.kind == "whisper":
        return replace(
            message,
            body={**message.body, "channel": post.channel if post else home, "thread_ts": post.ts if post else None},
        )
    if post is None:
        _stand_back(uow, message, now)
        return None
    return replace(message, body={**message.body, "channel": post.channel, "thread_ts": post.ts})


def _stand_back(uow: UnitOfWork, message: Outgoing, now: datetime) -> None:
    """A thread whose card is not posted yet: wait for the card."""
    uow.put_outgoing(replace(message, not_before=now + timedelta(seconds=5), reason="waits for the card"))


def recover(uow: UnitOfWork, house: House, now: datetime, expired_by: datetime) -> int:
    """Settle what a sender that died left behind: unknown, or once more, by kind. Gives how many."""
    left = uow.expired_leases(expired_by)
    for message in left:
        died = Outcome(message, error=DeliveryUnknown("the program stopped while it was being sent"))
        mark_safely(uow, house, died, now)
    return len(left)


# Marking ----------------------------------------------------------------------------------------------------------


def mark_safely(uow: UnitOfWork, house: House, outcome: Outcome, now: datetime) -> None:
    """Mark one message; should what follows from it spoil, only that is undone, and the outcome stands."""
    try:
        with uow.savepoint():
            mark(uow, house, outcome, now)
    except Exception as error:
        if uow.is_passing(error):
            raise
        # Our own fault: visible at the row, and no other message waits for it.
        state: OutgoingState = "sent" if outcome.error is None else "failed"
        reason = f"{type(error).__name__} after the attempt: {error}"
        external = outcome.external or outcome.message.external
        uow.put_outgoing(
            replace(outcome.message, state=state, external=external, reason=reason, sent_at=now, lease_until=None)
        )


def mark(uow: UnitOfWork, house: House, outcome: Outcome, now: datetime) -> None:
    """Write down what came of one attempt, and whatever follows from it."""
    message, error = outcome.message, outcome.error
    if error is not None and _settled_since(uow, message):
        return
    if error is None or (isinstance(error, DeliveryRefused) and error.reason == "unchanged"):
        external = outcome.external or message.external or str(message.body.get("message_id", ""))
        _sent(uow, house, replace(message, state="sent", external=external, sent_at=now, reason=None), now)
    elif isinstance(error, DeliveryRefused):
        _refused(uow, house, message, error, now)
    elif isinstance(error, DeliveryDelayed):
        _again(uow, house, message, error, f"delayed: {error}", now)
    elif isinstance(error, DeliveryUnknown) and message.kind in AT_MOST_ONCE:
        _unknown(uow, house, message, str(error), now)
    elif isinstance(error, DeliveryUnknown):
        _again(uow, house, message, error, f"unknown: {error}", now)
    else:
        uow.put_outgoing(replace(message, state="failed", reason=f"{type(error).__name__}: {error}", lease_until=None))
        note_down(uow, now, "message.failed", sale_id=message.sale_id, message=message.kind, error=str(error))


def _settled_since(uow: UnitOfWork, message: Outgoing) -> bool:
    """Tell whether others have taken a message up since: its lease was over, and what we would say is out of date."""
    now_so = uow.outgoing(message.id) if message.id is not None else None
    return now_so is not None and (now_so.state != "sending" or now_so.attempts != message.attempts)


def _sent(uow: UnitOfWork, house: House, message: Outgoing, now: datetime) -> None:
    uow.put_outgoing(replace(message, lease_until=None))
    if message.kind == "card" and message.case_id:
        channel = message.body["channel"]
        uow.put_post(Post(message.case_id, channel, message.external or message.body.get("ts") or ""))
    if message.kind in ("edit", "card", "whisper", "thread"):
        return
    note_down(
        uow, now, "message.sent", sale_id=message.sale_id, customer_id=message.customer_id, message=message.kind,
        text=message.body.get("text"),
    )  # fmt: skip
    _asked(uow, house, message, now)
    if message.kind == "staff_reply":
        _say_in_thread(uow, house, message, "✅ Delivered to the customer.", now)


def _unknown(uow: UnitOfWork, house: House, message: Outgoing, why: str, now: datetime) -> None:
    """Nobody can say whether it arrived: it is not repeated, and shown; its timers run as if it had."""
    uow.put_outgoing(replace(message, state="unknown", reason=f"may have been sent: {why}", lease_until=None))
    note_down(uow, now, "message.unknown", sale_id=message.sale_id, message=message.kind, text=message.body.get("text"))
    _asked(uow, house, message, now)


def _asked(uow: UnitOfWork, house: House, message: Outgoing, now: datetime) -> None:
    """Start the timers of a question: its reminder and its way out when nobody answers."""
    if message.kind not in ("question", "reminder") or message.conversation_id is None:
        return
    conversation = uow.conversation(message.conversation_id)
    if conversation is None or conversation.state.turn != message.turn or conversation.state.status != "asking":
        return
    for kind, length in message.body.get("timers", {}).items():
        due = after(house, parse_duration(length), now)
        conversations.plan_timer(uow, conversation, kind, conversation.state.turn, due)
    sale = uow.sale(conversation.sale_id)
    if sale is not None and sale.asked_at is None:
        uow.put_sale(replace(sale, asked_at=now))
    customer = uow.customer(conversation.customer_id)
    if customer is not None:
        uow.put_customer(replace(customer, last_question_at=now))


def _again(
    uow: UnitOfWork, house: House, message: Outgoing, error: DeliveryDelayed | DeliveryUnknown, why: str, now: datetime
) -> None:
    decision = retry.decide(
        attempt=message.attempts,
        now=now,
        created_at=message.created_at,
        retry_after=error.retry_after if isinstance(error, DeliveryDelayed) else None,
        forever=message.kind not in AT_MOST_ONCE,
    )
    match decision:
        case retry.RetryAt():
            uow.put_outgoing(replace(message, state="waiting", not_before=decision.at, reason=why, lease_until=None))
        case retry.GiveUp():
            uow.put_outgoing(replace(message, state="failed", reason=f"{decision.reason}; {why}", lease_until=None))
            note_down(uow, now, "message.failed", sale_id=message.sale_id, message=message.kind, error=why)
    if message.kind == "staff_reply" and why.startswith("unknown"):
        _say_in_thread(uow, house, message, "❔ May have been sent; it is sent once more and says so.", now)


def _refused(uow: UnitOfWork, house: House, message: Outgoing, error: DeliveryRefused, now: datetime) -> None:
    if message.channel == "slack" and error.reason == "channel_gone":
        _fall_back(uow, house, message, error, now)
        return
    if message.kind in ("card", "thread") and error.reason == "gone" and not message.body.get("anew"):
        uow.put_outgoing(replace(message, state="refused", reason="the card was deleted; it is posted anew"))
        case = uow.case(message.case_id or "")
        if case is not None and not _comes_anew(uow, case):
            tell_desk(uow, house, case, "card", now, moved_to=case.team, anew=True)
        if case is not None and message.kind == "thread":
            words, mention = message.body["text"], message.body.get("mention")
            tell_desk(uow, house, case, "thread", now, text=words, mention=mention, anew=True)
        return
    uow.put_outgoing(replace(message, state="refused", reason=f"{error.reason}: {error}", lease_until=None))
    note_down(uow, now, "message.refused", sale_id=message.sale_id, message=message.kind, reason=error.reason)
    if error.reason in ("blocked", "chat_gone"):
        _lost(uow, message, error.reason, now)
    if message.kind == "staff_reply":
        words = "the customer blocked the bot" if error.reason == "blocked" else str(error)
        _say_in_thread(uow, house, message, f"⚠️ Not delivered: {words}. Please call or mail the customer.", now)
    if message.conversation_id and message.kind in AT_MOST_ONCE:
        conversations.unreachable(uow, house, message.conversation_id, error.reason, now)


def _lost(uow: UnitOfWork, message: Outgoing, reason: str, now: datetime) -> None:
    customer = uow.customer(message.customer_id or "")
    if customer is not None and customer.unreachable_at is None:
        uow.put_customer(replace(customer, unreachable_at=now))
        note_down(uow, now, "customer.unreachable", sale_id=message.sale_id, customer_id=customer.id, reason=reason)


def _fall_back(uow: UnitOfWork, house: House, message: Outgoing, error: DeliveryRefused, now: datetime) -> None:
    """The channel is archived or the bot was thrown out: the case goes to the fallback channel; the clock goes on."""
    fallback = house.shop.fallback_channel
    case = uow.case(message.case_id or "")
    if message.kind == "whisper" or case is None:
        uow.put_outgoing(replace(message, state="refused", reason=str(error), lease_until=None))
        return
    if message.body.get("channel") == fallback:
        why = f"the fallback channel {fallback} cannot be used: {error}"
        _again(uow, house, message, DeliveryDelayed(why, retry_after=timedelta(minutes=5)), why, now)
        return
    uow.put_outgoing(replace(message, state="refused", reason=f"{error}; sent to {fallback} instead", lease_until=None))
    if not _stands_in(uow, case, fallback):
        channel = message.body.get("channel")
        note_down(uow, now, "case.fell_back", sale_id=case.sale_id, case_id=case.id, channel=channel)
        tell_desk(uow, house, case, "card", now, channel=fallback, moved_to=case.team)
        words = f"⚠️ The channel of team {case.team} cannot be used ({error}); this case stands here instead."
        tell_desk(uow, house, case, "thread", now, text=words, mention=None)
    if message.kind == "thread":
        tell_desk(uow, house, case, "thread", now, text=message.body["text"], mention=message.body.get("mention"))


def _stands_in(uow: UnitOfWork, case: Case, channel: str) -> bool:
    """Tell whether the card of a case stands in a channel, or is on its way there."""
    post = uow.post_of(case.id)
    if post is not None and post.channel == channel:
        return True
    return any(
        each.case_id == case.id and each.kind == "card" and each.body.get("channel") == channel
        for each in uow.outgoing_of(case.sale_id)
        if each.state in ("waiting", "sending")
    )


def _comes_anew(uow: UnitOfWork, case: Case) -> bool:
    """Tell whether the card of a case is about to be posted anew already."""
    return any(
        each.case_id == case.id and each.kind == "card" and each.state in ("waiting", "sending") and "anew" in each.body
        for each in uow.outgoing_of(case.sale_id)
    )


def _say_in_thread(uow: UnitOfWork, house: House, message: Outgoing, text: str, now: datetime) -> None:
    case = uow.case(message.case_id or "")
    if case is not None:
        tell_desk(uow, house, case, "thread", now, text=text, mention=None)


# Sending -----------------------------------------------------------------------------------------------------------


class Dispatcher:
    """Keeps messages on their way, in the order of their lanes, and commits their marks in groups.

    Each channel has places of its own, so that a crowd before Slack keeps no customer waiting.
    """

    def __init__(  # noqa: PLR0913 - what is handed in at the root, by name
        self,
        database: Database,
        house: House,
        channels: Mapping[str, Channel],
        *,
        now: Callable[[], datetime],
        paces: Mapping[str, Pacer],
        places: Mapping[str, int] = PLACES,
        lease: timedelta = LEASE,
        on_error: Callable[[Outgoing, Exception], None] = lambda _message, _error: None,
        on_landed: Callable[[], None] = lambda: None,
    ) -> None:
        """Send through `channels`, at most `places` of each side by side.

        `paces` holds ``telegram``, ``chat`` and ``slack``. `on_error` hears of our own faults; `on_landed` is called
        when a place is free again, and whatever waited behind in the lane may be due.
        """
        self._database, self._house, self._channels = database, house, channels
        self._now, self._paces, self._places, self._lease = now, paces, places, lease
        self._on_error, self._on_landed = on_error, on_landed
        self._flying: dict[str, set[asyncio.Task[None]]] = {name: set() for name in channels}
        self._unmarked: list[tuple[Outcome, asyncio.Future[None]]] = []
        self._marking: asyncio.Task[None] | None = None
        self._held_until: dict[str, float] = {}

    async def pump(self, limit: int = 200) -> int:
        """Claim what is due on every channel that has places, and set it on its way.

        Gives how many rows were looked at; 0: nothing is due, or whatever is due waits for a place.
        """
        return sum([await self._pump(name, limit) for name in self._channels])

    async def _pump(self, channel: str, limit: int) -> int:
        flying = self._flying[channel]
        room = min(limit, self._places.get(channel, 1) - len(flying))
        if room <= 0:
            return 0
        now = self._now()

        def work(uow: UnitOfWork, *, careful: bool = False) -> tuple[list[Outgoing], int]:
            return claim(uow, self._house, channel, now, room, self._lease, careful=careful)

        try:
            ready, seen = await self._database.run(work)
        except Exception:  # noqa: BLE001 - a row spoils the batch, or the database is away: then this raises as well
            ready, seen = await self._database.run(partial(work, careful=True))
        lanes: dict[str, list[Outgoing]] = {}
        for message in ready:
            lanes.setdefault(message.lane, []).append(message)
        for lane in lanes.values():
            task = asyncio.create_task(self._send_lane(lane))
            flying.add(task)
            task.add_done_callback(flying.discard)
            task.add_done_callback(lambda _: self._on_landed())
        return seen

    @property
    def flying(self) -> int:
        """How many lanes have messages on their way."""
        return sum(len(tasks) for tasks in self._flying.values())

    async def landed(self) -> None:
        """Wait until nothing is on its way any more."""
        while self.flying:
            await asyncio.gather(*(task for tasks in self._flying.values() for task in tasks), return_exceptions=True)

    async def recover(self, *, everything: bool = False) -> int:
        """Settle what a dead sender left behind; `everything`: no other can be alive, so no lease is waited for."""
        now = self._now()
        by = now + 2 * self._lease if everything else now
        return await self._database.run(lambda uow: recover(uow, self._house, now, by))

    async def _send_lane(self, lane: Sequence[Outgoing]) -> None:
        """Send the messages of one lane one after the other; what has to wait keeps those behind it waiting, too."""
        waiting: DeliveryDelayed | None = None
        for message in lane:
            outcome = Outcome(message, error=waiting) if waiting else await self._send(message)
            if isinstance(outcome.error, DeliveryDelayed):
                waiting = outcome.error
            await self._mark(outcome)

    async def _send(self, message: Outgoing) -> Outcome:
        try:
            await self._take_turn(message)
            external = await self._channels[message.channel].deliver(message)
        except DeliveryDelayed as error:
            if error.everyone and error.retry_after:
                until = asyncio.get_running_loop().time() + error.retry_after.total_seconds()
                self._held_until[message.channel] = max(until, self._held_until.get(message.channel, 0))
            return Outcome(message, error=error)
        except (DeliveryUnknown, DeliveryRefused) as error:
            return Outcome(message, error=error)
        except Exception as error:  # noqa: BLE001 - one message that spoils must not stop the others; it ends as failed
            self._on_error(message, error)
            return Outcome(message, error=error)
        return Outcome(message, external=external)

    async def _take_turn(self, message: Outgoing) -> None:
        """Wait for this message's turn in the even pace, and for a limit that binds the whole bot.

        Raises:
            DeliveryDelayed: its turn is so far off that it had better wait in the outbox.
        """
        time = asyncio.get_running_loop().time()
        turns = self._turns_of(message)
        wait = max(self._held_until.get(message.channel, 0) - time, *(pace.wait(lane, time) for pace, lane in turns))
        if wait > LONGEST_WAIT:
            raise DeliveryDelayed("others are before it in the even pace", retry_after=timedelta(seconds=wait))
        for pace, lane in turns:
            pace.take(lane, time)
        if wait > 0:
            await asyncio.sleep(wait)

    def _turns_of(self, message: Outgoing) -> list[tuple[Pacer, str]]:
        if message.channel == "telegram":
            return [(self._paces["telegram"], "bot"), (self._paces["chat"], message.lane)]
        # An update has a limit of its own at Slack (tier 3), so it need not wait behind the posts of its channel.
        kind = "update" if message.body.get("ts") else "post"
        return [(self._paces["slack"], f"{kind}:{message.body.get('channel')}")]

    async def _mark(self, outcome: Outcome) -> None:
        """Have an outcome committed, together with whatever else waits for it, and wait until it is."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unmarked.append((outcome, done))
        if self._marking is None or self._marking.done():
            self._marking = asyncio.create_task(self._mark_all())
        await done

    async def _mark_all(self) -> None:
        while self._unmarked:
            group, self._unmarked = self._unmarked, []
            try:
                await self._commit_marks([outcome for outcome, _ in group])
            finally:
                for _, done in group:
                    if not done.done():
                        done.set_result(None)

    async def _commit_marks(self, outcomes: Sequence[Outcome]) -> None:
        """Commit what came of messages; while the database cannot be reached, try again: what was sent was sent."""

        def work(uow: UnitOfWork, *, careful: bool) -> None:
            _read_ahead(uow, [outcome.message for outcome in outcomes])
            for outcome in outcomes:
                (mark_safely if careful else mark)(uow, self._house, outcome, self._now())

        for attempt, pause in enumerate(MARK_AGAIN):
            try:
                # With care only once something spoiled: a savepoint for each mark costs more than the mark.
                await self._database.run(partial(work, careful=attempt > 0))
            except Exception as error:  # noqa: BLE001 - whatever ails the database, the marks must not be given up lightly
                self._on_error(outcomes[0].message, error)
                await asyncio.sleep(pause)
            else:
                return
