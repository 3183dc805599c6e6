"""Guards: what may go out, what waits, what never goes, each with one reason; quiet times over clocks and countries."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.desk.shop import Guards
from bot.guards import Defer, Drop, Facts, Hold, MessageKind, Send, Standing, check, next_allowed
from bot.public_days import QuietDay

POLICY = Guards(ask_every=timedelta(hours=20), pause_after_talk=timedelta(hours=2))
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NIGHT = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)
GOOD = Standing(consents={"service": True, "result": False}, zone="Europe/Copenhagen")
QUESTION = Facts("question", purpose="service")
OWN_ACCORD: list[MessageKind] = ["question", "reminder", "notice"]
REPLIES: list[MessageKind] = ["answer", "staff_reply", "edit", "system"]
EVERY_KIND = [*OWN_ACCORD, *REPLIES]
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_everything_may_go_out_at_noon_to_a_customer_who_agreed(kind: MessageKind) -> None:
    """With nothing in the way, every kind is sent."""
    assert check(replace(QUESTION, kind=kind), GOOD, POLICY, NOON) == Send()


@pytest.mark.parametrize("kind", REPLIES)
def test_replies_keep_neither_quiet_hours_nor_gaps_nor_wait_for_consent(kind: MessageKind) -> None:
    """Whoever writes at night is answered at night."""
    standing = replace(
        GOOD, consents={}, case_open=True, paused="paused", last_question_at=NIGHT, last_exchange_at=NIGHT
    )
    assert check(Facts(kind, purpose="service", question_open=False), standing, POLICY, NIGHT) == Send()


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_after_stop_nothing_goes_out_but_what_commands_say(kind: MessageKind) -> None:
    """/stop works at once and everywhere; its own confirmation, and the end of an old keyboard, still get through."""
    decision = check(replace(QUESTION, kind=kind), replace(GOOD, stopped=True), POLICY, NOON)
    assert decision == (Send() if kind in ("system", "edit") else Drop("the customer said /stop"))


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_nothing_is_sent_into_a_blocked_chat_or_after_it_expired(kind: MessageKind) -> None:
    """What cannot arrive, or comes too late, is dropped with that reason, whatever it is."""
    blocked = check(replace(QUESTION, kind=kind), replace(GOOD, unreachable=True), POLICY, NOON)
    assert blocked == Drop("the customer blocked the bot, or the chat is gone")
    expired = check(replace(QUESTION, kind=kind, expires_at=NOON), GOOD, POLICY, NOON)
    assert expired == Drop("it expired on 2026-11-23 12:00 UTC")


@pytest.mark.parametrize("kind", OWN_ACCORD)
@pytest.mark.parametrize(
    ("standing", "decision"),
    [
        (replace(GOOD, linked=False), Hold("the customer has not linked their chat")),
        (
            replace(GOOD, paused="paused (everything) since 23 Nov 10:00"),
            Hold("paused (everything) since 23 Nov 10:00"),
        ),
        (replace(GOOD, consents={}), Hold("the customer has not agreed to messages about service")),
        (replace(GOOD, consents={"service": False}), Hold("the customer declined messages about service")),
        (replace(GOOD, sale_cancelled=True), Drop("the order was cancelled or returned")),
        (replace(GOOD, sale_cancelled=True, stopped=True, paused="paused"), Drop("the customer said /stop")),
    ],
)
def test_what_keeps_a_message_back_is_one_reason_in_plain_words(
    kind: MessageKind, standing: Standing, decision: Hold | Drop
) -> None:
    """Missing links and consents hold a message; a lost ground drops it."""
    assert check(replace(QUESTION, kind=kind), standing, POLICY, NOON) == decision


def test_a_reply_of_staff_waits_for_the_link() -> None:
    """Without a chat there is nowhere to send it."""
    assert isinstance(check(Facts("staff_reply"), replace(GOOD, linked=False), POLICY, NOON), Hold)


def test_an_open_case_holds_questions_and_ends_reminders() -> None:
    """Nobody is asked how it went while a team is putting it right, and nobody is reminded at all."""
    busy = replace(GOOD, case_open=True)
    assert check(QUESTION, busy, POLICY, NOON) == Hold("a case of this customer is open")
    assert isinstance(check(Facts("notice", purpose="service"), busy, POLICY, NOON), Hold)
    assert isinstance(check(Facts("reminder", purpose="service"), busy, POLICY, NOON), Drop)


def test_what_has_been_answered_is_neither_asked_nor_reminded_of() -> None:
    """A question that the conversation has left behind is dropped at the moment of sending."""
    assert check(replace(QUESTION, question_open=False), GOOD, POLICY, NOON) == Drop("the conversation went on")
    reminder = Facts("reminder", purpose="service", question_open=False)
    assert check(reminder, GOOD, POLICY, NOON) == Drop("the question it reminds of is answered, or was never sent")


def test_quiet_hours_defer_to_the_customers_own_morning() -> None:
    """Midnight in Copenhagen waits for 08:30 there; in New York it is afternoon, and nothing waits."""
    assert check(QUESTION, GOOD, POLICY, NIGHT) == Defer(
        datetime(2026, 11, 24, 7, 30, tzinfo=UTC), "quiet hours of the customer"
    )
    assert check(QUESTION, replace(GOOD, zone="America/New_York"), POLICY, NIGHT) == Send()
    assert isinstance(check(QUESTION, replace(GOOD, zone="No/Where"), POLICY, NIGHT), Defer)


def test_questions_keep_their_distance_and_say_which_one_waits_longest() -> None:
    """A question waits for the gap after the last one, and for the end of a talk; a notice only for the morning."""
    asked = replace(GOOD, last_question_at=NOON - 19 * HOUR, last_exchange_at=NOON - HOUR)
    talked = replace(GOOD, last_question_at=NOON - 30 * HOUR, last_exchange_at=NOON - HOUR)
    assert check(QUESTION, replace(asked, last_exchange_at=None), POLICY, NOON) == Defer(
        NOON + HOUR, "the last question was only just asked"
    )
    assert check(QUESTION, talked, POLICY, NOON) == Defer(NOON + HOUR, "the last talk was only just now")
    assert check(replace(QUESTION, kind="notice"), asked, POLICY, NOON) == Send()


def test_a_gap_that_ends_at_night_waits_for_the_morning() -> None:
    """The later of gap and quiet hours counts, and what binds last is the reason."""
    asked = replace(GOOD, last_question_at=NOON - 10 * HOUR)  # free at 22:00 UTC, 23:00 on the customer's clock
    assert check(QUESTION, asked, POLICY, NOON) == Defer(
        datetime(2026, 11, 24, 7, 30, tzinfo=UTC), "quiet hours of the customer"
    )


def test_quiet_hours_may_lie_within_a_day_or_not_be_there() -> None:
    """A siesta works like a night; equal ends are no quiet hours at all."""
    siesta = replace(POLICY, quiet_from=time(12), quiet_to=time(14))
    assert next_allowed(NOON, siesta, "UTC") == NOON + 2 * HOUR
    assert next_allowed(NIGHT, siesta, "UTC") == NIGHT
    assert next_allowed(NIGHT, replace(POLICY, quiet_from=time(), quiet_to=time()), "UTC") == NIGHT


def test_a_morning_that_the_clock_change_skips_is_nudged_and_one_that_it_repeats_is_not_broken() -> None:
    """Quiet hours that end at 02:30 end after the gap in spring; in autumn they begin again with the repeated hour."""
    owl = replace(POLICY, quiet_to=time(2, 30), quiet_days=())
    spring = next_allowed(datetime(2026, 3, 29, 0, 30, tzinfo=UTC), owl, "Europe/Copenhagen")
    assert spring == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    second_pass = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)
    assert next_allowed(second_pass, owl, "Europe/Copenhagen") == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


@dataclass(frozen=True)
class AnyPolicy:
    """A policy that is not the shop's: guards know only its five properties."""

    quiet_from: time
    quiet_to: time
    ask_every: timedelta
    pause_after_talk: timedelta
    quiet_days: tuple[QuietDay, ...] = ()


ZONES = st.sampled_from(
    [
        "UTC",
        "Europe/Copenhagen",
        "America/New_York",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Asia/Kathmandu",
        "America/Havana",
        "Africa/Cairo",
        "No/Where",
    ]
)
MINUTES = st.times().map(lambda at: at.replace(second=0, microsecond=0))
POLICIES = st.builds(
    AnyPolicy,
    MINUTES,
    MINUTES,
    st.timedeltas(timedelta(), timedelta(days=2)),
    st.timedeltas(timedelta(), timedelta(days=1)),
    st.sampled_from([(), ("sundays",), ("holidays",), ("sundays", "holidays")]),
)
COUNTRIES = st.sampled_from([None, "DK", "DE", "GB", "US", "IL", "JP", "dk", "XX"])
MOMENTS = st.one_of(
    st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # the strategy adds the zone
    st.builds(
        lambda day, minutes: datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(minutes=minutes),
        st.sampled_from(
            [
                *("2026-03-28", "2026-10-24", "2026-03-08", "2026-11-01", "2026-04-04", "2026-10-03", "2026-04-24"),
                *("2026-12-24", "2026-12-31", "2026-05-02"),
            ]
        ),
        st.integers(0, 2880),
    ),
)
STANDINGS = st.builds(
    Standing,
    linked=st.booleans(),
    stopped=st.booleans(),
    unreachable=st.booleans(),
    consents=st.just({"service": True}) | st.just({}),
    case_open=st.booleans(),
    other_case=st.booleans(),
    other_question=st.booleans(),
    paused=st.sampled_from(["", "paused"]),
    sale_cancelled=st.booleans(),
    last_question_at=st.none() | MOMENTS,
    last_exchange_at=st.none() | MOMENTS,
    zone=ZONES,
    country=COUNTRIES,
)
FREE = st.builds(
    Standing,
    consents=st.just({"service": True}),
    last_question_at=st.none() | MOMENTS,
    last_exchange_at=st.none() | MOMENTS,
    zone=ZONES,
    country=COUNTRIES,
)
FACTS = st.builds(
    Facts, st.sampled_from(EVERY_KIND), st.sampled_from(["service", "result", None]), st.none() | MOMENTS, st.booleans()
)
UNASKED = st.builds(Facts, st.sampled_from(OWN_ACCORD), st.just("service"))


def is_quiet(at: datetime, policy: AnyPolicy, zone: str, country: str | None) -> bool:
    """Look at the customer's clock and calendar the plain way: minute hands and page, no arithmetic."""
    local = at.astimezone(ZoneInfo("UTC" if zone == "No/Where" else zone))
    wall = local.time()
    if "sundays" in policy.quiet_days and f"{local:%a}" == "Sun":
        return True
    known = (
        {"DK", "DE", "GB", "US", "IL", "JP"} & {(country or "").upper()} if "holidays" in policy.quiet_days else set()
    )
    if any(local.date() in holidays.country_holidays(each, years=local.year) for each in known):
        return True
    if policy.quiet_from == policy.quiet_to:
        return False
    if policy.quiet_from < policy.quiet_to:
        return policy.quiet_from <= wall < policy.quiet_to
    return not policy.quiet_to <= wall < policy.quiet_from


@given(UNASKED, FREE, POLICIES, MOMENTS)
def test_nothing_of_its_own_accord_goes_out_in_quiet_hours(
    facts: Facts, standing: Standing, policy: AnyPolicy, now: datetime
) -> None:
    """Send never falls into the customer's quiet hours; Defer names a later moment at which the same message is sent."""
    decision = check(facts, standing, policy, now)
    if isinstance(decision, Send):
        assert not is_quiet(now, policy, standing.zone, standing.country)
    else:
        assert isinstance(decision, Defer)
        assert decision.until > now
        assert decision.reason
        assert check(facts, standing, policy, decision.until) == Send()


@given(FACTS, STANDINGS, POLICIES, MOMENTS)
def test_every_decision_is_one_and_has_a_reason(
    facts: Facts, standing: Standing, policy: AnyPolicy, now: datetime
) -> None:
    """Total: any facts in any standing give a decision; and without link, reach or after /stop nothing of own accord goes out."""
    decision = check(facts, standing, policy, now)
    if isinstance(decision, Send):
        assert not standing.unreachable
        if facts.kind in OWN_ACCORD:
            assert standing.linked
            assert not any((standing.stopped, standing.paused, standing.case_open, standing.sale_cancelled))
            assert facts.kind != "question" or not (standing.other_case or standing.other_question)
            assert facts.purpose is None or standing.consents.get(facts.purpose)
    else:
        assert decision.reason


@given(MOMENTS, POLICIES, ZONES, COUNTRIES)
def test_the_next_allowed_moment_is_the_first_one_that_is_allowed(
    at: datetime, policy: AnyPolicy, zone: str, country: str | None
) -> None:
    """Quiet times end, clock changes and runs of holidays included, and the end is not passed over."""
    allowed = next_allowed(at, policy, zone, country)
    assert at <= allowed <= at + timedelta(days=14)
    assert not is_quiet(allowed, policy, zone, country)
    if allowed > at:
        assert is_quiet(allowed - timedelta(seconds=1), policy, zone, country)


@pytest.mark.parametrize(
    ("at", "country", "reason", "until"),
    [
        ("2026-12-25T12:00", "DK", "a public holiday of the customer: Christmas Day", "2026-12-28T07:30"),
        ("2026-12-25T12:00", "JP", "", ""),
        ("2026-12-27T12:00", "JP", "a Sunday of the customer", "2026-12-28T07:30"),
        ("2027-05-06T12:00", "DK", "a public holiday of the customer: Ascension Day", "2027-05-07T06:30"),
        ("2026-07-04T12:00", "US", "a public holiday of the customer: Independence Day", "2026-07-06T06:30"),
        ("2026-07-04T12:00", "DK", "", ""),
    ],
)
def test_sundays_and_the_holidays_of_the_customers_own_country_are_quiet(
    at: str, country: str, reason: str, until: str
) -> None:
    """Christmas Day in Denmark waits over the Second Day and the Sunday; a day that is none there waits for nothing."""
    decision = check(QUESTION, replace(GOOD, country=country), POLICY, utc(at))
    assert decision == (Defer(utc(until), reason) if reason else Send())


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_whole_days_are_quiet_only_where_the_shop_says_so() -> None:
    """Each kind can be left out; and where every day on end is quiet, nobody meant that, and the night alone counts."""
    christmas = replace(GOOD, country="DK")
    sundays = replace(POLICY, quiet_days=("sundays",))
    assert check(QUESTION, christmas, sundays, utc("2026-12-25T12:00")) == Send()
    assert isinstance(check(QUESTION, christmas, sundays, utc("2026-12-27T12:00")), Defer)
    assert check(QUESTION, christmas, replace(POLICY, quiet_days=()), utc("2026-12-27T12:00")) == Send()


def test_one_question_at_a_time_over_all_that_a_customer_bought() -> None:
    """While a question of another conversation is open, the next one waits its turn; a notice does not."""
    busy = replace(GOOD, other_question=True)
    assert check(QUESTION, busy, POLICY, NOON) == Hold("waits its turn: another question to this customer is open")
    assert check(replace(QUESTION, kind="notice"), busy, POLICY, NOON) == Send()


def test_nothing_else_is_asked_while_any_case_of_theirs_is_not_settled() -> None:
    """A case about another order holds a question, not a notice; whether it is right now is asked all the same, at once."""
    busy = replace(GOOD, other_case=True, last_question_at=NOON, last_exchange_at=NOON)
    assert check(QUESTION, busy, POLICY, NOON) == Hold("a case of this customer is open")
    assert check(replace(QUESTION, about_case=True), busy, POLICY, NOON) == Send()
    assert check(replace(QUESTION, kind="notice"), busy, POLICY, NOON) == Send()


@pytest.mark.parametrize("kind", ["question", "notice"])
def test_what_is_said_in_the_breath_that_opens_a_case_is_not_held_by_it(kind: MessageKind) -> None:
    """Words such as “a person calls you” must not wait until that person has called; the night it does keep."""
    facts = Facts(kind, purpose="service", with_case=True)
    busy = replace(GOOD, case_open=True, other_case=True)
    assert check(facts, busy, POLICY, NOON) == Send()
    assert isinstance(check(facts, busy, POLICY, NIGHT), Defer)
