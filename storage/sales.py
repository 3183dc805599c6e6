"""Customers, sales, promises and link tokens, within a transaction."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, Text, bindparam, cast, func, select
from sqlalchemy.dialects import postgresql

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


def _in_order(query: Select[Any]) -> Select[Any]:
    """Lock customers in one order in every process: otherwise two would wait for one another."""
    return query.order_by(_CUSTOMERS.c.id).with_for_update(key_share=True, of=_CUSTOMERS)


_CUSTOMER = locked(sought(_CUSTOMERS.c.id))
_CUSTOMERS_AMONG = _in_order(sought_among(_CUSTOMERS.c.id))
_CUSTOMERS_BY_CHAT = _in_order(sought_among(_CUSTOMERS.c.chat_id))
_OWNERS_AMONG = _in_order(
    select(_CUSTOMERS)
    .join(_SALES, _SALES.c.customer_id == _CUSTOMERS.c.id)
    .where(_SALES.c.id.in_(bindparam("sought", expanding=True)))
)
_SALES_AMONG = locked(sought_among(_SALES.c.id).order_by(_SALES.c.id))
_SALES_OF_AMONG = locked(sought_among(_SALES.c.customer_id).order_by(_SALES.c.id))
_PROMISES_AMONG = sought_among(_PROMISES.c.sale_id)
_LINK_TOKEN = locked(sought(_LINK_TOKENS.c.hash))


class SaleStatements(Statements):
    """Implements the part of `bot.ports.store.UnitOfWork` that is about sales and whose they are."""

    # customers

    def customer(self, customer_id: str) -> Customer | None:
        """Give the customer, locked until the transaction ends.

        There is no row to lock for a customer who is yet unknown, so the name is locked: of two processes that are
        about to store the same new customer, the second then finds what the first stored.
        """
        self.read_customers([customer_id])
        return self._known.customers[customer_id]

    def customer_by_chat(self, chat_id: int) -> Customer | None:
        """Give the customer who linked this chat, locked."""
        self.read_chats([chat_id])
        found = self._known.chats[chat_id]
        return self._known.customers[found] if found is not None else None

    def read_customers(self, customer_ids: Collection[str]) -> None:
        """Read those that are not known yet, all in one statement, locked; lock the names of those yet unheard of."""
        missing = sorted(set(customer_ids) - self._known.customers.keys())
        if not missing:
            return
        self._take_customers(_CUSTOMERS_AMONG, missing)
        unheard_of = [each for each in missing if each not in self._known.customers]
        if unheard_of and self._has_row_locks:
            name = func.unnest(cast(unheard_of, postgresql.ARRAY(Text))).column_valued("name")
            self._connection.execute(
                select(func.pg_advisory_xact_lock(func.hashtextextended(name, NEW_CUSTOMERS))).order_by(name)
            ).all()
            self._take_customers(_CUSTOMERS_AMONG, unheard_of)
        for each in unheard_of:
            self._known.customers.setdefault(each, None)

    def read_chats(self, chat_ids: Collection[int]) -> None:
        """Read the customers of these chats that are not known yet, all in one statement, locked."""
        if missing := set(chat_ids) - self._known.chats.keys():
            self._known.chats.update(dict.fromkeys(missing))
            self._take_customers(_CUSTOMERS_BY_CHAT, sorted(missing))

    def read_owners(self, sale_ids: Collection[str]) -> None:
        """Read the customers of these sales, locked, before anything of the sales is."""
        if missing := set(sale_ids) - self._known.sales.keys():
            self._take_customers(_OWNERS_AMONG, sorted(missing))

    def _take_customers(self, query: Select[Any], among: Collection[Any]) -> None:
        for row in self._all(query, sought=among):
            # What was put here already is newer than what is stored.
            if self._known.customers.get(row["id"]) is None:
                self._know_customer(customer_from(row))

    def _know_customer(self, customer: Customer) -> None:
        before = self._known.customers.get(customer.id)
        if before is not None and before.chat_id is not None and before.chat_id != customer.chat_id:
            self._known.chats[before.chat_id] = None
        self._known.customers[customer.id] = customer
        if customer.chat_id is not None:
            self._known.chats[customer.chat_id] = customer.id

    def put_customer(self, customer: Customer) -> None:
        """Store the customer."""
        self._upsert(_CUSTOMERS, customer_values(customer), customer.id)
        self._know_customer(customer)

    # sales

    def sale(self, sale_id: str) -> Sale | None:
        """Give the sale."""
        self.read_sales([sale_id])
        return self._known.sales[sale_id]

    def sales_of(self, customer_id: str) -> list[Sale]:
        """Give the customer's sales, newest first (by their latest event, then id)."""
        self.read_sales_of([customer_id])
        found = [self._known.sales[each] for each in self._known.sales_of[customer_id]]
        return sorted((each for each in found if each is not None), key=_latest, reverse=True)

    def read_sales(self, sale_ids: Collection[str]) -> None:
        """Read those that are not known yet, all in one statement."""
        if missing := set(sale_ids) - self._known.sales.keys():
            self._known.sales.update(dict.fromkeys(missing))
            for row in self._all(_SALES_AMONG, sought=sorted(missing)):
                self._known.sales[row["id"]] = sale_from(row)

    def read_sales_of(self, customer_ids: Collection[str]) -> None:
        """Read all sales of those customers whose sales are not known yet, all in one statement."""
        if missing := set(customer_ids) - self._known.sales_of.keys():
            self._known.sales_of.update({each: set() for each in missing})
            for row in self._all(_SALES_OF_AMONG, sought=sorted(missing)):
                self._known.sales_of[row["customer_id"]].add(row["id"])
                if self._known.sales.get(row["id"]) is None:
                    self._known.sales[row["id"]] = sale_from(row)

    def put_sale(self, sale: Sale) -> None:
        """Store the sale.

        Raises:
            Forbidden: it would be complete at a moment at which the customer themselves said nothing (rule 1).
        """
        if sale.confirmed_at is not None:
            stored = self.sale(sale.id)
            if stored is None or stored.confirmed_at is None:
                self._demand_own_word(sale.customer_id, sale.confirmed_at, "completes a sale")
        self._upsert(_SALES, sale_values(sale), sale.id)
        before = self._known.sales.get(sale.id)
        if before is not None and before.customer_id != sale.customer_id:
            self._known.sales_of.get(before.customer_id, set()).discard(sale.id)
        self._known.sales[sale.id] = sale
        if (of_owner := self._known.sales_of.get(sale.customer_id)) is not None:
            of_owner.add(sale.id)

    # promises

    def promises_of(self, sale_id: str) -> list[Promise]:
        """Give the promises of a sale in the order of their ids."""
        self.read_promises_of([sale_id])
        known = self._known.promises_of[sale_id]
        return [known[each] for each in sorted(known)]

    def read_promises_of(self, sale_ids: Collection[str]) -> None:
        """Read the promises of those sales whose promises are not known yet, all in one statement."""
        if missing := set(sale_ids) - self._known.promises_of.keys():
            self._known.promises_of.update({each: {} for each in missing})
            for row in self._all(_PROMISES_AMONG, sought=sorted(missing)):
                self._known.promises_of[row["sale_id"]][row["id"]] = promise_from(row)

    def put_promise(self, promise: Promise) -> None:
        """Store the promise (key: sale and id)."""
        self._upsert(_PROMISES, promise_values(promise), (promise.sale_id, promise.id))
        if (known := self._known.promises_of.get(promise.sale_id)) is not None:
            known[promise.id] = promise

    # links

    def link_token(self, token_hash: str) -> LinkToken | None:
        """Give the token with this hash, locked."""
        row = self._one(_LINK_TOKEN, sought=token_hash)
        return link_token_from(row) if row else None

    def put_link_token(self, token: LinkToken) -> None:
        """Store the token."""
        self._upsert(_LINK_TOKENS, link_token_values(token), token.hash)


def _latest(sale: Sale) -> tuple[bool, Any, str]:
    latest_at = max(sale.happened.values(), default=None)
    return (latest_at is not None, latest_at.timestamp() if latest_at else 0.0, sale.id)
