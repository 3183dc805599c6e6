"""Slack as one member of staff sees it: channels with cards and threads, App Home, and the form that is open."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from bot.adapters.sandbox.slack import Member, markup
from bot.adapters.sandbox.slack.forms import Answer
from bot.pages.block_kit import MINUTE, Drawing, Press
from bot.pages.drawing import Given, Row, Rows, button, form, handed, html, put
from bot.pages.frame import Visit, scroll_down
from bot.pages.phone import Do
from bot.pages.playground import Playground
from bot.pages.scene import Post, Room, Scene, Staff

HOME = "home"


class SlackPane:
    """Slack in one window."""

    def __init__(self, visit: Visit, playground: Playground, do: Do) -> None:
        """Draw the empty pane here."""
        self._visit, self._playground, self._do = visit, playground, do
        self._scene: Scene | None = None
        self._who = ""
        self._at = ""
        self._read: dict[str, int] = {}
        words = visit.words
        with put("section", None, "slack", aria_label="Slack"):
            self._side = Rows(put("nav", None, "slack-side", aria_label=words("channels")))
            with put("div", None, "slack-main"):
                self._head = Rows(put("div", None))
                self._talk = put("div", None, "slack-talk", tabindex="0", role="region", aria_label=words("messages"))
                self._posts = Rows(self._talk)
                self._foot = Rows(put("div", None))
            self._veil = Rows(put("div", None, "contents"))

    @property
    def _member(self) -> Member:
        return self._playground.members[self._who]

    @property
    def _names(self) -> Mapping[str, str]:
        people = {each.id: each.name for each in self._playground.members.values()}
        rooms = {each.id: each.name for each in self._playground.stage.channels}
        return {**people, **rooms}

    def show(self, scene: Scene, who: str) -> None:
        """Show what the member `who` sees."""
        first = self._scene is None
        self._scene, self._who = scene, who
        if first or self._at not in {HOME, *(room.id for room in scene.rooms)}:
            self._at = scene.rooms[0].id if scene.rooms else HOME
        self._turn_to_news(scene)
        self._draw()

    def _turn_to_news(self, scene: Scene) -> None:
        """Open a channel by itself where the one that is open has nothing to show and another has."""
        at = next((room for room in scene.rooms if room.id == self._at), None)
        if at is not None and not at.posts:
            self._at = next((room.id for room in scene.rooms if room.posts), self._at)

    def _draw(self) -> None:
        scene = self._scene
        if scene is None:
            return
        staff = next(each for each in scene.staff if each.id == self._who)
        room = next((each for each in scene.rooms if each.id == self._at), None)
        if room is not None:
            self._read[room.id] = len(room.posts)
        self._draw_side(scene)
        title = f"# {room.name}" if room is not None else self._visit.words("app_home")
        self._head.show([Row("head", title, partial(put, "h3", title, "slack-head"))])
        if room is not None:
            self._draw_room(room, staff)
        else:
            looks = (self._who, staff.home)
            self._posts.show([Row((HOME, self._who), looks, partial(self._home, staff))])
            self._foot.show([])
        modal = [Row("modal", (staff.id, staff.view, staff.errors), partial(self._modal, staff))] if staff.view else []
        self._veil.show(modal)

    def _draw_side(self, scene: Scene) -> None:
        words = self._visit.words
        rows = [Row(HOME, self._at == HOME, partial(self._side_entry, HOME, words("app_home"), 0))]
        for room in scene.rooms:
            new = len(room.posts) - self._read.get(room.id, 0)
            entry = partial(self._side_entry, room.id, f"# {room.name}", new)
            rows.append(Row(room.id, (self._at == room.id, new), entry))
        self._side.show(rows)

    def _side_entry(self, place: str, name: str, new: int) -> None:
        entry = button(
            name,
            partial(self._go, place),
            "slack-place unread" if new else "slack-place",
            aria_current="true" if place == self._at else None,
            aria_label=f"{name}, {self._visit.words('new', number=new)}" if new else None,
        )
        if new:
            with entry:
                put("span", str(new), "count")

    async def _go(self, place: str) -> None:
        self._at = place
        if place == HOME:
            await self._do(self._member.open_home)
        self._draw()
        scroll_down(self._talk)

    # channels

    def _draw_room(self, room: Room, staff: Staff) -> None:
        rows = [Row((room.id, post.ts), (self._who, post), partial(self._post, room, post)) for post in room.posts]
        rows += [
            Row((room.id, "whisper", post.ts), (self._who, post), partial(self._whisper, room, post))
            for post in staff.whispers
            if self._playground_room_of(post) == room.id
        ]
        if not rows:
            rows.append(Row((room.id, "empty"), None, partial(put, "p", self._visit.words("channel_empty"), "empty")))
        if self._posts.show(rows):
            scroll_down(self._talk)
        self._foot.show([Row(room.id, self._who, partial(self._compose, room))])

    def _playground_room_of(self, post: Post) -> str:
        return next((each.channel_id for each in self._member.ephemerals if each.ts == post.ts), "")

    def _post(self, room: Room, post: Post) -> None:
        with self._posted(post):
            self._said(post, partial(self._press, room, post.ts))
            with put("div", None, "thread stack"):
                for reply in post.replies:
                    with self._posted(reply):
                        self._said(reply, partial(self._press, room, reply.ts))
                with form(partial(self._reply, room, post.ts), "compose", clears=True):
                    words = self._visit.words
                    put(
                        "input",
                        None,
                        "field",
                        name="text",
                        autocomplete="off",
                        required=True,
                        placeholder=words("thread"),
                        aria_label=words("thread"),
                    )
                    put("button", words("send"), "button small", type="submit")

    def _whisper(self, room: Room, post: Post) -> None:
        with self._posted(post):
            put("p", self._visit.words("only_you"), "quiet small")
            self._said(post, partial(self._press, room, post.ts))

    def _posted(self, post: Post) -> Any:
        """Draw who said it and when; what they said goes into what this gives."""
        words = self._visit.words
        row = put("article", None, "post")
        with row:
            put(
                "span",
                post.author[:1].upper(),
                "avatar square" + ("" if post.is_bot else " person"),
                aria_hidden="true",
            )
            body = put("div", None, "post-body")
        with body, put("p", None, "post-by"):
            put("span", post.author)
            edited = f" · {words('edited')}" if post.is_edited else ""
            put("span", words.moment(post.at, self._visit.zone) + edited, "quiet")
        return body

    def _said(self, post: Post, press: Any) -> None:
        blocks = json.loads(post.blocks)
        if blocks:
            self._drawing(press).draw(blocks)
        elif post.text:
            html(markup.html([], self._names, text=post.text))
        for name in post.files:
            put("p", f"📎 {name}", "quiet")

    def _drawing(self, press: Press) -> Drawing:
        return Drawing(self._names, press, self._visit.words("choose"), self._visit.zone)

    def _compose(self, room: Room) -> None:
        words = self._visit.words
        with put("div", None, "phone-foot"), form(partial(self._say, room), "compose", clears=True):
            label = words("message_in", channel=room.name, name=self._names[self._who])
            put(
                "input",
                None,
                "field",
                name="text",
                autocomplete="off",
                required=True,
                placeholder=words("message_to", channel=room.name),
                aria_label=label,
            )
            put("button", words("send"), "button", type="submit")

    # the form, and App Home

    def _home(self, staff: Staff) -> None:
        if not staff.home:
            put("p", self._visit.words("home_empty"), "empty")
            return
        home = json.loads(staff.home)
        Drawing(
            self._names, partial(self._press_in_view, at_home=True), self._visit.words("choose"), self._visit.zone
        ).draw(home["blocks"], home["state"]["values"])

    def _modal(self, staff: Staff) -> None:
        view = json.loads(staff.view)
        words = self._visit.words
        title = str((view.get("title") or {}).get("text", ""))
        with (
            put("div", None, "modal-veil"),
            form(self._submit, "modal") as drawn,
        ):
            drawn.props.update({"role": "dialog", "aria-modal": "true", "aria-label": title})
            drawn.on("keydown.escape", self._close, args=[])
            put("h3", title, "modal-head")
            with put("div", None, "modal-body", tabindex="0"):
                drawing = Drawing(
                    self._names, partial(self._press_in_view, at_home=False), words("choose"), self._visit.zone
                )
                drawing.draw(view["blocks"], view["state"]["values"], dict(staff.errors))
            with put("div", None, "modal-foot"):
                close = str((view.get("close") or {}).get("text") or words("close"))
                button(close, self._close, "button")
                if view.get("submit"):
                    put("button", str(view["submit"]["text"]), "button primary", type="submit")

    # what they do

    async def _press(self, room: Room, ts: str, action: str, option: str | None, _given: Given) -> None:
        whisper = next((each for each in self._member.ephemerals if each.ts == ts), None)

        async def press() -> None:
            await self._member.click(whisper or self._playground.message(room.id, ts), action, option)

        await self._do(press)

    async def _press_in_view(self, action: str, option: str | None, given: Given, *, at_home: bool) -> None:
        async def press() -> None:
            if not at_home:
                self._member.fill(self._answers(given))
            await self._member.click_in_view(action, option, home=at_home)

        await self._do(press)

    async def _submit(self, given: Given) -> None:
        await self._do(partial(self._playground.submit, self._member, self._answers(given)))

    def _answers(self, given: Given) -> dict[str, Answer]:
        view = self._member.view or {"blocks": []}
        answers: dict[str, Answer] = {}
        for block in view["blocks"]:
            name, element = str(block.get("block_id")), block.get("element") or {}
            if name in given:
                answers[name] = _answer(str(element.get("type")), given[name], self._visit.zone)
        return answers

    async def _close(self) -> None:
        await self._do(self._member.close_view)

    async def _reply(self, room: Room, ts: str, given: Given) -> None:
        async def reply() -> None:
            await self._member.type_in_thread(self._playground.message(room.id, ts), handed(given.get("text")))

        await self._do(reply)

    async def _say(self, room: Room, given: Given) -> None:
        text = handed(given.get("text")).strip()
        channel = self._playground.channel(room.id)
        command, _, rest = text.partition(" ")

        async def say() -> None:
            if text.startswith("/"):
                await self._member.slash(command, rest, channel)
            else:
                await self._member.post(channel, text)

        await self._do(say)


def _answer(kind: str, values: Sequence[str], zone: ZoneInfo) -> Answer:
    if kind == "checkboxes" or kind.startswith("multi_"):
        return list(values)
    value = values[0] if values and values[0] else None
    if kind == "datetimepicker" and value is not None:
        return int(datetime.strptime(value, MINUTE).replace(tzinfo=zone).timestamp())
    return value
