"""`aftersale outbox` and `aftersale inbox`: what waits or failed and what to do about it, and trying again.

However much waits, a list takes the time of what it shows: it reads beside the running program, without its lock.
"""

import dataclasses
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, get_args

import typer

from bot.app import advice
from bot.app.again import CAN_GO_AGAIN, send_again
from bot.cli.opening import opened
from bot.cli.terminal import clock, counted, grid, say, short, show, write_json
from bot.errors import FollowUpError, InputRefused, NotFound
from bot.ports.records import Incoming, Outgoing, OutgoingState
from bot.ports.store import UnitOfWork
from storage.database import SqlDatabase
from storage.reports import COUNTED_UP_TO, Queue

_LOOKED_AT = ("unknown", "failed", "held", "sending", "waiting")
_INBOX_LOOKED_AT = ("failed", "new")
_INBOX_STATES = ("new", "done", "ignored", "failed")
_BATCH = 1000
"""How many rows one transaction lets go again, so that the running program never waits long."""

Row = TypeVar("Row", Incoming, Outgoing)


def list_outbox(states: Sequence[str], limit: int, *, as_json: bool) -> None:
    """List messages in any of `states`.

    Raises:
        InputRefused: there is no such state.
    """
    wanted = _checked(states, get_args(OutgoingState)) or _LOOKED_AT
    with opened() as base:
        reports = base.database.reports()
        found, numbers = reports.outbox(wanted, limit), reports.numbers("outbox", _LOOKED_AT)
        at = clock(base.house.shop.time_zone)
    if as_json:
        write_json(_with_advice(found, advice.on_outgoing))
        return
    if not found:
        say(f"No message is {' or '.join(wanted)}.")
    else:
        table = grid("id", "state", "kind", "sale", "not before", "why and what", header=True)
        for each in found:
            why = f"{each.reason}: " if each.reason else ""
            said = f"{why}“{short(each.body.get('text') or each.key, 60)}”"
            table.add_row(str(each.id), each.state, each.kind, each.sale_id or "–", at(each.not_before), said)
        show(table)
    _print_end(numbers, limit if len(found) == limit else None)
    _print_advice(found, advice.on_outgoing)


def retry_outbox(ids: Sequence[int], *, all_failed: bool, yes: bool) -> None:
    """Let messages be sent again; whatever might arrive twice is asked for first.

    Raises:
        NotFound: one of the ids is no message; nothing was changed.
        FollowUpError: one of them is sent, or will never go out, or nobody answered the question.
    """
    if not ids and not all_failed:
        raise InputRefused([("ID", "name a message, or give --all-failed")])
    with opened() as base:
        now = base.house.clock.now()
        chosen = base.database.run_now(lambda uow: _chosen(uow, ids))
        doubtful = [each for each in chosen if each.state == "unknown"]
        if doubtful and not yes:
            _ask(doubtful)
        numbers = [each.id for each in chosen if each.id is not None]
        done = base.database.run_now(lambda uow: send_again(uow, numbers, now))
        if all_failed:
            done += _all_failed(base.database, "outbox", lambda uow, some: send_again(uow, some, now))
    say(f"✔ {counted(done, 'message')} will be tried again while aftersale run runs." if done else "Nothing to retry.")


def _chosen(uow: UnitOfWork, ids: Sequence[int]) -> list[Outgoing]:
    found = {}
    for number in ids:
        message = uow.outgoing(number)
        if message is None:
            raise NotFound(f"there is no message {number} in the outbox → aftersale outbox list shows them")
        if message.state not in CAN_GO_AGAIN:
            why = f" ({message.reason})" if message.reason else ""
            raise FollowUpError(f"message {number} is {message.state}{why}; only {_listed(CAN_GO_AGAIN)} go again")
        found[number] = message
    return list(found.values())


def _ask(doubtful: Sequence[Outgoing]) -> None:
    for each in doubtful:
        say(f"{each.id}: {each.reason or 'nobody knows whether it arrived'}: “{short(each.body.get('text') or '')}”")
    question = f"{counted(len(doubtful), 'message')} may have arrived already, and would then arrive twice. Send again?"
    if not sys.stdin.isatty():
        raise FollowUpError(f"{question} → nothing was changed; add --yes to say so beforehand")
    typer.confirm(question, abort=True)


def list_inbox(states: Sequence[str], limit: int, *, as_json: bool) -> None:
    """List what came in and is in any of `states`.

    Raises:
        InputRefused: there is no such state.
    """
    wanted = _checked(states, _INBOX_STATES) or _INBOX_LOOKED_AT
    with opened() as base:
        reports = base.database.reports()
        found, numbers = reports.inbox(wanted, limit), reports.numbers("inbox", _INBOX_LOOKED_AT)
        at = clock(base.house.shop.time_zone)
    if as_json:
        write_json(_with_advice(found, advice.on_incoming))
        return
    if not found:
        say(f"Nothing in the inbox is {' or '.join(wanted)}.")
    else:
        table = grid("id", "state", "from", "key", "received", "tries", "why", header=True)
        for each in found:
            key, why = short(each.key, 30), each.error or "–"
            table.add_row(str(each.id), each.state, each.source, key, at(each.received_at), str(each.attempts), why)
        show(table)
    _print_end(numbers, limit if len(found) == limit else None)
    _print_advice(found, advice.on_incoming)


def retry_inbox(ids: Sequence[int], *, all_failed: bool) -> None:
    """Let what failed be handled again.

    Raises:
        NotFound: one of them is not in the inbox as failed or ignored; nothing was changed.
    """
    if not ids and not all_failed:
        raise InputRefused([("ID", "name what is to be handled again, or give --all-failed")])

    def work(uow: UnitOfWork) -> int:
        known = uow.retry_incoming(ids)
        missing = [str(number) for number in ids if number not in known]
        if missing:
            raise NotFound(f"nothing failed or ignored in the inbox has id {', '.join(missing)} → aftersale inbox list")
        return len(known)

    with opened() as base:
        done = base.database.run_now(work) if ids else 0
        if all_failed:
            done += _all_failed(base.database, "inbox", lambda uow, some: len(uow.retry_incoming(some)))
    say(f"✔ {counted(done, 'thing')} will be handled again while aftersale run runs." if done else "Nothing to retry.")


def _all_failed(database: SqlDatabase, queue: Queue, again: Callable[[UnitOfWork, Sequence[int]], int]) -> int:
    """Let all go again that failed, some at a time, each once: what fails anew meanwhile is left for the next time."""
    done, after = 0, 0
    while some := database.reports().failed_ids(queue, after, _BATCH):
        done += database.run_now(lambda uow, some=some: again(uow, some))  # type: ignore[misc]  # a default cannot be typed
        after = some[-1]
    return done


def _with_advice(found: Iterable[Row], advise: Callable[[Row], str | None]) -> list[dict[str, Any]]:
    plain = ({field.name: getattr(each, field.name) for field in dataclasses.fields(each)} for each in found)
    return [{**row, "advice": advise(each)} for row, each in zip(plain, found, strict=True)]


def _print_end(numbers: Mapping[str, int], limit: int | None) -> None:
    """Say how many there are of each state, and that not all were shown."""
    told = [f"{number if number < COUNTED_UP_TO else f'{number} or more'} {state}" for state, number in numbers.items()]
    say(f"In all: {', '.join(told)}." + (f" Shown are {limit}; --limit shows more." if limit else ""), "dim")


def _print_advice(found: Iterable[Row], advise: Callable[[Row], str | None]) -> None:
    """Say once for each kind of trouble what to do, and which rows it is about."""
    about: dict[str, list[Row]] = {}
    for each in found:
        if words := advise(each):
            about.setdefault(words, []).append(each)
    for words, rows in about.items():
        shown = ", ".join(str(each.id) for each in rows[:3]) + (" …" if len(rows) > 3 else "")  # noqa: PLR2004 - a few
        say(f"→ {rows[0].state} ({shown}): {words}", "yellow")


def _checked(given: Sequence[str], allowed: Sequence[str]) -> Sequence[str]:
    wrong = [each for each in given if each not in allowed]
    if wrong:
        raise typer.BadParameter(f"{wrong[0]!r} is not a state; write {_listed(allowed)}", param_hint="--state")
    return given


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + f" or {words[-1]}"
