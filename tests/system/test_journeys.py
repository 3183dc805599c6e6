"""Whole journeys through the real program, on both databases: what customers and staff live through."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

import bot.flows
from bot.adapters.sandbox.slack import Member, Message
from bot.adapters.sandbox.telegram import Customer
from tests.system.stage import MORNING, Stage, order, questions_to, said_to, stage

ON_FRIDAY = {
    "id": "p1",
    "text": "Delivered before the weekend",
    "touchpoint": "site",
    "made_by": "checkout",
    "due_at": "2026-11-20T22:00:00+01:00",
}
ARRIVED = "Was everything as we promised?"
TRIED = "Have you tried"
RIGHT_NOW = "Is it right now?"


async def ask_after_delivery(play: Stage, **about: object) -> Customer:
    """Play everything up to the first question: ordered, linked, delivered, two days gone."""
    await play.happens(order("order.placed", **about))  # type: ignore[arg-type]
    customer = await play.link()
    await play.happens(order("order.delivered", **about))  # type: ignore[arg-type]
    await play.pass_time(timedelta(days=2))
    return customer


async def open_case(play: Stage) -> tuple[Customer, Member, Message]:
    """Play an unhappy reply that stands as a card, and somebody of the team."""
    customer = await ask_after_delivery(play, promises=(ON_FRIDAY,))
    await play.tap(customer, "📦 Not here yet")
    return customer, play.slack.member("Anna Berg"), play.card("delivery")


async def remedied_case(play: Stage) -> tuple[Customer, Member, Message]:
    """Play on until the customer is asked whether it is right now."""
    customer, anna, card = await open_case(play)
    await play.claim(anna, card)
    await play.remedy(anna, card, "explanation", "sent again by courier")
    await play.pass_time(timedelta(days=1))
    assert RIGHT_NOW in customer.last.text
    return customer, anna, card


# Happy -------------------------------------------------------------------------------------------------------------


async def test_a_happy_customer_completes_the_sale(database_url: str) -> None:
    """From order to the customer's own yes: nothing is asked twice, and only that yes completes the sale."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        assert "two bottles of Barolo" in freja.last.text
        await play.happens(order("order.delivered"))
        await play.pass_time(timedelta(days=2))
        assert ARRIVED in freja.last.text
        await play.tap(freja, "👍 Yes", "👍 Yes, all of it")
        await play.pass_time(timedelta(days=4))
        assert TRIED in freja.last.text
        await play.tap(freja, "👍 Yes")
        assert (await play.sale()).confirmed_at is None
        await play.tap(freja, "👍 Yes")
        sale = await play.sale()
        assert sale.confirmed_at is not None
        assert sale.factors == {"promise": 1, "clarity": 1, "service": 1, "quality": 1}
        assert all(not channel.messages for channel in play.channels.values())
        assert [len(questions_to(freja, words)) for words in (ARRIVED, TRIED)] == [1, 1]


async def test_a_danish_customer_is_spoken_to_in_danish(database_url: str) -> None:
    """Questions, buttons, thanks and a person's signature come in the language of the order."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed", locale="da"))
        freja = await play.link()
        assert "Vi har modtaget din ordre" in freja.last.text
        await play.happens(order("order.delivered", locale="da"))
        await play.pass_time(timedelta(days=2))
        assert "Var alt, som vi lovede?" in freja.last.text
        await play.tap(freja, "👍 Ja", "🧾 Noget var svært at forstå")
        await play.write(freja, "Hvad betyder linje tre?")
        assert freja.last.text.startswith("Tak, fordi du siger det.")
        card = play.card("accounting")
        assert "Danish" in card.plain()
        assert "Hvad betyder linje tre?" in play.story(card)


async def test_not_tried_yet_is_asked_again_later(database_url: str) -> None:
    """Who has not tried it is thanked, left alone for days, and asked again: three times in all, then never more."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.happens(order("order.delivered"))
        await play.pass_time(timedelta(days=2))
        await play.tap(freja, "👍 Yes", "👍 Yes, all of it")
        await play.pass_time(timedelta(days=3))
        await play.tap(freja, "⏳ Not yet")
        assert "No hurry" in freja.last.text
        await play.pass_time(timedelta(days=4))
        assert "No hurry" in freja.last.text
        await play.pass_time(timedelta(days=1))
        assert "Have you had a chance to try it?" in freja.last.text
        await play.tap(freja, "⏳ Not yet")
        await play.pass_time(timedelta(days=11))  # the tenth is a Sunday
        assert "one last time" in freja.last.text
        await play.tap(freja, "⏳ Not yet")
        assert "I will not ask again" in freja.last.text
        before = len(freja.chat)
        await play.pass_time(timedelta(days=60))
        assert len(freja.chat) == before
        assert (await play.sale()).confirmed_at is None


# Unhappy -----------------------------------------------------------------------------------------------------------


async def test_an_unhappy_reply_is_put_right_and_the_customer_closes_it(database_url: str) -> None:
    """Complaint, card, claim, reply, remedy, the question whether it is right now, and the customer's yes."""
    async with stage(database_url) as play:
        freja = await ask_after_delivery(play, promises=(ON_FRIDAY,))
        await play.tap(freja, "📦 Not here yet")
        assert "A person finds out where it is and answers you here by" in freja.last.text

        card = play.card("delivery")
        shown = card.plain()
        for part in (
            "🟢 OPEN",
            "Freja Holm",
            "1001",
            "two bottles of Barolo",
            "Delivered before the weekend",
            "checkout",
        ):
            assert part in shown
        for part in ("promise · delivery", "📦 Not here yet", "First answer due", "26 Nov"):
            assert part in shown
        assert card.buttons == ["Claim", "Reply to customer", "Remedy done", "⋯"]

        anna, bo = play.slack.member("Anna Berg"), play.slack.member("Bo Dahl")
        await play.claim(anna, card)
        assert "CLAIMED" in card.plain()
        assert f"<@{anna.id}> has taken this" in play.story(card)

        preview = await play.reply(bo, card, "It left our house an hour ago.")
        assert "Bo, Nordlys:\nIt left our house an hour ago." in preview
        assert (
            freja.last.text
            == "Bo, Nordlys:\nIt left our house an hour ago.\n\n(You can answer right here. A person reads it within one business day.)"
        )
        assert "Delivered to the customer" in play.story(card)

        await play.remedy(anna, card, "replacement", "sent again by courier")
        assert "⚪ REMEDY DONE" in card.plain()
        await play.pass_time(timedelta(days=1))
        await play.redelivered()
        assert questions_to(freja, RIGHT_NOW) == []
        await play.pass_time(timedelta(days=1))
        assert "📦 Not here yet" in freja.last.text
        assert "Replacement" in freja.last.text
        assert RIGHT_NOW in freja.last.text

        await play.tap(freja, "👍 Yes, it is right")
        assert "✅ CONFIRMED BY THE CUSTOMER" in card.plain()
        assert "Remedy done" not in card.buttons
        assert (await play.sale()).confirmed_at is not None
        assert len(play.channels["delivery"].messages) == 1


async def test_whoever_claims_second_is_told_who_was_first(database_url: str) -> None:
    """Two people cannot have a case: the second is told by name and time, and nobody else is disturbed."""
    async with stage(database_url) as play:
        _, anna, card = await open_case(play)
        bo, stale = play.slack.member("Bo Dahl"), list(card.blocks)
        await play.claim(anna, card)
        card.blocks = stale  # Bo's screen has not caught up yet
        await play.claim(bo, card)
        (whisper,) = bo.ephemerals
        assert f"<@{anna.id}> took this just now" in whisper.text
        assert (await play.case()).claimed_by == anna.id
        assert "Bo" not in play.story(card)


async def test_a_no_after_the_remedy_reopens_the_case_one_rung_higher(database_url: str) -> None:
    """It is not right yet: the case is open again, higher up, with the customer's words in the same thread."""
    async with stage(database_url) as play:
        freja, anna, card = await remedied_case(play)
        await play.tap(freja, "🙁 No, not yet")
        await play.write(freja, "The courier brought white wine.")
        case = await play.case()
        assert (case.status, case.cycle, case.rung, case.claimed_by) == ("open", 2, 1, None)
        story = play.story(card)
        assert "reopened, cycle 2" in story
        assert "The courier brought white wine." in story
        assert f"<@{anna.id}> had it last" in story
        assert len(play.channels["delivery"].messages) == 1
        assert "ROUND 2" in card.plain()
        verdicts = await play.read(lambda uow: uow.verdicts_of("1001"))
        assert [verdict.cycle for verdict in verdicts] == [1, 2, 2]

        await play.remedy(anna, card, "refund", "all of it")
        await play.pass_time(timedelta(days=1))
        assert "Refund" in freja.last.text
        await play.tap(freja, "👍 Yes, it is right")
        assert (await play.case()).status == "confirmed"


async def test_after_the_last_cycle_a_person_calls(database_url: str) -> None:
    """Asked three times and still not right: the bot asks no more, the card says to call."""
    async with stage(database_url) as play:
        freja, anna, card = await remedied_case(play)
        for _ in range(2):
            await play.tap(freja, "🙁 No, not yet")
            await play.write(freja, "Still nothing.")
            await play.remedy(anna, card, "explanation", "once more")
            await play.pass_time(timedelta(days=3))
        await play.tap(freja, "🙁 No, not yet")
        assert "CALL THE CUSTOMER" in card.plain()
        assert "call the customer" in play.story(card)


async def test_a_zero_with_kind_words_is_still_a_case(database_url: str) -> None:
    """A zero in any factor is an unhappy reply, however kind the words around it (rule 3)."""
    async with stage(database_url) as play:
        freja = await ask_after_delivery(play)
        await play.tap(freja, "👍 Yes", "🧾 Something was hard to understand")
        await play.write(freja, "But you are all so lovely, thank you!")
        card = play.card("accounting")
        assert "clarity · invoice" in card.plain()
        assert "But you are all so lovely, thank you!" in play.story(card)
        assert (await play.sale()).factors["clarity"] == 0


async def test_free_words_instead_of_a_tap_reach_a_person_and_the_button_still_works(database_url: str) -> None:
    """Words are never guessed at: a case “unclear”, thanks with a due time, and the question stays open."""
    async with stage(database_url) as play:
        freja = await ask_after_delivery(play)
        await play.write(freja, "The box was wet, but the wine seems fine?")
        case = await play.case()
        assert case.reason == "unclear"
        assert "I have passed this on. A person answers by" in freja.last.text
        assert "The box was wet, but the wine seems fine?" in play.card("wine").plain()
        (verdict,) = await play.read(lambda uow: uow.verdicts_of("1001"))
        assert (verdict.choice, verdict.text) == (None, "The box was wet, but the wine seems fine?")
        await play.tap(freja, "👍 Yes")
        assert (await play.sale()).factors == {"promise": 1}
        assert "easy to be our customer" in freja.last.text


async def test_pictures_and_sounds_are_kept_and_shown_to_staff(database_url: str) -> None:
    """A photo, a voice message and a sticker are kept with their file ids, and stand in the thread."""
    async with stage(database_url) as play:
        freja, _, card = await open_case(play)
        await freja.send_photo("look at the box")
        await freja.send_voice()
        await freja.send_sticker()
        await play.rest()
        story = play.story(card)
        assert "look at the box" in story
        assert "voice message, 3 s" in story
        shown = [file["title"] for line in play.slack.thread(card) for file in line.files]
        assert shown == ["Photo", "Voice message", "Sticker"]
        verdicts = await play.read(lambda uow: uow.verdicts_of("1001"))
        kept = [media for verdict in verdicts for media in verdict.media]
        assert [media["kind"] for media in kept] == ["photo", "voice", "sticker"]
        assert all(media["file_id"] for media in kept)


async def test_an_edited_message_is_told_in_the_thread(database_url: str) -> None:
    """What the customer changes later is passed on as a change; nothing that they said is overwritten."""
    async with stage(database_url) as play:
        freja, _, card = await open_case(play)
        await play.write(freja, "I need it on Friday")
        await freja.edit_last("I need it on Thursday")
        await play.rest()
        story = play.story(card)
        assert "I need it on Friday" in story
        assert "✏️ The customer changed a message, which now says: “I need it on Thursday”" in story


async def test_handing_over_moves_the_card(database_url: str) -> None:
    """Another team gets the card; the old one says where it went, and the story goes on below the new one."""
    async with stage(database_url) as play:
        freja, anna, card = await open_case(play)
        await play.hand_over(anna, card, "wine", "the bottle is out of stock")
        moved = play.card("wine")
        assert "Not here yet" in moved.plain()
        assert "handed this over from delivery to wine" in play.story(moved)
        await play.write(freja, "Any news?")
        assert "Any news?" in play.story(moved)
        await play.claim(play.slack.member("Carl Ek"), moved)
        assert "CLAIMED" in moved.plain()


async def test_nothing_typed_in_a_thread_reaches_the_customer(database_url: str) -> None:
    """Only *Reply to customer*, with its preview, does (rule 5); closing the preview sends nothing."""
    async with stage(database_url) as play:
        freja, anna, card = await open_case(play)
        before = said_to(freja)
        await anna.type_in_thread(card, "What a fuss about one day.")
        await anna.post(play.channels["delivery"], "/reply What a fuss.")
        await anna.click(card, "Reply to customer")
        await anna.submit({"text": "Never sent"})
        await anna.close_view(everything=True)
        await play.rest()
        await play.pass_time(timedelta(hours=1))
        assert said_to(freja) == before


async def test_no_action_of_staff_completes_a_sale(database_url: str) -> None:
    """Whatever staff press, in any order, a sale is complete only by the customer's own word (rule 1)."""
    async with stage(database_url) as play:
        freja, anna, card = await open_case(play)
        await play.claim(anna, card)
        await play.reply(anna, card, "All is well now, I am sure.")
        await play.remedy(anna, card, "none", "nothing to be done")
        await play.remedy(anna, card, "refund", "paid back")
        await play.hand_over(anna, card, "wine", "theirs")
        await play.remedy(anna, play.card("wine"), "visit", "went there")
        await play.pass_time(timedelta(days=40))
        assert (await play.sale()).confirmed_at is None
        assert (await play.case()).status == "unconfirmed"
        assert len(questions_to(freja, RIGHT_NOW)) >= 1


async def test_silence_after_the_remedy_is_no_yes(database_url: str) -> None:
    """Who does not answer is reminded once; the case then stays unconfirmed, and the sale incomplete."""
    async with stage(database_url) as play:
        freja, _, card = await remedied_case(play)
        await play.pass_time(timedelta(days=20))
        assert len(questions_to(freja, RIGHT_NOW)) == 2
        assert "UNCONFIRMED" in card.plain()
        assert (await play.sale()).confirmed_at is None


# Silence, stop, consent, unreachable ---------------------------------------------------------------------------------


async def test_silence_is_one_reminder_and_never_satisfaction(database_url: str) -> None:
    """No answer: one friendly reminder, then silence; it counts neither as a yes nor as a no."""
    async with stage(database_url) as play:
        freja = await ask_after_delivery(play, first_use_after="60d")
        await play.pass_time(timedelta(days=3))
        assert freja.last.text.startswith("Just a friendly reminder:")
        await play.pass_time(timedelta(days=10))
        assert len(questions_to(freja, ARRIVED)) == 2
        assert freja.buttons == []
        sale = await play.sale()
        assert (sale.factors, sale.answered_at, sale.confirmed_at) == ({}, None, None)
        (conversation,) = [
            each for each in await play.read(lambda uow: uow.conversations_of("1001")) if each.flow == "after_delivery"
        ]
        assert conversation.state.outcome == "silent"
        assert sum(len(channel.messages) for channel in play.channels.values()) == 0


async def test_stop_ends_everything_and_only_the_customer_undoes_it(database_url: str) -> None:
    """/stop in the middle: no further word, whatever happens; /start asks for consent again, and what waited goes on."""
    async with stage(database_url) as play:
        freja = await ask_after_delivery(play)
        await play.write(freja, "/stop")
        assert "I have stopped" in freja.last.text
        assert freja.buttons == []
        before = said_to(freja)
        await play.happens(order("product.first_used", at=play.clock.now()))
        await play.pass_time(timedelta(days=10))
        assert said_to(freja) == before
        assert {moment.reason for moment in await play.moments()} == {"the customer said /stop"}

        await play.write(freja, "/start")
        await play.tap(freja, "Yes: delivery, and how it turns out")
        await play.pass_time(timedelta(days=1))
        assert "Did you get what you bought it for?" in freja.last.text


async def test_stop_during_a_case_is_told_to_staff(database_url: str) -> None:
    """The team learns in the thread that the bot cannot write any more; a reply is not sent, and they are told so."""
    async with stage(database_url) as play:
        freja, anna, card = await open_case(play)
        await play.claim(anna, card)
        await anna.click(card, "Reply to customer")
        await anna.submit({"text": "It is on its way."})
        await play.write(freja, "/stop")
        assert "The customer said /stop" in play.story(card)
        assert "cannot write to this customer" in card.plain()
        assert "Reply to customer" not in card.buttons
        await anna.submit()
        await play.rest()
        assert "I have stopped" in freja.last.text
        assert "Not sent to the customer: the customer said /stop" in play.story(card)


async def test_an_unlinked_sale_is_a_visible_state_and_goes_on_when_linked(database_url: str) -> None:
    """Nothing is lost or sent to nobody: what waits names its reason, and goes out once the chat is linked."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"), order("order.delivered"))
        await play.pass_time(timedelta(days=3))
        held = {moment.data["flow"]: moment.reason for moment in await play.moments()}
        assert held["after_delivery"] == "the customer has not linked a chat"
        assert await play.sent("waiting", "sent") == []
        freja = await play.link()
        assert ARRIVED in freja.last.text


async def test_without_consent_for_results_the_question_after_first_use_is_held(database_url: str) -> None:
    """Who agreed to service questions alone is asked about the delivery, not about the result; the reason is visible."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link(consent="service")
        await play.happens(order("order.delivered"))
        await play.pass_time(timedelta(days=2))
        await play.tap(freja, "👍 Yes", "👍 Yes, all of it")
        await play.pass_time(timedelta(days=10))
        assert questions_to(freja, TRIED) == []
        (held,) = await play.moments()
        assert (held.data["flow"], held.reason) == ("after_first_use", "no consent for result")


async def test_without_any_consent_nothing_is_written(database_url: str) -> None:
    """A customer who says no is thanked for saying so, and left in peace."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link(consent="none")
        before = said_to(freja)
        assert "I will not write to you" in before[-1]
        await play.happens(order("order.delivered"))
        await play.pass_time(timedelta(days=30))
        assert said_to(freja) == before


async def test_a_blocked_bot_is_noticed_and_told_to_whoever_replies(database_url: str) -> None:
    """A 403 makes the customer unreachable; staff read in the thread that their words did not arrive."""
    async with stage(database_url) as play:
        freja, anna, card = await open_case(play)
        play.telegram.fail_next("sendMessage", status=403)
        await play.reply(anna, card, "It is on its way.")
        assert "Not delivered: the customer blocked the bot" in play.story(card)
        customer = await play.read(lambda uow: uow.customer("c-7"))
        assert customer.unreachable_at is not None
        (refused,) = await play.sent("refused")
        assert refused.kind == "staff_reply"
        assert "It is on its way." not in "".join(said_to(freja))


async def test_a_customer_who_blocks_and_comes_back_is_asked_then(database_url: str) -> None:
    """Blocked: what is due waits, saying why; unblocked by the customer's own doing: it goes out."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await freja.block()
        await play.happens(order("order.delivered"))
        await play.pass_time(timedelta(days=2))
        assert questions_to(freja, ARRIVED) == []
        assert "the customer blocked the bot" in {moment.reason for moment in await play.moments()}
        await freja.unblock()
        await play.rest()
        assert len(questions_to(freja, ARRIVED)) == 1


# Taps --------------------------------------------------------------------------------------------------------------


async def test_double_taps_and_old_buttons_change_nothing_more(database_url: str) -> None:
    """The first tap counts; its double, and the same button weeks later, have no effect. All that is left is to change the answer."""
    async with stage(database_url) as play:
        freja = await ask_after_delivery(play)
        question = freja.last
        await freja.tap_twice("👍 Yes")
        await play.rest()
        assert question.buttons == [["✏️ Change my answer"]]
        assert question.text.endswith("➜ 👍 Yes")
        assert len(questions_to(freja, "easy to be our customer")) == 1
        await freja.tap_old(question.message_id, "📦 Not here yet")
        await play.rest()
        assert (await play.sale()).factors == {"promise": 1}
        assert len(await play.read(lambda uow: uow.verdicts_of("1001"))) == 1
        assert not play.channels["delivery"].messages
        await freja.tap_old(question.message_id, "a:somebody-elses:1:0")
        await play.rest()
        assert len(questions_to(freja, "easy to be our customer")) == 1


async def test_a_button_of_another_customer_is_harmless(database_url: str) -> None:
    """Nobody can answer for somebody else, even with the very data of their button."""
    async with stage(database_url) as play:
        freja = await ask_after_delivery(play)
        (asked,) = [each for each in await play.sent("sent") if each.kind == "question"]
        await play.happens(order("order.placed", "1002", customer="c-8", name="Bob Lund"))
        bob = await play.link("1002", name="Bob")
        await bob.tap_old(bob.last.message_id, asked.body["buttons"][0][0]["data"])
        await play.rest()
        assert await play.read(lambda uow: uow.verdicts_of("1001")) == []
        assert ARRIVED in freja.last.text


# Time --------------------------------------------------------------------------------------------------------------


async def test_what_is_due_at_night_goes_out_in_the_morning(database_url: str) -> None:
    """Due at 23:00 on the customer's clock: it goes out at 08:30, and says meanwhile why it waits."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.happens(order("order.delivered", at=MORNING.replace(hour=22)))
        await play.pass_time(to=MORNING.replace(day=25, hour=22, minute=1))
        assert questions_to(freja, ARRIVED) == []
        (waiting,) = await play.sent("waiting")
        assert waiting.reason == "quiet hours of the customer"
        await play.pass_time(to=MORNING.replace(day=26, hour=7, minute=29))
        assert questions_to(freja, ARRIVED) == []
        await play.pass_time(to=MORNING.replace(day=26, hour=7, minute=30))
        assert len(questions_to(freja, ARRIVED)) == 1


async def test_after_three_days_off_what_became_due_goes_out_at_the_next_allowed_time(database_url: str) -> None:
    """Stopped for three days and started at night: nothing is lost, nothing is doubled, and nobody is woken."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.happens(order("order.delivered"))
        await play.close()
        play.clock.move_to(MORNING + timedelta(days=3, hours=15))
        await freja.send("Are you there?")
        await play.open()
        await play.rest()
        assert questions_to(freja, ARRIVED) == []
        assert "Are you there?" in play.card("wine").plain()
        await play.pass_time(timedelta(hours=12))
        story = await play.told()
        assert story.count("conversation.begun") <= 2
        asked = [each for each in await play.sent("waiting", "held", "sent") if each.kind == "question"]
        held = await play.moments()
        assert asked or held


async def test_what_is_too_late_expires_with_its_reason(database_url: str) -> None:
    """Off for two months: a question about a delivery of long ago is not asked, and says why."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.happens(order("order.delivered"))
        before = said_to(freja)
        await play.close()
        play.clock.move_to(MORNING + timedelta(days=120))
        await play.open()
        await play.rest()
        assert said_to(freja) == before
        dropped = [moment for moment in await play.moments(state="dropped") if moment.kind == "start"]
        assert {moment.data["flow"] for moment in dropped} == {"after_delivery", "after_first_use"}
        assert {moment.reason for moment in dropped} == {"its time is past: it expired before it could be sent"}


# Orders ------------------------------------------------------------------------------------------------------------


async def test_a_cancelled_order_is_asked_about_no_more(database_url: str) -> None:
    """Cancelled while a question is open: its buttons go, nothing planned goes out, the reasons are visible."""
    async with stage(database_url) as play:
        freja = await ask_after_delivery(play)
        await play.happens(order("order.cancelled", at=play.clock.now()))
        assert freja.buttons == []
        before = said_to(freja)
        await play.pass_time(timedelta(days=30))
        assert said_to(freja) == before
        assert "order.cancelled happened" in {moment.reason for moment in await play.moments(state="dropped")}


async def test_events_out_of_order_and_repeated_make_one_story(database_url: str) -> None:
    """Delivered is told before placed, and everything twice: the sale only moves forward, each question comes once."""
    async with stage(database_url) as play:
        await play.happens(order("order.delivered"), order("order.placed", at=MORNING - timedelta(days=2)))
        await play.happens(order("order.delivered"), order("order.shipped", at=MORNING - timedelta(days=1)))
        assert (await play.sale()).stage == "order.delivered"
        freja = await play.link()
        assert not questions_to(freja, "We have your order")
        assert not questions_to(freja, "is on its way")
        await play.happens(order("order.delivered", event="evt-other-id"))
        await play.pass_time(timedelta(days=2))
        assert len(questions_to(freja, ARRIVED)) == 1
        assert (await play.told()).count("order.delivered") == 2


async def test_one_chat_holds_the_sales_of_a_guest_who_gets_a_new_number_each_time(database_url: str) -> None:
    """A second order under another customer id, linked from the same chat, is asked about in that chat as well."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.happens(order("order.placed", "1002", customer="guest-99", name="Freja H", summary="a decanter"))
        await freja.start(await play.make_link("1002"))
        await play.rest()
        await play.happens(order("order.delivered", "1002", customer="guest-99", name="Freja H", summary="a decanter"))
        await play.pass_time(timedelta(days=2))
        assert len(questions_to(freja, "(a decanter) should be with you")) == 1
        await play.tap(freja, "📦 Not here yet")
        assert "1002" in play.card("delivery").plain()
        assert (await play.sale("1002")).customer_id == "c-7"


async def test_a_link_is_good_for_one_chat_only(database_url: str) -> None:
    """A used, a wrong and an old link are refused in plain words; nobody gets at another's order."""
    async with stage(database_url) as play:
        await play.happens(order("order.placed"))
        used, old = await play.make_link(), await play.make_link()
        freja, bob = play.telegram.customer(first_name="Freja"), play.telegram.customer(first_name="Bob")
        await freja.start(used)
        await bob.start(used)
        await play.rest()
        assert "already been used" in bob.last.text
        await bob.start("nonsense")
        await play.rest()
        assert "I do not know this link" in bob.last.text
        play.clock.advance(timedelta(days=61))
        await bob.start(old)
        await play.rest()
        assert "too old" in bob.last.text
        assert (await play.read(lambda uow: uow.customer("c-7"))).chat_id == freja.user_id


# Flows -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """A folder with a copy of the shipped flows."""
    folder = tmp_path / "flows"
    shutil.copytree(Path(bot.flows.__file__).parent / "library", folder)
    return folder


async def test_a_conversation_ends_on_the_version_on_which_it_began(database_url: str, flows: Path) -> None:
    """A new version is published in the middle: who has begun sees the old one to its end, the next sees the new."""
    async with stage(database_url, flows=flows) as play:
        freja = await ask_after_delivery(play)
        file = flows / "after_delivery.yaml"
        text = file.read_text("utf-8")
        changed = text.replace("And was it easy to be our customer", "And was all of it simple").replace(
            "Was everything as we promised?", "Did we keep our word?"
        )
        assert changed != text
        file.write_text(changed, "utf-8")
        await play.rest()
        await play.tap(freja, "👍 Yes")
        assert "easy to be our customer" in freja.last.text
        await play.happens(order("order.placed", "1002", customer="c-8", name="Bob Lund"))
        bob = await play.link("1002", name="Bob")
        await play.happens(order("order.delivered", "1002", customer="c-8", name="Bob Lund", at=play.clock.now()))
        await play.pass_time(timedelta(days=2))
        assert "Did we keep our word?" in bob.last.text
        await play.close()
        await play.open()
        await play.tap(freja, "👍 Yes, all of it")
        assert "Thank you!" in freja.last.text


async def test_a_broken_flow_file_leaves_the_last_good_version_in_use(database_url: str, flows: Path) -> None:
    """A slip while editing reaches no customer: the last good version goes on."""
    async with stage(database_url, flows=flows) as play:
        (flows / "after_delivery.yaml").write_text("flow: after_delivery\nsteps: [", "utf-8")
        freja = await ask_after_delivery(play)
        assert ARRIVED in freja.last.text
