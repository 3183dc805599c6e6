"""The list of sales: find one, see which are silent; as quick with ten thousand as with ten."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from urllib.parse import urlencode

from starlette.requests import Request

from bot.pages.drawing import html, put
from bot.pages.frame import Visit, frame
from bot.ports.listing import ONLY, Only, Place, SaleLine
from bot.satisfaction import FACTORS

_A_PAGE = 50


async def draw(visit: Visit, request: Request) -> None:
    """Draw the page."""
    asked = request.query_params
    text = asked.get("q", "").strip()[:100]
    only: Only = next((each for each in ONLY if each == asked.get("only")), "all")
    after = place_in(asked.get("after", ""))
    found = await visit.world.program.database.read(
        lambda reports: reports.sales_page(text=text, only=only, after=after, limit=_A_PAGE + 1)
    )
    words = visit.words
    with frame(visit, words("sales"), "/sales"):
        put("h1", words("sales"), "page-title")
        _search(visit, text, only)
        _choices(visit, text, only)
        with put("section", None, "card", aria_label=words("sales")):
            if found:
                html(_table(visit, found[:_A_PAGE]))
            else:
                put("p", words("no_sales_found") if text or only != "all" else words("no_sales_yet"), "empty")
        draw_pages(visit, "/sales", {"q": text, "only": only}, found, _A_PAGE, is_first=after is None)


def _search(visit: Visit, text: str, only: Only) -> None:
    words = visit.words
    with put("form", None, "row", method="get", action=f"{visit.root}/sales", role="search"):
        put("input", None, type="hidden", name="only", value=only)
        field = put("input", None, "field", type="search", name="q", value=text, placeholder=words("find"))
        field.props["aria-label"] = words("find")
        field.style("max-width: 26rem")
        put("button", words("search"), "button", type="submit")


def _choices(visit: Visit, text: str, only: Only) -> None:
    words = visit.words
    with put("nav", None, "choices", aria_label=words("which")):
        for each in ONLY:
            address = f"{visit.root}/sales?{urlencode({'only': each, **({'q': text} if text else {})})}"
            current = "true" if each == only else None
            put("a", words(f"only_{each}"), "choice", href=address, aria_current=current)


def draw_pages(
    visit: Visit, path: str, asked: Mapping[str, str], found: Sequence[SaleLine], limit: int, *, is_first: bool
) -> None:
    """Draw the ways to the newest sales, and to those after the first `limit` of what was `found`."""
    words = visit.words
    with put("nav", None, "row no-print", aria_label=words("more_pages")):
        if not is_first:
            put("a", words("newest"), "button", href=f"{visit.root}{path}?{urlencode(asked)}")
        if len(found) > limit:
            at, sale = found[limit - 1].place
            older = urlencode({**asked, "after": f"{at.isoformat()}~{sale}"})
            put("a", words("older"), "button", href=f"{visit.root}{path}?{older}")


def place_in(text: str) -> Place | None:
    """Give the place in the list that an address names; None: its beginning."""
    at, _, sale = text.partition("~")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return (moment, sale) if moment.tzinfo is not None else None


def _table(visit: Visit, found: list[SaleLine]) -> str:
    """Write the table as one piece: hundreds of elements, each known to the server, would be felt."""
    words = visit.words
    heads = "".join(f'<th scope="col">{escape(words(each))}</th>' for each in ("sale", "customer", "stands", "latest"))
    rows = "".join(_row(visit, each) for each in found)
    return f'<table class="list"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'


def _row(visit: Visit, line: SaleLine) -> str:
    words = visit.words
    address = f"{visit.root}/sales/{line.id}"
    summary = f'<div class="quiet small">{escape(line.summary)}</div>' if line.summary else ""
    kind, said = stands(visit, line)
    zero = next((each for each in FACTORS if line.factors.get(each) == 0), None)
    zeros = f' <span class="tag bad">{escape(words(f"factor_{zero}"))} 0</span>' if zero else ""
    return (
        f'<tr><td><a href="{escape(address)}">{escape(line.id)}</a>{summary}</td>'
        f"<td>{escape(line.customer or '–')}</td>"
        f'<td><span class="tag {kind}">{escape(said)}</span>{zeros}</td>'
        f'<td class="num quiet">{escape(words.moment(line.latest_at, visit.zone))}</td></tr>'
    )


def stands(visit: Visit, line: SaleLine) -> tuple[str, str]:
    """Say in a word how a sale stands, and in which colour."""
    words = visit.words
    if line.confirmed_at is not None:
        return "good", words("complete")
    if line.case not in (None, "confirmed"):
        return "bad" if line.case in ("open", "call") else "warm", words(f"case_{line.case}")
    if line.asked_at is not None and line.answered_at is None:
        return "accent", words("silent_since", day=words.day(line.asked_at, visit.zone))
    if not line.is_linked:
        return "", words("unlinked")
    return "", words.stage(line.stage)
