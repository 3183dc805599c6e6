"""Which items of an order an event, or a conversation, is about: an order may come, go back or be cancelled in parts.

Pure, over the values of a sale. What came of which item is kept beside the shop's own fields of the sale, so that it
does not matter in which order events and items are told. What follows from it is the use cases'.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from bot.ports.orders import LIFECYCLE, PortionForm
from bot.ports.records import Sale

PARTS = "parts"
"""Under which of a sale's own fields stands what came of which item: kind of event → sku → how many, and when."""

LATEST = "latest"
"""Under which stands when a kind of event happened last, if it happened more than once."""

COMPLETE = "sale.complete"
"""The kind under which stands of which items the customer said that they have what they wanted."""

_GONE = ("order.cancelled", "order.returned")
_A_SLIP = timedelta(hours=12)
"""A parcel that is shipped less than that after it came was not shipped anew: clocks and clerks differ."""


def skus_of(sale: Sale) -> tuple[str, ...]:
    """Give the items of a sale that can be named."""
    return tuple(dict.fromkeys(str(item["sku"]) for item in sale.items if item.get("sku")))


def has(sale: Sale, kind: str, sku: str) -> bool:
    """Tell whether something happened to all of an item: all of them came, or went back."""
    if kind in sale.happened:
        return True
    told = sale.extra.get(PARTS, {}).get(kind, {}).get(sku)
    if told is None:
        return False
    ordered = sum(float(item.get("quantity", 1)) for item in sale.items if item.get("sku") == sku)
    return told["quantity"] is None or told["quantity"] >= ordered


def is_gone(sale: Sale, sku: str) -> bool:
    """Tell whether an item was cancelled or returned whole."""
    return any(has(sale, kind, sku) for kind in _GONE)


def happens(
    sale: Sale, kind: str, at: datetime, portions: Sequence[PortionForm]
) -> tuple[Sale, tuple[str, ...] | None]:
    """Let an event of a `kind` happen to a sale, whose items are told already: to these `portions`; none: to all of it.

    Gives the sale, and what begins by this event is to be about: the items that it made complete, none for the whole
    order, or None where there is nothing that was not known. An event of some items happened to the sale when it
    happened to all of them that are left; only then the sale moves forward.
    """
    before = sale
    parts = sale.extra.get(PARTS, {})
    earlier = dict(parts.get(kind, {}))
    if not portions:
        left = tuple(sku for sku in skus_of(sale) if not has(before, kind, sku) and not is_gone(before, sku))
        newest = max(at, latest(sale, kind) or at)
        sale = _happened(sale, kind, at)
        if newest != sale.happened[kind]:
            sale = replace(sale, extra={**sale.extra, LATEST: {**sale.extra.get(LATEST, {}), kind: newest.isoformat()}})
        if not earlier:
            return sale, ()
        return sale, left or None
    now = dict(earlier)
    for each in portions:
        known = now.get(each.sku, {"quantity": 0})["quantity"]
        number = None if each.quantity is None or known is None else known + each.quantity
        now[each.sku] = {"quantity": number, "at": at.isoformat()}
    sale = settled(replace(sale, extra={**sale.extra, PARTS: {**parts, kind: now}}))
    named = tuple(dict.fromkeys(each.sku for each in portions))
    whole = tuple(sku for sku in named if has(sale, kind, sku) and not has(before, kind, sku))
    if skus_of(sale) and not earlier and set(whole) >= set(skus_of(sale)):
        return sale, ()
    return sale, whole or None


def settled(sale: Sale) -> Sale:
    """Let what happened to all items that are left have happened to the sale."""
    ours = skus_of(sale)
    for kind, told in sale.extra.get(PARTS, {}).items():
        have = [has(sale, kind, sku) for sku in ours]
        if (
            kind in LIFECYCLE
            and any(have)
            and all(one or is_gone(sale, sku) for one, sku in zip(have, ours, strict=True))
        ):
            sale = _happened(sale, kind, max(datetime.fromisoformat(each["at"]) for each in told.values()))
    return sale


def _happened(sale: Sale, kind: str, at: datetime) -> Sale:
    first = sale.happened.get(kind)
    happened = {**sale.happened, kind: min(first, at) if first else at}
    stage = max(sale.stage, kind, key=lambda each: LIFECYCLE.get(each, 0)) if sale.happened else kind
    return replace(sale, happened=happened, stage=stage)


def narrowed(sale: Sale, about: Sequence[str]) -> Sale:
    """Give a sale as a conversation about some of its items sees it; what was cancelled or returned is not in it.

    `about` empty: about all that is left.
    """
    if not about and not any(kind in sale.extra.get(PARTS, {}) for kind in _GONE):
        return sale
    parts: Mapping[str, Any] = sale.extra.get(PARTS, {})
    items = tuple(
        item
        for item in sale.items
        if (not about or item.get("sku") in about) and not (item.get("sku") and _is_partly_gone(sale, item["sku"]))
    )
    if not items or len(items) == len(sale.items):
        return sale
    happened = dict(sale.happened)
    for kind, told in parts.items():
        if about and kind in LIFECYCLE and all(has(sale, kind, sku) for sku in about):
            ats = [datetime.fromisoformat(told[sku]["at"]) for sku in about if sku in told]
            happened.setdefault(kind, max(ats))
    names = [str(item.get("name") or "") for item in items]
    summary = ", ".join(names) if all(names) else sale.summary
    return replace(sale, items=items, summary=summary, happened=happened)


def _is_partly_gone(sale: Sale, sku: str) -> bool:
    """Tell whether an item went, while others stayed: where all went, what is said is about the order."""
    return is_gone(sale, sku) and not any(kind in sale.happened for kind in _GONE)


def shipped_anew_at(sale: Sale) -> datetime | None:
    """Tell when an order that had come was shipped once more, if it was."""
    at, came = latest(sale, "order.shipped"), sale.happened.get("order.delivered")
    return at if at and came and at - came >= _A_SLIP and not sale.extra.get(PARTS) else None


def latest(sale: Sale, kind: str) -> datetime | None:
    """Tell when something happened to a sale last."""
    at = sale.extra.get(LATEST, {}).get(kind)
    return datetime.fromisoformat(at) if at else sale.happened.get(kind)


def completed(sale: Sale, about: Sequence[str], at: datetime) -> tuple[Sale, bool]:
    """Let the customer have what they wanted of some items; tells whether that is so of all that are left now."""
    parts = sale.extra.get(PARTS, {})
    told = {**parts.get(COMPLETE, {}), **{sku: {"quantity": None, "at": at.isoformat()} for sku in about}}
    sale = replace(sale, extra={**sale.extra, PARTS: {**parts, COMPLETE: told}})
    return sale, all(sku in told or is_gone(sale, sku) for sku in skus_of(sale))


def reopened(sale: Sale, about: Sequence[str]) -> Sale:
    """Take back what `completed` did."""
    parts = sale.extra.get(PARTS, {})
    told = {sku: each for sku, each in parts.get(COMPLETE, {}).items() if sku not in about}
    return replace(sale, extra={**sale.extra, PARTS: {**parts, COMPLETE: told}})
