"""Customers, sales, promises and link tokens, within a transaction."""

from collections.abc import Iterable

from sqlalchemy import bindparam, func, select

from bot.ports.records import Customer, LinkToken, Promise, Sale
from storage.mapping import (
    customer_from,
    customer_values,
    link_token_from,
    link_token_values,
    promise_from,
    promise_values,
    sale_from,
    sale_values,
)
from storage.statements import NEW_CUSTOMERS, Statements, locked, sought, sought_among
from storage.tables import metadata

_CUSTOMERS = metadata.tables["customers"]
_SALES = metadata.tables["sales"]
_PROMISES = metadata.tables["promises"]
_LINK_TOKENS = metadata.tables["link_tokens"]


_CUSTOMER = locked(sought(_CUSTOMERS.c.id))
_CUSTOMER_BY_CHAT = locked(sought(_CUSTOMERS.c.chat_id))
# In one order in every process: otherwise two would wait for one another.
_CUSTOMERS_AMONG = locked(sought_among(_CUSTOMERS.c.id).order_by(_CUSTOMERS.c.id))
_OWNERS_AMONG = (
    select(_CUSTOMERS)
    .join(_SALES, _SALES.c.customer_id == _CUSTOMERS.c.id)
    .where(_SALES.c.id.in_(bindparam("sought", expanding=True)))
    .order_by(_CUSTOMERS.c.id)
    .with_for_update(key_share=True, of=_CUSTOMERS)
)
_SALE = locked(sought(_SALES.c.id))
_SALES_AMONG = locked(sought_among(_SALES.c.id).order_by(_SALES.c.id))
_SALES_OF = locked(sought(_SALES.c.customer_id).order_by(_SALES.c.latest_at.desc().nulls_last(), _SALES.c.id.desc()))
_PROMISES_OF = sought(_PROMISES.c.sale_id).order_by(_PROMISES.c.id)
_LINK_TOKEN = locked(sought(_LINK_TOKENS.c.hash))


class SaleStatements(Statements):
    """Implements the part of `bot.ports.store.UnitOfWork` that is about sales and whose they are."""

    def customer(self, customer_id: str) -> Customer | None:
        """Give the customer, locked until the transaction ends.

        There is no row to lock for a customer who is yet unknown, so the name is locked: of two processes that are
        about to store the same new customer, the second then finds what the first stored.
        """
        known = self._known.customers
        if customer_id in known:
            return known[customer_id]
        row = self._one(_CUSTOMER, sought=customer_id)
        if row is None and self._has_row_locks:
            self._connection.execute(
                select(func.pg_advisory_xact_lock(func.hashtextextended(customer_id, NEW_CUSTOMERS)))
            )
            row = self._one(_CUSTOMER, sought=customer_id)
        if row:
            known[customer_id] = customer_from(row)
        return known.get(customer_id)

    def customer_by_chat(self, chat_id: int) -> Customer | None:
        """Give the customer who linked this chat, locked."""
        row = self._one(_CUSTOMER_BY_CHAT, sought=chat_id)
        if row is None:
            return None
        customer = self._known.customers[row["id"]] = customer_from(row)
        return customer

    def read_customers(self, customer_ids: Iterable[str]) -> None:
        """Read those that are not known yet, all in one statement, locked."""
        if missing := set(customer_ids) - self._known.customers.keys():
            for row in self._all(_CUSTOMERS_AMONG, sought=sorted(missing)):
                self._known.customers[row["id"]] = customer_from(row)

    def read_owners(self, sale_ids: Iterable[str]) -> None:
        """Read the customers of these sales, locked, before anything of the sales is."""
        if missing := set(sale_ids) - self._known.sales.keys():
            for row in self._all(_OWNERS_AMONG, sought=sorted(missing)):
                self._known.customers[row["id"]] = customer_from(row)

    def put_customer(self, customer: Customer) -> None:
        """Store the customer."""
        self._upsert(_CUSTOMERS, customer_values(customer))
        self._known.customers[customer.id] = customer

    def sale(self, sale_id: str) -> Sale | None:
        """Give the sale."""
        known = self._known.sales
        if sale_id not in known and (row := self._one(_SALE, sought=sale_id)):
            known[sale_id] = sale_from(row)
        return known.get(sale_id)

    def sales_of(self, customer_id: str) -> list[Sale]:
        """Give the customer's sales, newest first (by their latest event, then id)."""
        return [sale_from(row) for row in self._all(_SALES_OF, sought=customer_id)]

    def read_sales(self, sale_ids: Iterable[str]) -> None:
        """Read those that are not known yet, all in one statement."""
        if missing := set(sale_ids) - self._known.sales.keys():
            for row in self._all(_SALES_AMONG, sought=sorted(missing)):
                self._known.sales[row["id"]] = sale_from(row)

    def put_sale(self, sale: Sale) -> None:
        """Store the sale."""
        self._upsert(_SALES, sale_values(sale))
        self._known.sales[sale.id] = sale

    def promises_of(self, sale_id: str) -> list[Promise]:
        """Give the promises of a sale in the order of their ids."""
        known = self._known.promises_of
        if sale_id not in known:
            known[sale_id] = [promise_from(row) for row in self._all(_PROMISES_OF, sought=sale_id)]
        return list(known[sale_id])

    def put_promise(self, promise: Promise) -> None:
        """Store the promise (key: sale and id)."""
        self._upsert(_PROMISES, promise_values(promise))
        self._known.promises_of.pop(promise.sale_id, None)

    def link_token(self, token_hash: str) -> LinkToken | None:
        """Give the token with this hash, locked."""
        row = self._one(_LINK_TOKEN, sought=token_hash)
        return link_token_from(row) if row else None

    def put_link_token(self, token: LinkToken) -> None:
        """Store the token."""
        self._upsert(_LINK_TOKENS, link_token_values(token))
