"""The flow studio in a real browser: what is typed is marked, tried, saved, published, and nobody's work is lost."""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest

from bot import publishing
from bot.pages.studio.desk import step_at
from bot.pages.studio.overview import Figures, figures_of
from bot.ports.records import Role
from tests.pages.browser import PHONE, needs_browser, open_browser, open_window, picture, violations
from tests.pages.visiting import ticket
from tests.system.stage import Stage, order, stage

WIDE = {"width": 1480, "height": 960}
TOUCHPOINT = "touchpoint: delivery, next: missing"


@pytest.fixture
async def browser() -> AsyncIterator[Any]:
    async with open_browser() as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A shop's own flows: those that are shipped, copied."""
    with as_file(files("bot.flows") / "library") as library:
        shutil.copytree(library, tmp_path / "flows")
    return tmp_path / "flows"


@asynccontextmanager
async def studio(
    play: Stage, browser: Any, role: Role = "admin", where: str = "/flows", **given: Any
) -> AsyncIterator[Any]:
    """Give a window that has come in by a link, and stands in the studio."""
    async with open_window(browser, **{"viewport": WIDE, **given}) as page:
        await page.goto(f"{play.service.address}/console/enter?ticket={await ticket(play, role)}")
        await page.locator("form button").click()
        await page.get_by_role("heading", level=1).wait_for()
        await page.goto(f"{play.service.address}/console{where}")
        await page.get_by_role("heading", level=1).wait_for()
        if where != "/flows":
            await page.locator(".cm-editor.attached").wait_for()
        yield page


async def seen(page: Any, text: str | re.Pattern[str], within: str = "body") -> None:
    """Wait until a text is to be seen."""
    await page.locator(within).get_by_text(text).first.wait_for()


async def press(page: Any, name: str) -> None:
    """Press a button."""
    await page.get_by_role("button", name=name, exact=True).first.click()


async def tab(page: Any, name: str) -> None:
    """Go to one of the panels."""
    await page.get_by_role("tab", name=name).click()


async def replace(page: Any, old: str, new: str) -> None:
    """Select a text in the editor, and type another in its place."""
    found = await page.evaluate(
        """async (old) => {
            const CM = await import("nicegui-codemirror");
            const view = CM.EditorView.findFromDOM(document.querySelector(".cm-editor"));
            const from = view.state.doc.toString().indexOf(old);
            view.dispatch({ selection: { anchor: from, head: from + old.length }, scrollIntoView: true });
            view.focus();
            return from;
        }""",
        old,
    )
    assert found >= 0, f"the editor does not say {old!r}"
    await page.keyboard.insert_text(new)


@needs_browser
async def test_a_fault_is_marked_at_its_line_as_one_types(sqlite_url: str, browser: Any, folder: Path) -> None:
    """The line, the place within it, and the finding that leads there; mended, the marks go. Nothing was saved."""
    before = (folder / "after_delivery.yaml").read_text()
    async with stage(sqlite_url, flows=folder) as play, studio(play, browser, where="/flows/after_delivery") as page:
        await seen(page, "Saved · nothing wrong")
        await replace(page, TOUCHPOINT, TOUCHPOINT.replace("delivery", "delivry"))
        await seen(page, "Not saved · errors: 1, warnings: 0")
        await page.locator(".st-line.error", has_text="delivry").wait_for()
        await page.locator(".st-gutter .st-dot.error").wait_for()
        await seen(page, "the shop knows no touchpoint 'delivry'", ".findings")
        assert await page.locator(".st-under.error").inner_text() == "touchpoint"
        await picture(page, "studio-fault")
        await page.locator(".findings button").click()
        assert "delivry" in await page.locator(".cm-activeLine").inner_text()
        assert await violations(page) == []
        await replace(page, "delivry", "delivery")
        await seen(page, "Saved · nothing wrong")
        assert await page.locator(".st-line").count() == 0
    assert (folder / "after_delivery.yaml").read_text() == before


@needs_browser
async def test_names_that_exist_are_offered(sqlite_url: str, browser: Any, folder: Path) -> None:
    """Ctrl+Space where a step is named offers the steps of this very text; what is chosen is written."""
    async with stage(sqlite_url, flows=folder) as play, studio(play, browser, where="/flows/after_delivery") as page:
        await replace(page, "next: close_silent", "next: clos")
        await page.keyboard.press("Control+Space")
        offer = page.locator(".cm-tooltip-autocomplete")
        await offer.get_by_text("close_silent", exact=True).wait_for()
        await picture(page, "studio-completion")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await seen(page, "Saved · nothing wrong")


@needs_browser
async def test_saving_writes_the_file_and_runs_the_tests(sqlite_url: str, browser: Any, folder: Path) -> None:
    """What a test expected and what came stand side by side; a test that fails keeps the flow from being published."""
    file = folder / "after_delivery.yaml"
    async with stage(sqlite_url, flows=folder) as play, studio(play, browser, where="/flows/after_delivery") as page:
        await tab(page, "Tests")
        await seen(page, "passed: 17, failed: 0")
        await replace(page, "Good to hear. And was it easy", "Fine. Was it hard")
        await page.keyboard.press("Control+s")
        await seen(page, "after_delivery.yaml is saved.")
        assert "Fine. Was it hard" in file.read_text()
        await page.locator(".trial.failed").first.wait_for()
        await seen(page, "was it easy to be our customer", ".trial.failed .off")
        await seen(page, "Was it hard to be our customer", ".trial.failed .off")
        await picture(page, "studio-tests")
        assert await violations(page) == []
        await tab(page, "Versions")
        await seen(page, "It cannot be published yet:")
        assert await page.get_by_role("button", name=re.compile("Publish as")).count() == 0


@needs_browser
async def test_an_edit_on_disk_meanwhile_is_shown_and_never_overwritten(
    sqlite_url: str, browser: Any, folder: Path
) -> None:
    """Both texts side by side, and the choice; saving beforehand is refused. Without edits here theirs is simply shown."""
    file = folder / "after_delivery.yaml"
    async with stage(sqlite_url, flows=folder) as play, studio(play, browser, where="/flows/after_delivery") as page:
        theirs = file.read_text().replace("Good to hear.", "Glad to hear it.")
        file.write_text(theirs)
        await seen(page, "after_delivery.yaml was changed on disk; this is what it says now.")
        await seen(page, "Glad to hear it.", ".cm-content")
        await replace(page, "Glad to hear it.", "Mine.")
        file.write_text(theirs.replace("expires: 45d", "expires: 44d"))
        await page.keyboard.press("Control+s")
        await seen(page, "was changed on disk", ".studio-note.warm")
        await seen(page, "expires: 44d", ".text-diff del")
        await seen(page, "Mine.", ".text-diff ins")
        assert "Mine." not in file.read_text()
        await picture(page, "studio-conflict")
        assert await violations(page) == []
        await press(page, "Save mine in its place")
        await seen(page, "after_delivery.yaml is saved.")
        assert "Mine." in file.read_text()
        assert "expires: 45d" in file.read_text()
        await replace(page, "Mine.", "Mine again.")
        file.write_text(theirs)
        await press(page, "Take theirs, let mine go")
        await seen(page, "Glad to hear it.", ".cm-content")
        assert file.read_text() == theirs
        file.unlink()
        await seen(page, "after_delivery.yaml is gone from the disk.")
        await seen(page, "Glad to hear it.", ".cm-content")
        await press(page, "Save")
        await seen(page, "after_delivery.yaml is saved.")
        assert file.read_text() == theirs


@needs_browser
async def test_publishing_lets_those_who_run_stay_and_old_versions_come_back(
    sqlite_url: str, browser: Any, folder: Path
) -> None:
    """Published, looked at, moved, restored: in the database, and in the file that git sees."""
    file = folder / "after_delivery.yaml"
    (folder / "after_delivery.tests.yaml").unlink()
    async with stage(sqlite_url, flows=folder) as play:
        await play.happens(order("order.placed"))
        await play.link()
        await play.happens(order("order.delivered", at=play.clock.now()))
        await play.pass_time(timedelta(days=2))
        before = file.read_text()
        async with studio(play, browser, where="/flows/after_delivery") as page:
            await tab(page, "Versions")
            await page.get_by_label("What changed, in a few words").fill("As it stood")
            await press(page, "Publish as v2")
            await seen(page, "v2 runs for new conversations.")
            await replace(page, "Good to hear.", "Glad to hear it.")
            await page.keyboard.press("Control+s")
            await seen(page, "v2 goes on running until you publish.")
            await seen(page, "The file differs from v2, which runs.")
            await seen(page, "Glad", ".side-by-side ins")
            await picture(page, "studio-publish")
            assert await violations(page) == []
            await seen(page, "1 running on v2 stay there; 1 could move.")
            await press(page, "Publish as v3")
            await seen(page, "v3 runs for new conversations. Conversations that stay on older versions: 1.")
            history = await play.read(lambda uow: uow.publications("after_delivery"))
            assert [(each.number, each.by, each.note) for each in history[1:]] == [
                (2, "Ida", "As it stood"),
                (3, "Ida", ""),
            ]
            versions = {each.number: each.version for each in history}
            assert await play.read(lambda uow: uow.running_on("after_delivery")) == {("after_delivery", versions[2]): 1}
            await press(page, "Look at v2")
            await press(page, "Move 1 to v3, those that can")
            await seen(page, "Moved to v3: 1. Stay: 0.")
            await page.get_by_role("button", name="Move 1 to v3, those that can").wait_for(state="detached")
            assert await play.read(lambda uow: uow.running_on("after_delivery")) == {("after_delivery", versions[3]): 1}
            await press(page, "Look at v2")
            await press(page, "Restore v2 as v4")
            await seen(page, "v2 runs again, as v4.")
            assert file.read_text() == before
            await seen(page, "Good to hear.", ".cm-content")
            await replace(page, "Good to hear.", "Lovely.")
            await press(page, "Save")
            await seen(page, "v4 goes on running until you publish.")
            await page.get_by_role("button", name="Publish as v5").wait_for()
            await press(page, "Look at v3")
            await press(page, "Restore v3 as v5")
            await seen(page, "The file has edits that no version keeps.")
            assert "Lovely." in file.read_text()
            await press(page, "Let the edits go, restore v3")
            await seen(page, "v3 runs again, as v5.")
            assert "Glad to hear it." in file.read_text()


@needs_browser
async def test_a_flow_is_paused_and_goes_on(sqlite_url: str, browser: Any, folder: Path) -> None:
    """With a reason, under a name; the list says so, and resuming says what had waited."""
    async with stage(sqlite_url, flows=folder) as play:
        await play.happens(order("order.placed"))
        await play.link()
        await play.happens(order("order.delivered", at=play.clock.now()))
        await play.pass_time(timedelta(hours=47))
        await _pause_and_resume(play, browser)


async def _pause_and_resume(play: Stage, browser: Any) -> None:
    async with studio(play, browser, where="/flows/after_delivery") as page:
        await tab(page, "Versions")
        await page.get_by_label("Why, in a few words").fill("Strike at the carrier")
        await press(page, "Pause")
        await seen(page, "The flow is paused.")
        await seen(page, "Strike at the carrier")
        await seen(page, "paused", ".studio-head .tag")
        (pause,) = await play.read(lambda uow: uow.pauses())
        assert (pause.scope, pause.name, pause.reason, pause.by) == (
            "flow",
            "after_delivery",
            "Strike at the carrier",
            "Ida",
        )
        await picture(page, "studio-paused")
        await play.pass_time(timedelta(hours=2))
        await press(page, "Resume")
        await seen(page, "Had waited, and are given turns: conversations 1, messages 0.")
        assert await play.read(lambda uow: uow.pauses()) == []
        await page.get_by_role("link", name="← All flows").click()
        await seen(page, "What you save here is the file that git sees.")
        assert await page.locator("tr", has_text="after_delivery").get_by_text("paused").count() == 0


@needs_browser
async def test_a_flow_is_played_from_any_step_with_time_in_hand(sqlite_url: str, browser: Any, folder: Path) -> None:
    """As it is typed, not as it is saved; what was played becomes a test."""
    async with stage(sqlite_url, flows=folder) as play, studio(play, browser, where="/flows/after_delivery") as page:
        await replace(page, "Good to hear.", "Splendid.")
        await press(page, "▶ Play from here")
        await seen(page, "Splendid. And was it easy to be our customer", ".phone-chat")
        await press(page, "👍 Yes, all of it")
        await seen(page, "taps [👍 Yes, all of it]", ".phone-chat")
        await page.get_by_label("Where it begins").select_option(label="From the beginning")
        await press(page, "▶ Play")
        await press(page, "+1 day")
        await seen(page, "It is Tue 24 Nov 10:00.")
        await page.get_by_label("Until when").fill("+1d")
        await press(page, "Go")
        await seen(page, "Was everything as we promised?", ".phone-chat")
        await seen(page, "why: 2d after order.delivered", ".phone-chat")
        await press(page, "👍 Yes")
        await seen(page, "Splendid. And was it easy", ".phone-chat")
        await picture(page, "studio-play")
        assert await violations(page) == []
        await page.get_by_text("Shop, staff and more").click()
        await press(page, "Keep as a test")
        await seen(page, "Kept as the test played_1 in after_delivery.tests.yaml.")
        assert "  played_1:\n" in (folder / "after_delivery.tests.yaml").read_text()


@needs_browser
async def test_the_phone_shows_each_message_in_each_language(sqlite_url: str, browser: Any, folder: Path) -> None:
    """With values as on most days, with the longest there are, and with those of a real sale."""
    async with stage(sqlite_url, flows=folder) as play:
        await play.happens(order("order.placed", summary="a red dress", name="Bo Lund"))
        where = {"where": "/flows/after_delivery", "locale": "da-DK", "color_scheme": "dark"}
        async with studio(play, browser, **where) as page:
            await picture(page, "studio-dark")
            await tab(page, "Telefon")
            await seen(page, "Hej Freja, det er botten fra", ".screen")
            await press(page, "English")
            await seen(page, "Hi Freja, this is the bot of", ".screen")
            await page.get_by_label("Værdier").select_option(label="Salg 1001: a red dress")
            await seen(page, "Hi Bo, this is the bot of", ".screen")
            await page.get_by_label("Værdier").select_option(label="De længste, der findes")
            await seen(page, "NNNNNN", ".screen")
            await picture(page, "studio-phone-danish-dark")
            await tab(page, "Spil")
            await press(page, "▶ Spil")
            await press(page, "Næste besked")
            await seen(page, "hvorfor: 2d efter order.delivered", ".phone-chat")
            await seen(page, "Var alt, som vi lovede?", ".phone-chat")
            assert await violations(page) == []


@needs_browser
async def test_a_reader_sees_and_plays_and_saves_nothing(sqlite_url: str, browser: Any, folder: Path) -> None:
    """There is no button, typing changes nothing, and the key for saving is refused where the page is not asked."""
    before = (folder / "after_delivery.yaml").read_text()
    async with (
        stage(sqlite_url, flows=folder) as play,
        studio(play, browser, role="reader", where="/flows/after_delivery") as page,
    ):
        await seen(page, "You can look, and play. Admins edit.")
        assert await page.get_by_role("button", name="Save").count() == 0
        await page.locator(".cm-content").click()
        await page.keyboard.insert_text("nonsense")
        await page.keyboard.press("Control+s")
        await seen(page, "This is for admins only.")
        await tab(page, "Versions")
        await seen(page, "What was published")
        assert await page.get_by_role("button", name=re.compile("Publish")).count() == 0
        await tab(page, "Play")
        await press(page, "▶ Play")
        await press(page, "Next message")
        await seen(page, "Was everything as we promised?", ".phone-chat")
    assert (folder / "after_delivery.yaml").read_text() == before


@needs_browser
async def test_the_list_tells_what_runs_and_who_is_where(sqlite_url: str, browser: Any, folder: Path) -> None:
    """Figures of each flow, a new one begins with a template, and the shipped ones say how to take a copy."""
    async with stage(sqlite_url, flows=folder) as play:
        await play.happens(order("order.placed"))
        await play.link()
        await play.happens(order("order.delivered", at=play.clock.now()))
        await play.pass_time()
        async with studio(play, browser, viewport=PHONE) as page:
            await page.locator("tr", has_text="after_delivery").get_by_text("v1").wait_for()
            await picture(page, "studio-list-phone")
            assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
            await page.get_by_label("New flow").fill("after_return")
            await press(page, "Begin")
            await seen(page, "There is no file after_return.yaml yet. Saving makes it.")
            await page.locator(".cm-editor.attached").wait_for()
            await picture(page, "studio-phone-width")
            assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
            await press(page, "Save")
            await seen(page, "after_return.yaml is saved.")
        assert (folder / "after_return.yaml").read_text().startswith("flow: after_return\n")


@needs_browser
async def test_shipped_flows_are_tried_and_not_edited_in_place(sqlite_url: str, browser: Any) -> None:
    """One may type and play; how to take a copy is said, and there is nothing to save with."""
    async with stage(sqlite_url) as play, studio(play, browser) as page:
        await seen(page, "set FLOWS_DIR to the copy")
        await picture(page, "studio-list")
        assert await violations(page) == []
        await page.get_by_role("link", name="after_delivery").click()
        await page.locator(".cm-editor.attached").wait_for()
        await seen(page, "A shipped flow: type and play as you like")
        assert await page.get_by_role("button", name="Save").count() == 0
        await replace(page, "Good to hear.", "Splendid.")
        await press(page, "▶ Play from here")
        await seen(page, "Splendid. And was it easy to be our customer", ".phone-chat")


@needs_browser
async def test_a_broken_file_is_found_and_mended_and_tests_are_edited_like_flows(
    sqlite_url: str, browser: Any, folder: Path
) -> None:
    """The list leads to a file that is no flow; the menu above the editor opens the tests, with marks of their own."""
    async with stage(sqlite_url, flows=folder) as play:
        (folder / "broken.yaml").write_text("flow: broken\nsteps: [\n")
        async with studio(play, browser) as page:
            await page.get_by_role("link", name="broken.yaml").click()
            await page.locator(".cm-editor.attached").wait_for()
            await seen(page, "not valid YAML", ".findings")
            await press(page, "▶ Play from here")
            await seen(page, "The flow cannot be read as it stands")
            await replace(page, "steps: [", "steps: {")
            await press(page, "Save")
            await seen(page, "broken.yaml is saved, and cannot be used as it is")
            await page.goto(f"{play.service.address}/console/flows/after_delivery")
            await page.locator(".cm-editor.attached").wait_for()
            await page.get_by_label("File").select_option(label="Tests of after_delivery")
            await seen(page, "all_is_well", ".cm-content")
            await page.locator(".cm-editor.attached").wait_for()
            await replace(page, "- tap: easy", "- tapp: easy")
            await page.locator(".st-line.error", has_text="tapp").wait_for()


def test_conversations_are_counted_by_where_they_are() -> None:
    """What has not ended runs, and what asks waits; complete are those whose sale the customer said is complete."""
    counted = [
        ("a", "asking", None, False, 3),
        ("a", "waiting", None, True, 2),
        ("a", "finished", "answered", True, 5),
        ("a", "finished", "silent", False, 7),
        ("b", "finished", "expired", False, 1),
    ]
    assert figures_of(counted) == {"a": Figures(5, 3, 5, 7, 7), "b": Figures()}


def test_the_step_at_a_line_is_where_one_plays_from() -> None:
    """A line within a step is of that step; above the first it is the beginning."""
    text = "flow: x\nsteps:\n  one:\n    say: Hi\n\n  two:\n    say: Ho\n"
    assert [step_at(text, line) for line in (1, 3, 4, 5, 6, 7)] == ["", "one", "one", "one", "two", "two"]


async def test_versions_are_published_by_those_who_may(sqlite_url: str, folder: Path) -> None:
    """The list asks storage for all of it at once: also where nothing was published and nobody is on the way."""
    async with stage(sqlite_url, flows=folder) as play:
        assert await play.program.database.read(lambda reports: reports.conversations_by_flow()) == []
        assert set(await play.read(publishing.heads_of)) >= {"after_delivery", "after_remedy"}
