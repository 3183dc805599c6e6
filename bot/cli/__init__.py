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
flows = typer.Typer(help="Check, try, publish and take back what the bot says and when.", no_args_is_help=True)
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
    terminal: Annotated[
        bool | None,
        typer.Option("--terminal/--page", help="Tell the story here, or open the page; in a terminal, the page."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where the page is served; 0 takes any free one.")] = 0,
) -> None:
    """Play with both sides, on a page on this machine: be customer and staff, and move the clock. No token needed.

    With --terminal, or where there is no terminal, four sales are told here instead, from buy to “it is complete”.
    """
    has_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if terminal if terminal is not None else not has_terminal:
        from bot.demo import run_demo

        raise typer.Exit(run_demo(speed=speed, flows_dir=flows))
    from bot.cli.playing import open_sandbox

    raise typer.Exit(open_sandbox(flows_dir=flows, port=port))


@app.command(rich_help_panel=_WORK)
def run() -> None:
    """Run the bot with the settings in .env, until SIGTERM or Ctrl+C; what is in flight is finished first."""
    from bot.cli.running import run_service

    run_service()


@app.command(rich_help_panel=_WORK)
def console_link(
    *,
    role: Annotated[str, typer.Option(help="admin, staff or reader: what whoever uses it may do.")] = "admin",
    name: Annotated[str, typer.Option(help="Who it is for; shown in the console and kept in the log.")] = "",
) -> None:
    """Make a link into the console of the running program: good once, for ten minutes."""
    from bot.cli.linking import make_console_link

    make_console_link(role, name)


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
    from bot.cli.sale_story import show_sale

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
    from bot.cli.sale_story import show_why

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


# Versions of flows --------------------------------------------------------------------------------------------------

_Note = Annotated[str, typer.Option(metavar="WORDS", help="Why: stands in the history.")]
_By = Annotated[str | None, typer.Option(metavar="NAME", help="Who publishes; else the name of your account.")]


@flows.command("list")
def flows_list(
    name: Annotated[
        str | None, typer.Argument(metavar="[FLOW]", help="Its whole history; else what runs of each.")
    ] = None,
    *,
    json: _Json = False,
) -> None:
    """Tell which version of each flow runs, since when, by whom and why, and how many conversations are on it."""
    from bot.cli.flow_versions import list_flows

    list_flows(name, as_json=json)


@flows.command("diff")
def flows_diff(
    names: Annotated[list[str] | None, typer.Argument(metavar="[FLOW]…", help="Flows by name; else all.")] = None,
    *,
    start: Annotated[str | None, typer.Option("--from", metavar="VERSION", help="v2 …; else what runs.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="VERSION", help="v3 …, or file (as a rule).")] = None,
) -> None:
    """Show what differs between what runs and the files, or between two versions: steps, times, words by language."""
    from bot.cli.flow_versions import show_differences

    show_differences(names or [], start, end)


@flows.command("publish")
def flows_publish(
    names: Annotated[list[str] | None, typer.Argument(metavar="[FLOW]…", help="Flows by name; else all.")] = None,
    *,
    note: _Note = "",
    by: _By = None,
    moves: Annotated[bool, typer.Option("--move", help="Also move those conversations that can go on in it.")] = False,
    yes: _Yes = False,
) -> None:
    """Let what the files say run for new conversations. Refused while check or tests fail; shows the difference first.

    Who has begun stays on their version. From then on, an edit of the flow's file waits until it is published, too.

    A flow whose file is gone goes out of use, if you name it.
    """
    from bot.cli.flow_publish import publish_flows

    raise typer.Exit(publish_flows(names or [], note=note, by=by, moves=moves, yes=yes))


@flows.command("restore")
def flows_restore(
    name: Annotated[str, typer.Argument(metavar="FLOW", help="The flow, by name.")],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="v2 …, as flows list FLOW shows them.")],
    *,
    note: _Note = "",
    by: _By = None,
    discard_edits: Annotated[
        bool, typer.Option("--discard-edits", help="Write over edits of the file that no version keeps.")
    ] = False,
    yes: _Yes = False,
) -> None:
    """Take an old version back: it runs again under a new number, and the file says it again. History stays."""
    from bot.cli.flow_publish import restore_flow

    raise typer.Exit(restore_flow(name, version, note=note, by=by, discard_edits=discard_edits, yes=yes))


@flows.command("move")
def flows_move(
    name: Annotated[str, typer.Argument(metavar="FLOW", help="The flow, by name.")],
    *,
    start: Annotated[str, typer.Option("--from", metavar="VERSION", help="What they are on: v3 …")],
    end: Annotated[str | None, typer.Option("--to", metavar="VERSION", help="v4 …; else what runs.")] = None,
    sale: Annotated[str | None, typer.Option(metavar="SALE", help="Only those of this order.")] = None,
    by: _By = None,
    yes: _Yes = False,
) -> None:
    """Let conversations go on in another version: those whose open step is there. Shows the difference first."""
    from bot.cli.flow_move import move_conversations

    raise typer.Exit(move_conversations(name, start, end, sale, by=by, yes=yes))
