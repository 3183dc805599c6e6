"""The payload that the inbox stores for Slack, made and read in one place: pure, no vendor's class in it.

``{"kind": …, "case_id": …, "by": a Slack user id, "name": …, …}``, with the fields that `FIELDS` names for the kind; a
person who left has ``user`` alone. What staff do and what it then means is `bot.cases`' business.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal, TypeAlias, get_args

from bot.desk.states import WaitsFor
from bot.errors import InputRefused
from bot.ports.inbound import (
    CaseCallNeeded,
    CaseClaimed,
    CaseHandedOver,
    CaseNoted,
    CaseRemedied,
    CaseReplied,
    CaseSnoozed,
    DeskEvent,
    NotForUs,
    PersonLeft,
    StaffAction,
    TaskAsked,
    TaskFinished,
)
from bot.ports.records import Incoming, Json

Kind: TypeAlias = Literal[
    "claim", "reply", "remedy", "hand_over", "snooze", "call", "note", "task", "task_done", "left", "back"
]

FIELDS: Mapping[str, tuple[str, ...]] = {
    "claim": ("channel",),
    "reply": ("name", "text"),
    "remedy": ("remedy", "note"),
    "hand_over": ("team", "reason"),
    "snooze": ("until", "waits_for"),
    "call": ("reason",),
    "note": ("text",),
    "task": ("team", "text"),
    "task_done": ("task_id",),
}
"""What each kind needs beside its case and whoever acted. What else it may have is left out where it is empty."""

_WAITS_FOR: tuple[WaitsFor, ...] = get_args(WaitsFor)


def incoming(kind: Kind, *, key: str, case_id: str, by: str, now: datetime, **fields: str) -> Incoming:
    """Give the row of the inbox for something that a member of staff did.

    Args:
        kind: what they did.
        key: the same for every delivery of the same act, so that a repeat changes nothing.
        case_id: the case; acts on one case keep their order.
        by: the Slack user id of whoever did it.
        now: when it came in.
        **fields: what this kind needs; see `FIELDS`.
    """
    payload = {"kind": kind, "case_id": case_id, "by": by, **fields}
    return Incoming(source="slack", key=key, lane=f"case:{case_id}", payload=payload, received_at=now)


def person_left(user: str, *, left: bool, key: str, now: datetime) -> Incoming:
    """Give the row of the inbox for a member of staff who left the workspace, or came back."""
    payload = {"kind": "left" if left else "back", "user": user}
    return Incoming(source="slack", key=key, lane=f"person:{user}", payload=payload, received_at=now)


def translate(payload: Json) -> DeskEvent:
    """Give what a stored payload means; what no version of this program stores is `NotForUs`.

    Raises:
        InputRefused: a field is missing or wrong, naming it; the row stays visible and can be retried.
    """
    kind = str(payload.get("kind"))
    if kind in ("left", "back"):
        _demand(payload, ("user",))
        return PersonLeft(payload["user"], left=kind == "left")
    if kind not in FIELDS:
        return NotForUs(f"no act of staff is called {kind!r}")
    _demand(payload, ("case_id", "by", *FIELDS[kind]))
    return _ACTIONS[kind](payload["case_id"], payload["by"], payload)


def _demand(payload: Json, names: tuple[str, ...]) -> None:
    missing = [(name, "is missing") for name in names if not isinstance(payload.get(name), str)]
    if missing:
        raise InputRefused(missing)


def _remedied(case_id: str, by: str, given: Json) -> StaffAction:
    value, cause = _told(given, "value"), _told(given, "root_cause")
    return CaseRemedied(case_id, by, given["remedy"], given["note"], value=value, root_cause=cause)


def _snoozed(case_id: str, by: str, given: Json) -> StaffAction:
    waits_for = next((each for each in _WAITS_FOR if each == given["waits_for"]), None)
    try:
        until = datetime.fromisoformat(given["until"]).astimezone(UTC)
    except ValueError:
        until = None
    wrong = [(name, "is none") for name, value in (("until", until), ("waits_for", waits_for)) if value is None]
    if until is None or waits_for is None:
        raise InputRefused(wrong)
    return CaseSnoozed(case_id, by, until, waits_for, _told(given, "reason"))


def _told(given: Json, name: str) -> str:
    value = given.get(name)
    return value if isinstance(value, str) else ""


_ACTIONS: Mapping[str, Callable[[str, str, Json], StaffAction]] = {
    "claim": lambda case_id, by, given: CaseClaimed(case_id, by, given["channel"]),
    "reply": lambda case_id, by, given: CaseReplied(case_id, by, given["name"], given["text"]),
    "remedy": _remedied,
    "hand_over": lambda case_id, by, given: CaseHandedOver(case_id, by, given["team"], given["reason"]),
    "snooze": _snoozed,
    "call": lambda case_id, by, given: CaseCallNeeded(case_id, by, given["reason"]),
    "note": lambda case_id, by, given: CaseNoted(case_id, by, given["text"]),
    "task": lambda case_id, by, given: TaskAsked(case_id, by, given["team"], given["text"]),
    "task_done": lambda case_id, by, given: TaskFinished(case_id, by, given["task_id"], _told(given, "note")),
}
