"""Who somebody in Slack is, and for which teams they may work: asked of Slack, remembered for a while.

The rule itself is `bot.desk.permission`'s. Where Slack does not answer in time, what is known counts.

Source: https://docs.slack.dev/reference/objects/user-object (is_restricted, is_ultra_restricted, is_stranger, deleted;
read 2026-11-25).
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import structlog
from slack_bolt.authorization import AuthorizeResult

from bot.adapters.slack.client import CALL_FAILURES, SlackClient, in_words
from bot.desk.permission import Person, refusal
from bot.desk.shop import FALLBACK, Shop
from bot.errors import DeliveryDelayed
from bot.ports.channels import Clock

Json: TypeAlias = dict[str, Any]

LOOK_UP_WITHIN = timedelta(seconds=1)
"""What may go by before a form opens: its trigger lives three seconds."""
KNOWN_FOR = timedelta(minutes=10)
"""How long the name and the rights of a person are remembered."""
MEMBERS_KNOWN_FOR = timedelta(minutes=1)
"""How long it is remembered who is in a channel; whoever is not found there is looked for anew."""
MEMBERS_A_PAGE = 1_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Staff:
    """Whoever pressed something: how customers see them, what they are, and whether they answer for the program."""

    id: str
    name: str
    is_guest: bool = False
    is_stranger: bool = False
    is_admin: bool = False


@dataclass(slots=True)
class Door:
    """Tells who somebody is and what they may."""

    client: SlackClient
    clock: Clock
    shop: Shop
    _own: Json | None = None
    _people: dict[str, tuple[datetime, Json]] = field(default_factory=dict)
    _members: dict[str, tuple[datetime, frozenset[str]]] = field(default_factory=dict)

    async def authorized(self) -> AuthorizeResult:
        """Tell Bolt who the bot is.

        Raises:
            DeliveryDelayed: Slack did not say; the request is then not acknowledged.
        """
        own = await self.whoami()
        return AuthorizeResult(
            enterprise_id=own.get("enterprise_id"),
            team_id=own.get("team_id"),
            bot_id=own.get("bot_id"),
            bot_user_id=own.get("user_id"),
            bot_token=self.client.token,
        )

    async def whoami(self) -> Json:
        """Give what ``auth.test`` says about the bot, asked once."""
        if self._own is None:
            try:
                answer = await self.client.auth_test()
            except CALL_FAILURES as error:
                raise DeliveryDelayed(f"Slack does not say who the bot is: {in_words(error)}") from error
            self._own = {name: answer.get(name) for name in ("user_id", "bot_id", "team_id", "enterprise_id", "url")}
        return self._own

    async def staff(self, user: Json) -> Staff:
        """Tell who a user is, as a payload names them, with the id of their own workspace."""
        own, person = await self.whoami(), await self._person(user["id"])
        return Staff(
            user["id"],
            first_name(user, person),
            is_guest=bool(person and (person.get("is_restricted") or person.get("is_ultra_restricted"))),
            is_stranger=_is_stranger(user, person, own),
            is_admin=bool(person and (person.get("is_admin") or person.get("is_owner"))),
        )

    def no_colleague(self, staff: Staff) -> str | None:
        """Tell kindly why somebody may not work on anything here; None where it depends on the team."""
        is_foreign = staff.is_guest or staff.is_stranger
        person = Person(staff.id, is_guest=staff.is_guest, is_stranger=staff.is_stranger)
        return refusal(self.shop, FALLBACK, person) if is_foreign else None

    async def refusal(self, staff: Staff, team: str, *, has_fallen_back: bool = False) -> str | None:
        """Tell kindly why somebody may not work on what is a team's; None where they may.

        Of a case that has fallen back whoever is in the fallback channel may take care, too: it stands before them.
        """
        person = Person(staff.id, is_guest=staff.is_guest, is_stranger=staff.is_stranger)
        problem = refusal(self.shop, team, person)
        if problem or self._is_named(staff.id, team) or self.shop.team(team).members:
            return problem
        present = await self._is_in(self.shop.team(team).channel, staff.id)
        if present is False and has_fallen_back:
            present = await self._is_in(self.shop.fallback_channel, staff.id)
        return refusal(
            self.shop, team, Person(staff.id, staff.is_guest, is_stranger=staff.is_stranger, in_channel=present)
        )

    async def teams_of(self, staff: Staff) -> tuple[str, ...]:
        """Give the teams that somebody works for: all of them for the CX owner, none for a guest."""
        if staff.is_guest or staff.is_stranger:
            return ()
        names = [*self.shop.teams, FALLBACK]
        if staff.id == self.shop.cx_owner:
            return tuple(names)
        belongs = await asyncio.gather(*(self._belongs(staff.id, name) for name in names))
        return tuple(name for name, does in zip(names, belongs, strict=True) if does)

    async def _belongs(self, user_id: str, team: str) -> bool:
        if self._is_named(user_id, team):
            return True
        answering = self.shop.team(team)
        return not answering.members and await self._is_in(answering.channel, user_id) is True

    def _is_named(self, user_id: str, team: str) -> bool:
        answering = self.shop.team(team)
        return user_id in (self.shop.cx_owner, answering.lead) or user_id in answering.members

    async def _is_in(self, channel: str, user_id: str) -> bool | None:
        """Tell whether somebody is in a channel; None where Slack does not say in time."""
        now = self.clock.now()
        known = self._members.get(channel)
        if known is not None and user_id in known[1] and now - known[0] < MEMBERS_KNOWN_FOR:
            return True
        try:
            async with asyncio.timeout(LOOK_UP_WITHIN.total_seconds()):
                members = await self._members_of(await self.client.channel_id(channel))
        except CALL_FAILURES as error:
            log.warning("slack.members_unknown", channel=channel, problem=in_words(error))
            return user_id in known[1] if known is not None else None
        self._members[channel] = now, members
        return user_id in members

    async def _members_of(self, channel: str) -> frozenset[str]:
        found: set[str] = set()
        cursor: str | None = ""
        while cursor is not None:
            page = await self.client.conversations_members(channel=channel, limit=MEMBERS_A_PAGE, cursor=cursor or None)
            found.update(page.get("members") or [])
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or None
        return frozenset(found)

    async def _person(self, user_id: str) -> Json | None:
        """Give what Slack knows of a user, remembered for a while; None where it does not say in time."""
        now = self.clock.now()
        known = self._people.get(user_id)
        if known is not None and now - known[0] < KNOWN_FOR:
            return known[1]
        try:
            async with asyncio.timeout(LOOK_UP_WITHIN.total_seconds()):
                answer = await self.client.users_info(user=user_id)
        except CALL_FAILURES as error:
            log.warning("slack.user_unknown", user=user_id, problem=in_words(error))
            return known[1] if known else None
        person: Json = answer["user"]
        self._people[user_id] = (now, person)
        return person


def _is_stranger(user: Json, person: Json | None, own: Json) -> bool:
    """Tell whether somebody is of another workspace, and not of the same organisation."""
    theirs = user.get("team_id") or (person or {}).get("team_id")
    organisation = ((person or {}).get("enterprise_user") or {}).get("enterprise_id")
    is_colleague = organisation is not None and organisation == own.get("enterprise_id")
    is_foreign = theirs is not None and theirs != own.get("team_id")
    return (is_foreign and not is_colleague) or bool((person or {}).get("is_stranger"))


def first_name(user: Json, person: Json | None) -> str:
    """Give the name that customers see: the first name alone, from the full name, the shown name or the user name."""
    profile = (person or {}).get("profile") or {}
    username = str(user.get("username") or user.get("name") or "").split(".")[0].capitalize()
    for name in (profile.get("real_name"), (person or {}).get("real_name"), profile.get("display_name"), username):
        if name and name.strip():
            return str(name.split()[0])
    return ""
