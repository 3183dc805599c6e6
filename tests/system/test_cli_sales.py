"""Commands about sales, as people type them: add, show, link, import; on both databases."""

import asyncio
import csv
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.adapters.clock import SystemClock
from bot.adapters.sandbox.telegram import SandboxTelegram
from bot.app.base import USERNAME
from bot.ports.records import Customer
from bot.sales import hash_token
from tests.databases import SqliteTemplate
from tests.system.terminal import NOW, Terminal, event, logs_left_alone


@pytest.fixture
def aftersale(
    sqlite_template: SqliteTemplate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Terminal]:
    """A terminal in a folder with shop.yaml and a migrated SQLite file."""
    with logs_left_alone():
        yield Terminal(tmp_path, monkeypatch, capsys, DATABASE_URL=sqlite_template.fresh(tmp_path))


@pytest.fixture
def on_both(aftersale: Terminal, database_url: str) -> Terminal:
    """The same on SQLite and PostgreSQL."""
    aftersale.set(DATABASE_URL=database_url)
    return aftersale


def test_an_added_sale_can_be_read_with_what_happens_next(on_both: Terminal) -> None:
    """A sale from a file is stored, its story can be read, and each planned message has its one reason."""
    (on_both.folder / "event.json").write_text(json.dumps(event(), indent=2), encoding="utf-8")

    added = on_both("sale", "add", "event.json")
    assert added.code == 0, added.err
    assert "✔ evt-1001-order.delivered: order.delivered of sale 1001" in added.out
    assert "“after delivery” begins" in added.out

    shown = on_both("sale", "show", "1001")
    assert shown.code == 0
    for words in (
        "Sale 1001: two bottles of Barolo",
        "Freja Holm (c-1001)",
        "not linked",
        "2 × Barolo 2019",
        "· open",
        "Delivered before the weekend",
        "the order was delivered",
        "satisfaction  – = promise – × service – × clarity – × quality –",
        "not yet",
        "as things stand, it would be held: the customer has not linked a chat",
    ):
        assert words in shown.out

    told = on_both.json("sale", "show", "1001")
    assert told["sale"]["id"] == "1001"
    assert told["satisfaction"] is None
    assert [each["kind"] for each in told["story"]] == ["order.delivered"]
    assert {each["state"] for each in told["next"]} == {"planned"}
    assert all(each["reason"] for each in told["next"])


def test_adding_an_event_again_changes_nothing(aftersale: Terminal) -> None:
    """A repeated event is accepted, says that it is known, and leaves the story as it was."""
    aftersale("sale", "add", stdin=json.dumps(event()))
    before = aftersale.json("sale", "show", "1001")

    again = aftersale("sale", "add", "-", stdin=json.dumps(event()))

    assert again.code == 0
    assert "already known, nothing changed" in again.out
    assert aftersale.json("sale", "show", "1001") == before


@pytest.mark.parametrize("form", ["array", "lines"])
def test_several_events_are_taken_from_stdin(aftersale: Terminal, form: str) -> None:
    """An array and JSON lines both bring several events at once."""
    events = [event(kind="order.placed"), event("1002")]
    text = json.dumps(events) if form == "array" else "\n".join(json.dumps(each) for each in events)

    assert aftersale("sale", "add", stdin=text).code == 0

    assert aftersale("sale", "show", "1001").code == 0
    assert aftersale("sale", "show", "1002").code == 0


def test_bad_events_are_refused_whole_with_every_reason(on_both: Terminal) -> None:
    """One bad event keeps the good ones out too, and every field that is wrong is named."""
    bad = event("1002", occurred_at="2026-11-21T10:00:00", type="order.eaten")

    answer = on_both("sale", "add", stdin=json.dumps([event(), bad]))

    assert answer.code == 1
    assert "[1] occurred_at: the time has no offset" in answer.err
    assert "[1] type:" in answer.err
    assert "Traceback" not in answer.err
    assert on_both("sale", "show", "1001").code == 1


@pytest.mark.parametrize(
    ("text", "reason"), [("", "is empty"), ("{", "is not JSON"), ("7", "(the whole)"), ('{"id": 1}\n{"id"', "line 2")]
)
def test_input_that_is_no_event_is_explained(aftersale: Terminal, text: str, reason: str) -> None:
    """Whatever is typed instead of an event gives a reason and exit code 1."""
    answer = aftersale("sale", "add", stdin=text)

    assert answer.code == 1
    assert reason in answer.err


@pytest.mark.parametrize("words", [("sale", "show"), ("why",), ("link",)])
def test_a_sale_that_is_not_there_is_said_plainly(aftersale: Terminal, words: tuple[str, ...]) -> None:
    """A wrong id gives one clear line and exit code 1."""
    answer = aftersale(*words, "404")

    assert (answer.code, answer.out) == (1, "")
    assert "there is no sale '404'" in answer.err


def test_a_link_is_printed_and_its_code_saved(aftersale: Terminal) -> None:
    """The link carries the bot's name and a token of which only the hash is stored; the QR code is saved as asked."""
    aftersale("sale", "add", stdin=json.dumps(event()))
    with aftersale.base() as base:
        base.database.run_now(lambda uow: uow.put_note(USERNAME, "nordlys_bot"))

    answer = aftersale("link", "1001", "--qr", "code.png")
    vector = aftersale("link", "1001", "--qr", "code.svg", "--terminal")

    assert answer.code == vector.code == 0
    url = answer.out.strip()
    assert url.startswith("https://t.me/nordlys_bot?start=")
    assert url not in vector.out, "each link has a token of its own"
    assert "█" in vector.out or "▀" in vector.out or "\x1b" in vector.out
    assert (aftersale.folder / "code.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (aftersale.folder / "code.svg").read_text(encoding="utf-8")
    token = url.partition("start=")[2]
    with aftersale.base() as base:
        stored = base.database.run_now(lambda uow: uow.link_token(hash_token(token)))
    assert stored is not None
    assert stored.sale_id == "1001"


def test_a_link_without_the_bots_name_says_what_to_set(aftersale: Terminal) -> None:
    """Without a name, and without a token to ask with, the missing setting is named; a wrong file name makes no link."""
    aftersale("sale", "add", stdin=json.dumps(event()))

    answer = aftersale("link", "1001")
    assert answer.code == 2
    assert "TELEGRAM_BOT_TOKEN: is missing" in answer.err

    answer = aftersale("link", "1001", "--qr", "code.gif")
    assert answer.code == 1
    assert "neither in .png nor in .svg" in answer.err
    assert "link.made" not in [each["kind"] for each in aftersale.json("sale", "show", "1001")["story"]]


async def test_a_link_asks_telegram_for_the_bots_name_once(aftersale: Terminal) -> None:
    """The name comes from Telegram and is remembered, so that links can be made while Telegram is down."""
    aftersale("sale", "add", stdin=json.dumps(event()))
    async with SandboxTelegram(token="1:SANDBOX", clock=SystemClock().now, username="nordlys_bot") as telegram:
        aftersale.set(TELEGRAM_BOT_TOKEN="1:SANDBOX", TELEGRAM_API_BASE=telegram.base_url)
        first = await asyncio.to_thread(aftersale, "link", "1001")
        telegram.down = True
        second = await asyncio.to_thread(aftersale, "link", "1001")

    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert first.out.startswith("https://t.me/nordlys_bot?start=")
    assert second.out.startswith("https://t.me/nordlys_bot?start=")


def _write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _row(number: int, *, ago: timedelta = timedelta()) -> dict[str, str]:
    return {
        "id": f"evt-{number}",
        "type": "order.delivered",
        "occurred_at": (NOW - ago).isoformat(),
        "sale_id": str(number),
        "customer_id": f"c-{number}",
        "customer_name": "Anders And",
    }


def test_an_import_is_told_first_then_stored_then_known(on_both: Terminal) -> None:
    """A dry run stores nothing; the import says the same and stores; once more, and all of it is known already."""
    _write_csv(on_both.folder / "orders.csv", [_row(number) for number in range(41)])
    forecast = "41 events of 41 sales.\nWould write to 0 customers now, 41 within 14 days (if they link their chat).\n"

    dry = on_both("import", "orders.csv", "--dry-run")
    assert dry.code == 0, dry.err
    assert dry.out.startswith(forecast)
    assert on_both.json("report")["figures"]["sales"] == 0
    assert on_both.json("inbox", "list", "--state", "done", "--state", "new") == []

    stored = on_both("import", "orders.csv")
    assert stored.code == 0, stored.err
    assert stored.out.startswith(forecast)
    assert "✔ Stored 41 events." in stored.out
    assert on_both.json("report")["figures"]["sales"] == 41

    again = on_both("import", "orders.csv")
    assert again.code == 0
    assert "41 events known already" in again.out
    assert "Would write to 0 customers now, 0 within 14 days." in again.out
    assert "Nothing to store." in again.out


def test_an_import_tells_the_same_as_then_comes_true(aftersale: Terminal) -> None:
    """What the forecast says about later events of stored sales, cancelled and long past ones, is what gets planned."""
    aftersale("sale", "add", stdin=json.dumps(event("1")))
    cancelled = [event("2"), event("2", "order.cancelled")]
    old = [event("3", ago=timedelta(days=300))]
    later = [event("1", "order.delivered", id="again"), event("4", "order.placed")]
    text = "\n".join(json.dumps(each) for each in [*cancelled, *old, *later])
    (aftersale.folder / "orders.jsonl").write_text(text, encoding="utf-8")

    answer = aftersale("import", "orders.jsonl", "--yes")

    assert answer.code == 0, answer.err
    assert "5 events of 4 sales." in answer.out
    assert "2 conversations will not begin: too long ago." in answer.out
    with aftersale.base() as base:
        planned = {
            sale: [each.due_at for each in base.database.run_now(lambda uow, sale=sale: uow.moments_of(sale))]
            for sale in ("1", "4")
        }
    assert "Would write to 1 customer now, 0 within 14 days (if they link their chat)." in answer.out
    assert [each <= SystemClock().now() for each in planned["4"]] == [True]
    assert len(planned["1"]) == 2, "the repeat of what happened to it plans nothing anew"


def test_a_customer_of_two_numbers_is_counted_once_with_their_chat(aftersale: Terminal) -> None:
    """Who joined two customer numbers in one chat is one customer in the forecast, and linked."""
    with aftersale.base() as base:
        base.database.run_now(lambda uow: uow.put_customer(Customer("c-1", chat_id=7)))
        base.database.run_now(lambda uow: uow.put_customer(Customer("c-2", extra={"same_as": "c-1"})))
    _write_csv(aftersale.folder / "orders.csv", [_row(1), _row(2), _row(3)])

    answer = aftersale("import", "orders.csv")

    assert answer.code == 0, answer.err
    assert "Would write to 0 customers now, 2 within 14 days (1 of them once they link a chat)." in answer.out


def test_messages_due_at_once_are_asked_for_first(aftersale: Terminal) -> None:
    """Where an import would write to somebody at once and nobody can be asked, nothing is stored without --yes."""
    _write_csv(aftersale.folder / "orders.csv", [_row(1, ago=timedelta(days=3)), _row(2)])

    answer = aftersale("import", "orders.csv")
    assert answer.code == 1
    assert "Would write to 1 customer now, 1 within 14 days" in answer.out
    assert "nothing was stored; add --yes" in answer.err
    assert aftersale("sale", "show", "1").code == 1

    assert aftersale("import", "orders.csv", "--yes").code == 0
    assert aftersale("sale", "show", "1").code == 0


def test_a_file_with_a_bad_row_is_refused_whole(aftersale: Terminal) -> None:
    """The line and the field of a bad row are named, and nothing of the file is stored."""
    _write_csv(aftersale.folder / "orders.csv", [_row(1), {**_row(2), "occurred_at": "yesterday"}])

    answer = aftersale("import", "orders.csv")

    assert answer.code == 1
    assert "line 3, occurred_at" in answer.err
    assert aftersale("sale", "show", "1").code == 1
    assert aftersale("import", "nowhere.csv").code == 1


def test_an_import_of_many_says_what_is_asked_when_and_that_the_first_are_watched(aftersale: Terminal) -> None:
    """Late questions are told apart from those of now, with how long they take; a large import says that it is one."""
    shop = aftersale.folder / "shop.yaml"
    text = shop.read_text(encoding="utf-8").replace("import_first: 100", "import_first: 2")
    shop.write_text(text.replace("catch_up_per_hour: 60", "catch_up_per_hour: 4"), encoding="utf-8")
    late = [event(f"9{number}", ago=timedelta(days=5)) for number in range(9)]
    file = aftersale.folder / "orders of May.json"
    file.write_text(json.dumps(late), encoding="utf-8")

    told = aftersale("import", str(file), "--dry-run")

    assert told.code == 0, told.err
    assert "Would write to 1 customer now, to 8 one after the other (4 an hour: 2 h and the nights)" in told.out
    assert "It is a large one: the first 2 who are asked are watched for an hour." in told.out
    assert "the rest is stopped (orders-of-May-" in told.out
