"""Finding sales, and pages of them, newest first: a page costs what it shows. Nothing here locks."""

from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select, true, tuple_

from bot.ports.listing import Only, Place, SaleLine
from bot.ports.records import Sale
from storage.mapping import sale_from
from storage.tables import metadata

_CUSTOMERS = metadata.tables["customers"]
_SALES = metadata.tables["sales"]
_CASES = metadata.tables["cases"]

_OPEN_CASE = exists().where(_CASES.c.sale_id == _SALES.c.id, _CASES.c.status.not_in(["confirmed", "unconfirmed"]))
_NEWEST_CASE = (
    select(_CASES.c.status)
    .where(_CASES.c.sale_id == _SALES.c.id)
    .order_by(_CASES.c.opened_at.desc())
    .limit(1)
    .scalar_subquery()
)
_ONLY: Mapping[Only, ColumnElement[bool]] = {
    "all": true(),
    "silent": and_(_SALES.c.asked_at.is_not(None), _SALES.c.answered_at.is_(None), _SALES.c.confirmed_at.is_(None)),
    "unlinked": _CUSTOMERS.c.chat_id.is_(None),
    "case": _OPEN_CASE,
    "complete": _SALES.c.confirmed_at.is_not(None),
}


def _fits(text: str) -> ColumnElement[bool]:
    return or_(_SALES.c.id.icontains(text, autoescape=True), _CUSTOMERS.c.name.icontains(text, autoescape=True))


def sales(connection: Connection, *, text: str, limit: int) -> list[Sale]:
    """Give the newest sales that fit, whole."""
    query = select(_SALES).order_by(_SALES.c.latest_at.desc().nulls_last(), _SALES.c.id.desc()).limit(limit)
    if text:
        query = query.join(_CUSTOMERS, _CUSTOMERS.c.id == _SALES.c.customer_id).where(_fits(text))
    return [sale_from(row) for row in connection.execute(query).mappings()]


def sales_page(connection: Connection, *, text: str, only: Only, after: Place | None, limit: int) -> list[SaleLine]:
    """Give the next sales after a place in the list (None: from its beginning)."""
    query = (
        select(
            *_SALES.c["id", "summary", "stage", "latest_at", "asked_at", "answered_at", "confirmed_at", "factors"],
            _CUSTOMERS.c.name.label("customer"),
            _CUSTOMERS.c.chat_id.is_not(None).label("is_linked"),
            _NEWEST_CASE.label("case"),
        )
        .join_from(_SALES, _CUSTOMERS, _CUSTOMERS.c.id == _SALES.c.customer_id)
        # Every sale has an event; said here, because the two databases put what has none at different ends.
        .where(_SALES.c.latest_at.is_not(None), _ONLY[only])
        .order_by(_SALES.c.latest_at.desc(), _SALES.c.id.desc())
        .limit(limit)
    )
    if text:
        query = query.where(_fits(text))
    if after is not None:
        query = query.where(tuple_(_SALES.c.latest_at, _SALES.c.id) < after)
    return [SaleLine(**row) for row in connection.execute(query).mappings()]
