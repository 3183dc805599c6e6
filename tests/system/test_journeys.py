"""Whole journeys through the real program, on both databases."""

from datetime import timedelta

from tests.system.stage import order, stage


async def test_a_happy_customer_completes_the_sale(database_url: str) -> None:
    """From order to the customer's own yes: nothing is asked twice, and only that yes completes the sale."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        assert "two bottles of Barolo" in freja.last.text
        await play.happens(order("order.delivered"))
        await play.pass_time(timedelta(days=2))
        assert "Was everything as we promised?" in freja.last.text
        await freja.tap("👍 Yes")
        await play.rest()
        await freja.tap("👍 Yes, all of it")
        await play.rest()
        await play.pass_time(timedelta(days=4))
        assert "Have you tried" in freja.last.text
        await freja.tap("👍 Yes")
        await play.rest()
        await freja.tap("👍 Yes")
        await play.rest()
        sale = await play.read(lambda uow: uow.sale("1001"))
        assert sale.confirmed_at is not None
        assert sale.factors == {"promise": 1, "clarity": 1, "service": 1, "quality": 1}
        assert all(not channel.messages for channel in play.channels.values())
