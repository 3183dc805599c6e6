"""`aftersale report`: the figures, against the benchmark that the firm set for itself."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from bot.app.base import Base
from bot.app.story import number
from bot.cli.opening import opened
from bot.cli.terminal import counted, grid, heading, say, show, write_json
from bot.desk.shop import Benchmark, Shop
from bot.desk.states import Case
from bot.ports.store import UnitOfWork
from bot.satisfaction import FACTORS, Figures, Mean, SaleVerdicts, Verdict, summary

_BAR_WIDTH = 20
_BATCH = 500
_AGES: tuple[tuple[timedelta, str], ...] = (
    (timedelta(days=1), "under a day"),
    (timedelta(days=3), "1 to 3 days"),
    (timedelta(days=7), "3 to 7 days"),
    (timedelta.max, "over a week"),
)
_CLOSED = ("confirmed", "unconfirmed")


@dataclass(frozen=True, slots=True)
class Report:
    """All figures. `silent`: asked, and not one answer. `open_cases` counts by team, and there by age."""

    at: datetime
    figures: Figures
    linked: int
    complete: int
    silent: int
    broken_promises: Sequence[Mapping[str, Any]]
    open_cases: Mapping[str, Mapping[str, int]]
    benchmark: Benchmark


def show_report(*, as_json: bool) -> None:
    """Print the figures over all sales."""
    with opened() as base:
        told = gather(base)
    if as_json:
        write_json(told)
    else:
        _print(told, base.house.shop)


def gather(base: Base) -> Report:
    """Read the figures; the parts are read one after the other, so that nothing waits for a report."""
    now = base.house.clock.now()
    sales = base.database.reports().sales_for_figures()
    ids = [each["id"] for each in sales]
    verdicts: dict[str, list[Verdict]] = {}
    cases: list[Case] = []
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        found = base.database.run_now(partial(_details, batch))
        verdicts |= found[0]
        cases += found[1]
    return Report(
        at=now,
        figures=summary(SaleVerdicts(each["asked"], tuple(verdicts[each["id"]])) for each in sales),
        linked=base.database.reports().counts()["linked"],
        complete=sum(each["confirmed"] for each in sales),
        silent=sum(each["asked"] and not each["answered"] for each in sales),
        broken_promises=[{"sale": each["id"], **broken} for each in sales for broken in each["broken_promises"]],
        open_cases=_by_team_and_age(cases, now),
        benchmark=base.house.shop.benchmark,
    )


def _details(sale_ids: Sequence[str], uow: UnitOfWork) -> tuple[dict[str, list[Verdict]], list[Case]]:
    uow.read_ahead(sales=sale_ids)
    verdicts = {
        sale_id: [Verdict(each.factors, each.at, each.cycle, each.touchpoint) for each in uow.verdicts_of(sale_id)]
        for sale_id in sale_ids
    }
    return verdicts, [case for sale_id in sale_ids for case in uow.cases_of(sale_id) if case.status not in _CLOSED]


def _by_team_and_age(cases: Sequence[Case], now: datetime) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for case in cases:
        age = next(name for limit, name in _AGES if now - case.opened_at < limit)
        found.setdefault(case.team, Counter())[age] += 1
    return {team: {name: found[team][name] for _, name in _AGES} for team in sorted(found)}


# Printing ---------------------------------------------------------------------------------------------------------


def _print(told: Report, shop: Shop) -> None:
    figures = told.figures
    say(f"{shop.name}: {counted(figures.sales, 'sale')}", "bold")
    if not figures.sales:
        say("Add some with: aftersale sale add, or aftersale import")
        return
    table = grid("what", "how many", "share")
    for name, count in (
        ("linked", told.linked),
        ("asked", figures.asked),
        ("answered", figures.answered),
        ("silent", told.silent),
        ("complete", told.complete),
    ):
        table.add_row(name, str(count), bar(count / figures.sales))
    show(table)
    heading("Against the benchmark")
    table = grid("what", "value", "bar", "goal")
    satisfaction = figures.satisfaction.value if figures.satisfaction else None
    for name, value, goal in (
        ("satisfaction", satisfaction, told.benchmark.satisfaction),
        ("coverage", figures.coverage, told.benchmark.coverage),
    ):
        table.add_row(name, number(value), bar(value), _against(value, goal))
    show(table)
    _print_means("By factor", {name: figures.factors.get(name) for name in FACTORS}, figures.limiting_factor)
    touchpoints = {shop.touchpoint_label(name, ""): mean for name, mean in figures.touchpoints.items()}
    limiting = figures.limiting_touchpoint
    _print_means("By touchpoint", touchpoints, shop.touchpoint_label(limiting, "") if limiting else None)
    _print_work(told)


def _against(value: float | None, goal: float) -> str:
    if value is None:
        return f"goal {number(goal)}; nobody has answered yet"
    return f"goal {number(goal)}: " + ("reached" if value >= goal else f"{number(goal - value)} short")


def _print_means(title: str, means: Mapping[str, Mean | None], limiting: str | None) -> None:
    if not means:
        return
    heading(title)
    table = grid("what", "value", "bar", "from")
    for name, mean in means.items():
        limits = "  ← limits" if name == limiting else ""
        value = mean.value if mean else None
        table.add_row(name, number(value), bar(value), f"{counted(mean.n if mean else 0, 'sale')}{limits}")
    show(table)


def _print_work(told: Report) -> None:
    heading(f"Broken promises: {len(told.broken_promises)}")
    table = grid("sale", "touchpoint", "promise")
    for each in told.broken_promises:
        table.add_row(str(each["sale"]), str(each.get("touchpoint") or "–"), str(each["text"]))
    if told.broken_promises:
        show(table)
    heading(f"Open cases: {sum(sum(ages.values()) for ages in told.open_cases.values())}")
    table = grid("team", *(name for _, name in _AGES), header=True)
    for team, ages in told.open_cases.items():
        table.add_row(team, *(str(count or "–") for count in ages.values()))
    if told.open_cases:
        show(table)


def bar(share: float | None) -> str:
    """Draw a share from 0 to 1 as a bar; nothing where it is unknown."""
    if share is None:
        return ""
    full = round(max(0.0, min(1.0, share)) * _BAR_WIDTH)
    return "█" * full + "░" * (_BAR_WIDTH - full)
