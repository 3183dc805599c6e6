"""The door of the console, at the wire: who comes in, for how long, and that nothing else is to be had without it."""

import re
import subprocess
import sys
from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from nicegui import app as nicegui_app
from starlette.routing import Mount, Route

from bot import passes
from bot.pages.door import SESSION, Door
from tests.pages.visiting import Visitor, ticket, visitor
from tests.system.stage import Stage, stage
from tests.system.terminal import Terminal, logs_left_alone

ROOT = Path(__file__).parents[2]
CLIENT = {"slack_client_id": "1234.5678", "slack_client_secret": "sandbox-client-secret"}


async def test_nothing_but_the_sign_in_is_reachable_without_a_session(sqlite_url: str) -> None:
    """Every address of the pages, their files and their socket is refused from outside; the sign-in's own are there."""
    async with stage(sqlite_url) as play, visitor(play) as inside, visitor(play) as outside:
        await inside.enter(play)
        assert (await inside.get("/"))[0] == 200  # loads the pages, so that their addresses can be asked for
        paths = [
            re.sub(r"\{[^}]*\}", "x", path) for path in addresses(nicegui_app.routes)
        ]  # the last is for all others
        assert {"/", "/_nicegui_ws/"} <= set(paths)
        assert len(paths) > 8
        for path in [*paths, "/nowhere", "/../health", "/sign-in/../", "//sign-in", "/enter/x"]:
            status, _, headers = await outside.get(path)
            assert (status, headers.get("Location")) == (303, "/console/sign-in"), path
            assert (await outside.get(path, Accept="text/javascript"))[0] == 401, path
            assert (await outside.post(path))[0] == 401, path
        assert await outside.socket() == 403
        assert await inside.socket() == 101
        for path in ("/sign-in", "/static/style.css", "/static/pages.js"):
            assert (await outside.get(path))[0] == 200, path


def addresses(routes: Any, before: str = "") -> list[str]:
    """Give every address of an application, what is mounted in it included."""
    found: list[str] = []
    for route in routes:
        if isinstance(route, Mount):
            found += [f"{before}{route.path}/", *addresses(route.routes, f"{before}{route.path}")]
        elif isinstance(route, Route):
            found.append(before + route.path)
    return found


async def test_a_link_lets_in_once_and_not_after_ten_minutes(sqlite_url: str) -> None:
    """Looking at it, as previews of messages do, uses nothing up; pressing the button does; late, wrong or again: no."""
    async with stage(sqlite_url) as play, visitor(play) as one, visitor(play) as other:
        token = await ticket(play)
        for _ in range(2):
            status, html, headers = await one.get(f"/enter?ticket={token}")
            assert (status, headers["Cache-Control"]) == (200, "no-store")
            assert "Enter the console" in html
        assert (await one.post("/enter", ticket=token))[0] == 303
        assert (await one.get("/"))[0] == 200
        for attempt in (token, "", "x" * 500):
            status, html, _ = await other.post("/enter", ticket=attempt)
            assert status == 403
            assert "Ask for a new one" in html
        late = await ticket(play)
        await play.pass_time(passes.LINK_LIVES)
        assert (await other.get(f"/enter?ticket={late}"))[0] == 403
        assert (await other.post("/enter", ticket=late))[0] == 403


async def test_a_session_ends_by_itself_and_by_signing_out(sqlite_url: str) -> None:
    """Its cookie is out of reach for scripts and other sites; after twelve hours, or signed out, it opens nothing."""
    async with stage(sqlite_url) as play, visitor(play) as one, visitor(play) as other:
        _, _, headers = await one.post("/enter", ticket=await ticket(play))
        cookie = SimpleCookie(headers["Set-Cookie"])[SESSION]
        assert (cookie["httponly"], cookie["samesite"].lower(), cookie["path"]) == (True, "lax", "/console")
        stored = await play.read(lambda uow: uow.pass_of(cookie.value))
        assert stored is None, "only a hash is stored"
        assert (await one.get("/"))[0] == 200
        await other.get("/", Cookie=f"{SESSION}={cookie.value}")
        assert (await one.post("/sign-out"))[0] == 303
        assert (await other.get("/", Cookie=f"{SESSION}={cookie.value}"))[0] == 303
        await one.enter(play)
        await play.pass_time(passes.SESSION_LIVES - timedelta(seconds=1))
        assert (await one.get("/"))[0] == 200
        await play.pass_time(timedelta(seconds=1))
        assert (await one.get("/"))[0] == 303


async def test_another_page_can_do_nothing_in_the_visitors_name(sqlite_url: str) -> None:
    """Whatever acts must come from the console's own page: forms and the socket of others, or of nobody, are refused."""
    async with stage(sqlite_url) as play, visitor(play) as one:
        await one.enter(play)
        for origin in ("https://evil.example", "null", None):
            assert (await one.post("/sign-out", origin))[0] == 403
            assert (await one.post("/enter", origin, ticket=await ticket(play)))[0] == 403
            assert await one.socket(origin) == 403
        status, _, headers = await one.get("/")
        assert status == 200
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "same-origin"


async def sign_in(play: Stage, one: Visitor, member: str) -> tuple[int, str, Any]:
    """Sign in with Slack, as a browser does: there, saying yes, and back."""
    status, _, headers = await one.get("/sign-in/slack")
    assert status == 303
    there = headers["Location"]
    assert there.startswith(f"{play.slack.workspace.origin}/openid/connect/authorize?")
    async with one._http.get(f"{there}&as={member}", allow_redirects=False) as answer:
        back = answer.headers["Location"]
    return await one.get(back.removeprefix(f"{one.address}/console"))


async def role_of(play: Stage, headers: Any) -> tuple[str, str]:
    """Give role and name of the session that an answer began."""
    token = SimpleCookie(headers["Set-Cookie"])[SESSION].value
    now = play.clock.now()
    found = await play.read(lambda uow: passes.session_of(uow, token, now))
    return found.role, found.name


async def test_members_of_the_workspace_sign_in_with_slack(sqlite_url: str) -> None:
    """A member is staff, one whom the operator named is an admin; guests and members of other workspaces stay outside."""
    async with stage(sqlite_url, console_admins="U0IDA", **CLIENT) as play:
        play.slack.member("Ida Holst", "U0IDA")
        play.slack.member("Jonas Berg", "U0JONAS")
        play.slack.member("Gus Guest", "U0GUEST", guest=True)
        play.slack.member("Sam Stranger", "U0STRANGER", stranger=True)
        async with visitor(play) as one:
            assert "Sign in with Slack" in (await one.get("/sign-in"))[1]
            status, _, headers = await sign_in(play, one, "U0JONAS")
            assert (status, await role_of(play, headers)) == (303, ("staff", "Jonas Berg"))
            assert (await one.get("/"))[0] == 200
        async with visitor(play) as one:
            status, _, headers = await sign_in(play, one, "U0IDA")
            assert (status, await role_of(play, headers)) == (303, ("admin", "Ida Holst"))
        for member, why in (("U0GUEST", "Guests of the workspace"), ("U0STRANGER", "Only members of this workspace")):
            async with visitor(play) as one:
                status, html, headers = await sign_in(play, one, member)
                assert status == 403
                assert why in html
                assert SESSION not in str(headers.getall("Set-Cookie", []))


async def test_a_sign_in_that_began_elsewhere_or_failed_lets_nobody_in(sqlite_url: str) -> None:
    """A code without this browser's own state, a made-up code, a no at Slack, Slack away: each is said, nobody comes in."""
    async with stage(sqlite_url, **CLIENT) as play, visitor(play) as one:
        assert (await one.get("/sign-in/slack/back?code=1&state=x"))[0] == 403
        _, _, headers = await one.get("/sign-in/slack")
        state = re.search(r"state=([\w-]+)", headers["Location"]).group(1)  # type: ignore[union-attr]
        assert (await one.get("/sign-in/slack/back?code=1&state=other"))[0] == 403
        status, html, _ = await one.get(f"/sign-in/slack/back?code=made-up&state={state}")
        assert status == 403
        assert "invalid_code" in html
        assert (await one.get(f"/sign-in/slack/back?error=access_denied&state={state}"))[0] == 303
        await play.slack.go_offline()
        status, html, _ = await one.get(f"/sign-in/slack/back?code=1&state={state}")
        assert status == 500
        assert "Slack cannot be reached" in html
        assert (await one.get("/"))[0] == 303


async def test_without_client_id_slack_is_not_offered(sqlite_url: str) -> None:
    """Where Slack was not set up for it, the sign-in tells of the link alone."""
    async with stage(sqlite_url) as play, visitor(play) as one:
        html = (await one.get("/sign-in", **{"Accept-Language": "da"}))[1]
        assert "aftersale console-link" in html
        assert "Slack" not in html
        assert 'lang="da"' in html
        assert (await one.get("/sign-in/slack"))[2]["Location"] == "/console/sign-in"


def test_the_command_makes_a_link_that_the_program_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`aftersale console-link` prints an address with a token of the role asked for; a role that is none is refused."""
    terminal = Terminal(
        tmp_path, monkeypatch, capsys, DATABASE_URL=f"sqlite:///{tmp_path / 'shop.db'}", HTTP_PORT="8099"
    )
    with logs_left_alone():
        answer = terminal("console-link", "--role", "reader", "--name", "Anna")
        refused = terminal("console-link", "--role", "king")
    assert answer.code == 0, answer.err
    address, token = answer.out.strip().split("?ticket=")
    assert address == "http://127.0.0.1:8099/console/enter"
    with terminal.base() as base:
        now = base.house.clock.now()
        begun = base.database.run_now(lambda uow: passes.use_link(uow, token, "session", now))
    assert begun is not None
    assert (begun.role, begun.name) == ("reader", "Anna")
    assert refused.code == 1
    assert "'king' is no role; write admin, staff or reader" in refused.err


LIGHT = """
import asyncio, sys
from tests.pages.visiting import visitor
from tests.system.stage import stage
async def look():
    async with stage(sys.argv[1]) as play, visitor(play) as one:
        assert (await one.get("/sign-in"))[0] == 200
        assert (await one.get("/"))[0] == 303
sys.modules["nicegui"] = None  # importing it fails
asyncio.run(look())
"""


def test_nobody_who_stays_outside_makes_the_pages_load(sqlite_url: str) -> None:
    """The library of the pages is imported when somebody comes in, not at the start and not for a knock at the door."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", LIGHT, sqlite_url], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_outside_of_the_door_is_short() -> None:
    """What needs no session is a list that somebody must make longer on purpose."""
    door = Door(None, None, public_url=None, slack=None)  # type: ignore[arg-type]  # nobody knocks
    assert door._outside == {
        "/sign-in",
        "/enter",
        "/sign-in/slack",
        "/sign-in/slack/back",
        "/sign-out",
        "/static/style.css",
        "/static/pages.js",
    }
