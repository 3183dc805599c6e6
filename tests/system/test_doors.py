"""The doors of the whole program: HTTP for shops, Telegram and Slack; and starting while one of them is away."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
from standardwebhooks import Webhook

from bot.adapters.clock import SystemClock
from tests.system.stage import INTAKE_SECRET, PATIENCE_SECONDS, Stage, becomes, order, questions_to, stage

ARRIVED = "Was everything as we promised?"


def free_port() -> int:
    """Give a port that nobody uses at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@asynccontextmanager
async def webhook_stage(database_url: str) -> AsyncIterator[Stage]:
    """Set a stage on which Telegram and Slack call the program over HTTP."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    async with stage(
        database_url, telegram_mode="webhook", slack_mode="http", http_port=port, public_url=address
    ) as play:
        play.slack.http_url = f"{address}/slack/events"
        await becomes(lambda: any(call.method.lower() == "setwebhook" for call in play.telegram.calls))
        yield play


async def post(play: Stage, payload: Any, secret: str = INTAKE_SECRET) -> tuple[int, dict[str, Any]]:
    """Send events as a shop does, signed as Standard Webhooks says; gives status and answer."""
    body, now = json.dumps(payload), SystemClock().now()
    headers = {
        "webhook-id": "msg-1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg-1", now, body),
        "content-type": "application/json",
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{play.service.address}/events", data=body, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


async def test_a_shop_posts_events(database_url: str) -> None:
    """Signed events are accepted, a repeat changes nothing, a wrong signature and a wrong field are refused whole."""
    async with stage(database_url) as play:
        assert await post(play, order("order.placed")) == (202, {"accepted": 1, "repeated": 0})
        await play.rest()
        freja = await play.link()
        assert "two bottles of Barolo" in freja.last.text
        assert await post(play, order("order.placed")) == (202, {"accepted": 0, "repeated": 1})
        await play.rest()
        assert (await play.told()).count("order.placed") == 1

        status, _ = await post(play, order("order.delivered"), "whsec_c29tZWJvZHktZWxzZQ==")
        assert status == 401
        wrong = order("order.delivered")
        wrong["sale"]["promises"] = [{"id": "p1", "text": "On Friday", "due_at": "Friday"}]
        status, answer = await post(play, [order("order.shipped"), wrong])
        assert status == 422
        assert [problem["field"] for problem in answer["problems"]] == ["[1].sale.promises.0.due_at"]
        await play.rest()
        assert (await play.sale()).stage == "order.placed"


async def test_telegram_and_slack_call_over_http(sqlite_url: str) -> None:
    """The same journey with a webhook and signed requests instead of polling and Socket Mode."""
    async with webhook_stage(sqlite_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.happens(order("order.delivered"))
        await play.pass_time(timedelta(days=2))
        await play.tap(freja, "📦 Not here yet")
        card, anna = play.card("delivery"), play.slack.member("Anna Berg")
        await play.claim(anna, card)
        await play.reply(anna, card, "It left today.")
        assert (
            freja.last.text
            == "Anna, Nordlys:\nIt left today.\n\n(You can answer right here. A person reads it within one business day.)"
        )
        await play.remedy(anna, card, "explanation", "sent again")
        await play.pass_time(timedelta(days=1))
        await play.tap(freja, "👍 Yes, it is right")
        assert (await play.sale()).confirmed_at is not None


async def test_a_request_that_telegram_did_not_send_is_refused(sqlite_url: str) -> None:
    """Without the secret nobody writes in a customer's name."""
    async with webhook_stage(sqlite_url) as play, aiohttp.ClientSession() as session:
        forged = {"update_id": 1, "message": {"text": "/stop"}}
        async with session.post(f"{play.service.address}/telegram/webhook", json=forged) as answer:
            assert answer.status == 401
        assert await play.read(lambda uow: uow.inbox(("new", "done", "ignored", "failed"), 10)) == []


async def test_health_and_metrics_answer(database_url: str) -> None:
    """An operator sees that it is well, and how many sales there are."""
    async with stage(database_url) as play, aiohttp.ClientSession() as session:
        await play.happens(order("order.placed"))
        await becomes(lambda: not play.service.problems())
        async with session.get(f"{play.service.address}/health") as answer:
            assert answer.status == 200
            state = await answer.json()
        assert (state["ready"], state["problems"], state["counts"]["sales"]) == (True, [], 1)
        async with session.get(f"{play.service.address}/metrics") as answer:
            assert answer.status == 200
            assert "aftersale_" in await answer.text()


async def test_it_starts_while_telegram_and_slack_are_away(sqlite_url: str) -> None:
    """Orders are taken in meanwhile, health names both, and all is delivered when they are back."""
    async with stage(sqlite_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.write(freja, "First words")
        await play.close()
        play.slack.down = play.telegram.down = True
        await freja.send("The bottle is broken")
        await play.open(connected=False)
        status, _ = await post(play, order("order.delivered"))
        assert status == 202
        await becomes(lambda: {each.partition(":")[0] for each in play.service.problems()} >= {"Telegram", "Slack"})
        play.slack.down = play.telegram.down = False
        await becomes(lambda: not play.service.problems(), within=2 * PATIENCE_SECONDS)
        await play.rest()
        assert "The bottle is broken" in play.story(play.card("wine"))
        await play.claim(play.slack.member("Anna Berg"), play.card("wine"))
        assert (await play.sale()).stage == "order.delivered"
        assert questions_to(freja, ARRIVED) == []
