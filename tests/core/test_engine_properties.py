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
    NoteTrouble,
    OpenCase,
    RecordVerdict,
    SendOffer,
    SendQuestion,
    SendReminder,
    SendText,
    StartTimer,
    StopTimers,
    TakeBack,
    TellCase,
)
from bot.flows.engine import ARROWS, MAX_STEPS_PER_EVENT, MAX_VISITS, step
from bot.flows.events import (
    Begun,
    ChangedMind,
    Event,
    Happened,
    Media,
    Stopped,
    Tapped,
    TimerFired,
    Unreachable,
    Withdrawn,
    Wrote,
)
from bot.flows.facts import Facts, PromiseFact
from bot.flows.model import (
    END,
    Arm,
    Ask,
    Branch,
    Choice,
    Complete,
    End,
    Factor,
    Flow,
    GoTo,
    Match,
    Offer,
    OpenCaseStep,
    Purpose,
    Remind,
    Say,
    Set,
    Silence,
    Step,
    Trigger,
    Variant,
    Wait,
    Window,
)
from bot.flows.run import is_unhappy
from bot.flows.state import State, state_from, state_to

NOW = datetime(2026, 11, 21, tzinfo=UTC)
DAY = Duration(span=timedelta(days=1))
NAMES = ("a", "b", "c", "d", "e")
LABELS = ("Yes", "No", "👍", "Ja", "Later")
OUTWARD = (SendQuestion, SendReminder, SendText, SendOffer, Acknowledge, StartTimer)
FACTS = Facts(
    sale={"id": "1", "total": "12", "summary": None, "extra": {"at": "2026-11-22T10:00:00+01:00", "odd": object}},
    items=({"sku": "B", "tags": ["wine"]}, {"tags": None}),
    promises=(
        PromiseFact("p1", "Soon", due_at=datetime(2026, 11, 1, tzinfo=UTC)),
        PromiseFact("p2", "Red"),
        PromiseFact("p3", "Later", due_at=datetime(2027, 1, 1, tzinfo=UTC)),
    ),
    factors={"quality": 1.0},
    happened={"order.delivered": datetime(2026, 11, 20, tzinfo=UTC)},
    links={"review": "https://example.com/r", "referral": "https://example.com/f"},
    zone="Europe/Copenhagen",
)
CONDITIONS = (
    "unhappy",
    "vars.n > 2",
    "answer.choice == 'x'",
    "'wine' in tags",
    "sale.total > 5",
    "sale.extra.odd > nothing",
    "nonsense(",
    "items + 1",
    "days_since.delivered > 0.5",
)

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
        variants=st.sampled_from([(), (Variant(Match("if", "sale.total > 5"), {"en": "??"}),)]),
        per_promise=st.sampled_from([False, False, True]),
        reason_for=st.sampled_from([None, None, ("a", "x")]),
    )
    others = st.one_of(
        st.builds(Say, st.just(name), st.just({"en": "!"}), targets),
        st.builds(Wait, st.just(name), st.just(DAY), targets),
        st.builds(
            Wait,
            st.just(name),
            st.just(DAY),
            targets,
            since=st.sampled_from([None, "order.delivered", "remedy.done"]),
            moment=st.sampled_from([None, datetime(2026, 12, 24, 18), "sale.extra.at", "sale.total", "promise.due_at"]),  # noqa: DTZ001 - the customer's own clock
            window=st.sampled_from([None, Window((5, 6))]),
            events=st.sampled_from([(), ("product.first_used",), ("order.delivered",)]),
            otherwise=targets,
        ),
        st.builds(
            Branch,
            st.just(name),
            st.lists(st.builds(Arm, st.sampled_from(CONDITIONS), targets), max_size=2).map(tuple),
            targets,
        ),
        st.builds(Set, st.just(name), st.just({"n": "(vars.n | default(0)) + 1", "t": "sale.summary + 'x'"}), targets),
        st.builds(OpenCaseStep, st.just(name), st.just("look"), next=targets),
        st.builds(Complete, st.just(name), targets),
        st.builds(Offer, st.just(name), st.sampled_from(["review", "referral"]), st.just({"en": "!"}), next=targets),
        st.builds(GoTo, st.just(name), targets),
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
    st.builds(ChangedMind, st.integers(0, 4)),
    st.builds(Happened, st.sampled_from(["product.first_used", "order.shipped"])),
    st.builds(Stopped),
    st.builds(Unreachable, st.just("blocked")),
    st.builds(Withdrawn, st.just("order.cancelled")),
)
histories = st.lists(events, max_size=14).map(lambda later: [Begun("a"), *later])


def _is_unhappy(flow: Flow, event: Event, verdict: RecordVerdict) -> bool:
    """Tell whether a verdict is unhappy: it has a zero, or the button that was tapped says so."""
    asked = flow.steps.get(verdict.step)
    number = event.choice if isinstance(event, Tapped) else None
    tapped = asked.choices[number] if isinstance(asked, Ask) and number is not None else None
    return 0 in verdict.factors.values() or (tapped is not None and is_unhappy(tapped))


quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def walk(flow: Flow, history: Sequence[Event]) -> list[tuple[State, Event, State, tuple[Effect, ...]]]:
    """Let `history` happen, with the state going through JSON between any two events."""
    state, seen = State(), []
    for event in history:
        kept = state_from(json.loads(json.dumps(state_to(state))))
        assert kept == state
        got = step(flow, kept, event, NOW, FACTS)
        assert got == step(flow, state, event, NOW, FACTS)
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
        assert len(effects) <= 3 * MAX_STEPS_PER_EVENT + 10
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
def test_every_unhappy_reply_opens_a_case_and_never_completes(flow: Flow, history: list[Event]) -> None:
    """An unhappy choice, and any zero, in time or late, stopped or not, comes with a case and never completes a sale."""
    for before, event, after, effects in walk(flow, history):
        for each in effects:
            if isinstance(each, RecordVerdict) and _is_unhappy(flow, event, each):
                assert any(isinstance(other, OpenCase) and other.reason == "unhappy" for other in effects)
                assert CompleteSale() not in effects
                assert after.unhappy
        # Only the customer takes an unhappy answer back, by giving another in its place.
        assert after.unhappy >= before.unhappy or any(isinstance(each, TakeBack) and each.case for each in effects)


@quick
@given(flows, histories)
def test_only_the_customer_completes(flow: Flow, history: list[Event]) -> None:
    """A sale is completed only in answer to a tap, or to words that are a label, and a choice that is not unhappy.

    Whatever the flow leads to `complete` beside that (a timer, silence, words, an unhappy choice) completes nothing.
    """
    for _, event, _, effects in walk(flow, history):
        if CompleteSale() in effects:
            assert isinstance(event, Tapped | Wrote)
            verdict = next(each for each in effects if isinstance(each, RecordVerdict))
            asked = flow.steps[verdict.step]
            assert isinstance(asked, Ask)
            assert any(each.name == verdict.choice and not is_unhappy(each) for each in asked.choices)
            assert 0 not in verdict.factors.values()


@quick
@given(flows, histories)
def test_a_referral_is_for_the_happy_alone_and_a_review_for_all(flow: Flow, history: list[Event]) -> None:
    """No referral goes out in a conversation in which somebody was unhappy, or said nothing; a review link always does."""
    for _, _, after, effects in walk(flow, history):
        for each in effects:
            offered = flow.steps[each.step] if isinstance(each, SendOffer) else None
            if isinstance(offered, Offer) and offered.what == "referral":
                assert not after.unhappy
                assert any(one.answered and one.choice is not None for one in after.asked)
            trouble = isinstance(each, NoteTrouble) and isinstance(flow.steps.get(each.step), Offer)
            if trouble and isinstance(each, NoteTrouble):
                refused = flow.steps[each.step]
                assert isinstance(refused, Offer)
                assert refused.what == "referral"


@quick
@given(flows, histories)
def test_every_promise_is_asked_about_once(flow: Flow, history: list[Event]) -> None:
    """A question for each promise asks about those alone that are due, and about none twice but to change the answer."""
    asked: set[tuple[str, str | None]] = set()
    for _, event, after, effects in walk(flow, history):
        for each in effects:
            asks = flow.steps[each.step] if isinstance(each, SendQuestion) else None
            if isinstance(asks, Ask) and asks.per_promise:
                promise = after.asked[-1].promise
                assert promise in {"p1", "p2"}
                put_back = any(one.put_back and one.promise == promise for one in after.asked)
                assert (asks.name, promise) not in asked or isinstance(event, ChangedMind) or put_back
                asked.add((asks.name, promise))


@quick
@given(flows, histories)
def test_every_conversation_can_be_brought_to_its_end(flow: Flow, history: list[Event]) -> None:
    """Whatever happened: if the customer stays silent from here on, timers alone end it within bounded steps."""
    state = walk(flow, history)[-1][2]
    for _ in range(2 * MAX_VISITS):
        if state.status in {"finished", "new"}:
            break
        kind = "silence" if state.status == "asking" else "wait"
        got = step(flow, state, TimerFired(kind, state.turn), NOW, FACTS)
        assert not isinstance(got.effects[0], Ignored)
        state = got.state
    assert state.status in {"finished", "new"}


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
