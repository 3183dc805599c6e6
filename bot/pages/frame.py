"""What all pages share: who looks at them, in which language, and the frame around what they show."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from nicegui import ui
from nicegui.element import Element
from starlette.requests import Request

from bot.errors import FollowUpError, Forbidden
from bot.pages.door import STATIC, VISITOR, Visitor
from bot.pages.drawing import choose, put
from bot.pages.told import told
from bot.pages.words import LANGUAGE, NAMES, Words, language_of
from bot.pages.world import WORLD, World
from bot.ports.records import Role

THEME = "aftersale_theme"
_THEMES = ("auto", "light", "dark")
_STILL_IN_SECONDS = 5.0
"""How soon a window notices that its session is over."""
_YEAR = 31_536_000
VERSION = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(STATIC.iterdir()))).hexdigest()[:10]


@dataclass(slots=True)
class Visit:
    """One window: who looks, at which world, in which language."""

    visitor: Visitor
    world: World
    words: Words
    root: str
    theme: str
    _line: list[Element] = field(default_factory=list)

    @property
    def zone(self) -> ZoneInfo:
        """On whose clock times are shown: the shop's."""
        return ZoneInfo(self.world.program.house.shop.time_zone)

    def told(self, sentence: str) -> str:
        """Give a sentence that the program tells, in the language of the window."""
        return told(sentence, self.words.language)

    async def demand(self, needed: Role) -> None:
        """Make sure, at the moment of acting, that they may.

        Raises:
            Forbidden: they may not, or their session is over.
        """
        if not await self.visitor.lasts():
            raise Forbidden(self.words("session_over"))
        if not self.visitor.may(needed):
            raise Forbidden(self.words("not_allowed", role=self.words(f"role_{needed}")))

    def every(self, seconds: float, look: Callable[[], Awaitable[None]]) -> None:
        """Look again and again while window and session last; what keeps it from looking is said, and it goes on."""

        async def safely() -> None:
            if not await self.visitor.lasts():
                ui.navigate.to(f"{self.root}/sign-in")
                return
            try:
                await look()
            except FollowUpError as error:
                self.say(str(error), "bad")

        ui.timer(seconds, safely, immediate=False)

    def say(self, text: str, kind: str = "") -> None:
        """Say something at the top of the page; "" takes it away. Screen readers say it at once."""
        for line in self._line:
            line.clear()
            if text:
                with line:
                    put("p", text, f"says {kind}")


async def _nothing() -> None:
    """Look at nothing: of the window there remains whether it may still be open."""


def visit_of(request: Request) -> Visit:
    """Give who asks for a page."""
    theme = request.cookies.get(THEME, "auto")
    return Visit(
        visitor=request.scope[VISITOR],
        world=request.scope[WORLD],
        words=Words(language_of(request)),
        root=str(request.scope.get("root_path", "")),
        theme=theme if theme in _THEMES else "auto",
    )


def places(visit: Visit) -> Sequence[tuple[str, str]]:
    """Give where one can go: address and name."""
    words = visit.words
    sandbox = [("/", words("nav_sandbox"))] if visit.world.playground is not None else []
    shop = [
        ("/sales", words("sales")),
        ("/flows", words("nav_flows")),
        ("/unlinked", words("nav_unlinked")),
        ("/outbox", words("outbox")),
        ("/inbox", words("inbox")),
    ]
    return [*sandbox, *shop]


@contextmanager
def frame(visit: Visit, title: str, here: str, *, wide: bool = False, kind: str = "") -> Iterator[Element]:
    """Draw the frame, and be within it. `here`: the address of this page among `places`."""
    words = visit.words
    ui.page_title(f"{title} · aftersale")
    ui.add_head_html(f'<link rel="stylesheet" href="{visit.root}/static/style.css?{VERSION}">')
    root = "document.documentElement"
    theme = f"{root}.dataset.theme = {json.dumps(visit.theme)};" if visit.theme != "auto" else ""
    ui.add_head_html(f"<script>{root}.lang = {json.dumps(words.language)}; {theme}</script>")
    around = ui.context.client.content.parent_slot
    if around is not None:
        around.parent.props["role"] = "none"  # NiceGUI puts all of a page, its head too, into one <main>
    put("a", words("skip"), "skip button", href="#content")
    put("div", None, "busy-line", id="leaving", role="progressbar", aria_label=words("working"))
    ui.add_head_html(f'<script src="{visit.root}/static/pages.js?{VERSION}" defer></script>')
    with put("header", None, "frame-top"):
        put("a", "aftersale", "brand", href=f"{visit.root}/", aria_label=words("home"))
        with put("nav", None, aria_label=words("pages")):
            for address, name in places(visit):
                current = "page" if address == here else None
                put("a", name, href=f"{visit.root}{address}", aria_current=current)
        with put("div", None, "frame-end"):
            _settings(visit)
    with put("main", None, f"page stack {'wide' if wide else ''} {kind}".strip(), id="content", tabindex="-1") as main:
        visit._line.append(put("div", None, "live", aria_live="polite", role="status"))  # noqa: SLF001 - its own frame
        visit.every(_STILL_IN_SECONDS, _nothing)
        yield main


def _settings(visit: Visit) -> None:
    words = visit.words
    choose(NAMES, words.language, _remember(LANGUAGE, visit), aria_label=words("language"))
    themes = {each: words(f"theme_{each}") for each in _THEMES}
    choose(themes, visit.theme, _remember(THEME, visit), aria_label=words("theme"))
    if visit.visitor.token:
        with put("form", None, method="post", action=f"{visit.root}/sign-out"):
            label = f"{words('sign_out')} ({visit.visitor.given.name})"
            put("button", words("sign_out"), "button small bare", aria_label=label, title=visit.visitor.given.name)


def _remember(cookie: str, visit: Visit) -> str:
    kept = f"; path={visit.root or '/'}; max-age={_YEAR}; samesite=lax"
    return f"document.cookie = {json.dumps(cookie + '=')} + value + {json.dumps(kept)}; location.reload();"


def scroll_down(element: Element) -> None:
    """Bring the end of a scrolling element to sight."""
    scroll = f"const e = getHtmlElement({element.id}); if (e) e.scrollTop = e.scrollHeight;"
    _ = element.client.run_javascript(f"requestAnimationFrame(() => {{ {scroll} }})")
