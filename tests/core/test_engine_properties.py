"""What must hold of the engine whatever the flow and whatever happens."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.durations import Duration
from bot.flows.effects import (
    Acknowledge,
    CompleteSale,
    Effect,
    Finish,
    Ignored,
    OpenCase,
    RecordVerdict,
    SendQuestion,
    SendReminder,
    SendText,
    StartTimer,
    StopTimers,
    TellCase,
)
from bot.flows.engine import ARROWS, MAX_STEPS_PER_EVENT, MAX_VISITS, step
from bot.flows.events import Begun, Event, Media, Stopped, Tapped, TimerFired, Unreachable, Withdrawn, Wrote
from bot.flows.model import END, Ask, Choice, End, Factor, Flow, Purpose, Remind, Say, Silence, Step, Trigger, Wait
from bot.flows.state import State, state_from, state_to

NOW = datetime(2026, 11, 21, tzinfo=UTC)
DAY = Duration(span=timedelta(days=1))
NAMES = ("a", "b", "c", "d", "e")
LABELS = ("Yes", "No", "👍", "Ja", "Later")
OUTWARD = (SendQuestion, SendReminder, SendText, Acknowledge, StartTimer)

targets = st.sampled_from([*NAMES, None, None, END, "gone"])
factors = st.dictionaries(st.sampled_from(list(Factor)), st.sampled_from([0.0, 0.5, 1.0]), max_size=2)
choices = st.lists(
    st.builds(
        Choice,
        name=st.sampled_from(["x", "y"]),
        label=st.fixed_dictionaries({"en": st.sampled_from(LABELS)}),
        next=targets,
        factors=factors,
        touchpoint=st.sampled_from([None, "delivery"]),
        completes=st.booleans(),
        unhappy=st.booleans(),
    ),
    max_size=3,
)


def _steps(name: str) -> st.SearchStrategy[Step]:
    asks = st.builds(
        Ask,
        name=st.just(name),
        texts=st.just({"en": "?"}),
        choices=choices.map(tuple),
        silence=st.builds(Silence, st.just(DAY), targets),
        remind=st.sampled_from([None, Remind(DAY, 1), Remind(DAY, 9)]),
        next=targets,
    )
    others = st.one_of(
        st.builds(Say, st.just(name), st.just({"en": "!"}), targets),
        st.builds(Wait, st.just(name), st.just(DAY), targets),
        st.builds(End, st.just(name), st.sampled_from(["answered", "silent"])),
    )
    return st.one_of(asks, asks, others)


flows = st.fixed_dictionaries({name: _steps(name) for name in NAMES}).map(
    lambda steps: Flow("f", Purpose.SERVICE, (Trigger("order.delivered", DAY, "a"),), steps, DAY)
)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Begun, st.sampled_from([*NAMES, "gone"])),
    st.builds(Tapped, st.integers(-1, 6), st.integers(-1, 3)),
    st.builds(Tapped, st.integers(1, 4), st.integers(0, 1)),
    st.builds(
        Wrote,
        st.sampled_from([*LABELS, "", "tak", "it leaks", "\ud800", "yes?"]),
        st.sampled_from([(), (Media("photo", "f"),)]),
    ),
    st.builds(TimerFired, st.sampled_from(["remind", "silence", "wait", "expire"]), st.integers(0, 6)),
    st.builds(TimerFired, st.sampled_from(["remind", "silence", "wait"]), st.integers(1, 3)),
    st.builds(Stopped),
    st.builds(Unreachable, st.just("blocked")),
    st.builds(Withdrawn, st.just("order.cancelled")),
)
histories = st.lists(events, max_size=14).map(lambda later: [Begun("a"), *later])
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def walk(flow: Flow, history: Sequence[Event]) -> list[tuple[State, Event, State, tuple[Effect, ...]]]:
    """Let `history` happen, with the state going through JSON between any two events."""
    state, seen = State(), []
    for event in history:
        kept = state_from(json.loads(json.dumps(state_to(state))))
        assert kept == state
        got = step(flow, kept, event, NOW)
        assert got == step(flow, state, event, NOW)
        seen.append((state, event, got.state, got.effects))
        state = got.state
    return seen


@quick
@given(flows, histories)
def test_total_deterministic_and_as_the_table_says(flow: Flow, history: list[Event]) -> None:
    """Any event in any state gives an answer, twice the same, also after a round trip through JSON; ignored means unchanged.

    Every change of status stands in the transition table.
    """
    table = {(arrow.before, arrow.event, arrow.after) for arrow in ARROWS}
    for before, event, after, effects in walk(flow, history):
        ignored = [each for each in effects if isinstance(each, Ignored)]
        if ignored:
            assert before == after
            assert len(effects) == 1
            assert ignored[0].reason
        else:
            assert (before.status, type(event).__name__, after.status) in table
        assert len(effects) <= MAX_STEPS_PER_EVENT + 10
        assert after.visits <= MAX_VISITS


@quick
@given(flows, histories)
def test_at_most_one_question_is_open(flow: Flow, history: list[Event]) -> None:
    """A question goes out only into a state that holds it open, one per event; whoever finishes stops all timers first."""
    for _, _, after, effects in walk(flow, history):
        questions = [each for each in effects if isinstance(each, SendQuestion)]
        assert len(questions) <= 1
        if questions:
            assert (after.status, after.turn, after.step) == ("asking", questions[0].turn, questions[0].step)
        ends = [number for number, each in enumerate(effects) if isinstance(each, Finish)]
        if ends:
            assert ends == [len(effects) - 1]
            assert effects[-2] == StopTimers()
            assert after.status == "finished"


@quick
@given(flows, histories)
def test_every_zero_opens_a_case_and_never_completes(flow: Flow, history: list[Event]) -> None:
    """A verdict with a zero, in time or late, stopped or not, always comes with a case and never with a completed sale."""
    for before, _, after, effects in walk(flow, history):
        for each in effects:
            if isinstance(each, RecordVerdict) and 0 in each.factors.values():
                assert any(isinstance(other, OpenCase) and other.reason == "unhappy" for other in effects)
                assert CompleteSale() not in effects
                assert after.unhappy
        assert after.unhappy >= before.unhappy


@quick
@given(flows, histories)
def test_only_the_customer_completes(flow: Flow, history: list[Event]) -> None:
    """A sale is completed only in answer to a tap, or to words that are a label, and with the verdict that says so."""
    for _, event, _, effects in walk(flow, history):
        if CompleteSale() in effects:
            assert isinstance(event, Tapped | Wrote)
            assert any(isinstance(each, RecordVerdict) and each.choice is not None for each in effects)


@quick
@given(flows, histories, histories)
def test_nothing_goes_out_after_stop(flow: Flow, before: list[Event], after: list[Event]) -> None:
    """From /stop on, whatever had happened before and whatever comes, no message and no timer follows."""
    for _, _, state, effects in walk(flow, [*before, Stopped(), *after])[len(before) :]:
        assert not any(isinstance(each, OUTWARD) for each in effects)
        assert state.status == "finished"


@quick
@given(flows, histories)
def test_reminders_are_few_and_end_with_words(flow: Flow, history: list[Event]) -> None:
    """No question is repeated more than twice, and none after the customer wrote, or while a case stands."""
    reminded: dict[int, int] = {}
    for before, _, _, effects in walk(flow, history):
        for each in effects:
            if isinstance(each, SendReminder):
                reminded[each.turn] = reminded.get(each.turn, 0) + 1
                assert each.nth == reminded[each.turn] <= 2
                assert not before.spoken
                assert not before.unhappy


@quick
@given(flows, histories)
def test_words_are_never_lost(flow: Flow, history: list[Event]) -> None:
    """Whatever is written stands in a verdict, with its pictures; all but labels and thanks reach a person too."""
    for _, event, _, effects in walk(flow, history):
        if isinstance(event, Wrote) and (event.text or event.media):
            verdict = next(each for each in effects if isinstance(each, RecordVerdict))
            assert verdict.text == event.text
            assert verdict.media == event.media
            if event.media or event.text == "it leaks":
                assert any(isinstance(each, OpenCase | TellCase) for each in effects)


def test_a_state_of_another_version_is_read() -> None:
    """A stored state with fields of a later program, or without those of this one, can still be read."""
    assert state_from({"status": "asking", "turn": 2, "from_the_future": 1}) == State("asking", turn=2)
