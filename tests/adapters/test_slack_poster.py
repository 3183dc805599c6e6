"""What goes out to Slack, through the real slack_sdk against a local Slack."""

import dataclasses
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.adapters.clock import MovableClock
from bot.adapters.sandbox.slack import SandboxSlack
from bot.adapters.slack.poster import SlackPoster, delivery_error
from bot.errors import DeliveryDelayed, DeliveryRefused, DeliveryUnknown
from bot.ports.channels import Card
from bot.ports.records import Outgoing

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
CARD = Card(
    case_id="k1",
    status="open",
    team="Wine desk",
    why_team="answers for delivery",
    customer="Freja Holm",
    language="da",
    sale_id="1001",
    bought="two bottles of Barolo",
    promise=None,
    said="It never came, see https://example.com <!channel>",
    factor="promise",
    touchpoint="delivery",
    cycle=1,
    due="Mon 23 Nov 10:00",
    due_reason="2 working hours",
    overdue=False,
    claimed_by=None,
    remedy=None,
    reachable=True,
    history="first reply",
)


@pytest.fixture
async def slack():
    async with SandboxSlack(clock=MovableClock(NOW).now) as running:
        running.channel("C1", "wine")
        yield running


@pytest.fixture
async def poster(slack):
    made = SlackPoster(slack.bot_token, slack.base_url, patience=timedelta(seconds=1))
    yield made
    await made.close()


def row(kind, attempts=1, **body):
    return Outgoing(
        key="row-1",
        channel="slack",
        lane="case:k1",
        kind=kind,
        body=body,
        not_before=NOW,
        created_at=NOW,
        attempts=attempts,
    )


def card_row(attempts=1, ts=None, channel="C1", **changes):
    card = dataclasses.asdict(dataclasses.replace(CARD, **changes))
    return row("card", attempts, channel=channel, ts=ts, card=card)


async def test_a_card_is_posted_and_later_updated_in_place(slack, poster):
    """The first delivery posts, one with a ts changes that message; links are not unfurled."""
    ts = await poster.deliver(card_row())
    again = await poster.deliver(card_row(ts=ts, status="claimed", claimed_by="U0001"))
    [message] = slack.channel("C1").messages
    assert ts == again == message.ts
    assert "CLAIMED" in message.plain()
    assert "Claimed by <@U0001>" in message.plain()
    assert message.metadata["event_payload"]["case_id"] == "k1"
    assert slack.calls[0].arguments["unfurl_links"] in (False, "0")


async def test_a_repeat_finds_the_card_that_went_out_after_all(slack, poster):
    """A post whose answer was lost is unknown; its repeat updates the card that stands there and doubles nothing."""
    slack.drop_reply_next("chat.postMessage")
    with pytest.raises(DeliveryUnknown):
        await poster.deliver(card_row())
    [lost] = slack.channel("C1").messages
    assert await poster.deliver(card_row(attempts=2, overdue=True)) == lost.ts
    [message] = slack.channel("C1").messages
    assert "Overdue" in message.plain()


async def test_a_repeat_posts_where_nothing_arrived(slack, poster):
    """Other messages and other cards in the channel are not mistaken for this one."""
    await poster.deliver(dataclasses.replace(card_row(case_id="k2"), key="row-2"))
    await poster.deliver(dataclasses.replace(card_row(), key="an earlier card of the same case"))
    await slack.member("Mikkel").post(slack.channel("C1"), "hello")
    await poster.deliver(card_row(attempts=2))
    assert len(slack.channel("C1").messages) == 4


async def test_an_update_that_was_not_answered_may_simply_be_repeated(slack, poster):
    """Changing a card twice does no harm, so not knowing is only a delay."""
    ts = await poster.deliver(card_row())
    slack.drop_reply_next("chat.update")
    with pytest.raises(DeliveryDelayed):
        await poster.deliver(card_row(ts=ts))


async def test_a_line_stands_in_the_thread_with_its_mention(slack, poster):
    """A line goes below the card; it calls whom it names, and nobody whom the customer names."""
    ts = await poster.deliver(card_row())
    await poster.deliver(row("thread", channel="C1", thread_ts=ts, text="{user:U0001} Freja wrote: <!channel> & more"))
    [reply] = slack.thread(slack.channel("C1").messages[0])
    assert reply.text == "<@U0001> Freja wrote: &lt;!channel&gt; &amp; more"


async def test_a_repeated_line_says_that_it_may_be_there_twice(slack, poster):
    """A line has nothing to be found by; so its repeat says so."""
    ts = await poster.deliver(card_row())
    await poster.deliver(row("thread", 2, channel="C1", thread_ts=ts, text="Claimed", mention="U0001", repeated=True))
    [reply] = slack.thread(slack.channel("C1").messages[0])
    assert reply.text == "<@U0001> Claimed (perhaps posted twice)"


async def test_a_whisper_is_seen_by_one_alone(slack, poster):
    """A whisper reaches its member and stands in no channel."""
    mikkel = slack.member("Mikkel Dahl")
    slack.channel("C1", members=[mikkel])
    assert await poster.deliver(row("whisper", channel="C1", user=mikkel.id, text="Already claimed")) != ""
    assert [each.text for each in mikkel.ephemerals] == ["Already claimed"]
    assert slack.channel("C1").messages == []


async def test_a_channel_may_be_given_by_its_name(slack, poster):
    """Card, its update, its repeat, a line and a whisper reach a ``#name``; its id is looked up once."""
    mikkel = slack.member("Mikkel Dahl")
    slack.channel("C1", members=[mikkel])
    ts = await poster.deliver(card_row(channel="#wine"))
    assert await poster.deliver(card_row(channel="#wine", ts=ts, status="claimed")) == ts
    assert await poster.deliver(card_row(channel="#wine", attempts=2, status="claimed")) == ts
    await poster.deliver(row("thread", channel="#wine", thread_ts=ts, text="Claimed"))
    await poster.deliver(row("whisper", channel="#wine", user=mikkel.id, text="Already claimed"))
    [message] = slack.channel("C1").messages
    assert "CLAIMED" in message.plain()
    assert [reply.text for reply in slack.thread(message)] == ["Claimed"]
    assert [each.text for each in mikkel.ephemerals] == ["Already claimed"]
    assert [call.method for call in slack.calls].count("conversations.list") == 1


async def test_a_name_on_a_later_page_and_of_a_private_channel_is_found(slack, poster):
    """A workspace may have more channels than one page holds, and the bot may be in private ones."""
    for number in range(1100):
        slack.channel(f"CX{number}", f"crowd-{number}")
    slack.channel("CP", "quiet", private=True)
    await poster.deliver(card_row(channel="#quiet"))
    assert len(slack.channel("CP").messages) == 1
    assert [call.method for call in slack.calls].count("conversations.list") == 2


async def test_a_name_that_nobody_has_is_a_channel_that_is_gone(slack, poster):
    """A slip in shop.yaml sends the case to the fallback channel, as an archived channel does."""
    with pytest.raises(DeliveryRefused) as caught:
        await poster.deliver(card_row(channel="#whine"))
    assert caught.value.reason == "channel_gone"


async def test_while_names_cannot_be_looked_up_the_message_waits(slack, poster):
    """Slack is away, or asks to wait: nothing was posted, so it is only delayed."""
    slack.fail_next("conversations.list", "ratelimited", retry_after=7)
    with pytest.raises(DeliveryDelayed) as caught:
        await poster.deliver(card_row(channel="#wine"))
    assert caught.value.retry_after == timedelta(seconds=7)
    slack.hang_next("conversations.list", 1.5)
    with pytest.raises(DeliveryDelayed):
        await poster.deliver(card_row(channel="#wine"))
    assert slack.channel("C1").messages == []


async def test_being_told_to_wait_is_a_delay_and_is_not_repeated_in_secret(slack, poster):
    """A 429 becomes a delay of the length that Slack names, for all that goes by this method; one call was made."""
    slack.fail_next("chat.postMessage", "ratelimited", retry_after=7)
    with pytest.raises(DeliveryDelayed) as caught:
        await poster.deliver(card_row())
    assert caught.value.retry_after == timedelta(seconds=7)
    assert caught.value.everyone is True
    assert [call.method for call in slack.calls] == ["chat.postMessage"]


async def test_being_told_to_search_less_binds_no_other_message(slack, poster):
    """A 429 to the search before a repeat is of another method than the posts of everybody else."""
    slack.fail_next("conversations.history", "ratelimited", retry_after=60)
    with pytest.raises(DeliveryDelayed) as caught:
        await poster.deliver(card_row(attempts=2))
    assert caught.value.retry_after == timedelta(seconds=60)
    assert caught.value.everyone is False


async def test_a_channel_that_is_gone_is_said_to_be_gone(slack, poster):
    """An archived channel, one without the bot and one that never was are refused for good."""
    slack.channel("C1").archive()
    slack.channel("C2", bot=False)
    for channel in ("C1", "C2", "C9"):
        with pytest.raises(DeliveryRefused) as caught:
            await poster.deliver(card_row(channel=channel))
        assert caught.value.reason == "channel_gone"


async def test_a_card_that_was_deleted_is_said_to_be_gone(slack, poster):
    """An update of a message that is no more is refused with that reason."""
    with pytest.raises(DeliveryRefused) as caught:
        await poster.deliver(card_row(ts="1.000001"))
    assert caught.value.reason == "gone"


async def test_slack_being_away_delays_and_silence_is_unknown(slack, poster):
    """Nobody listening means surely not taken; no answer in time means that nobody can say."""
    slack.hang_next("chat.postMessage", 1.5)
    with pytest.raises(DeliveryUnknown):
        await poster.deliver(card_row())
    nowhere = SlackPoster(slack.bot_token, "http://127.0.0.1:9/api/")
    with pytest.raises(DeliveryDelayed):
        await nowhere.deliver(card_row())
    await nowhere.close()


@pytest.mark.parametrize(
    "message",
    [
        row("question", channel="C1", text="x"),
        row("card", channel="C1", ts=None, card={"case_id": "k1"}),
        row("card", channel="C1", ts=None),
        row("thread", channel="C1", thread_ts="1.1", text=" "),
        row("thread", channel=None, thread_ts="1.1", text="x"),
    ],
)
async def test_a_message_that_makes_no_sense_is_refused_before_it_is_sent(slack, poster, message):
    """A body that lacks something is refused, saying what, and Slack is not asked."""
    with pytest.raises(DeliveryRefused) as caught:
        await poster.deliver(message)
    assert caught.value.reason == "invalid"
    assert list(slack.calls) == []


def said(code="", status=200, headers=None):
    data = {"ok": False, "error": code} if code else {}
    response = AsyncSlackResponse(
        client=None, http_verb="POST", api_url="", req_args={}, data=data, headers=headers or {}, status_code=status
    )
    return SlackApiError("no", response)


@pytest.mark.parametrize(
    ("error", "meaning", "again"),
    [
        (said("not_in_channel"), "channel_gone", "channel_gone"),
        (said("is_archived"), "channel_gone", "channel_gone"),
        (said("channel_not_found"), "channel_gone", "channel_gone"),
        (said("restricted_action"), "channel_gone", "channel_gone"),
        (said("message_not_found"), "gone", "gone"),
        (said("cant_update_message"), "gone", "gone"),
        (said("invalid_blocks"), "invalid", "invalid"),
        (said("msg_too_long"), "invalid", "invalid"),
        (said("ratelimited", 429), DeliveryDelayed, DeliveryDelayed),
        (said("", 429, {"Retry-After": "soon"}), DeliveryDelayed, DeliveryDelayed),
        (said("invalid_auth"), DeliveryDelayed, DeliveryDelayed),
        (said("token_revoked"), DeliveryDelayed, DeliveryDelayed),
        (said("missing_scope"), DeliveryDelayed, DeliveryDelayed),
        (said("a_code_of_tomorrow"), DeliveryDelayed, DeliveryDelayed),
        (said("internal_error"), DeliveryUnknown, DeliveryDelayed),
        (said("fatal_error"), DeliveryUnknown, DeliveryDelayed),
        (said("service_unavailable", 503), DeliveryUnknown, DeliveryDelayed),
        (said("", 502), DeliveryUnknown, DeliveryDelayed),
        (said("", 403), DeliveryDelayed, DeliveryDelayed),
        (SlackClientError("no JSON"), DeliveryUnknown, DeliveryDelayed),
        (TimeoutError(), DeliveryUnknown, DeliveryDelayed),
        (aiohttp.ServerDisconnectedError(), DeliveryUnknown, DeliveryDelayed),
        (aiohttp.ClientConnectionResetError(), DeliveryUnknown, DeliveryDelayed),
        (aiohttp.ConnectionTimeoutError(), DeliveryDelayed, DeliveryDelayed),
        (aiohttp.ClientConnectorError(None, OSError("refused")), DeliveryDelayed, DeliveryDelayed),
    ],
)
def test_each_failure_means_one_thing(error, meaning, again):
    """Every failure is delayed, unknown or refused with its reason; what may be repeated is never unknown."""

    def named(found):
        return found.reason if isinstance(found, DeliveryRefused) else type(found)

    assert named(delivery_error(error)) == meaning
    assert named(delivery_error(error, is_repeatable=True)) == again


def test_what_the_operator_can_mend_is_said_in_plain_words():
    """A revoked token names the setting to renew."""
    assert "SLACK_BOT_TOKEN" in str(delivery_error(said("token_revoked")))


async def test_an_alarm_is_a_line_in_its_channel(slack, poster):
    """It goes to the channel that its body names, in no thread, with nothing in it that Slack would act upon."""
    channel = slack.channel("COPS", "ops")
    ts = await poster.deliver(row("alarm", channel="COPS", text="🚨 <!channel> is down\n→ look & mend"))
    [message] = channel.messages
    assert (message.ts, message.thread_ts) == (ts, None)
    assert message.text == "🚨 &lt;!channel&gt; is down\n→ look &amp; mend"
