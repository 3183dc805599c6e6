"""Large imports: memory that does not grow with the file, stopping in the middle, a program at work beside it, faults."""

import asyncio
import io
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from rich.console import Console

from bot.adapters.clock import SystemClock
from bot.adapters.shop_file import example_text
from bot.cli.importing import BATCH_MAX, BATCH_MIN, LOCK_SECONDS, next_size
from bot.cli.progress import how_far, phase
from storage.database import open_database
from tests.databases import SqliteTemplate
from tests.system.stage import PATIENCE_SECONDS, ROOT, becomes, order, stage
from tests.system.terminal import Terminal, logs_left_alone

NOW = SystemClock().now()
MEASURED = """
import resource, sys
from bot.cli import main
code = main(sys.argv[1:])
print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
raise SystemExit(code)
"""


def write_orders(folder: Path, number: int) -> Path:
    """Write a CSV file of so many events, each of another sale."""
    header = "id,type,occurred_at,sale_id,customer_id,customer_name,sku,item_name,tags,promise_text"
    rows = (
        f"e-{n},order.delivered,{NOW.isoformat()},{n},c-{n},Freja,BAROLO,Barolo,wine,Before the weekend"
        for n in range(number)
    )
    file = folder / f"orders-{number}.csv"
    file.write_text("\n".join([header, *rows]), encoding="utf-8")
    return file


@asynccontextmanager
async def importing(file: Path, database_url: str, *program: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run ``aftersale import FILE --yes`` as a process of its own; it is killed at the end, if it is not over."""
    folder = file.parent
    (folder / "shop.yaml").write_text(example_text(), encoding="utf-8")
    flows = folder / "flows"
    flows.mkdir(exist_ok=True)
    # One is enough here, and to read them is most of what a command does.
    shutil.copy(ROOT / "bot/flows/library/after_delivery.yaml", flows)
    environment = {**os.environ, "DATABASE_URL": database_url, "FLOWS_DIR": str(flows), "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(program or ("-m", "bot")),
        "import",
        file.name,
        "--yes",
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def counter(database_url: str) -> Callable[[str], int]:
    """Give a counter of rows of the inbox in a state that holds up nobody."""
    file = database_url.removeprefix("sqlite:///")

    def count(state: str) -> int:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM inbox WHERE state = ?", (state,)).fetchone()[0])

    return count


async def test_memory_does_not_grow_with_the_file(sqlite_template: SqliteTemplate, tmp_path: Path) -> None:
    """Twenty times the rows need hardly more memory: what is at hand is a cache and a batch, not the file."""
    peaks_kib = []
    for number in (1_000, 20_000):
        database_url = sqlite_template.fresh(tmp_path)
        async with importing(write_orders(tmp_path, number), database_url, "-c", MEASURED) as process:
            out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        assert f"✔ Stored {number} events." in out.decode()
        peaks_kib.append(int(out.decode().partition("PEAK ")[2]))
    # To keep the events in memory took about 200 MB more.
    assert peaks_kib[1] - peaks_kib[0] < 40 * 1024


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
async def test_a_stopped_import_goes_on_where_it_stopped(sqlite_url: str, tmp_path: Path, stop: signal.Signals) -> None:
    """What was stored when it was stopped, or killed, stays whole; the same command stores just the rest."""
    total = 4_000
    file = write_orders(tmp_path, total)
    count = counter(sqlite_url)
    async with importing(file, sqlite_url) as process:
        await becomes(lambda: count("done") > 0)
        process.send_signal(stop)
        _, err = await process.communicate()

    stored = count("done")
    assert 0 < stored < total
    assert count("new") == count("failed") == 0
    if stop == signal.SIGINT:
        assert process.returncode == 130
        assert "4,000 events were taken in by now, and stay. Give the same command again" in err.decode()
        assert "Traceback" not in err.decode()

    async with importing(file, sqlite_url) as process:
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert f"{stored} events known already" in out.decode()
    assert f"✔ Stored {total - stored} events." in out.decode()
    assert count("done") == total
    with closing(open_database(sqlite_url)) as database:
        assert database.reports().counts()["sales"] == total


async def test_customers_are_answered_while_an_import_stores(sqlite_url: str, tmp_path: Path) -> None:
    """On a SQLite file, which both write to, a running program works on between the import's short transactions."""
    file = write_orders(tmp_path, 20_000)
    count = counter(sqlite_url)
    async with stage(sqlite_url) as play:
        await play.happens(order("order.placed", "s-1"))
        freja = await play.link("s-1")
        await play.close()
        before = count("done")
        async with play.process() as program, importing(file, sqlite_url) as process:
            await becomes(lambda: count("done") > before)
            for _ in range(3):
                last = freja.chat[-1].message_id
                await freja.send("/help")
                await freja.wait_for(lambda message: "/stop" in message.text, PATIENCE_SECONDS, after=last)
            assert process.returncode is None, "the import is over: it shall be long enough to be watched"
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await process.communicate()
            assert program.returncode is None
        assert count("done") > before + 3
        assert count("failed") == 0


@pytest.fixture
def aftersale(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Terminal]:
    """A terminal in a folder with shop.yaml and a migrated SQLite file."""
    with logs_left_alone():
        yield Terminal(tmp_path, monkeypatch, capsys, DATABASE_URL=sqlite_url)


def test_an_event_that_cannot_be_handled_is_kept_as_failed_and_told(aftersale: Terminal, sqlite_url: str) -> None:
    """A fault of ours with one event keeps none of the others out; it is named at the end, and can be tried again."""
    write_orders(aftersale.folder, 60)
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        connection.executescript(
            "CREATE TRIGGER fault BEFORE INSERT ON sales WHEN NEW.id IN ('30', '41') "
            "BEGIN SELECT RAISE(ABORT, 'disk of lead'); END"
        )

    answer = aftersale("import", "orders-60.csv", "--yes")

    assert answer.code == 1
    assert "✔ Stored 58 events." in answer.out
    assert "✖ 2 events could not be handled, and are kept in the inbox as failed:\n  line 32, e-30: " in answer.err
    assert "disk of lead" in answer.err
    assert "aftersale inbox retry ID" in answer.err
    failed = aftersale.json("inbox", "list", "--state", "failed")
    assert [each["key"] for each in failed] == ["e-30", "e-41"]
    assert all("(reference " in each["error"] for each in failed)
    assert aftersale("sale", "show", "29").code == 0
    assert aftersale("sale", "show", "30").code == 1

    again = aftersale("import", "orders-60.csv", "--yes")
    assert again.code == 0
    assert "60 events known already" in again.out
    assert "Nothing to store." in again.out


def test_an_event_given_twice_in_a_file_is_told_and_stored_once(aftersale: Terminal) -> None:
    """Word for word the same event again changes nothing, and is said to be known."""
    file = write_orders(aftersale.folder, 2)
    header, first, second = file.read_text(encoding="utf-8").splitlines()
    file.write_text(f"{header}\n{first}\n{second}\n{first}", encoding="utf-8")

    answer = aftersale("import", file.name)

    assert answer.code == 0, answer.err
    assert "✔ Stored 2 events." in answer.out


def test_batches_fit_the_time_that_others_may_be_kept_out() -> None:
    """A slow database gets smaller transactions, a quick one larger ones, each within bounds."""
    size = BATCH_MAX
    for _ in range(20):
        size = next_size(size, LOCK_SECONDS * 2)
    assert size == BATCH_MIN
    assert next_size(size, LOCK_SECONDS * 0.75) == size
    for _ in range(40):
        size = next_size(size, LOCK_SECONDS / 4)
    assert size == BATCH_MAX


def test_how_far_a_phase_is_is_said_in_count_rate_and_time() -> None:
    """Whoever waits sees how many are done, how quick that is, and how long it will take yet."""
    assert how_far(12_000, 0.25, 30.0, "events") == "12,000 events, 25%, 400/s, 1:30 left"
    assert how_far(0, 0.0, 0.0, "rows") == "0 rows, 0%"


@pytest.mark.parametrize(
    ("is_terminal", "seconds", "shown"),
    [
        (True, 0.5, ""),
        (True, 2.0, "500 events, 50%, 250/s, 0:02 left"),
        (False, 2.0, ""),
        (False, 40.0, "Storing: 500"),
    ],
)
def test_only_a_phase_that_takes_its_time_is_shown(is_terminal: bool, seconds: float, shown: str) -> None:  # noqa: FBT001
    """A bar in a terminal after a second; a line in a log every half minute; nothing for what is over at once."""
    written = io.StringIO()
    console = Console(file=written, force_terminal=is_terminal, width=120, color_system=None)
    times = iter([0.0, seconds, seconds])
    with phase("Storing", "events", console=console, clock=lambda: next(times)) as told:
        told(500, 0.5)
    assert shown in written.getvalue()
    assert bool(shown) is bool(written.getvalue())
