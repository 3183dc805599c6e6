"""The commands of the terminal: their names, options and help, and the one place where errors become words.

What a command does stands in a module of this package that is imported only when the command runs, so that
``aftersale --help`` is there at once. Exit codes: 0 fine; 1 the thing asked for is not there, or it failed; 2 wrong
settings or usage.
"""

# ruff: noqa: PLC0415 - what a command needs is imported when it runs; telegram, Slack and SQL take longer than the help

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bot import __version__
from bot.cli.faults import known, unexpected
from bot.errors import FollowUpError

_SALES, _LOOK, _FLOWS, _WORK = "Sales", "Look", "Flows and queues", "Run it"

app = typer.Typer(
    name="aftersale",
    help="Stays with each sale until the customer says that it is complete.",
    epilog="Begin with: aftersale demo. Settings come from the environment and .env; aftersale doctor checks them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
sale = typer.Typer(help="Take in what happened to a sale, and read its story.", no_args_is_help=True)
flows = typer.Typer(help="Check, test, play and draw what the bot says and when.", no_args_is_help=True)
outbox = typer.Typer(help="See what waits to be sent, or could not be; try again.", no_args_is_help=True)
inbox = typer.Typer(help="See what came in and could not be handled; try again.", no_args_is_help=True)
route = typer.Typer(help="See whose an unhappy reply is, and why.", no_args_is_help=True)
app.add_typer(sale, name="sale", rich_help_panel=_SALES)
app.add_typer(route, name="route", rich_help_panel=_LOOK)
app.add_typer(flows, name="flows", rich_help_panel=_FLOWS)
app.add_typer(outbox, name="outbox", rich_help_panel=_FLOWS)
app.add_typer(inbox, name="inbox", rich_help_panel=_FLOWS)

_Sale = Annotated[str, typer.Argument(metavar="SALE", help="The order's id.")]
_Json = Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; do it.")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code; no error ever leaves here as a stack trace.

    Args:
        arguments: what was typed after ``aftersale``; None: taken from the command line.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal without UTF-8 shall show a ? for a flag or an arrow, not stop the command.
            stream.reconfigure(errors="replace")
    try:
        app(args=arguments, prog_name="aftersale")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except FollowUpError as error:
        return known(error)
    except Exception as error:  # noqa: BLE001 - the outermost place: whatever it is, the user gets one clear message
        return unexpected(error)
    return 0


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - Typer hands the flag over
    if wanted:
        typer.echo(f"aftersale {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Stays with each sale until the customer says that it is complete."""


# Run it -----------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel=_WORK)
def demo(
    *,
    speed: Annotated[
        float, typer.Option(min=0.1, help="How fast to read along in a terminal; 2 halves the pauses.")
    ] = 1,
    flows: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Play these flows instead of the shipped.", exists=True, file_okay=False),
    ] = None,
) -> None:
    """Play four sales from buy to “it is complete”: both sides, on this machine, no token needed."""
    from bot.demo import run_demo

    raise typer.Exit(run_demo(speed=speed, flows_dir=flows))


@app.command(rich_help_panel=_WORK)
def run() -> None:
    """Run the bot with the settings in .env, until SIGTERM or Ctrl+C; what is in flight is finished first."""
    from bot.cli.running import run_service

    run_service()


@app.command(rich_help_panel=_WORK)
def doctor() -> None:
    """Check settings, database, shop.yaml, flows, clock, Telegram and Slack; say what to do. Changes nothing."""
    from bot.cli.checks import examine

    raise typer.Exit(examine())


@app.command(rich_help_panel=_WORK)
def migrate() -> None:
    """Bring the database's tables to what this version needs."""
    from bot.cli.running import migrate_database

    migrate_database()


@app.command(rich_help_panel=_WORK)
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that is not there yet.")],
) -> None:
    """Copy a SQLite database into one file, as it stands now, while the bot runs. For PostgreSQL use pg_dump."""
    from bot.cli.backups import back_up

    back_up(file)


@app.command(rich_help_panel=_WORK)
def restored(
    *,
    backup_taken_at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Like 2026-11-24T03:00; copies made by aftersale backup know it themselves."),
    ] = None,
    yes: _Yes = False,
) -> None:
    """After a restore, before the bot runs: what may have been sent after the backup is not sent twice."""
    from bot.cli.backups import take_up

    take_up(backup_taken_at, yes=yes)


# Sales ------------------------------------------------------------------------------------------------------------


@sale.command("add")
def sale_add(
    file: Annotated[str, typer.Argument(metavar="[FILE|-]", help="Native event JSON; - or nothing reads stdin.")] = "-",
) -> None:
    """Take in order events as JSON: one object, an array, or JSON lines. All of them or none."""
    from bot.cli.intake import add_events

    add_events(file)


@sale.command("show")
def sale_show(sale: _Sale, *, json: _Json = False) -> None:
    """Tell the story of a sale: who, what was promised, what both sides said, and what happens next and when."""
    from bot.cli.story import show_sale

    show_sale(sale, as_json=json)


@app.command(rich_help_panel=_SALES)
def link(
    sale: _Sale,
    *,
    qr: Annotated[
        Path | None, typer.Option("--qr", metavar="FILE", help="Also save the QR code: FILE.png or FILE.svg.")
    ] = None,
    terminal: Annotated[
        bool | None, typer.Option("--terminal/--no-terminal", help="Draw the QR code here (as a rule in a terminal).")
    ] = None,
) -> None:
    """Make a link and QR code with which the customer joins their Telegram chat to the sale."""
    from bot.cli.linking import make_chat_link

    make_chat_link(sale, qr, draw=terminal)


@app.command("import", rich_help_panel=_SALES)
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, JSON lines or a JSON array of native events.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run/--no-dry-run", help="Only tell what would happen.")] = False,
    yes: _Yes = False,
) -> None:
    """Take in many order events from a file.

    Tells first whom it would write to. A file with any mistake is refused whole. Stopped while it stores, the same
    command given again goes on from there.
    """
    from bot.cli.importing import import_file

    import_file(file, dry_run=dry_run, yes=yes)


# Look -------------------------------------------------------------------------------------------------------------


@app.command(rich_help_panel=_LOOK)
def why(sale: _Sale, *, json: _Json = False) -> None:
    """Tell, for each message of a sale that was sent or not sent, the one reason and the next moment."""
    from bot.cli.story import show_why

    show_why(sale, as_json=json)


@app.command(rich_help_panel=_LOOK)
def report(*, json: _Json = False) -> None:
    """Show the figures: coverage, satisfaction, what limits it, broken promises, open cases."""
    from bot.cli.figures import show_report

    show_report(as_json=json)


@route.command("explain")
def route_explain(
    sale: Annotated[
        str | None, typer.Argument(metavar="[SALE]", help="The order's id; left out: no sale at all.")
    ] = None,
    *,
    touchpoint: Annotated[str | None, typer.Option("--touchpoint", help="As if the reply named this one.")] = None,
    factor: Annotated[
        str | None, typer.Option("--factor", help="As if this were the worst: promise, service …")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="As if this had been bought.")] = None,
    shop: Annotated[str | None, typer.Option("--shop", help="As if this shop had sold it.")] = None,
    promise: Annotated[
        str | None, typer.Option("--promise", help="As if this promise of the sale were broken.")
    ] = None,
    json: _Json = False,
) -> None:
    """Tell which team an unhappy reply goes to, by which rule of shop.yaml, and why not by each of the others."""
    from bot.cli.routes import Asked, explain_route

    explain_route(sale, Asked(touchpoint, factor, tuple(tag or ()), shop, promise), as_json=json)


# Hold it --------------------------------------------------------------------------------------------------------

_All = Annotated[bool, typer.Option("--all", help="Everything.")]
_OneFlow = Annotated[str | None, typer.Option("--flow", metavar="NAME", help="What this flow says.")]
_OneSale = Annotated[str | None, typer.Option("--sale", metavar="ID", help="What is said about this order.")]
_OneImport = Annotated[str | None, typer.Option("--import", metavar="NAME", help="What a large import began.")]


@app.command(rich_help_panel=_WORK)
def pause(
    *,
    everything: _All = False,
    flow: _OneFlow = None,
    sale: _OneSale = None,
    batch: _OneImport = None,
    reason: Annotated[str, typer.Option(help="Why; it stands at each message that waits.")] = "",
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it ends by itself: 2d, or 2026-12-27T08:00.")
    ] = None,
) -> None:
    """Hold questions, reminders and notices. Nothing is lost; answers, staff's replies, cases and /stop go on."""
    from bot.cli.pausing import hold

    hold((("all", "" if everything else None), ("flow", flow), ("sale", sale), ("import", batch)), reason, until)


@app.command(rich_help_panel=_WORK)
def resume(*, everything: _All = False, flow: _OneFlow = None, sale: _OneSale = None, batch: _OneImport = None) -> None:
    """End a pause: what waited goes out one after the other. Without an option: what is paused."""
    from bot.cli.pausing import let_go

    let_go((("all", "" if everything else None), ("flow", flow), ("sale", sale), ("import", batch)))


# Flows and queues --------------------------------------------------------------------------------------------------


@flows.command("check")
def flows_check(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILES]…", help="Flows or folders; else FLOWS_DIR, or the shipped.")
    ] = None,
) -> None:
    """Check flows: every finding with file, line and column, and what to do about it."""
    from bot.cli.flow_files import check_files

    raise typer.Exit(check_files(files or []))


@flows.command("schema")
def flows_schema() -> None:
    """Print the JSON Schema of flow files, with which editors complete and mark as you type."""
    from bot.cli.flow_files import print_schema

    raise typer.Exit(print_schema())


@outbox.command("list")
def outbox_list(
    *,
    state: Annotated[
        list[str] | None,
        typer.Option(help="waiting, sending, sent, unknown, refused, dropped, held or failed; may be given again."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    json: _Json = False,
) -> None:
    """List messages and what to do; without --state those that need a look: unknown, failed, held, sending, waiting."""
    from bot.cli.queues import list_outbox

    list_outbox(state or [], limit, as_json=json)


@outbox.command("retry")
def outbox_retry(
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID]…", help="As outbox list shows them.")] = None,
    *,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="Every message in state failed.")] = False,
    yes: _Yes = False,
) -> None:
    """Send messages again. One whose outcome is unknown may arrive twice, so that is asked for first."""
    from bot.cli.queues import retry_outbox

    retry_outbox(ids or [], all_failed=all_failed, yes=yes)


@inbox.command("list")
def inbox_list(
    *,
    state: Annotated[list[str] | None, typer.Option(help="new, done, ignored or failed; may be given again.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    json: _Json = False,
) -> None:
    """List what came in, and what to do; without --state what is not done: failed and new."""
    from bot.cli.queues import list_inbox

    list_inbox(state or [], limit, as_json=json)


@inbox.command("retry")
def inbox_retry(
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID]…", help="As inbox list shows them.")] = None,
    *,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="Everything in state failed.")] = False,
) -> None:
    """Let what came in and failed be handled again."""
    from bot.cli.queues import retry_inbox

    retry_inbox(ids or [], all_failed=all_failed)


# Trying flows out ---------------------------------------------------------------------------------------------------

_Folder = Annotated[
    Path | None,
    typer.Option("--dir", metavar="FOLDER", help="Flows of this folder, instead of FLOWS_DIR or the shipped.",
                 exists=True, file_okay=False),
]  # fmt: skip


@flows.command("test")
def flows_test(
    names: Annotated[list[str] | None, typer.Argument(metavar="[FLOW]…", help="Flows by name; else all.")] = None,
    *,
    folder: _Folder = None,
) -> None:
    """Run the tests that lie beside flows (NAME.tests.yaml), in simulated time, and tell which ways nobody walks."""
    from bot.cli.flow_tests import test_flows

    raise typer.Exit(test_flows(names or [], folder))


@flows.command("play")
def flows_play(  # noqa: PLR0913 - the options of the command
    name: Annotated[str, typer.Argument(metavar="FLOW", help="The flow to play, by name.")],
    *,
    folder: _Folder = None,
    start: Annotated[str, typer.Option(help="When it begins, on the customer's clock.")] = "2026-11-23 10:00",
    customer: Annotated[str, typer.Option("--name", help="The customer's name.")] = "Freja Holm",
    locale: Annotated[str, typer.Option(help="The order's language: en, da …")] = "en",
    country: Annotated[str, typer.Option(help="Two letters: DK, US …")] = "DK",
    zone: Annotated[str | None, typer.Option(help="The customer's time zone: America/New_York …")] = None,
    summary: Annotated[str, typer.Option(help="What was bought.")] = "two bottles of Barolo",
    tag: Annotated[list[str] | None, typer.Option(help="A tag of what was bought; may be given again.")] = None,
    first_use_after: Annotated[str | None, typer.Option(help="How soon the product is used: 5d …")] = None,
    consents: Annotated[str, typer.Option(help="all, service, none, or unlinked: the chat is not linked yet.")] = "all",
    event: Annotated[str | None, typer.Option(help="What happens first; else what the flow starts on.")] = None,
    others: Annotated[list[str] | None, typer.Option("--with", help="Another flow that may begin too, or all.")] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what was played as a test, at the end of this file.")
    ] = None,
) -> None:
    """Be the customer, with time in your hand: next, +2d, tomorrow 9:00, tap, write; each message says why it comes."""
    from bot.cli.flow_play import Wish, play_flow

    wish = Wish(
        start=start,
        name=customer,
        locale=locale,
        country=country,
        zone=zone,
        summary=summary,
        tags=tag if tag is not None else ["wine"],
        first_use_after=first_use_after,
        consents=consents,
        event=event,
        others=others or [],
        record=record,
    )
    raise typer.Exit(play_flow(name, folder, wish))


@flows.command("graph")
def flows_graph(
    name: Annotated[str, typer.Argument(metavar="FLOW", help="The flow to draw, by name.")],
    *,
    folder: _Folder = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw a picture into this file.")] = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Write Mermaid text; so also without --svg.")] = False,
    language: Annotated[str | None, typer.Option(help="The language of the texts: en, da …")] = None,
) -> None:
    """Draw a flow with its times on the arrows: Mermaid text to stdout, or an SVG picture."""
    from bot.cli.flow_graph import draw_flow

    if svg is not None and mermaid:
        raise typer.BadParameter("give --svg or --mermaid, not both")
    draw_flow(name, folder, svg, language)
