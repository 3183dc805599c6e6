"""`aftersale route explain`: which team an unhappy reply goes to, by which rule, and why not by the others."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from bot import cases
from bot.app.story import find_sale
from bot.cli.opening import opened
from bot.cli.terminal import grid, heading, say, show, write_json
from bot.desk.routing import Clues, Considered, Route, explain, route
from bot.desk.shop import FACTORS, RoutingRule, Shop
from bot.desk.states import Case
from bot.errors import NotFound
from bot.ports.store import UnitOfWork


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks about, instead of what the sale and its case say; what is left out is as it is there."""

    touchpoint: str | None = None
    factor: str | None = None
    tags: Sequence[str] = ()
    shop: str | None = None
    promise: str | None = None


def explain_route(sale_id: str | None, asked: Asked, *, as_json: bool) -> None:
    """Print the team, the rule that won, and each other rule with why it did not.

    Raises:
        NotFound: there is no such sale, touchpoint, factor or promise.
    """
    with opened() as base:
        _demand_known(base.house.shop, asked)
        clues, case = base.database.run_now(lambda uow: _clues(uow, sale_id, asked))
        shop = base.house.shop
        where, considered = route(shop, clues), explain(shop, clues)
    if as_json:
        told = {"clues": asdict(clues), "route": asdict(where), "rules": [asdict(each) for each in considered]}
        write_json({**told, "case": {"team": case.team, "why": case.why_team} if case else None})
        return
    _print(shop, clues, where, considered, case)


def _demand_known(shop: Shop, asked: Asked) -> None:
    for kind, word, known in (
        ("touchpoint", asked.touchpoint, tuple(shop.touchpoints)),
        ("factor", asked.factor, FACTORS),
    ):
        if word is not None and word not in known:
            raise NotFound(f"{word!r} is not a {kind} of this shop → it can be {', '.join(known)}")


def _clues(uow: UnitOfWork, sale_id: str | None, asked: Asked) -> tuple[Clues, Case | None]:
    if sale_id is None:
        if asked.promise is not None:
            raise NotFound("a promise belongs to a sale → name the sale, too")
        return Clues(asked.touchpoint, asked.factor, tuple(asked.tags), asked.shop), None
    sale = find_sale(uow, sale_id)
    case = cases.open_of(uow, sale.id) or next(iter(uow.cases_of(sale.id)), None)
    promises = {each.id: each for each in uow.promises_of(sale.id)}
    promise_id = asked.promise or (case.promise_id if case else None)
    if asked.promise is not None and asked.promise not in promises:
        known = ", ".join(promises) or "none"
        raise NotFound(f"the sale has no promise {asked.promise!r} → it has: {known}")
    clues = cases.clues_of(
        sale,
        asked.factor or (case.factor if case else None),
        asked.touchpoint or (case.touchpoint if case else None),
        promises.get(promise_id or ""),
        is_named=asked.promise is not None,
    )
    return replace(clues, tags=tuple(asked.tags) or clues.tags, shop=asked.shop or clues.shop), case


def _print(shop: Shop, clues: Clues, where: Route, considered: Sequence[Considered], case: Case | None) -> None:
    say(f"{where.team} ({where.channel})", "bold")
    say(f"because: {where.why}")
    say(f"known: {clues}" if str(clues) else "known: nothing", "dim")
    if case is not None and case.team != where.team:
        say(f"! Its case is with {case.team}: {case.why_team}", "yellow")
    heading("The rules, in the order in which they are preferred")
    table = grid("", "rule", "team", "where it stands", "why")
    for each in considered:
        table.add_row("→" if each.wins else "", _rule(each.rule), each.rule.team, each.rule.where, each.why)
    if not any(each.wins for each in considered):
        table.add_row("→", "anything else", where.team, f"fallback_channel {shop.fallback_channel}", "no rule fits")
    show(table)


def _rule(rule: RoutingRule) -> str:
    parts = (("touchpoint", rule.touchpoint), ("factor", rule.factor), ("tag", rule.tag), ("shop", rule.shop))
    return " + ".join(f"{kind} {what}" for kind, what in parts if what is not None)
