"""The phone of one customer: their chat with the bot, as Telegram shows it, and everything that they may do in it."""

from collections.abc import Awaitable, Callable
from datetime import date
from functools import partial

from bot.adapters import qr
from bot.pages.drawing import Given, Row, Rows, button, form, handed, html, put
from bot.pages.frame import Visit, scroll_down
from bot.pages.playground import Guest, Playground
from bot.pages.scene import Bubble, Chat, Scene

Do = Callable[[Callable[[], Awaitable[object]]], Awaitable[bool]]
"""Lets something happen, and says what kept it from happening; tells whether it happened."""


class Phone:
    """The phone in one window."""

    def __init__(self, visit: Visit, playground: Playground, do: Do) -> None:
        """Draw the empty phone here."""
        self._visit, self._playground, self._do = visit, playground, do
        self._place = 0
        words = visit.words
        with put("section", None, "phone", aria_label=words("phone")):
            with put("div", None, "phone-top"):
                put("span", "N", "avatar", aria_hidden="true")
                with put("div", None):
                    put("p", playground.stage.shop.name, "strong")
                    put("p", words("bot"), "quiet small")
            self._chat = put("div", None, "phone-chat", role="log", tabindex="0", aria_label=words("chat"))
            self._bubbles = Rows(self._chat)
            self._foot = Rows(put("div", None, "phone-foot"))

    @property
    def _guest(self) -> Guest:
        return self._playground.guests[self._place]

    def show(self, scene: Scene, place: int) -> None:
        """Show the chat of the customer at `place`."""
        self._place = place
        chat = scene.chats[place]
        order = next((each for each in reversed(scene.orders) if each.chat == place), None)
        rows: list[Row] = []
        day: date | None = None
        for bubble in chat.bubbles:
            local = bubble.at.astimezone(self._visit.zone).date()
            if local != day:
                day = local
                rows.append(Row((place, "day", day), day, partial(self._day, bubble)))
            rows.append(Row((place, bubble.number), bubble, partial(self._bubble, bubble)))
        can_scan = order is not None and not order.is_linked
        if can_scan and order is not None:
            rows.append(Row((place, "receipt", order.id), order.id, partial(self._receipt, order.id, order.summary)))
        elif not rows:
            rows.append(Row((place, "empty"), None, lambda: put("p", self._visit.words("chat_empty"), "empty")))
        if self._bubbles.show(rows):
            scroll_down(self._chat)
        foot = (place, chat.has_blocked, chat.has_started, chat.popups[-1:])
        self._foot.show([Row("foot", foot, partial(self._compose, chat))])

    def _day(self, bubble: Bubble) -> None:
        put("p", self._visit.words.day(bubble.at, self._visit.zone), "day")

    def _bubble(self, bubble: Bubble) -> None:
        words = self._visit.words
        with put("div", None, "bubble-box mine" if bubble.is_mine else "bubble-box"):
            with put("div", None, "bubble"):
                put("span", words("you_say") if bubble.is_mine else words("bot_says"), "sr")
                if bubble.media == "photo":
                    put("div", "🖼", "photo", role="img", aria_label=words("photo"))
                elif bubble.media:
                    put("p", f"({bubble.media})", "quiet")
                if bubble.text:
                    put("p", bubble.text, "bubble-text")
                edited = f"{words('edited')} " if bubble.is_edited else ""
                put("span", edited + words.hour(bubble.at, self._visit.zone), "bubble-time")
            if bubble.keys:
                with put("div", None, "keys"):
                    for row in bubble.keys:
                        with put("div", None, "keys-row"):
                            for label in row:
                                button(label, partial(self._tap, bubble.number, label), "key")

    def _receipt(self, order: str, summary: str) -> None:
        words = self._visit.words
        with put("div", None, "receipt"):
            put("p", words("receipt", order=order), "strong")
            put("p", summary, "quiet")
            html(qr.svg(f"https://t.me/aftersale_sandbox_bot?start={order}"), "", "div").props["aria-hidden"] = "true"
            put("p", words("receipt_says"), "quiet small")
            button(words("scan"), self._scan, "button primary")

    def _compose(self, chat: Chat) -> None:
        words = self._visit.words
        if chat.popups:
            put("p", f"“{chat.popups[-1]}”", "quiet small", role="status")
        if chat.has_blocked:
            put("p", words("blocked"), "quiet small")
            button(words("unblock"), self._unblock, "button")
            return
        with form(self._write, "compose", clears=True):
            put(
                "input",
                None,
                "field",
                name="text",
                autocomplete="off",
                required=True,
                placeholder=words("message"),
                aria_label=words("message_as", name=chat.name),
            )
            put("button", words("send"), "button primary", type="submit")
        with put("div", None, "row"):
            button(words("send_photo"), self._photo, "button small")
            button("/stop", partial(self._say, "/stop"), "button small")
            button(words("block"), self._block, "button small")

    # what they do

    async def _tap(self, number: int, label: str) -> None:
        await self._do(partial(self._guest.customer.tap_old, number, label))

    async def _write(self, given: Given) -> None:
        text = handed(given.get("text")).strip()
        if text:
            await self._say(text)

    async def _say(self, text: str) -> None:
        await self._do(partial(self._guest.customer.send, text))

    async def _photo(self) -> None:
        await self._do(self._guest.customer.send_photo)

    async def _block(self) -> None:
        await self._do(self._guest.customer.block)

    async def _unblock(self) -> None:
        await self._do(self._guest.customer.unblock)

    async def _scan(self) -> None:
        await self._do(partial(self._playground.scan, self._guest))
