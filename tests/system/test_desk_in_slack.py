"""How the desk looks and acts in Slack: two members of staff, a lead and a CX owner, over Socket Mode and signed HTTP."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.adapters.sandbox.slack import Channel, Member, Message, render_view
from bot.adapters.sandbox.telegram import Customer
from bot.desk.shop import SavedAnswer, Shop
from tests.databases import SqliteTemplate
from tests.system.stage import Stage, order, said_to, shop, stage

LEAD, OWNER = "U0LEAD", "U0OWNER"
PROMISE = {"id": "p1", "text": "Delivered on Friday", "touchpoint": "site", "made_by": "checkout"}
DAY = timedelta(days=1)


@pytest.fixture
def url(tmp_path: Path, sqlite_template: SqliteTemplate) -> str:
    return sqlite_template.fresh(tmp_path)


def the_shop(**changes: Any) -> Shop:
    """A shop with a lead for deliveries, a CX owner, and an answer that is kept ready."""
    saved = {"sorry": SavedAnswer({"en": "We are sorry"}, {"en": "Hi {first_name}, we are sorry about {bought}."})}
    example = shop(cx_owner=OWNER, saved_answers=saved, **changes)
    return replace(example, teams={**example.teams, "delivery": replace(example.teams["delivery"], lead=LEAD)})


@asynccontextmanager
async def playing(url: str, way: str = "socket", **changes: Any) -> AsyncIterator[Stage]:
    """Set the stage, Slack over Socket Mode or as signed requests."""
    if way == "socket":
        async with stage(url, the_shop=the_shop(**changes)) as play:
            yield play
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    http = {"slack_mode": "http", "http_port": port, "public_url": f"http://127.0.0.1:{port}"}
    async with stage(url, the_shop=the_shop(**changes), **http) as play:
        play.slack.http_url = f"http://127.0.0.1:{port}/slack/events"
        yield play


async def unhappy(play: Stage, **about: Any) -> tuple[Customer, Message]:
    """Play on until an unhappy reply stands as a card."""
    await play.happens(order("order.placed", promises=(PROMISE,), **about))
    customer = await play.link(about.get("sale", "1001"))
    await play.happens(order("order.delivered", promises=(PROMISE,), **about))
    await play.pass_time(timedelta(days=2))
    await play.tap(customer, "📦 Not here yet")
    return customer, play.card("delivery")


def people(play: Stage) -> tuple[Member, Member, Member, Member]:
    """Give two members of staff of the delivery team, its lead and the CX owner."""
    anna, bo = play.slack.member("Anna Berg", "U0ANNA"), play.slack.member("Bo Dahl", "U0BO")
    for each in (anna, bo):
        play.channels["delivery"].member_ids.add(each.id)
    return anna, bo, play.slack.member("Lena Lead", LEAD), play.slack.member("Carla Owner", OWNER)


async def fills_in(play: Stage, member: Member, card: Message, button: str, **answers: Any) -> None:
    """Press, fill in and send."""
    assert (await member.click(card, button)).acked
    assert (await member.submit(answers)).action == "close"
    await play.rest()


# A case from beginning to end ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["socket", "http"])
async def test_a_case_is_worked_on_by_many_and_closed_by_the_customer(url: str, way: str) -> None:
    """Claims at once, a reply, a note, a task, a hand-over by the owner, a remedy; each says who, and the card follows."""
    async with playing(url, way) as play:
        freja, card = await unhappy(play)
        anna, bo, lead, owner = people(play)

        await asyncio.gather(anna.click(card, "Claim"), bo.click(card, "Claim"))
        await play.rest()
        winner, other = (anna, bo) if f"Claimed by <@{anna.id}>" in card.plain() else (bo, anna)
        assert f"Claimed by <@{winner.id}>" in card.plain()
        assert f"<@{winner.id}> took this" in other.ephemerals[-1].text
        assert other.ephemerals[-1].text.count("<@") == 1

        assert (await winner.click(card, "Reply to customer")).acked
        await winner.click_in_view("saved_answer", "We are sorry")
        assert (await winner.submit()).action == "push"
        shown = render_view(winner.view or {})
        assert "Hi Freja, we are sorry about two bottles of Barolo." in shown
        assert (await winner.submit()).action == "clear"
        await play.rest()
        assert freja.last.text in shown
        assert "within one business day" in freja.last.text
        assert "✅ Delivered to the customer." in play.story(card)

        await fills_in(play, lead, card, "Note", text="They are a regular.")
        await fills_in(play, other, card, "Ask another team", team="accounting", text="Send the freight back.")
        assert "accounting: Send the freight back." in card.plain()
        task = play.card("accounting")
        carl = play.slack.member("Carl Count", "U0CARL")
        await fills_in(play, carl, task, "Done", note="Booked today.")
        assert "✅ accounting: Send the freight back. – done by <@U0CARL>: Booked today." in card.plain()
        assert "DONE" in task.plain()

        await fills_in(
            play, owner, card, "Remedy done", kind="Explanation", note="It stood next door.", cause="carrier"
        )
        await play.pass_time(3 * DAY)
        await play.tap(freja, "👍 Yes, it is right")
        assert "✅ CONFIRMED BY THE CUSTOMER" in card.plain()
        assert (card.buttons, (await play.sale()).confirmed_at is not None) == (["Reply to customer", "⋯"], True)
        assert len(play.channels["delivery"].messages) == 1
        assert "regular" not in "".join(said_to(freja))
        kinds = set(await play.told())
        assert {
            "case.claimed",
            "case.replied",
            "case.noted",
            "case.taskopened",
            "case.taskdone",
            "case.remedydone",
        } <= kinds


async def test_a_card_works_weeks_later_and_after_a_restart(url: str) -> None:
    """Nothing about a card lives in the program: after three weeks off each of its acts is possible again."""
    async with playing(url) as play:
        freja, card = await unhappy(play)
        anna, *_ = people(play)
        await play.close()
        play.clock.advance(timedelta(weeks=3))
        await play.open()
        await play.rest()
        await play.claim(anna, card)
        await play.reply(anna, card, "We found it.")
        until = int((play.clock.now() + 2 * DAY).timestamp())
        await fills_in(play, anna, card, "Put aside", waits_for="A parcel", until=until, reason="from Turin")
        assert "it waits for the parcel" in card.plain()
        await fills_in(play, anna, card, "Call needed", reason="They asked for it.")
        assert "CALL THE CUSTOMER" in card.plain()
        await play.hand_over(anna, card, "accounting", "their invoice")
        assert "We found it." in freja.last.text
        assert "OPEN" in play.card("accounting").plain() or "CALL" in play.card("accounting").plain()


# What the customer sends --------------------------------------------------------------------------------------------


async def test_photos_and_voice_stand_in_the_thread(url: str) -> None:
    """What Telegram keeps is brought to Slack: the same bytes, below the words, within the same rest of the program."""
    async with playing(url) as play:
        freja, card = await unhappy(play)
        await freja.send_photo("Look at this!")
        await freja.send_voice()
        await play.rest()
        thread = play.slack.thread(card)
        files = [file for each in thread for file in each.files]
        assert [file["title"] for file in files] == ["Photo", "Voice message"]
        assert [play.slack.file_content(file["id"]) for file in files] == [
            b"sandbox photo of Freja",
            b"sandbox voice of Freja",
        ]
        assert [each.thread_ts for each in thread if each.files] == [card.ts, card.ts]
        assert "Look at this!" in play.story(card)
        assert "📎 1 photo, 1 voice message – in the thread" in card.plain()
        told = [call.arguments for call in play.slack.calls if call.method == "files.getUploadURLExternal"]
        assert told[0]["alt_txt"] == "Photo from the customer"


async def test_a_photo_that_opens_the_case_is_there_as_well(url: str) -> None:
    """Words and a photo outside any question open a case: card first, then what came with it."""
    async with playing(url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await freja.send_photo("The box is crushed")
        await play.rest()
        (card,) = [each for name in play.channels.values() for each in name.messages]
        (shared,) = [each for each in play.slack.thread(card) if each.files]
        assert play.slack.file_content(shared.files[0]["id"]) == b"sandbox photo of Freja"


@pytest.mark.parametrize("trouble", ["gone", "too big", "slack refuses", "slack shares not"])
async def test_a_photo_that_cannot_be_shown_is_said_and_the_words_go_on(url: str, trouble: str) -> None:
    """Whatever ails the file, the words stand in the thread once, with what staff can do instead."""
    async with playing(url) as play:
        freja, card = await unhappy(play)
        if trouble == "gone":
            play.telegram.fail_next(
                "getFile", status=400, description="Bad Request: wrong file_id or the file is temporarily unavailable"
            )
        elif trouble == "too big":
            play.telegram.fail_next("getFile", status=400, description="Bad Request: file is too big")
        elif trouble == "slack refuses":
            play.slack.fail_next("files.getUploadURLExternal", "missing_scope")
        else:
            play.slack.fail_next("files.completeUploadExternal", "internal_error")
        await freja.send_photo("Look at this!")
        await play.rest()
        await play.write(freja, "And one more word")
        story = play.story(card)
        assert story.count("Look at this!") == 1
        assert "⚠️ Photo:" in story
        assert "1234:sandbox" not in story
        assert story.index("⚠️ Photo:") < story.index("And one more word")


async def test_a_photo_waits_for_a_passing_trouble_and_then_comes(url: str) -> None:
    """Telegram hiccups: nothing is posted twice, and the photo comes with the next attempt."""
    async with playing(url) as play:
        freja, card = await unhappy(play)
        play.telegram.fail_next("getFile", status=502, description="Bad Gateway")
        await freja.send_photo("Look at this!")
        await play.rest()
        await play.pass_time(timedelta(minutes=5))
        assert play.story(card).count("Look at this!") == 1
        assert [file["title"] for each in play.slack.thread(card) for file in each.files] == ["Photo"]


async def test_long_words_go_on_in_the_thread_in_full(url: str) -> None:
    """The card shows the beginning and says where the rest is; the thread has every word, once."""
    async with playing(url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        words = " ".join(f"word{number}" for number in range(500))
        await play.write(freja, words)
        (card,) = [each for name in play.channels.values() for each in name.messages]
        assert "… (continued in the thread)" in card.plain()
        assert "word499" not in card.plain()
        assert words in play.story(card)


async def test_an_edit_is_told_with_what_it_says_now(url: str) -> None:
    """Who mends their words is heard: the thread has both."""
    async with playing(url) as play:
        freja, card = await unhappy(play)
        await play.write(freja, "I need it on Friday")
        await freja.edit_last("I need it on Thursday")
        await play.rest()
        story = play.story(card)
        assert "I need it on Friday" in story
        assert "now says: “I need it on Thursday”" in story


# What staff send ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("blocked", "⚠️ Not delivered: the customer blocked the bot. Please call or mail the customer."),
        ("lost", "❔ May have been sent; it is sent once more and says so."),
    ],
)
async def test_the_thread_says_what_became_of_a_reply(url: str, fault: str, words: str) -> None:
    """Delivered, perhaps delivered, or refused and why: whoever wrote need not guess."""
    async with playing(url) as play:
        freja, card = await unhappy(play)
        anna, *_ = people(play)
        if fault == "blocked":
            play.telegram.fail_next("sendMessage", status=403, description="Forbidden: bot was blocked by the user")
        else:
            play.telegram.drop_reply_next("sendMessage")
        await play.reply(anna, card, "It left today.")
        await play.pass_time(timedelta(minutes=2))
        assert words in play.story(card)
        if fault == "blocked":
            assert "📵" in card.plain()
        else:
            assert sum("It left today." in each for each in said_to(freja)) == 2


TEMPTING = ["!send", "/reply", "/aftersale reply", "@customer", "> ", "reply:", "to customer:", "Freja,", "#", "<@U0BOT>",
            "{user:U1}", "c:all", "👍", "case_reply", "Send", "!", "?", "/", "//", "::", "~", "kære kunde", "*Reply*"]  # fmt: skip


async def test_nothing_of_a_thousand_things_typed_in_slack_reaches_a_customer(url: str) -> None:
    """Prefixes, mentions, commands, edits, files, deletions, in threads and channels: the customer hears none of it."""
    dice = random.Random(20261125)  # noqa: S311 - a play that can be played again
    async with playing(url) as play:
        freja, card = await unhappy(play)
        anna, bo, *_ = people(play)
        await play.claim(anna, card)
        before, rows = said_to(freja), len(await play.sent("waiting", "sent", "held", "unknown", "failed"))
        taken = len(await play.read(lambda uow: uow.inbox(("new", "done", "ignored", "failed"), 5_000)))
        channel, sends = play.channels["delivery"], _sends(play)
        for number in range(1_000):
            who = dice.choice((anna, bo))
            text = _typed(dice, number)
            typed = await _type(dice, who, channel, card, text)
            if dice.random() < 0.2:
                await who.edit(typed, f"{dice.choice(TEMPTING)} edited {text}")
            elif dice.random() < 0.1:
                await who.delete(typed)
        await play.rest()
        assert said_to(freja) == before
        assert len(await play.sent("waiting", "sent", "held", "unknown", "failed")) == rows
        assert len(await play.read(lambda uow: uow.inbox(("new", "done", "ignored", "failed"), 5_000))) == taken
        assert play.slack.missed_acks == []
        assert _sends(play) == sends


def _sends(play: Stage) -> int:
    return sum(call.method not in ("getUpdates", "getMe") for call in play.telegram.calls)


def _typed(dice: random.Random, number: int) -> str:
    words = [dice.choice(TEMPTING) for _ in range(dice.randint(1, 4))]
    dice.shuffle(words)
    return f"{dice.choice(['', ' ', chr(10)])}{''.join(words)} secret {number} <!channel> https://x.dk/?a=1&b=2"


async def _type(dice: random.Random, who: Member, channel: Channel, card: Message, text: str) -> Message:
    match dice.randrange(4):
        case 0:
            return await who.post(channel, text)
        case 1:
            return await who.type_in_thread(card, text, files={"reply.txt": b"secret"})
        case _:
            return await who.type_in_thread(card, text)


# The home tab and the command -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["socket", "http"])
async def test_home_and_command_show_what_is_really_so(url: str, way: str) -> None:
    """My case, my team's, what waits for the customer, figures and links; a search and the reasons of a sale."""
    async with playing(url, way) as play:
        freja, card = await unhappy(play)
        anna, bo, _, owner = people(play)
        await play.claim(anna, card)
        await anna.open_home()
        mine = render_view(anna.home or {})
        assert "*Freja Holm* · two bottles of Barolo, order 1001" in mine.partition("MY TEAM")[0]
        link = next(block["accessory"]["url"] for block in (anna.home or {})["blocks"] if "accessory" in block)
        assert link.endswith(f"/archives/{card.channel_id}/p{card.ts.replace('.', '')}")
        await bo.open_home()
        theirs = render_view(bo.home or {}).partition("MY TEAM")
        assert ("Freja" in theirs[0], "Freja" in theirs[2]) == (False, True)
        assert "1 opened · 0 answered · 0 confirmed" in theirs[2]

        await play.reply(anna, card, "It left today.")
        await anna.click_in_view("Refresh", home=True)
        assert "Freja" in render_view(anna.home or {}).partition("WAITING FOR THE CUSTOMER")[2]

        await owner.open_home()
        assert "HEALTH" in render_view(owner.home or {})
        await owner.click_in_view("Pause the bot", home=True)
        assert "The bot is paused" in render_view(owner.home or {})
        assert await play.read(lambda uow: [each.scope for each in uow.pauses()]) == ["all"]
        await owner.click_in_view("Resume", home=True)
        assert await play.read(lambda uow: uow.pauses()) == []

        await anna.slash("/aftersale", "find freja", play.channels["delivery"])
        assert "*Freja Holm*, order 1001 · two bottles of Barolo · delivered" in anna.ephemerals[-1].text
        await anna.slash("/aftersale", "why 1001", play.channels["delivery"])
        assert "reply of staff – sent" in anna.ephemerals[-1].text
        assert said_to(freja)[-1].startswith("Anna, Nordlys:")


# Order ----------------------------------------------------------------------------------------------------------------


async def test_a_thread_keeps_its_order_through_a_burst_and_refusals(url: str) -> None:
    """Many write at once while Slack says 429 again and again: every word comes once, in the order of its case."""
    async with playing(url) as play:
        about = {f"{2000 + number}": f"c-{number}" for number in range(12)}
        everybody = {}
        for sale, customer in about.items():
            given: dict[str, Any] = {"sale": sale, "customer": customer, "promises": (PROMISE,)}
            await play.happens(order("order.placed", **given))
            everybody[sale] = await play.link(sale)
            await play.happens(order("order.delivered", **given))
        await play.pass_time(timedelta(days=2))
        for customer in everybody.values():
            await customer.tap("📦 Not here yet")
        await play.rest()
        play.slack.fail_next("chat.postMessage", "ratelimited", times=15)
        for number in range(6):
            for sale, customer in everybody.items():
                await customer.send(f"{sale} says {number}")
        await play.rest()
        await play.pass_time(timedelta(minutes=10))
        shown = play.channels["delivery"].messages
        assert not [each for each in shown if "📥" in each.plain()], (
            "twelve cards are no crowd, however often one is sent"
        )
        cards = {sale: next(each for each in shown if f"order {sale}" in each.plain()) for sale in about}
        for sale, card in cards.items():
            story = play.story(card)
            places = [story.index(f"{sale} says {number}") for number in range(6)]
            assert places == sorted(places)
            assert all(story.count(f"{sale} says {number}") == 1 for number in range(6))
