"""Cases: what each event makes of them, and the rules that hold over all events in all states."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.adapters.shop_file import default_shop
from bot.desk.machine import CaseTransition, decide, is_awaited, open_case, reask_after_delivery, rerouted
from bot.desk.routing import Clues, route
from bot.desk.shop import RemedyKind, Shop
from bot.desk.states import (
    CallNeeded,
    Case,
    CaseEffect,
    CaseEvent,
    CaseIgnored,
    Claimed,
    CustomerConfirmed,
    CustomerDeleted,
    CustomerEdited,
    CustomerSaid,
    CustomerSilent,
    DueWarning,
    HandedOver,
    MoveCard,
    Noted,
    PlanLadder,
    PlanReask,
    PlanTask,
    PlanWake,
    RemedyDone,
    Replied,
    ReplyToCustomer,
    ShowCard,
    ShowTask,
    Snoozed,
    SnoozeOver,
    StopLadder,
    TaskDone,
    TaskDue,
    TaskOpened,
    Thread,
    UnhappyAgain,
    Whisper,
)
from bot.durations import Duration

Kind = TypeVar("Kind")

METTE, JONAS, LEAD, OWNER = "U0METTE", "U0JONAS", "U0LEAD", "U0OWNER"
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)  # a Monday, 10:00 in Copenhagen
MINUTE = timedelta(minutes=1)


def the_shop() -> Shop:
    shop = default_shop()
    return replace(shop, cx_owner=OWNER, teams={**shop.teams, "wine": replace(shop.teams["wine"], lead=LEAD)})


SHOP = the_shop()


def opened(shop: Shop = SHOP) -> tuple[Case, tuple[CaseEffect, ...]]:
    return open_case(
        id="case-1",
        sale_id="1001",
        customer_id="c-7",
        conversation_id="conv-1",
        route=route(shop, Clues(factor="quality", tags=("wine",))),
        reason="unhappy",
        said="it tastes of cork",
        factor="quality",
        touchpoint="product",
        promise_id=None,
        shop=shop,
        now=NOW,
    )


def after(*events: CaseEvent, shop: Shop = SHOP, now: datetime = NOW) -> CaseTransition:
    """Let events happen to a new case, a minute apart; give the last transition."""
    transition = CaseTransition(opened(shop)[0], ())
    for event in events:
        transition = decide(transition.case, event, shop, now)
        now += MINUTE
    return transition


def only(kind: type[Kind], effects: tuple[CaseEffect, ...]) -> Kind:
    (found,) = [effect for effect in effects if isinstance(effect, kind)]
    return found


def done(by: str, kind: str, note: str = "done", value: str = "100 kr.", cause: str = "product") -> RemedyDone:
    return RemedyDone(by, kind, note, value, cause)


REFUND = done(METTE, "refund", "paid back")
NO = UnhappyAgain("still corked")


def test_a_new_case_is_shown_and_watched_until_the_next_business_day() -> None:
    """A case is due a business day later in the team's calendar, with a warning after three quarters of its working time."""
    case, effects = opened()
    assert (case.status, case.team, case.cycle, case.rung) == ("open", "wine", 1, 0)
    assert case.due_at == datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    assert "one business day" in case.due_reason
    assert effects == (
        ShowCard(),
        PlanLadder(0, datetime(2026, 11, 23, 15, 0, tzinfo=UTC)),
        PlanLadder(1, datetime(2026, 11, 24, 9, 0, tzinfo=UTC)),
    )


def test_a_teams_own_first_answer_time_counts() -> None:
    """A team that answers within four working hours is held to that."""
    shop = replace(SHOP, teams={"wine": replace(SHOP.teams["wine"], first_answer=Duration(span=timedelta(hours=4)))})
    assert opened(shop)[0].due_at == NOW + timedelta(hours=4)


def test_the_first_claim_wins_and_the_second_is_told_who_was_quicker() -> None:
    """One member of staff has a case; whoever comes second is told, and nobody else."""
    claimed = after(Claimed(METTE))
    assert (claimed.case.status, claimed.case.claimed_by, claimed.case.claimed_at) == ("claimed", METTE, NOW)
    late = decide(claimed.case, Claimed(JONAS), SHOP, NOW + 5 * MINUTE)
    assert late.case == claimed.case
    whisper = only(Whisper, late.effects)
    assert (whisper.to, whisper.text) == (JONAS, f"{{user:{METTE}}} took this 5 minutes ago.")


def test_claiming_twice_is_silently_nothing() -> None:
    """A double click changes nothing and bothers nobody."""
    assert after(Claimed(METTE), Claimed(METTE)).effects == (CaseIgnored("the same person has it already"),)


def test_a_reply_goes_to_the_customer_claims_the_case_and_stops_the_ladder() -> None:
    """Whoever answers a case that nobody has, has it; the first answer is what counts for the due time."""
    replied = after(Replied(METTE, "I am sorry"))
    assert (replied.case.status, replied.case.claimed_by, replied.case.answered_at) == ("claimed", METTE, NOW)
    assert only(ReplyToCustomer, replied.effects) == ReplyToCustomer(METTE, "I am sorry")
    assert StopLadder() in replied.effects
    assert ShowCard() in replied.effects
    again = decide(replied.case, Replied(JONAS, "Me too"), SHOP, NOW + MINUTE)
    assert (again.case.claimed_by, again.case.answered_at) == (METTE, NOW)


def test_an_empty_reply_is_not_sent() -> None:
    """Nothing but words reaches a customer."""
    empty = after(Replied(METTE, " \n"))
    assert empty.case == opened()[0]
    assert only(Whisper, empty.effects).to == METTE


def test_a_remedy_does_not_close_the_case_but_starts_the_question() -> None:
    """After a remedy the customer is asked; the remedy stays in the case's history."""
    done = after(Claimed(METTE), REFUND)
    assert (done.case.status, done.case.closed_at) == ("remedied", None)
    assert [(remedy.kind, remedy.by) for remedy in done.case.remedies] == [("refund", METTE)]
    assert only(PlanReask, done.effects) == PlanReask(None, "refund")
    assert StopLadder() in done.effects
    assert "Refund (100 kr.) “paid back”" in only(Thread, done.effects).text


def test_a_remedy_that_takes_time_is_asked_about_later() -> None:
    """The shop says how long a replacement travels; business days are the team's."""
    remedies = {
        "replacement": RemedyKind({}, Duration(span=timedelta(days=4))),
        "visit": RemedyKind({}, Duration(business_days=5)),
    }
    shop = replace(SHOP, remedies=remedies)
    assert only(PlanReask, after(done(METTE, "replacement"), shop=shop).effects).at == NOW + timedelta(days=4)
    assert only(PlanReask, after(done(METTE, "visit"), shop=shop).effects).at == NOW + timedelta(days=7)


def test_a_second_remedy_does_not_ask_twice() -> None:
    """While the customer is being asked, a further remedy is noted, and no second question is planned."""
    twice = after(REFUND, done(JONAS, "credit", "and a voucher"))
    assert len(twice.case.remedies) == 2
    assert not [effect for effect in twice.effects if isinstance(effect, PlanReask)]


def test_a_remedy_that_the_shop_does_not_know_is_refused_in_words() -> None:
    """A stale form changes nothing and says why."""
    odd = after(done(METTE, "hug"))
    assert odd.case == opened()[0]
    assert "hug" in only(Whisper, odd.effects).text


def test_only_a_yes_of_the_customer_closes_a_case() -> None:
    """The customer's yes closes it, from whatever state."""
    closed = after(REFUND, CustomerConfirmed())
    assert (closed.case.status, closed.case.closed_at) == ("confirmed", NOW + MINUTE)
    assert StopLadder() in closed.effects
    assert after(CustomerConfirmed()).case.status == "confirmed"
    assert only(CaseIgnored, after(CustomerConfirmed(), CustomerConfirmed()).effects)


def test_silence_is_not_a_yes() -> None:
    """Without an answer the case stays unconfirmed, and can still be confirmed or reopened."""
    silent = after(REFUND, CustomerSilent())
    assert (silent.case.status, silent.case.closed_at) == ("unconfirmed", None)
    assert after(REFUND, CustomerSilent(), CustomerConfirmed()).case.status == "confirmed"
    assert after(REFUND, CustomerSilent(), NO).case.status == "open"
    assert only(CaseIgnored, after(CustomerSilent()).effects)


def test_a_no_reopens_the_case_one_rung_higher_with_a_new_due_time() -> None:
    """The team starts afresh, its lead is called upon, the person who had it is named, and the ladder runs anew."""
    reopened = after(REFUND, NO)
    case = reopened.case
    assert (case.status, case.cycle, case.rung, case.claimed_by, case.answered_at) == ("open", 2, 1, None, None)
    assert case.due_at == NOW + MINUTE + timedelta(days=1)
    thread = only(Thread, reopened.effects)
    assert thread.mention == LEAD
    assert f"{{user:{METTE}}} had it last" in thread.text
    assert "“still corked”" in thread.text
    assert [effect.stage for effect in reopened.effects if isinstance(effect, PlanLadder)] == [0, 1]
    assert reopened.effects[0] == StopLadder()


def test_the_second_no_calls_upon_the_cx_owner_and_the_last_one_wants_a_call() -> None:
    """Three cycles, then a person calls; a remedy after that call asks once more, and a no wants another call."""
    second = after(REFUND, NO, REFUND, NO)
    assert (second.case.cycle, second.case.rung, only(Thread, second.effects).mention) == (3, 2, OWNER)
    last = after(REFUND, NO, REFUND, NO, REFUND, NO)
    assert (last.case.status, last.case.cycle, last.case.rung) == ("call", 3, 2)
    thread = only(Thread, last.effects)
    assert "call the customer" in thread.text
    assert thread.mention == OWNER
    assert after(REFUND, NO, REFUND, NO, REFUND, NO, REFUND, NO).case.status == "call"


def test_a_confirmed_case_reopens_when_the_customer_complains_again() -> None:
    """A yes can be taken back by the customer."""
    case = after(REFUND, CustomerConfirmed(), NO).case
    assert (case.status, case.cycle, case.closed_at) == ("open", 2, None)


def test_a_complaint_about_an_open_case_joins_it() -> None:
    """Being unhappy twice before anything was done is one case; its card quotes both."""
    joined = after(Claimed(METTE), UnhappyAgain("and it came late", "service", "delivery"))
    assert (joined.case.cycle, joined.case.said) == (1, "it tastes of cork\nand it came late")
    assert only(Thread, joined.effects) == Thread(
        "The customer is unhappy once more (service, delivery): “and it came late”", METTE
    )


def test_further_words_of_the_customer_reach_the_thread_and_call_upon_nobody_they_name() -> None:
    """The customer's words are shown in every state, and cannot be used to call upon staff."""
    told = after(Claimed(METTE), CustomerSaid("hello {user:U0BOSS} <@U0BOSS>"))
    assert only(Thread, told.effects) == Thread("The customer writes: “hello { user:U0BOSS} < @U0BOSS>”", METTE)
    assert ShowCard() in told.effects
    assert only(Thread, after(CustomerConfirmed(), CustomerSaid("thank you")).effects).text.endswith("“thank you”")


@pytest.mark.parametrize(
    "asked", [pytest.param((REFUND,), id="remedied"), pytest.param((REFUND, CustomerSilent()), id="unconfirmed")]
)
def test_words_after_a_remedy_put_the_case_before_people_again(asked: tuple[CaseEvent, ...]) -> None:
    """Whether words are a yes is not guessed: open, due anew and watched, in the same cycle and on the same rung."""
    said_at = NOW + timedelta(days=3)
    back = decide(after(*asked).case, CustomerSaid("it leaks"), SHOP, said_at)
    case = back.case
    assert (case.status, case.cycle, case.rung, case.claimed_by, case.answered_at) == ("open", 1, 0, None, None)
    assert case.due_at == said_at + timedelta(days=1)
    assert case.said.endswith("it leaks")
    assert [effect.stage for effect in back.effects if isinstance(effect, PlanLadder)] == [0, 1]
    thread = only(Thread, back.effects)
    assert (thread.mention, "“it leaks”" in thread.text) == (LEAD, True)
    assert ShowCard() in back.effects


def test_a_remedy_for_a_case_that_nobody_confirmed_asks_again() -> None:
    """Once the question has ended nowhere, the next remedy has one of its own."""
    again = after(REFUND, CustomerSilent(), done(JONAS, "credit", "a voucher"))
    assert (again.case.status, len(again.case.remedies)) == ("remedied", 2)
    assert only(PlanReask, again.effects).kind == "credit"


def test_handing_over_moves_the_card_and_not_the_due_time() -> None:
    """Another team starts with an unclaimed case and the clock as it stood."""
    moved = after(Claimed(METTE), HandedOver(METTE, "delivery", "broken on the way"))
    case = moved.case
    assert (case.team, case.status, case.claimed_by, case.due_at) == ("delivery", "open", None, opened()[0].due_at)
    assert only(MoveCard, moved.effects) == MoveCard("delivery")
    assert "broken on the way" in only(Thread, moved.effects).text
    assert [effect.stage for effect in moved.effects if isinstance(effect, PlanLadder)] == [0, 1]


def test_handing_over_a_late_case_does_not_silence_it() -> None:
    """Where the due time has passed, the next rung is planned for the new team."""
    claimed = after(Claimed(METTE)).case
    late = replace(claimed, rung=2)
    moved = decide(late, HandedOver(METTE, "fallback", ""), SHOP, claimed.due_at + timedelta(days=3))
    assert [effect.stage for effect in moved.effects if isinstance(effect, PlanLadder)] == [3]


@pytest.mark.parametrize("team", ["wine", "nowhere"])
def test_handing_over_to_nobody_new_is_refused_in_words(team: str) -> None:
    """A case cannot be given to its own team, or to one that does not exist."""
    refused = after(HandedOver(METTE, team, ""))
    assert refused.case == opened()[0]
    assert team in only(Whisper, refused.effects).text


def test_the_ladder_climbs_until_somebody_takes_the_case() -> None:
    """Warning to the team, breach to its lead, then the CX owner, and again each working day, until it is claimed."""
    case = opened()[0]
    warned = decide(case, DueWarning(0), SHOP, NOW + timedelta(hours=6))
    assert (warned.case, only(Thread, warned.effects).mention) == (case, LEAD)
    breached = decide(case, DueWarning(1), SHOP, case.due_at)
    assert (breached.case.rung, only(Thread, breached.effects).mention) == (1, LEAD)
    assert only(PlanLadder, breached.effects) == PlanLadder(2, case.due_at + timedelta(days=1))
    higher = decide(breached.case, DueWarning(2), SHOP, case.due_at + timedelta(days=1))
    assert (higher.case.rung, only(Thread, higher.effects).mention) == (2, OWNER)
    assert only(PlanLadder, higher.effects).stage == 3
    still = decide(higher.case, DueWarning(3), SHOP, case.due_at + timedelta(days=2))
    assert only(PlanLadder, still.effects) == PlanLadder(4, case.due_at + timedelta(days=3))
    taken = replace(higher.case, status="claimed", claimed_by=METTE)
    assert only(CaseIgnored, decide(taken, DueWarning(3), SHOP, case.due_at + timedelta(days=2)).effects)


def test_the_warning_calls_upon_whoever_has_the_case() -> None:
    """Somebody who took a case and did not answer is reminded, before anybody above is told."""
    claimed = after(Claimed(METTE)).case
    assert only(Thread, decide(claimed, DueWarning(0), SHOP, NOW + timedelta(hours=6)).effects).mention == METTE


@pytest.mark.parametrize(
    ("case", "stage", "late"),
    [
        pytest.param(after(Replied(METTE, "hello")).case, 1, True, id="answered"),
        pytest.param(after(REFUND).case, 1, True, id="remedied"),
        pytest.param(after(CustomerConfirmed()).case, 2, True, id="confirmed"),
        pytest.param(opened()[0], 1, False, id="the breach of an earlier cycle"),
        pytest.param(opened()[0], 0, True, id="the warning after the breach"),
    ],
)
def test_a_warning_that_has_lost_its_ground_is_ignored(case: Case, stage: int, late: bool) -> None:  # noqa: FBT001  # a case in a table
    """Warnings are looked at again when their moment comes."""
    transition = decide(case, DueWarning(stage), SHOP, case.due_at if late else NOW)
    assert transition.case == case
    assert only(CaseIgnored, transition.effects)


def test_a_shop_without_lead_and_cx_owner_still_has_its_ladder() -> None:
    """The thread is told even where shop.yaml names nobody to call upon."""
    shop = default_shop()
    case = opened(shop)[0]
    breached = decide(case, DueWarning(1), shop, case.due_at)
    assert only(Thread, breached.effects).mention is None


PEOPLE = st.sampled_from([METTE, JONAS])
STAFF = st.one_of(
    st.builds(Claimed, PEOPLE),
    st.builds(Replied, PEOPLE, st.text(max_size=5)),
    st.builds(
        RemedyDone,
        PEOPLE,
        st.sampled_from([*SHOP.remedies, "hug"]),
        st.text(max_size=5),
        st.sampled_from(["", "100 kr."]),
        st.sampled_from(["", "product", "moon"]),
    ),
    st.builds(
        Snoozed,
        PEOPLE,
        st.datetimes(datetime(2026, 11, 20), datetime(2027, 2, 1), timezones=st.just(UTC)),  # noqa: DTZ001
        st.sampled_from(["customer", "parcel", "supplier"]),
        st.sampled_from(["", "waits"]),
    ),
    st.builds(CallNeeded, PEOPLE, st.text(max_size=5)),
    st.builds(Noted, PEOPLE, st.text(max_size=5)),
    st.builds(
        TaskOpened, PEOPLE, st.sampled_from("ab"), st.sampled_from([*SHOP.teams, "nowhere"]), st.text(max_size=5)
    ),
    st.builds(TaskDone, PEOPLE, st.sampled_from("ab")),
    st.builds(TaskDue, st.sampled_from("ab"), st.integers(1, 3)),
    st.builds(SnoozeOver, st.datetimes(datetime(2026, 11, 20), datetime(2027, 2, 1), timezones=st.just(UTC))),  # noqa: DTZ001
    st.builds(HandedOver, PEOPLE, st.sampled_from([*SHOP.teams, "fallback", "nowhere"]), st.text(max_size=5)),
    st.builds(DueWarning, st.integers(-1, 5)),
)
CUSTOMER = st.one_of(
    st.builds(CustomerSaid, st.text(max_size=5)),
    st.builds(CustomerEdited, st.text(max_size=5)),
    st.builds(CustomerDeleted, st.text(max_size=5)),
    st.builds(UnhappyAgain, st.text(max_size=5), st.none() | st.just("service"), st.none() | st.just("invoice")),
    st.just(CustomerConfirmed()),
    st.just(CustomerSilent()),
)
GAPS = st.timedeltas(timedelta(), timedelta(days=4))
STORIES = st.lists(st.tuples(st.one_of(STAFF, CUSTOMER), GAPS), max_size=20)


@settings(max_examples=200, deadline=None)
@given(STORIES)
def test_any_story_keeps_the_rules(story: list[tuple[CaseEvent, timedelta]]) -> None:
    """Over any events in any order: total, deterministic, confirmed by the customer alone, cycles and rungs bounded."""
    case, now = opened()[0], NOW
    for event, gap in story:
        now += gap
        transition = decide(case, event, SHOP, now)
        assert transition == decide(case, event, SHOP, now)
        later, effects = transition.case, transition.effects
        assert effects
        if any(isinstance(effect, CaseIgnored) for effect in effects):
            assert later == case
            assert all(isinstance(effect, CaseIgnored | Whisper) for effect in effects)
        if later.status == "confirmed" and case.status != "confirmed":
            assert isinstance(event, CustomerConfirmed)
        assert (later.status == "confirmed") == (later.closed_at is not None)
        assert (later.status == "claimed") <= (later.claimed_by is not None)
        assert case.cycle <= later.cycle <= SHOP.max_cycles
        assert case.rung <= later.rung <= 2
        assert later.remedies[: len(case.remedies)] == case.remedies
        assert (later.status == "remedied" and case.status != "remedied") == any(
            isinstance(e, PlanReask) for e in effects
        )
        assert all(effect.at > now for effect in effects if isinstance(effect, PlanLadder))
        case = later


@settings(max_examples=200, deadline=None)
@given(STORIES)
def test_a_case_that_waits_for_staff_and_was_not_answered_is_always_watched(
    story: list[tuple[CaseEvent, timedelta]],
) -> None:
    """However the story goes, a moment is planned at which what waits is looked at again.

    That is: an answer that nobody took on, what is put aside, and what a second team was asked.
    """
    case, effects = opened()
    planned: dict[CaseEvent, datetime] = {}
    now = NOW
    case, planned = carried(CaseTransition(case, effects), planned)
    for event, gap in story:
        now += gap
        # What is due happens first, as it does in life.
        while ahead := [(when, known) for known, when in planned.items() if when <= now]:
            when, known = min(ahead, key=lambda each: each[0])
            del planned[known]
            case, planned = carried(decide(case, known, SHOP, when), planned)
        if isinstance(event, DueWarning | SnoozeOver | TaskDue):
            continue
        case, planned = carried(decide(case, event, SHOP, now), planned)
        if is_awaited(case) and case.claimed_by is None:
            assert any(isinstance(known, DueWarning) for known in planned)
        if case.snooze is not None:
            assert SnoozeOver(case.snooze.until) in planned
        for task in case.tasks:
            asked = [known for known in planned if isinstance(known, TaskDue) and known.task_id == task.id]
            assert asked or task.done_at is not None


def carried(transition: CaseTransition, planned: dict[CaseEvent, datetime]) -> tuple[Case, dict[CaseEvent, datetime]]:
    planned = dict(planned)
    for effect in transition.effects:
        match effect:
            case StopLadder():
                planned = {known: when for known, when in planned.items() if not isinstance(known, DueWarning)}
            case PlanLadder():
                planned[DueWarning(effect.stage)] = effect.at
            case PlanWake():
                planned[SnoozeOver(effect.at)] = effect.at
            case PlanTask():
                planned[TaskDue(effect.task_id, effect.stage)] = effect.at
    return transition.case, planned


# Put aside ------------------------------------------------------------------------------------------------------

LATER = NOW + timedelta(days=2)


def test_waiting_for_the_customer_stops_the_clock_and_says_so() -> None:
    """Half of the working day is left when it stops; as much is left when the customer writes, and the reason says why."""
    half = NOW + timedelta(hours=3)
    aside = decide(opened()[0], Snoozed(METTE, LATER, "customer", "asked which bottle"), SHOP, half)
    assert aside.case.snooze is not None
    assert (aside.case.snooze.left, aside.case.claimed_by) == (timedelta(hours=5), METTE)
    assert StopLadder() in aside.effects
    assert "The clock stands still" in only(Thread, aside.effects).text
    assert only(PlanWake, aside.effects).at == LATER
    back = decide(aside.case, CustomerSaid("the left one"), SHOP, NOW + timedelta(days=1))
    assert back.case.snooze is None
    assert back.case.due_at == NOW + timedelta(days=1, hours=5)
    assert back.case.due_reason == (
        "the clock stood from Mon 23 Nov 13:00 to Tue 24 Nov 10:00, while we waited for the customer"
    )
    assert [effect.stage for effect in back.effects if isinstance(effect, PlanLadder)] == [0, 1]


@pytest.mark.parametrize("what", ["parcel", "supplier"])
def test_waiting_for_anything_else_does_not_stop_the_clock(what: str) -> None:
    """The customer still waits for a first answer: the case is put aside, its due time stays, and that is said."""
    aside = decide(opened()[0], Snoozed(METTE, LATER, what, "on its way"), SHOP, NOW)  # type: ignore[arg-type]
    assert StopLadder() not in aside.effects
    assert aside.case.due_at == opened()[0].due_at
    assert "the clock goes on: due Tue 24 Nov 10:00" in only(Thread, aside.effects).text


def test_the_end_of_a_snooze_calls_upon_whoever_has_the_case() -> None:
    """What was put aside comes back by itself, at the team's opening, with what it had waited for."""
    sunday = datetime(2026, 11, 29, 9, 0, tzinfo=UTC)
    aside = decide(opened()[0], Snoozed(METTE, sunday, "supplier", "a new crate"), SHOP, NOW)
    at = only(PlanWake, aside.effects).at
    assert at == datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
    back = decide(aside.case, SnoozeOver(at), SHOP, at)
    assert back.case.snooze is None
    assert only(Thread, back.effects).mention == METTE
    assert "the supplier, “a new crate”" in only(Thread, back.effects).text
    assert only(CaseIgnored, decide(back.case, SnoozeOver(at), SHOP, at).effects)


@pytest.mark.parametrize(
    ("event", "case", "why"),
    [
        pytest.param(Snoozed(METTE, LATER, "customer", " "), opened()[0], "what it waits for", id="no reason"),
        pytest.param(Snoozed(METTE, NOW, "parcel", "x"), opened()[0], "a time ahead", id="no time ahead"),
        pytest.param(Snoozed(METTE, NOW + timedelta(days=61), "parcel", "x"), opened()[0], "60 days", id="too far"),
        pytest.param(
            Snoozed(METTE, LATER, "coffee", "x"),  # type: ignore[arg-type]
            opened()[0],
            "only while it waits",
            id="waits for nothing that counts",
        ),
        pytest.param(Snoozed(METTE, LATER, "parcel", "x"), after(REFUND).case, "being asked", id="remedied"),
    ],
)
def test_a_case_is_put_aside_only_while_it_waits_for_something(event: Snoozed, case: Case, why: str) -> None:
    """Without a reason, a time ahead, or anything to wait for, nothing is put aside, and whoever tried is told why."""
    refused = decide(case, event, SHOP, NOW)
    assert refused.case == case
    assert why in only(Whisper, refused.effects).text


# The clock ------------------------------------------------------------------------------------------------------


def test_after_an_answer_the_clock_stands_until_the_customer_writes() -> None:
    """A reply stops the clock; the customer's next words start it anew with a full length, and it is watched again."""
    answered = after(Replied(METTE, "which one?"))
    assert not is_awaited(answered.case)
    again = decide(answered.case, CustomerSaid("the red one"), SHOP, NOW + timedelta(days=3))
    assert is_awaited(again.case)
    assert (again.case.claimed_by, again.case.due_at) == (METTE, NOW + timedelta(days=4))
    assert [effect.stage for effect in again.effects if isinstance(effect, PlanLadder)] == [0, 1]


def test_a_hand_over_and_another_route_keep_the_first_due_time_and_say_so() -> None:
    """Nobody gains time by passing a case on, and the thread says which time stays."""
    case = opened()[0]
    moved = decide(case, HandedOver(METTE, "delivery", "theirs"), SHOP, NOW + timedelta(hours=4))
    assert moved.case.due_at == case.due_at
    assert "Its due time stays as it was: Tue 24 Nov 10:00: one business day." in only(Thread, moved.effects).text
    told = rerouted("wine", replace(case, team="delivery"), SHOP)
    assert "Its due time stays as it was: Tue 24 Nov 10:00" in told.text


# Calls, notes, tasks --------------------------------------------------------------------------------------------


def test_somebody_can_say_that_a_call_is_needed() -> None:
    """The case says to call and why; a remedy after the call asks as ever; saying it twice changes nothing."""
    called = after(Claimed(METTE), CallNeeded(JONAS, "she is upset"))
    assert (called.case.status, called.case.call_reason, called.case.claimed_by) == ("call", "she is upset", METTE)
    assert only(Whisper, decide(called.case, CallNeeded(JONAS, "x"), SHOP, NOW).effects)
    assert decide(called.case, REFUND, SHOP, NOW).case.status == "remedied"
    assert only(Whisper, after(CallNeeded(METTE, "  ")).effects)


def test_an_unconfirmed_case_that_is_to_be_called_is_watched_again() -> None:
    """Silence can be followed up by a call; from then on there is a due time once more."""
    called = after(REFUND, CustomerSilent(), CallNeeded(METTE, "ask her"))
    assert (called.case.status, called.case.answered_at) == ("call", None)
    assert [effect.stage for effect in called.effects if isinstance(effect, PlanLadder)] == [0, 1]


def test_a_note_stands_in_the_thread_and_changes_nothing() -> None:
    """A note is for the others; the customer is not written to, whatever stands in it."""
    noted = after(Noted(METTE, "the courier was <@U0BOSS>"))
    assert noted.case == opened()[0]
    assert [type(effect) for effect in noted.effects] == [Thread]
    assert "“the courier was < @U0BOSS>”" in only(Thread, noted.effects).text


def test_a_second_team_has_a_task_with_a_due_time_of_its_own() -> None:
    """Accounting is asked, by its own calendar, and its doing so stands in the case, whose clock is untouched."""
    asked = after(TaskOpened(METTE, "t1", "accounting", "rewrite the invoice text"))
    (task,) = asked.case.tasks
    assert (task.team, task.due_at, task.due_reason) == ("accounting", NOW + timedelta(days=1), "one business day")
    assert {type(effect) for effect in asked.effects} == {ShowTask, PlanTask, Thread, ShowCard}
    assert asked.case.due_at == opened()[0].due_at
    finished = decide(asked.case, TaskDone(JONAS, "t1", "new text sent"), SHOP, NOW + MINUTE)
    assert finished.case.tasks[0].done_by == JONAS
    assert only(Thread, finished.effects).mention == METTE
    assert only(ShowTask, finished.effects) == ShowTask("t1")
    late = decide(finished.case, TaskDone(METTE, "t1"), SHOP, NOW + 2 * MINUTE)
    assert only(Whisper, late.effects).text == f"{{user:{JONAS}}} did this 1 minute ago."


def test_a_task_that_is_late_calls_upon_its_team_and_then_the_cx_owner_each_working_day() -> None:
    """What a second team leaves undone is as little forgotten as a case; once done, it is quiet."""
    asked = after(TaskOpened(METTE, "t1", "accounting", "rewrite the invoice text")).case
    due = asked.tasks[0].due_at
    first = decide(asked, TaskDue("t1", 1), SHOP, due)
    assert only(Thread, first.effects).mention == OWNER  # accounting has no lead
    assert only(PlanTask, first.effects) == PlanTask("t1", 2, due + timedelta(days=1))
    done_by_then = decide(asked, TaskDone(JONAS, "t1"), SHOP, due).case
    assert only(CaseIgnored, decide(done_by_then, TaskDue("t1", 1), SHOP, due).effects)


@pytest.mark.parametrize(
    ("team", "text", "why"),
    [
        pytest.param("wine", "x", "has the case itself", id="its own team"),
        pytest.param("nowhere", "x", "no team nowhere", id="no such team"),
        pytest.param("accounting", " ", "what is to be done", id="nothing to do"),
    ],
)
def test_a_task_for_nobody_or_nothing_is_refused_in_words(team: str, text: str, why: str) -> None:
    """Whoever asked in vain is told why."""
    assert why in only(Whisper, after(TaskOpened(METTE, "t1", team, text)).effects).text


# Remedies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "why"),
    [
        pytest.param(done(METTE, "refund", " "), "a note", id="no note"),
        pytest.param(done(METTE, "refund", cause=""), "root cause", id="no root cause"),
        pytest.param(done(METTE, "refund", cause="moon"), "root cause", id="no known root cause"),
        pytest.param(done(METTE, "refund", value=" "), "how much", id="no value"),
    ],
)
def test_a_remedy_needs_what_the_firm_learns_from(event: RemedyDone, why: str) -> None:
    """Kind, note, root cause, and a value where the kind has one: without them the case is as it was."""
    refused = after(event)
    assert refused.case == opened()[0]
    assert why in only(Whisper, refused.effects).text


def test_a_remedy_without_an_amount_needs_none() -> None:
    """An explanation has no price."""
    assert after(done(METTE, "explanation", value="")).case.status == "remedied"


def test_a_replacement_counts_from_its_delivery() -> None:
    """Not from the click; and if nobody tells of a delivery, the question comes after a while all the same."""
    sent = after(done(METTE, "replacement"))
    assert only(PlanReask, sent.effects).at == NOW + timedelta(days=7)  # five business days
    assert "once it is delivered" in only(Thread, sent.effects).text
    arrived = NOW + timedelta(days=2)
    assert reask_after_delivery(sent.case, SHOP, arrived) == (True, None)
    assert reask_after_delivery(sent.case, SHOP, NOW - MINUTE)[0] is False  # the first parcel, told late
    assert reask_after_delivery(after(REFUND).case, SHOP, arrived)[0] is False
    remedies = {
        **SHOP.remedies,
        "replacement": replace(SHOP.remedies["replacement"], reask_after=Duration(business_days=2)),
    }
    shop = replace(SHOP, remedies=remedies)
    assert reask_after_delivery(sent.case, shop, arrived) == (True, NOW + timedelta(days=4))


def test_a_case_that_is_reopened_tells_the_whole_story() -> None:
    """Whoever comes to it anew reads what the customer said, what was done, by whom and why it went wrong."""
    text = only(Thread, after(REFUND, UnhappyAgain("still corked")).effects).text
    for part in ("“it tastes of cork”", "Refund (100 kr.) “paid back”", "Fault of the product", "“still corked”"):
        assert part in text


# Rule 1 ---------------------------------------------------------------------------------------------------------

EVERY_STATE = {
    "open": opened()[0],
    "claimed": after(Claimed(METTE)).case,
    "answered": after(Replied(METTE, "hello")).case,
    "snoozed": after(Snoozed(METTE, LATER, "customer", "x")).case,
    "call": after(CallNeeded(METTE, "x")).case,
    "remedied": after(REFUND).case,
    "unconfirmed": after(REFUND, CustomerSilent()).case,
}


@pytest.mark.parametrize("state", EVERY_STATE)
@settings(max_examples=60, deadline=None)
@given(event=st.one_of(STAFF, st.just(CustomerSilent())), wait=GAPS)
def test_nothing_but_the_customers_word_confirms_from_any_state(state: str, event: CaseEvent, wait: timedelta) -> None:
    """Every event of staff, clock and silence, in every state: the case is not confirmed and not closed."""
    later = decide(EVERY_STATE[state], event, SHOP, NOW + wait).case
    assert (later.status == "confirmed", later.closed_at) == (False, None)
