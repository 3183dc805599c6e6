"""Time travel: the shipped flows' own tests, what a simulation costs, and that it is the program that is simulated."""

import re
import time
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event

from bot.adapters.shop_file import default_shop
from bot.cli.flow_opening import Opened
from bot.trials.coverage import coverage
from bot.trials.model import Trial
from bot.trials.parse import Known, read_trials
from bot.trials.reasons import reason
from bot.trials.simulation import Given, NoSuchButton, NotYet, Simulation
from bot.trials.trail import Did, Noted, Said
from bot.trials.trial import Result, run_trial
from storage.scratch import ScratchDatabase
from tests.system.stage import MORNING, ROOT, order, shipped_flows, stage

SALE = order("order.delivered")["sale"]
OPENED = Opened(shipped_flows(), default_shop(), None)
KNOWN = Known(OPENED.shop, OPENED.flow_files.flows, OPENED.flow_files.phrases)


def simulate(*part: str, start: datetime = MORNING, **more: object) -> Simulation:
    given = Given({**SALE, **more}, start)
    return Simulation(default_shop(), shipped_flows(), given, taking_part=part or None)


def trials_of(text: str) -> list[Trial]:
    trials, errors = read_trials(text, "x.tests.yaml", KNOWN)
    assert errors == []
    return trials


def run(story: str, given: str = "{}") -> Result:
    lines = "\n".join(f"      - {line.strip()}" for line in story.strip().splitlines())
    (trial,) = trials_of(f"flow: after_delivery\ntests:\n  one:\n    given: {given}\n    story:\n{lines}\n")
    return run_trial(trial, default_shop(), shipped_flows())


def said(simulation: Simulation) -> list[Said]:
    return [each for each in simulation.entries if isinstance(each, Said)]


# the shipped flows


@pytest.mark.parametrize("name", sorted(shipped_flows().flows))
def test_shipped_flow_passes_its_tests_which_walk_every_way(name: str) -> None:
    """Beside each shipped flow lie tests that pass, and that take every choice, time-out, reminder and arm of it."""
    read = [read_trials(text, file, KNOWN) for file, text in OPENED.test_files()]
    assert [error for _, errors in read for error in errors] == []
    trials = [trial for found, _ in read for trial in found if trial.flow == name]
    results = [run_trial(trial, OPENED.shop, OPENED.flow_files) for trial in trials]
    assert [f"{each.place} {each.problem}" for each in results if not each.passed] == []
    walked = coverage(OPENED.flow(name), [move for each in results for move in each.moves])
    assert [str(way) for way in walked.missing] == []


def test_the_example_of_the_how_to_passes() -> None:
    """What docs/howto/try-a-flow.md shows as a test is one that passes."""
    page = (ROOT / "docs/howto/try-a-flow.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (trial,) = trials_of(example)
    assert run_trial(trial, OPENED.shop, OPENED.flow_files).problem is None


# it is the program


async def test_a_simulation_says_what_the_program_says(sqlite_template: object, tmp_path: object) -> None:
    """The same story, lived through by the whole program and by a simulation: the same words at the same moments."""
    promises = ({"id": "p1", "text": "Delivered soon", "touchpoint": "site", "due_at": "2026-11-27T22:00:00+01:00"},)
    placed, delivered = order("order.placed", promises=promises), order("order.delivered", promises=promises)
    url = sqlite_template.fresh(tmp_path)  # type: ignore[attr-defined]
    async with stage(url) as play:
        await play.happens(placed)
        freja = await play.link()
        await play.pass_time(timedelta(days=1, hours=10))
        await play.happens({**delivered, "occurred_at": play.clock.now().isoformat()})
        await play.pass_time(timedelta(days=4))
        await play.tap(freja, "🤔 Not quite")
        await play.write(freja, "One of them was open")
        anna, card = play.slack.member("Anna Berg"), play.card("wine")
        await play.claim(anna, card)
        await play.remedy(anna, card, "explanation", "sent again")
        await play.pass_time(timedelta(days=3))
        await play.tap(freja, "👍 Yes, it is right")
        await play.pass_time(timedelta(days=30))
        lived = [(each.at, each.text.partition("\n\n➜")[0]) for each in freja.chat if each.from_bot]

    played = Simulation(play.the_shop, shipped_flows(), Given(placed["sale"], MORNING, consents=None))
    played.happens("order.placed")
    played.links()
    played.taps("all")
    played.go(MORNING + timedelta(days=1, hours=10))
    played.happens("order.delivered")
    played.go(played.now + timedelta(days=4))
    played.taps("Not quite")
    played.writes("One of them was open")
    played.claims()
    played.remedies("explanation", "sent again")
    played.go(played.now + timedelta(days=3))
    played.taps("Yes, it is right")
    played.go(played.now + timedelta(days=30))
    assert [(each.at, each.text) for each in said(played)] == lived
    assert len(lived) >= 8


def test_one_simulation_leaves_nothing_to_the_next() -> None:
    """Simulations that share a database in memory begin with nothing in it."""
    first = simulate("after_delivery")
    first.happens("order.delivered")
    first.go(MORNING + timedelta(days=3))
    assert simulate("after_delivery").sale() is None
    second = simulate("after_delivery")
    second.happens("order.delivered")
    second.go(MORNING + timedelta(days=3))
    assert [each.text for each in said(second)] == [each.text for each in said(first)]


# why


def test_each_message_says_why_it_comes_when_it_comes() -> None:
    """What set it off, when that was, how long ago, and which guard held it back until when."""
    played = simulate("after_delivery", start=MORNING + timedelta(hours=11, minutes=30))
    played.happens("order.delivered")
    played.go(played.now + timedelta(days=7))
    asked, reminded = said(played)
    assert reason(asked.why, played.zone) == (
        "2d after order.delivered (Mon 23 Nov 21:30); quiet hours of the customer until Thu 26 Nov 08:30"
    )
    assert reason(reminded.why, played.zone) == (
        "a reminder: no answer for 3d (Thu 26 Nov 08:30); a Sunday of the customer until Mon 30 Nov 08:30"
    )
    played.taps("Not quite")
    assert reason(said(played)[-1].why, played.zone) == "the answer to the tap (Mon 30 Nov 21:30)"


def test_what_waits_for_a_case_says_so_when_it_comes() -> None:
    """A conversation that a case held back begins once nobody is at the case any more, and says what it waited for."""
    played = simulate("after_first_use", "after_remedy")
    played.happens("order.delivered")
    played.writes("It is broken")
    played.go(MORNING + timedelta(days=6))
    assert "waits: a case is open" in [each.words for each in played.entries if isinstance(each, Noted)]
    assert any("held: a case is open" in each for each in played.waiting_for())
    played.remedies("refund")
    played.go(played.now + timedelta(days=20))
    (late,) = [each for each in said(played) if each.text.startswith("Hi Freja, it is the bot")]
    assert "; it waited: a case is open" in reason(late.why, played.zone)


def test_a_simulation_refuses_what_cannot_be() -> None:
    """A button that nobody shows, a case that nobody opened, a link without an order: refused, and nothing happens."""
    played = simulate("after_delivery")
    with pytest.raises(NotYet):
        played.links()
    played.happens("order.delivered")
    with pytest.raises(NotYet):
        played.claims()
    played.go(MORNING + timedelta(days=2))
    with pytest.raises(NoSuchButton, match=r"Yes.*Not quite.*Not here yet"):
        played.taps("Perhaps")
    played.happens("order.eaten")
    done = played.entries[-1]
    assert isinstance(done, Did)
    assert "type: Input should be" in (done.refused or "")


# failing


@pytest.mark.parametrize(
    ("story", "problem", "line"),
    [
        ("event: order.delivered\nsays: Hello", "something else was said", 7),
        ("event: order.delivered\n{ says: promised, at: +1d }", "nothing was said by Tue 24 Nov 10:00", 7),
        ("event: order.delivered\n{ says: promised, at: +3d }", "it was said Wed 25 Nov 10:00, not Thu 26 Nov", 7),
        ("event: order.delivered\n{ says: promised, buttons: [Yes] }", "the buttons are others", 7),
        ("event: order.delivered\nsilence: +3d", "the bot said something that was not expected", 7),
        ("event: order.delivered\n{ tap: easy, at: +2d }", "the bot said something that was not expected", 7),
        ("event: order.delivered\nsays: promised\ntap: easy", "there is no button 'easy' → there are: [👍 Yes]", 8),
        ("event: order.delivered\nsays: promised\nends: silent", "the conversation has not ended", 8),
        ("event: order.delivered\ncase: delivery", "there is no case", 7),
        ("event: order.delivered\nsale: complete", "the sale is not complete", 7),
        ("event: order.delivered\nclaim: true", "there is no case → staff can only act on one", 7),
        ("event: order.delivered\nstaff_told: help", "staff was not told this", 7),
        ("event: order.delivered\nsays: promised\ntap: missing", "the bot said something that was not expected", 8),
        ("event: order.delivered\nsays: promised\ntap: missing\nsays: sorry\ntap: missing", "nothing came of it", 10),
        ("event: order.delivered\nsays_exactly: Was everything as we promised?", "something else was said", 7),
    ],
)
def test_a_test_fails_where_something_is_otherwise(story: str, problem: str, line: int) -> None:
    """Each kind of difference is told in words, with the line of the file, and both transcripts show it."""
    result = run(story)
    assert not result.passed
    assert problem in (result.problem or "")
    assert result.place.startswith(f"x.tests.yaml:{line}:")
    assert [row.fits for row in result.rows].count(False) == 1


def test_a_failure_shows_both_transcripts_and_what_came_instead() -> None:
    """Up to the difference both sides agree; there they differ; then follows what would have been said, and why."""
    result = run(
        "event: order.delivered\n{ says: promised, at: 2026-11-25 21:30 }\ntap: easy", "{ start: 2026-11-23 21:30 }"
    )
    assert [(row.expected.strip(), row.actual.strip(), row.fits) for row in result.rows] == [
        ("🛒 order.delivered", "Mon 23 Nov 21:30   🛒 order.delivered", True),
        ("2026-11-25 21:30   🤖 … promised …", "nothing", False),
        (
            "",
            (
                "(next) Thu 26 Nov 08:30   🤖 Hi Freja, this is the bot of Nordlys. Your order (two bottles of Barolo) "
                "should be with you. Was everything as we promised? [👍 Yes] [🤔 Not quite] [📦 Not here yet] – why: 2d "
                "after order.delivered (Mon 23 Nov 21:30); quiet hours of the customer until Thu 26 Nov 08:30"
            ),
            None,
        ),
        ("👤 taps [easy]", "", None),
    ]


def test_a_failure_tells_what_is_held_back_where_nothing_comes() -> None:
    """Where nothing is said at all because a guard holds it, the transcript says which."""
    result = run("event: order.delivered\nwrite: It is broken\nsays: passed\n{ says: promised, at: +2d }")
    assert not result.passed
    held = [row.actual for row in result.rows if "(held back)" in row.actual]
    assert held == ["(held back) Wed 25 Nov 2026 10:00  after_delivery begins, held: a case is open"]


# what it costs


def sixty_days(database: ScratchDatabase | None = None) -> Simulation:
    """Play sixty days of after_first_use, with nights, reminders, pauses and a case."""
    start = MORNING + timedelta(hours=10, minutes=50)
    played = Simulation(
        default_shop(), shipped_flows(), Given(SALE, start), taking_part=["after_first_use"], database=database
    )
    far = start + timedelta(days=90)
    played.happens("order.delivered")
    for answer in ("Not yet", "Not yet", "Yes", "Too early to say", "Partly"):
        if answer != "Too early to say":
            assert played.go_to_next_said(far) is not None
            played.go(played.now + timedelta(hours=26))
        played.taps(answer)
    played.writes("It is corked")
    played.go(start + timedelta(days=60))
    return played


def test_sixty_days_are_cheap() -> None:
    """Sixty days of one flow with all guards take few statements and, but for the first time, little work."""
    database = ScratchDatabase()
    counted: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *about: counted.append(about[2]))
    played = sixty_days(database)
    assert played.now - played.given.start >= timedelta(days=60)
    assert any("quiet hours" in held.reason for each in said(played) for held in each.why.held)
    assert len(counted) < 900
    took = []
    for _ in range(5):
        begun = time.process_time()
        sixty_days(database)
        took.append(time.process_time() - begun)
    database.close()
    assert min(took) < 0.5
