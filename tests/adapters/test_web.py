"""The HTTP door: who is let in, what is answered, and that nothing is acknowledged before it is kept."""

import asyncio
import json
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp
import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from standardwebhooks import Webhook

from bot.adapters.clock import MovableClock, SystemClock
from bot.adapters.web import BODY_MAX_BYTES, build_web, listen, serve
from bot.errors import ConfigurationError, Forbidden
from bot.ports.records import Incoming

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "id": "evt-1",
    "type": "order.delivered",
    "occurred_at": "2026-11-21T10:00:00+01:00",
    "sale": {"id": "1001", "customer": {"id": "c-7"}, "gift": True},
}


class Inbox:
    """Keeps what it is given, as the real one does: a repeated key changes nothing."""

    def __init__(self) -> None:
        self.items: dict[str, Incoming] = {}
        self.is_down = False

    async def receive(self, items: list[Incoming]) -> list[bool]:
        """Keep each item once."""
        if self.is_down:
            raise OSError("the disk is full")
        news = []
        for item in items:
            news.append(item.key not in self.items)
            self.items.setdefault(item.key, item)
        return news


async def fine() -> dict[str, Any]:
    return {"ready": True, "problems": []}


def client_for(inbox: Inbox, **doors: Any) -> httpx.AsyncClient:
    given: dict[str, Any] = {
        "receive_events": inbox.receive,
        "telegram_webhook": None,
        "slack_http": None,
        "health": fine,
        "intake_secret": SECRET,
        "clock": MovableClock(NOW),
    }
    transport = httpx.ASGITransport(build_web(**{**given, **doors}), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://shop")


def signed(body: str | bytes, secret: str = SECRET) -> dict[str, Any]:
    raw = body.encode() if isinstance(body, str) else body
    at = SystemClock().now()
    signature = Webhook(secret).sign("msg_1", at, raw.decode("utf-8", "replace"))
    stamp = str(int(at.timestamp()))
    headers = {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": signature}
    return {"content": raw, "headers": headers}


async def test_signed_event_is_kept_and_then_acknowledged() -> None:
    """An event goes to the inbox as it came, with its id, its sale's lane and the time; the answer is 202."""
    inbox = Inbox()
    async with client_for(inbox) as client:
        answer = await client.post("/events", **signed(json.dumps(EVENT)))
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "repeated": 0})
    assert inbox.items == {"evt-1": Incoming("shop", "evt-1", "sale:1001", EVENT, NOW)}


async def test_repeated_id_is_accepted_and_changes_nothing() -> None:
    """A shop that sends again is told that all is well, and the first content stands."""
    inbox = Inbox()
    async with client_for(inbox) as client:
        await client.post("/events", **signed(json.dumps(EVENT)))
        changed = {**EVENT, "type": "order.placed"}
        answer = await client.post("/events", **signed(json.dumps([changed, {**EVENT, "id": "evt-2"}])))
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "repeated": 1})
    assert inbox.items["evt-1"].payload == EVENT


async def test_one_bad_event_refuses_the_whole_array() -> None:
    """All or nothing: every problem of every event is told with its place, and none is kept."""
    inbox = Inbox()
    bad = [EVENT, {**EVENT, "occurred_at": "2026-11-21T10:00:00"}, {**EVENT, "sale": {"id": ""}}]
    async with client_for(inbox) as client:
        answer = await client.post("/events", **signed(json.dumps(bad)))
    assert answer.status_code == 422
    fields = {problem["field"] for problem in answer.json()["problems"]}
    assert fields == {"[1].occurred_at", "[2].sale.id", "[2].sale.customer"}
    assert inbox.items == {}


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "7",
        '{"id": NaN}',
        json.dumps([EVENT] * 1001),
        "[" * 50_000,
        json.dumps({**EVENT, "note": "\x00"}),
        json.dumps({**EVENT, "note\x00": 1}),
        json.dumps({**EVENT, "note": "\ud83d"}),
        json.dumps(EVENT).replace("true", "1e999"),
        json.dumps(EVENT).replace("true", "9" * 5000),
        json.dumps(EVENT).replace("true", "[" * 40 + "]" * 40),
        b'{"id": "\xff"}',
    ],
)
async def test_what_cannot_be_an_event_is_refused_with_a_reason(body: str | bytes) -> None:
    """Broken JSON, and JSON that a database would refuse later, get an answer with reasons and are not kept."""
    inbox = Inbox()
    async with client_for(inbox) as client:
        answer = await client.post("/events", **signed(body))
    # What is not UTF-8 cannot be signed by the standard, so it is turned away one door earlier.
    assert answer.status_code == (401 if isinstance(body, bytes) else 422)
    assert answer.json()["error"]
    assert inbox.items == {}


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "nonsense"},
        {"webhook-signature": "v1,a"},
        {"webhook-signature": ""},
        {"webhook-timestamp": "1"},
        {"webhook-timestamp": "soon"},
        {"webhook-id": "another"},
    ],
)
async def test_wrong_signature_is_refused(change: dict[str, str]) -> None:
    """Whoever does not know the secret, or repeats an old call, gets 401 in words, and nothing is kept."""
    inbox = Inbox()
    call = signed(json.dumps(EVENT))
    call["headers"] |= change
    async with client_for(inbox) as client:
        answer = await client.post("/events", **call)
    assert answer.status_code == 401
    assert "INTAKE_SECRET" in answer.json()["error"]
    assert inbox.items == {}


async def test_signature_holds_for_the_raw_bytes_alone() -> None:
    """The same JSON with one more space is not what was signed."""
    call = signed(json.dumps(EVENT))
    call["content"] += b" "
    async with client_for(Inbox()) as client:
        assert (await client.post("/events", **call)).status_code == 401


async def test_body_that_is_too_large_is_refused() -> None:
    """More than a mebibyte is turned away, declared or not."""

    async def undeclared() -> Any:
        for _ in range(3):
            yield b"x" * (BODY_MAX_BYTES // 2)

    async with client_for(Inbox()) as client:
        declared = await client.post("/events", content=b"x" * (BODY_MAX_BYTES + 1))
        streamed = await client.post("/events", content=undeclared())
    assert (declared.status_code, streamed.status_code) == (413, 413)
    assert "larger" in declared.json()["error"]


async def test_shop_is_told_to_come_again_when_nothing_can_be_kept() -> None:
    """A database that is down gives 503 with a time to come again and a reference, and no inner words."""
    inbox = Inbox()
    inbox.is_down = True
    async with client_for(inbox) as client:
        answer = await client.post("/events", **signed(json.dumps(EVENT)))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["reference"]
        assert "disk" not in answer.text
        inbox.is_down = False
        assert (await client.post("/events", **signed(json.dumps(EVENT)))).status_code == 202


async def test_without_secret_no_event_is_taken() -> None:
    """A server whose operator has set no secret is closed, and says what to set."""
    async with client_for(Inbox(), intake_secret=None) as client:
        answer = await client.post("/events", **signed(json.dumps(EVENT)))
    assert answer.status_code == 503
    assert "INTAKE_SECRET" in answer.json()["error"]


async def test_calls_of_telegram_and_slack_pass_through_raw() -> None:
    """Headers and body arrive byte for byte, and the answer goes back as it was given."""
    seen: list[tuple[str | None, bytes]] = []

    async def telegram(headers: Mapping[str, str], body: bytes) -> int:
        seen.append((headers.get("x-telegram-bot-api-secret-token"), body))
        return 401

    async def slack(path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        seen.append((headers.get("x-slack-signature"), body))
        return 200, {"content-type": "text/plain", "x-path": path}, b"challenge"

    async with client_for(Inbox(), telegram_webhook=telegram, slack_http=slack) as client:
        first = await client.post(
            "/telegram/webhook", content=b"{ raw }", headers={"X-Telegram-Bot-Api-Secret-Token": "s"}
        )
        second = await client.post("/slack/events", content=b"a=1&b", headers={"X-Slack-Signature": "v0=1"})
    assert seen == [("s", b"{ raw }"), ("v0=1", b"a=1&b")]
    assert first.status_code == 401
    assert (second.status_code, second.content, second.headers["x-path"]) == (200, b"challenge", "/slack/events")


@pytest.mark.parametrize(
    "path", ["/", "/telegram/webhook", "/slack/events", "/hooks/shopify", "/docs", "/openapi.json"]
)
async def test_what_is_not_there_is_said_in_json(path: str) -> None:
    """Closed modes, shops without adapter and unknown addresses answer 404 in words."""
    async with client_for(Inbox()) as client:
        answer = await client.post(path)
    assert answer.status_code == 404
    assert answer.json()["error"]


async def test_health_says_why_it_is_not_ready() -> None:
    """Ready is 200; not ready is 503 with the reasons; live stands in both."""

    async def ill() -> dict[str, Any]:
        return {"ready": False, "problems": ["Telegram does not answer"]}

    async with client_for(Inbox()) as client:
        well = await client.get("/health")
    async with client_for(Inbox(), health=ill) as client:
        badly = await client.get("/health")
    assert (well.status_code, well.json()) == (200, {"live": True, "ready": True, "problems": []})
    expected = {"live": True, "ready": False, "problems": ["Telegram does not answer"]}
    assert (badly.status_code, badly.json()) == (503, expected)


async def test_health_that_cannot_be_told_is_not_ready() -> None:
    """A database that is down makes the answer "not ready", not an error."""

    async def blind() -> dict[str, Any]:
        raise OSError("inner words")

    async with client_for(Inbox(), health=blind) as client:
        answer = await client.get("/health")
    assert (answer.status_code, answer.json()["live"], answer.json()["ready"]) == (503, True, False)
    assert "inner" not in answer.text


async def test_live_asks_nobody_and_ready_only_whether_calls_can_be_taken() -> None:
    """A supervisor is told that it lives whatever is wrong; a load balancer only what concerns calls, in plain words."""
    asked: list[str] = []

    async def ill() -> dict[str, Any]:
        asked.append("health")
        return {"ready": False, "problems": ["Telegram does not answer"]}

    async def away() -> str | None:
        asked.append("ready")
        return "the database does not answer"

    async with client_for(Inbox(), health=ill, why_not_ready=away) as client:
        live, ready = await client.get("/health/live"), await client.get("/health/ready")
    async with client_for(Inbox(), health=ill) as client:
        still = await client.get("/health/ready")
    assert (live.status_code, live.text) == (200, "live\n")
    assert (ready.status_code, ready.text) == (503, "not ready: the database does not answer\n")
    assert (still.status_code, still.text) == (200, "ready\n")
    assert asked == ["ready"]


async def test_metrics_are_looked_at_before_they_are_shown() -> None:
    """What is shown is of this moment: whoever asks makes the program look first."""
    registry = CollectorRegistry()
    looks = Counter("aftersale_looks", "Looks", registry=registry)

    async def look() -> None:
        looks.inc()

    async with client_for(Inbox(), metrics=registry, look=look) as client:
        assert "aftersale_looks_total 1.0" in (await client.get("/metrics")).text
        assert "aftersale_looks_total 2.0" in (await client.get("/metrics")).text


async def test_metrics_show_the_registry_that_was_given() -> None:
    """What others count is shown in Prometheus' own form."""
    registry = CollectorRegistry()
    Counter("aftersale_replies", "Replies", registry=registry).inc(3)
    async with client_for(Inbox(), metrics=registry) as client:
        answer = await client.get("/metrics")
    assert "aftersale_replies_total 3.0" in answer.text


async def test_mistakes_of_ours_never_show_their_insides() -> None:
    """An unexpected error is a 500 with a reference; a known one has its own status and words."""

    async def broken(_: Mapping[str, str], __: bytes) -> int:
        raise RuntimeError("inner words")

    async def forbidding(_: str, __: Mapping[str, str], ___: bytes) -> tuple[int, Mapping[str, str], bytes]:
        raise Forbidden("not you")

    async with client_for(Inbox(), telegram_webhook=broken, slack_http=forbidding) as client:
        unknown = await client.post("/telegram/webhook")
        known = await client.post("/slack/events")
    assert unknown.status_code == 500
    assert unknown.json()["reference"]
    assert "inner" not in unknown.text
    assert "Traceback" not in unknown.text
    assert (known.status_code, known.json()) == (403, {"error": "not you"})


async def test_server_finishes_what_it_is_answering_and_stops() -> None:
    """Stopping waits for the call under way; afterwards nobody listens there."""
    entered, release = asyncio.Event(), asyncio.Event()

    async def slow() -> dict[str, Any]:
        entered.set()
        await release.wait()
        return {"ready": True}

    app = build_web(
        receive_events=Inbox().receive,
        telegram_webhook=None,
        slack_http=None,
        health=slow,
        intake_secret=SECRET,
        clock=SystemClock(),
    )

    async def ask(address: str) -> int:
        async with aiohttp.ClientSession() as session, session.get(f"{address}/health") as answer:
            return answer.status

    async with serve(app, "127.0.0.1", 0) as address:
        call = asyncio.create_task(ask(address))
        await asyncio.wait_for(entered.wait(), 5)
        asyncio.get_running_loop().call_later(0.2, release.set)
    assert await call == 200
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask(address)


def test_an_answer_does_not_wait_for_the_other_side() -> None:
    """Each connection sends at once: else every answer after the first takes 40 ms, in which nothing happens."""
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_address_that_is_taken_is_refused_in_words() -> None:
    """A port that another program has is the operator's to mend, and is named."""
    app = build_web(
        receive_events=Inbox().receive,
        telegram_webhook=None,
        slack_http=None,
        health=fine,
        intake_secret=None,
        clock=SystemClock(),
    )
    async with serve(app, "127.0.0.1", 0) as address:
        port = int(address.rsplit(":", 1)[1])
        with pytest.raises(ConfigurationError) as refused:
            async with serve(app, "127.0.0.1", port):
                pass
    assert refused.value.variable == "HTTP_PORT"
    assert str(port) in str(refused.value)
