"""The sandbox Slack, driven by the real slack_sdk client and the real Bolt app."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.adapters.sandbox.slack import CannotDo, SandboxSlack, Timing, render_view

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
QUICK = Timing(
    ack_within=timedelta(milliseconds=250),
    trigger_lives=timedelta(milliseconds=250),
    retry_after=(timedelta(0), timedelta(milliseconds=50)),
)
CARD = [
    {"type": "header", "text": {"type": "plain_text", "text": "Case 7"}},
    {"type": "section", "text": {"type": "mrkdwn", "text": "The bottle was *corked*"}},
    {
        "type": "actions",
        "block_id": "case",
        "elements": [
            {
                "type": "button",
                "action_id": "claim",
                "value": "7",
                "text": {"type": "plain_text", "text": "Claim"},
            },
            {
                "type": "static_select",
                "action_id": "team",
                "placeholder": {"type": "plain_text", "text": "Hand over"},
                "options": [{"text": {"type": "plain_text", "text": "Cellar"}, "value": "cellar"}],
            },
        ],
    },
]


def note_view(**changes):
    note = {"type": "plain_text_input", "action_id": "text", "max_length": 20, "min_length": 3}
    kind = {
        "type": "static_select",
        "action_id": "kind",
        "options": [
            {"text": {"type": "plain_text", "text": text}, "value": text.lower()} for text in ("Refund", "Visit")
        ],
    }
    return {
        "type": "modal",
        "callback_id": "remedy",
        "private_metadata": "case-7",
        "title": {"type": "plain_text", "text": "Remedy"},
        "submit": {"type": "plain_text", "text": "Send"},
        "blocks": [
            {
                "type": "input",
                "block_id": "what",
                "label": {"type": "plain_text", "text": "What was done"},
                "element": kind,
            },
            {
                "type": "input",
                "block_id": "note",
                "label": {"type": "plain_text", "text": "Note"},
                "element": note,
            },
            {"type": "actions", "block_id": "more", "elements": [dict(CARD[2]["elements"][0])]},
        ],
    } | changes


@pytest.fixture
async def slack():
    ticks = itertools.count()
    async with SandboxSlack(clock=lambda: START + timedelta(seconds=next(ticks)), timing=QUICK) as slack:
        slack.channel("C_WINE", name="wine-team")
        yield slack


@pytest.fixture
async def client(slack):
    return AsyncWebClient("xoxb-sandbox", base_url=slack.base_url)


def bolt(client, **options):
    return AsyncApp(client=client, signing_secret="sandbox-secret", process_before_response=True, **options)


@asynccontextmanager
async def over_socket(app, slack) -> AsyncIterator[AsyncSocketModeHandler]:
    handler = AsyncSocketModeHandler(app, "xapp-sandbox", ping_interval=0.1)
    await handler.connect_async()
    await slack.wait_connected()
    try:
        yield handler
    finally:
        await handler.close_async()


@asynccontextmanager
async def over_http(app, slack):
    async def handle(request):
        headers = {name: [value] for name, value in request.headers.items()}
        bolt_request = AsyncBoltRequest(body=await request.text(), headers=headers)
        response = await app.async_dispatch(bolt_request)
        return web.Response(
            status=response.status,
            text=response.body,
            content_type=response.first_headers()["content-type"].partition(";")[0],
        )

    server = web.Application()
    server.router.add_post("/slack/events", handle)
    runner = web.AppRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.http_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    try:
        yield
    finally:
        await runner.cleanup()


@pytest.fixture(params=[over_socket, over_http])
def connected(request):
    return request.param


async def refusal(call):
    with pytest.raises(SlackApiError) as caught:
        await call
    return caught.value.response


# ── posting ──────────────────────────────────────────────────────────────────


async def test_a_posted_message_stands_in_the_channel_and_can_be_edited(slack, client):
    """What is posted is readable as staff see it, and chat.update changes that same message."""
    posted = await client.chat_postMessage(channel="C_WINE", text="New case", blocks=CARD)
    message = await slack.channel("C_WINE").wait_for(lambda m: "Case 7" in m.plain().title())
    assert message.plain() == "CASE 7\nThe bottle was *corked*\n[Claim] [Hand over ▾ Cellar]"
    assert message.buttons == ["Claim", "Hand over"]
    assert posted["message"]["blocks"][2]["block_id"] == "case"
    assert posted["message"]["bot_id"]
    await client.chat_update(channel="C_WINE", ts=posted["ts"], text="Claimed", blocks=[])
    assert message.plain() == "Claimed"
    assert message.edited is not None
    assert slack.channel("C_WINE").messages == [message]


async def test_times_of_messages_come_from_the_clock_and_always_grow():
    """Message ids follow the given clock, even when it stands still."""
    async with SandboxSlack(clock=lambda: START) as slack:
        slack.channel("C1")
        client = AsyncWebClient("xoxb-sandbox", base_url=slack.base_url)
        stamps = [(await client.chat_postMessage(channel="C1", text="x"))["ts"] for _ in range(3)]
        assert stamps[0] == f"{int(START.timestamp())}.000000"
        assert stamps == sorted(set(stamps))
        assert slack.channel("C1").messages[0].sent_at == START


async def test_threads_hold_their_replies_and_refuse_wrong_parents(slack, client):
    """Replies go below their parent and not into the channel; a wrong parent is refused."""
    parent = await client.chat_postMessage(channel="C_WINE", text="Case")
    reply = await client.chat_postMessage(channel="C_WINE", text="Done", thread_ts=parent["ts"])
    channel = slack.channel("C_WINE")
    assert [m.text for m in channel.messages] == ["Case"]
    assert [m.text for m in slack.thread(channel.messages[0])] == ["Done"]
    replies = await client.conversations_replies(channel="C_WINE", ts=parent["ts"])
    assert [m["text"] for m in replies["messages"]] == ["Case", "Done"]
    assert replies["messages"][0]["reply_count"] == 1
    lost = client.chat_postMessage(channel="C_WINE", text="x", thread_ts="1.000000")
    assert (await refusal(lost))["error"] == "thread_not_found"
    nested = client.chat_postMessage(channel="C_WINE", text="x", thread_ts=reply["ts"])
    assert (await refusal(nested))["error"] == "cannot_reply_to_message"


async def test_posting_is_refused_where_slack_refuses_it(slack, client):
    """Unknown, left and archived channels and empty or endless texts give Slack's codes."""
    slack.channel("C_OUT", bot=False)
    slack.channel("C_SECRET", bot=False, private=True)
    slack.channel("C_OLD").archive()
    slack.channel("C_LEFT").remove_bot()

    async def code(channel, text="hello"):
        call = client.api_call("chat.postMessage", json={"channel": channel, "text": text})
        return (await refusal(call))["error"]

    assert await code("C_NONE") == "channel_not_found"
    assert await code("C_SECRET") == "channel_not_found"
    assert await code("C_OUT") == "not_in_channel"
    assert await code("C_LEFT") == "not_in_channel"
    assert await code("C_OLD") == "is_archived"
    assert await code("C_WINE", "") == "no_text"
    assert await code("C_WINE", "x" * 40_001) == "msg_too_long"
    await client.chat_postMessage(channel="C_WINE", text="x" * 40_000)


def section(text="x", **more):
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **more}


def actions(**button):
    text = {"type": "plain_text", "text": "Go"}
    return {"type": "actions", "elements": [{"type": "button", "text": text, **button}]}


def select(kind, count):
    options = [{"text": {"type": "plain_text", "text": f"o{i}"}, "value": f"{i}"} for i in range(count)]
    return {"type": "actions", "elements": [{"type": kind, "action_id": "a", "options": options}]}


BAD_BLOCKS = {
    "too many blocks": ([section()] * 51, "/blocks]"),
    "long section": ([section("x" * 3001)], "3001 characters [json-pointer:/blocks/0/text/text]"),
    "empty section": ([section("")], "more than 0 characters"),
    "long header": ([{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}], "151"),
    "mrkdwn header": ([{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}], "type: mrkdwn"),
    "long button": ([actions(text={"type": "plain_text", "text": "x" * 76})], "76 characters"),
    "mrkdwn button": ([actions(text={"type": "mrkdwn", "text": "x"})], "unsupported type: mrkdwn"),
    "long value": ([actions(value="x" * 2001)], "2001 characters"),
    "long action id": ([actions(action_id="x" * 256)], "256 characters"),
    "long block id": ([section(block_id="x" * 256)], "256 characters"),
    "same block id": ([section(block_id="b"), section(block_id="b")], "already exists"),
    "no alt text": ([{"type": "image", "image_url": "https://x.test/a.png"}], "alt_text"),
    "no options": ([select("static_select", 0)], "1 to 100 items"),
    "too many options": ([select("overflow", 6)], "1 to 5 items"),
    "unknown block": ([{"type": "sectoin"}], "unsupported type: sectoin"),
    "unknown field": ([section(colour="red")], "invalid additional property: colour"),
    "ten fields": ([section(fields=[{"type": "mrkdwn", "text": "x"}] * 11)], "no more than 10"),
    "many buttons": ([{"type": "actions", "elements": [actions()["elements"][0]] * 26}], "25 items"),
    "no array": ({"type": "section"}, "must be an array"),
}


@pytest.mark.parametrize("name", BAD_BLOCKS)
async def test_blocks_beyond_a_limit_are_refused_with_the_place(slack, client, name):
    """Every limit of Block Kit gives invalid_blocks and says where it was broken."""
    blocks, told = BAD_BLOCKS[name]
    response = await refusal(client.chat_postMessage(channel="C_WINE", text="x", blocks=blocks))
    assert response["error"] == "invalid_blocks"
    assert told in " ".join(response["response_metadata"]["messages"])
    assert slack.channel("C_WINE").messages == []


async def test_the_same_action_twice_is_refused_within_a_block_only(client):
    """Two cards' worth of Claim buttons are fine; two of them in one row are not."""
    button = actions(action_id="claim")["elements"][0]
    await client.chat_postMessage(channel="C_WINE", text="x", blocks=[actions(action_id="claim")] * 2)
    doubled = [{"type": "actions", "elements": [button, button]}]
    response = await refusal(client.chat_postMessage(channel="C_WINE", text="x", blocks=doubled))
    assert response["error"] == "invalid_blocks"


async def test_many_blocks_of_allowed_size_can_still_be_too_long_together(client):
    """The undocumented total of all text in blocks is held."""
    blocks = [section("x" * 2700)] * 5
    response = await refusal(client.chat_postMessage(channel="C_WINE", text="x", blocks=blocks))
    assert response["error"] == "msg_blocks_too_long"


async def test_ephemerals_permalinks_reactions_and_deletion(slack, client):
    """The smaller methods do what they say and are seen by whom they concern."""
    mette = slack.member("Mette")
    channel = slack.channel("C_WINE", members=[mette])
    await client.chat_postEphemeral(channel="C_WINE", user=mette.id, text="Only you")
    assert [m.text for m in mette.ephemerals] == ["Only you"]
    stranger = client.chat_postEphemeral(channel="C_WINE", user="U_NONE", text="x")
    assert (await refusal(stranger))["error"] == "user_not_in_channel"
    ts = (await client.chat_postMessage(channel="C_WINE", text="Case"))["ts"]
    link = await client.chat_getPermalink(channel="C_WINE", message_ts=ts)
    assert link["permalink"].endswith(f"/C_WINE/p{ts.replace('.', '')}")
    await client.reactions_add(channel="C_WINE", timestamp=ts, name="eyes")
    again = client.reactions_add(channel="C_WINE", timestamp=ts, name="eyes")
    assert (await refusal(again))["error"] == "already_reacted"
    await client.reactions_remove(channel="C_WINE", timestamp=ts, name="eyes")
    assert channel.messages[0].reactions == {}
    await client.chat_delete(channel="C_WINE", ts=ts)
    assert channel.messages == []
    assert (await refusal(client.chat_update(channel="C_WINE", ts=ts, text="x")))["error"] == "message_not_found"
    said = await mette.post(channel, "mine")
    foreign = client.chat_update(channel="C_WINE", ts=said.ts, text="x")
    assert (await refusal(foreign))["error"] == "cant_update_message"


async def test_files_go_up_in_three_steps_into_a_thread(slack, client):
    """files_upload_v2 works as a whole, and a file of staff needs the token to be read."""
    parent = await client.chat_postMessage(channel="C_WINE", text="Case")
    await client.files_upload_v2(
        channel="C_WINE", thread_ts=parent["ts"], filename="cork.txt", content="corked", initial_comment="See"
    )
    message = slack.channel("C_WINE").messages[0]
    reply = slack.thread(message)[0]
    assert (reply.text, reply.files[0]["name"]) == ("See", "cork.txt")
    assert slack.file_content(reply.files[0]["id"]) == b"corked"
    mette = slack.member("Mette")
    sent = await mette.type_in_thread(message, "photo", files={"a.jpg": b"jpeg"})
    async with aiohttp.ClientSession() as session:
        url = sent.files[0]["url_private_download"]
        async with session.get(url) as without:
            assert without.content_type == "text/html"
        async with session.get(url, headers={"Authorization": "Bearer xoxb-sandbox"}) as right:
            assert await right.read() == b"jpeg"


# ── reading ──────────────────────────────────────────────────────────────────


async def test_history_pages_newest_first_and_gives_metadata_on_request(client):
    """History is newest first, pages by cursor, bounds by time, and hides metadata unasked."""
    metadata = {"event_type": "case", "event_payload": {"case_id": "7"}}
    stamps = [
        (await client.chat_postMessage(channel="C_WINE", text=f"m{i}", metadata=metadata))["ts"] for i in range(5)
    ]
    first = await client.conversations_history(channel="C_WINE", limit=2)
    assert [m["text"] for m in first["messages"]] == ["m4", "m3"]
    assert first["has_more"]
    assert "metadata" not in first["messages"][0]
    rest = [m["text"] async for page in first for m in page["messages"]]
    assert rest == ["m4", "m3", "m2", "m1", "m0"]
    some = await client.conversations_history(channel="C_WINE", oldest=stamps[1], latest=stamps[3])
    assert [m["text"] for m in some["messages"]] == ["m2"]
    wide = await client.conversations_history(
        channel="C_WINE", oldest=stamps[1], latest=stamps[3], inclusive=True, include_all_metadata=True
    )
    assert [m["text"] for m in wide["messages"]] == ["m3", "m2", "m1"]
    assert wide["messages"][0]["metadata"] == metadata
    broken = client.chat_postMessage(channel="C_WINE", text="x", metadata={"event_type": "case"})
    assert (await refusal(broken))["error"] == "invalid_metadata_format"


async def test_channels_and_people_are_told_as_they_are(slack, client):
    """Membership, archiving, guests and strangers can be read, as the doctor and desk need."""
    mette = slack.member("Mette Holm", tz="Europe/Copenhagen")
    guest = slack.member("Gus", guest=True)
    other = slack.member("Olga", stranger=True)
    slack.channel("C_OUT", members=[mette], bot=False)
    assert (await client.conversations_info(channel="C_WINE"))["channel"]["is_member"]
    assert not (await client.conversations_info(channel="C_OUT"))["channel"]["is_member"]
    await client.conversations_join(channel="C_OUT")
    members = (await client.conversations_members(channel="C_OUT"))["members"]
    assert set(members) == {mette.id, "U0BOT"}
    listed = (await client.conversations_list())["channels"]
    assert [c["name"] for c in listed] == ["wine-team", "c_out"]
    told = (await client.users_info(user=mette.id))["user"]
    assert (told["tz"], told["real_name"], told["is_restricted"]) == ("Europe/Copenhagen", "Mette Holm", False)
    assert (await client.users_info(user=guest.id))["user"]["is_restricted"]
    foreign = (await client.users_info(user=other.id))["user"]
    assert foreign["is_stranger"]
    assert foreign["team_id"] != told["team_id"]
    assert len((await client.users_list())["members"]) == 4


async def test_tokens_and_scopes_are_checked(slack, client):
    """Missing, wrong and misused tokens and a missing scope give Slack's codes."""
    assert "chat:write" in (await client.auth_test()).headers["x-oauth-scopes"].split(",")

    async def code(token, method="chat.postMessage"):
        other = AsyncWebClient(token, base_url=slack.base_url)
        return (await refusal(other.api_call(method, json={"channel": "C_WINE", "text": "x"})))["error"]

    assert await code(None) == "not_authed"
    assert await code("xoxb-wrong") == "invalid_auth"
    assert await code("xapp-sandbox") == "not_allowed_token_type"
    assert await code("xoxb-sandbox", "apps.connections.open") == "not_allowed_token_type"
    assert await code("xoxb-sandbox", "chat.fly") == "unknown_method"
    slack.scopes.discard("chat:write")
    response = await refusal(client.chat_postMessage(channel="C_WINE", text="x"))
    assert (response["error"], response["needed"]) == ("missing_scope", "chat:write")


async def test_form_bodies_are_read_like_json_ones(slack):
    """A form with JSON in its fields does what a JSON body does."""
    async with aiohttp.ClientSession() as session:
        form = {"token": "xoxb-sandbox", "channel": "C_WINE", "text": "x", "blocks": json.dumps(CARD)}
        async with session.post(f"{slack.base_url}chat.postMessage", data=form) as response:
            assert (await response.json())["ok"]
    assert slack.channel("C_WINE").messages[0].buttons == ["Claim", "Hand over"]
    assert "token" not in slack.calls[-1].arguments


# ── faults ───────────────────────────────────────────────────────────────────


async def test_a_dropped_reply_has_acted_and_a_retrying_client_doubles_the_post(slack):
    """After a dropped reply the message stands; the client's own retry posts it again."""
    slack.drop_reply_next("chat.postMessage")
    careful = AsyncWebClient("xoxb-sandbox", base_url=slack.base_url, retry_handlers=[])
    with pytest.raises(aiohttp.ClientError):
        await careful.chat_postMessage(channel="C_WINE", text="once")
    assert len(slack.channel("C_WINE").messages) == 1
    slack.drop_reply_next("chat.postMessage")
    await AsyncWebClient("xoxb-sandbox", base_url=slack.base_url).chat_postMessage(channel="C_WINE", text="twice")
    assert [m.text for m in slack.channel("C_WINE").messages] == ["once", "twice", "twice"]


async def test_planned_failures_happen_once_and_tell_when_to_come_back(slack, client):
    """A planned rate limit is 429 with Retry-After; the call after it works."""
    slack.fail_next("chat.postMessage", "ratelimited", retry_after=7)
    response = await refusal(client.chat_postMessage(channel="C_WINE", text="x"))
    assert (response.status_code, response.headers["Retry-After"]) == (429, "7")
    slack.fail_next("*", "internal_error", status=500)
    assert (await refusal(client.auth_test())).status_code == 500
    await client.chat_postMessage(channel="C_WINE", text="x")
    assert [call.error for call in slack.calls] == ["ratelimited", "internal_error", ""]


async def test_a_hanging_call_and_latency_take_their_time(slack, client):
    """A hang delays one call only; latency delays all of them."""
    loop = asyncio.get_running_loop()
    slack.hang_next("auth.test", seconds=0.15)
    started = loop.time()
    await client.auth_test()
    assert loop.time() - started >= 0.15
    slack.latency = timedelta(milliseconds=60)
    started = loop.time()
    await client.auth_test()
    assert 0.06 <= loop.time() - started < 0.15


async def test_rate_limit_refuses_a_rush_and_the_rush_is_counted():
    """With limits on, a rush into one channel meets 429 while another is free."""
    async with SandboxSlack(clock=lambda: START, limits=True) as slack:
        slack.channel("C1")
        slack.channel("C2")
        client = AsyncWebClient("xoxb-sandbox", base_url=slack.base_url)
        for _ in range(4):
            await client.chat_postMessage(channel="C1", text="x")
        response = await refusal(client.chat_postMessage(channel="C1", text="x"))
        assert (response["error"], response.status_code) == ("ratelimited", 429)
        assert response.headers["Retry-After"] == "1"
        await client.chat_postMessage(channel="C2", text="x")
        assert slack.worst_second("C1") == 5
        assert slack.worst_second() == 6


async def test_slack_down_cuts_everything_and_comes_back(slack, client):
    """While down nothing answers and sockets are cut; afterwards the app reconnects itself."""
    app = bolt(client)
    claimed = []

    @app.action("claim")
    async def on_claim(ack, body):
        claimed.append(body["user"]["id"])
        await ack()

    mette = slack.member("Mette")
    await client.chat_postMessage(channel="C_WINE", text="x", blocks=CARD)
    message = slack.channel("C_WINE").messages[0]
    async with over_socket(app, slack):
        slack.down = True
        with pytest.raises(aiohttp.ClientError):
            await client.chat_postMessage(channel="C_WINE", text="lost")
        assert not (await mette.click(message, "Claim")).acked
        await asyncio.sleep(0.05)
        assert slack.connections == 0
        slack.down = False
        await slack.wait_connected()
        assert (await mette.click(message, "Claim")).acked
    assert claimed == [mette.id]
    assert [m.text for m in slack.channel("C_WINE").messages] == ["x"]


# ── interactions, over both ways ─────────────────────────────────────────────


async def test_a_click_reaches_bolt_and_can_be_answered(slack, client, connected):
    """A click carries user, message, value and a working response_url."""
    app, seen = bolt(client), []

    @app.action("claim")
    async def on_claim(ack, body, action, respond):
        seen.append((body["user"]["id"], body["message"]["ts"], action["value"], body["channel"]["id"]))
        await ack()
        await respond(text="Yours now", replace_original=False)

    mette = slack.member("Mette")
    ts = (await client.chat_postMessage(channel="C_WINE", text="x", blocks=CARD))["ts"]
    async with connected(app, slack):
        ack = await mette.click(slack.channel("C_WINE").messages[0], "Claim")
        assert ack.acked
        assert (await mette.wait_ephemeral()).text == "Yours now"
        with pytest.raises(CannotDo, match="'Claim', 'Hand over'"):
            await mette.click(slack.channel("C_WINE").messages[0], "Delete")
    assert seen == [(mette.id, ts, "7", "C_WINE")]
    assert not slack.missed_acks


async def test_choosing_from_a_menu_tells_the_option(slack, client, connected):
    """A menu in a message hands over the chosen option."""
    app, seen = bolt(client), []

    @app.action("team")
    async def on_team(ack, action):
        seen.append(action["selected_option"]["value"])
        await ack()

    await client.chat_postMessage(channel="C_WINE", text="x", blocks=CARD)
    async with connected(app, slack):
        await slack.member("Mette").click(slack.channel("C_WINE").messages[0], "Hand over", "Cellar")
    assert seen == ["cellar"]


def with_modal(app, answer):
    """Let Claim open the note view and let its submission be answered with `answer`."""
    seen = []

    @app.action("claim")
    async def on_claim(ack, body, client):
        await ack()
        if body["container"]["type"] == "message":
            await client.views_open(trigger_id=body["trigger_id"], view=note_view())
        else:
            seen.append(body["view"]["state"]["values"]["note"]["text"]["value"])
            pushed = note_view(title={"type": "plain_text", "text": "On top"})
            await client.views_push(trigger_id=body["trigger_id"], view=pushed)

    @app.view("remedy")
    async def on_remedy(ack, view, body):
        seen.append((view["private_metadata"], view["state"]["values"], body["user"]["id"]))
        await ack(**answer.pop(0))

    return seen


async def test_a_form_is_filled_sent_back_with_errors_and_sent_again(slack, client, connected):
    """Errors keep the form and its content open; a bare acknowledgement closes it."""
    app = bolt(client)
    seen = with_modal(app, [{"response_action": "errors", "errors": {"note": "Say more"}}, {}])
    mette = slack.member("Mette")
    await client.chat_postMessage(channel="C_WINE", text="x", blocks=CARD)
    async with connected(app, slack):
        await mette.click(slack.channel("C_WINE").messages[0], "Claim")
        view = await mette.wait_view(lambda v: v["callback_id"] == "remedy")
        assert view["root_view_id"] == view["id"]
        first = await mette.submit({"what": "Refund", "Note": "sent back"})
        assert (first.action, first.errors) == ("errors", {"note": "Say more"})
        assert "What was done (Refund | Visit): Refund\nNote: sent back" in render_view(mette.view)
        second = await mette.submit({"text": "sent back today"})
        assert second.action == "close"
        assert mette.view is None
    metadata, values, user_id = seen[1]
    assert (metadata, user_id) == ("case-7", mette.id)
    assert values["note"]["text"] == {"type": "plain_text_input", "value": "sent back today"}
    assert values["what"]["kind"]["selected_option"]["value"] == "refund"


async def test_a_form_can_be_updated_pushed_and_cleared_by_the_answer(slack, client, connected):
    """Update swaps content and keeps the id, push stacks, clear closes all."""
    app = bolt(client)
    title = {"type": "plain_text", "text": "Preview"}
    with_modal(
        app,
        [
            {"response_action": "update", "view": note_view(title=title)},
            {"response_action": "push", "view": note_view()},
            {"response_action": "clear"},
        ],
    )
    mette = slack.member("Mette")
    await client.chat_postMessage(channel="C_WINE", text="x", blocks=CARD)
    async with connected(app, slack):
        await mette.click(slack.channel("C_WINE").messages[0], "Claim")
        opened = await mette.wait_view()
        answers = {"what": "Visit", "note": "went there"}
        assert (await mette.submit(answers)).action == "update"
        assert mette.view["id"] == opened["id"]
        assert mette.view["hash"] != opened["hash"]
        assert mette.view["title"]["text"] == "Preview"
        assert (await mette.submit()).action == "push"
        assert [v["previous_view_id"] for v in mette.views] == [None, opened["id"]]
        assert (await mette.submit(answers)).action == "clear"
        assert mette.views == []


async def test_an_answer_that_slack_would_not_take_leaves_the_form(slack, client, connected):
    """Errors for unknown blocks and views beyond a limit leave the form open with a problem."""
    app = bolt(client)
    long_title = {"type": "plain_text", "text": "x" * 25}
    answers = [
        {"response_action": "errors", "errors": {"nowhere": "?"}},
        {"response_action": "update", "view": note_view(title=long_title)},
    ]
    with_modal(app, answers)
    mette = slack.member("Mette")
    await client.chat_postMessage(channel="C_WINE", text="x", blocks=CARD)
    async with connected(app, slack):
        await mette.click(slack.channel("C_WINE").messages[0], "Claim")
        await mette.wait_view()
        first = await mette.submit({"what": "Visit", "note": "went there"})
        assert (first.action, first.problem[:14]) == ("", "invalid_errors")
        assert "25 characters [json-pointer:/view/title/text]" in (await mette.submit()).problem
        assert mette.view["title"]["text"] == "Remedy"


async def test_a_button_in_a_form_can_push_another_and_closing_goes_back(slack, client, connected):
    """A click in a view carries what is filled in; its trigger may push; closing pops."""
    app = bolt(client)
    seen = with_modal(app, [])
    mette = slack.member("Mette")
    await client.chat_postMessage(channel="C_WINE", text="x", blocks=CARD)
    async with connected(app, slack):
        await mette.click(slack.channel("C_WINE").messages[0], "Claim")
        await mette.wait_view()
        mette.fill({"note": "half done"})
        await mette.click_in_view("Claim")
        await mette.wait_view(lambda v: v["title"]["text"] == "On top")
        assert seen == ["half done"]
        await mette.close_view()
        assert mette.view["state"]["values"]["note"]["text"]["value"] == "half done"


async def test_a_form_that_the_client_would_not_send_is_not_sent(slack, client):
    """Required fields, lengths, unknown fields and options are held before anything is sent."""
    app = bolt(client)
    with_modal(app, [])
    mette = slack.member("Mette")
    await client.chat_postMessage(channel="C_WINE", text="x", blocks=CARD)
    with pytest.raises(CannotDo, match="no modal"):
        await mette.submit()
    async with over_socket(app, slack):
        await mette.click(slack.channel("C_WINE").messages[0], "Claim")
        await mette.wait_view()
        for answers, told in (
            ({"note": "fine"}, "'What was done' needs"),
            ({"what": "Visit", "note": "x" * 21}, "at most 20"),
            ({"what": "Visit", "note": "x"}, "at least 3"),
            ({"what": "Cake"}, "no option 'Cake'; offered: 'Refund', 'Visit'"),
            ({"colour": "red"}, "no field 'colour'"),
        ):
            with pytest.raises(CannotDo, match=told):
                await mette.submit(answers)
    assert [kind for kind, _ in slack.delivered] == ["interactive"]


async def test_messages_of_people_come_as_events(slack, client, connected):
    """Posts and replies of staff reach the app, escaped, and those of strangers say so."""
    app, seen = bolt(client), []

    @app.event("message")
    async def on_message(event):
        seen.append(event)

    @app.event("app_home_opened")
    async def on_home(event, client):
        home = {"type": "home", "blocks": [section("Your cases"), actions(action_id="go")]}
        await client.views_publish(user_id=event["user"], view=home)

    mette = slack.member("Mette")
    olga = slack.member("Olga", stranger=True)
    channel = slack.channel("C_WINE")
    await client.chat_postMessage(channel="C_WINE", text="Case")
    async with connected(app, slack):
        await mette.type_in_thread(channel.messages[0], "Tom & <Jerry> <@U1> https://x.test/?a=1&b=2")
        await olga.post(channel, "hi")
        assert (await mette.open_home()).acked
        assert render_view(mette.home) == "Your cases\n[Go]"
    assert seen[0]["text"] == "Tom &amp; &lt;Jerry&gt; <@U1> <https://x.test/?a=1&amp;b=2>"
    assert seen[0]["thread_ts"] == channel.messages[0].ts
    assert seen[0]["channel"] == "C_WINE"
    assert seen[1]["user_team"] == olga.person.team_id
    found = await slack.wait_thread(channel.messages[0], lambda m: "Tom" in m.text)
    assert found.user == mette.id


async def test_slash_commands_are_answered_to_the_one_who_asked(slack, client, connected):
    """A slash command carries its text, and the answer is seen by that person alone."""
    app = bolt(client)

    @app.command("/aftersale")
    async def on_command(ack, command):
        await ack(f"{command['text']} from {command['channel_id']}")

    mette = slack.member("Mette")
    async with connected(app, slack):
        await mette.slash("/aftersale", "why 1001", slack.channel("C_WINE"))
    assert [m.text for m in mette.ephemerals] == ["why 1001 from C_WINE"]
    assert slack.channel("C_WINE").messages == []


# ── triggers, acknowledgements, repeats ──────────────────────────────────────


async def test_a_trigger_opens_one_view_in_time_and_within_limits(slack, client):
    """Used, late and unknown triggers and views beyond the limits are refused."""
    mette = slack.member("Mette")
    space = slack.workspace

    async def code(trigger_id, **changes):
        return await refusal(client.views_open(trigger_id=trigger_id, view=note_view(**changes)))

    used = space.issue_trigger(mette.id)
    opened = (await client.views_open(trigger_id=used, view=note_view()))["view"]
    assert (await code(used))["error"] == "exchanged_trigger_id"
    assert (await code("1.2.3"))["error"] == "invalid_trigger_id"
    for changes, told in (
        ({"title": {"type": "plain_text", "text": "x" * 25}}, "/view/title/text"),
        ({"private_metadata": "x" * 3001}, "/view/private_metadata"),
        ({"callback_id": "x" * 256}, "/view/callback_id"),
        ({"blocks": [section()] * 101}, "no more than 100 items"),
        ({"submit": {"type": "mrkdwn", "text": "Go"}}, "unsupported type: mrkdwn"),
    ):
        response = await code(space.issue_trigger(mette.id), **changes)
        assert response["error"] == "invalid_arguments"
        assert told in " ".join(response["response_metadata"]["messages"])
    stale = client.views_update(view_id=opened["id"], hash="0.old", view=note_view())
    assert (await refusal(stale))["error"] == "hash_conflict"
    await client.views_update(view_id=opened["id"], hash=opened["hash"], view=note_view())
    gone = client.views_update(view_id="V_NONE", view=note_view())
    assert (await refusal(gone))["error"] == "not_found"
    kept = space.issue_trigger(mette.id)
    await code(kept, blocks=[section("")])
    await client.views_open(trigger_id=kept, view=note_view())
    late = space.issue_trigger(mette.id)
    await asyncio.sleep(0.3)
    assert (await code(late))["error"] == "expired_trigger_id"


async def test_a_late_acknowledgement_is_recorded_and_a_click_is_not_retried(slack, client, connected):
    """A listener that sleeps too long is a missed acknowledgement; the click comes once."""
    app, seen = bolt(client), []

    @app.action("claim")
    async def on_claim(ack, body):
        seen.append(body["trigger_id"])
        await asyncio.sleep(0.35)
        await ack()

    mette = slack.member("Mette")
    await client.chat_postMessage(channel="C_WINE", text="x", blocks=CARD)
    async with connected(app, slack):
        ack = await mette.click(slack.channel("C_WINE").messages[0], "Claim")
        assert (ack.acked, ack.reason) == (False, "timeout")
        await asyncio.sleep(0.25)
    assert len(seen) == 1
    assert [missed.reason for missed in slack.missed_acks] == ["timeout"]
    assert slack.missed_acks[0].came_late == (connected is over_socket)


async def test_an_event_that_fails_is_retried_with_the_same_id(slack, client, connected):
    """A listener that raises is given the same event again, until it takes it."""
    app, seen, taken = bolt(client), [], asyncio.Event()

    @app.event("message")
    async def on_message(body):
        seen.append(body["event_id"])
        if len(seen) < 3:
            raise ValueError("not yet")
        taken.set()

    mette = slack.member("Mette")
    async with connected(app, slack):
        await mette.post(slack.channel("C_WINE"), "hello")
        await asyncio.wait_for(taken.wait(), 3)
    assert len(set(seen)) == 1
    assert [missed.attempt for missed in slack.missed_acks] == [0, 1]


async def test_a_payload_can_come_twice(slack, client, connected):
    """A repeated payload is the same in everything by which an app can know it."""
    app, seen = bolt(client), []

    @app.action("claim")
    async def on_claim(ack, body, action):
        seen.append((body["trigger_id"], action["action_ts"], body["user"]["id"]))
        await ack()

    @app.event("message")
    async def on_message(body):
        seen.append((body["event_id"],))

    mette = slack.member("Mette")
    await client.chat_postMessage(channel="C_WINE", text="x", blocks=CARD)
    async with connected(app, slack):
        slack.repeat_next_envelope()
        await mette.click(slack.channel("C_WINE").messages[0], "Claim")
        slack.repeat_next_envelope()
        await mette.post(slack.channel("C_WINE"), "hello")
    assert len(seen) == 4
    assert seen[0] == seen[1]
    assert seen[2] == seen[3]


async def test_the_app_is_told_of_its_own_posts_and_edits_and_bolt_keeps_them_back(slack, client):
    """Slack sends an app its own messages and edits; Bolt acknowledges and drops them itself."""
    app, seen = bolt(client), []

    @app.event("message")
    async def on_message(event):
        seen.append(event["text"])

    async with over_socket(app, slack):
        ts = (await client.chat_postMessage(channel="C_WINE", text="x"))["ts"]
        await client.chat_update(channel="C_WINE", ts=ts, text="y")
        await slack.member("Mette").post(slack.channel("C_WINE"), "hello")
    told = [payload["event"] for _, payload in slack.delivered]
    assert [event.get("subtype") for event in told] == [None, "message_changed", None]
    assert told[1]["message"]["edited"]
    assert seen == ["hello"]
    assert not slack.missed_acks


async def test_sockets_can_be_refreshed_and_shared(slack, client):
    """A refreshed app reconnects; of several sockets one gets each payload."""
    app, seen = bolt(client), []

    @app.action("claim")
    async def on_claim(ack):
        seen.append("claim")
        await ack()

    mette = slack.member("Mette")
    await client.chat_postMessage(channel="C_WINE", text="x", blocks=CARD)
    message = slack.channel("C_WINE").messages[0]
    async with over_socket(app, slack), over_socket(app, slack):
        assert slack.connections == 2
        await slack.refresh_sockets()
        await slack.wait_until(lambda: slack.connections == 2)
        for _ in range(5):
            assert (await mette.click(message, "Claim")).acked
    assert len(seen) == 5


async def test_the_url_is_verified_and_a_wrong_signature_is_refused(slack, client):
    """Over HTTP Bolt answers the challenge, and refuses what is signed with another key."""
    app = bolt(client)
    async with over_http(app, slack):
        assert await slack.verify_http_url()
    clock = {"clock": lambda: START, "timing": QUICK}
    async with SandboxSlack(signing_secret="another", **clock) as forger, over_http(app, forger):
        assert not await forger.verify_http_url()
        forger.channel("C1")
        await forger.member("Eve").post(forger.channel("C1"), "let me in")
    assert forger.missed_acks[0].reason == "http_401"


async def test_waiting_in_vain_shows_what_there_is(slack, client):
    """A wait that fails tells what stands in the channel, so that the test explains itself."""
    await client.chat_postMessage(channel="C_WINE", text="something else")
    with pytest.raises(TimeoutError, match="aftersale: something else"):
        await slack.channel("C_WINE").wait_for(lambda m: m.text == "never", timeout=0.05)


async def test_offline_refuses_connections_and_comes_back_at_the_same_address() -> None:
    """With the network gone nobody listens: a connection is refused; afterwards all is as before."""
    async with SandboxSlack(clock=lambda: START) as slack, aiohttp.ClientSession() as session:
        url = f"{slack.base_url}auth.test"
        await slack.go_offline()
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.post(url)
        await slack.come_online()
        async with session.post(url, headers={"Authorization": "Bearer xoxb-sandbox"}) as answer:
            assert (await answer.json())["ok"]


async def test_a_call_that_hangs_without_acting_leaves_nothing() -> None:
    """The connection ends without an answer, and nothing was posted."""
    async with SandboxSlack(clock=lambda: START) as slack, aiohttp.ClientSession() as session:
        channel = slack.channel("C1", "one")
        slack.hang_next("chat.postMessage", 0.01, acts=False)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.post(
                f"{slack.base_url}chat.postMessage",
                json={"channel": "C1", "text": "hello"},
                headers={"Authorization": "Bearer xoxb-sandbox"},
            )
        assert channel.messages == []
