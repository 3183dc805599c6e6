"""The end of the demo: figures asked of the database, and how they are shown. Nothing is counted along the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from bot.adapters.slack.words import state
from bot.demo.stage import Stage
from bot.demo.tale import Tale
from bot.desk.shop import Benchmark
from bot.desk.states import Case
from bot.ports.records import Moment, Sale
from bot.ports.store import UnitOfWork
from bot.satisfaction import FACTORS, Figures, SaleVerdicts, Verdict, satisfaction, summary


@dataclass(frozen=True, slots=True)
class Ending:
    """How one sale ended: as the database has it."""

    sale: Sale
    cases: tuple[Case, ...]
    verdicts: tuple[Verdict, ...]
    waiting: tuple[Moment, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """All that the end shows. `touchpoints` are the words for the shop's touchpoints."""

    endings: tuple[Ending, ...]
    figures: Figures
    benchmark: Benchmark
    touchpoints: Mapping[str, str]
    messages: Mapping[str, int]


async def gather(stage: Stage, tales: Sequence[Tale]) -> Result:
    """Ask the database how the sales of `tales` ended."""

    def read(uow: UnitOfWork) -> tuple[tuple[Ending, ...], dict[str, int]]:
        endings = [_ending(uow, sale) for tale in tales if (sale := uow.sale(tale.sale)) is not None]
        kinds = [each.kind for tale in tales for each in uow.outgoing_of(tale.sale) if each.state == "sent"]
        return tuple(endings), {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}

    endings, messages = await stage.read(read)
    figures = summary(SaleVerdicts(each.sale.asked_at is not None, each.verdicts) for each in endings)
    shop = stage.shop
    touchpoints = {name: texts.get("en", name) for name, texts in shop.touchpoints.items()}
    return Result(endings, figures, shop.benchmark, touchpoints, messages)


def _ending(uow: UnitOfWork, sale: Sale) -> Ending:
    verdicts = tuple(Verdict(each.factors, each.at, each.cycle, each.touchpoint) for each in uow.verdicts_of(sale.id))
    waiting = tuple(each for each in uow.moments_of(sale.id) if each.state in ("planned", "held"))
    return Ending(sale, tuple(uow.cases_of(sale.id)), verdicts, waiting)


# Showing ----------------------------------------------------------------------------------------------------------


def shown(result: Result, tales: Sequence[Tale]) -> list[RenderableType]:
    """Give the end of the demo: the table, what limits, what is open and why, what to do next."""
    by_sale = {tale.sale: tale for tale in tales}
    return [
        Text(),
        Rule(Text("How it ended – asked of the database", "bold"), align="left", characters="━", style="dim"),
        _table(result, by_sale),
        *_limits(result),
        Text(),
        *_open(result, by_sale),
        *_next_steps(),
    ]


def _table(result: Result, tales: Mapping[str, Tale]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_footer=True, header_style="dim")
    table.add_column("sale", footer="mean where answered")
    limiting = result.figures.limiting_factor
    for factor in FACTORS:
        mean = result.figures.factors.get(factor)
        style = "bold red" if factor == limiting else ""
        table.add_column(factor, justify="right", footer=Text(_number(mean.value if mean else None), style))
    whole = result.figures.satisfaction
    table.add_column("= product", justify="right", footer=_number(whole.value if whole else None))
    complete = sum(each.sale.confirmed_at is not None for each in result.endings)
    table.add_column("complete?", footer=f"{complete} of {len(result.endings)}")
    for ending in result.endings:
        sale, tale = ending.sale, tales[ending.sale.id]
        name = Text(f"{tale.sign} {sale.id} {tale.first_name}", f"bold {tale.colour}").append(
            f"\n{sale.summary}", "not bold default"
        )
        cells = [_cell(sale.factors.get(factor)) for factor in FACTORS]
        is_complete = sale.confirmed_at is not None
        mark = Text("✔ yes", "bold green") if is_complete else Text("✖ not yet", "bold red")
        table.add_row(name, *cells, _cell(satisfaction(sale.factors)), mark)
    return table


def _cell(value: float | None) -> Text:
    return Text(_number(value), "bold red" if value == 0 else "dim" if value is None else "")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _limits(result: Result) -> list[RenderableType]:
    figures, target = result.figures, result.benchmark
    lines: list[RenderableType] = [
        Text("– not answered: unknown, neither 0 nor 1. One zero makes the product zero.", "dim"),
        Text(),
    ]
    if figures.limiting_factor:
        factor = figures.factors[figures.limiting_factor]
        line = Text.assemble("What limits: ", (f"{figures.limiting_factor} ({factor.value:.2f})", "bold red"))
        if figures.limiting_touchpoint:
            touchpoint = figures.touchpoints[figures.limiting_touchpoint]
            name = result.touchpoints.get(figures.limiting_touchpoint, figures.limiting_touchpoint)
            line.append("; of the touchpoints: ").append(f"{name.lower()} ({touchpoint.value:.2f})", "bold red")
        lines.append(line)
    elif figures.factors:
        lines.append(Text("What limits: nothing; every factor that was answered stands at 1."))
    else:
        lines.append(Text("What limits: not known, for nobody has answered."))
    if figures.satisfaction:
        lines.append(
            Text(f"Satisfaction {figures.satisfaction.value:.2f}, and the shop set out for {target.satisfaction:.2f}.")
        )
    if figures.coverage is not None:
        heard = (
            f"Coverage {figures.coverage:.2f}: {figures.answered} of {figures.sales} customers were asked and answered"
        )
        lines.append(Text(f"{heard}, and the shop set out for {target.coverage:.2f}."))
    asked = result.messages.get("question", 0)
    reminders = result.messages.get("reminder", 0)
    cases = sum(len(each.cases) for each in result.endings)
    took = f"{_counted(asked, 'question')}, {_counted(reminders, 'reminder')} and {_counted(cases, 'case')}"
    lines.append(Text(f"It took {took}."))
    return lines


def _counted(number: int, one: str) -> str:
    return f"{number} {one}{'' if number == 1 else 's'}"


def _open(result: Result, tales: Mapping[str, Tale]) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for ending in result.endings:
        name = f"{tales[ending.sale.id].sign} {ending.sale.summary}"
        zeros = [factor for factor in FACTORS if ending.sale.factors.get(factor) == 0]
        if ending.sale.confirmed_at is None:
            lines.append(Text.assemble(("Still open: ", "bold"), f"{name} – {_why_open(ending)}"))
        elif zeros:
            why = f"put right for this customer, but {' and '.join(zeros)} failed: mend it for the next one."
            lines.append(Text.assemble(("Complete, yet at zero: ", "bold"), f"{name} – {why}"))
    return [*lines, Text()] if lines else lines


def _why_open(ending: Ending) -> str:
    case = next((each for each in ending.cases if each.status != "confirmed"), None)
    if case is not None:
        return f"its case stands at “{state(case.status, 'en')}”. Nobody but the customer can complete it."
    if ending.sale.answered_at is None:
        return "the customer has not answered. Silence lowers coverage, never satisfaction."
    if ending.waiting:
        return "the customer is going to be asked again."
    return "the customer has not said that they have what they bought it for."


def _next_steps() -> list[RenderableType]:
    return [
        Text("Next, with a sale of your own: docs/quickstart.md – from zero to a real message."),
        Text("Then `aftersale sale show SALE` tells its whole story, message by message."),
    ]
