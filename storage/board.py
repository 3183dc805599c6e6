"""The questions behind the home tab and the commands of staff: cases as they stand, figures. Nothing locks."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Table, func, select

from bot.desk.states import Case
from bot.ports.board import CaseSeen
from bot.ports.records import Customer, Post, Sale
from storage.mapping import case_from, customer_from, post_from, sale_from
from storage.tables import metadata

T = TypeVar("T")

_CUSTOMERS = metadata.tables["customers"]
_SALES = metadata.tables["sales"]
_CASES = metadata.tables["cases"]
_POSTS = metadata.tables["case_posts"]

AT_A_TIME = 500
"""How many keys one statement asks for."""


def unsettled_cases(connection: Connection, limit: int) -> list[CaseSeen]:
    """Give the cases that wait for staff or for the customer, those that are due first."""
    query = select(_CASES).where(_CASES.c.status.not_in(["confirmed", "unconfirmed"]))
    rows = connection.execute(query.order_by(_CASES.c.due_at, _CASES.c.id).limit(limit)).mappings()
    return seen(connection, [case_from(row) for row in rows])


def case_seen(connection: Connection, case_id: str) -> CaseSeen | None:
    """Give one case with all that belongs to it."""
    row = connection.execute(select(_CASES).where(_CASES.c.id == case_id)).mappings().first()
    return seen(connection, [case_from(row)])[0] if row is not None else None


def cases_of_sales(connection: Connection, sale_ids: Collection[str]) -> dict[str, Case]:
    """Give the newest case of each sale that has one."""
    newest: dict[str, Case] = {}
    found = _among(connection, _CASES, _CASES.c.sale_id, sale_ids, case_from)
    for each in sorted(found, key=lambda each: each.opened_at):
        newest[each.sale_id] = each
    return newest


def seen(connection: Connection, cases: Sequence[Case]) -> list[CaseSeen]:
    """Give cases with their customers, sales and cards, in a few statements however many they are."""
    customers = {
        each.id: each
        for each in _among(connection, _CUSTOMERS, _CUSTOMERS.c.id, {c.customer_id for c in cases}, customer_from)
    }
    sales = {each.id: each for each in _among(connection, _SALES, _SALES.c.id, {c.sale_id for c in cases}, sale_from)}
    posts = {
        each.case_id: each
        for each in _among(connection, _POSTS, _POSTS.c.case_id, {c.id for c in cases}, post_from)
        if each.live
    }
    return [
        CaseSeen(
            each,
            customers.get(each.customer_id) or Customer(each.customer_id),
            sales.get(each.sale_id) or Sale(each.sale_id, each.customer_id),
            posts.get(each.id),
        )
        for each in cases
    ]


def posts_of(connection: Connection, case_ids: Collection[str]) -> dict[str, Post]:
    """Give where the cards of cases stand."""
    return {p.case_id: p for p in _among(connection, _POSTS, _POSTS.c.case_id, case_ids, post_from) if p.live}


def names_of(connection: Connection, customer_ids: Collection[str]) -> dict[str, str]:
    """Give the names of customers."""
    return {c.id: c.name for c in _among(connection, _CUSTOMERS, _CUSTOMERS.c.id, customer_ids, customer_from)}


def case_figures(connection: Connection, teams: Collection[str], since: datetime, now: datetime) -> dict[str, int]:
    """Give how many cases of some teams were opened, answered and confirmed since a moment, and are late now."""

    def number(*conditions: Any) -> int:
        query = select(func.count()).select_from(_CASES).where(_CASES.c.team.in_(sorted(teams)), *conditions)
        return connection.execute(query).scalar_one()

    waits = _CASES.c.status.in_(["open", "claimed", "call"])
    return {
        "opened": number(_CASES.c.opened_at >= since),
        "answered": number(_CASES.c.answered_at >= since),
        "confirmed": number(_CASES.c.status == "confirmed", _CASES.c.closed_at >= since),
        "late": number(waits, _CASES.c.answered_at.is_(None), _CASES.c.due_at < now),
    }


def _among(
    connection: Connection, table: Table, column: Column[Any], keys: Iterable[str], read: Callable[[Any], T]
) -> list[T]:
    wanted, found = sorted(set(keys)), []
    for start in range(0, len(wanted), AT_A_TIME):
        query = select(table).where(column.in_(wanted[start : start + AT_A_TIME]))
        found += [read(row) for row in connection.execute(query).mappings()]
    return found
