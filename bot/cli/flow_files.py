"""`aftersale flows check`: every finding about flows, with its place, for their authors and their editors."""

import json
from collections.abc import Sequence
from pathlib import Path

from bot.adapters.shop_file import read_shop_file
from bot.app.flow_checks import check, sources
from bot.app.published import published_otherwise
from bot.cli.terminal import counted, remark, say
from bot.errors import FollowUpError
from bot.flows.schema import flow_schema
from bot.settings import Settings


def check_files(given: Sequence[Path]) -> int:
    """Check flows and print every finding; gives 1 where one of them is an error, else 0.

    Args:
        given: files and folders; none: FLOWS_DIR, or else the shipped library.

    Raises:
        NotFound: one of them is not there, or there is no flow in it.
    """
    settings = Settings.load()
    try:
        shop = read_shop_file(settings.shop_file)
    except FollowUpError as error:
        remark(f"! Languages and touchpoints are not checked: {error}", "yellow")
        shop = None
    checked = check(sources(given, settings.flows_dir), shop)
    for each in checked.findings:
        say(str(each), "red" if each.severity == "error" else "yellow")
        for line in each.within(checked.texts.get(each.file, "")):
            say(line, "dim")
    errors, warnings = checked.count("error"), checked.count("warning")
    if not given and not errors:
        _say_what_is_not_published(settings)
    style = "red" if errors else "green"
    say(f"{counted(checked.files, 'file')}: {counted(errors, 'error')}, {counted(warnings, 'warning')}.", style)
    return 1 if errors else 0


def _say_what_is_not_published(settings: Settings) -> None:
    """Say where a file says something else than what runs; that a database is out of reach is no more than a remark."""
    try:
        problems = published_otherwise(settings)
    except FollowUpError as error:
        remark(f"! Whether these files are what runs is not known: {error}", "dim")
        return
    for problem in problems:
        say(f"! {problem}", "yellow")


def print_schema() -> int:
    """Print the JSON Schema of a flow file."""
    print(json.dumps(flow_schema(), indent=2, ensure_ascii=False))
    return 0
