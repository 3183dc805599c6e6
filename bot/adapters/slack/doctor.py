"""Looks at the Slack installation (tokens, permissions, channels, people) and says what to mend. Changes nothing."""

from collections.abc import Mapping
from importlib import resources
from typing import Any

from ruamel.yaml import YAML

from bot.adapters.slack.client import CALL_FAILURES, SlackClient, error_code, in_words
from bot.adapters.slack.poster import OPERATOR_MENDS
from bot.ports.channels import Finding

CONNECTION_MEND = (
    "make an app-level token with connections:write on the app's page “Basic Information”, "
    "and put it into SLACK_APP_TOKEN"
)
UNREACHABLE_MEND = "check the network, and SLACK_API_BASE if you set it"


def manifest_scopes() -> frozenset[str]:
    """Give the bot scopes that the shipped manifest asks for."""
    text = resources.files("bot.adapters.slack").joinpath("manifest.yaml").read_text(encoding="utf-8")
    manifest: Mapping[str, Any] = YAML(typ="safe").load(text)
    return frozenset(manifest["oauth_config"]["scopes"]["bot"])


async def check_slack(
    *,
    token: str,
    api_base: str,
    app_token: str | None,
    channels: Mapping[str, str],
    people: Mapping[str, str] | None = None,
) -> list[Finding]:
    """Look at everything that Slack must allow before cases can be worked on.

    Args:
        token: the bot token.
        api_base: where the Web API is.
        app_token: the app-level token; None where Slack reaches us over HTTP.
        channels: ids of the shop's channels, and whom each is for.
        people: user ids that the shop names, and as what.

    Returns:
        One finding for each thing, in the order in which a person would mend them.
    """
    client = SlackClient(token, api_base)
    try:
        findings = await _bot_token(client)
        if app_token is not None:
            findings.append(await _app_token(client, app_token))
        findings += [await _channel(client, channel, whose) for channel, whose in channels.items()]
        findings += [await _person(client, user, as_what) for user, as_what in (people or {}).items()]
    finally:
        await client.close()
    return findings


async def _bot_token(client: SlackClient) -> list[Finding]:
    try:
        answer = await client.auth_test()
    except CALL_FAILURES as error:
        mend = OPERATOR_MENDS.get(error_code(error), UNREACHABLE_MEND)
        return [Finding("Slack bot token", ok=False, said=f"Slack says {in_words(error)}", mend=mend)]
    said = f"the bot is @{answer.get('user')} in {answer.get('team')}"
    granted = {scope.strip() for scope in str(answer.headers.get("x-oauth-scopes", "")).split(",")} - {""}
    return [Finding("Slack bot token", ok=True, said=said), _scopes(granted)]


def _scopes(granted: set[str]) -> Finding:
    if not granted:
        return Finding("Slack permissions", ok=None, said="Slack did not name them")
    missing, needless = sorted(manifest_scopes() - granted), sorted(granted - manifest_scopes())
    if not missing and needless:
        mend = "if nothing else uses this app, take them away on its page “OAuth & Permissions”"
        return Finding("Slack permissions", ok=None, said=f"more than it needs: {', '.join(needless)}", mend=mend)
    if not missing:
        return Finding("Slack permissions", ok=True, said="all that the manifest names, and no more")
    mend = "add them on the app's page “OAuth & Permissions” and install the app again"
    return Finding("Slack permissions", ok=False, said=f"missing: {', '.join(missing)}", mend=mend)


async def _app_token(client: SlackClient, app_token: str) -> Finding:
    name = "Slack app token"
    try:
        await client.apps_connections_open(app_token=app_token)
    except CALL_FAILURES as error:
        mend = CONNECTION_MEND if error_code(error) else UNREACHABLE_MEND
        return Finding(name, ok=False, said=f"Slack says {in_words(error)}", mend=mend)
    return Finding(name, ok=True, said="Socket Mode can connect")


async def _channel(client: SlackClient, channel: str, whose: str) -> Finding:
    name = f"Slack channel of {whose}"
    try:
        channel = await client.channel_id(channel)
        found = (await client.conversations_info(channel=channel))["channel"]
    except CALL_FAILURES as error:
        code = error_code(error)
        mend = OPERATOR_MENDS.get(code, UNREACHABLE_MEND)
        if code == "channel_not_found":
            mend = (
                "write the channel's id (C…, at the bottom of its “About” page) into shop.yaml; "
                "if the channel is private, invite the bot there first"
            )
        return Finding(name, ok=False, said=f"{channel}: Slack says {in_words(error)}", mend=mend)
    shown = f"#{found.get('name')} ({channel})"
    if found.get("is_archived"):
        mend = "open it again, or write another channel into shop.yaml"
        return Finding(name, ok=False, said=f"{shown} is archived", mend=mend)
    if not found.get("is_member"):
        return Finding(name, ok=False, said=f"the bot is not in {shown}", mend="type /invite @aftersale there")
    return Finding(name, ok=True, said=f"the bot is in {shown}")


async def _person(client: SlackClient, user: str, as_what: str) -> Finding:
    name = f"Slack user {as_what}"
    try:
        found = (await client.users_info(user=user))["user"]
    except CALL_FAILURES as error:
        code = error_code(error)
        mend = OPERATOR_MENDS.get(code, UNREACHABLE_MEND)
        if code in ("user_not_found", "user_not_visible"):
            mend = "write their member id (U…, behind the three dots of their profile) into shop.yaml"
        return Finding(name, ok=False, said=f"{user}: Slack says {in_words(error)}", mend=mend)
    shown = f"{found.get('real_name') or found.get('name')} ({user})"
    if found.get("deleted"):
        mend = "write somebody who is there into shop.yaml; until then the CX owner is called upon"
        return Finding(name, ok=False, said=f"{shown} has left the workspace", mend=mend)
    if found.get("is_restricted") or found.get("is_ultra_restricted") or found.get("is_stranger"):
        mend = "write a full member of the workspace into shop.yaml: guests may not work on cases"
        return Finding(name, ok=False, said=f"{shown} is a guest", mend=mend)
    return Finding(name, ok=True, said=f"{shown} is there")
