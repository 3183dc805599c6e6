"""`aftersale flows test`: run the tests beside the flows, show what differs, and tell which ways nobody walked."""

import time
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from bot.app.drafts import Drafts
from bot.cli.flow_opening import open_flows
from bot.cli.terminal import counted, say, show, stdout
from bot.errors import FlowError
from bot.trials.coverage import Coverage, coverage
from bot.trials.model import Trial
from bot.trials.parse import Known, read_trials
from bot.trials.trial import Result, Row, run_trial


def test_flows(names: Sequence[str], folder: Path | None) -> int:
    """Run the tests of the flows of these names (none: of all) and print what came of them.

    Gives 0 where all passed, 1 where one failed or cannot be read.

    Raises:
        NotFound: there is no flow of that name.
        ConfigurationError, FlowError: the folder or shop.yaml cannot be used.
    """
    opened = open_flows(folder)
    wanted = {opened.flow(name).name for name in names} or set(opened.flow_files.flows)
    trials, errors = _read(opened, wanted, is_all=not names)
    for error in errors:
        say(str(error), "red")
    begun = time.perf_counter()
    results = [run_trial(each, opened.shop, opened.flow_files) for each in trials]
    took = time.perf_counter() - begun
    for name in sorted(wanted):
        _show_flow(opened, name, [each for each in results if each.trial.flow == name])
    failed = sum(not each.passed for each in results)
    days = sum(each.days for each in results)
    summary = f"{counted(len(results) - failed, 'test')} passed, {failed} failed"
    unread = f", {counted(len(errors), 'error')} in files" if errors else ""
    style = "red" if failed or errors else "green"
    say(f"{summary}{unread}: {days:,.0f} simulated days in {took:.1f} s.", style)
    return 1 if failed or errors or opened.flow_files.errors else 0


def _read(opened: Drafts, wanted: set[str], *, is_all: bool) -> tuple[list[Trial], list[FlowError]]:
    known = Known(opened.shop, opened.flow_files.flows, opened.flow_files.phrases)
    trials: list[Trial] = []
    errors: list[FlowError] = []
    for file, text in opened.test_files():
        found, wrong = read_trials(text, file, known)
        trials += [each for each in found if each.flow in wanted]
        concerns = is_all or Path(file).name.partition(".")[0] in wanted or any(each.flow in wanted for each in found)
        errors += wrong if concerns else []
    return trials, errors


def _show_flow(opened: Drafts, name: str, results: Sequence[Result]) -> None:
    if not results:
        say(f"{name}: no tests yet → play one: aftersale flows play {name} --record {name}.tests.yaml", "yellow")
        return
    walked = coverage(opened.flow(name), [move for each in results for move in each.moves])
    failed = [each for each in results if not each.passed]
    style = "red" if failed else "yellow" if walked.missing else "green"
    say(f"{'✗' if failed else '✓'} {walked}, {counted(len(results), 'test')}", style)
    _show_missing(walked)
    for each in failed:
        say(f"  ✗ {each.trial.name}: {each.problem}", "red")
        say(f"    {each.place}" + (f"  {each.trial.about}" if each.trial.about else ""), "dim")
        show(_side_by_side(each.rows))


def _show_missing(walked: Coverage) -> None:
    for way in walked.missing:
        say(f"    nobody walks: {way}", "yellow")


def _side_by_side(rows: Sequence[Row]) -> Table:
    table = Table(box=None, show_header=True, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("", width=5)
    table.add_column("expected", ratio=1, overflow="fold")
    table.add_column("actual", ratio=1, overflow="fold")
    for row in rows:
        mark, style = {True: ("", ""), False: ("    ✗", "red"), None: ("", "dim")}[row.fits]
        table.add_row(*(Text(each, style=style) for each in (mark, row.expected, row.actual)))
    table.width = stdout().width
    return table
