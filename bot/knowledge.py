"""What is known of a sale and its customer, gathered for a flow: the facts that its conditions and times stand on.

Reads, and decides nothing. Only what a flow makes use of is read.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from bot.desk.states import Case
from bot.flows.facts import ANSWERED, CHANGE_ANSWER, Facts, PromiseFact
from bot.flows.model import Flow
from bot.flows.needs import needs
from bot.messages import House, languages_for, zone_of
from bot.ports.records import Customer, Promise, Sale
from bot.ports.store import UnitOfWork

_AT_WORK = ("open", "claimed", "call", "remedied")


def of_sale(sale: Sale) -> Facts:
    """Give what a sale by itself tells: enough for when a conversation begins."""
    return Facts(sale=sale_values(sale), items=tuple(dict(item) for item in sale.items), happened=dict(sale.happened))


def facts_for(
    uow: UnitOfWork,
    house: House,
    flow: Flow,
    sale: Sale,
    customer: Customer,
    promises: Sequence[Promise],
    case: Case | None,
) -> Facts:
    """Gather what a conversation of `flow` can know now."""
    needed = house.needs_of(flow, needs)
    happened = dict(sale.happened)
    verdicts: dict[str, dict[str, str | None]] = {}
    if needed & {"verdicts", "days_since", "answered", "happened"}:
        for each in uow.verdicts_of(sale.id):
            if each.choice is not None:
                verdicts.setdefault(each.flow, {})[each.step] = each.choice
                happened[ANSWERED] = each.at
    remedied = [remedy.at for each in uow.cases_of(sale.id) for remedy in each.remedies]
    if remedied:
        happened["remedy.done"] = max(remedied)
    return Facts(
        sale=sale_values(sale),
        items=tuple(dict(item) for item in sale.items),
        customer=_customer_values(house, customer),
        promises=tuple(PromiseFact(each.id, each.text, each.touchpoint, each.due_at, each.state) for each in promises),
        verdicts=verdicts,
        factors=dict(sale.factors),
        happened=happened,
        case={"open": case.status in _AT_WORK, "status": case.status, "team": case.team} if case else {},
        links={
            name: link
            for name, link in (("review", house.shop.review_link), ("referral", house.shop.referral_link))
            if link
        },
        zone=zone_of(house, customer),
        change_answer=CHANGE_ANSWER if house.shop.change_answer is None else house.shop.change_answer,
        thanks=words_of(tuple(house.flows.phrases.get("words_of_thanks", {}).values())),
    )


def sale_values(sale: Sale) -> dict[str, Any]:
    """Give what stands behind ``sale.``: what every sale has, and under ``extra`` the shop's own fields."""
    extra = dict(sale.extra)
    known = {"total": extra.get("total"), "currency": extra.get("currency")}
    told = {name: value for name, value in known.items() if value is not None}
    return {"id": sale.id, "summary": sale.summary, "stage": sale.stage, "extra": extra, **told}


def _customer_values(house: House, customer: Customer) -> Mapping[str, Any]:
    return {
        "id": customer.id,
        "name": customer.name,
        "first_name": customer.name.split(" ")[0],
        "language": next(iter(languages_for(house, customer)), ""),
        "country": customer.country,
    }


@lru_cache(maxsize=16)
def words_of(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Give the words of lists written with commas, one list for each language."""
    return tuple(word.strip() for text in texts for word in text.split(",") if word.strip())
