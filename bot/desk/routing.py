"""Which team an unhappy reply goes to, and why. Pure; who answers for what stands in the shop's own file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot.desk.shop import FALLBACK, Shop


@dataclass(frozen=True, slots=True)
class Route:
    """The team and its Slack channel, and in plain words why it is that one."""

    team: str
    channel: str
    why: str


def route(
    shop: Shop,
    *,
    touchpoint: str | None = None,
    factor: str | None = None,
    tags: Iterable[str] = (),
    promise_touchpoint: str | None = None,
) -> Route:
    """Give the first team that answers for the touchpoint, then the factor, then a tag of the product, in order.

    `promise_touchpoint` is where the promise was made: it counts where the reply names no touchpoint of its own. What
    nobody answers for goes to the fallback channel, as team ``fallback``.
    """
    for kind, what in _clues(touchpoint, promise_touchpoint, factor, tags):
        for team in shop.teams.values():
            if what in {"touchpoint": team.touchpoints, "factor": team.factors, "tag": team.tags}[kind]:
                return Route(team.name, team.channel, f"{kind} {what} → {team.name}")
    clues = ", ".join(f"{kind} {what}" for kind, what in _clues(touchpoint, promise_touchpoint, factor, tags))
    why = f"no team answers for {clues} → fallback channel" if clues else "nothing says whose it is → fallback channel"
    return Route(FALLBACK, shop.fallback_channel, why)


def _clues(
    touchpoint: str | None, promise_touchpoint: str | None, factor: str | None, tags: Iterable[str]
) -> Iterator[tuple[str, str]]:
    if touchpoint or promise_touchpoint:
        yield "touchpoint", touchpoint or promise_touchpoint or ""
    if factor:
        yield "factor", factor
    for tag in tags:
        yield "tag", tag
