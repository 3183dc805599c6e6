"""Commands for whoever runs the program: migrate, doctor, run, flows check; and how errors look."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.adapters.clock import SystemClock
from bot.adapters.sandbox.slack import SandboxSlack
from bot.adapters.sandbox.telegram import SandboxTelegram
from tests.system.terminal import Terminal, logs_left_alone

ROOT = Path(__file__).parents[2]
CHANNELS = {
    name: f"C0{number:06}"
    for number, name in enumerate(("delivery", "accounting", "wine", "fashion", "skincare", "customers"))
}


@pytest.fixture
def aftersale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Terminal]:
    """A newcomer's terminal: shop.yaml, and nothing else."""
    with logs_left_alone():
        yield Terminal(tmp_path, monkeypatch, capsys)


def test_a_first_command_makes_its_database(aftersale: Terminal) -> None:
    """Without any setting a new SQLite file is made, in one line on stderr; the next command says nothing of it."""
    first, second = aftersale("report"), aftersale("report")

    assert first.code == 0, first.err
    assert first.err == "Made a new database: aftersale.db\n"
    assert (second.code, second.err) == (0, "")


def test_a_server_without_tables_is_left_to_its_owner(aftersale: Terminal, empty_database_url: str) -> None:
    """PostgreSQL without tables is refused with the command that makes them; after that command all is well."""
    aftersale.set(DATABASE_URL=empty_database_url)
    if empty_database_url.startswith("postgresql"):
        refused = aftersale("report")
        assert refused.code == 2
        assert "run: aftersale migrate" in refused.err

    migrated = aftersale("migrate")
    assert migrated.code == 0, migrated.err
    assert "no tables yet" in migrated.out
    assert "revision" in migrated.out
    assert "tables of this version" in aftersale("migrate").out
    assert aftersale("report").code == 0


def test_wrong_settings_end_with_2_and_name_the_variable(aftersale: Terminal) -> None:
    """Each wrong setting is named with what to write instead; so is a shop.yaml that is missing."""
    aftersale.set(DATABASE_URL="mysql://x", HTTP_PORT="many")
    answer = aftersale("report")
    assert answer.code == 2
    assert "DATABASE_URL: is neither a SQLite nor a PostgreSQL address" in answer.err
    assert "HTTP_PORT" in answer.err

    aftersale.set(DATABASE_URL="sqlite:///aftersale.db", HTTP_PORT="8080", SHOP_FILE="elsewhere.yaml")
    answer = aftersale("report")
    assert answer.code == 2
    assert "SHOP_FILE: there is no file elsewhere.yaml" in answer.err

    assert aftersale("run").code == 2
    assert aftersale("dance").code == 2


def test_an_unexpected_error_is_one_message_with_a_reference(aftersale: Terminal) -> None:
    """No stack trace reaches the terminal; the log has it under the reference that the message gives."""
    aftersale("migrate")
    with sqlite3.connect("aftersale.db") as connection:
        connection.execute("ALTER TABLE sales RENAME TO lost")
    connection.close()

    answer = aftersale("sale", "show", "1")

    assert answer.code == 1
    assert "Traceback" not in answer.err + answer.out
    reference = answer.err.partition("Reference ")[2][:16]
    log = (aftersale.folder / "aftersale-errors.log").read_text(encoding="utf-8")
    assert reference in log
    assert "Traceback" in log


def test_version_and_help_need_no_heavy_library(aftersale: Terminal) -> None:
    """What only shows text imports neither Telegram, Slack nor SQL, so that it is there at once."""
    assert aftersale("--version").out.startswith("aftersale 0.")
    assert "Stays with each sale" in aftersale("--help").out
    heavy = "{'telegram', 'slack_bolt', 'sqlalchemy', 'fastapi', 'pydantic', 'structlog'}"
    code = f"import sys; from bot.cli import main; main(['--help']); sys.exit(bool({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)  # noqa: S603 - our own words
    assert done.returncode == 0


def test_flows_check_finds_what_is_wrong_and_where(aftersale: Terminal) -> None:
    """The shipped flows are good; a broken one is told with file, line and column, and ends with 1."""
    assert aftersale("flows", "check").code == 0

    (aftersale.folder / "mine.yaml").write_text("flow: mine\npurpose: sales\nsteps: {}\n", encoding="utf-8")
    answer = aftersale("flows", "check", "mine.yaml")

    assert answer.code == 1
    assert "mine.yaml:2:" in answer.out
    assert "error" in answer.out
    assert "     2 │ purpose: sales" in answer.out
    assert "       │          ^" in answer.out
    assert aftersale("flows", "check", "nowhere.yaml").code == 1


def test_flows_check_says_aloud_which_language_is_read_instead(aftersale: Terminal) -> None:
    """A language that the shop has and texts lack is named once for each text, and once for the bot's own sentences."""
    shop = aftersale.folder / "shop.yaml"
    shop.write_text(shop.read_text("utf-8").replace("languages: [en, da]", "languages: [en, da, sv]"), encoding="utf-8")
    answer = aftersale("flows", "check")
    assert answer.code == 0
    assert "there is no text in 'sv'; who reads 'sv' gets it in 'en' → add sv: …" in answer.out
    assert "of the bot's own (hello_consent, consent_all, consent_service …) not in 'sv'" in answer.out


def test_flows_schema_is_for_editors(aftersale: Terminal) -> None:
    """The JSON Schema of flow files is printed, and nothing else, so that it can go into a file."""
    answer = aftersale("flows", "schema")
    assert answer.code == 0
    assert json.loads(answer.out)["title"] == "A flow of aftersale"


@asynccontextmanager
async def _both_sides(aftersale: Terminal) -> AsyncIterator[tuple[SandboxTelegram, SandboxSlack]]:
    """Open both sandboxes, and settings and shop.yaml that fit them."""
    now = SystemClock().now
    async with SandboxTelegram(token="1:SANDBOX", clock=now) as telegram, SandboxSlack(clock=now) as slack:
        shop = aftersale.folder / "shop.yaml"
        text = shop.read_text(encoding="utf-8")
        for name, channel in CHANNELS.items():
            slack.channel(channel, name)
            text = text.replace(f'"#{name}"', channel)
        shop.write_text(text, encoding="utf-8")
        aftersale.set(
            TELEGRAM_BOT_TOKEN="1:SANDBOX",
            TELEGRAM_API_BASE=telegram.base_url,
            SLACK_BOT_TOKEN=slack.bot_token,
            SLACK_APP_TOKEN=slack.app_token,
            SLACK_API_BASE=slack.base_url,
            INTAKE_SECRET="whsec_c2VjcmV0c2VjcmV0c2VjcmV0",
            HTTP_PORT="0",
        )
        yield telegram, slack


async def test_the_doctor_finds_all_well_and_changes_nothing(aftersale: Terminal) -> None:
    """With everything set up, nothing is to mend; not even the database file is made."""
    async with _both_sides(aftersale):
        answer = await asyncio.to_thread(aftersale, "doctor")

    assert answer.code == 0, answer.out
    assert "✖" not in answer.out
    for name in ("Settings", "Database", "shop.yaml", "Flows", "Clock", "Telegram token", "Slack bot token"):
        assert f"✔ {name}" in answer.out
    assert "Slack channel of team wine" in answer.out
    assert "Slack channel of cases that no team answers for, alarms of the program itself" in answer.out
    assert not (aftersale.folder / "aftersale.db").exists()


async def test_the_doctor_names_each_ill_and_its_cure(aftersale: Terminal) -> None:
    """What is wrong is marked, with what to do, and one ill does not keep it from looking for the next."""
    async with _both_sides(aftersale) as (_, slack):
        slack.channel(CHANNELS["wine"]).remove_bot()
        aftersale.set(TELEGRAM_BOT_TOKEN="2:OTHER")
        (aftersale.folder / "flows").mkdir()
        (aftersale.folder / "flows" / "mine.yaml").write_text("flow: mine\n", encoding="utf-8")
        aftersale.set(FLOWS_DIR="flows")
        answer = await asyncio.to_thread(aftersale, "doctor")

    assert answer.code == 1
    assert "✖ Telegram token" in answer.out
    assert "✖ Flows: flows/mine.yaml:1" in answer.out
    assert "✖ Slack channel of team wine" in answer.out
    assert "/invite" in answer.out
    assert "✔ Slack bot token" in answer.out


async def test_the_doctor_looks_at_the_channel_for_alarms(aftersale: Terminal) -> None:
    """An ops channel of its own is checked like the others: whether it is there, and whether the bot is in it."""
    async with _both_sides(aftersale) as (_, slack):
        shop = aftersale.folder / "shop.yaml"
        text = shop.read_text(encoding="utf-8").replace('# ops_channel: "#aftersale"', "ops_channel: C0OPS")
        shop.write_text(text, encoding="utf-8")
        missing = await asyncio.to_thread(aftersale, "doctor")
        channel = slack.channel("C0OPS", "ops", bot=False)
        outside = await asyncio.to_thread(aftersale, "doctor")
        channel.invite_bot()
        well = await asyncio.to_thread(aftersale, "doctor")

    assert "✖ Slack channel of alarms of the program itself: C0OPS" in missing.out
    assert "✖ Slack channel of alarms of the program itself: the bot is not in #ops (C0OPS)" in outside.out
    assert "/invite @aftersale" in outside.out
    assert "✔ Slack channel of alarms of the program itself: the bot is in #ops" in well.out


def test_the_doctor_goes_on_without_settings(aftersale: Terminal) -> None:
    """Even where the settings cannot be read, flows and clock are looked at."""
    aftersale.set(HTTP_PORT="many")

    answer = aftersale("doctor")

    assert answer.code == 1
    assert "✖ Settings: HTTP_PORT" in answer.out
    assert "✔ Flows" in answer.out
    assert "✔ Clock" in answer.out


async def test_run_says_where_it_listens_and_stops_cleanly(aftersale: Terminal) -> None:
    """`aftersale run` makes its database, opens its doors, says so in one line, and ends with 0 on SIGTERM."""
    async with _both_sides(aftersale) as (_, slack):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot",
            "run",
            cwd=aftersale.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(40):
                line = (await process.stdout.readline()).decode()
                assert line, (await process.communicate())[1].decode()
                await slack.wait_connected()
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(20):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    assert "runs for Nordlys at http://127.0.0.1:" in line
    assert process.returncode == 0, err.decode()
    assert "Stopped." in out.decode()
    assert "Traceback" not in err.decode()
    assert (aftersale.folder / "aftersale.db").exists()
