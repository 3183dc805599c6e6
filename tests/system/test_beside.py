"""Commands beside a program that runs on the same SQLite file: short ones work, those that must be alone are refused."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.ports.records import Outgoing
from storage.database import open_database
from tests.system.stage import becomes, order, questions_to, stage
from tests.system.terminal import NOW, Terminal, logs_left_alone

DAYTIME = NOW.replace(hour=10, minute=0) - timedelta(days=1)
"""Nobody's quiet hours, and past on the commands' own clock."""
PLACED = "We have your order"


@pytest.fixture
def terminal(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Terminal]:
    """A terminal beside the program, on the same file."""
    with logs_left_alone():
        yield Terminal(tmp_path, monkeypatch, capsys, DATABASE_URL=sqlite_url)


async def test_orders_come_in_and_messages_go_again_by_command_while_the_program_runs(
    sqlite_url: str, terminal: Terminal
) -> None:
    """`sale add`, `import` and `outbox retry` are short transactions: the running process takes up what they left."""
    async with stage(sqlite_url, start=DAYTIME) as play:
        await play.happens(order("order.placed", at=DAYTIME))
        freja = await play.link()
        await play.close()
        async with play.process():
            again = order("order.placed", "1002", at=DAYTIME)
            assert terminal("sale", "add", "-", stdin=json.dumps(again)).code == 0
            await becomes(lambda: len(questions_to(freja, PLACED)) == 2)

            third = json.dumps(order("order.placed", "1003", at=DAYTIME))
            (terminal.folder / "orders.jsonl").write_text(third, encoding="utf-8")
            assert terminal("import", "orders.jsonl", "--yes").code == 0
            await becomes(lambda: len(questions_to(freja, PLACED)) == 3)

        # Commands go by the real time, so the process does, too, before something is sent again at their time.
        play.clock.move_to(NOW + timedelta(hours=1))
        async with play.process():
            database = open_database(sqlite_url)
            try:
                body = {"chat_id": freja.user_id, "text": "Once more, please."}
                failed = Outgoing(
                    "failed", "telegram", f"chat:{freja.user_id}", "system", body, NOW, NOW, state="failed",
                    customer_id="c-7",
                )  # fmt: skip
                database.run_now(lambda uow: uow.send(failed))
                assert terminal("outbox", "retry", "--all-failed").code == 0
            finally:
                database.close()
            await becomes(lambda: len(questions_to(freja, "Once more, please.")) == 1)


async def test_a_copy_is_made_while_the_program_runs_and_a_restore_is_not(sqlite_url: str, terminal: Terminal) -> None:
    """`backup` works beside the program; `restored` changes what is to be sent, so the program must be stopped first."""
    async with stage(sqlite_url, start=NOW) as play:
        await play.close()
        async with play.process():
            assert terminal("backup", "copy.db").code == 0
            refused = terminal("restored", "--backup-taken-at", "2026-01-01", "--yes")
            assert refused.code != 0
            assert "another aftersale already runs" in refused.err
