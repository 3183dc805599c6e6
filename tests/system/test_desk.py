"""The desk, lived through: two members of staff, a lead and a CX owner, between a sandbox Telegram and a sandbox Slack."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot import cases
from bot.adapters.sandbox.slack import Message
from bot.adapters.sandbox.telegram import Customer
from bot.desk.shop import Shop
from bot.desk.states import Case
from bot.dispatch.attempts import PUT_OFF
from bot.errors import Forbidden
from bot.flows.effects import OpenCase
from bot.ports import records
from bot.ports.inbound import (
    CaseCallNeeded,
    CaseHandedOver,
    CaseNoted,
    CaseRemedied,
    CaseSnoozed,
    PersonLeft,
    StaffAction,
    TaskAsked,
    TaskFinished,
)
from bot.ports.store import UnitOfWork
from tests.databases import SqliteTemplate
from tests.system.stage import Stage, order, questions_to, shop, stage

METTE, JONAS, LEAD, OWNER = "U0METTE", "U0JONAS", "U0LEAD", "U0OWNER"
PROMISE = {"id": "p1", "text": "Delivered on Friday", "touchpoint": "invoice", "made_by": "Line"}
RIGHT_NOW = "Is it right now?"
DAY = timedelta(days=1)


@pytest.fixture
def url(tmp_path: Path, sqlite_template: SqliteTemplate) -> str:
    return sqlite_template.fresh(tmp_path)


def the_shop(**changes: Any) -> Shop:
    """A shop in which the delivery team has a lead, and somebody answers for the whole."""
    example = shop(cx_owner=OWNER, **changes)
    return replace(example, teams={**example.teams, "delivery": replace(example.teams["delivery"], lead=LEAD)})


async def unhappy(play: Stage, **about: Any) -> tuple[Customer, Message]:
    """Play on until an unhappy reply stands as a card: Wednesday ten o'clock in Copenhagen."""
    await play.happens(order("order.placed", **about))
    customer = await play.link()
    await play.happens(order("order.delivered", **about))
    await play.pass_time(timedelta(days=2))
    await play.tap(customer, "📦 Not here yet")
    return customer, play.card("delivery")


async def does(play: Stage, *actions: StaffAction) -> list[str | None]:
    """Let staff act, whatever form they use for it."""
    house, now = play.program.house, play.clock.now()
    told: list[str | None] = await play.read(lambda uow: [cases.staff(uow, house, each, now) for each in actions])
    await play.rest()
    return told


# The ladder -----------------------------------------------------------------------------------------------------


async def test_the_ladder_calls_upon_the_lead_then_the_cx_owner_each_working_day_until_claimed(url: str) -> None:
    """Warning, breach, next rung, and again a working day later, over a week-end; a claim ends it."""
    async with stage(url, the_shop=the_shop()) as play:
        _, card = await unhappy(play)
        assert "26 Nov 10:00" in card.plain()
        await play.pass_time(timedelta(hours=6))  # 75 % of the eight hours: 16:00
        assert play.story(card).count(f"<@{LEAD}>") == 1
        assert "◆" not in play.story(card)
        await play.pass_time(to=datetime(2026, 11, 26, 9, 0, tzinfo=UTC))
        assert play.story(card).count(f"<@{LEAD}>") == 2
        assert "Overdue" in card.plain()
        await play.pass_time(to=datetime(2026, 11, 27, 9, 0, tzinfo=UTC))
        assert play.story(card).count(f"<@{OWNER}>") == 1
        await play.pass_time(to=datetime(2026, 11, 29, 22, 0, tzinfo=UTC))  # Sunday night: nobody is called upon
        assert play.story(card).count(f"<@{OWNER}>") == 1
        await play.pass_time(to=datetime(2026, 11, 30, 9, 0, tzinfo=UTC))
        assert play.story(card).count(f"<@{OWNER}>") == 2
        await play.claim(play.slack.member("Anna Berg"), card)
        await play.pass_time(timedelta(days=5))
        assert play.story(card).count(f"<@{OWNER}>") == 2


async def test_who_is_called_upon_at_night_twice_is_called_upon_in_the_morning_once(url: str) -> None:
    """Two steps for the same person that both wait for the opening are one: the later says all that the first would."""
    async with stage(url, the_shop=the_shop()) as play:
        _, card = await unhappy(play)
        await play.pass_time(to=datetime(2026, 11, 30, 12, 0, tzinfo=UTC))
        assert play.story(card).count(f"<@{OWNER}>") == 2
        for night in (1, 2):
            play.clock.move_to(datetime(2026, 12, night, 23, 0, tzinfo=UTC))
            await play.rest()
        assert play.story(card).count(f"<@{OWNER}>") == 2
        await play.pass_time(to=datetime(2026, 12, 3, 8, 30, tzinfo=UTC))
        assert play.story(card).count(f"<@{OWNER}>") == 3


async def test_a_step_of_the_ladder_is_looked_at_again_when_it_is_sent(url: str) -> None:
    """Slack was away while the warning waited; meanwhile somebody answered: nobody is warned of what is done."""
    async with stage(url, the_shop=the_shop()) as play:
        _, card = await unhappy(play)
        house, now = play.program.house, play.clock.now() + timedelta(hours=6)
        case = await play.case()

        def warn_then_answer(uow: UnitOfWork) -> None:
            (due,) = [each for each in uow.moments_of("1001") if each.kind == "ladder" and each.data["stage"] == 0]
            assert cases.woken(uow, house, due, now) is None
            found = uow.case(case.id)
            assert found is not None
            uow.put_case(replace(found, answered_at=now, claimed_by=METTE, status="claimed"))

        play.clock.move_to(now)
        await play.read(warn_then_answer)
        await play.rest()
        assert "waits for an answer" not in play.story(card)
        (dropped,) = [each for each in await play.sent("dropped") if each.kind == "thread"]
        assert dropped.reason == "no warning is due: the customer has been answered"


async def test_nobody_is_called_upon_while_the_team_is_not_at_work(url: str) -> None:
    """A breach that is noticed at night waits for the opening, and what the customer writes does not wait behind it."""
    async with stage(url, the_shop=the_shop()) as play:
        freja, card = await unhappy(play)
        await play.close()
        play.clock.move_to(datetime(2026, 11, 26, 23, 0, tzinfo=UTC))
        await play.open()
        await play.rest()
        assert f"<@{LEAD}>" not in play.story(card)
        await play.write(freja, "Hello? It is midnight.")
        assert "Hello? It is midnight." in play.story(card)
        (waiting,) = [each for each in await play.sent("waiting") if each.kind == "thread"]
        assert waiting.reason == "team delivery is not at work"
        await play.pass_time(to=datetime(2026, 11, 27, 8, 0, tzinfo=UTC))
        assert f"<@{LEAD}>" in play.story(card)


async def test_a_lead_who_left_is_not_called_upon_and_that_is_said(url: str) -> None:
    """The CX owner is called in the lead's place, and told that shop.yaml names somebody who is gone; back is back."""
    async with stage(url, the_shop=the_shop()) as play:
        _, card = await unhappy(play)
        await play.read(lambda uow: cases.left(uow, PersonLeft(LEAD), play.clock.now()))
        await play.pass_time(timedelta(hours=6))
        story = play.story(card)
        assert story.count(f"<@{OWNER}>") == 1
        assert f"<@{LEAD}> has left; please name somebody else in shop.yaml" in story
        await play.read(lambda uow: cases.left(uow, PersonLeft(LEAD, left=False), play.clock.now()))
        await play.pass_time(timedelta(hours=18))
        assert "still waits" in play.story(card)
        assert play.story(card).count("has left") == 1


async def test_a_channel_that_is_gone_is_said_on_the_card_and_the_clock_goes_on(url: str) -> None:
    """The bot was thrown out: the card stands in the fallback channel, says why, and is warned of there in time."""
    async with stage(url, the_shop=the_shop()) as play:
        play.channels["delivery"].remove_bot()
        await play.happens(order("order.placed"))
        freja = await play.link()
        await play.happens(order("order.delivered"))
        await play.pass_time(timedelta(days=2))
        await play.tap(freja, "📦 Not here yet")
        card = play.card("customers")
        case = await play.case()
        assert case.fell_back == "CDELIVERY"
        shown = await shown_of(play, case)
        assert "CDELIVERY cannot be used" in shown.fell_back
        await play.pass_time(DAY)
        assert f"<@{LEAD}>" in play.story(card)
        await does(play, CaseHandedOver(case.id, METTE, "wine", "theirs"))
        assert (await play.case()).fell_back is None


async def shown_of(play: Stage, case: Case) -> Any:
    from bot.cards import card  # noqa: PLC0415 - one helper of this test asks for it

    house, now = play.program.house, play.clock.now()
    return await play.read(lambda uow: card(uow, house, case, now))


# Routing ----------------------------------------------------------------------------------------------------------


async def test_a_broken_promise_goes_to_whoever_made_it(url: str) -> None:
    """The parcel is late, and the invoice had promised it: accounting answers for that, and the card says why."""
    async with stage(url, the_shop=the_shop()) as play:
        await play.happens(order("order.placed", promises=(PROMISE,)))
        freja = await play.link()
        await play.happens(order("order.delivered", promises=(PROMISE,)))
        await play.pass_time(timedelta(days=2))
        await play.tap(freja, "📦 Not here yet")
        assert "broken promise made by invoice → accounting" in play.card("accounting").plain()
        assert not play.channels["delivery"].messages


async def test_a_case_that_is_handed_over_keeps_its_first_due_time_and_says_so(url: str) -> None:
    """Two hours later another team has it, due when it was due, by its card and by its thread."""
    async with stage(url, the_shop=the_shop()) as play:
        _, card = await unhappy(play)
        before = await play.case()
        await play.pass_time(timedelta(hours=2))
        await play.hand_over(play.slack.member("Anna Berg"), card, "wine", "a broken bottle")
        assert (await play.case()).due_at == before.due_at
        assert "Its due time stays as it was: Thu 26 Nov 10:00: one business day." in play.story(play.card("wine"))


# Snooze, call, note -----------------------------------------------------------------------------------------------


async def test_a_case_is_put_aside_and_comes_back_by_itself(url: str) -> None:
    """Weeks later, with a restart between: the claimer is called upon when the time has come."""
    async with stage(url, the_shop=the_shop()) as play:
        _, card = await unhappy(play)
        case = await play.case()
        anna, until = play.slack.member("Anna Berg"), play.clock.now() + timedelta(days=21)
        await play.claim(anna, card)
        await play.reply(anna, card, "A new one is being pressed; it takes three weeks.")
        await does(play, CaseSnoozed(case.id, anna.id, until, "supplier", "the new vintage"))
        shown = await shown_of(play, await play.case())
        assert shown.snoozed == "Put aside until Wed 16 Dec 10:00: it waits for the supplier – the new vintage"
        assert shown.clock.startswith("The clock stands since Wed 25 Nov 10:00")
        await play.close()
        await play.open()
        await play.pass_time(timedelta(days=21))
        assert "This was put aside until now" in play.story(card)
        assert (await play.case()).snooze is None


async def test_what_was_put_aside_and_came_due_while_the_program_was_off_waits_for_the_morning(url: str) -> None:
    """Nobody is called upon at night because the program was started then."""
    async with stage(url, the_shop=the_shop()) as play:
        _, card = await unhappy(play)
        case = await play.case()
        await does(play, CaseSnoozed(case.id, METTE, play.clock.now() + DAY, "customer", "asked for a photo"))
        await play.close()
        play.clock.move_to(datetime(2026, 11, 26, 23, 0, tzinfo=UTC))
        await play.open()
        await play.rest()
        assert "put aside until now" not in play.story(card)
        await play.pass_time(to=datetime(2026, 11, 27, 8, 0, tzinfo=UTC))
        assert "put aside until now" in play.story(card)
        assert "the clock stood from Wed 25 Nov 10:00 to Fri 27 Nov 09:00" in (await play.case()).due_reason


async def test_calls_and_notes_stand_in_the_thread_and_never_reach_the_customer(url: str) -> None:
    """Inner words stay inside, whoever writes them."""
    async with stage(url, the_shop=the_shop()) as play:
        freja, card = await unhappy(play)
        case, before = await play.case(), len(freja.chat)
        await does(play, CaseNoted(case.id, METTE, "she ordered for a party"), CaseCallNeeded(case.id, METTE, "upset"))
        assert "notes: “she ordered for a party”" in play.story(card)
        assert "📞" in play.story(card)
        assert (await play.case()).status == "call"
        assert len(freja.chat) == before


# A second team ----------------------------------------------------------------------------------------------------


async def test_a_second_team_has_its_task_in_its_own_channel_with_its_own_due_time(url: str) -> None:
    """Accounting rewrites an invoice for delivery's case: asked, late, done, each in one post that is kept up to date."""
    async with stage(url, the_shop=the_shop()) as play:
        _, card = await unhappy(play)
        case = await play.case()
        await play.claim(anna := play.slack.member("Anna Berg"), card)
        await does(play, TaskAsked(case.id, anna.id, "accounting", "rewrite the invoice text"))
        (post,) = play.channels["accounting"].messages
        assert "🟢 TASK FOR ACCOUNTING · IN GOOD TIME" in post.plain()
        assert "of team delivery asks, for Freja Holm, order 1001" in post.plain()
        assert "“rewrite the invoice text”" in post.plain()
        assert "Due Thu 26 Nov 10:00 – one business day" in post.plain()
        (task,) = (await shown_of(play, await play.case())).tasks
        assert (task.team, task.light, task.is_done) == ("accounting", "green", False)
        await play.pass_time(DAY)
        assert "🔺" in play.card("accounting").plain()
        assert f"<@{OWNER}>" in play.story(card)
        assert await does(play, TaskFinished(case.id, JONAS, task.id, "sent")) == [None]
        (post,) = play.channels["accounting"].messages
        assert "✅ TASK FOR ACCOUNTING · DONE" in post.plain()
        assert "did what was asked: “rewrite the invoice text”" in play.story(card)
        assert (await play.case()).due_at == case.due_at
        await play.pass_time(timedelta(days=4))
        assert play.story(card).count("has not done yet what was asked") == 1


async def test_a_task_for_a_channel_that_is_gone_stands_in_the_fallback_channel(url: str) -> None:
    """Nothing that was asked is lost because a channel is."""
    async with stage(url, the_shop=the_shop()) as play:
        await unhappy(play)
        play.channels["accounting"].archive()
        await does(play, TaskAsked((await play.case()).id, METTE, "accounting", "rewrite the invoice text"))
        assert "rewrite the invoice text" in play.card("customers").plain()


# Who may ------------------------------------------------------------------------------------------------------------


async def test_whom_a_team_does_not_allow_is_refused_kindly_whatever_way_they_come(url: str) -> None:
    """Only members act; a second team does its own task and may note; the CX owner may open any case."""
    allowed = the_shop()
    teams = {
        **allowed.teams,
        "delivery": replace(allowed.teams["delivery"], members=(METTE,)),
        "accounting": replace(allowed.teams["accounting"], members=(JONAS,)),
    }
    async with stage(url, the_shop=replace(allowed, teams=teams)) as play:
        await unhappy(play)
        case = await play.case()
        (refused,) = await does(play, CaseCallNeeded(case.id, JONAS, "x"))
        assert refused is not None
        assert f"Please ask {{user:{LEAD}}}" in refused
        assert (await play.case()) == case
        assert await does(play, TaskAsked(case.id, METTE, "accounting", "y")) == [None]
        (task,) = (await play.case()).tasks
        assert await does(play, CaseNoted(case.id, JONAS, "z"), TaskFinished(case.id, JONAS, task.id)) == [None, None]
        assert await does(play, CaseCallNeeded(case.id, OWNER, "x")) == [None]


# Re-ask -------------------------------------------------------------------------------------------------------------


async def test_the_reask_quotes_complaint_and_remedy_in_danish_and_a_no_goes_one_rung_higher(url: str) -> None:
    """A business day after the click: their words, our remedy, their language; a no calls upon the lead with the story."""
    async with stage(url, the_shop=the_shop()) as play:
        await play.happens(order("order.placed", locale="da"))
        freja = await play.link()
        await play.happens(order("order.delivered", locale="da"))
        await play.pass_time(timedelta(days=2))
        await play.tap(freja, "📦 Ikke kommet endnu")
        await play.write(freja, "Festen er på lørdag!")
        case = await play.case()
        await does(play, CaseRemedied(case.id, METTE, "refund", "inner words", "100 kr.", "carrier"))
        await play.pass_time(DAY)
        asked = freja.last.text
        for part in ("Festen er på lørdag!", "Pengene retur", "Er det i orden nu?"):
            assert part in asked
        assert "inner words" not in asked
        await play.tap(freja, "🙁 Nej, ikke endnu")
        later = await play.case()
        assert (later.status, later.cycle, later.rung) == ("open", 2, 1)
        story = play.story(play.card("delivery"))
        assert "The story so far:" in story
        assert "Refund (100 kr.) “inner words” (root cause: Carrier)" in story
        assert f"<@{LEAD}>" in story


async def test_a_replacement_is_asked_about_after_its_delivery_or_after_a_while(url: str) -> None:
    """Not a day after the click; once it is delivered, a business day later; nobody telling of that, on the fifth day."""
    async with stage(url, the_shop=the_shop()) as play:
        freja, _ = await unhappy(play)
        case = await play.case()
        await does(play, CaseRemedied(case.id, METTE, "replacement", "a new one", "", "carrier"))
        await play.pass_time(timedelta(days=2))
        assert questions_to(freja, RIGHT_NOW) == []
        await play.redelivered()
        await play.pass_time(timedelta(days=3))
        assert len(questions_to(freja, RIGHT_NOW)) == 1
        await play.pass_time(timedelta(days=1))
        await play.tap(freja, "🙁 No, not yet")
        await does(play, CaseRemedied(case.id, METTE, "replacement", "once more", "", "carrier"))
        await play.pass_time(timedelta(days=6))
        assert len(questions_to(freja, RIGHT_NOW)) == 1
        await play.pass_time(timedelta(days=2))
        assert len(questions_to(freja, RIGHT_NOW)) == 2


# Rule 1 ---------------------------------------------------------------------------------------------------------------


async def test_the_store_itself_refuses_to_confirm_what_no_customer_said(database_url: str) -> None:
    """Whatever code would write it: a case is confirmed at the moment of the customer's own word, or not at all."""
    async with stage(database_url, the_shop=the_shop()) as play:
        freja, _ = await unhappy(play)
        case, now = await play.case(), play.clock.now() + timedelta(hours=1)

        def confirm(uow: UnitOfWork) -> None:
            uow.put_case(replace(case, status="confirmed", closed_at=now))

        def confirm_as_if(uow: UnitOfWork) -> None:
            uow.customer(case.customer_id)
            confirm(uow)

        for attempt in (confirm, confirm_as_if):
            with pytest.raises(Forbidden, match="only the customer's own word"):
                await play.read(attempt)
        assert (await play.case()).status == "open"
        await does(play, CaseRemedied(case.id, METTE, "explanation", "on its way", "", "carrier"))
        await play.pass_time(DAY)
        await play.tap(freja, "👍 Yes, it is right")
        assert (await play.case()).status == "confirmed"


# A crowd --------------------------------------------------------------------------------------------------------------


def crowd(count: int, team: str, now: datetime, house: Any) -> Callable[[UnitOfWork], None]:
    """Open `count` cases of one team, the latest due first."""

    def work(uow: UnitOfWork) -> None:
        for number in range(count):
            customer, sale_id = f"c{number}", f"9{number:03}"
            uow.put_customer(records.Customer(customer, name=f"Customer {number}"))
            sale = records.Sale(sale_id, customer, summary="a bottle")
            uow.put_sale(sale)
            effect = OpenCase("unhappy", "", {}, None, f"complaint {number}", (), team=team)
            case = cases.open_or_join(uow, house, sale, None, effect, now)
            uow.put_case(replace(case, due_at=case.due_at - timedelta(minutes=number)))

    return work


async def settled(play: Stage) -> None:
    """Let those go that only wait for their turn in the even pace, which is a matter of milliseconds here."""
    await play.rest()
    while any(each.reason == PUT_OFF for each in await play.sent("waiting")):
        play.clock.move_to(play.clock.now() + timedelta(milliseconds=5))
        await play.rest()


async def test_five_hundred_cases_in_a_minute_are_one_summary_and_cards_at_a_pace(url: str) -> None:
    """Nothing lost, the oldest due first, one summary that is kept up to date; each case stands there once in the end."""
    async with stage(url, the_shop=the_shop(cards_per_minute=100)) as play:
        await play.read(crowd(500, "wine", play.clock.now(), play.program.house))
        await settled(play)
        channel = play.channels["wine"]
        cards = [each for each in channel.messages if "complaint" in each.plain() and "📥" not in each.plain()]
        assert len(cards) == 100
        (told,) = [each for each in channel.messages if "📥" in each.plain()]
        assert "more wait. Their cards follow here, 100 a minute, the oldest due first." in told.plain()
        named = [line.partition("order ")[2][:4] for line in told.plain().splitlines() if "order" in line]
        assert (len(named), named) == (30, sorted(named, reverse=True))
        assert {f"9{number:03}" for number in range(400, 500)} == {sale_of(each) for each in cards}
        for _ in range(4):
            play.clock.move_to(play.clock.now() + timedelta(minutes=1))
            await settled(play)
        found = [sale_of(each) for each in channel.messages if "📥" not in each.plain() and "☑️" not in each.plain()]
        assert sorted(found) == [f"9{number:03}" for number in range(500)]
        assert [set(found[n : n + 100]) for n in (100, 200, 300, 400)] == [
            {f"9{number:03}" for number in range(n, n + 100)} for n in (300, 200, 100, 0)
        ]
        (told,) = [each for each in channel.messages if "All their cards stand here now" in each.plain()]
        assert len(channel.messages) == 501


async def test_what_stands_there_already_and_other_channels_are_not_held_up_by_a_crowd(url: str) -> None:
    """While forty cards wait their turn, a claim shows on its card at once, and another team's card comes at once."""
    async with stage(url, the_shop=the_shop(cards_per_minute=10)) as play:
        house, now = play.program.house, play.clock.now()
        await play.read(crowd(50, "wine", now, house))
        await settled(play)
        card = next(each for each in play.channels["wine"].messages if "📥" not in each.plain())
        await play.claim(play.slack.member("Anna Berg"), card)
        assert "CLAIMED" in card.plain()

        def one_more(uow: UnitOfWork) -> None:
            sale = records.Sale("7000", "c0", summary="a dress")
            uow.put_sale(sale)
            effect = OpenCase("unhappy", "", {}, None, "too small", (), team="fashion")
            cases.open_or_join(uow, house, sale, None, effect, now)

        await play.read(one_more)
        await play.rest()
        assert len(play.channels["fashion"].messages) == 1
        assert len(play.channels["wine"].messages) == 11


def sale_of(card: Message) -> str:
    """Tell which order a card is about."""
    words = card.plain().replace("\n", " ").split()
    return next(word.strip(",") for word in words if word.strip(",").isdigit() and len(word.strip(",")) == 4)
