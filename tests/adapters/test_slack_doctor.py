"""What the doctor says about a Slack installation, against a local Slack."""

from datetime import UTC, datetime

import pytest

from bot.adapters.clock import MovableClock
from bot.adapters.sandbox.slack import SandboxSlack
from bot.adapters.slack.doctor import check_slack, manifest_scopes


@pytest.fixture
async def slack():
    async with SandboxSlack(clock=MovableClock(datetime(2026, 11, 23, 9, tzinfo=UTC)).now) as running:
        running.channel("C1", "wine")
        running.scopes = set(manifest_scopes())
        yield running


async def look(slack, *, token=None, xapp="xapp-sandbox", base=None, **channels):
    found = await check_slack(
        token=token or slack.bot_token, api_base=base or slack.base_url, app_token=xapp, channels=channels
    )
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
