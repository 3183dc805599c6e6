"""What the studio's pages fetch: its style and script, and what completes whoever types."""

from typing import Any

from nicegui import app as pages_app
from starlette.exceptions import HTTPException
from starlette.requests import Request

from bot.adapters.flow_files import PHRASES_FILE, TESTS_SUFFIX
from bot.desk.shop import FALLBACK, Shop
from bot.flows.completion import Around, offered
from bot.flows.yaml_tree import TEXT_MAX_BYTES
from bot.pages.door import STATIC
from bot.pages.world import WORLD, World


def add_files() -> None:
    """Add them."""
    for name in ("studio.css", "studio.js"):
        pages_app.add_static_file(local_file=STATIC / name, url_path=f"/studio/{name}")
    pages_app.post("/studio/complete")(_complete)


async def _complete(request: Request) -> dict[str, Any]:
    """Say what can be written between two parts of a text: nothing is read or kept."""
    if int(request.headers.get("content-length") or 0) > 4 * TEXT_MAX_BYTES:
        raise HTTPException(413)
    try:
        given = dict(await request.json())
    except ValueError:
        raise HTTPException(400) from None
    before, after, file = (str(given.get(each, "")) for each in ("before", "after", "file"))
    if file.endswith(TESTS_SUFFIX):
        return {"back": 0, "options": []}
    world: World = request.scope[WORLD]
    found = offered(before, after, _around(world.program.house.shop), phrases=file == PHRASES_FILE)
    options = [
        {"label": each.label, "insert": each.insert, "sort": each.sort, "about": each.about} for each in found.options
    ]
    return {"back": found.back, "options": options}


def _around(shop: Shop) -> Around:
    return Around(shop.languages, shop.touchpoints, (*shop.teams, FALLBACK))
