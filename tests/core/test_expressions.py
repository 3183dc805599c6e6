"""Conditions: what they can say, what they may not, and that they never break anything."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.flows.expressions import NAMES, VALUE_MAX_CHARS, evaluate, expression_faults, holds, names_in
from bot.flows.facts import Facts, PromiseFact, values_of, variant_for
from bot.flows.model import Match, Variant, Window
from bot.flows.times import next_in, on_the_clock

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
FACTS = Facts(
    sale={
        "id": "1",
        "summary": "two bottles",
        "stage": "order.delivered",
        "total": 640.5,
        "extra": {"gift": True, "items": 3},
    },
    customer={"country": "DK", "language": "da"},
    items=({"sku": "B-19", "tags": ["wine", "red"]}, {"sku": "C", "tags": []}),
    promises=(PromiseFact("p1", due_at=NOW - timedelta(days=1)), PromiseFact("p2", state="broken")),
    verdicts={"after_delivery": {"arrived": "missing"}},
    factors={"promise": 0.5},
    happened={"order.delivered": NOW - timedelta(days=3, hours=12)},
    case={"open": True, "team": "wine"},
    zone="Europe/Copenhagen",
)
VALUES = values_of(FACTS, NOW, {"answers": {"arrived": "yes"}, "vars": {"rounds": 2}, "unhappy": False})


@pytest.mark.parametrize(
    "condition",
    [
        "sale.total > 500 and 'wine' in tags",
        "'B-19' in skus",
        "customer.country == 'DK'",
        "items | length == 2",
        "answers.arrived == 'yes'",
        "answers.arrived in ['yes', 'maybe']",
        "verdicts.after_delivery.arrived == 'missing'",
        "factors.promise <= 0.5 and not unhappy",
        "case.open and case.team == 'wine'",
        "'order.delivered' in happened and 'order.shipped' not in happened",
        "days_since.delivered > 3",
        "promised.due == 1 and promised.broken == 1 and promised.count == 2",
        "local.weekday == 'wed' and local.hour == 10",
        "vars.rounds + 1 == 3",
        "sale.extra.gift",
        "sale.extra.items == 3",
        "vars.other | default(7) == 7",
        "vars.other is not defined",
        "('a' if unhappy else 'b') == 'b'",
        "sale.summary | upper == 'TWO BOTTLES'",
        "- vars.rounds < 0",
        "true",
    ],
)
def test_a_condition_sees_sale_customer_promises_and_verdicts(condition: str) -> None:
    """Each of these is a good condition, and holds."""
    assert expression_faults(condition) == []
    assert holds(condition, VALUES).value is True
    assert holds(condition, VALUES).trouble == ""


@pytest.mark.parametrize(
    ("condition", "trouble"),
    [
        ("sale.weight > 5", "'weight' is not known"),
        ("sale.summary > 5", "not supported"),
        ("vars.nothing + 1 > 0", "'nothing' is not known"),
        ("customer > 3", "not supported"),
        ("sale.total >", "expected"),
        ("9 ** 9 ** 9 > 0", "not allowed"),
        ("items.append(1)", "not allowed"),
        ("", "expected"),
    ],
)
def test_an_odd_value_makes_a_condition_false_and_is_told(condition: str, trouble: str) -> None:
    """What cannot be told does not hold, and the reason is there for people to see."""
    answer = holds(condition, VALUES)
    assert answer.value is False
    assert trouble in answer.trouble.lower()


def test_what_is_not_known_is_not_equal_to_anything() -> None:
    """An unknown value is no trouble where it is only compared for being the same."""
    for condition in ("vars.other == 'x'", "answers.never", "promise.id", "vars.other"):
        assert holds(condition, VALUES) == holds("false", VALUES)


@pytest.mark.parametrize(
    "source",
    [
        "'x' * 10**9",
        "sale.__class__",
        "sale.extra.__class__.__mro__",
        "customer.name.upper()",
        "range(10**9)",
        "[x for x in items]",
        "sale['id']",
        "items | map('upper')",
        "'a' ~ 'b'",
        "sale.id; sale.id",
        "sale.id }} {{ sale.id",
        "1 if",
        "x" * 501,
        "(" * 300,
        "lipsum",
        "cycler",
        "self",
        "sale.id is callable",
        "promise.text.length",
        "sale.total | round(-999999999)",
    ],
)
def test_what_an_expression_may_not_contain(source: str) -> None:
    """Whatever could reach the program or keep it busy is told to the author, and evaluates to nothing at once."""
    assert expression_faults(source)
    assert not evaluate(source, VALUES).value


def test_no_attribute_of_anything_is_reached() -> None:
    """Behind a dot are keys alone: not the methods of a mapping, not the inside of an object."""
    for source in ("vars.keys", "vars.items", "answers.get", "sale.total.real", "happened.append"):
        assert evaluate(source, {**VALUES, "vars": {}}).value is None


def test_values_are_plain_and_bounded() -> None:
    """Notes cannot grow without end, and are nothing but texts, numbers, truths and moments."""
    assert evaluate("sale.summary + sale.summary", {"sale": {"summary": "x" * 900}}).value == "x" * VALUE_MAX_CHARS
    assert evaluate("sale.total + sale.total", {"sale": {"total": 10**12}}).value is None
    assert evaluate("sale.total", {"sale": {"total": float("nan")}}).trouble
    assert evaluate("tags", VALUES).value is True
    assert evaluate("sale", {"sale": object()}).trouble


def test_faults_suggest_what_was_meant() -> None:
    """A name that comes near one that there is is pointed at; notes and answers are those of the flow."""
    assert expression_faults("sael.total > 5") == ["there is no name 'sael' in a condition; did you mean 'sale'?"]
    assert expression_faults("sale.totl > 5") == ["'sale' has no 'totl'; did you mean 'total'?"]
    assert expression_faults("vars.round", notes=["rounds"]) == ["'vars' has no 'round'; did you mean 'rounds'?"]
    assert expression_faults("answers.arrived == 'no'", answers={"arrived": ["yes"]})
    assert expression_faults("answers.arived", answers={"arrived": ["yes"]})
    assert names_in("sale.total > vars.x") == {"sale", "vars"}
    assert names_in("((") == frozenset()


def test_every_name_has_a_value() -> None:
    """What the documentation lists stands for something in every conversation."""
    given = values_of(FACTS, NOW, {"answer": {}, "answers": {}, "unhappy": False, "vars": {}, "promise": {}})
    assert set(given) == set(NAMES)


PIECES = st.sampled_from(
    [*NAMES, ".", "total", "extra", "(", ")", "+", "-", "*", "<", "==", "and", "not", "in", "if", "else", "'x'", "1", "|",
     "length", "default", "[", "]", ",", "is", "defined", "}}", "{%", "\ud800", "\x00"]
)  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(PIECES, max_size=9).map(" ".join),
    st.dictionaries(
        st.sampled_from(list(NAMES)),
        st.one_of(st.none(), st.integers(), st.text(max_size=3), st.just({}), st.just([object()])),
    ),
)
def test_evaluating_never_raises(source: str, values: dict[str, object]) -> None:
    """Whatever the expression and the values: an answer, and faults as a list."""
    answer = holds(source, values)
    assert answer.value in {True, False}
    assert isinstance(expression_faults(source), list)


def test_a_variant_fits_by_tag_sku_or_condition() -> None:
    """The first variant that is for what was bought counts; else none."""
    tag, sku = Variant(Match("tag", "red"), {"en": "t"}), Variant(Match("sku", "C"), {"en": "s"})
    rich = Variant(Match("if", "sale.total > 9999"), {"en": "r"})
    odd = Variant(Match("if", "sale.nothing > 1"), {"en": "o"})
    assert variant_for((rich, odd, sku, tag), FACTS, NOW) is sku
    assert variant_for((rich, tag), FACTS, NOW) is tag
    assert variant_for((rich, odd), FACTS, NOW) is None


# -- the customer's clock ----------------------------------------------------------------------------------------------

COPENHAGEN = "Europe/Copenhagen"
WEEKEND = Window((5, 6), datetime(2026, 1, 1, 10).time(), datetime(2026, 1, 1, 18).time())  # noqa: DTZ001 - a time of day


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-25T09:30", "2026-11-28T09:00"),
        ("2026-11-28T08:59", "2026-11-28T09:00"),
        ("2026-11-28T12:00", "2026-11-28T12:00"),
        ("2026-11-28T17:00", "2026-11-29T09:00"),
        ("2026-11-29T17:30", "2026-12-05T09:00"),
        ("2026-03-28T20:00", "2026-03-29T08:00"),
    ],
)
def test_the_next_moment_within_a_window(at: str, expected: str) -> None:
    """A pause ends within the days and hours of the customer's own clock, also across the change of clocks."""
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert next_in(WEEKEND, moment, COPENHAGEN) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_windows_past_midnight_and_whole_days() -> None:
    """Hours may go past midnight, and days alone mean the whole of them."""
    night = Window((4,), datetime(2026, 1, 1, 22).time(), datetime(2026, 1, 1, 2).time())  # noqa: DTZ001 - a time of day
    assert next_in(night, datetime(2026, 11, 28, 0, 30, tzinfo=UTC), COPENHAGEN) == datetime(
        2026, 11, 28, 0, 30, tzinfo=UTC
    )
    assert next_in(Window((0,)), NOW, "Mars/Phobos") == datetime(2026, 11, 30, tzinfo=UTC)
    assert on_the_clock(datetime(2026, 12, 24, 18), COPENHAGEN, NOW) == datetime(2026, 12, 24, 17, tzinfo=UTC)  # noqa: DTZ001 - a wall clock
