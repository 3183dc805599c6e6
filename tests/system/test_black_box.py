"""The installed command from outside: environment in, HTTP and commands, two foreign servers; nothing imported but them."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from standardwebhooks import Webhook

from bot.adapters.sandbox.slack import SandboxSlack
from bot.adapters.sandbox.telegram import SandboxTelegram

SECRET = "whsec_" + "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"

SHOP = """\
name: Nordlys
languages: [en, da]
time_zone: UTC
country: DK
teams:
  delivery: { channel: C_DELIVERY, answers_for: { touchpoints: [delivery] } }
fallback_channel: C_CUSTOMERS
guards: { quiet_hours: none }
"""

FLOW = """\
flow: after_delivery
purpose: service
start: { on: order.delivered, after: 1s, unless: [case.open, order.cancelled] }
expires: 45d
steps:
  arrived:
    ask:
      en: "Hi {{ customer.first_name }}! Your {{ sale.summary }} should be with you. Was everything as we promised?"
      da: "Hej {{ customer.first_name }}! {{ sale.summary }} skulle være hos dig nu. Var alt, som vi lovede?"
    choices:
      yes:      { label: { en: "👍 Yes", da: "👍 Ja" }, factors: { promise: 1 }, next: care_tip }
      missing:  { label: { en: "📦 Not here yet", da: "📦 Ikke kommet" }, factors: { promise: 0 }, touchpoint: delivery, next: sorry }
    remind: { after: 3d, times: 1 }
    silence: { after: 7d, next: close_silent }
  care_tip: { say: { en: "Lay the bottles down.", da: "Læg flaskerne ned." } }
  sorry: { say: { en: "We are sorry. A person answers by {{ case.due_at | moment }}.", da: "Det er vi kede af." } }
  close_silent: { end: silent }
"""

ASK_AGAIN = """\
flow: ask_again
purpose: service
start: { on: remedy.done, after: 1s }
once: false
steps:
  right_now:
    ask: { en: "You said: {{ case.said }}. We did: {{ remedy.kind }}. Is it right now?", da: "Er det i orden nu?" }
    choices:
      yes: { label: { en: "👍 Yes", da: "👍 Ja" }, factors: { service: 1 }, completes: true }
      no:  { label: { en: "🙁 No", da: "🙁 Nej" }, factors: { service: 0 } }
    silence: { after: 7d }
"""


def event(kind: str, sale: str) -> dict[str, Any]:
    """Give an order event that happened a moment ago."""
    return {
        "id": f"evt-{sale}-{kind}",
        "type": kind,
        "occurred_at": (datetime.now(UTC) - timedelta(seconds=2)).isoformat(),  # noqa: TID251 - a real clock, as outside
        "sale": {
            "id": sale,
            "summary": "two bottles of Barolo",
            "customer": {"id": f"c-{sale}", "name": "Freja Holm", "locale": "en", "country": "DK"},
            "items": [{"sku": "BAROLO-19", "name": "Barolo 2019", "quantity": 2, "tags": ["wine"]}],
            "promises": [{"id": "p1", "text": "Delivered before the weekend", "touchpoint": "delivery"}],
        },
    }


class Outside:
    """What a stranger has: an environment, the command, the HTTP address."""

    def __init__(self, env: dict[str, str], folder: Path, port: int) -> None:
        self.env, self.folder, self.address = env, folder, f"http://127.0.0.1:{port}"

    async def command(self, *words: str, stdin: str = "") -> tuple[int, str]:
        """Run a command and give its exit code and all that it said."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", *words, env=self.env, cwd=self.folder,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate(stdin.encode())
        return process.returncode or 0, output.decode()

    async def post(self, body: Any, *, sign: bool = True) -> tuple[int, Any]:
        """Send an event as a shop does and give the status and the answer."""
        text = json.dumps(body)
        now = datetime.now(UTC)  # noqa: TID251 - Standard Webhooks looks at the real clock
        signature = Webhook(SECRET).sign("msg-1", now, text) if sign else "v1,AAAA"
        headers = {
            "webhook-id": "msg-1",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature,
        }
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.address}/events", data=text, headers=headers) as answer,
        ):
            return answer.status, await answer.json()


def free_port() -> int:
    """Give a port that nobody uses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@asynccontextmanager
async def running(outside: Outside) -> AsyncIterator[asyncio.subprocess.Process]:
    """Keep `aftersale run` going; at the end it must stop cleanly on SIGTERM."""
    log = outside.folder / "run.log"
    with log.open("ab") as sink:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "run", env=outside.env, cwd=outside.folder, stdout=sink, stderr=sink
        )
    try:
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"{outside.address}/health") as answer:
                        if answer.status == 200:
                            break
                except aiohttp.ClientError:
                    assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.1)
        yield process
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 40) == 0, log.read_text()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_stranger_with_the_documented_names_gets_the_whole_line(  # noqa: PLR0915 - one story, told in order
    database_url: str, tmp_path: Path
) -> None:
    """From signed event to the customer's own yes, with nothing but environment, commands, HTTP, Telegram and Slack."""
    (tmp_path / "shop.yaml").write_text(SHOP)
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "after_delivery.yaml").write_text(FLOW)
    (tmp_path / "flows" / "ask_again.yaml").write_text(ASK_AGAIN)

    def now() -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - the sandboxes stand in the real time here

    async with SandboxTelegram(token="77:abc", clock=now) as telegram, SandboxSlack(clock=now) as slack:
        port = free_port()
        env = {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")},
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "DATABASE_URL": database_url,
            "TELEGRAM_BOT_TOKEN": "77:abc",
            "TELEGRAM_API_BASE": telegram.base_url,
            "SLACK_BOT_TOKEN": "xoxb-sandbox",
            "SLACK_APP_TOKEN": "xapp-sandbox",
            "SLACK_API_BASE": slack.base_url,
            "HTTP_PORT": str(port),
            "INTAKE_SECRET": SECRET,
            "FLOWS_DIR": str(tmp_path / "flows"),
        }
        outside = Outside(env, tmp_path, port)
        delivery = slack.channel("C_DELIVERY", "delivery")
        slack.channel("C_CUSTOMERS", "customers")
        mette = slack.member("Mette Lund")
        async with running(outside):
            assert (await outside.post(event("order.placed", "1001"), sign=False))[0] == 401
            status, answer = await outside.post({**event("order.placed", "1001"), "type": "order.eaten"})
            assert status == 422
            assert answer["problems"][0]["field"] == "type"
            assert (await outside.post(event("order.placed", "1001")))[0] == 202
            code, said = await outside.command("sale", "add", "-", stdin=json.dumps(event("order.delivered", "1001")))
            assert code == 0, said
            code, said = await outside.command("link", "1001")
            assert code == 0, said
            [link] = [word for line in said.splitlines() for word in line.split() if "t.me/" in word]
            freja = telegram.customer(first_name="Freja", language_code="en")
            await freja.start(link.partition("start=")[2])
            await freja.wait_for(lambda message: bool(message.buttons), timeout=60)
            await freja.tap(freja.buttons[0])
            question = await freja.wait_for(lambda message: "as we promised" in message.text, timeout=60)
            assert question.text.startswith("Hi Freja! Your two bottles of Barolo")
            await freja.tap("📦 Not here yet")
            card = await delivery.wait_for(lambda message: "Not here yet" in message.plain(), timeout=60)
            assert "Delivered before the weekend" in card.plain()
            await freja.wait_for(lambda message: "A person answers by" in message.text, timeout=60)
            await mette.click(card, "Claim")
            await mette.click(card, "Reply to customer")
            await mette.wait_view(timeout=60)
            await mette.submit(_first_input(mette, "It is here."))
            await mette.submit({})
            reply = await freja.wait_for(lambda message: "It is here." in message.text, timeout=60)
            assert "Mette" in reply.text
            await mette.click(card, "Remedy done")
            await mette.wait_view(timeout=60)
            await mette.submit(_remedy(mette))
            again = await freja.wait_for(lambda message: "Is it right now?" in message.text, timeout=60)
            assert "We did: Explanation" in again.text
            await freja.tap("👍 Yes")
            await delivery.wait_for(lambda message: "✅ CONFIRMED" in message.plain(), timeout=60)
        code, said = await outside.command("sale", "show", "1001")
        assert code == 0
        assert "complete" in said.lower()
        code, said = await outside.command("report")
        assert code == 0, said


def _inputs(member: Any) -> list[dict[str, Any]]:
    return [block for block in member.view["blocks"] if block["type"] == "input"]


def _first_input(member: Any, text: str) -> dict[str, str]:
    return {_inputs(member)[0]["block_id"]: text}


def _remedy(member: Any) -> dict[str, str]:
    kind, _, cause, note = _inputs(member)
    first_of = cause["element"]["options"][0]["value"]
    return {kind["block_id"]: "explanation", cause["block_id"]: first_of, note["block_id"]: "We rang the neighbour."}
