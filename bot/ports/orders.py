"""The native order event: its form, and the whole refusal of anything that is not of that form.

Unknown fields are kept (in ``model_extra``). Shops' own formats become this one in `bot.adapters`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bot.durations import parse_duration
from bot.errors import InputRefused

EventType = Literal[
    "order.placed",
    "order.shipped",
    "order.delayed",
    "order.delivered",
    "product.first_used",
    "order.cancelled",
    "order.returned",
]
LIFECYCLE: Mapping[str, int] = {
    "order.placed": 0,
    "order.delayed": 1,
    "order.shipped": 2,
    "order.delivered": 3,
    "product.first_used": 4,
    "order.returned": 5,
    "order.cancelled": 6,
}
"""How far along each event type is. A sale's stage only moves forward, whatever order events arrive in."""


def _duration(text: str) -> str:
    parse_duration(text)
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        msg = f"{name!r} is not a time zone; write it like Europe/Copenhagen"
        raise ValueError(msg) from error
    return name


def _sensible(at: datetime) -> datetime:
    if not 2000 <= at.year <= 2100:  # noqa: PLR2004 - beyond that lies a slip, and arithmetic that overflows
        msg = "lies before the year 2000 or after 2100; check the date"
        raise ValueError(msg)
    return at


Time = Annotated[AwareDatetime, AfterValidator(_sensible)]
Id = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=2000)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="allow", str_strip_whitespace=True)


class CustomerForm(_Form):
    """The customer as the shop knows them. `locale` like ``da`` or ``da-DK``; `country` as ISO 3166 two letters."""

    id: Id
    name: Text = ""
    locale: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$")] | None = None
    country: Annotated[str, Field(pattern=r"^[A-Za-z]{2}$")] | None = None
    time_zone: Annotated[str, AfterValidator(_zone)] | None = None


class ItemForm(_Form):
    """One line of the order. `first_use_after` is a duration like ``5d``."""

    sku: Text = ""
    name: Text = ""
    quantity: Annotated[float, Field(ge=0)] = 1
    tags: list[Text] = Field(default_factory=list)
    first_use_after: Annotated[str, AfterValidator(_duration)] | None = None


class PromiseForm(_Form):
    """What the customer was told, where (`touchpoint`) and by whom."""

    id: Id
    text: Text
    touchpoint: Text | None = None
    made_by: Text | None = None
    due_at: Time | None = None


class SaleForm(_Form):
    """The order. An event may leave out items and promises that an earlier one told."""

    id: Id
    summary: Text = ""
    customer: CustomerForm
    items: list[ItemForm] = Field(default_factory=list)
    promises: list[PromiseForm] = Field(default_factory=list)


class PortionForm(_Form):
    """An item of the order that an event is about, and how many of it; left out: all."""

    sku: Id
    quantity: Annotated[float, Field(gt=0)] | None = None


def _portions(given: object) -> object:
    """Take item numbers alone, too: in a list, or as CSV has them, with a bar between."""
    listed = [each for each in given.split("|") if each.strip()] if isinstance(given, str) else given
    if not isinstance(listed, list):
        return listed
    return [{"sku": each} if isinstance(each, str) else each for each in listed]


class OrderEvent(_Form):
    """Something that happened to an order, as the shop tells it. `id` is unique: a repeat changes nothing.

    `items` names those that it is about, where that is not the whole order.
    """

    id: Id
    type: EventType
    occurred_at: Time
    sale: SaleForm
    items: Annotated[list[PortionForm], BeforeValidator(_portions)] = Field(default_factory=list)


def parse_order_event(payload: object, *, now: datetime | None = None) -> OrderEvent:
    """Read one native event.

    Raises:
        InputRefused: with every field that is wrong and why; nothing may be stored.
    """
    try:
        event = OrderEvent.model_validate(payload)
    except ValidationError as error:
        raise InputRefused([_problem(dict(each)) for each in error.errors(include_url=False)]) from None
    if now is not None and (event.occurred_at - now).days > 366:  # noqa: PLR2004 - a year and a day is surely a slip
        raise InputRefused([("occurred_at", "lies more than a year ahead; check the date")])
    return event


def _problem(error: Mapping[str, Any]) -> tuple[str, str]:
    field = ".".join(str(part) for part in error["loc"]) or "(the whole)"
    reason = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "timezone_aware":
        reason = "the time has no offset; write it like 2026-11-21T10:00:00+01:00"
    return field, reason
