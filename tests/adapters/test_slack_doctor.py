"""What the doctor says about a Slack installation, against a local Slack; and the manifest beside what the code uses."""

import ast
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from slack_sdk.web.async_client import AsyncWebClient

from bot.adapters import slack as slack_adapter
from bot.adapters.clock import MovableClock
from bot.adapters.sandbox.slack import SandboxSlack
from bot.adapters.sandbox.slack.signing_in import METHODS as SIGNING_IN
from bot.adapters.sandbox.slack.web_api import method_named, scopes_of
from bot.adapters.slack.client import SlackClient
from bot.adapters.slack.doctor import check_slack, manifest_scopes
from bot.adapters.slack.home import COMMAND
from bot.adapters.slack.receiver import EVENTS


@pytest.fixture
async def slack():
    async with SandboxSlack(clock=MovableClock(datetime(2026, 11, 23, 9, tzinfo=UTC)).now) as running:
        running.channel("C1", "wine")
        running.scopes = set(manifest_scopes())
        yield running


async def look(slack, *, token=None, xapp="xapp-sandbox", base=None, people=None, **channels):
    given = {"token": token or slack.bot_token, "api_base": base or slack.base_url, "people": people}
    found = await check_slack(**given, app_token=xapp, channels=channels)
    return {each.name: each for each in found}


async def test_a_sound_installation_has_nothing_to_mend(slack):
    """With exactly the manifest's scopes every check passes and nothing is to be done."""
    found = await look(slack, C1="the wine desk")
    assert list(found) == ["Slack bot token", "Slack permissions", "Slack app token", "Slack channel of the wine desk"]
    assert all(each.ok and not each.mend for each in found.values())


async def test_each_fault_of_a_channel_has_its_mend(slack):
    """Archived, not invited and unknown channels are told apart."""
    slack.channel("C2", "old").archive()
    slack.channel("C3", "elsewhere", bot=False)
    found = await look(slack, C2="old", C3="elsewhere", C9="nobody")
    mends = [found[f"Slack channel of {whose}"].mend for whose in ("old", "elsewhere", "nobody")]
    assert "open it again" in mends[0]
    assert "/invite @aftersale" in mends[1]
    assert "shop.yaml" in mends[2]
    assert not any(found[f"Slack channel of {whose}"].ok for whose in ("old", "elsewhere", "nobody"))


async def test_a_channel_given_by_its_name_is_looked_up(slack):
    """A ``#name`` of shop.yaml is found and shown with its id; one that nobody has is named, with its mend."""
    found = await look(slack, **{"#wine": "the wine desk", "#whine": "nobody"})
    known, unknown = found["Slack channel of the wine desk"], found["Slack channel of nobody"]
    assert (known.ok, known.said) == (True, "the bot is in #wine (C1)")
    assert unknown.ok is False
    assert "#whine" in unknown.said
    assert "shop.yaml" in unknown.mend


async def test_missing_permissions_are_named(slack):
    """A scope that the manifest names and the token lacks is named."""
    slack.scopes -= {"users:read"}
    finding = (await look(slack))["Slack permissions"]
    assert finding.ok is False
    assert "users:read" in finding.said


async def test_permissions_beyond_the_manifest_are_a_hint(slack):
    """A scope that nothing uses is no fault, yet is named: a token should open no more than it must."""
    slack.scopes |= {"channels:join"}
    finding = (await look(slack))["Slack permissions"]
    assert finding.ok is None
    assert "channels:join" in finding.said


async def test_people_whom_the_shop_names_are_looked_for(slack):
    """Who is there, who has left, who is a guest and who was never there are told apart, each with a mend."""
    slack.member("Anna Berg", "U1")
    slack.member("Bo Dahl", "U2").person.has_left = True
    slack.member("Vi Sitor", "U3", guest=True)
    people = {"U1": "CX owner", "U2": "lead of team wine", "U3": "member of team wine", "U4": "lead of team web"}
    found = await look(slack, people=people)
    said = [found[f"Slack user {each}"] for each in people.values()]
    assert [each.ok for each in said] == [True, False, False, False]
    assert "has left" in said[1].said
    assert "guest" in said[2].said
    assert "member id" in said[3].mend


# The manifest ----------------------------------------------------------------------------------------------------------


def manifest():
    text = resources.files("bot.adapters.slack").joinpath("manifest.yaml").read_text(encoding="utf-8")
    return YAML(typ="safe").load(text)


def methods_called():
    """Give the methods of the Web API that the adapter's source calls."""
    names = set()
    for path in Path(slack_adapter.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                names.add(node.func.attr)
    return {
        name.replace("_", ".") for name in names if name[0] != "_" and "_" in name and hasattr(AsyncWebClient, name)
    }


def test_the_manifest_asks_for_every_permission_that_the_code_needs_and_for_no_other():
    """Each scope is that of a method which the code calls, of an event or of the command; and none is missing."""
    called = {each for each in methods_called() if method_named(each) is not None}
    assert {"chat.postMessage", "files.completeUploadExternal", "conversations.members", "views.publish"} <= called
    needed = {scope for method in called for scope in scopes_of(method)} | {"commands"}
    assert manifest_scopes() == needed
    unknown = methods_called() - called - SIGNING_IN - {"apps.connections.open", "api.call"}
    assert not unknown, "the sandbox must know each method, or nothing proves what it needs"


def test_the_manifest_subscribes_to_what_is_listened_to_and_to_no_message():
    """Events, the command and the home tab are those that the code has; nothing typed anywhere is ever delivered."""
    asked = manifest()
    events = asked["settings"]["event_subscriptions"]["bot_events"]
    assert set(events) == EVENTS
    assert not any(each.startswith("message") or "mention" in each for each in events)
    assert [each["command"] for each in asked["features"]["slash_commands"]] == [COMMAND]
    assert asked["features"]["app_home"]["home_tab_enabled"] is True
    assert asked["settings"]["interactivity"]["is_enabled"] is True


async def test_with_exactly_the_manifest_everything_that_staff_do_is_allowed(slack):
    """The local Slack refuses what the token has no scope for: a call of each kind goes through with the manifest's."""
    client = SlackClient(slack.bot_token, slack.base_url)
    slack.member("Anna Berg", "U1")
    channel = slack.channel("C7", "secret", private=True)
    ts = (await client.chat_postMessage(channel="C7", text="x"))["ts"]
    await client.chat_update(channel="C7", ts=ts, text="y")
    await client.conversations_history(channel="C7")
    await client.conversations_members(channel="C7")
    await client.users_info(user="U1")
    await client.views_publish(user_id="U1", view={"type": "home", "blocks": []})
    await client.files_getUploadURLExternal(filename="a.jpg", length=1)
    await client.close()
    assert channel.messages[0].text == "y"


async def test_wrong_tokens_and_a_wrong_address_are_told_apart(slack):
    """A wrong bot token, a wrong app token and a dead address each lead to their own mend."""
    wrong = await look(slack, token="xoxb-wrong", xapp="xapp-wrong")
    assert "SLACK_BOT_TOKEN" in wrong["Slack bot token"].mend
    assert "SLACK_APP_TOKEN" in wrong["Slack app token"].mend
    dead = await look(slack, base="http://127.0.0.1:9/api/")
    assert "network" in dead["Slack bot token"].mend
    assert "network" in dead["Slack app token"].mend


async def test_without_socket_mode_no_app_token_is_asked_for(slack):
    """Over HTTP there is no app token to check."""
    assert "Slack app token" not in await look(slack, xapp=None)
