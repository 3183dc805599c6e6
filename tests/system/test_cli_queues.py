"""`aftersale outbox` and `aftersale inbox`: poison ends there with its error and advice, blocks nobody, and can be retried."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.app.advice import on_incoming, on_outgoing
from bot.ports.records import Incoming, Outgoing
from bot.ports.store import UnitOfWork
from storage.reports import COUNTED_UP_TO
from tests.system.stage import order, stage
from tests.system.terminal import NOW, Terminal, logs_left_alone


@pytest.fixture
def aftersale(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Terminal]:
    """A terminal over an empty database, on SQLite and PostgreSQL."""
    with logs_left_alone():
        terminal = Terminal(tmp_path, monkeypatch, capsys, DATABASE_URL=database_url)
        terminal.keep_flows("after_delivery")
        yield terminal


def put(terminal: Terminal, *rows: Incoming | Outgoing) -> None:
    """Put rows into the queues, in the states that they say."""

    def work(uow: UnitOfWork) -> None:
        for row in rows:
            if isinstance(row, Outgoing):
                uow.send(row)
        uow.receive([row for row in rows if isinstance(row, Incoming)])

    with terminal.base() as base:
        base.database.run_now(work)


def message(key: str, state: Any, reason: str | None = None) -> Outgoing:
    body = {"chat_id": 7, "text": f"Words of {key}"}
    return Outgoing(key, "telegram", f"chat:{key}", "notice", body, NOW, NOW, state=state, reason=reason)


def came(key: str, state: Any = "new", error: str | None = None, source: Any = "shop") -> Incoming:
    return Incoming(source, key, f"lane:{key}", {"n": key}, NOW, state=state, error=error)


async def test_poison_ends_with_its_error_and_blocks_nobody(
    aftersale: Terminal, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be handled stands in the list with its reason; what came after it is handled; a retry tries it again."""
    async with stage(database_url) as play:
        bad = Incoming("shop", "bad", "sale:1001", {"id": "bad", "type": "order.eaten"}, play.clock.now())
        await play.program.commit([bad])
        await play.happens(order("order.placed"), order("order.placed", "1002", customer="c-8"))
        assert (await play.sale()).stage == (await play.sale("1002")).stage == "order.placed"
    listed = aftersale("inbox", "list")
    assert "failed" in listed.out
    assert "sale: Field required" in " ".join(listed.out.split())
    assert "In all: 1 failed, 0 new." in listed.out
    assert "→ failed (1): the shop's event cannot be used as it is" in listed.out
    [row] = aftersale.json("inbox", "list")
    assert (row["key"], row["state"], row["attempts"]) == ("bad", "failed", 1)
    assert row["advice"].startswith("the shop's event cannot be used")

    assert "1 thing will be handled again" in aftersale("inbox", "retry", "--all-failed").out
    assert [each["state"] for each in aftersale.json("inbox", "list")] == ["new"]
    async with stage(database_url) as play:
        await play.rest()
    [row] = aftersale.json("inbox", "list")
    assert (row["state"], row["attempts"]) == ("failed", 2)


def test_all_that_failed_is_handled_again_and_nothing_else(aftersale: Terminal) -> None:
    """--all-failed takes every failed row, however many, once each; what was ignored needs its id."""
    put(
        aftersale,
        *[came(f"bad{each}", "failed", "sale.id: is missing") for each in range(2500)],
        came("odd", "ignored", "no sale of ours", source="telegram"),
    )
    assert "2500 things will be handled again" in aftersale("inbox", "retry", "--all-failed").out
    assert aftersale("inbox", "retry", "--all-failed").out.startswith("Nothing to retry")
    [odd] = aftersale.json("inbox", "list", "--state", "ignored")
    assert aftersale("inbox", "retry", str(odd["id"])).code == 0
    assert aftersale.json("inbox", "list", "--state", "ignored") == []


def test_of_several_ids_one_that_is_wrong_changes_nothing(aftersale: Terminal) -> None:
    """Either all that are named go again, or none; and without a name nothing is done."""
    put(aftersale, came("bad", "failed", "x: y"), came("good", "done"))
    [bad] = aftersale.json("inbox", "list", "--state", "failed")
    [good] = aftersale.json("inbox", "list", "--state", "done")
    refused = aftersale("inbox", "retry", str(bad["id"]), str(good["id"]))
    assert refused.code == 1
    assert f"has id {good['id']}" in refused.err
    assert len(aftersale.json("inbox", "list", "--state", "failed")) == 1
    nothing = aftersale("inbox", "retry")
    assert nothing.code == 1
    assert "--all-failed" in nothing.err


def test_the_list_of_messages_says_what_to_do_about_each_kind_of_trouble(aftersale: Terminal) -> None:
    """What needs a person comes first, each kind of trouble with one line of advice; below stands how many there are."""
    put(
        aftersale,
        message("a", "waiting"),
        message("b", "failed", "KeyError: 'chat'"),
        message("c", "unknown", "may have been sent: timed out"),
        message("d", "held", "the customer has not linked their chat"),
        message("e", "failed", "tried 900 times in 3 days; delayed: Telegram cannot be reached"),
        message("f", "sent"),
        message("g", "refused", "blocked: Telegram: Forbidden: bot was blocked by the user"),
    )
    out = aftersale("outbox", "list").out
    order_shown = [line.split()[1] for line in out.splitlines() if line[:1].isdigit()]
    assert order_shown == ["unknown", "failed", "failed", "held", "waiting"]
    assert "In all: 1 unknown, 2 failed, 1 held, 0 sending, 1 waiting." in out
    advice = [line for line in out.splitlines() if line.startswith("→")]
    assert len(advice) == 4
    assert any("a fault of the program" in line for line in advice)
    assert any("given up after days" in line for line in advice)
    [refused] = aftersale.json("outbox", "list", "--state", "refused")
    assert "call or mail" in refused["advice"]
    [sent] = aftersale.json("outbox", "list", "--state", "sent")
    assert sent["advice"] is None


def test_a_long_list_says_that_there_is_more(aftersale: Terminal) -> None:
    """Only as many as asked for are shown, with a word on how to see more; the counts are of all."""
    put(aftersale, *[message(f"m{each:03}", "waiting") for each in range(60)])
    out = aftersale("outbox", "list", "--limit", "20").out
    assert sum(line[:1].isdigit() for line in out.splitlines()) == 20
    assert "60 waiting. Shown are 20; --limit shows more." in out
    assert len(aftersale.json("outbox", "list", "--limit", "100")) == 60


def test_very_many_are_not_counted_to_the_end(aftersale: Terminal) -> None:
    """Ten thousand and more are told as that."""
    put(aftersale, *[message(f"m{each}", "waiting") for each in range(COUNTED_UP_TO + 1)])
    assert f"{COUNTED_UP_TO} or more waiting" in aftersale("outbox", "list", "--limit", "1").out


def test_thousands_of_messages_are_retried_all_at_once(aftersale: Terminal) -> None:
    """--all-failed goes through them in parts, each message once, and what may have arrived is left alone."""
    put(aftersale, *[message(f"m{each}", "failed", "x") for each in range(2100)], message("u", "unknown"))
    assert "2100 messages will be tried again" in aftersale("outbox", "retry", "--all-failed").out
    assert [each["key"] for each in aftersale.json("outbox", "list", "--state", "unknown")] == ["u"]
    assert aftersale.json("outbox", "list", "--state", "failed") == []


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        ("unknown", None, "look into the chat"),
        ("failed", "DataError: (psycopg) too long", "a fault of the program"),
        ("failed", "tried 3 times in 3 days; delayed: no connection", "given up after days"),
        ("refused", "blocked: Telegram: Forbidden", "call or mail"),
        ("refused", "chat_gone: Telegram: chat not found", "aftersale link SALE"),
        ("refused", "channel_gone: Slack: is_archived", "/invite @aftersale"),
        ("refused", "invalid: Telegram: message is too long", "maintainers"),
        ("held", "the customer has not linked their chat", "aftersale why"),
        ("waiting", "delayed: Slack asks to wait", "by itself"),
        ("waiting", "quiet hours", None),
        ("waiting", None, None),
        ("sent", None, None),
        ("dropped", "it expired", None),
    ],
)
def test_each_kind_of_message_trouble_has_its_advice(state: str, reason: str | None, words: str | None) -> None:
    """One line that says what a person can do, and none where there is nothing to do."""
    advice = on_outgoing(message("x", state, reason))
    assert (advice is None) == (words is None)
    assert words is None or words in str(advice)


@pytest.mark.parametrize(
    ("source", "state", "error", "words"),
    [
        ("shop", "failed", "sale.customer: is missing", "a right one under a new id"),
        ("shop", "failed", "KeyError: 'x' (reference abc)", "a fault of the program"),
        ("slack", "failed", "there is no case k1", "bring it in"),
        ("telegram", "failed", "message: is missing", "after an update"),
        ("shop", "new", "tried once", "by itself"),
        ("shop", "new", None, None),
        ("telegram", "ignored", "a group", None),
        ("shop", "done", None, None),
    ],
)
def test_each_kind_of_trouble_with_what_came_in_has_its_advice(
    source: str, state: str, error: str | None, words: str | None
) -> None:
    """One line that says what a person can do, and none where there is nothing to do."""
    advice = on_incoming(came("x", state, error, source))
    assert (advice is None) == (words is None)
    assert words is None or words in str(advice)
