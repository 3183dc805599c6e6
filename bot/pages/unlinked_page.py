"""Customers who have not joined their chat: links and codes to hand out, a sheet at a time."""

from functools import partial

from starlette.requests import Request

from bot.errors import FollowUpError
from bot.pages.drawing import Row, Rows, button, put
from bot.pages.frame import Visit, frame
from bot.pages.sale_page import draw_link, links
from bot.pages.sales_page import draw_pages, place_in
from bot.ports.listing import SaleLine

_A_SHEET = 12


async def draw(visit: Visit, request: Request) -> None:
    """Draw the page."""
    after = place_in(request.query_params.get("after", ""))
    found = await visit.world.program.database.read(
        lambda reports: reports.sales_page(only="unlinked", after=after, limit=_A_SHEET + 1)
    )
    words = visit.words
    with frame(visit, words("unlinked_title"), "/unlinked"):
        put("h1", words("unlinked_title"), "page-title")
        put("p", words("unlinked_lead"), "lead")
        if not found:
            put("p", words("all_linked"), "card empty")
            return
        Sheet(visit, found[:_A_SHEET])
        draw_pages(visit, "/unlinked", {}, found, _A_SHEET, is_first=after is None)


class Sheet:
    """Some sales, and the links that were made for them in this window."""

    def __init__(self, visit: Visit, found: list[SaleLine]) -> None:
        """Draw it here."""
        self._visit, self._found = visit, found
        words = visit.words
        if visit.visitor.may("staff"):
            with put("div", None, "row no-print"):
                button(words("make_links", number=len(found)), self._make, "button primary")
                print_ = put("button", words("print"), "button", type="button")
                print_.on("click", js_handler="() => window.print()")
        self._rows = Rows(put("ul", None, "sheet"), "li", "card receipt")
        self._show({})

    def _show(self, made: dict[str, str]) -> None:
        self._rows.show(
            [Row(each.id, made.get(each.id), partial(self._draw, each, made.get(each.id))) for each in self._found]
        )

    async def _make(self) -> None:
        try:
            self._show(await links(self._visit, [each.id for each in self._found]))
        except FollowUpError as error:
            self._visit.say(str(error), "bad")

    def _draw(self, line: SaleLine, url: str | None) -> None:
        put("a", line.summary or line.id, "strong", href=f"{self._visit.root}/sales/{line.id}")
        put("p", f"{line.id} · {line.customer or '–'}", "quiet small")
        if url is not None:
            draw_link(self._visit, url)
