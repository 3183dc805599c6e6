"""What no customer is spared by chance: one question at a time, none at the wrong hour, nothing without its one reason.

Random stories of several orders of one customer, over clocks, zones, countries and pauses, with the shipped flows.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import holidays
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.adapters.shop_file import default_shop
from bot.ports.records import PAUSED
from tests.system.town import Town

START = datetime(2026, 11, 20, 6, 30, tzinfo=UTC)
ZONES = {
    "DK": ["Europe/Copenhagen"],
    "US": ["America/New_York", "Pacific/Honolulu"],
    "JP": ["Asia/Tokyo"],
    "AU": ["Australia/Lord_Howe"],
    "GB": ["Europe/London"],
}
PLACES = st.sampled_from(sorted((country, zone) for country, zones in ZONES.items() for zone in zones))
SALES = st.sampled_from(["s1", "s2", "s3"])
KINDS = ["order.placed", "order.shipped", "order.delayed", "order.delivered", "product.first_used"]
ENDS = ["order.cancelled", "order.returned"]
PAUSES = st.sampled_from([("all", ""), ("flow", "after_delivery"), ("flow", "after_first_use"), ("sale", "s1")])
DEEDS = st.one_of(
    st.tuples(st.just("event"), SALES, st.sampled_from([*KINDS, "order.delivered", "order.delivered", *ENDS])),
    st.tuples(st.just("tap"), st.integers(0, 4), st.integers(1, 3)),
    st.tuples(st.just("wait"), st.integers(1, 240)),
    st.tuples(st.just("wait"), st.integers(1, 100)),
    st.tuples(st.just("write")),
    st.tuples(st.just("remedy")),
    st.tuples(st.just("pause"), PAUSES),
    st.tuples(st.just("resume"), PAUSES),
    st.tuples(st.just("lose"), st.booleans()),
)
FEW = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def play(town: Town, deeds: list[tuple[object, ...]]) -> None:
    for deed in deeds:
        match deed:
            case ("event", str(sale), str(kind)):
                town.happens(kind, sale, "c0", {"items": [{"sku": "X", "name": "it", "first_use_after": "3d"}]})
            case ("tap", int(choice), int(back)):
                town.taps("c0", choice, back=back)
            case ("wait", int(hours)):
                town.go(timedelta(hours=hours))
            case ("write",):
                town.writes("c0", "Hm")
            case ("remedy",):
                town.remedies()
            case ("pause", (scope, name)):
                known = name != "s1" or town.run(lambda uow: uow.sale("s1")) is not None
                if known:
                    town.pauses(scope, str(name))
            case ("resume", (scope, name)):
                if any((each.scope, each.name) == (scope, name) for each in town.run(lambda uow: uow.pauses())):
                    town.resumes(scope, str(name))
            case ("lose", bool(lost)):
                town.lost = lambda _message, lost=lost: bool(lost)  # type: ignore[misc]


def is_allowed(at: datetime, zone: str, country: str) -> bool:
    """Look at the customer's clock and calendar, the plain way."""
    local = at.astimezone(ZoneInfo(zone))
    if f"{local:%a}" == "Sun" or local.date() in holidays.country_holidays(country, years=local.year):
        return False
    return "08:30" <= f"{local:%H:%M}" < "21:00"


@FEW
@given(PLACES, st.lists(DEEDS, min_size=4, max_size=25), st.integers(0, 24 * 60))
def test_never_two_open_questions_and_never_at_the_wrong_hour(
    place: tuple[str, str], deeds: list[tuple[object, ...]], minutes: int
) -> None:
    """Whatever happens in whatever order: no question of its own accord while one is open, nothing in quiet times.

    (By an old button the customer can open a second one; that is answered at once, at any hour.)
    """
    country, zone = place
    town = Town(START + timedelta(minutes=minutes))
    town.moves_in("c0", zone=zone, country=country)
    play(town, deeds)
    town.go(timedelta(days=20))
    for each in town.said:
        own_accord = each.message.kind in ("question", "reminder", "notice") and not each.message.body.get("prompted")
        if own_accord:
            assert is_allowed(each.at, zone, country), (each.at, each.message.kind)
        if own_accord and each.message.kind == "question":
            assert each.open_before == (), each.message.body["text"]
    keys = [each.message.key for each in town.said if each.message.kind == "question"]
    assert len(keys) == len(set(keys))


@FEW
@given(st.lists(DEEDS, min_size=4, max_size=25))
def test_everything_that_is_not_sent_has_exactly_one_reason(deeds: list[tuple[object, ...]]) -> None:
    """At any point of any story: what waits says when or why, what was dropped or held says why, in one line."""
    town = Town(START)
    town.moves_in("c0")
    play(town, deeds)
    for message in town.messages():
        if message.state in ("held", "dropped", "refused", "failed", "unknown"):
            assert message.reason
            assert "\n" not in message.reason
        if message.state == "waiting":
            assert message.reason
            assert message.not_before > town.now
        if message.state == "sent":
            assert message.reason is None
    for moment in town.moments():
        if moment.state in ("held", "dropped"):
            assert moment.reason
        if moment.state == "planned":
            assert moment.due_at > town.now


@FEW
@given(st.lists(DEEDS, min_size=4, max_size=25))
def test_when_all_pauses_are_over_nothing_is_left_behind(deeds: list[tuple[object, ...]]) -> None:
    """Resumed, put right and given time, every conversation was held, or was dropped for a reason that is no pause."""
    town = Town(START)
    town.moves_in("c0")
    play(town, deeds)
    for each in town.run(lambda uow: uow.pauses()):
        town.resumes(each.scope, each.name)
    for _ in range(6):
        town.go(timedelta(days=15))
        town.remedies()
    town.go(timedelta(days=60))
    for moment in town.moments():
        assert moment.state in ("done", "dropped"), (moment.key, moment.state, moment.reason)
        assert not (moment.reason or "").startswith(PAUSED)
    open_ones = [(each.kind, each.state, each.reason) for each in town.messages() if each.state in ("waiting", "held")]
    assert open_ones == []


@FEW
@given(st.integers(1, 200), st.integers(1, 24 * 12), st.integers(17, 30), st.sampled_from(["all", "flow"]))
def test_a_pause_loses_nobody_and_its_end_is_no_burst(begins: int, lasts: int, customers: int, scope: str) -> None:
    """Everybody is asked once, whenever it begins and however long it lasts; afterwards at most so many an hour."""
    shop = replace(default_shop(), guards=replace(default_shop().guards, catch_up_per_hour=12))
    town = Town(START, shop=shop)
    for number in range(customers):
        town.moves_in(f"c{number}")
        town.happens("order.delivered", f"s{number}", f"c{number}", {"items": [{"sku": "X", "first_use_after": "90d"}]})
    town.go(timedelta(hours=begins))
    town.pauses(scope, "after_delivery" if scope == "flow" else "")
    paused_at, before = town.now, len(town.said)
    town.go(timedelta(hours=lasts))
    assert len(town.said) == before
    town.resumes(scope, "after_delivery" if scope == "flow" else "")
    resumed_at = town.now
    town.go(timedelta(days=30))
    asked = town.asked()
    assert sorted(each.message.customer_id or "" for each in asked) == sorted(f"c{n}" for n in range(customers))
    waited = sorted(each.at for each in asked if each.at >= resumed_at)
    if resumed_at - paused_at > timedelta(hours=48) and begins < 48:
        for at in waited:
            assert sum(at <= other < at + timedelta(hours=1) for other in waited) <= 12 + 3 + 1
    # Nobody was given up on sooner than the week that the flow gives them, the time of the pause not counted.
    ends = {each.sale_id: each for each in town.run(lambda uow: [e for s in town.sales(uow) for e in uow.story_of(s)])
            if each.kind == "conversation.finished"}  # fmt: skip
    for each in asked:
        end = ends[each.message.sale_id]
        stood = max(min(resumed_at, end.at) - max(paused_at, each.at), timedelta())
        assert end.at - each.at - stood >= timedelta(days=7), (each.at, end.at)
