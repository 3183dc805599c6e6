"""The engine at work on every kind of step, on promises, and on answers that are changed: one behaviour at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.durations import Duration
from bot.flows.effects import (
    CloseQuestion,
    CompleteSale,
    Finish,
    Ignored,
    NoteTrouble,
    OpenCase,
    RecordVerdict,
    SendOffer,
    SendQuestion,
    SendText,
    StartTimer,
    StopTimers,
    TakeBack,
    TellCase,
)
from bot.flows.engine import MAX_VISITS, Transition, step
from bot.flows.events import Begun, ChangedMind, Event, Happened, Stopped, Tapped, TimerFired, Withdrawn, Wrote
from bot.flows.facts import Facts, PromiseFact
from bot.flows.model import Factor, Flow, Window
from bot.flows.parse import parse_flow
from bot.flows.state import State

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
FACTS = Facts(
    sale={"id": "1", "total": 640, "extra": {"event_at": "2026-12-05T18:00:00+01:00"}},
    items=({"sku": "B", "tags": ["wine"]},),
    promises=(
        PromiseFact("p1", "By Friday", "site", NOW - DAY),
        PromiseFact("p2", "Red wine"),
        PromiseFact("p3", "By Christmas", due_at=NOW + DAY),
        PromiseFact("p4", "Kept", state="kept"),
    ),
    happened={"order.delivered": NOW - 3 * DAY},
    links={"review": "https://example.com/r", "referral": "https://example.com/f"},
    zone="Europe/Copenhagen",
)
HEAD = "flow: f\npurpose: result\nstart: { on: order.delivered }\nsteps:\n"


def flow_of(*steps: str, head: str = HEAD) -> Flow:
    """Read a flow of these steps."""
    return parse_flow(head + "".join(f"  {each}\n" for each in steps), file="f")


def play(
    flow: Flow, *events: Event, state: State | None = None, at: datetime = NOW, facts: Facts = FACTS
) -> Transition:
    """Let `events` happen one after the other; the answer to the last one comes back."""
    last = Transition(state or State(), ())
    for event in events:
        last = step(flow, last.state, event, at, facts)
    return last


BEGIN = Begun("a")
ASK = "a: { ask: Well?, choices: { good: { label: Good, factors: { quality: 1 }, next: b }, bad: { label: Bad, factors: { quality: 0 }, next: c } } }"
END = ("b: { say: Thanks }", "c: { say: Sorry }")


# -- rate ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "value", "unhappy"), [(0, 0, True), (1, 0.25, True), (2, 0.5, True), (3, 0.75, False), (4, 1, False)]
)
def test_a_rating_is_a_factor_behind_five_buttons(number: int, value: float, unhappy: bool) -> None:  # noqa: FBT001 - a table
    """Each face stands for its share of the factor; the lower three are unhappy, and lead their own way."""
    flow = flow_of("a: { rate: How?, factor: quality, low: c, next: b }", *END)
    got = play(flow, BEGIN, Tapped(1, number))
    verdict = next(each for each in got.effects if isinstance(each, RecordVerdict))
    assert verdict.factors == {Factor.QUALITY: value}
    assert any(isinstance(each, OpenCase) for each in got.effects) == unhappy
    assert SendText("c" if unhappy else "b", 2) in got.effects


def test_a_number_typed_at_stars_is_that_rating() -> None:
    """Who writes 4 at the stars means the fourth."""
    flow = flow_of("a: { rate: How?, factor: quality, scale: stars, next: b }", *END)
    got = play(flow, BEGIN, Wrote("4"))
    assert any(isinstance(each, RecordVerdict) and each.choice == "good" for each in got.effects)


# -- wait ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait", "timer"),
    [
        ("5d", StartTimer("wait", 1, Duration(5 * DAY))),
        ("{ after: 1bd }", StartTimer("wait", 1, Duration(business_days=1))),
        ("{ since: order.delivered, after: 2w }", StartTimer("wait", 1, Duration(14 * DAY), NOW - 3 * DAY)),
        ("{ until: 2026-12-24 18:00 }", StartTimer("wait", 1, Duration(), datetime(2026, 12, 24, 17, tzinfo=UTC))),
        ("{ until: sale.extra.event_at, after: 1d }", StartTimer("wait", 1, Duration(DAY), datetime(2026, 12, 5, 17, tzinfo=UTC))),
        ("{ days: [sun, sat], between: 10:00-18:00 }", StartTimer("wait", 1, Duration(), None, Window((5, 6), datetime(2026, 1, 1, 10).time(), datetime(2026, 1, 1, 18).time()))),  # noqa: DTZ001 - a time of day
        ("{ event: product.first_used, at_most: 30d }", StartTimer("wait", 1, Duration(30 * DAY))),
    ],
)  # fmt: skip
def test_what_a_pause_waits_for(wait: str, timer: StartTimer) -> None:
    """A length of time, counted from now or from an event; a moment; days and hours; an event with a longest time."""
    got = play(flow_of(f"a: {{ wait: {wait}, next: b }}", *END), BEGIN)
    assert got.effects[1:] == (timer,)
    assert got.state.status == "waiting"


def test_a_wine_waits_days_and_skincare_weeks() -> None:
    """The first length that is for what was bought counts."""
    flow = flow_of("a: { wait: 5d, for: [{ tag: skincare, after: 3w }, { tag: wine, after: 2d }], next: b }", *END)
    assert play(flow, BEGIN).effects[1] == StartTimer("wait", 1, Duration(2 * DAY))
    other = replace(FACTS, items=({"tags": ["dress"]},))
    assert play(flow, BEGIN, facts=other).effects[1] == StartTimer("wait", 1, Duration(5 * DAY))


def test_an_event_ends_the_pause_that_waits_for_it() -> None:
    """What was waited for goes on at once; another event, or one after the pause, changes nothing."""
    flow = flow_of("a: { wait: { event: product.first_used, at_most: 30d }, next: b, otherwise: c }", *END)
    paused = play(flow, BEGIN)
    got = play(flow, Happened("product.first_used"), state=paused.state)
    assert got.effects[:2] == (StopTimers(("wait",)), SendText("b", 2))
    assert isinstance(play(flow, Happened("order.shipped"), state=paused.state).effects[0], Ignored)
    late = play(flow, TimerFired("wait", 1), state=paused.state)
    assert SendText("c", 2) in late.effects
    assert isinstance(play(flow, Happened("product.first_used"), state=late.state).effects[0], Ignored)


def test_what_has_happened_is_not_waited_for() -> None:
    """An event that has come before the pause makes it none."""
    flow = flow_of("a: { wait: { event: order.delivered, at_most: 30d }, next: b, otherwise: c }", *END)
    assert SendText("b", 2) in play(flow, BEGIN).effects


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "soon", 5, None])
def test_a_moment_that_nobody_can_have_meant_is_none(at: object) -> None:
    """Whatever the shop sends as a time, nothing overflows: the flow goes the other way."""
    flow = flow_of("a: { wait: { until: sale.extra.event_at, after: 1d }, next: b, otherwise: c }", *END)
    assert SendText("c", 2) in play(flow, BEGIN, facts=replace(FACTS, sale={"extra": {"event_at": at}})).effects


def test_a_moment_that_is_none_is_told_and_left_out() -> None:
    """Where nothing says when, the flow goes the other way, and the trouble can be seen."""
    flow = flow_of("a: { wait: { until: sale.extra.nothing }, next: b, otherwise: c }", *END)
    got = play(flow, BEGIN)
    assert isinstance(got.effects[1], NoteTrouble)
    assert SendText("c", 2) in got.effects
    since = flow_of("a: { wait: { since: order.shipped, after: 1d }, next: b }", *END)
    assert "order.shipped has not happened" in str(play(since, BEGIN).effects)


# -- branch, set, case, go to ----------------------------------------------------------------------------------------------


def test_a_branch_takes_the_first_way_that_holds() -> None:
    """Ways are tried in order; an odd condition does not hold and is told; else the other way."""
    flow = flow_of(
        "a: { branch: [{ if: sale.weight > 1, next: c }, { if: sale.total > 500, next: b }], otherwise: c }", *END
    )
    got = play(flow, BEGIN)
    assert got.effects[1] == NoteTrouble("a", "the condition does not hold: 'sale.weight > 1': 'weight' is not known")
    assert SendText("b", 2) in got.effects
    assert SendText("c", 2) in play(flow, BEGIN, facts=Facts()).effects


def test_earlier_answers_decide_later() -> None:
    """A branch sees what was answered in this conversation, and whether it was unhappy."""
    flow = flow_of(
        ASK.replace("next: b", "next: g").replace("next: c", "next: g"),
        "g: { branch: [{ if: unhappy and answers.a == 'bad' and answer.choice == 'bad', next: c }], otherwise: b }",
        *END,
    )
    assert any(isinstance(each, SendText) and each.step == "c" for each in play(flow, BEGIN, Tapped(1, 1)).effects)
    assert any(isinstance(each, SendText) and each.step == "b" for each in play(flow, BEGIN, Tapped(1, 0)).effects)


def test_notes_are_kept_and_counted() -> None:
    """What is noted can be counted up and asked about later in the conversation."""
    flow = flow_of(
        "a: { set: { rounds: (vars.rounds | default(0)) + 1, odd: sale.nothing + 1 }, next: w }",
        "w: { wait: 1d, next: g }",
        "g: { branch: [{ if: vars.rounds < 3, next: a }], otherwise: b }",
        *END,
    )
    got = play(flow, BEGIN, TimerFired("wait", 1), TimerFired("wait", 2))
    assert got.state.notes == {"rounds": 3, "odd": None}
    assert isinstance(got.effects[0], NoteTrouble)
    assert SendText("b", 10) in play(flow, TimerFired("wait", 3), state=got.state).effects


def test_a_case_and_a_way_onward() -> None:
    """A step can call a person, with the team named, and another go on with any step."""
    flow = flow_of("a: { case: Would like advice, team: wine, touchpoint: product, next: g }", "g: { go_to: b }", *END)
    got = play(flow, BEGIN)
    assert got.effects[1] == OpenCase("flow", "a", {}, "product", "Would like advice", team="wine")
    assert SendText("b", 3) in got.effects
    assert got.state.unhappy is False


# -- complete and offer ----------------------------------------------------------------------------------------------------

DONE = ("done: { complete: sale, next: b }",)


def test_only_a_happy_choice_completes() -> None:
    """Right after the customer's happy choice the sale is complete, also with words and branches between."""
    flow = flow_of(
        ASK.replace("next: b", "next: g"), "g: { branch: [{ if: unhappy, next: c }], otherwise: done }", *DONE, *END
    )
    got = play(flow, BEGIN, Tapped(1, 0))
    assert CompleteSale() in got.effects
    assert got.state.asked[0].completed


@pytest.mark.parametrize(
    ("steps", "events"),
    [
        (("a: { go_to: done }",), ()),
        (("a: { wait: 1d, next: done }",), (TimerFired("wait", 1),)),
        ((ASK.replace("next: c", "next: done"),), (Tapped(1, 1),)),
        ((ASK.replace("next: b", "next: w"), "w: { wait: 1d, next: done }"), (Tapped(1, 0), TimerFired("wait", 2))),
        (("a: { ask: Words?, next: done }",), (Wrote("yes, it is complete"),)),
        (("a: { ask: Well?, choices: { x: X }, silence: { after: 1d, next: done } }",), (TimerFired("silence", 1),)),
    ],
)
def test_nothing_else_completes(steps: tuple[str, ...], events: tuple[Event, ...]) -> None:
    """The start, a pause, silence, words and an unhappy choice complete nothing, whatever the flow says; it is told."""
    got = play(flow_of(*steps, *DONE, *END), BEGIN, *events)
    assert CompleteSale() not in got.effects
    assert any(
        isinstance(each, NoteTrouble) and "only the customer's own happy choice" in each.reason for each in got.effects
    )


OFFERS = (
    "r: { offer: review, text: Tell, label: Review }",
    "f: { offer: referral, text: Tell, label: Friends, next: r }",
)


def test_a_review_is_offered_to_all_and_a_referral_to_the_happy() -> None:
    """Both get the review link; the recommendation is left out for who was unhappy here or elsewhere, and it is told."""
    flow = flow_of(ASK.replace("next: b", "next: f").replace("next: c", "next: f"), *OFFERS)
    happy, unhappy = play(flow, BEGIN, Tapped(1, 0)), play(flow, BEGIN, Tapped(1, 1))
    assert SendOffer("f", 2) in happy.effects
    assert SendOffer("r", 3) in happy.effects
    assert SendOffer("r", 3) in unhappy.effects
    assert SendOffer("f", 2) not in unhappy.effects
    before = replace(FACTS, factors={"service": 0})
    assert SendOffer("f", 2) not in play(flow, BEGIN, Tapped(1, 0), facts=before).effects
    none = replace(FACTS, links={})
    assert "the shop has no link for a review" in str(play(flow, BEGIN, Tapped(1, 0), facts=none).effects)


# -- promises --------------------------------------------------------------------------------------------------------------

PROMISES = (
    "a: { ask: Kept?, each: promise, choices: { yes: { label: Y, factors: { promise: 1 } }, no: { label: N, factors: { promise: 0 } }, words: { label: W, next: w } }, next: b }",
    "w: { ask: What?, next: a }",
    *END,
)


def test_each_open_due_promise_has_its_own_turn() -> None:
    """Asked one after the other, each verdict with its promise; what is kept or not due is not asked about."""
    flow = flow_of(*PROMISES)
    first = play(flow, BEGIN)
    assert first.state.promise == "p1"
    second = play(flow, Tapped(1, 1), state=first.state)
    assert OpenCase("unhappy", "a", {Factor.PROMISE: 0}, None, "N", promise="p1") in second.effects
    assert RecordVerdict("a", 1, "no", {Factor.PROMISE: 0}, None, promise="p1") in second.effects
    assert second.effects[-1] == SendQuestion("a", 2)
    last = play(flow, Tapped(2, 0), state=second.state)
    assert RecordVerdict("a", 2, "yes", {Factor.PROMISE: 1}, None, promise="p2") in last.effects
    assert SendText("b", 4) in last.effects
    assert last.state.promise is None


def test_words_about_a_promise_stand_with_it() -> None:
    """A question in between belongs to the promise in question, and leads back to the next one."""
    flow = flow_of(*PROMISES)
    got = play(flow, BEGIN, Tapped(1, 2), Wrote("it was late"))
    assert RecordVerdict("w", 2, None, {}, None, "it was late", promise="p1") in got.effects
    assert got.state.promise == "p2"


def test_without_promises_the_question_is_passed() -> None:
    """Where nothing was promised, or nothing is due yet, nobody is asked."""
    flow = flow_of(*PROMISES)
    assert SendText("b", 2) in play(flow, BEGIN, facts=Facts()).effects


# -- reasons ---------------------------------------------------------------------------------------------------------------


def test_reasons_depend_on_the_choice_and_join_the_case() -> None:
    """Only who chose it is asked for its reasons; the reason goes to the case, with its touchpoint, and then onward."""
    ask = (
        "a: { ask: Well?, choices: { good: { label: Good, next: b }, bad: { label: Bad, unhappy: true, next: c, reasons: "
        "{ ask: Why?, choices: { late: { label: Late, touchpoint: delivery }, other: { label: Other, next: b } } } } } }"
    )
    flow = flow_of(ask, *END)
    assert SendText("b", 2) in play(flow, BEGIN, Tapped(1, 0)).effects
    asked = play(flow, BEGIN, Tapped(1, 1))
    assert asked.effects[-1] == SendQuestion("a.bad", 2)
    got = play(flow, Tapped(2, 0), state=asked.state)
    assert TellCase("Late", touchpoint="delivery") in got.effects
    assert SendText("c", 3) in got.effects
    assert SendText("b", 3) in play(flow, Tapped(2, 1), state=asked.state).effects
    silent = play(flow, TimerFired("silence", 2), state=asked.state)
    assert SendText("c", 3) in silent.effects


# -- changing an answer ----------------------------------------------------------------------------------------------------

TWO = flow_of(
    ASK.replace("next: b", "next: q"),
    "q: { ask: More?, choices: { one: { label: One, next: b }, two: { label: Two, completes: true, next: b } } }",
    *END,
)
SOON = NOW + timedelta(minutes=9)


def test_an_answer_is_changed_by_being_asked_anew() -> None:
    """The open question is put back, the answered one comes again under a turn of its own, and the first answer stands."""
    answered = play(TWO, BEGIN, Tapped(1, 0))
    got = play(TWO, ChangedMind(1), state=answered.state, at=SOON)
    assert got.effects == (
        CloseQuestion("a", 1, None),
        CloseQuestion("q", 2, None),
        StopTimers(("remind", "silence")),
        SendQuestion("a", 3),
    )
    assert got.state.asked[1].put_back
    assert got.state.asked[2].instead_of == 1
    again = play(TWO, Tapped(3, 1), state=got.state, at=SOON)
    assert any(isinstance(each, OpenCase) for each in again.effects)
    assert TakeBack("a", 1, NOW.isoformat(), False, False, {Factor.QUALITY: 1}) in again.effects  # noqa: FBT003 - one effect, as it is


def test_an_unhappy_answer_changed_to_a_happy_one_takes_its_case_back() -> None:
    """What had opened a case opens it no more; the conversation is no longer unhappy, and may go on to be asked."""
    answered = play(TWO, BEGIN, Tapped(1, 1))
    assert answered.state.unhappy
    asked = play(TWO, ChangedMind(1), state=answered.state, at=SOON)
    assert StartTimer("expire", 0, TWO.expires) in asked.effects
    got = play(TWO, Tapped(2, 0), state=asked.state, at=SOON)
    assert TakeBack("a", 1, NOW.isoformat(), case=True, completion=False, factors={Factor.QUALITY: 0}) in got.effects
    assert not got.state.unhappy
    assert got.effects[-1] == SendQuestion("q", 3)


def test_a_completion_is_taken_back_with_its_answer() -> None:
    """Who takes back the yes that completed the sale takes back that it is complete."""
    done = play(TWO, BEGIN, Tapped(1, 0), Tapped(2, 1))
    assert CompleteSale() in done.effects
    got = play(TWO, ChangedMind(2), Tapped(3, 0), state=done.state, at=SOON)
    assert TakeBack("q", 2, NOW.isoformat(), case=False, completion=True, factors={}) in got.effects


@pytest.mark.parametrize(
    ("events", "turn", "at", "reason"),
    [
        ((Tapped(1, 0),), 1, NOW + timedelta(minutes=10), "the time to change the answer is over"),
        ((Tapped(1, 0), Tapped(2, 0)), 1, SOON, "a later question is answered"),
        ((Tapped(1, 0), ChangedMind(1)), 1, SOON, "asked anew already"),
        ((Tapped(1, 0), Stopped()), 1, SOON, "the conversation is over"),
        ((Tapped(1, 0), Withdrawn("order.returned")), 1, SOON, "the conversation is over"),
        ((), 1, SOON, "no answer to change"),
        ((Tapped(1, 0),), 7, SOON, "no answer to change"),
    ],
)
def test_when_an_answer_can_no_longer_be_changed(
    events: tuple[Event, ...], turn: int, at: datetime, reason: str
) -> None:
    """After its time, once a later answer stands, after /stop: the answer stays, and it is said why."""
    before = play(TWO, BEGIN, *events).state
    got = step(TWO, before, ChangedMind(turn), at, FACTS)
    assert got.state == before
    assert isinstance(got.effects[0], Ignored)
    assert reason in got.effects[0].reason


def test_how_long_is_said_by_the_flow_or_else_the_shop() -> None:
    """`change_answer` in the flow comes before the shop's; zero means never."""
    answered = play(TWO, BEGIN, Tapped(1, 0)).state
    never = replace(TWO, change_answer=Duration())
    assert isinstance(play(never, ChangedMind(1), state=answered).effects[0], Ignored)
    long = replace(TWO, change_answer=Duration(timedelta(hours=1)))
    assert SendQuestion("a", 3) in play(long, ChangedMind(1), state=answered, at=NOW + timedelta(minutes=50)).effects
    shop = replace(FACTS, change_answer=timedelta())
    assert isinstance(play(TWO, ChangedMind(1), state=answered, facts=shop).effects[0], Ignored)
    tired = replace(answered, visits=MAX_VISITS)
    assert isinstance(play(TWO, ChangedMind(1), state=tired).effects[0], Ignored)


def test_a_promise_put_back_is_asked_about_again() -> None:
    """Who changes the answer about one promise is still asked about the next."""
    flow = flow_of(*PROMISES)
    second = play(flow, BEGIN, Tapped(1, 0))
    changed = play(flow, ChangedMind(1), state=second.state, at=SOON)
    assert changed.state.promise == "p1"
    got = play(flow, Tapped(3, 1), state=changed.state, at=SOON)
    assert RecordVerdict("a", 3, "no", {Factor.PROMISE: 0}, None, promise="p1") in got.effects
    assert got.state.promise == "p2"
    assert SendQuestion("a", 4) in got.effects


def test_the_end_of_a_way_without_words_is_the_end() -> None:
    """A branch that leads nowhere ends the conversation, answered."""
    flow = flow_of("a: { branch: [{ if: unhappy, next: b }] }", *END)
    assert play(flow, BEGIN).effects[-1] == Finish("answered")
