"""Which team an unhappy reply goes to, and why. Pure; who answers for what stands in the shop's own file.

A rule asks for a touchpoint, a factor, a tag of what was bought, a shop (where one file serves several), or any of
them together; what a team *answers for* are rules that ask for one thing. Of the rules that fit, one wins, in this
order:

1. where a promise was broken, the rules for the touchpoint that made it come before all others;
2. the more a rule asks for, the sooner it wins;
3. of as many: touchpoint before factor before tag before shop;
4. of two tags: the one that the order names first.

Two rules never ask for the same: shop.yaml is refused then. What no rule fits goes to the fallback channel.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from bot.desk.shop import FALLBACK, RoutingRule, Shop


@dataclass(frozen=True, slots=True)
class Clues:
    """What is known of an unhappy reply.

    `made_at` is the touchpoint that made the promise which was broken; None where none was. `shop` is which of several
    shops sold it.
    """

    touchpoint: str | None = None
    factor: str | None = None
    tags: tuple[str, ...] = ()
    shop: str | None = None
    made_at: str | None = None

    def __str__(self) -> str:
        """Write them in one line."""
        parts = [f"promise made by {self.made_at}"] if self.made_at else []
        parts += [f"touchpoint {self.touchpoint}"] if self.touchpoint else []
        parts += [f"factor {self.factor}"] if self.factor else []
        parts += [f"tag {tag}" for tag in self.tags]
        return ", ".join([*parts, *([f"shop {self.shop}"] if self.shop else [])])


@dataclass(frozen=True, slots=True)
class Route:
    """The team and its Slack channel, and in plain words why it is that one."""

    team: str
    channel: str
    why: str


@dataclass(frozen=True, slots=True)
class Considered:
    """A rule that was looked at, and why it did or did not win."""

    rule: RoutingRule
    wins: bool
    why: str


_Rank: TypeAlias = tuple[int, ...]


def route(shop: Shop, clues: Clues) -> Route:
    """Give the team of the rule that wins, or the fallback channel, as team ``fallback``."""
    _, rank, rule = _best(shop, clues)
    if rule is None or rank is None:
        said = str(clues)
        why = (
            f"no team answers for {said} → fallback channel" if said else "nothing says whose it is → fallback channel"
        )
        return Route(FALLBACK, shop.fallback_channel, why)
    asked = _asked(rule)
    if rank[0]:
        asked = asked.replace(f"touchpoint {rule.touchpoint}", f"broken promise made by {rule.touchpoint}")
    return Route(rule.team, shop.team(rule.team).channel, f"{asked} → {rule.team}")


def explain(shop: Shop, clues: Clues) -> tuple[Considered, ...]:
    """Give every rule in the order in which they are preferred: the one that wins, those that fit as well, the rest."""
    place, best, winner = _best(shop, clues)
    fitting: list[tuple[_Rank, int, Considered]] = []
    others: list[Considered] = []
    for number, rule in enumerate(rules_of(shop)):
        lacks = _lacks(rule, clues)
        if lacks:
            others.append(Considered(rule, wins=False, why=lacks))
            continue
        rank = _rank(rule, clues)
        if winner is None or best is None or number == place:
            why = "fits, and nothing that fits comes before it"
        else:
            why = f"fits, but {_asked(winner)} comes before it: {_because(best, rank)}"
        fitting.append((rank, -number, Considered(rule, wins=number == place, why=why)))
    fitting.sort(key=lambda each: each[:2], reverse=True)
    return (*(each for _, _, each in fitting), *others)


def rules_of(shop: Shop) -> Iterator[RoutingRule]:
    """Go through the shop's own rules, then what each team answers for."""
    yield from shop.routing
    for team in shop.teams.values():
        where = f"what team {team.name} answers for"
        yield from (RoutingRule(team.name, touchpoint=each, where=where) for each in sorted(team.touchpoints))
        yield from (RoutingRule(team.name, factor=each, where=where) for each in sorted(team.factors))
        yield from (RoutingRule(team.name, tag=each, where=where) for each in sorted(team.tags))


def _best(shop: Shop, clues: Clues) -> tuple[int, _Rank | None, RoutingRule | None]:
    fitting = (
        (_rank(rule, clues), -place, rule) for place, rule in enumerate(rules_of(shop)) if not _lacks(rule, clues)
    )
    best = max(fitting, key=lambda each: each[:2], default=None)
    return (-best[1], best[0], best[2]) if best else (-1, None, None)


def _lacks(rule: RoutingRule, clues: Clues) -> str:
    """Say what a rule asks for that is not so; "" where it fits."""
    if rule.touchpoint is not None and rule.touchpoint not in (clues.touchpoint, clues.made_at):
        said = clues.made_at or clues.touchpoint
        return (
            f"asks for touchpoint {rule.touchpoint}; it is {said}" if said else f"no touchpoint {rule.touchpoint} here"
        )
    if rule.factor is not None and rule.factor != clues.factor:
        return f"asks for factor {rule.factor}; it is {clues.factor or 'not known'}"
    if rule.tag is not None and rule.tag not in clues.tags:
        return f"nothing that was bought has the tag {rule.tag}"
    if rule.shop is not None and rule.shop != clues.shop:
        return f"asks for shop {rule.shop}; it is {clues.shop or 'not known'}"
    return ""


def _rank(rule: RoutingRule, clues: Clues) -> _Rank:
    """Give by what a rule that fits is preferred: the larger wins."""
    asked = tuple(each is not None for each in (rule.touchpoint, rule.factor, rule.tag, rule.shop))
    made_it = rule.touchpoint is not None and rule.touchpoint == clues.made_at
    return made_it, sum(asked), *asked, -clues.tags.index(rule.tag) if rule.tag is not None else 0


def _because(best: _Rank, rank: _Rank) -> str:
    names = (
        *("it is the touchpoint that made the broken promise", "it asks for more"),
        *("a touchpoint comes first", "a factor comes before a tag", "a tag comes before a shop"),
    )
    place = next((number for number, (mine, theirs) in enumerate(zip(best, rank, strict=True)) if mine != theirs), -1)
    return names[place] if 0 <= place < len(names) else "the order names that tag first"


def _asked(rule: RoutingRule) -> str:
    parts = (("touchpoint", rule.touchpoint), ("factor", rule.factor), ("tag", rule.tag), ("shop", rule.shop))
    return " + ".join(f"{kind} {what}" for kind, what in parts if what is not None)
