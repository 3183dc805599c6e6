"""Members of staff, played from code: what a person does in Slack, and what they see.

Every act goes to the app as the payload that Slack would send, and returns when the app has
acknowledged it or the time for that is over.
"""

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bot.adapters.sandbox.slack.blocks import Json
from bot.adapters.sandbox.slack.delivery import Delivery
from bot.adapters.sandbox.slack.forms import Answer, CannotDo, check_sendable, chosen, fill
from bot.adapters.sandbox.slack.rendering import label_of, options_of, pressables, render_view
from bot.adapters.sandbox.slack.views import VALUE_KEYS, Views, inputs_of
from bot.adapters.sandbox.slack.web_api import WebApi, told_person
from bot.adapters.sandbox.slack.workspace import (
    APP_ID,
    BOT_ID,
    BOT_USER_ID,
    TEAM_ID,
    Ack,
    Channel,
    Message,
    Person,
    Refused,
    Workspace,
)

VERIFICATION_TOKEN = "sandbox-verification"


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """What became of a modal that a member sent.

    Attributes:
        acked: Whether the app answered in time; if not, the view stays open with a warning.
        action: `close`, `errors`, `update`, `push` or `clear`; empty when not acknowledged
            or when Slack refused the answer.
        errors: What is shown at which block, for `errors`.
        problem: Why Slack refused the app's answer; empty when it did not.
    """

    acked: bool
    action: str = ""
    errors: dict[str, str] = field(default_factory=dict)
    problem: str = ""


class Member:
    """One person in the workspace; made by `SandboxSlack.member`."""

    def __init__(
        self,
        person: Person,
        workspace: Workspace,
        *,
        views: Views,
        api: WebApi,
        delivery: Delivery,
    ) -> None:
        self.person = person
        self.id = person.id
        self.name = person.name
        self._space = workspace
        self._views = views
        self._api = api
        self._delivery = delivery

    # ── what they see ───────────────────────────────────────────────────────

    @property
    def view(self) -> Json | None:
        """The modal that they see, with what is filled in; None when none is open."""
        return copy.deepcopy(self._views.top(self.id))

    @property
    def views(self) -> list[Json]:
        """All their open modals, the newest last."""
        return copy.deepcopy(self._views.stacks.get(self.id, []))

    @property
    def home(self) -> Json | None:
        """Their home tab, as the app published it."""
        return copy.deepcopy(self._views.homes.get(self.id))

    @property
    def ephemerals(self) -> list[Message]:
        """Messages that only they saw."""
        return list(self._space.ephemerals.get(self.id, []))

    async def wait_view(
        self,
        wanted: Callable[[Json], bool] = lambda _view: True,
        timeout: float = 5,  # noqa: ASYNC109 - as in the other waits
    ) -> Json:
        """Return their top view as soon as it fits.

        Raises:
            TimeoutError: It did not within `timeout` seconds of real time.
        """

        def found() -> Json | None:
            top = self._views.top(self.id)
            return copy.deepcopy(top) if top is not None and wanted(top) else None

        def otherwise() -> str:
            top = self._views.top(self.id)
            seen = render_view(top) if top else "no view"
            return f"no such view opened for {self.name}; they see:\n{seen}"

        return await self._space.wait_until(found, seconds=timeout, otherwise=otherwise)

    async def wait_ephemeral(
        self,
        wanted: Callable[[Message], bool] = lambda _message: True,
        timeout: float = 5,  # noqa: ASYNC109 - as in the other waits
    ) -> Message:
        """Return the first message for them alone that fits.

        Raises:
            TimeoutError: None came within `timeout` seconds of real time.
        """
        return await self._space.wait_until(
            lambda: next(filter(wanted, self.ephemerals), None),
            seconds=timeout,
            otherwise=lambda: f"{self.name} saw no such message",
        )

    # ── what they do with messages ──────────────────────────────────────────

    async def click(self, message: Message, what: str, option: str | None = None) -> Ack:
        """Press a button of a message, or choose an option in one of its menus.

        Args:
            message: The message; its present state counts.
            what: The text on it, or its action id; or that of an item behind three dots.
            option: For menus: the text or the value of the option.

        Raises:
            CannotDo: There is nothing of that name to press.
            LookupError: The message was deleted.
        """
        message = self._space.find(message)
        block, element, option = _pressable(message.blocks, what, option)
        channel = self._space.channels[message.channel_id]
        channel.member_ids.add(self.id)
        container: Json = {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": channel.id,
            "is_ephemeral": message.is_ephemeral,
        }
        if message.thread_ts:
            container["thread_ts"] = message.thread_ts
        payload = self._interaction("block_actions") | {
            "container": container,
            "channel": {"id": channel.id, "name": channel.name},
            "state": {"values": {}},
            "response_url": self._space.issue_response_url(self.id, channel.id, message),
            "actions": [self._action(block, element, option)],
        }
        if not message.is_ephemeral:
            payload["message"] = message.as_json()
        return await self._hand_over(payload)

    async def post(self, channel: Channel, text: str) -> Message:
        """Write a message into a channel; returns it when the app has been told."""
        return await self._say(channel, text, None, {})

    async def type_in_thread(self, message: Message, text: str, files: Mapping[str, bytes] | None = None) -> Message:
        """Write a reply below a message, perhaps with files (name to content)."""
        parent_ts = message.thread_ts or message.ts
        channel = self._space.channels[message.channel_id]
        return await self._say(channel, text, parent_ts, files or {})

    async def edit(self, message: Message, text: str) -> None:
        """Change one of their own messages."""
        before = message.as_json()
        message.text = escaped(text)
        message.edited = {"user": self.id, "ts": self._space.new_ts()}
        channel = self._space.channels[message.channel_id]
        await self._space.tell_changed(channel, message, before).settled()

    async def delete(self, message: Message) -> None:
        """Delete one of their own messages."""
        channel = self._space.channels[message.channel_id]
        await self._space.delete(channel, message).settled()

    async def slash(self, command: str, text: str, channel: Channel) -> Ack:
        """Send a slash command; an answer in the acknowledgement becomes an ephemeral."""
        channel.member_ids.add(self.id)
        payload = {
            "token": VERIFICATION_TOKEN,
            "team_id": self.person.team_id,
            "team_domain": "sandbox",
            "channel_id": channel.id,
            "channel_name": channel.name,
            "user_id": self.id,
            "user_name": self.person.handle,
            "command": command,
            "text": text,
            "api_app_id": APP_ID,
            "is_enterprise_install": "false",
            "response_url": self._space.issue_response_url(self.id, channel.id),
            "trigger_id": self._space.issue_trigger(self.id),
        }
        ack = await self._delivery.hand_over("slash_commands", payload)
        if ack.payload and (ack.payload.get("text") or ack.payload.get("blocks")):
            in_channel = ack.payload.get("response_type") == "in_channel"
            message = Message(
                channel_id=channel.id,
                ts=self._space.new_ts(),
                user=BOT_USER_ID,
                bot_id=BOT_ID,
                text=ack.payload.get("text") or "",
                blocks=ack.payload.get("blocks") or [],
                is_ephemeral=not in_channel,
            )
            if in_channel:
                self._space.post(channel, message)
            else:
                self._space.ephemerals.setdefault(self.id, []).append(message)
                self._space.changed()
        return ack

    async def open_home(self) -> Ack:
        """Open the app's home tab."""
        event: Json = {
            "type": "app_home_opened",
            "user": self.id,
            "channel": f"D{self.id[1:]}",
            "tab": "home",
            "event_ts": self._space.new_ts(),
        }
        if self.home is not None:
            event["view"] = self.home
        return await self._space.emit(None, event).settled()

    async def leave(self) -> Ack:
        """Leave the workspace; the app is told."""
        self.person.has_left = True
        return await self._space.emit(None, {"type": "user_change", "user": told_person(self.person)}).settled()

    async def come_back(self) -> Ack:
        """Be let in again."""
        self.person.has_left = False
        return await self._space.emit(None, {"type": "user_change", "user": told_person(self.person)}).settled()

    # ── what they do with views ─────────────────────────────────────────────

    def fill(self, answers: Mapping[str, Answer]) -> None:
        """Fill in fields of the open modal without sending it.

        Args:
            answers: Field (block id, action id or label) to text, option or options.

        Raises:
            CannotDo: No such field or option, too long, or no modal open.
        """
        fill(self._top(), answers)

    async def submit(self, answers: Mapping[str, Answer] | None = None) -> Submitted:
        """Fill in the open modal and send it; the app's answer is carried out.

        Raises:
            CannotDo: Slack's client would not send it: a required field is empty, a text is
                too long or too short, there is no such field or no modal.
        """
        view = self._top()
        fill(view, answers or {})
        check_sendable(view)
        payload = self._interaction("view_submission", view["id"]) | {
            "view": copy.deepcopy(view),
            "response_urls": [],
        }
        ack = await self._hand_over(payload)
        if not ack.acked:
            return Submitted(acked=False, problem=ack.reason)
        try:
            return self._carry_out(view, ack.payload or {})
        except Refused as refused:
            # Slack's client shows a general warning and leaves the form as it is.
            problem = " ".join([refused.error, *refused.messages])
            return Submitted(acked=True, problem=problem)

    async def close_view(self, *, everything: bool = False) -> Ack:
        """Close the open modal; the app is told if it asked for that (`notify_on_close`)."""
        view = self._top()
        if everything or view["clear_on_close"]:
            self._views.clear(self.id)
        else:
            self._views.close(self.id, view["id"])
        if not view["notify_on_close"]:
            return Ack(acked=True)
        payload = self._interaction("view_closed") | {
            "view": copy.deepcopy(view),
            "is_cleared": everything,
        }
        del payload["trigger_id"]
        return await self._hand_over(payload)

    async def click_in_view(self, what: str, option: str | None = None, *, home: bool = False) -> Ack:
        """Press a button, or choose from a menu, inside the open modal or the home tab.

        Raises:
            CannotDo: There is nothing of that name to press.
        """
        view = self._views.homes[self.id] if home else self._top()
        block, element, option = _pressable(view["blocks"], what, option)
        if option is not None and element["type"] in VALUE_KEYS:
            fill(view, {element["action_id"]: option})
        payload = self._interaction("block_actions", None if home else view["id"]) | {
            "container": {"type": "view", "view_id": view["id"]},
            "view": copy.deepcopy(view),
            "actions": [self._action(block, element, option)],
        }
        return await self._hand_over(payload)

    # ── parts ───────────────────────────────────────────────────────────────

    def _top(self) -> Json:
        view = self._views.top(self.id)
        if view is None:
            raise CannotDo(f"{self.name} has no modal open")
        return view

    def _carry_out(self, view: Json, answer: Json) -> Submitted:
        match answer.get("response_action"):
            case None:
                self._views.close(self.id, view["id"])
                return Submitted(acked=True, action="close")
            case "errors":
                return self._shown_errors(view, answer.get("errors"))
            case "update":
                self._views.update(view, answer.get("view"))
                return Submitted(acked=True, action="update")
            case "push":
                self._views.push(self.id, answer.get("view"))
                return Submitted(acked=True, action="push")
            case "clear":
                self._views.clear(self.id)
                return Submitted(acked=True, action="clear")
            case other:
                raise Refused("invalid_response_action", [str(other)])

    def _shown_errors(self, view: Json, errors: object) -> Submitted:
        fields = {b["block_id"] for b, _ in inputs_of(view["blocks"]) if b["type"] == "input"}
        if not isinstance(errors, dict) or not errors or not errors.keys() <= fields:
            raise Refused("invalid_errors", [f"errors must name input blocks of {sorted(fields)}"])
        return Submitted(acked=True, action="errors", errors=dict(errors))

    def _interaction(self, kind: str, view_id: str | None = None) -> Json:
        return {
            "type": kind,
            "team": {"id": TEAM_ID, "domain": "sandbox"},
            "user": {
                "id": self.id,
                "username": self.person.handle,
                "name": self.person.handle,
                "team_id": self.person.team_id,
            },
            "api_app_id": APP_ID,
            "token": VERIFICATION_TOKEN,
            "trigger_id": self._space.issue_trigger(self.id, view_id),
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _action(self, block: Json, element: Json, option: str | None) -> Json:
        action: Json = {
            "action_id": element["action_id"],
            "block_id": block["block_id"],
            "type": element["type"],
            "action_ts": self._space.new_ts(),
        }
        kept = ("text", "value", "style") if element["type"] == "button" else ("placeholder",)
        action |= {name: element[name] for name in kept if name in element}
        return action if element["type"] == "button" else action | chosen(element, option)

    async def _hand_over(self, payload: Json) -> Ack:
        # A copy: what is sent is fixed at the moment of the click, whatever changes meanwhile.
        return await self._delivery.hand_over("interactive", copy.deepcopy(payload))

    async def _say(self, channel: Channel, text: str, thread_ts: str | None, files: Mapping[str, bytes]) -> Message:
        if channel.is_archived:
            raise CannotDo(f"#{channel.name} is archived; nobody can write there")
        channel.member_ids.add(self.id)
        message = Message(
            channel_id=channel.id,
            ts=self._space.new_ts(),
            user=self.id,
            text=escaped(text),
            thread_ts=thread_ts,
            files=[self._uploaded(name, content) for name, content in files.items()],
            subtype="file_share" if files else None,
        )
        await self._space.post(channel, message).settled()
        return message

    def _uploaded(self, name: str, content: bytes) -> Json:
        file = self._api.new_file(name, len(content), self.id)
        self._space.file_bytes[file["id"]] = content
        return file


def escaped(text: str) -> str:
    """Return what a person typed as Slack hands it to apps.

    `&`, `<` and `>` are escaped, addresses come as `<https://…>`; mentions written as
    `<@U…>`, `<#C…>` or `<!here>` stay.

    Source: https://docs.slack.dev/messaging/formatting-message-text
    """
    parts = re.split(r"(<[@#!][^<>]+>|https?://[^\s<>]+)", text)
    for index, part in enumerate(parts):
        if part.startswith("http"):
            parts[index] = f"<{part.replace('&', '&amp;')}>"
        elif not re.fullmatch(r"<[@#!][^<>]+>", part):
            parts[index] = part.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(parts)


def _pressable(blocks: Sequence[Json], what: str, option: str | None) -> tuple[Json, Json, str | None]:
    found = list(pressables(blocks))
    for block, element in found:
        if what in {element.get("action_id"), label_of(element)}:
            return block, element, option
    for block, element in found:
        # What is behind three dots is read there, and pressed, as a button is.
        if element.get("type") == "overflow" and what in {each["text"]["text"] for each in options_of(element)}:
            return block, element, what
    there = ", ".join(repr(label_of(element)) for _, element in found)
    raise CannotDo(f"there is no {what!r} to press; there is: {there or 'nothing'}")
