"""The flow language through the whole program: what an admin writes is what customers and staff meet."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.adapters.sandbox.telegram import Customer
from tests.databases import SqliteTemplate
from tests.system.stage import MORNING, Stage, order, questions_to, said_to, shop, stage

CHANGE = "✏️ Change my answer"
DELIVERED = "flow: mine\npurpose: service\nstart: { on: order.delivered, after: 1h }\n"
SIMPLE = """\
steps:
  a:
    ask: { en: "Was it well?", da: "Var det godt?" }
    choices:
      good: { label: { en: Good, da: Godt }, factors: { promise: 1 }, next: b }
      bad: { label: { en: Bad, da: Skidt }, factors: { promise: 0 }, touchpoint: delivery, next: c }
    silence: { after: 7d, next: end }
  b: { say: { en: Thanks, da: Tak } }
  c: { say: { en: Sorry, da: Undskyld } }
"""
PROMISES = (
    {"id": "p1", "text": "Here by Friday", "touchpoint": "site", "due_at": "2026-11-20T12:00:00+00:00"},
    {"id": "p2", "text": "Red wine", "touchpoint": "seller"},
    {"id": "p3", "text": "Drinkable at Christmas", "due_at": "2026-12-24T12:00:00+00:00"},
)


@pytest.fixture
def url(tmp_path: Path, sqlite_template: SqliteTemplate) -> str:
    """A fresh, migrated SQLite file: no database makes a difference to the language."""
    return sqlite_template.fresh(tmp_path)


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """A folder for the flows of a test."""
    folder = tmp_path / "flows"
    folder.mkdir()
    return folder


def write(flows: Path, text: str, name: str = "mine.yaml") -> Path:
    (flows / name).write_text(text, encoding="utf-8")
    return flows


async def begin(play: Stage, **about: Any) -> Customer:
    """Order, link, deliver, and let the flow begin."""
    await play.happens(order("order.placed", **about))
    customer = await play.link()
    await play.happens(order("order.delivered", **about))
    await play.pass_time(timedelta(hours=1))
    return customer


# -- changing an answer ----------------------------------------------------------------------------------------------------


async def test_an_answer_can_be_changed_and_takes_its_case_back(database_url: str, flows: Path) -> None:
    """A slip of the thumb: the card is there at once, the answer is changed, and the case closes on their own word."""
    async with stage(database_url, flows=write(flows, DELIVERED + SIMPLE)) as play:
        freja = await begin(play)
        await play.tap(freja, "Bad")
        assert freja.buttons == [CHANGE]
        card = play.card("delivery")
        assert "🟢 OPEN" in card.plain()
        await play.pass_time(timedelta(minutes=9))
        await play.tap(freja, CHANGE)
        assert freja.last.text == "Was it well?"
        assert freja.buttons == ["Good", "Bad"]
        await play.tap(freja, "Good")
        assert freja.last.text == "Thanks"
        assert "✅ CONFIRMED BY THE CUSTOMER" in card.plain()
        assert (await play.sale()).factors == {"promise": 1}
        verdicts = await play.read(lambda uow: uow.verdicts_of("1001"))
        assert [each.choice for each in verdicts] == ["bad", "good"]


async def test_where_the_flow_says_so_the_card_waits_as_long(url: str, flows: Path) -> None:
    """With `change_answer: 10m` in the flow a changed answer alarms nobody: no card ever comes."""
    async with stage(url, flows=write(flows, DELIVERED + "change_answer: 10m\n" + SIMPLE)) as play:
        freja = await begin(play)
        await play.tap(freja, "Bad")
        assert not play.channels["delivery"].messages
        await play.tap(freja, CHANGE, "Good")
        await play.pass_time(timedelta(hours=3))
        assert not play.channels["delivery"].messages
        assert (await play.case()).status == "confirmed"
        assert "case.taken_back" in await play.told()


async def test_an_answer_that_is_not_changed_comes_as_a_card_when_its_time_is_over(url: str, flows: Path) -> None:
    """Nothing is lost by waiting: after the ten minutes the card stands in the team's channel, with all that was said."""
    async with stage(
        url, flows=write(flows, DELIVERED + SIMPLE), the_shop=shop(change_answer=timedelta(minutes=10))
    ) as play:
        freja = await begin(play)
        await play.tap(freja, "Bad")
        await play.write(freja, "It was broken")
        assert not play.channels["delivery"].messages
        await play.pass_time(timedelta(minutes=10))
        assert "It was broken" in play.card("delivery").plain() + play.story(play.card("delivery"))
        await play.pass_time(timedelta(minutes=1))
        await play.tap(freja, CHANGE)
        assert "too late to change that answer" in freja.last.text
        assert CHANGE not in freja.buttons
        assert (await play.case()).status == "open"


async def test_words_since_keep_the_case_for_people(url: str, flows: Path) -> None:
    """Who wrote something after the tap has said more than the tap: changing it closes nothing, people are told."""
    async with stage(url, flows=write(flows, DELIVERED + SIMPLE)) as play:
        freja = await begin(play)
        await play.tap(freja, "Bad")
        await play.write(freja, "It was broken")
        await play.tap(freja, CHANGE, "Good")
        assert (await play.case()).status == "open"
        assert "The customer changed that answer" in play.story(play.card("delivery"))


async def test_a_completion_is_taken_back(url: str, flows: Path) -> None:
    """The yes that completed the sale was a slip: the sale is open again, by the customer's own hand."""
    text = DELIVERED + SIMPLE.replace("factors: { promise: 1 }, next: b", "completes: true, next: b")
    async with stage(url, flows=write(flows, text)) as play:
        freja = await begin(play)
        await play.tap(freja, "Good")
        assert (await play.sale()).confirmed_at is not None
        await play.tap(freja, CHANGE, "Bad")
        assert (await play.sale()).confirmed_at is None
        assert (await play.case()).status == "open"


async def test_what_a_changed_answer_had_said_counts_no_more(url: str, flows: Path) -> None:
    """From a clear answer to one that says nothing: its factor is unknown again, and its promise open; history stays."""
    neutral = "      later: { label: { en: Later, da: Senere }, next: b }\n    silence: { after: 7d, next: end }"
    text = DELIVERED + SIMPLE.replace("    silence: { after: 7d, next: end }", neutral)
    async with stage(url, flows=write(flows, text)) as play:
        freja = await begin(play, promises=PROMISES[1:2])
        await play.tap(freja, "Good")
        assert (await play.read(lambda uow: uow.promises_of("1001")))[0].state == "kept"
        await play.tap(freja, CHANGE, "Later")
        assert (await play.sale()).factors == {}
        assert (await play.read(lambda uow: uow.promises_of("1001")))[0].state == "open"
        assert len(await play.read(lambda uow: uow.verdicts_of("1001"))) == 2


# -- promises and reasons --------------------------------------------------------------------------------------------------

EACH = """\
steps:
  a:
    ask: "We promised: “{{ promise.text }}”. Did we keep it?"
    each: promise
    choices:
      kept: { label: Kept, factors: { promise: 1 } }
      broken:
        label: Broken
        factors: { promise: 0 }
        reasons:
          ask: "What was it?"
          choices:
            late: { label: Too late, touchpoint: delivery }
            other: Something else
    silence: { after: 7d, next: end }
    next: b
  b: { say: "Thanks for {{ promises | length }} answers" }
"""


async def test_every_promise_is_asked_about_and_judged_by_itself(url: str, flows: Path) -> None:
    """Open and due ones have a turn each; the verdict stands with its promise, the case is about the broken one."""
    async with stage(url, flows=write(flows, DELIVERED + EACH)) as play:
        freja = await begin(play, promises=PROMISES)
        assert "“Here by Friday”" in freja.last.text
        await play.tap(freja, "Kept")
        assert "“Red wine”" in freja.last.text
        await play.tap(freja, "Broken", "Something else")
        assert freja.last.text == "Thanks for 3 answers"
        promises = await play.read(lambda uow: uow.promises_of("1001"))
        assert [each.state for each in promises] == ["kept", "broken", "open"]
        case = await play.case()
        assert case.promise_id == "p2"
        assert "Red wine" in play.card("wine").plain()
        assert "Something else" in play.story(play.card("wine"))
        assert (await play.sale()).factors == {"promise": 0}
        story = await play.read(lambda uow: uow.story_of("1001"))
        assert [each.data.get("promise") for each in story if each.kind == "verdict"] == ["p1", "p2", "p2"]


async def test_the_reason_decides_whose_case_it_is(url: str, flows: Path) -> None:
    """A case that nobody has taken moves to the team that answers for where the customer says it went wrong."""
    async with stage(url, flows=write(flows, DELIVERED + EACH)) as play:
        freja = await begin(play, promises=PROMISES[1:2])
        await play.tap(freja, "Broken")
        assert (await play.case()).team == "wine"
        await play.tap(freja, "Too late")
        assert (await play.case()).team == "delivery"
        assert "Too late" in play.card("delivery").plain()


# -- times and conditions --------------------------------------------------------------------------------------------------


async def test_a_pause_until_the_weekend_and_until_an_event(url: str, flows: Path) -> None:
    """The message comes on Saturday at ten on the customer's clock; what waits for the first use goes on with it."""
    steps = (
        "steps:\n"
        "  a: { wait: { days: [sat, sun], between: 10:00-18:00 }, next: b }\n"
        "  b: { say: It is the weekend, next: c }\n"
        "  c: { wait: { event: product.first_used, at_most: 30d }, next: d, otherwise: e }\n"
        "  d: { say: You have used it }\n"
        "  e: { say: Not used yet? }\n"
    )
    async with stage(url, flows=write(flows, DELIVERED + steps)) as play:
        freja = await begin(play)
        await play.pass_time(to=datetime(2026, 11, 28, 8, 59, tzinfo=UTC))
        assert questions_to(freja, "weekend") == []
        await play.pass_time(to=datetime(2026, 11, 28, 9, 0, tzinfo=UTC))
        assert freja.last.text == "It is the weekend"
        await play.happens(order("product.first_used", at=play.clock.now()))
        assert freja.last.text == "You have used it"
        await play.pass_time(timedelta(days=40))
        assert questions_to(freja, "Not used yet?") == []


async def test_products_choose_their_words_and_times_and_flows_their_sales(url: str, flows: Path) -> None:
    """A wine is asked about after a day with words of its own; a flow with a condition begins only where it holds."""
    text = (
        "flow: mine\npurpose: service\n"
        "start: { on: order.delivered, after: 9d, for: [{ tag: wine, after: 1d }], if: \"customer.country == 'DK'\" }\n"
        "steps:\n  a: { say: Hello, for: { tag: wine, say: Hello wine } }\n"
    )
    other = "flow: other\npurpose: service\nstart: { on: order.delivered, if: sale.total > 5 }\nsteps:\n  a: { say: Rich }\n"
    write(flows, other, "other.yaml")
    async with stage(url, flows=write(flows, text)) as play:
        freja = await begin(play)
        await play.pass_time(timedelta(days=1))
        assert freja.last.text == "Hello wine"
        assert questions_to(freja, "Rich") == []
        (dropped,) = [each for each in await play.moments(state="dropped") if each.kind == "start"]
        assert dropped.reason == "its condition does not hold: 'sale.total > 5': 'total' is not known"


async def test_a_flow_counts_from_the_last_answer(url: str, flows: Path) -> None:
    """It begins once nothing was answered for two days, and only once."""
    text = "flow: later\npurpose: service\nstart: { on: customer.answered, after: 2d }\nsteps:\n  a: { say: How is it now? }\n"
    write(flows, text, "later.yaml")
    two = SIMPLE.replace(
        "  b: {", "  b: { ask: And now?, choices: { x: Fine }, silence: { after: 7d }, next: d }\n  d: {"
    )
    async with stage(url, flows=write(flows, DELIVERED + two)) as play:
        freja = await begin(play)
        await play.tap(freja, "Good")
        await play.pass_time(timedelta(days=1))
        await play.tap(freja, "Fine")
        await play.pass_time(timedelta(days=1, hours=12))
        assert questions_to(freja, "How is it now?") == []
        await play.pass_time(timedelta(days=1))
        assert len(questions_to(freja, "How is it now?")) == 1
        await play.pass_time(timedelta(days=9))
        assert len(questions_to(freja, "How is it now?")) == 1


async def test_what_a_condition_cannot_tell_is_in_the_story(url: str, flows: Path) -> None:
    """An odd value stops no conversation, and people can see what it was."""
    steps = "steps:\n  a: { branch: [{ if: sale.extra.weight > 1, next: b }], otherwise: c }\n  b: { say: Heavy }\n  c: { say: Light }\n"
    async with stage(url, flows=write(flows, DELIVERED + steps)) as play:
        freja = await begin(play)
        assert freja.last.text == "Light"
        assert "flow.trouble" in await play.told()


# -- what goes out ---------------------------------------------------------------------------------------------------------


async def test_a_rating_stands_in_one_row_and_a_review_link_is_for_all(url: str, flows: Path) -> None:
    """Five faces side by side; the unhappy get the same link as everybody; a recommendation is for the happy."""
    steps = (
        "steps:\n"
        "  a: { rate: How was it?, factor: quality, touchpoint: product, next: f, low: f, silence: { after: 7d } }\n"
        "  f: { offer: referral, text: Tell a friend, label: Friends, next: r }\n"
        "  r: { offer: review, text: Tell others, label: Review }\n"
    )
    links = {"review_link": "https://example.com/r", "referral_link": "https://example.com/f"}
    (flows / "mine.yaml").write_text(DELIVERED + steps, encoding="utf-8")
    async with stage(url, flows=flows, the_shop=shop(**links)) as play:
        # The check refuses a referral behind an unhappy rating, so this flow is not in use.
        assert "mine" not in play.program.house.flows.flows
    text = DELIVERED + steps.replace("low: f", "low: r")
    async with stage(url, flows=write(flows, text), the_shop=shop(**links)) as play:
        freja = await begin(play)
        assert freja.last.buttons == [["😡", "🙁", "😐", "🙂", "😍"]]
        await play.tap(freja, "🙁")
        assert said_to(freja)[-1] == "Tell others"
        assert freja.last.buttons == [["Review"]]
        assert (await play.sale()).factors == {"quality": 0.25}
        assert (await play.case()).factor == "quality"


async def test_a_picture_goes_out_and_one_that_is_none_keeps_no_words_back(url: str, flows: Path) -> None:
    """The question stands below its picture, and so does the answer; a picture that Telegram cannot take is left out."""
    steps = SIMPLE.replace("    choices:", "    photo: SANDBOX-photo-00000001\n    choices:").replace(
        "  b: { say: {", "  b: { photo: https://example.com/gone.jpg, say: {"
    )
    async with stage(url, flows=write(flows, DELIVERED + steps)) as play:
        await play.happens(order("order.placed"))
        freja = await play.link()
        somebody = play.telegram.customer(first_name="Stranger")
        await somebody.start()
        await somebody.send_photo()  # so that Telegram has a file of the id that the flow names
        await play.rest()
        await play.happens(order("order.delivered"))
        await play.pass_time(timedelta(hours=1))
        asked = next(each for each in freja.chat if each.caption.startswith("Was it well?"))
        assert asked.media == "photo"
        assert asked.buttons == [["Good"], ["Bad"]]
        await play.tap(freja, "Good")
        assert asked.caption == "Was it well?\n\n➜ Good"
        assert asked.buttons == [[CHANGE]]
        assert freja.last.text == "Thanks"
        assert freja.last.media is None


# -- languages -------------------------------------------------------------------------------------------------------------

SWEDISH = """\
language_ask: { en: "Which language?", sv: "Vilket språk?" }
language_set: { en: "From now on in English.", da: "Fra nu af på dansk.", sv: "Från och med nu på svenska." }
change_answer: { en: "Change", sv: "Ändra mitt svar" }
ack_noted: { en: "Thank you too!", sv: "Tack själv!" }
words_of_thanks: { en: "thanks", sv: "tackar så jättemycket" }
"""
IN_SWEDISH = """\
steps:
  a:
    ask:
      en: "{{ sale.total | money }} for {{ items | length }} {{ items | length | plural(one='thing', other='things') }}: well?"
      sv: "{{ sale.total | money }} för {{ items | length }} {{ items | length | plural(one='sak', other='saker') }}, {{ promise.due_at | date }}: bra?"
    choices:
      good: { label: { en: Good, sv: Bra }, next: b }
    silence: { after: 7d, next: end }
  b: { say: { en: Thanks, sv: Tack } }
"""


async def test_a_third_language_needs_no_code(url: str, flows: Path) -> None:
    """Swedish by YAML alone: chosen by the customer, it comes before the order's, with its dates, money and plurals."""
    write(flows, SWEDISH, "phrases.yaml")
    promise = ({"id": "p", "text": "x", "due_at": "2026-11-27T12:00:00+00:00"},)
    async with stage(
        url, flows=write(flows, DELIVERED + IN_SWEDISH), the_shop=shop(languages=("da", "en", "sv"))
    ) as play:
        placed = order("order.placed", locale="da", promises=promise)
        placed["sale"] |= {"total": 1249.5, "currency": "SEK"}
        await play.happens(placed)
        freja = await play.link()
        await play.write(freja, "/language")
        assert freja.last.buttons == [["Dansk"], ["English"], ["Svenska"]]
        await play.tap(freja, "Svenska")
        assert freja.last.text == "Från och med nu på svenska."
        await play.happens(order("order.delivered", locale="da"))
        await play.pass_time(timedelta(hours=1))
        assert freja.last.text.replace("\xa0", " ") == "1 249,50 kr för 1 sak, fredag 27 november 2026: bra?"
        await play.tap(freja, "Bra")
        assert freja.last.text == "Tack"
        assert "Ändra mitt svar" in freja.buttons
        await play.write(freja, "Tackar så jättemycket!")
        assert freja.last.text == "Tack själv!"
        assert not any(channel.messages for channel in play.channels.values())
        await play.write(freja, "/language")
        assert freja.last.text == "Vilket språk?"
        await freja.tap_old(freja.last.message_id, "l:xx")
        await play.rest()
        assert freja.last.text == "Vilket språk?"


async def test_conversations_begun_before_the_language_grew_go_on(url: str, flows: Path) -> None:
    """A conversation stored without any of the new fields goes on as it began."""
    async with stage(url, flows=write(flows, DELIVERED + SIMPLE)) as play:
        freja = await begin(play)
        (conversation,) = await play.read(lambda uow: uow.conversations_of("1001"))

        def as_before(uow: Any) -> None:
            from sqlalchemy import text  # noqa: PLC0415 - only here is a row changed by hand

            old = '{"status": "asking", "step": "a", "turn": 1, "visits": 1, "reminded": 0, "spoken": false, "unhappy": false, "asked": [{"turn": 1, "step": "a", "answered": false}], "outcome": null, "stopped": false, "acknowledged": 0}'
            uow._connection.execute(text("UPDATE conversations SET state = :state"), {"state": old})

        assert conversation.state.turn == 1
        await play.read(as_before)
        await play.tap(freja, "Good")
        assert freja.last.text == "Thanks"
        assert play.clock.now() > MORNING
