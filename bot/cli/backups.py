"""`aftersale backup` and `aftersale restored`: a copy of the database, and taking up work on one that was restored."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import typer
from rich.progress import Progress

from bot.adapters.clock import SystemClock
from bot.app.base import Base
from bot.app.service import POLLING
from bot.cli.opening import opened
from bot.cli.terminal import clock, counted, grid, remark, say, short, show, stderr
from bot.errors import FollowUpError, InputRefused
from bot.overdue import BACKUP_TAKEN_AT, Restored, restored
from bot.ports.records import Outgoing
from bot.settings import Settings
from storage.backup import copy_database

_SHOWN = 30

_LOST = """What came in after the backup is not in it, and nobody can bring all of it back:
  · Orders: let the shop send its events since then once more. Repeats change nothing.
  · What customers wrote or tapped: Telegram does not hand it out again. Who was asked is reminded, and can answer then.
  · Who linked a chat: they tap their link again. Who said /stop: the bot writes to them again. Where a case was
    open its thread in Slack says so; ask them to say it once more.
  · Cases: a card in Slack that is newer than the backup does nothing any more. Go through the channels by hand."""


def back_up(file: Path) -> None:
    """Copy the database into `file`, while the program runs.

    Raises:
        ConfigurationError, InputRefused: there is nothing to copy, or the file will not do.
    """
    now = SystemClock().now()
    with Progress(console=stderr(), transient=True) as shown:
        task = shown.add_task("Copying", total=None)
        size = copy_database(
            Settings.load().database_url,
            file,
            taken_at=now,
            mark=BACKUP_TAKEN_AT,
            progress=lambda done, total: shown.update(task, completed=done, total=total),
        )
    say(f"✔ {file}, {size / 1_000_000:.1f} MB, as of {now.isoformat(timespec='seconds')}.", "green")
    say("It holds names and what customers said: keep it encrypted. After a restore: aftersale restored.", "dim")


def take_up(backup_taken_at: str | None, *, yes: bool) -> None:
    """Settle, after a restore, what may have been sent after the backup; tell what is in doubt and what is lost.

    Raises:
        InputRefused: the time is missing or cannot be right.
        FollowUpError: the program is running, or nobody answered the question.
    """
    with opened() as base, _nobody_else(base):
        now = base.house.clock.now()
        known = base.database.run_now(lambda uow: uow.note(BACKUP_TAKEN_AT))
        taken_at = _time(backup_taken_at or known, base.house.shop.time_zone, now)
        at = clock(base.house.shop.time_zone)
        if not yes:
            _ask(f"The backup was taken {at(taken_at)}. Take up work from there?")
        done = base.database.run_now(lambda uow: restored(uow, base.house, taken_at, now))
        _tell(done)


@contextmanager
def _nobody_else(base: Base) -> Iterator[None]:
    """Make sure that no program works on the database meanwhile."""
    with base.database.reserved():
        if not base.database.duties.hold(POLLING):
            raise FollowUpError("aftersale runs on this database → stop it first; nothing was changed")
        yield


def _time(text: str | None, zone: str, now: datetime) -> datetime:
    field = "--backup-taken-at"
    if not text:
        raise InputRefused([(field, "say when the backup was taken, for example 2026-11-24T03:00")])
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise InputRefused([(field, f"{text!r} is no time; write it as 2026-11-24T03:00")]) from None
    at = given if given.tzinfo else given.replace(tzinfo=ZoneInfo(zone))
    if at > now:
        raise InputRefused([(field, f"{text} is yet to come")])
    return at


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise FollowUpError(f"{question} → nothing was changed; add --yes to say so beforehand")
    typer.confirm(question, abort=True)


def _tell(done: Restored) -> None:
    say(f"✔ {counted(len(done.in_doubt), 'message')} to customers may have been sent after the backup: not sent again.")
    _list(done.in_doubt)
    say(f"✔ {counted(len(done.repeated), 'message')} of staff and to Slack will go out, as possible repeats.")
    _list(done.repeated)
    if done.moments:
        say(f"· {counted(done.moments, 'moment')} came due since; what they would say counts as said, and is not sent.")
    say("Messages in doubt: aftersale outbox list --state unknown. Now: aftersale run")
    remark(_LOST, "yellow")


def _list(messages: Sequence[Outgoing]) -> None:
    if not messages:
        return
    table = grid("id", "kind", "sale", "what")
    for each in messages[:_SHOWN]:
        table.add_row(str(each.id), each.kind, each.sale_id or "–", f"“{short(each.body.get('text') or each.key, 60)}”")
    show(table)
    if len(messages) > _SHOWN:
        say(f"  … and {len(messages) - _SHOWN} more", "dim")
