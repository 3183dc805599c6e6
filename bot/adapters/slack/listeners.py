"""What staff can press and fill in, one listener for each: who is it, may they, commit, acknowledge.

No way in from outside (see `receiver`), no rule of cases. A form opens without waiting for anything slow.

Source: https://docs.slack.dev/interactivity/handling-user-interaction (three seconds; read 2026-11-22).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import structlog
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.response import BoltResponse

from bot.adapters.slack import blocks
from bot.adapters.slack.client import CALL_FAILURES, SlackClient, in_words
from bot.adapters.slack.translate import Kind, incoming
from bot.errors import DeliveryDelayed
from bot.ports.channels import Clock
from bot.ports.records import Incoming

Json: TypeAlias = dict[str, Any]
Commit: TypeAlias = Callable[[list[Incoming]], Awaitable[None]]
"""Stores rows of the inbox for good; a row whose key is known already changes nothing."""

LOOK_UP_WITHIN = timedelta(seconds=1)
"""What may go by before a form opens: its trigger lives three seconds."""
PREVIEW_WITHIN = timedelta(seconds=2)
KNOWN_FOR = timedelta(minutes=10)
"""How long the name and the rights of a person are remembered."""

GUEST = "Guests of the workspace cannot work on cases. Please ask a full member of the team."
STRANGER = "Only members of this workspace can work on cases. Please ask the team that invited you here."

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """What a form says about the customer of a case. `language` is an IETF tag, or ""."""

    customer: str
    language: str


CaseLookup: TypeAlias = Callable[[str], Awaitable[CaseFacts | None]]
"""Gives the facts of a case id."""
Compose: TypeAlias = Callable[[str, str, str], Awaitable[str]]
"""Takes case id, name and text, and gives the whole message exactly as the customer would get it."""


@dataclass(frozen=True, slots=True)
class Shop:
    """What the forms must know of the shop: its name, and keys and names of its remedies, teams and root causes."""

    name: str
    remedies: Mapping[str, str]
    teams: Mapping[str, str]
    causes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Staff:
    """Whoever pressed something: how customers see them, and why they may not, where they may not."""

    id: str
    name: str
    refusal: str | None


class Listeners:
    """The listeners: one for each thing that staff can do."""

    def __init__(
        self,
        client: SlackClient,
        commit: Commit,
        clock: Clock,
        shop: Shop,
        *,
        case_lookup: CaseLookup | None,
        compose: Compose | None,
    ) -> None:
        """Keep what was handed in; see `bot.adapters.slack.receiver.build_app`."""
        self._client = client
        self._commit = commit
        self._clock = clock
        self._shop = shop
        self._case_lookup = case_lookup
        self._compose = compose
        self._own: Json | None = None
        self._people: dict[str, tuple[datetime, Json]] = {}

    # Buttons -------------------------------------------------------------------------------------------------------

    async def claim(self, ack: AsyncAck, body: Json) -> None:
        """Store that somebody wants to take a case."""
        action, staff = body["actions"][0], await self._staff(body)
        if staff.refusal:
            await self._whisper(body, staff.refusal)
        else:
            row = incoming(
                "claim",
                key=f"action:{staff.id}:{action['action_id']}:{action['action_ts']}",
                case_id=action["value"],
                by=staff.id,
                now=self._clock.now(),
                name=staff.name,
                channel=_channel(body),
            )
            await self._commit([row])
        await ack()

    async def open_form(self, ack: AsyncAck, body: Json) -> None:
        """Open the form behind a button; nothing is stored by it."""
        action = body["actions"][0]
        case_id = action["value"]
        staff, facts = await asyncio.gather(self._staff(body), self._facts(case_id))
        if staff.refusal:
            await self._whisper(body, staff.refusal)
        else:
            view = self._form(action["action_id"], case_id, staff, facts)
            await self._client.views_open(trigger_id=body["trigger_id"], view=view)
        await ack()

    def _form(self, action_id: str, case_id: str, staff: Staff, facts: CaseFacts) -> Json:
        if action_id == blocks.REPLY:
            signed_as = ", ".join(part for part in (staff.name, self._shop.name) if part)
            return blocks.reply_view(case_id, facts.customer, facts.language, signed_as=signed_as)
        if action_id == blocks.REMEDY:
            return blocks.remedy_view(case_id, self._shop.remedies, self._shop.causes)
        return blocks.hand_over_view(case_id, self._shop.teams)

    # Forms ---------------------------------------------------------------------------------------------------------

    async def preview(self, ack: AsyncAck, body: Json, view: Json) -> None:
        """Show what the customer would get; nothing is stored and nothing is sent."""
        text = _typed(view, blocks.TEXT)
        staff = await self._staff(body)
        problem = staff.refusal or _text_problem(text, blocks.REPLY_MAX_CHARS)
        if problem:
            await ack(_with_problem(view, problem))
            return
        case_id = view["private_metadata"]
        async with asyncio.timeout(PREVIEW_WITHIN.total_seconds()):
            signed = await self._signed(case_id, staff.name, text)
        # Pushed on top of the form: closing the preview leads back to the words, which are still there.
        shown = blocks.preview_view(case_id, name=staff.name, text=text, signed=signed)
        await ack(response_action="push", view=shown)

    async def send(self, ack: AsyncAck, body: Json, view: Json) -> None:
        """Store a reply that was seen in its preview, and close both pages."""
        case_id, name, text = blocks.carried_by_preview(view["private_metadata"])
        staff = await self._staff(body)
        if staff.refusal:
            await ack(_with_problem(view, staff.refusal))
            return
        await self._commit([self._submission("reply", staff, view, case_id=case_id, name=name, text=text)])
        await ack(response_action="clear")

    async def remedy(self, ack: AsyncAck, body: Json, view: Json) -> None:
        """Store what was done about a case."""
        note = _typed(view, blocks.NOTE)
        chosen = {"remedy": _chosen(view, blocks.KIND), "root_cause": _chosen(view, blocks.CAUSE)}
        await self._noted(ack, body, "remedy", note, {**chosen, "value": _typed(view, blocks.VALUE), "note": note})

    async def hand_over(self, ack: AsyncAck, body: Json, view: Json) -> None:
        """Store that a case goes to another team."""
        reason = _typed(view, blocks.REASON)
        await self._noted(ack, body, "hand_over", reason, {"team": _chosen(view, blocks.TEAM), "reason": reason})

    async def _noted(self, ack: AsyncAck, body: Json, kind: Kind, text: str, fields: dict[str, str]) -> None:
        view, staff = body["view"], await self._staff(body)
        problem = staff.refusal or _text_problem(text, blocks.NOTE_MAX_CHARS)
        if problem:
            await ack(_with_problem(view, problem))
            return
        case_id = view["private_metadata"]
        await self._commit([self._submission(kind, staff, view, case_id=case_id, name=staff.name, **fields)])
        await ack()

    def _submission(self, kind: Kind, staff: Staff, view: Json, *, case_id: str, **fields: str) -> Incoming:
        # A view keeps its id: the same page sent twice, by a repeat or by a second press, is one act.
        key = f"view:{view['id']}"
        return incoming(kind, key=key, case_id=case_id, by=staff.id, now=self._clock.now(), **fields)

    # Who -----------------------------------------------------------------------------------------------------------

    async def authorized(self) -> AuthorizeResult:
        """Tell Bolt who the bot is.

        Raises:
            DeliveryDelayed: Slack did not say; the request is then not acknowledged.
        """
        own = await self._whoami()
        return AuthorizeResult(
            enterprise_id=own.get("enterprise_id"),
            team_id=own.get("team_id"),
            bot_id=own.get("bot_id"),
            bot_user_id=own.get("user_id"),
            bot_token=self._client.token,
        )

    async def _whoami(self) -> Json:
        if self._own is None:
            try:
                answer = await self._client.auth_test()
            except CALL_FAILURES as error:
                raise DeliveryDelayed(f"Slack does not say who the bot is: {in_words(error)}") from error
            self._own = {name: answer.get(name) for name in ("user_id", "bot_id", "team_id", "enterprise_id")}
        return self._own

    async def _staff(self, body: Json) -> Staff:
        user = body["user"]
        own, person = await self._whoami(), await self._person(user["id"])
        return Staff(user["id"], first_name(user, person), why_not(user, person, own))

    async def _person(self, user_id: str) -> Json | None:
        """Give what Slack knows of a user, remembered for a while; None where it does not say in time."""
        now = self._clock.now()
        known = self._people.get(user_id)
        if known is not None and now - known[0] < KNOWN_FOR:
            return known[1]
        try:
            async with asyncio.timeout(LOOK_UP_WITHIN.total_seconds()):
                answer = await self._client.users_info(user=user_id)
        except CALL_FAILURES as error:
            log.warning("slack.user_unknown", user=user_id, problem=in_words(error))
            return known[1] if known else None
        person: Json = answer["user"]
        self._people[user_id] = (now, person)
        return person

    async def _facts(self, case_id: str) -> CaseFacts:
        if self._case_lookup is not None:
            # A form that says less is better than one that comes too late to open.
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_UP_WITHIN.total_seconds()):
                    return await self._case_lookup(case_id) or CaseFacts("", "")
        return CaseFacts("", "")

    async def _signed(self, case_id: str, name: str, text: str) -> str:
        if self._compose is not None:
            return await self._compose(case_id, name, text)
        return f"{text}\n\n– {', '.join(part for part in (name, self._shop.name) if part)}"

    # Telling -------------------------------------------------------------------------------------------------------

    async def failed(self, error: Exception, body: Json) -> BoltResponse | None:
        """Log what went wrong under a reference and tell the person no more than that; a form stays as it is.

        What is no form is answered with a 500, so that Slack knows that it was not taken.
        """
        reference = self._clock.new_id()[:8]
        log.error("slack.listener_failed", reference=reference, what=body.get("type"), exc_info=error)
        problem = f"That did not work (reference {reference}). It was not stored; please press again."
        if body.get("type") == "view_submission":
            return BoltResponse(status=200, body=_with_problem(body["view"], problem))
        if body.get("type") == "block_actions":
            await self._whisper(body, problem)
        return None

    async def _whisper(self, body: Json, text: str) -> None:
        channel = _channel(body)
        if channel:
            with suppress(*CALL_FAILURES):  # A kindness: it must not spoil what it speaks of.
                await self._client.chat_postEphemeral(channel=channel, user=body["user"]["id"], text=text)


def why_not(user: Json, person: Json | None, own: Json) -> str | None:
    """Tell why a user may not work on cases; None where they may.

    Args:
        user: as the payload names them, with the id of their own workspace.
        person: what ``users.info`` says; None where it did not answer: then the workspace alone decides.
        own: what ``auth.test`` says about the bot.

    Source: https://docs.slack.dev/reference/objects/user-object (is_restricted, is_stranger; read 2026-11-22).
    """
    theirs = user.get("team_id") or (person or {}).get("team_id")
    organisation = (person or {}).get("enterprise_user", {}).get("enterprise_id")
    is_colleague = organisation is not None and organisation == own.get("enterprise_id")
    is_foreign = theirs is not None and theirs != own.get("team_id")
    if (is_foreign and not is_colleague) or (person or {}).get("is_stranger"):
        return STRANGER
    if person and (person.get("is_restricted") or person.get("is_ultra_restricted")):
        return GUEST
    return None


def first_name(user: Json, person: Json | None) -> str:
    """Give the name that customers see: the first name alone, from the full name, the shown name or the user name."""
    profile = (person or {}).get("profile") or {}
    username = str(user.get("username") or user.get("name") or "").split(".")[0].capitalize()
    for name in (profile.get("real_name"), (person or {}).get("real_name"), profile.get("display_name"), username):
        if name and name.strip():
            return str(name.split()[0])
    return ""


def _channel(body: Json) -> str:
    return str((body.get("channel") or body.get("container") or {}).get("id") or "")


def _typed(view: Json, field: str) -> str:
    return str(view["state"]["values"][field][field].get("value") or "").strip()


def _chosen(view: Json, field: str) -> str:
    return str((view["state"]["values"][field][field].get("selected_option") or {}).get("value") or "")


def _text_problem(text: str, most: int) -> str | None:
    if not text:
        return "Please write something: blanks alone say nothing."
    if blocks.size(text) > most:
        return f"Please write at most {most} characters."
    return None


def _with_problem(view: Json, problem: str) -> Json:
    """Answer a form with a problem: at its last field, or, on a page without fields, above the page's own words."""
    fields = [block["block_id"] for block in view["blocks"] if block["type"] == "input"]
    if fields:
        return {"response_action": "errors", "errors": {fields[-1]: problem}}
    case_id, name, text = blocks.carried_by_preview(view["private_metadata"])
    words = [block["text"] for block in view["blocks"] if block["type"] == "section"]
    signed = "".join(each["text"] for each in words if each["type"] == "plain_text")
    again = blocks.preview_view(case_id, name=name, text=text, signed=signed, problem=problem)
    return {"response_action": "update", "view": again}
