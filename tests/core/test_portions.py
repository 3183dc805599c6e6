"""Orders in parts: what an event of some items makes complete, and that the order of telling makes no difference."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bot import portions
from bot.ports.orders import LIFECYCLE, PortionForm
from bot.ports.records import Sale

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINE = {"sku": "WINE", "name": "Barolo", "quantity": 2}
DRESS = {"sku": "DRESS", "name": "a dress", "quantity": 1}
HAT = {"sku": "HAT", "name": "a hat", "quantity": 1}
ORDER = Sale("1001", "c-7", "wine, a dress and a hat", items=(WINE, DRESS, HAT))


def some(*named: str | tuple[str, float]) -> list[PortionForm]:
    return [
        PortionForm(sku=each) if isinstance(each, str) else PortionForm(sku=each[0], quantity=each[1]) for each in named
    ]


def told(sale: Sale, kind: str, *named: Any, at: datetime = AT) -> tuple[Sale, tuple[str, ...] | None]:
    return portions.happens(sale, kind, at, some(*named))


def test_an_event_of_no_items_is_about_the_whole_order() -> None:
    """As ever: the sale moves on, and what begins is about all of it."""
    sale, about = told(ORDER, "order.delivered")
    assert (sale.stage, about) == ("order.delivered", ())
    assert sale.extra == {}
    assert portions.narrowed(sale, ()) is sale


def test_an_event_of_some_items_is_about_those_and_the_sale_waits_for_the_rest() -> None:
    """The dress came: it is asked about; the order counts as delivered only once the rest has come, too."""
    sale, about = told(ORDER, "order.delivered", "DRESS")
    assert (sale.happened, about) == ({}, ("DRESS",))
    seen = portions.narrowed(sale, about or ())
    assert ([item["sku"] for item in seen.items], seen.summary) == (["DRESS"], "a dress")
    assert set(seen.happened) == {"order.delivered"}
    sale, about = told(sale, "order.delivered", "WINE", "HAT", at=AT + HOUR)
    assert about == ("WINE", "HAT")
    assert sale.happened == {"order.delivered": AT + HOUR}


def test_an_item_has_come_when_all_of_it_has() -> None:
    """One bottle of two is nothing to ask about yet."""
    sale, about = told(ORDER, "order.delivered", ("WINE", 1))
    assert about is None
    sale, about = told(sale, "order.delivered", ("WINE", 1))
    assert about == ("WINE",)


def test_what_is_told_of_the_whole_after_a_part_is_about_the_rest() -> None:
    """Some carriers tell of a parcel, then of the order; told once more it is about nothing new."""
    sale, _ = told(ORDER, "order.delivered", "DRESS")
    sale, about = told(sale, "order.delivered")
    assert about == ("WINE", "HAT")
    assert told(sale, "order.delivered")[1] is None


def test_all_items_at_once_are_the_whole_order() -> None:
    """A shop that always names the items gets no other words than one that never does."""
    sale, about = told(ORDER, "order.delivered", "WINE", "DRESS", "HAT")
    assert (sale.stage, about) == ("order.delivered", ())


def test_what_was_cancelled_is_not_waited_for_and_not_spoken_of() -> None:
    """The hat is cancelled, the others come: the order is delivered, and is wine and a dress."""
    sale, about = told(ORDER, "order.cancelled", "HAT")
    assert about == ("HAT",)
    assert portions.is_gone(sale, "HAT")
    assert "order.cancelled" not in sale.happened
    assert portions.narrowed(sale, ()).summary == "Barolo, a dress"
    sale, _ = told(sale, "order.delivered", "WINE")
    sale, _ = told(sale, "order.delivered", "DRESS")
    assert sale.stage == "order.delivered"


def test_an_order_of_which_everything_was_returned_was_returned() -> None:
    """Item by item, in any order: in the end the sale is what it would be had it been told in one."""
    for order in permutations(["WINE", "DRESS", "HAT"]):
        sale = ORDER
        for sku in order:
            sale, _ = told(sale, "order.returned", sku)
        assert sale.stage == "order.returned"


def test_items_that_are_told_late_settle_what_came_before() -> None:
    """A part came before the shop told what the order holds: once that is known, so is whether it is whole."""
    sale, about = told(Sale("1001", "c-7"), "order.delivered", "DRESS")
    assert (about, sale.happened) == (("DRESS",), {})
    assert portions.settled(replace(sale, items=(DRESS,))).stage == "order.delivered"
    assert portions.settled(replace(sale, items=(DRESS, HAT))).happened == {}


def test_an_order_is_complete_when_the_customer_said_so_of_every_part() -> None:
    """Their word about the dress completes the dress alone; taken back, it counts no more."""
    sale, is_all = portions.completed(ORDER, ["DRESS"], AT)
    assert not is_all
    sale, is_all = portions.completed(sale, ["WINE", "HAT"], AT)
    assert is_all
    assert not portions.completed(portions.reopened(sale, ["DRESS"]), ["WINE"], AT)[1]


def test_a_parcel_shipped_well_after_it_came_was_shipped_anew() -> None:
    """Hours apart are a slip of the clock; parts of an order are no second parcel."""
    came, _ = told(ORDER, "order.delivered")
    anew, _ = told(came, "order.shipped", at=AT + 30 * HOUR)
    assert portions.shipped_anew_at(anew) == AT + 30 * HOUR
    assert portions.shipped_anew_at(told(came, "order.shipped", at=AT + 3 * HOUR)[0]) is None
    parts, _ = told(ORDER, "order.delivered", "DRESS")
    assert portions.shipped_anew_at(told(parts, "order.shipped", "HAT", at=AT + 30 * HOUR)[0]) is None


EVENTS = st.tuples(
    st.sampled_from(sorted(LIFECYCLE)),
    st.lists(st.sampled_from(["WINE", "DRESS", "HAT"]), max_size=3, unique=True),
    st.integers(0, 200),
)


@given(st.lists(EVENTS, max_size=8), st.randoms(use_true_random=False))
def test_the_order_in_which_events_arrive_makes_no_difference(
    events: list[tuple[str, list[str], int]], chance: Any
) -> None:
    """Whatever comes first: the sale ends at the same stage, with the same items come and gone; and it never goes back."""
    shuffled = list(events)
    chance.shuffle(shuffled)
    ends = []
    for telling in (events, shuffled):
        sale = ORDER
        for kind, named, hours in telling:
            before = LIFECYCLE[sale.stage] if sale.happened else -1
            sale, _ = portions.happens(sale, kind, AT + hours * HOUR, some(*named))
            sale = portions.settled(sale)
            assert not sale.happened or LIFECYCLE[sale.stage] >= before
        have = {(kind, sku) for kind in LIFECYCLE for sku in portions.skus_of(sale) if portions.has(sale, kind, sku)}
        ends.append((sale.stage if sale.happened else "", set(sale.happened), have))
    assert ends[0] == ends[1]
