"""Satisfaction: the product of what is known, coverage, and what limits."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.satisfaction import FACTORS, Mean, SaleVerdicts, Verdict, latest, satisfaction, summary

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HAPPY = Verdict({"promise": 1, "quality": 1}, NOW, touchpoint="product")
factors = st.dictionaries(st.sampled_from(FACTORS), st.sampled_from([0.0, 0.25, 0.5, 1.0]))


@pytest.mark.parametrize(
    ("known", "product"),
    [
        ({}, None),
        ({"promise": 1}, 1),
        ({"promise": 0.5, "service": 0.5}, 0.25),
        ({"promise": 1, "service": 1, "clarity": 0, "quality": 1}, 0),
    ],
)
def test_satisfaction_is_the_product_of_what_is_known(known: dict[str, float], product: float | None) -> None:
    """An unknown factor is neither 0 nor 1; nothing known is unknown; one zero makes it zero."""
    assert satisfaction(known) == product


@given(factors)
def test_satisfaction_lies_between_nought_and_its_worst_factor(known: dict[str, float]) -> None:
    """No factor can make up for another."""
    product = satisfaction(known)
    assert (product is None) == (not known)
    if product is not None:
        assert 0 <= product <= min(known.values())


def test_the_last_word_in_the_last_cycle_counts_per_factor() -> None:
    """A later cycle replaces what it judges again, even if its verdict was stored first; the rest stands."""
    verdicts = [
        Verdict({"quality": 1}, NOW, cycle=2),
        Verdict({"promise": 1, "quality": 0}, NOW + timedelta(hours=1)),
        Verdict({"service": 0.5}, NOW),
        Verdict({"service": 1}, NOW + timedelta(minutes=1)),
    ]
    assert latest(verdicts) == {"promise": 1, "quality": 1, "service": 1}


def test_silence_lowers_coverage_and_never_satisfaction() -> None:
    """Sales that were not asked, or did not answer, change coverage alone."""
    heard = summary([SaleVerdicts(asked=True, verdicts=(HAPPY,))])
    silent = summary([SaleVerdicts(asked=True, verdicts=(HAPPY,)), SaleVerdicts(asked=True), SaleVerdicts(asked=False)])
    assert (heard.coverage, silent.coverage) == (1, pytest.approx(1 / 3))
    assert heard.satisfaction == silent.satisfaction == Mean(1, 1)
    assert (silent.sales, silent.asked, silent.answered) == (3, 2, 1)


def test_the_figures_name_what_limits() -> None:
    """The lowest factor and touchpoint stand out, with the number of sales behind each mean."""
    unclear = Verdict({"clarity": 0}, NOW, touchpoint="invoice")
    slow = Verdict({"service": 0.5, "quality": 1}, NOW, touchpoint="product")
    figures = summary([SaleVerdicts(asked=True, verdicts=(HAPPY, unclear)), SaleVerdicts(asked=True, verdicts=(slow,))])
    assert figures.satisfaction == Mean(0.25, 2)
    assert figures.factors == {
        "promise": Mean(1, 1),
        "service": Mean(0.5, 1),
        "clarity": Mean(0, 1),
        "quality": Mean(1, 2),
    }
    assert list(figures.factors) == list(FACTORS)
    assert figures.touchpoints == {"invoice": Mean(0, 1), "product": Mean(0.75, 2)}
    assert (figures.limiting_factor, figures.limiting_touchpoint) == ("clarity", "invoice")


def test_where_all_is_well_nothing_limits() -> None:
    """No factor is blamed for being merely the first; no sales give no figures."""
    assert summary([SaleVerdicts(asked=True, verdicts=(HAPPY,))]).limiting_factor is None
    nothing = summary([])
    assert (nothing.coverage, nothing.satisfaction, nothing.limiting_factor) == (None, None, None)


def test_of_two_equally_low_factors_the_one_with_more_sales_limits() -> None:
    """More voices weigh more where the means are equal."""
    sales = [
        SaleVerdicts(asked=True, verdicts=(Verdict(known, NOW),))
        for known in ({"promise": 0.5, "service": 0.5}, {"service": 0.5})
    ]
    assert summary(sales).limiting_factor == "service"


@given(st.lists(factors, max_size=6), st.integers(0, 5))
def test_more_silence_never_changes_satisfaction(answers: list[dict[str, float]], silent: int) -> None:
    """Over any answers, adding silent sales leaves every mean as it was."""
    sales = [SaleVerdicts(asked=True, verdicts=(Verdict(known, NOW),)) for known in answers]
    before, after = summary(sales), summary([*sales, *[SaleVerdicts(asked=True)] * silent])
    assert (before.satisfaction, before.factors) == (after.satisfaction, after.factors)
    assert (after.coverage or 0) <= (before.coverage or 0)
