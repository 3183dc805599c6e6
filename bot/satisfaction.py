"""How satisfied customers are: the product of the factors, how many were heard, and what limits. Pure arithmetic.

An unanswered factor is unknown, never 0 or 1. Silence lowers coverage, never satisfaction.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

FACTORS = ("promise", "service", "clarity", "quality")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a customer said at one step, in one cycle: factors from 0 to 1, and the touchpoint that they are about."""

    factors: Mapping[str, float]
    at: datetime
    cycle: int = 1
    touchpoint: str | None = None


@dataclass(frozen=True, slots=True)
class SaleVerdicts:
    """One sale: whether its customer was asked, and all that they answered."""

    asked: bool
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over `n` sales."""

    value: float
    n: int


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures over some sales.

    `satisfaction` is the mean of the sales' own satisfactions, None where nobody answered; `coverage` the share of all
    `sales` that were asked and answered, None where there are no sales. A factor or touchpoint `limits` where its mean
    is the lowest and below 1.
    """

    sales: int
    asked: int
    answered: int
    coverage: float | None
    satisfaction: Mean | None
    factors: Mapping[str, Mean] = field(default_factory=dict)
    touchpoints: Mapping[str, Mean] = field(default_factory=dict)
    limiting_factor: str | None = None
    limiting_touchpoint: str | None = None


def satisfaction(factors: Mapping[str, float]) -> float | None:
    """Multiply the known factors; one zero makes it zero, and None means that none is known."""
    return math.prod(factors.values()) if factors else None


def latest(verdicts: Iterable[Verdict]) -> dict[str, float]:
    """Give each factor as the customer last judged it: in the last cycle that has it, and there the last word."""
    known: dict[str, float] = {}
    for verdict in sorted(verdicts, key=lambda verdict: (verdict.cycle, verdict.at)):
        known.update(verdict.factors)
    return known


def summary(sales: Iterable[SaleVerdicts]) -> Figures:
    """Give the figures over some sales; each sale counts once, however often its customer answered."""
    total = asked = answered = 0
    products: list[float] = []
    by_factor: defaultdict[str, list[float]] = defaultdict(list)
    by_touchpoint: defaultdict[str, list[float]] = defaultdict(list)
    for sale in sales:
        total += 1
        asked += sale.asked
        answered += sale.asked and bool(sale.verdicts)
        known = latest(sale.verdicts)
        if (product := satisfaction(known)) is not None:
            products.append(product)
        for factor, value in known.items():
            by_factor[factor].append(value)
        for touchpoint in {verdict.touchpoint for verdict in sale.verdicts if verdict.touchpoint}:
            here = satisfaction(latest(verdict for verdict in sale.verdicts if verdict.touchpoint == touchpoint))
            if here is not None:
                by_touchpoint[touchpoint].append(here)
    factors = {factor: _mean(by_factor[factor]) for factor in sorted(by_factor, key=_factor_order)}
    touchpoints = {touchpoint: _mean(by_touchpoint[touchpoint]) for touchpoint in sorted(by_touchpoint)}
    return Figures(
        sales=total,
        asked=asked,
        answered=answered,
        coverage=answered / total if total else None,
        satisfaction=_mean(products) if products else None,
        factors=factors,
        touchpoints=touchpoints,
        limiting_factor=_limiting(factors),
        limiting_touchpoint=_limiting(touchpoints),
    )


def _mean(values: list[float]) -> Mean:
    return Mean(math.fsum(values) / len(values), len(values))


def _limiting(means: Mapping[str, Mean]) -> str | None:
    """Give the lowest below 1; of equal ones, the one that more sales stand behind."""
    below = {name: mean for name, mean in means.items() if mean.value < 1}
    return min(below, key=lambda name: (below[name].value, -below[name].n), default=None)


def _factor_order(factor: str) -> tuple[int, str]:
    return (FACTORS.index(factor) if factor in FACTORS else len(FACTORS), factor)
