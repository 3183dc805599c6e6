"""Orders that come, go and change in parts: who is asked about what, and when, as the shop tells it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.system.town import Said, Town

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
DAY = timedelta(days=1)
ITEMS = [
    {"sku": "WINE", "name": "Barolo", "quantity": 2, "first_use_after": "90d"},
    {"sku": "DRESS", "name": "a dress", "first_use_after": "90d"},
]
ORDER: dict[str, Any] = {"summary": "wine and a dress", "items": ITEMS}
ARRIVED = "Was everything as we promised?"


def town() -> Town:
    found = Town(START)
    found.moves_in("c0")
    found.happens("order.placed", "1001", "c0", ORDER)
    return found


def asked(played: Town, words: str = ARRIVED) -> list[Said]:
    return [
        each for each in played.said if words in str(each.message.body.get("text")) and each.message.kind == "question"
    ]


def test_what_came_is_asked_about_and_the_rest_when_it_has_come() -> None:
    """The dress on Monday, the wine on Friday: a question about each, two days after it, naming no more than it."""
    played = town()
    played.happens("order.delivered", "1001", "c0", ORDER, items=[{"sku": "DRESS"}])
    played.go(4 * DAY)
    (dress,) = asked(played)
    assert dress.at == START + 2 * DAY
    assert "Your order (a dress) should be with you" in dress.message.body["text"]
    assert played.run(lambda uow: uow.sale("1001")).stage == "order.placed"  # type: ignore[union-attr]
    played.taps("c0", 0)
    played.taps("c0", 0)
    played.happens("order.delivered", "1001", "c0", ORDER, items=["WINE"])
    played.go(3 * DAY)
    (_, wine) = asked(played)
    assert "Your order (Barolo) should be with you" in wine.message.body["text"]
    assert played.run(lambda uow: uow.sale("1001")).stage == "order.delivered"  # type: ignore[union-attr]


def test_nothing_is_asked_about_what_was_sent_back_before_its_question() -> None:
    """The dress goes back on the first day: the wine alone is asked about; the dress says why it is not."""
    played = town()
    played.happens("order.delivered", "1001", "c0", ORDER, items=["DRESS"])
    played.happens("order.delivered", "1001", "c0", ORDER, items=["WINE"])
    played.go(DAY)
    played.happens("order.returned", "1001", "c0", ORDER, items=["DRESS"])
    played.go(4 * DAY)
    assert ["Barolo" in each.message.body["text"] for each in asked(played)] == [True]
    (dropped,) = [
        each for each in played.moments() if each.state == "dropped" and each.data["flow"] == "after_delivery"
    ]
    assert dropped.reason == "what it was to be about was cancelled or returned"


def test_of_an_order_that_came_whole_what_was_cancelled_is_not_spoken_of() -> None:
    """The order is delivered without the dress, which was cancelled: the question names the wine."""
    played = town()
    played.happens("order.cancelled", "1001", "c0", ORDER, items=["DRESS"])
    played.happens("order.delivered", "1001", "c0", ORDER)
    played.go(3 * DAY)
    (question,) = asked(played)
    assert "Your order (Barolo) should be with you" in question.message.body["text"]


def test_an_open_question_about_an_item_that_goes_back_is_taken_away() -> None:
    """It is no longer asked or reminded of; that about the other item is."""
    played = town()
    played.happens("order.delivered", "1001", "c0", ORDER, items=["DRESS"])
    played.go(2 * DAY)
    assert len(asked(played)) == 1
    played.happens("order.returned", "1001", "c0", ORDER, items=["DRESS"])
    played.happens("order.delivered", "1001", "c0", ORDER, items=["WINE"])
    played.go(10 * DAY)
    about_dress = [each.message.kind for each in played.said if "a dress" in str(each.message.body.get("text"))]
    assert about_dress == ["notice", "question"]
    assert any("Barolo" in each.message.body["text"] for each in asked(played))


def test_a_parcel_that_is_sent_once_more_is_asked_about_when_it_has_come() -> None:
    """Delivered, says the carrier; it was not, and leaves anew: the question waits for the second delivery."""
    played = town()
    played.happens("order.shipped", "1001", "c0", ORDER)
    played.happens("order.delivered", "1001", "c0", ORDER)
    played.go(DAY)
    played.happens("order.shipped", "1001", "c0", ORDER)
    (waiting,) = [each for each in played.moments() if each.data["flow"] == "after_delivery"]
    assert waiting.reason == "a new parcel is under way: it is asked about once that has come, or after a week"
    played.go(3 * DAY)
    assert asked(played) == []
    played.happens("order.delivered", "1001", "c0", ORDER)
    played.go(3 * DAY)
    (question,) = asked(played)
    assert question.at == datetime(2026, 11, 30, 7, 30, tzinfo=UTC)  # two days after it came is a Sunday


def test_a_new_parcel_that_nobody_tells_the_end_of_is_asked_about_after_a_week() -> None:
    """The shop's system knows no second delivery: nobody is lost."""
    played = town()
    played.happens("order.delivered", "1001", "c0", ORDER)
    played.go(DAY)
    played.happens("order.shipped", "1001", "c0", ORDER)
    played.go(10 * DAY)
    assert [each.at for each in asked(played)] == [START + 8 * DAY]


def test_whether_a_replacement_is_right_is_asked_when_it_has_come() -> None:
    """“Remedy done: replacement” was pressed when it left; the customer is asked the day after it came, not before."""
    played = town()
    played.happens("order.delivered", "1001", "c0", ORDER)
    played.go(2 * DAY)
    played.taps("c0", 2)
    played.remedies("replacement")
    played.go(timedelta(hours=1))
    played.happens("order.shipped", "1001", "c0", ORDER)
    played.go(2 * DAY)
    assert asked(played, "Is it right now?") == []
    played.happens("order.delivered", "1001", "c0", ORDER)
    came_at = played.now
    played.go(4 * DAY)
    (question,) = asked(played, "Is it right now?")
    assert came_at + DAY <= question.at <= came_at + 3 * DAY


def test_a_yes_about_one_item_completes_that_item_alone() -> None:
    """The sale is complete when the customer said so of every part."""
    played = town()
    used = [{**each, "first_use_after": "1d"} for each in ITEMS]
    told = {**ORDER, "items": used}
    for sku in ("DRESS", "WINE"):
        played.happens("order.delivered", "1001", "c0", told, items=[sku])
    for _ in range(40):
        played.go(timedelta(hours=12))
        played.taps("c0", 0)
        sale = played.run(lambda uow: uow.sale("1001"))
        assert sale is not None
        parts = sale.extra["parts"].get("sale.complete", {})
        assert (sale.confirmed_at is not None) == (set(parts) == {"DRESS", "WINE"})
    assert sale.confirmed_at is not None
