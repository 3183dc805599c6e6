"""Rule 1, at every entrance: nothing but the customer's own word completes a sale or confirms a case.

The machine by itself, over all events in all states, is proved in `tests/core/test_desk_machine.py`; here are the ways in:
whatever staff press, what comes in by HTTP, every command, and the code that writes.
"""

import ast
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import aiohttp
import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot import cases, cli
from bot.adapters.slack.translate import translate
from bot.app.base import Base
from bot.errors import InputRefused
from bot.flows.effects import OpenCase
from bot.inbox import Translators, handle
from bot.ports import inbound
from bot.ports.inbound import CaseRemedied, StaffAction
from bot.ports.records import Incoming, Json
from bot.ports.store import UnitOfWork
from tests.databases import SqliteTemplate
from tests.system.stage import MORNING, order, stage
from tests.system.terminal import NOW, Terminal, event, logs_left_alone
from tests.system.test_doors import post

ROOT = Path(__file__).parents[2]
METTE = "U0METTE"

WORDS = st.sampled_from(["", "x", "wine", "delivery", "refund", "none", "product", "customer", "parcel", "confirmed"])
FIELDS = {
    "str": WORDS,
    "str | None": st.none() | WORDS,
    "datetime": st.datetimes(timezones=st.just(MORNING.tzinfo)),  # type: ignore[arg-type]
    "WaitsFor": st.sampled_from(["customer", "parcel", "supplier"]),
}


def staff_actions(case_id: str) -> st.SearchStrategy[StaffAction]:
    """Anything that staff can do about a case, with anything in it."""
    kinds = []
    for kind in get_args(StaffAction):
        fields: dict[str, Any] = {}
        for name, field in kind.__dataclass_fields__.items():
            written = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))
            fields[name] = st.just(case_id) if name == "case_id" else FIELDS.get(written, WORDS)
            if name == "until":
                fields[name] = st.datetimes(timezones=st.just(MORNING.tzinfo))  # type: ignore[arg-type]
        kinds.append(st.builds(kind, **fields))
    return st.one_of(kinds)


@pytest.fixture
def aftersale(
    sqlite_template: SqliteTemplate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Terminal]:
    """A terminal with a sale whose case waits for the customer's word after a remedy."""
    with logs_left_alone():
        terminal = Terminal(tmp_path, monkeypatch, capsys, DATABASE_URL=sqlite_template.fresh(tmp_path))
        terminal.keep_flows("after_delivery", "after_remedy")
        assert terminal("sale", "add", stdin=json.dumps(event(ago=timedelta(days=3)))).code == 0
        with terminal.base() as base:
            base.database.run_now(lambda uow: remedied(uow, base))
        yield terminal


def remedied(uow: UnitOfWork, base: Base) -> str:
    sale = uow.sale("1001")
    assert sale is not None
    effect = OpenCase("unhappy", "", {}, None, "broken", (), team="wine")
    case = cases.open_or_join(uow, base.house, sale, None, effect, NOW)
    action = CaseRemedied(case.id, METTE, "explanation", "sent again", "", "product")
    assert cases.staff(uow, base.house, action, NOW) is None
    return case.id


def stands(uow: UnitOfWork) -> tuple[set[str], bool]:
    """Give the states of the sale's cases, and whether it is complete."""
    sale = uow.sale("1001")
    assert sale is not None
    return {each.status for each in uow.cases_of("1001")}, sale.confirmed_at is not None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nothing_that_staff_do_confirms_a_case_or_completes_a_sale(aftersale: Terminal, data: st.DataObject) -> None:
    """Any actions with any words in them, in any order, on a case that only waits for a yes."""
    with aftersale.base() as base:
        (case,) = base.database.run_now(lambda uow: uow.cases_of("1001"))
        actions = data.draw(st.lists(staff_actions(case.id), min_size=1, max_size=6))

        def work(uow: UnitOfWork) -> None:
            for action in actions:
                cases.staff(uow, base.house, action, NOW + timedelta(minutes=1))
            statuses, complete = stands(uow)
            assert "confirmed" not in statuses
            assert not complete

        base.database.run_now(work)


PAYLOADS = st.dictionaries(
    st.sampled_from(["kind", "case_id", "by", "name", "status", "text", "remedy", "note", "team", "reason", "until"]),
    st.sampled_from(
        ["confirm", "confirmed", "customer_confirmed", "remedy", "claim", "complete", "", "x", True, None, 1]
    ),
)


@settings(max_examples=100, deadline=None)
@given(PAYLOADS)
def test_no_payload_of_slack_means_the_customers_word(payload: Json) -> None:
    """Whatever the inbox holds for Slack becomes an action of staff or nothing: there is no word of a customer among them."""
    try:
        found = translate(payload)
    except InputRefused:
        return
    assert isinstance(found, get_args(inbound.DeskEvent) + get_args(StaffAction))
    assert not isinstance(found, inbound.ButtonTapped | inbound.MessageWritten)


async def test_no_request_over_http_confirms_or_completes(sqlite_url: str) -> None:
    """Every door that there is, with a body that begs for it, signed where a shop can sign."""
    async with stage(sqlite_url) as play:
        await play.happens(order("order.placed"), order("order.delivered"))
        house, now = play.program.house, play.clock.now()

        def open_and_remedy(uow: UnitOfWork) -> str:
            sale = uow.sale("1001")
            assert sale is not None
            case = cases.open_or_join(uow, house, sale, None, OpenCase("unhappy", "", {}, None, "broken"), now)
            cases.staff(uow, house, CaseRemedied(case.id, METTE, "explanation", "done", "", "product"), now)
            return case.id

        case_id = await play.read(open_and_remedy)
        begging = order("order.delivered", event="evt-beg")
        begging["sale"] |= {"confirmed_at": now.isoformat(), "status": "confirmed", "complete": True}
        begging |= {"case_id": case_id, "status": "confirmed", "kind": "customer_confirmed"}
        await post(play, begging)
        paths = (
            "/events",
            "/hooks/x",
            "/slack/events",
            "/telegram/webhook",
            "/health",
            "/metrics",
            "/console",
            "/cases",
        )
        async with aiohttp.ClientSession() as session:
            for path in (*paths, f"/cases/{case_id}", f"/cases/{case_id}/confirm"):
                for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                    async with session.request(method, f"{play.service.address}{path}", json=begging) as answer:
                        await answer.read()
        await play.rest()
        assert await play.read(stands) == ({"remedied"}, False)


SAFE: dict[str, tuple[str, ...] | None] = {
    "demo": None,  # has a database of its own, in memory
    "run": None,  # the program itself: its doors are above
    "doctor": None,  # asks Telegram and Slack, changes nothing
    "migrate": (),
    "backup": ("copy.db",),
    "restored": None,  # needs a backup; settles what may have been sent
    "link": ("1001", "--no-terminal"),
    "import": ("begging.json", "--yes"),
    "why": ("1001",),
    "report": (),
    "sale add": ("begging.json",),
    "sale show": ("1001",),
    "route explain": ("1001",),
    "flows check": (),
    "flows schema": (),
    "flows test": ("after_remedy",),
    "flows play": None,  # plays in a database of its own
    "flows graph": ("after_remedy",),
    "outbox list": (),
    "outbox retry": ("--all-failed", "--yes"),
    "flows publish": ("after_remedy", "--yes"),
    "flows diff": ("after_remedy",),
    "flows restore": ("after_remedy", "v1", "--yes"),
    "flows list": (),
    "flows move": ("after_remedy", "--from", "v1", "--yes"),
    "pause": ("--sale", "1001"),
    "resume": ("--sale", "1001"),
    "console-link": (),
    "customer export": ("c-7",),
    "customer erase": None,  # takes the sale itself away
    "inbox list": (),
    "inbox retry": ("--all-failed",),
}
"""Every command, with arguments that go as far as it goes; None: why it need not be tried."""


def commands() -> set[str]:
    """Give the names of all commands that there are."""
    top = typer.main.get_command(cli.app)
    found = set()
    for name, command in top.commands.items():  # type: ignore[attr-defined]  # a group
        below = getattr(command, "commands", None)
        found |= {f"{name} {each}" for each in below} if below else {name}
    return found


def test_no_command_confirms_or_completes(aftersale: Terminal) -> None:
    """Each command is tried, with an event that begs for it; a command that is added must be looked at here, too."""
    begging = event(ago=timedelta(days=1)) | {"id": "evt-beg", "type": "order.delivered", "status": "confirmed"}
    begging["sale"] |= {"confirmed_at": NOW.isoformat(), "status": "confirmed"}
    (aftersale.folder / "begging.json").write_text(json.dumps(begging), encoding="utf-8")
    unknown = commands() - SAFE.keys()
    assert not unknown, f"say in this test what it is tried with: {sorted(unknown)}"
    for name, arguments in SAFE.items():
        if arguments is not None and name in commands():
            aftersale(*name.split(), *arguments)
    with aftersale.base() as base:
        assert base.database.run_now(stands) == ({"remedied"}, False)


def test_a_raw_row_of_the_inbox_that_says_confirmed_is_no_customers_word(aftersale: Terminal) -> None:
    """Even a row put there by hand goes through the same translation, and means nothing."""
    with aftersale.base() as base:

        def work(uow: UnitOfWork) -> None:
            (case,) = uow.cases_of("1001")
            payload = {"kind": "customer_confirmed", "case_id": case.id, "by": METTE}
            uow.receive([Incoming("slack", "k1", f"case:{case.id}", payload, NOW)])
            none = Translators(telegram=lambda _payload: inbound.NotForUs("no chat here"), slack=translate)
            handle(uow, base.house, none, uow.new_incoming(10), NOW)
            assert stands(uow) == ({"remedied"}, False)
            (row,) = uow.inbox(("ignored",), 10)
            assert row.error is not None

        base.database.run_now(work)


def _python() -> list[Path]:
    return [path for folder in ("bot", "storage") for path in sorted((ROOT / folder).rglob("*.py"))]


def _calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            yield name, node


def test_only_one_place_writes_that_a_case_is_confirmed_and_only_customers_lead_there() -> None:
    """One line sets the state; one event leads to it; it is made where a customer tapped or wrote, and nowhere else."""
    writers, makers, callers = set(), set(), set()
    for path in _python():
        name = path.relative_to(ROOT).as_posix()
        for called, node in _calls(ast.parse(path.read_text(encoding="utf-8"))):
            for keyword in node.keywords:
                if keyword.arg == "status" and isinstance(keyword.value, ast.Constant):
                    writers |= {name} if keyword.value.value == "confirmed" else set()
            makers |= {name} if called == "CustomerConfirmed" else set()
            is_of_cases = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "cases"
            callers |= {name} if is_of_cases and called in ("confirm", "take_back") else set()
    assert writers == {"bot/desk/machine.py"}
    assert makers == {"bot/cases.py"}
    assert callers == {"bot/conversations.py"}


def test_no_statement_writes_the_state_of_a_case_but_the_one_that_stores_a_whole_case() -> None:
    """The store has one way to a case's row, and that one asks for the customer's own word."""
    found = []
    for path in sorted((ROOT / "storage").rglob("*.py")):
        for called, node in _calls(ast.parse(path.read_text(encoding="utf-8"))):
            first = getattr(node.args[0], "id", "") if node.args else ""
            if called in ("update", "insert", "_upsert", "_write", "_add", "_add_once") and first == "_CASES":
                found.append(f"{path.relative_to(ROOT).as_posix()}:{called}")
    assert found == ["storage/conversations.py:_upsert"]
