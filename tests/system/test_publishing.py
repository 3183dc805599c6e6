"""Versions of flows through the whole program: what is published runs, what began goes on as it began, who is moved."""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text as sql

from bot import publishing
from bot.adapters.clock import MovableClock
from bot.adapters.flow_files import FlowFiles
from bot.adapters.sandbox.telegram import Customer
from bot.app.published import PublishedFlows
from bot.app.story import gather
from bot.errors import Conflict, InputRefused
from bot.flows.model import Flow, Texts
from bot.flows.parse import parse_flow
from bot.messages import House
from bot.ports.records import Publication
from bot.ports.store import UnitOfWork
from bot.publishing import Plan
from bot.trials.simulation import Given, Simulation
from bot.trials.trail import Said
from storage.database import open_database
from tests.system.stage import MORNING, Stage, order, shipped_flows, shop, stage

MINE = """\
flow: mine
purpose: service
start: { on: order.delivered, after: 1h }
steps:
  a:
    ask: { en: "Was it well?", da: "Var det godt?" }
    choices:
      good: { label: { en: Good, da: Godt }, factors: { promise: 1 }, next: pause }
      bad: { label: { en: Bad, da: Skidt }, factors: { promise: 0 }, touchpoint: delivery, next: c }
    remind: { after: 2d }
    silence: { after: 7d, next: end }
  pause: { wait: 1d, next: b }
  b: { say: { en: Thanks, da: Tak } }
  c: { say: { en: Sorry, da: Undskyld } }
"""


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """A folder with one flow."""
    folder = tmp_path / "flows"
    folder.mkdir()
    return write(folder, MINE)


def write(folder: Path, text: str) -> Path:
    """Write the flow's file so that its stamp surely changes."""
    file = folder / "mine.yaml"
    stamp = file.stat().st_mtime_ns + 1_000_000_000 if file.exists() else None
    file.write_text(text, encoding="utf-8")
    if stamp is not None:
        os.utime(file, ns=(stamp, stamp))
    return folder


async def begin(play: Stage, sale: str = "1001") -> Customer:
    """Order, link, deliver, and let the flow begin."""
    about = {"customer": f"c-{sale}", "at": play.clock.now()}
    await play.happens(order("order.placed", sale, **about))
    customer = await play.link(sale)
    await play.happens(order("order.delivered", sale, **about))
    await play.pass_time(timedelta(hours=1))
    return customer


def publish(url: str, text: str | None, name: str = "mine", **more: Any) -> Publication:
    """Publish a flow as another process does: over a connection of its own."""
    database = open_database(url)
    try:
        return database.run_now(lambda uow: _published(uow, text, name, **more))
    finally:
        database.close()


def house() -> House:
    return House(shop(), shipped_flows(), MovableClock(MORNING))


def _published(uow: UnitOfWork, text: str | None, name: str, **more: Any) -> Publication:
    draft = parse_flow(text, file="f") if text is not None else None
    plan = publishing.plan_publication(uow, house(), name, draft)
    return publishing.publish(uow, plan, more.pop("now", MORNING), by="ida", **more)


async def history(play: Stage, name: str = "mine") -> list[tuple[int, str]]:
    return [(each.number, each.how) for each in await play.read(lambda uow: uow.publications(name))]


# -- what runs -------------------------------------------------------------------------------------------------------------


async def test_a_folder_that_nobody_published_just_works(database_url: str, flows: Path) -> None:
    """The start itself makes it v1; an edit of the file is v2, and runs for new conversations, at once and after a start."""
    async with stage(database_url, flows=flows) as play:
        assert await history(play) == [(1, "start")]
        assert (await history(play, "after_remedy")) == [(1, "start")]
        first = await begin(play)
        write(flows, MINE.replace("Was it well?", "How was it?"))
        await play.rest()
        assert await history(play) == [(1, "start"), (2, "start")]
        assert "How was it?" in (await begin(play, "1002")).last.text
        await play.close()
        write(flows, MINE.replace("Was it well?", "And?"))
        await play.open()
        assert await history(play) == [(1, "start"), (2, "start"), (3, "start")]
        assert "And?" in (await begin(play, "1003")).last.text
        await play.tap(first, "Good")
        await play.pass_time(timedelta(days=1))
        assert first.last.text == "Thanks"
        assert play.service.unpublished == []


async def test_once_published_only_what_is_published_runs(database_url: str, flows: Path) -> None:
    """An edit of the file changes nothing, and is told; published, a program that runs takes it up by itself."""
    edited = MINE.replace("Was it well?", "How was it?")
    async with stage(database_url, flows=flows) as play:
        publish(database_url, MINE)
        await play.rest()
        write(flows, edited)
        await play.rest()
        assert "Was it well?" in (await begin(play)).last.text
        said = [entry["problem"] for entry in play.log if entry["event"] == "flow_not_published"]
        assert len(said) == 1
        assert "mine.yaml differs from v2, which is what runs" in said[0]
        await play.close()
        await play.open()
        (told,) = play.service.unpublished
        assert "aftersale flows publish mine" in told
        assert "Was it well?" in (await begin(play, "1002")).last.text
        publish(database_url, edited)
        await play.rest()
        assert "How was it?" in (await begin(play, "1003")).last.text
        assert await history(play) == [(1, "start"), (2, "publish"), (3, "publish")]


async def test_a_published_flow_without_a_file_runs_until_it_is_taken_out_of_use(
    database_url: str, flows: Path
) -> None:
    """A file that is gone is told, and changes nothing; taken out of use, no new conversation begins, and old ones go on."""
    async with stage(database_url, flows=flows) as play:
        publish(database_url, MINE)
        (flows / "mine.yaml").rename(flows / "mine.txt")
        await play.rest()
        freja = await begin(play)
        assert "Was it well?" in freja.last.text
        assert "has no file any more" in next(e["problem"] for e in play.log if e["event"] == "flow_not_published")
        publish(database_url, None)
        await play.rest()
        bob = await begin(play, "1002")
        assert "Was it well?" not in bob.last.text
        await play.tap(freja, "Good")
        await play.pass_time(timedelta(days=1))
        assert freja.last.text == "Thanks"


async def test_a_broken_file_keeps_the_last_good_version_over_a_start(database_url: str, flows: Path) -> None:
    """Whether somebody published it by hand or not, what ran before the start runs after it."""
    async with stage(database_url, flows=flows) as play:
        await play.close()
        write(flows, "flow: [")
        await play.open()
        assert "Was it well?" in (await begin(play)).last.text


async def test_the_question_after_a_remedy_is_never_missing_and_never_doubled(sqlite_url: str, flows: Path) -> None:
    """A published flow of the shop's own that begins on a remedy takes the shipped one's place, whatever its file says."""
    own = MINE.replace("order.delivered, after: 1h", "remedy.done")
    write(flows, own)
    async with stage(sqlite_url, flows=flows) as play:
        assert sorted(play.program.house.flows.flows) == ["mine"]
        publish(sqlite_url, own)
        write(flows, MINE)
        await play.rest()
        assert sorted(play.program.house.flows.flows) == ["mine"]
        publish(sqlite_url, MINE)
        await play.rest()
        assert sorted(play.program.house.flows.flows) == ["after_remedy", "mine"]


async def test_a_start_that_was_planned_for_a_step_that_is_gone_begins_where_the_flow_now_begins(
    sqlite_url: str, flows: Path
) -> None:
    """Between the parcel and the question the flow was changed: the customer is asked all the same."""
    async with stage(sqlite_url, flows=flows) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.happens(order("order.delivered"))
        write(flows, MINE.replace("  a:\n", "  begin:\n"))
        await play.rest()
        await play.pass_time(timedelta(hours=1))
        assert "Was it well?" in freja.last.text


def test_two_programs_with_different_files_come_to_rest(database_url: str, flows: Path, tmp_path: Path) -> None:
    """In a rolling upgrade each runs its own file, and notes it once; neither answers the other for ever."""
    other = tmp_path / "other"
    other.mkdir()
    write(other, MINE.replace("well?", "good?"))
    files = [FlowFiles(folder) for folder in (flows, other)]
    database = open_database(database_url)
    programs = []
    for each in files:
        each.load()
        programs.append(PublishedFlows(each))
        database.run_now(lambda uow, it=programs[-1]: it.take_up(uow, MORNING))
    for _ in range(3):
        for program in programs:
            assert not program.has_changed_files
            database.run_now(program.look)
    assert [each.number for each in database.run_now(lambda uow: uow.publications("mine"))] == [1, 2]
    assert [each.flows["mine"].version for each in programs] == [each.flows["mine"].version for each in files]
    database.close()


async def test_the_story_of_a_sale_shows_the_button_that_was_tapped(sqlite_url: str, flows: Path) -> None:
    """Whatever the file says by now, the customer tapped what stood there then."""
    async with stage(sqlite_url, flows=flows) as play:
        await play.tap(await begin(play), "Good")
        write(flows, MINE.replace("en: Good", "en: Not too bad"))
        await play.rest()
        told = await play.read(lambda uow: gather(uow, play.program.house, "1001", play.clock.now()))
        assert [line.what for line in told.story if line.kind == "verdict"] == ["tapped “Good”  (promise 1)"]


# -- moving ----------------------------------------------------------------------------------------------------------------


async def test_who_is_moved_goes_on_in_the_new_version_and_keeps_their_moments(database_url: str, flows: Path) -> None:
    """The plan tells who could move; one is moved, the other stays; reminder and silence come when they would have come."""
    new = MINE.replace("Thanks", "Many thanks").replace("wait: 1d", "wait: 5d").replace("well?", "good?")
    async with stage(database_url, flows=flows) as play:
        freja, bob = await begin(play), await begin(play, "1002")
        await play.tap(bob, "Good")
        await play.pass_time(timedelta(hours=1))
        before = {each.key: each.due_at for each in await play.moments(state="planned")}
        write(flows, new)
        await play.rest()
        old, target = await play.read(lambda uow: uow.publications("mine"))
        plan = await play.read(lambda uow: _restored(uow, old.number))
        assert [(each.number, each.running, each.could_move) for each in plan.standing] == [(1, 2, 0)]
        now = play.clock.now()

        def move(uow: UnitOfWork) -> publishing.Moved:
            found = publishing.to_move(uow, "mine", old.version, sale_id="1001")
            return publishing.move(uow, play.program.house, found, old, target, now, by="ida")

        assert await play.read(move) == publishing.Moved(1, {})
        assert await play.read(move) == publishing.Moved(0, {})
        assert {each.key: each.due_at for each in await play.moments(state="planned")} == before
        assert (await play.told())[-1] == "conversation.moved"
        await play.pass_time(timedelta(days=2))
        assert "good?" in freja.last.text
        assert bob.last.text == "Thanks"
        await play.tap(freja, "Good")
        await play.pass_time(timedelta(days=4))
        assert freja.last.text != "Many thanks"
        await play.pass_time(timedelta(days=1))
        assert freja.last.text == "Many thanks"


def _restored(uow: UnitOfWork, number: int) -> Plan:
    return publishing.plan_restore(uow, house(), "mine", number)


async def test_the_plan_says_who_stays_and_who_could_move_and_why_not(database_url: str, flows: Path) -> None:
    """Of three on v1, one answers a question that is there no more."""
    async with stage(database_url, flows=flows) as play:
        for sale in ("1001", "1002", "1003"):
            await begin(play, sale)
        await play.tap(await begin(play, "1004"), "Good")
        draft = parse_flow(
            MINE.replace("  pause: { wait: 1d", "  rest: { wait: 1d").replace("next: pause", "next: rest"), file="f"
        )
        plan = await play.read(lambda uow: publishing.plan_publication(uow, house(), "mine", draft))
        assert (plan.kind, plan.seen, plan.number) == ("changed", 1, 2)
        (standing,) = plan.standing
        assert (standing.number, standing.running, standing.could_move) == (1, 4, 3)
        assert standing.why_not == {"its step “pause” is not there any more": 1}
        assert plan.difference.renamed == {"pause": "rest"}
        refused = await play.read(
            lambda uow: publishing.plan_publication(uow, house(), "mine", draft, ["mine.yaml:1:1: no"])
        )
        with pytest.raises(InputRefused, match=r"mine\.yaml:1:1"):
            await play.read(lambda uow: publishing.publish(uow, refused, MORNING, by="ida"))
        assert await history(play) == [(1, "start")]


async def test_restoring_publishes_old_content_under_a_new_number(database_url: str, flows: Path) -> None:
    """Nothing of the history is written over; who is on the old content is on the new number as well."""
    async with stage(database_url, flows=flows) as play:
        await begin(play)
        publish(database_url, MINE.replace("well?", "good?"))
        await play.rest()
        assert "good?" in (await begin(play, "1002")).last.text
        plan = await play.read(lambda uow: _restored(uow, 1))
        await play.read(lambda uow: publishing.publish(uow, plan, MORNING, by="bo", note="v1 again"))
        await play.rest()
        assert "well?" in (await begin(play, "1003")).last.text
        found = await play.read(lambda uow: uow.publications("mine"))
        assert [(each.number, each.how, each.by) for each in found] == [
            (1, "start", ""),
            (2, "publish", "ida"),
            (3, "restore", "bo"),
        ]
        assert found[0].version == found[2].version
        assert sorted((await play.read(lambda uow: uow.running_on("mine"))).values()) == [1, 2]
        assert not (await play.read(lambda uow: _restored(uow, 1))).is_needed


# -- two at once -------------------------------------------------------------------------------------------------------------


def test_of_two_who_publish_at_once_one_wins_and_the_other_is_told(database_url: str) -> None:
    """Both looked at v1; whoever comes second publishes nothing, and hears who was quicker, on both databases."""
    publish(database_url, MINE)
    start = threading.Barrier(2)
    outcomes: dict[str, Publication | Exception] = {}

    def admin(name: str) -> None:
        database = open_database(database_url)
        draft = parse_flow(MINE.replace("well?", f"well, {name}?"), file="f")
        try:
            plan = database.run_now(lambda uow: publishing.plan_publication(uow, house(), "mine", draft))
            start.wait(timeout=30)
            outcomes[name] = database.run_now(lambda uow: publishing.publish(uow, plan, MORNING, by=name, note="mine"))
        except Conflict as error:
            outcomes[name] = error
        finally:
            database.close()

    threads = [threading.Thread(target=admin, args=(name,)) for name in ("ida", "bo")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    (winner,) = [each for each in outcomes.values() if isinstance(each, Publication)]
    (loser,) = [each for each in outcomes.values() if isinstance(each, Conflict)]
    assert f"v2 was published meanwhile (by {winner.by} at 09:00 UTC, “mine”)" in str(loser)
    database = open_database(database_url)
    assert [each.by for each in database.run_now(lambda uow: uow.publications("mine"))] == ["ida", winner.by]
    database.close()


def test_one_who_looked_before_another_had_committed_waits_and_is_told(postgresql_url: str) -> None:
    """On PostgreSQL two transactions may both see v1 as the newest: the number itself lets only one of them in."""
    publish(postgresql_url, MINE)
    first, second = open_database(postgresql_url), open_database(postgresql_url)
    looked, told = threading.Event(), []

    def late(uow: UnitOfWork) -> Publication:
        draft = parse_flow(MINE.replace("well?", "late?"), file="f")
        plan = publishing.plan_publication(uow, house(), "mine", draft)
        head = uow.publications("mine")
        uow.publications = lambda _flow=None: head  # type: ignore[method-assign] # what it saw before the other committed
        looked.set()
        return publishing.publish(uow, plan, MORNING, by="bo")

    def quick(uow: UnitOfWork) -> None:
        _published(uow, MINE.replace("well?", "quick?"), "mine")
        thread.start()
        assert looked.wait(30)

    def run_late() -> None:
        try:
            second.run_now(late)
        except Conflict as error:
            told.append(str(error))

    thread = threading.Thread(target=run_late)
    first.run_now(quick)
    thread.join(timeout=30)
    assert len(told) == 1
    assert [each.by for each in first.run_now(lambda uow: uow.publications("mine"))] == ["ida", "ida"]
    first.close()
    second.close()


def test_what_the_program_itself_noted_meanwhile_overtakes_nobody(database_url: str) -> None:
    """The running program takes the edited file up while its admin looks at the difference: publishing it goes on."""
    draft = parse_flow(MINE.replace("well?", "good?"), file="f")
    database = open_database(database_url)
    database.run_now(lambda uow: publishing.take_up(uow, [parse_flow(MINE, file="f")], MORNING))
    plan = database.run_now(lambda uow: publishing.plan_publication(uow, house(), "mine", draft))
    database.run_now(lambda uow: publishing.take_up(uow, [draft], MORNING))
    published = database.run_now(lambda uow: publishing.publish(uow, plan, MORNING, by="ida"))
    assert (published.number, published.how) == (3, "publish")
    assert database.run_now(lambda uow: publishing.take_up(uow, [parse_flow(MINE, file="f")], MORNING)) == []
    database.close()


def test_two_programs_that_start_at_once_both_note_what_they_run(database_url: str) -> None:
    """With different files neither's is missing in the history, whoever came first."""
    start = threading.Barrier(2)

    def program(text: str) -> None:
        database = open_database(database_url)
        start.wait(timeout=30)
        database.run_now(lambda uow: publishing.take_up(uow, [parse_flow(text, file="f")], MORNING))
        database.close()

    threads = [threading.Thread(target=program, args=(MINE.replace("well?", word),)) for word in ("one?", "two?")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    database = open_database(database_url)
    found = database.run_now(lambda uow: uow.publications("mine"))
    assert [each.number for each in found] == [1, 2]
    assert len({each.version for each in found}) == 2
    database.close()


# -- what cannot be read -------------------------------------------------------------------------------------------------------


async def test_conversations_of_a_version_that_cannot_be_read_wait_visibly(database_url: str, flows: Path) -> None:
    """Timers are tried again with a reason, words and taps go to a person; readable again, it goes on as it began."""
    async with stage(database_url, flows=flows) as play:
        freja, bob, carl = await begin(play), await begin(play, "1002"), await begin(play, "1003")
        await play.tap(bob, "Good")
        await play.close()
        await _spoil(database_url, 99)
        write(flows, MINE.replace("well?", "good?"))
        await play.open()
        problems = await play.read(publishing.unreadable)
        assert len(problems) == 1
        assert problems[0].startswith("v1 of mine cannot be read, so 3 conversations on it wait: ")
        assert "form 99 of the flow language" in problems[0]
        await play.pass_time(timedelta(days=2))
        waiting = [each for each in await play.moments("1002", "planned") if each.kind == "wait"]
        assert ["cannot be read" in str(each.reason) for each in waiting] == [True]
        assert bob.last.text != "Thanks"
        await play.tap(freja, "Bad")
        assert "I have passed this on" in freja.last.text
        assert "[Bad] Was it well?" in play.card("wine").plain()
        await play.write(carl, "Where is my invoice?")
        assert "I have passed this on" in carl.last.text
        await play.close()
        await _spoil(database_url, 2)
        await play.open()
        await play.pass_time(timedelta(hours=2))
        assert bob.last.text == "Thanks"


async def _spoil(url: str, form: int) -> None:
    database = open_database(url)
    change = sql("UPDATE flow_versions SET format = :form WHERE flow = 'mine'")
    database.run_now(lambda uow: uow._connection.execute(change, {"form": form}))
    database.close()


async def test_a_published_version_that_cannot_be_read_begins_nothing_and_stops_nothing(
    sqlite_url: str, flows: Path
) -> None:
    """The program starts, says so, and everything else goes on."""
    publish(sqlite_url, MINE.replace("well?", "good?"))
    await _spoil(sqlite_url, 99)
    async with stage(sqlite_url, flows=flows) as play:
        assert sorted(play.program.house.flows.flows) == ["after_remedy"]
        (problem,) = await play.read(publishing.unreadable)
        assert "v1 of mine cannot be read, so no new one begins" in problem


# -- pinned versions finish as they began ----------------------------------------------------------------------------------------


@dataclass
class Edited:
    """A source of flows that an admin edits while conversations run."""

    flows: Mapping[str, Flow]
    phrases: Mapping[str, Texts] = field(default_factory=lambda: shipped_flows().phrases)


EDITS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("Was it well?", "Something else?"),),
    (("Thanks", "Bye"), ("Sorry", "Oh")),
    (("good: {", "fine: {"), ("Good", "Fine")),
    (("  pause: { wait: 1d, next: b }\n", ""), ("next: pause", "next: b")),
    (("after: 7d, next: end", "after: 1d, next: c"), ("remind: { after: 2d }", "remind: { after: 1h }")),
    (("factors: { promise: 1 }", "factors: { promise: 0 }"),),
    (("  a:\n    ask", "  z:\n    ask"),),
)
"""Each pair is replaced wherever it stands; an edit that finds nothing changes nothing."""

WORDS = {
    "reminder": {"en": "REMINDED {{ text }}"},
    "ack_passed_on": {"en": "PASSED ON"},
    "change_answer": {"en": "OTHERWISE"},
}
STORIES = (
    ("good", timedelta(days=2)),
    ("bad", timedelta(days=1)),
    (None, timedelta(days=9)),
    ("words", timedelta(days=3)),
)


def _played(edits: list[int], story: tuple[str | None, timedelta], *, with_words: bool) -> list[tuple[str, str, Any]]:
    """Play a conversation while its flow is edited at every turn; give what the customer saw, when, with which buttons."""
    begun = parse_flow(MINE, file="f")
    told = replace(begun, phrases={name: shipped_flows().phrases[name] for name in WORDS})
    source = Edited({"mine": told})
    sale = {
        "id": "1001",
        "summary": "wine",
        "customer": {"id": "c-7", "name": "Freja Holm", "locale": "en", "country": "DK"},
    }
    sim = Simulation(
        shop(), source, Given(sale, datetime(2026, 11, 23, 10, tzinfo=UTC), ("service",)), taking_part=["mine"]
    )
    left, text = list(edits), MINE

    def edit() -> None:
        nonlocal text
        if left:
            for old, new in EDITS[left.pop(0)]:
                text = text.replace(old, new)
            phrases = {**source.phrases, **WORDS} if with_words else source.phrases
            sim.house.flows = Edited({"mine": parse_flow(text, file="f")}, phrases)

    sim.happens("order.placed")
    sim.happens("order.delivered")
    sim.go_to_next_said(sim.now + timedelta(hours=2))
    edit()
    if story[0] == "words":
        sim.writes("Well, I do not know")
    elif story[0] is not None:
        sim.taps(story[0])
    edit()
    end = sim.now + story[1]
    while sim.now < end:
        sim.go(min(sim.now + timedelta(hours=12), end))
        edit()
    said = [each for each in sim.entries if isinstance(each, Said)]
    return [(each.text, str(each.at), [button.label for button in each.buttons]) for each in said]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    edits=st.lists(st.integers(0, len(EDITS) - 1), min_size=1, max_size=8),
    story=st.sampled_from(STORIES),
    with_words=st.booleans(),
)
def test_a_conversation_finishes_as_it_began_whatever_is_edited_meanwhile(
    edits: list[int], story: tuple[str | None, timedelta], *, with_words: bool
) -> None:
    """Texts, buttons, times, reminders and the bot's own words: all as if nobody had touched the flow."""
    assert _played(edits, story, with_words=with_words) == _played([], story, with_words=False)
