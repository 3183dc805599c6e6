"""The log of a sale in plain words. What is logged is the use cases'; what is not known here is shown as it stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.ports.records import LogEntry

_MESSAGES: Mapping[str, str] = {
    "sent": "",
    "unknown": "(may not have arrived) ",
}

_FIXED: Mapping[str, tuple[str, str]] = {
    "order.placed": ("shop", "the order was placed"),
    "order.shipped": ("shop", "the order was shipped"),
    "order.delayed": ("shop", "the order is delayed"),
    "order.delivered": ("shop", "the order was delivered"),
    "product.first_used": ("shop", "the product was used for the first time"),
    "order.cancelled": ("shop", "the order was cancelled"),
    "order.returned": ("shop", "the order was returned"),
    "link.made": ("shop", "a link for the customer's chat was made"),
    "customer.linked": ("customer", "linked their chat"),
    "customer.stopped": ("customer", "said /stop"),
    "customer.started_again": ("customer", "pressed Start again"),
    "customer.blocked": ("customer", "blocked the bot"),
    "customer.unblocked": ("customer", "unblocked the bot"),
    "customer.unreachable": ("bot", "the customer cannot be reached any more"),
    "sale.complete": ("customer", "★ says that the sale is complete"),
    "sale.reopened": ("customer", "takes back that the sale is complete"),
    "case.taken_back": ("customer", "changed the answer that had opened the case: it is closed"),
    "sale.complete_waits": ("customer", "says that all is well; the open case must be settled first"),
    "case.customerconfirmed": ("customer", "says that it is right now: the case is closed"),
    "case.customerdeleted": ("customer", "deleted a message"),
    "case.snoozeover": ("case", "is no longer put aside: its time has come"),
    "case.customersilent": ("case", "no answer after the remedy: unconfirmed"),
}


@dataclass(frozen=True, slots=True)
class Writer:
    """Puts log lines into words.

    `label` gives what stood on a button (of flow, step, choice), `staff` the name of a Slack member, `time` a time on
    the shop's clock.
    """

    label: Callable[[str, str, str], str]
    staff: Callable[[str], str]
    time: Callable[[datetime | None], str]

    def words(self, entry: LogEntry) -> tuple[str, str]:  # noqa: PLR0911 - an arm for each
        """Give who, and what they did or said."""
        data = entry.data
        group, _, name = entry.kind.partition(".")
        if entry.kind in _FIXED:
            who, what = _FIXED[entry.kind]
            if data.get("items"):
                what += f", of it: {', '.join(data['items'])}"
            return who, what + self._happened_before(entry)
        if entry.kind in _TOLD:
            return _TOLD[entry.kind](data)
        match group:
            case "message":
                return self._message(name, data)
            case "verdict":
                return "customer", self._verdict(data)
            case "customer":
                return "customer", _customer(name, data)
            case "conversation":
                return "bot", _conversation(name, data)
            case "flow":
                return "bot", f"“{data.get('flow')}”, step {data.get('step')}: {data.get('reason')}"
            case "case":
                return self._case(name, data)
            case _:
                return "–", _as_it_stands(entry)

    def _happened_before(self, entry: LogEntry) -> str:
        """Say when it really happened, where the shop told it a good while later."""
        told = entry.data.get("occurred_at")
        at = datetime.fromisoformat(told) if isinstance(told, str) else entry.at
        return "" if abs((entry.at - at).total_seconds()) < 60 else f" (on {self.time(at)})"  # noqa: PLR2004 - a minute

    def _message(self, name: str, data: Mapping[str, Any]) -> tuple[str, str]:
        kind = str(data.get("message", "message")).replace("_", " ")
        if name in _MESSAGES:
            who = "staff" if kind == "staff reply" else "bot"
            return f"{who} →", f"{_MESSAGES[name]}“{data.get('text') or kind}”"
        if name == "retried":
            return "shop", f"let a message ({kind}) go again, which was {data.get('was')}"
        why = data.get("reason") or data.get("error") or "no reason was noted"
        ends = {"dropped": "was not sent", "refused": "was refused", "failed": "could not be sent"}
        return "bot", f"a message ({kind}) {ends.get(name, name)}: {why}"

    def _verdict(self, data: Mapping[str, Any]) -> str:
        parts = []
        if data.get("choice"):
            parts.append(f"tapped “{self.label(data['flow'], data['step'], data['choice'])}”")
        if data.get("text"):
            parts.append(f"wrote “{data['text']}”")
        parts += [f"sent a {each.get('kind', 'file')}" for each in data.get("media") or ()]
        factors = ", ".join(f"{factor} {value:g}" for factor, value in (data.get("factors") or {}).items())
        return (" and ".join(parts) or "answered") + (f"  ({factors})" if factors else "")

    def _case(  # noqa: PLR0911, PLR0912, C901 - an arm for each
        self, name: str, data: Mapping[str, Any]
    ) -> tuple[str, str]:
        by = self.staff(str(data.get("by", "")))
        match name:
            case "opened":
                due = data.get("due_at")
                until = f"; first answer due {self.time(datetime.fromisoformat(due))}" if due else ""
                return "case", f"opened for team {data.get('team')} ({data.get('why')}){until}: “{data.get('said')}”"
            case "claimed":
                return "staff", f"{by} took the case"
            case "replied":
                return "staff", f"{by} wrote to the customer: “{data.get('text')}”"
            case "remedydone":
                return "staff", f"{by} put it right: {_remedy(data)}"
            case "snoozed":
                what, until = data.get("waits_for"), self.time(datetime.fromisoformat(str(data.get("until"))))
                return "staff", f"{by} put the case aside until {until}: it waits for the {what} – {data.get('reason')}"
            case "callneeded":
                return "staff", f"{by} says that the customer is to be called: {data.get('reason')}"
            case "noted":
                return "staff", f"{by} noted: “{data.get('text')}”"
            case "taskopened":
                return "staff", f"{by} asked team {data.get('team')}: “{data.get('text')}”"
            case "taskdone":
                return "staff", f"{by} did what was asked of a second team {data.get('note') or ''}".rstrip()
            case "taskdue":
                return "case", "what was asked of a second team is overdue"
            case "customeredited":
                return "customer", f"changed a message, which now says “{data.get('text')}”"
            case "handedover":
                return "staff", f"{by} handed the case to team {data.get('team')}: {data.get('reason')}"
            case "customersaid":
                return "customer", f"added to the case: “{data.get('text')}”"
            case "unhappyagain":
                return "customer", f"is still not happy: “{data.get('said')}”"
            case "duewarning":
                return "case", "the first answer is nearly due" if data.get("stage") == 0 else "the answer is overdue"
            case "rerouted":
                return "case", f"went to team {data.get('team')}, by what the customer said ({data.get('why')})"
            case "fell_back":
                return "case", f"the channel {data.get('channel')} cannot be used; it stands in the fallback channel"
            case _:
                return "case", f"{name}: {_pairs(data)}"


def _remedy(data: Mapping[str, Any]) -> str:
    value, cause = data.get("value"), data.get("root_cause")
    kind = f"{data.get('kind')} ({value})" if value else data.get("kind")
    return f"{kind} – {data.get('note')}" + (f" (root cause: {cause})" if cause else "")


def _customer(name: str, data: Mapping[str, Any]) -> str:
    match name:
        case "consented":
            given = [purpose for purpose, allowed in (data.get("consents") or {}).items() if allowed]
            return f"agreed to messages about {', '.join(given)}" if given else "agreed to no messages"
        case "wrote":
            return f"wrote “{data.get('text')}”"
        case "chose_language":
            return f"chose a language: {data.get('language')}"
        case "reacted":
            return f"put {data.get('emoji') or 'nothing'} below a message"
        case _:
            return f"{name}: {_pairs(data)}"


def _conversation(name: str, data: Mapping[str, Any]) -> str:
    flow = str(data.get("flow", "")).replace("_", " ")
    if name == "begun":
        return f"“{flow}” began"
    reason = data.get("reason")
    return f"“{flow}” ended: {data.get('outcome')}" + (f" ({reason})" if reason else "")


def _paused(data: Mapping[str, Any]) -> tuple[str, str]:
    return "shop", "paused what the bot says" + (f": {data['reason']}" if data.get("reason") else "")


def _part_complete(data: Mapping[str, Any]) -> tuple[str, str]:
    return "customer", f"says that this much is complete: {', '.join(data.get('items') or ())}"


_TOLD: Mapping[str, Callable[[Mapping[str, Any]], tuple[str, str]]] = {
    "paused": _paused,
    "resumed": lambda _data: ("shop", "let the bot go on"),
    "sale.part_complete": _part_complete,
}


def _as_it_stands(entry: LogEntry) -> str:
    return f"{entry.kind} {_pairs(entry.data)}".strip()


def _pairs(data: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in data.items())
