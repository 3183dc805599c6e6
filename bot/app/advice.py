"""What to do about a row of the inbox or the outbox that did not go its way: one line for each kind of trouble.

Pure: read from the row's state and its own words. Deciding what is tried again by itself is dispatch's.
"""

import re

from bot.ports.records import Incoming, Outgoing

_OUR_FAULT = re.compile(r"[A-Za-z_]*(?:Error|Exception|Warning|Interrupt|Iteration)[A-Za-z]*: ")
"""How a fault of the program's own is written down: the name of an exception, a colon, its words."""

_REFUSALS = {
    "blocked": "the customer blocked the bot: call or mail them; nothing more is sent before they unblock it",
    "chat_gone": "the chat is no more: send the customer a new link (aftersale link SALE)",
    "channel_gone": "type /invite @aftersale in that channel, or write another into shop.yaml; then retry it",
    "gone": "what was to be changed is no more: nothing is to be done",
    "invalid": "it is not taken as it is: tell the maintainers what stands there; a retry alone does not help",
}


def on_outgoing(message: Outgoing) -> str | None:
    """Say what a person can do about a message; None where there is nothing to do."""
    reason = message.reason or ""
    match message.state:
        case "unknown":
            return (
                "nobody can tell whether it arrived: look into the chat or ask the customer; "
                "aftersale outbox retry ID sends it once more"
            )
        case "failed" if _OUR_FAULT.match(reason):
            return "a fault of the program: tell the maintainers what stands there; mended: aftersale outbox retry ID"
        case "failed":
            return (
                "given up after days: mend what stands there, then aftersale outbox retry ID (or --all-failed); "
                "a question from then may be out of place by now"
            )
        case "refused":
            return next((mend for word, mend in _REFUSALS.items() if reason.startswith(word)), _REFUSALS["invalid"])
        case "held":
            return "it goes by itself once that has changed; aftersale why SALE tells more"
        case "waiting" if reason.startswith(("delayed", "unknown")):
            return "it is tried again by itself; if it stays so, aftersale doctor looks for the cause"
        case _:
            return None


def on_incoming(item: Incoming) -> str | None:
    """Say what a person can do about something that came in; None where there is nothing to do."""
    error = item.error or ""
    if item.state == "new":
        return "it is tried again by itself" if error else None
    if item.state != "failed":
        return None
    if "(reference " in error or _OUR_FAULT.match(error):
        return "a fault of the program: the log tells more under the reference; mended: aftersale inbox retry ID"
    if error.startswith("there is no "):
        return "what it speaks of is not here: bring it in (aftersale sale add, import), then aftersale inbox retry ID"
    if item.source == "shop":
        return (
            "the shop's event cannot be used as it is: let it send a right one under a new id; "
            "aftersale inbox retry ID helps only after an update of aftersale"
        )
    return "it cannot be read: tell the maintainers what stands there; after an update: aftersale inbox retry ID"
