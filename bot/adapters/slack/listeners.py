"""What staff can press, fill in and ask, one listener for each: who is it, may they, commit, acknowledge.

No way in from outside (see `receiver`), no rule of cases. A form opens without waiting for anything slow: who it is and
what the case is about are looked up side by side, for a second at most.

Source: https://docs.slack.dev/interactivity/handling-user-interaction (three seconds; read 2026-11-22).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import structlog
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.response import BoltResponse

from bot.adapters.slack import blocks, forms, home
from bot.adapters.slack.client import CALL_FAILURES, SlackClient
from bot.adapters.slack.staff import LOOK_UP_WITHIN, Door, Staff
from bot.adapters.slack.text import MENTION, mrkdwn, size
from bot.adapters.slack.translate import Kind, incoming, person_left
from bot.desk.honesty import hints
from bot.desk.machine import SNOOZE_MAX
from bot.desk.shop import FALLBACK, Shop
from bot.errors import NotFound
from bot.ports.board import Answers, CaseFacts
from bot.ports.channels import Clock
from bot.ports.records import Incoming

Json: TypeAlias = dict[str, Any]
Commit: TypeAlias = Callable[[list[Incoming]], Awaitable[None]]
"""Stores rows of the inbox for good; a row whose key is known already changes nothing."""

ANSWER_WITHIN = timedelta(seconds=2)
"""What may go by before a preview, the home tab or an answer is there: Slack waits three seconds."""
LAST_WORDS_MAX_CHARS = 1_000

TOO_SLOW = "That took too long just now. Please try again."
NO_CASE = "This case is no longer known here. Please look for it in the app's Home tab."
NO_TEAM = "Only members of a team can look at sales. Please join the channel of yours first."
NOBODY = CaseFacts("", "")
"""What a form says where nothing could be looked up in time."""

log = structlog.get_logger(__name__)


class Listeners:
    """The listeners: one for each thing that staff can do."""

    def __init__(self, client: SlackClient, commit: Commit, clock: Clock, shop: Shop, answers: Answers) -> None:
        """Keep what was handed in; see `bot.adapters.slack.receiver.build_app`."""
        self._client = client
        self._commit = commit
        self._clock = clock
        self._shop = shop
        self._answers = answers
        self._spoken = shop.staff_language
        self._present: dict[str, bool] = {}
        self.door = Door(client, clock, shop)

    # Buttons -------------------------------------------------------------------------------------------------------

    async def claim(self, ack: AsyncAck, body: Json) -> None:
        """Store that somebody wants to take a case."""
        action = body["actions"][0]
        staff, _, problem = await self._asked(body["user"], action["value"])
        if problem:
            await self._whisper(body, problem)
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
        """Open the form behind a button, or behind an item of the menu; nothing is stored by it."""
        action = body["actions"][0]
        what, case_id = action["action_id"], str(action.get("value") or "")
        if what == blocks.MORE:
            what, _, case_id = str(action["selected_option"]["value"]).partition(":")
        staff, facts, problem = await self._asked(body["user"], case_id)
        if problem:
            await self._whisper(body, problem)
        else:
            view = self._form(what, case_id, staff, facts)
            if view is not None:
                await self._client.views_open(trigger_id=body["trigger_id"], view=view)
        await ack()

    async def finish_task(self, ack: AsyncAck, body: Json) -> None:
        """Open the form in which a second team says that it did what was asked."""
        case_id, _, task_id = str(body["actions"][0]["value"]).partition(":")
        _, problem = await self._asked_of_task(body["user"], case_id, task_id)
        if problem:
            await self._whisper(body, problem)
        else:
            view = forms.task_done_view(case_id, task_id, self._spoken)
            await self._client.views_open(trigger_id=body["trigger_id"], view=view)
        await ack()

    def _form(self, what: str, case_id: str, staff: Staff, facts: CaseFacts) -> Json | None:
        spoken, shop = self._spoken, self._shop
        match what:
            case blocks.REPLY:
                return self._reply_form(case_id, staff, facts)
            case blocks.REMEDY:
                remedies = {key: shop.remedy_label(key, spoken) for key in shop.remedies}
                causes = {key: shop.cause_label(key, spoken) for key in shop.causes}
                return forms.remedy_view(case_id, remedies, causes, spoken)
            case blocks.HAND_OVER:
                return forms.hand_over_view(case_id, self._other_teams(facts.team), spoken)
            case blocks.SNOOZE:
                calendar = shop.team(facts.team or FALLBACK).calendar
                until = calendar.add_business_days(self._clock.now(), 1)
                return forms.snooze_view(case_id, int(until.timestamp()), spoken)
            case blocks.CALL:
                return forms.call_view(case_id, spoken)
            case blocks.NOTE_DOWN:
                return forms.note_view(case_id, spoken)
            case blocks.TASK:
                return forms.task_view(case_id, self._other_teams(facts.team), spoken)
            case _:
                return None

    def _other_teams(self, own: str) -> Mapping[str, str]:
        teams = {name: name for name in self._shop.teams}
        return {name: shown for name, shown in teams.items() if name != own} or teams

    def _reply_form(self, case_id: str, staff: Staff, facts: CaseFacts, begun_with: tuple[str, str] = ("", "")) -> Json:
        signed_as = ", ".join(part for part in (staff.name, self._shop.name) if part)
        customer = forms.Customer(facts.customer, facts.language, facts.said[-LAST_WORDS_MAX_CHARS:])
        saved = self._saved(facts)
        return forms.reply_view(
            case_id, customer, signed_as=signed_as, saved=saved, begun_with=begun_with, spoken=self._spoken
        )

    def _saved(self, facts: CaseFacts) -> list[tuple[str, str, str]]:
        first = facts.customer.split(" ")[0]
        return self._shop.answers_in(facts.language, first_name=first, order=facts.sale_id, bought=facts.bought)

    async def begin_with(self, ack: AsyncAck, body: Json) -> None:
        """Put a saved answer into the field of a reply: in place of another, or below what was written by hand."""
        await ack()
        view, case_id = body["view"], body["view"]["private_metadata"]
        key = str((body["actions"][0].get("selected_option") or {}).get("value") or "")
        staff, facts, problem = await self._asked(body["user"], case_id)
        texts = {name: text for name, _, text in self._saved(facts)}
        if problem or key not in texts:
            return
        written = _typed(view, forms.TEXT)
        by_hand = written if written not in texts.values() else ""
        # The field is named by the moment as well: the same answer, chosen once more, is set once more.
        name = f"{key}:{body['actions'][0]['action_ts']}"
        words = "\n\n".join(part for part in (by_hand, texts[key]) if part)
        again = self._reply_form(case_id, staff, facts, (name, words))
        await self._client.views_update(view_id=view["id"], hash=view["hash"], view=again)

    # Forms ---------------------------------------------------------------------------------------------------------

    async def preview(self, ack: AsyncAck, body: Json, view: Json) -> None:
        """Show what the customer would get; nothing is stored and nothing is sent."""
        text, case_id = _typed(view, forms.TEXT), view["private_metadata"]
        staff, facts, problem = await self._asked(body["user"], case_id)
        problem = problem or _text_problem(text, forms.REPLY_MAX_CHARS)
        if problem:
            await ack(_with_problem(view, problem))
            return
        async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
            signed = await self._answers.compose(case_id, staff.name, text)
        looked_at = hints(text, language=facts.language or "", staff_language=self._spoken)
        # Pushed on top of the form: closing the preview leads back to the words, which are still there.
        shown = forms.preview_view(
            case_id, name=staff.name, text=text, signed=signed, hints=looked_at, spoken=self._spoken
        )
        await ack(response_action="push", view=shown)

    async def send(self, ack: AsyncAck, body: Json, view: Json) -> None:
        """Store a reply that was seen in its preview, and close both pages."""
        case_id, name, text = forms.carried_by_preview(view["private_metadata"])
        staff, _, problem = await self._asked(body["user"], case_id)
        if problem:
            await ack(_with_problem(view, problem))
            return
        await self._commit([self._submission("reply", staff, view, case_id=case_id, name=name, text=text)])
        await ack(response_action="clear")

    async def remedy(self, ack: AsyncAck, body: Json, view: Json) -> None:
        """Store what was done about a case."""
        note, kind, value = _typed(view, forms.NOTE), _chosen(view, forms.KIND), _typed(view, forms.VALUE)
        known = self._shop.remedies.get(kind)
        lacks = known is not None and known.has_value and not value
        problems = {
            forms.VALUE: "Please say what it is worth: the figures need it." if lacks else None,
            forms.NOTE: _note_problem(note),
        }
        fields = {"remedy": kind, "root_cause": _chosen(view, forms.CAUSE), "value": value, "note": note}
        await self._noted(ack, body, "remedy", fields, problems)

    async def hand_over(self, ack: AsyncAck, body: Json, view: Json) -> None:
        """Store that a case goes to another team."""
        reason = _typed(view, forms.REASON)
        fields = {"team": _chosen(view, forms.TEAM), "reason": reason}
        await self._noted(ack, body, "hand_over", fields, {forms.REASON: _note_problem(reason)})

    async def snooze(self, ack: AsyncAck, body: Json, view: Json) -> None:
        """Store until when a case is put aside, and what it waits for."""
        seconds = view["state"]["values"][forms.UNTIL][forms.UNTIL].get("selected_date_time")
        until = datetime.fromtimestamp(int(seconds or 0), UTC)
        waits_for, reason = _chosen(view, forms.WAITS_FOR), _typed(view, forms.REASON)
        problems = {forms.UNTIL: _until_problem(until, self._clock.now()), forms.REASON: _note_problem(reason)}
        fields = {"until": until.isoformat(), "waits_for": waits_for, "reason": reason}
        await self._noted(ack, body, "snooze", fields, problems)

    async def call(self, ack: AsyncAck, body: Json, view: Json) -> None:
        """Store that the customer is to be called."""
        reason = _typed(view, forms.REASON)
        await self._noted(ack, body, "call", {"reason": reason}, {forms.REASON: _note_problem(reason)})

    async def note(self, ack: AsyncAck, body: Json, view: Json) -> None:
        """Store a note for the others."""
        text = _typed(view, forms.TEXT)
        await self._noted(ack, body, "note", {"text": text}, {forms.TEXT: _note_problem(text)})

    async def ask_team(self, ack: AsyncAck, body: Json, view: Json) -> None:
        """Store what another team is asked for."""
        text = _typed(view, forms.TEXT)
        fields = {"team": _chosen(view, forms.TEAM), "text": text}
        await self._noted(ack, body, "task", fields, {forms.TEXT: _note_problem(text)})

    async def task_done(self, ack: AsyncAck, body: Json, view: Json) -> None:
        """Store that a second team did what was asked."""
        case_id, _, task_id = view["private_metadata"].partition(":")
        staff, problem = await self._asked_of_task(body["user"], case_id, task_id)
        if problem:
            await ack(_with_problem(view, problem))
            return
        fields = {"task_id": task_id, "note": _typed(view, forms.NOTE)}
        await self._commit([self._submission("task_done", staff, view, case_id=case_id, name=staff.name, **fields)])
        await ack()

    async def _noted(
        self, ack: AsyncAck, body: Json, kind: Kind, fields: dict[str, str], problems: Mapping[str, str | None]
    ) -> None:
        """Store what a form says; `problems` are those of its fields, and none of them where it may be stored."""
        view, case_id = body["view"], body["view"]["private_metadata"]
        staff, _, refusal = await self._asked(body["user"], case_id)
        if refusal:
            await ack(_with_problem(view, refusal))
            return
        if errors := {name: why for name, why in problems.items() if why}:
            await ack(_errors(errors))
            return
        await self._commit([self._submission(kind, staff, view, case_id=case_id, name=staff.name, **fields)])
        await ack()

    def _submission(self, kind: Kind, staff: Staff, view: Json, *, case_id: str, **fields: str) -> Incoming:
        # A view keeps its id: the same page sent twice, by a repeat or by a second press, is one act.
        key = f"view:{view['id']}"
        return incoming(kind, key=key, case_id=case_id, by=staff.id, now=self._clock.now(), **fields)

    # The home tab and the command ------------------------------------------------------------------------------------

    async def home_opened(self, event: Json) -> None:
        """Show somebody their cases; what cannot be had now is there when they open it again."""
        if event.get("tab") == "home":
            await self._publish({"id": event["user"]})

    async def refresh_home(self, ack: AsyncAck, body: Json) -> None:
        """Show the home tab as things stand now."""
        await ack()
        await self._publish(body["user"])

    async def pause(self, ack: AsyncAck, body: Json) -> None:
        """Let the bot say nothing of its own accord until somebody resumes."""
        if self._answers_for_it(await self.door.staff(body["user"])):
            await self._answers.pause(body["user"]["id"])
        await self.refresh_home(ack, body)

    async def resume(self, ack: AsyncAck, body: Json) -> None:
        """Let the bot speak again."""
        if self._answers_for_it(await self.door.staff(body["user"])):
            await self._answers.resume(body["user"]["id"])
        await self.refresh_home(ack, body)

    def _answers_for_it(self, staff: Staff) -> bool:
        is_of_us = not staff.is_guest and not staff.is_stranger
        return is_of_us and (staff.is_admin or staff.id == self._shop.cx_owner)

    async def _publish(self, user: Json) -> None:
        try:
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                staff, own = await asyncio.gather(self.door.staff(user), self.door.whoami())
                board = await self._answers.board(staff.id, await self.door.teams_of(staff))
                running = await self._answers.running() if self._answers_for_it(staff) else None
        except TimeoutError:
            log.warning("slack.home_too_slow", user=user["id"])
            return
        view = home.home_view(board, running, str(own.get("url") or ""))
        await self._client.views_publish(user_id=staff.id, view=view)

    async def command(self, ack: AsyncAck, body: Json) -> None:
        """Answer the slash command, to whoever asked and nobody else."""
        user = {"id": body["user_id"], "team_id": body.get("team_id"), "username": body.get("user_name")}
        try:
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                text = await self._command_answer(user, str(body.get("text") or ""))
        except TimeoutError:
            text = TOO_SLOW
        await ack(text=text, response_type="ephemeral")

    async def _command_answer(self, user: Json, text: str) -> str:
        verb, _, rest = text.strip().partition(" ")
        rest = rest.strip()
        if verb.lower() not in ("why", "find") or not rest:
            return home.HELP
        staff = await self.door.staff(user)
        if not await self.door.teams_of(staff) and not self._answers_for_it(staff):
            return self.door.no_colleague(staff) or NO_TEAM
        if verb.lower() == "find":
            own = await self.door.whoami()
            return home.found_text(rest, await self._answers.find(rest), str(own.get("url") or ""))
        try:
            return home.why_text(rest, await self._answers.why(rest))
        except NotFound:
            named = mrkdwn(" ".join(rest.split())[:60])
            return f"There is no sale {named}. `{home.COMMAND} find NAME` finds it by the customer's name."

    # People ----------------------------------------------------------------------------------------------------------

    async def person_changed(self, event: Json, body: Json) -> None:
        """Store that somebody who works on cases has left the workspace, or is back.

        Source: https://docs.slack.dev/reference/events/user_change (deleted; read 2026-11-25).
        """
        user, is_there = event["user"]["id"], not event["user"].get("deleted")
        known = self._present.get(user)
        # Slack tells of every change of everybody. Of those whom shop.yaml names it counts once that they are there.
        if known == is_there or (known is None and is_there and not self._is_ours(user)):
            return
        row = person_left(user, left=not is_there, key=f"event:{body['event_id']}", now=self._clock.now())
        await self._commit([row])
        self._present[user] = is_there

    def _is_ours(self, user_id: str) -> bool:
        teams = self._shop.teams.values()
        return user_id == self._shop.cx_owner or any(user_id == t.lead or user_id in t.members for t in teams)

    async def _asked(self, user: Json, case_id: str) -> tuple[Staff, CaseFacts, str | None]:
        """Tell who wants something about a case, what a form says about it, and why they may not, if they may not."""
        staff, facts = await asyncio.gather(self.door.staff(user), self._facts(case_id))
        if facts is None:
            return staff, NOBODY, NO_CASE
        if facts is NOBODY:  # Whose case it is could not be asked in time: it is when the form is sent.
            return staff, facts, self.door.no_colleague(staff)
        return staff, facts, await self.door.refusal(staff, facts.team, has_fallen_back=facts.has_fallen_back)

    async def _asked_of_task(self, user: Json, case_id: str, task_id: str) -> tuple[Staff, str | None]:
        staff = await self.door.staff(user)
        async with asyncio.timeout(LOOK_UP_WITHIN.total_seconds()):
            team = await self._answers.task_team(case_id, task_id)
        return staff, NO_CASE if team is None else await self.door.refusal(staff, team)

    async def _facts(self, case_id: str) -> CaseFacts | None:
        # A form that says less is better than one that comes too late to open; who may is asked again when it is sent.
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_UP_WITHIN.total_seconds()):
                return await self._answers.facts(case_id)
        return NOBODY

    # Telling -------------------------------------------------------------------------------------------------------

    async def failed(self, error: Exception, body: Json) -> BoltResponse | None:
        """Log what went wrong under a reference and tell the person no more than that; a form stays as it is.

        What is no form is answered with a 500, so that Slack knows that it was not taken.
        """
        reference = self._clock.new_id()[:8]
        what = body.get("type") or body.get("command")
        log.error("slack.listener_failed", reference=reference, what=what, exc_info=error)
        problem = f"That did not work (reference {reference}). It was not stored; please press again."
        if body.get("type") == "view_submission":
            return BoltResponse(status=200, body=_with_problem(body["view"], problem))
        if body.get("type") == "block_actions":
            await self._whisper(body, problem)
        if body.get("command"):
            text = f"That did not work (reference {reference}). Please try again."
            return BoltResponse(status=200, body={"response_type": "ephemeral", "text": text})
        return None

    async def _whisper(self, body: Json, text: str) -> None:
        channel = _channel(body)
        if channel:
            with suppress(*CALL_FAILURES):  # A kindness: it must not spoil what it speaks of.
                await self._client.chat_postEphemeral(channel=channel, user=body["user"]["id"], text=mrkdwn(text))


def _channel(body: Json) -> str:
    return str((body.get("channel") or body.get("container") or {}).get("id") or "")


def _typed(view: Json, field: str) -> str:
    """Give what stands in a field; it may have been renamed after what it began with."""
    for name, values in view["state"]["values"].items():
        if name.partition(":")[0] == field:
            return str(next(iter(values.values())).get("value") or "").strip()
    return ""


def _chosen(view: Json, field: str) -> str:
    return str((view["state"]["values"][field][field].get("selected_option") or {}).get("value") or "")


def _text_problem(text: str, most: int) -> str | None:
    if not text:
        return "Please write something: blanks alone say nothing."
    if size(text) > most:
        return f"Please write at most {most} characters."
    return None


def _note_problem(text: str) -> str | None:
    return _text_problem(text, forms.NOTE_MAX_CHARS)


def _until_problem(until: datetime, now: datetime) -> str | None:
    if until <= now:
        return "That has passed already. Please choose a time to come."
    if until > now + SNOOZE_MAX:
        return f"A case is put aside for {SNOOZE_MAX.days} days at most."
    return None


def _errors(errors: Mapping[str, str]) -> Json:
    return {"response_action": "errors", "errors": dict(errors)}


def _with_problem(view: Json, problem: str) -> Json:
    """Answer a form with a problem: at its last field, or, on a page without fields, above the page's own words."""
    fields = [block["block_id"] for block in view["blocks"] if block["type"] == "input"]
    problem = MENTION.sub("the team's lead", problem)  # A form shows plain words.
    if fields:
        return _errors({fields[-1]: problem})
    case_id, name, text = forms.carried_by_preview(view["private_metadata"])
    words = [block["text"] for block in view["blocks"] if block["type"] == "section"]
    signed = "".join(each["text"] for each in words if each["type"] == "plain_text")
    again = forms.preview_view(case_id, name=name, text=text, signed=signed, problem=problem)
    return {"response_action": "update", "view": again}
