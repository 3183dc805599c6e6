"""Trying again what failed or is in doubt: for commands and pages. What is tried again by itself is dispatch's."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from bot.messages import note_down
from bot.ports.store import UnitOfWork

CAN_GO_AGAIN = ("failed", "unknown", "refused", "held")
"""States from which a message can be sent again by hand."""


def send_again(uow: UnitOfWork, numbers: Iterable[int], now: datetime) -> int:
    """Let these wait anew, as they stand now: another process may have settled some meanwhile. Gives how many do."""
    done = 0
    for number in numbers:
        message = uow.outgoing(number)
        if message is None or message.state not in CAN_GO_AGAIN:
            continue
        # The word `unknown` in front is what dispatch goes by when it tells staff that a message may be a repeat.
        reason = "unknown before; sent again by hand" if message.state == "unknown" else None
        # Its attempts stay: from the second on, an adapter that can looks first whether the message arrived.
        uow.put_outgoing(replace(message, state="waiting", reason=reason, not_before=now, lease_until=None))
        note_down(uow, now, "message.retried", sale_id=message.sale_id, message=message.kind, was=message.state)
        done += 1
    return done
