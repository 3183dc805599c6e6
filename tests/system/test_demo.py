"""`aftersale demo`, as a newcomer runs it: in a process of its own, its output in a pipe."""

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import bot.flows.library
from bot.adapters.sandbox.telegram import ChatMessage
from bot.demo.people import Tap, Write, answer
from bot.demo.tale import CONTENT, LATER, NO, NOT_QUITE, YES, Mood

ROOT = Path(__file__).parents[2]
LIBRARY = Path(next(iter(bot.flows.library.__path__)))
LIMIT = timedelta(seconds=30)

# The operator's own settings, every one of them unusable: a demo that reads any of them fails.
HOSTILE = {
    "DATABASE_URL": "mysql://nobody",
    "TELEGRAM_BOT_TOKEN": "rubbish",
    "TELEGRAM_API_BASE": "http://127.0.0.1:9",
    "SLACK_BOT_TOKEN": "rubbish",
    "SLACK_API_BASE": "http://127.0.0.1:9/",
    "SHOP_FILE": "/nowhere/shop.yaml",
    "FLOWS_DIR": "/nowhere/flows",
}
# Rich writes colours into a pipe when one of these says so.
COLOURS = ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "COLUMNS")


@dataclass
class Run:
    """What came of one run."""

    code: int
    out: str
    err: str
    took: timedelta

    @property
    def words(self) -> str:
        """Give what was written without bubbles and line breaks."""
        return " ".join(re.sub(r"[│┃╭╮╰╯─━┏┓┗┛\s]+", " ", self.out).split())

    def ending(self, sale: str) -> str:
        """Give the row of a sale in the final table."""
        return next(line for line in self.out.splitlines() if re.match(rf"\s*\S+ {sale} ", line))


def run(folder: Path, *arguments: str) -> Run:
    """Run Python with `arguments` in `folder`."""
    inherited = {name: value for name, value in os.environ.items() if name not in COLOURS}
    environment = {**inherited, **HOSTILE, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    began = time.monotonic()
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr, timedelta(seconds=time.monotonic() - began))


def run_with(folder: Path, arguments: str) -> Run:
    """Run the demo with Python's own arguments to it."""
    return run(
        folder,
        "-c",
        f"from pathlib import Path; from bot.demo import run_demo; raise SystemExit(run_demo({arguments}))",
    )


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run of the demo, as shipped, in a folder with an unusable .env."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / ".env").write_text("DATABASE_URL=mysql://nobody\nSHOP_FILE=/nowhere\n")
    done = run(folder, "-m", "bot", "demo")
    assert [each.name for each in folder.iterdir()] == [".env"], "the demo left something behind"
    return done


def test_the_demo_plays_to_its_end_in_time_and_without_noise(shipped: Run) -> None:
    """It succeeds, says nothing on stderr, needs no setting of the operator's, and takes less than half a minute."""
    assert (shipped.code, shipped.err) == (0, "")
    assert shipped.took < LIMIT


def test_no_question_of_the_demo_comes_on_a_sunday_or_a_holiday(shipped: Run) -> None:
    """What would fall due on Christmas Day in Denmark waits for the Monday after it."""
    assert "Fri 25 Dec 2026" not in shipped.out
    assert "Mon 28 Dec 2026" in shipped.out
    assert "\nSun " not in shipped.out


def test_a_pipe_gets_plain_text(shipped: Run) -> None:
    """No control sequences, no line wider than 100 columns allow, nothing but blanks at no line's end."""
    assert "\x1b" not in shipped.out
    assert all(len(line) <= 100 and line == line.rstrip() for line in shipped.out.splitlines())


def test_both_sides_are_shown_as_it_happens(shipped: Run) -> None:
    """The customer's chat, the card in the team's channel, the preview, the reply, the question whether it is right now."""
    beats = (
        "Was everything as we promised?",
        "👆 [ 🤔 Not quite ]",
        "Slack #fashion",
        "The dress is beautiful, but",
        "Jonas Berg presses [Claim]",
        "The customer gets exactly this:",
        "✅ Delivered to the customer.",
        "Jonas Berg presses [Remedy done]",
        "CONFIRMED BY THE CUSTOMER",
        "Sale 1002 is complete",
        "UNCONFIRMED",
    )
    at = [shipped.words.find(beat) for beat in beats]
    assert -1 not in at
    assert at == sorted(at)
    assert "👆 [ 🧾 Noget var svært at forstå ]" in shipped.out
    assert "Slack #accounting" in shipped.out


def test_what_staff_type_in_a_thread_is_shown_to_staff_alone(shipped: Run) -> None:
    """Rule 5 can be seen: the words typed in the thread stand there once, and in no bubble."""
    typed = [line for line in shipped.out.splitlines() if "Odense" in line]
    assert len(typed) == 1
    assert "thread, Jonas Berg" in typed[0]


def test_the_end_says_which_sales_are_complete_and_what_limits(shipped: Run) -> None:
    """Three customers said so, one stayed silent; the weakest factor and touchpoint are named."""
    assert [("✔ yes" in shipped.ending(sale)) for sale in ("1001", "1002", "1003", "1004")] == [True, True, False, True]
    assert "3 of 4" in shipped.out
    assert "What limits: quality (0.50)" in shipped.out
    assert "invoice (0.00)" in shipped.out
    assert "Still open: 🧴" in shipped.out


def test_a_changed_flow_changes_the_demo(tmp_path: Path) -> None:
    """With other words, another label, and a yes that completes nothing, it tells of just that: it is no recording."""
    flows = tmp_path / "flows"
    shutil.copytree(LIBRARY, flows)
    change(flows / "after_delivery.yaml", "🤔 Not quite", "🤔 So-so")
    change(flows / "after_delivery.yaml", "Was everything as we promised?", "Is all well with it?")
    change(flows / "after_remedy.yaml", ", completes: true", "")
    done = run_with(tmp_path, f"flows_dir=Path({str(flows)!r}), width=80")
    assert (done.code, done.err) == (0, "")
    assert "👆 [ 🤔 So-so ]" in done.out
    assert "Is all well with it?" in done.words
    assert "as we promised?" not in done.words
    assert [("✔ yes" in done.ending(sale)) for sale in ("1001", "1002", "1003", "1004")] == [True, True, False, True]
    # That yes completed nothing any more: their cases stayed unconfirmed, until the customers said yes to a later question.
    assert done.out.count("UNCONFIRMED") == 3
    assert "3 of 4" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def change(file: Path, before: str, after: str) -> None:
    """Replace words in a file that must be there."""
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after), encoding="utf-8")


def test_what_cannot_be_played_is_said_in_one_line(tmp_path: Path) -> None:
    """A folder of flows that is not there: exit code 1, and one line that names it; no stack trace."""
    done = run_with(tmp_path, "flows_dir=Path('/nowhere/flows')")
    assert done.code == 1
    assert len(done.err.splitlines()) == 1
    assert "/nowhere/flows" in done.err


def says(text: str, *labels: str) -> ChatMessage:
    """Give a message of the bot."""
    return ChatMessage(
        1,
        from_bot=True,
        text=text,
        caption="",
        buttons=[[each] for each in labels],
        at=datetime(2026, 11, 23, tzinfo=UTC),
    )


UNHAPPY = Mood((NOT_QUITE, NO, YES), "It is too small.")


@pytest.mark.parametrize(
    ("mood", "message", "expected"),
    [
        (UNHAPPY, says("All well?", "👍 Yes", "🤔 Not quite"), Tap("🤔 Not quite")),
        (UNHAPPY, says("All well?", "Fine", "No"), Tap("No")),
        (UNHAPPY, says("All well?", "Fine", "Splendid"), Write("It is too small.")),
        (UNHAPPY, says("What was wrong?"), Write("It is too small.")),
        (UNHAPPY, says("It is on its way."), None),
        (CONTENT, says("All well?", "Fine", "Splendid"), Tap("Fine")),
        (CONTENT, says("What else?"), None),
        (Mood((LATER, YES)), says("Here?", "👍 Yes", "📦 Not here yet"), Tap("👍 Yes")),
        (Mood(is_silent=True), says("All well?", "👍 Yes"), None),
    ],
)
def test_a_customer_takes_the_button_that_comes_nearest(mood: Mood, message: ChatMessage, expected: object) -> None:
    """The dearest wish that a button carries; else their words; else the first button; and silence stays silent."""
    assert answer(mood, message, has_spoken=False) == expected


def test_a_customer_says_what_is_on_their_mind_once() -> None:
    """Asked again in words, they have nothing to add; with no fitting button, they take the first."""
    assert answer(UNHAPPY, says("What was wrong?"), has_spoken=True) is None
    assert answer(UNHAPPY, says("All well?", "Fine"), has_spoken=True) == Tap("Fine")
