"""`aftersale outbox` and `aftersale inbox`: what waits or failed, and trying again."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import get_args

import typer

from bot.cli.opening import opened
from bot.cli.terminal import clock, counted, grid, say, short, show, write_json
from bot.errors import FollowUpError, InputRefused, NotFound
from bot.messages import note_down
from bot.ports.records import Incoming, Outgoing, OutgoingState
from bot.ports.store import UnitOfWork

_LOOKED_AT = ("unknown", "failed", "held", "waiting", "sending")
_CAN_GO_AGAIN = ("failed", "unknown", "refused", "held")
_INBOX_STATES = ("new", "done", "ignored", "failed")
_ALL = 1_000_000


def list_outbox(states: Sequence[str], limit: int, *, as_json: bool) -> None:
    """List messages in any of `states`.

    Raises:
        InputRefused: there is no such state.
    """
    wanted = _checked(states, get_args(OutgoingState)) or _LOOKED_AT
    with opened() as base:
        found = base.database.run_now(lambda uow: uow.outbox(wanted, limit))
        at = clock(base.house.shop.time_zone)
    if as_json:
        write_json(found)
        return
    if not found:
        say(f"No message is {' or '.join(wanted)}.")
        return
    table = grid("id", "state", "kind", "sale", "not before", "why and what", header=True)
    for each in found:
        why = f"{each.reason}: " if each.reason else ""
        said = f"{why}“{short(each.body.get('text') or each.key, 60)}”"
        table.add_row(str(each.id), each.state, each.kind, each.sale_id or "–", at(each.not_before), said)
    show(table)
    if any(each.state in ("unknown", "failed") for each in found):
        say("Try again with: aftersale outbox retry ID", "dim")


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
        chosen = base.database.run_now(lambda uow: _chosen(uow, ids, all_failed=all_failed))
        doubtful = [each for each in chosen if each.state == "unknown"]
        if doubtful and not yes:
            _ask(doubtful)
        numbers = [each.id for each in chosen if each.id is not None]
        done = base.database.run_now(lambda uow: _send_again(uow, numbers, now))
    say(f"✔ {counted(done, 'message')} will be tried again while aftersale run runs." if done else "Nothing to retry.")


def _chosen(uow: UnitOfWork, ids: Sequence[int], *, all_failed: bool) -> list[Outgoing]:
    found = {each.id: each for each in uow.outbox(["failed"], _ALL)} if all_failed else {}
    for number in ids:
        message = uow.outgoing(number)
        if message is None:
            raise NotFound(f"there is no message {number} in the outbox → aftersale outbox list shows them")
        if message.state not in _CAN_GO_AGAIN:
            why = f" ({message.reason})" if message.reason else ""
            raise FollowUpError(f"message {number} is {message.state}{why}; only {_listed(_CAN_GO_AGAIN)} go again")
        found[number] = message
    return list(found.values())


def _ask(doubtful: Sequence[Outgoing]) -> None:
    for each in doubtful:
        say(f"{each.id}: {each.reason or 'nobody knows whether it arrived'}: “{short(each.body.get('text') or '')}”")
    question = f"{counted(len(doubtful), 'message')} may have arrived already, and would then arrive twice. Send again?"
    if not sys.stdin.isatty():
        raise FollowUpError(f"{question} → nothing was changed; add --yes to say so beforehand")
    typer.confirm(question, abort=True)


def _send_again(uow: UnitOfWork, numbers: Iterable[int], now: datetime) -> int:
    """Let these wait anew, as they stand now: another process may have settled some meanwhile."""
    done = 0
    for number in numbers:
        message = uow.outgoing(number)
        if message is None or message.state not in _CAN_GO_AGAIN:
            continue
        # The word `unknown` in front is what dispatch goes by when it tells staff that a message may be a repeat.
        reason = "unknown before; sent again by hand" if message.state == "unknown" else None
        # Its attempts stay: from the second on, an adapter that can looks first whether the message arrived.
        uow.put_outgoing(replace(message, state="waiting", reason=reason, not_before=now, lease_until=None))
        note_down(uow, now, "message.retried", sale_id=message.sale_id, message=message.kind, was=message.state)
        done += 1
    return done


def list_inbox(states: Sequence[str], limit: int, *, as_json: bool) -> None:
    """List what came in and is in any of `states`.

    Raises:
        InputRefused: there is no such state.
    """
    wanted = _checked(states, _INBOX_STATES) or ("new", "failed")
    with opened() as base:
        found = base.database.run_now(lambda uow: uow.inbox(wanted, limit))
        at = clock(base.house.shop.time_zone)
    if as_json:
        write_json(found)
        return
    if not found:
        say(f"Nothing in the inbox is {' or '.join(wanted)}.")
        return
    table = grid("id", "state", "from", "key", "received", "tries", "why", header=True)
    for each in found:
        why = each.error or "–"
        table.add_row(
            str(each.id), each.state, each.source, short(each.key, 30), at(each.received_at), str(each.attempts), why
        )
    show(table)


def retry_inbox(ids: Sequence[int]) -> None:
    """Let what failed be handled again.

    Raises:
        NotFound: one of them is not in the inbox as failed or ignored; nothing was changed.
    """

    def work(uow: UnitOfWork) -> list[Incoming]:
        known = {each.id: each for each in uow.inbox(["failed", "ignored"], _ALL)}
        missing = [str(number) for number in ids if number not in known]
        if missing:
            raise NotFound(f"nothing failed or ignored in the inbox has id {', '.join(missing)} → aftersale inbox list")
        for number in ids:
            uow.settle_incoming(number, "new")
        return [known[number] for number in ids]

    with opened() as base:
        done = base.database.run_now(work)
    say(f"✔ {counted(len(done), 'thing')} will be handled again while aftersale run runs.")


def _checked(given: Sequence[str], allowed: Sequence[str]) -> Sequence[str]:
    wrong = [each for each in given if each not in allowed]
    if wrong:
        raise typer.BadParameter(f"{wrong[0]!r} is not a state; write {_listed(allowed)}", param_hint="--state")
    return given


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + f" or {words[-1]}"
