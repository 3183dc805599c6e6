"""The payload that the inbox stores for Slack, made and read in one place: pure, no vendor's class in it.

``{"kind": "claim" | "reply" | "remedy" | "hand_over", "case_id": …, "by": a Slack user id, "name": …, …}``, with
``channel`` for a claim, ``text`` for a reply, ``remedy``, ``note``, ``value`` and ``root_cause`` for a remedy, ``team``
and ``reason`` for a hand-over. What staff do and what it then means is `bot.cases`' business.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeAlias

from bot.errors import InputRefused
from bot.ports.inbound import CaseClaimed, CaseHandedOver, CaseRemedied, CaseReplied, DeskEvent, NotForUs
from bot.ports.records import Incoming, Json

Kind: TypeAlias = Literal["claim", "reply", "remedy", "hand_over"]

FIELDS: Mapping[str, tuple[str, ...]] = {
    "claim": ("channel",),
    "reply": ("name", "text"),
    "remedy": ("remedy", "note"),
    "hand_over": ("team", "reason"),
}


def incoming(kind: Kind, *, key: str, case_id: str, by: str, now: datetime, **fields: str) -> Incoming:
    """Give the row of the inbox for something that a member of staff did.

    Args:
        kind: what they did.
        key: the same for every delivery of the same act, so that a repeat changes nothing.
        case_id: the case; acts on one case keep their order.
        by: the Slack user id of whoever did it.
        now: when it came in.
        **fields: what this kind needs; see the module's docstring.
    """
    payload = {"kind": kind, "case_id": case_id, "by": by, **fields}
    return Incoming(source="slack", key=key, lane=f"case:{case_id}", payload=payload, received_at=now)


def translate(payload: Json) -> DeskEvent:
    """Give what a stored payload means; what no version of this program stores is `NotForUs`.

    Raises:
        InputRefused: a field is missing, naming it; the row stays visible and can be retried.
    """
    kind = str(payload.get("kind"))
    if kind not in FIELDS:
        return NotForUs(f"no act of staff is called {kind!r}")
    needed = ("case_id", "by", *FIELDS[kind])
    missing = [(name, "is missing") for name in needed if not isinstance(payload.get(name), str)]
    if missing:
        raise InputRefused(missing)
    case_id, by = payload["case_id"], payload["by"]
    match kind:
        case "claim":
            return CaseClaimed(case_id, by, payload["channel"])
        case "reply":
            return CaseReplied(case_id, by, payload["name"], payload["text"])
        case "remedy":
            more = {name: str(payload.get(name) or "") for name in ("value", "root_cause")}
            return CaseRemedied(case_id, by, payload["remedy"], payload["note"], **more)
        case _:
            return CaseHandedOver(case_id, by, payload["team"], payload["reason"])
