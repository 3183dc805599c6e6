"""The play: whatever comes next, the program's own moments or what people do, at its time; and what is seen of it.

Players act on what they see in their chats and channels and on nothing else. The database is asked for what is shown
beside: to which sale a card belongs, and whether a sale has become complete.
"""

import heapq
import io
import itertools
import logging
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from bot.adapters.logs import set_up_logs
from bot.adapters.sandbox.slack import Channel, Member, Message, render_view
from bot.adapters.sandbox.telegram import Customer
from bot.adapters.slack.blocks import CLAIM, REMEDY, REPLY
from bot.adapters.slack.forms import CAUSE, KIND, NOTE, TEXT, VALUE
from bot.adapters.slack.words import label as label_of
from bot.demo import tale as tales
from bot.demo.figures import gather, shown
from bot.demo.people import Tap, Write, answer
from bot.demo.screen import Screen
from bot.demo.stage import Stage, open_stage
from bot.demo.tale import CURIOUS, END, START, TALES, Mood, Tale
from bot.desk.shop import Team
from bot.errors import FollowUpError

_SCANS_AFTER = timedelta(minutes=4)
_FIRST_ANSWER_AFTER = timedelta(minutes=12)
_NEXT_ANSWER_AFTER = timedelta(minutes=1)
_IN_A_TALK = timedelta(minutes=5)
# Working time, since staff see the card: so much until they claim it, ask about, reply, and have put it right.
_CLAIMS_AFTER, _ASKS_AFTER, _REPLIES_AFTER, _REMEDY_AFTER = (timedelta(minutes=each) for each in (15, 18, 25, 50))
_ROUNDS = 3
_WORTH_TELLING = re.compile(r"^(?:\d{4}-\d\d-\d\dT\S+ .*|[A-Za-z_][\w.]*: .*)$", re.MULTILINE)
"""What of an error in the log is shown: its event, and the reason that stands at the end of its traceback."""


async def play(screen: Screen, flows_dir: Path | None) -> int:
    """Play the four sales and show them. Gives the exit code: 1 where the program reported errors meanwhile.

    Raises:
        FollowUpError: it cannot be played; the text says why.
    """
    log = io.StringIO()
    set_up_logs("console", stream=log)
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="aftersale-demo-") as folder:
        async with open_stage(Path(folder), START.astimezone(tales.ZONE), flows_dir) as stage:
            the_play = Play(stage, screen)
            await the_play.run()
            result = await gather(stage, TALES)
    screen.show(*shown(result, TALES))
    if problems := _WORTH_TELLING.findall(log.getvalue()):
        print("✖ The program reported errors meanwhile:", *problems, sep="\n  ", file=sys.stderr)  # noqa: T201
        return 1
    return 0


@dataclass(slots=True)
class _Guest:
    """One customer: who they are in Telegram, how they feel, and how much of their chat they have read."""

    tale: Tale
    customer: Customer
    mood: Mood = CURIOUS
    has_spoken: bool = False
    has_read: int = 0
    acted_at: datetime = START

    def feel(self, mood: Mood) -> None:
        self.mood, self.has_spoken = mood, False


@dataclass(slots=True)
class _Seen:
    """What has been seen of one card: its lines, its replies, and how often staff took it up."""

    tale: Tale
    lines: list[str] = field(default_factory=list)
    replies: int = 0
    rounds: int = 0
    in_hands: bool = False


Act = Callable[[], Awaitable[None]]


class Play:
    """All players, what they are going to do, and when."""

    def __init__(self, stage: Stage, screen: Screen) -> None:
        """Set the players up; nothing happens before `run`."""
        self._stage, self._screen = stage, screen
        self._agenda: list[tuple[datetime, int, Act]] = []
        self._numbers = itertools.count()
        self._guests = [
            _Guest(tale, stage.telegram.customer(first_name=tale.first_name, language_code=tale.locale))
            for tale in TALES
        ]
        self._members = {name: self._member(name) for name in dict.fromkeys([*tales.STAFF.values(), tales.SOMEBODY])}
        self._people = {member.id: member.name for member in self._members.values()}
        self._cards: dict[str, _Seen] = {}
        self._complete: set[str] = set()
        self._has_shown_preview = False
        for guest in self._guests:
            tale = guest.tale
            for at, event in tale.events():
                self._plan(at, partial(self._shop, tale, event))
            self._plan(tale.placed + _SCANS_AFTER, partial(self._scan, guest))
            for turn in tale.turns:
                self._plan(turn.at, partial(self._turn, guest, turn.told, turn.mood))

    async def run(self) -> None:
        """Play until the end of the tale."""
        while True:
            due = await self._stage.next_due()
            times = [at for at in (due, self._agenda[0][0] if self._agenda else None) if at is not None and at <= END]
            if not times:
                break
            self._stage.clock.move_to(min(times))
            if not self._agenda or self._agenda[0][0] > self._now:
                await self._look()
            while self._agenda and self._agenda[0][0] <= self._now:
                _, _, act = heapq.heappop(self._agenda)
                await act()
                await self._look()
        self._stage.clock.move_to(END)
        await self._look()

    @property
    def _now(self) -> datetime:
        return self._stage.clock.now()

    def _member(self, name: str) -> Member:
        return self._stage.slack.member(name, f"U{name.partition(' ')[0].upper()}")

    def _plan(self, at: datetime, act: Act) -> None:
        heapq.heappush(self._agenda, (max(at, self._now), next(self._numbers), act))

    # What people see

    async def _look(self) -> None:
        """Let the program come to rest, show what is new, and let everybody who sees it decide."""
        await self._stage.rest()
        for guest in self._guests:
            self._look_at_chat(guest)
        for channel in self._stage.channels:
            for message in channel.messages:
                await self._look_at_card(channel, message)
        await self._look_at_sales()
        await self._screen.breathe()

    def _look_at_chat(self, guest: _Guest) -> None:
        unread = guest.customer.chat[guest.has_read :]
        guest.has_read = len(guest.customer.chat)
        for message in unread:
            if not message.from_bot:
                continue
            self._screen.scene(guest.tale, self._now)
            self._screen.bot_says(guest.tale, self._now, message.text, message.buttons)
            wanted = answer(guest.mood, message, has_spoken=guest.has_spoken)
            is_in_talk = self._now - guest.acted_at <= _IN_A_TALK
            after = _NEXT_ANSWER_AFTER if is_in_talk else _FIRST_ANSWER_AFTER
            if isinstance(wanted, Tap):
                self._plan(self._now + after, partial(self._tap, guest, wanted.label))
            elif isinstance(wanted, Write):
                self._plan(self._now + after, partial(self._write, guest, wanted.words))

    async def _look_at_card(self, channel: Channel, message: Message) -> None:
        seen = self._cards.get(message.ts)
        lines = message.plain().splitlines()
        if seen is None:
            tale = await self._tale_of(message)
            if tale is None:
                return
            seen = self._cards[message.ts] = _Seen(tale)
            self._screen.scene(tale, self._now)
            self._screen.card(channel.name, self._now, message.plain(), self._people)
        elif news := [line for line in _standing(lines) if line not in seen.lines]:
            self._screen.scene(seen.tale, self._now)
            self._screen.card_changed(channel.name, news, self._people)
        seen.lines = lines
        for reply in message.replies[seen.replies :]:
            self._screen.scene(seen.tale, self._now)
            who = self._people.get(reply.user, "the bot")
            remark = "" if reply.user not in self._people else "  (stays in Slack: no customer sees a thread)"
            self._screen.thread(who, reply.plain(), self._people, remark=remark)
        seen.replies = len(message.replies)
        if label_of(CLAIM, "en") in message.buttons and seen.rounds < _ROUNDS and not seen.in_hands:
            seen.rounds, seen.in_hands = seen.rounds + 1, True
            self._take_up(channel, message, seen)

    async def _look_at_sales(self) -> None:
        sales = await self._stage.read(lambda uow: [uow.sale(tale.sale) for tale in TALES])
        for tale, sale in zip(TALES, sales, strict=True):
            if sale is not None and sale.confirmed_at is not None and tale.sale not in self._complete:
                self._complete.add(tale.sale)
                self._screen.scene(tale, self._now)
                self._screen.complete(tale)

    async def _tale_of(self, message: Message) -> Tale | None:
        case_id = ((message.metadata or {}).get("event_payload") or {}).get("case_id", "")
        case = await self._stage.read(lambda uow: uow.case(case_id))
        return next((tale for tale in TALES if case and tale.sale == case.sale_id), None)

    # What customers do, and what happens to them

    async def _shop(self, tale: Tale, event: dict[str, object]) -> None:
        self._screen.scene(tale, self._now)
        kind = str(event["type"])
        if kind == "order.placed":
            self._screen.tell(self._now, tale.told)
        self._screen.shop_tells(self._now, kind)
        await self._stage.happens(event)

    async def _scan(self, guest: _Guest) -> None:
        link = await self._stage.link(guest.tale.sale)
        address, _, token = link.partition("start=")
        self._screen.scene(guest.tale, self._now)
        self._screen.tell(self._now, f"{guest.tale.first_name} scans the code on the receipt and presses Start:")
        self._screen.link(f"{address}start=… ({len(token)} random signs, good for one chat)")
        await guest.customer.start(token)
        guest.acted_at = self._now

    async def _turn(self, guest: _Guest, told: str, mood: Mood) -> None:
        self._screen.scene(guest.tale, self._now)
        self._screen.tell(self._now, told)
        guest.feel(mood)

    async def _tap(self, guest: _Guest, label: str) -> None:
        if label not in guest.customer.buttons:  # the bot has closed the question meanwhile
            return
        self._screen.scene(guest.tale, self._now)
        self._screen.customer_taps(guest.tale, self._now, label)
        guest.acted_at = self._now
        await guest.customer.tap(label)

    async def _write(self, guest: _Guest, words: str) -> None:
        if guest.has_spoken:
            return
        self._screen.scene(guest.tale, self._now)
        self._screen.customer_says(guest.tale, self._now, words)
        guest.has_spoken = True
        guest.acted_at = self._now
        await guest.customer.send(words)

    # What staff do

    def _take_up(self, channel: Channel, message: Message, seen: _Seen) -> None:
        member = self._members[tales.STAFF.get(channel.name, tales.SOMEBODY)]
        calendar = self._team_of(channel).calendar
        steps = (
            (_CLAIMS_AFTER, self._claim),
            (_ASKS_AFTER, self._ask_about),
            (_REPLIES_AFTER, self._reply),
            (_REMEDY_AFTER, self._remedy),
        )
        for after, step in steps:
            self._plan(calendar.add_working(self._now, after), partial(step, member, message, seen))

    def _team_of(self, channel: Channel) -> Team:
        shop = self._stage.shop
        name = next((name for name, team in shop.teams.items() if team.channel == channel.id), "")
        return shop.team(name)

    async def _claim(self, member: Member, message: Message, seen: _Seen) -> None:
        if not self._can(message, CLAIM):
            return
        self._does(member, seen, f"presses [{label_of(CLAIM, 'en')}]")
        await member.click(message, CLAIM)

    async def _ask_about(self, member: Member, message: Message, seen: _Seen) -> None:
        if seen.tale.help.aside and seen.rounds == 1:
            await member.type_in_thread(message, seen.tale.help.aside)

    async def _reply(self, member: Member, message: Message, seen: _Seen) -> None:
        if not self._can(message, REPLY):
            return
        self._does(member, seen, f"presses [{label_of(REPLY, 'en')}], writes, and sees the preview")
        await member.click(message, REPLY)
        form = await member.wait_view()
        await self._must_pass(member.submit({TEXT: seen.tale.help.reply}), "the reply")
        preview = await member.wait_view(lambda view: bool(view["id"] != form["id"]))
        if not self._has_shown_preview:
            self._screen.form(member.name, render_view(preview))
            self._has_shown_preview = True
        self._does(member, seen, "presses [Send]")
        await self._must_pass(member.submit(), "the reply")

    async def _remedy(self, member: Member, message: Message, seen: _Seen) -> None:
        seen.in_hands = False
        if not self._can(message, REMEDY):
            return
        helped = seen.tale.help
        label = self._stage.shop.remedy_label(helped.remedy, "en")
        self._does(member, seen, f"presses [{label_of(REMEDY, 'en')}]: {label} – “{helped.note}”")
        await member.click(message, REMEDY)
        await member.wait_view()
        answers = {KIND: helped.remedy, NOTE: helped.note, VALUE: helped.value, CAUSE: helped.cause}
        await self._must_pass(member.submit(answers), "the remedy")
        if helped.told:
            guest = next(each for each in self._guests if each.tale is seen.tale)
            at = self._now + helped.after
            self._plan(at, partial(self._turn, guest, helped.told, helped.mood))
            if self._stage.shop.remedies[helped.remedy].counts_from_delivery:
                self._plan(at, partial(self._shop, seen.tale, seen.tale.delivered_again(at)))

    def _can(self, message: Message, action: str) -> bool:
        return label_of(action, "en") in message.buttons

    def _does(self, member: Member, seen: _Seen, what: str) -> None:
        self._screen.scene(seen.tale, self._now)
        self._screen.staff_does(member.name, self._now, what)

    async def _must_pass(self, submitting: Awaitable[object], what: str) -> None:
        done = await submitting
        errors, problem = getattr(done, "errors", {}), getattr(done, "problem", "")
        if errors or problem:
            raise FollowUpError(f"Slack's form did not take {what}: {errors or problem}")


def _standing(lines: list[str]) -> list[str]:
    """Give what a card says above its fields: how the case stands. What is new below, its thread tells as well."""
    return list(itertools.takewhile(lambda line: not line.startswith("  *"), lines))
