"""The books of the fault campaign find what they are there to find: each class of violation is planted, and seen."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.adapters.sandbox.telegram import Arrival
from bot.adapters.slack.words import state
from tests.campaign.books import BALANCES, Book, CardSeen, Line, balance
from tests.campaign.faults import Played
from tests.campaign.load import Ledger, Said, StaffReply
from tests.system.stage import shipped_flows

T = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
LATER = T + timedelta(hours=1)
CHAT = 77
KILL = Played("kill -9: telegram send after", T - timedelta(minutes=1), T + timedelta(minutes=1))


def message(number: int, kind: str, text: str, **more: Any) -> dict[str, Any]:
    """A row of the outbox that went out at once."""
    row = {
        "id": number,
        "key": f"m{number}",
        "channel": "telegram",
        "kind": kind,
        "body": {"chat_id": CHAT, "text": text},
        "priority": 0,
        "not_before": T,
        "created_at": T,
        "sent_at": T,
        "state": "sent",
        "reason": None,
        "attempts": 1,
        "external": str(100 + number),
        "case_id": None,
        "turn": None,
    }
    return {**row, **more}


def told(kind: str, at: datetime = T, **more: Any) -> dict[str, Any]:
    """A line of the log."""
    row = {"at": at, "kind": kind, "sale_id": "1", "customer_id": "c", "case_id": None, "data": {}}
    return {**row, **more}


def arrival(number: int, text: str, at: datetime = T) -> Arrival:
    """What the customer got of message `number`."""
    return Arrival(CHAT, 100 + number, text, (), at)


def update(number: int, **inner: Any) -> dict[str, Any]:
    """An update as it was handed over."""
    return {"update_id": number, **inner}


def taken_in(number: int, source: str, key: str, payload: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A row of the inbox that was handled."""
    return {"id": number, "source": source, "key": key, "payload": payload, "state": "done", "error": None, **more}


def verdict(number: int, at: datetime, choice: str | None, text: str = "", **more: Any) -> dict[str, Any]:
    """What the customer said at one step."""
    row = {"id": number, "sale_id": "1", "conversation_id": "k", "flow": "after_remedy", "step": "right_now"}
    return {**row, "choice": choice, "factors": {}, "text": text, "media": [], "at": at, **more}


def honest() -> Book:
    """One sale from complaint to the customer's yes, in which everything adds up."""
    heard = [
        update(1, message={"text": "it is broken w1"}),
        update(2, callback_query={"data": "a:k:1:0"}),
    ]
    case = {"id": "case", "sale_id": "1", "status": "confirmed", "said": "it is broken w1"}
    line = {"channel": "slack", "kind": "thread", "case_id": "case"}
    return Book(
        now=LATER,
        tables={
            "customers": [{"id": "c", "consents": {"service": True}, "stopped_at": None, "extra": {}}],
            "sales": [{"id": "1", "confirmed_at": T, "happened": {"order.placed": T.isoformat()}}],
            "conversations": [{"id": "k", "key": "start:remedy", "state": {"status": "finished"}}],
            "verdicts": [
                verdict(1, T, None, "it is broken w1", factors={"quality": 0}, flow="after_delivery", step="arrived"),
                verdict(2, T, "yes"),
            ],
            "cases": [case],
            "case_posts": [{"case_id": "case", "channel": "C", "ts": "10.0", "live": True}],
            "moments": [
                {
                    "id": 1,
                    "key": "start:remedy",
                    "kind": "start",
                    "case_id": "case",
                    "state": "done",
                    "due_at": T,
                    "data": {"on": "remedy.done"},
                    "reason": None,
                }
            ],
            "outbox": [
                message(1, "question", "Is it right?", priority=5),
                message(2, "answer", "Passed on."),
                message(3, "staff_reply", "We are at it r1", case_id="case"),
                message(4, "card", "", channel="slack", key="post", external="10.0", case_id="case", body={}),
                message(5, body={"channel": "C", "text": "taken"}, text="", external="11.0", **line),
                message(6, body={"channel": "C", "text": "done"}, text="", external="12.0", **line),
            ],
            "inbox": [
                taken_in(1, "telegram", "1:x", heard[0]),
                taken_in(2, "telegram", "2:y", heard[1]),
                taken_in(3, "shop", "evt", {"id": "evt"}),
                taken_in(4, "slack", "view:1", {"kind": "reply", "case_id": "case", "text": "We are at it r1"}),
                taken_in(5, "slack", "view:2", {"kind": "remedy", "case_id": "case"}),
            ],
            "log": [
                told("order.placed", data={"event": "evt"}),
                told("customer.linked"),
                told("customer.consented", data={"consents": {"service": True}}),
                told("conversation.begun", data={"conversation": "k"}),
                told("case.opened", case_id="case"),
                told("case.remedydone", case_id="case", data={"status": "remedied"}),
                told("case.customerconfirmed", case_id="case", data={"status": "confirmed"}),
                told("sale.complete"),
                told("conversation.finished", data={"conversation": "k"}),
            ],
        },
        arrivals=[arrival(1, "Is it right?"), arrival(2, "Passed on."), arrival(3, "We are at it r1")],
        handed=heard,
        cards=[
            CardSeen(
                "C",
                "10.0",
                "case",
                "post",
                state("confirmed", "en"),
                (Line("11.0", "taken", is_ours=True), Line("12.0", "done", is_ours=True)),
            )
        ],
        ledger=Ledger(
            said=[Said(CHAT, "w1")],
            replies=[StaffReply("case", "r1", acked=True)],
            remedies=[("case", True)],
            accepted_events=["evt"],
        ),
        flows=shipped_flows().flows,
    )


def test_an_honest_book_balances() -> None:
    """Where everything adds up, nothing is found: what is found below is found because it was planted."""
    assert balance(honest()) == []


def row(book: Book, table: str, number: int) -> dict[str, Any]:
    """A row of a table by its id."""
    return next(each for each in book.tables[table] if each["id"] == number)


def set_(table: str, number: Any, **values: Any) -> Callable[[Book], None]:
    """Plant other values in one row."""
    return lambda book: row(book, table, number).update(values)


def lost(table: str, number: Any) -> Callable[[Book], None]:
    """Take one row away."""
    return lambda book: book.tables[table].remove(row(book, table, number))


def untold(kind: str) -> Callable[[Book], None]:
    """Take the lines of one kind out of the log."""

    def plant(book: Book) -> None:
        book.tables["log"] = [entry for entry in book.tables["log"] if entry["kind"] != kind]

    return plant


def came_again(number: int, text: str, *faults: Played) -> Callable[[Book], None]:
    """Let a message arrive a second time."""

    def plant(book: Book) -> None:
        book.arrivals.append(arrival(number, text, LATER))
        book.faults.extend(faults)

    return plant


def card(**values: Any) -> Callable[[Book], None]:
    """Let the card look otherwise."""

    def plant(book: Book) -> None:
        book.cards[0] = replace(book.cards[0], **values)

    return plant


def in_doubt(*, is_told: bool, has_happened: bool) -> Callable[[Book], None]:
    """Let the question be in doubt."""

    def plant(book: Book) -> None:
        row(book, "outbox", 1).update(state="unknown", reason="may have been sent", external=None)
        if is_told:
            book.tables["log"].append(told("message.unknown", data={"message": "question", "text": "Is it right?"}))
        if has_happened:
            book.faults.append(KILL)

    return plant


def overtaken(book: Book) -> None:
    """Let the person's reply arrive before the bot's answer that was said before it."""
    row(book, "outbox", 2)["external"], row(book, "outbox", 3)["external"] = "103", "102"
    book.arrivals[1:] = [replace(book.arrivals[1], message_id=103), replace(book.arrivals[2], message_id=102)]


def second_case(book: Book) -> None:
    """Let the sale have two cases at once."""
    for number in (1, 2):
        name = f"more{number}"
        book.tables["cases"].append({"id": name, "sale_id": "1", "status": "open", "said": ""})
        book.tables["case_posts"].append({"case_id": name, "channel": "C", "ts": f"2{number}.0", "live": True})
        book.tables["log"].append(told("case.opened", case_id=name))
        book.tables["outbox"].append(message(20 + number, "card", "", channel="slack", key=name, body={}))
        book.cards.append(CardSeen("C", f"2{number}.0", name, name, state("open", "en"), ()))


def of_staff(book: Book) -> None:
    """Let the verdict that completes the sale be nobody's tap."""
    book.handed[1]["callback_query"]["data"] = "a:another:1:0"


PLANTED = [
    ("nothing_twice", "got more", came_again(9, "Is it right?", KILL)),
    ("nothing_twice", "got more", came_again(9, "Passed on.", KILL)),
    ("nothing_twice", "got more", came_again(9, "We are at it r1\n(perhaps sent twice)")),
    ("nothing_twice", "no row at all", came_again(9, "Buy more!", KILL)),
    ("nothing_twice", "did not arrive", lambda book: book.arrivals.pop(0)),
    ("nothing_twice", "other words", set_("outbox", 1, body={"chat_id": CHAT, "text": "Is it wrong?"})),
    ("nothing_twice", "did not arrive, or explains another", set_("outbox", 2, external="101")),
    ("order_kept", "overtook", overtaken),
    ("doubts_explained", "nothing had happened", in_doubt(is_told=True, has_happened=False)),
    ("doubts_explained", "does not tell", in_doubt(is_told=False, has_happened=True)),
    ("nothing_lost", "update 1 stands 0 times", lost("inbox", 1)),
    ("nothing_lost", "stands 2 times", lambda book: book.tables["inbox"].append(deepcopy(row(book, "inbox", 1)))),
    ("nothing_lost", "is failed", set_("inbox", 1, state="failed", error="no")),
    ("nothing_lost", "without a reason", set_("inbox", 2, state="ignored")),
    ("nothing_lost", "event evt stands 0 times", lost("inbox", 3)),
    ("nothing_lost", "log does not tell", untold("order.placed")),
    ("nothing_lost", "never reached", lambda book: book.ledger.said.append(Said(CHAT, "w2"))),
    (
        "nothing_lost",
        "stand in no verdict",
        lambda book: [set_("verdicts", 1, text="")(book), set_("cases", "case", said="")(book)],
    ),
    ("unhappy_is_a_case", "there is no case", lambda book: book.tables["cases"].clear()),
    ("unhappy_is_a_case", "was not told", set_("verdicts", 1, at=LATER)),
    ("cards_stand", "has 0 live cards", lambda book: book.tables["case_posts"].clear()),
    ("cards_stand", "does not show", card(text=state("open", "en"))),
    ("cards_stand", "does not stand in Slack", card(ts="9.0")),
    ("cards_stand", "posted 2 times", lambda book: book.cards.append(replace(book.cards[0], ts="13.0", lines=()))),
    ("cards_stand", "no row explains", card(post="nobody")),
    ("threads_in_order", "does not stand in its thread", card(lines=(Line("11.0", "taken", is_ours=True),))),
    (
        "threads_in_order",
        "overtook",
        lambda book: [set_("outbox", 5, external="12.0")(book), set_("outbox", 6, external="11.0")(book)],
    ),
    (
        "threads_in_order",
        "nobody was to say",
        lambda book: [
            book.faults.append(KILL),
            card(lines=(*book.cards[0].lines, Line("13.0", "hm", is_ours=True)))(book),
        ],
    ),
    (
        "threads_in_order",
        "nobody was to say",
        lambda book: card(lines=(*book.cards[0].lines, Line("13.0", "done", is_ours=True)))(book),
    ),
    ("staff_is_heard", "stands 0 times in the inbox", lost("inbox", 4)),
    ("staff_is_heard", "never reached", lambda book: [lost("outbox", 3)(book), book.arrivals.pop()]),
    (
        "staff_is_heard",
        "nobody was told",
        lambda book: [set_("outbox", 3, state="refused", reason="blocked")(book), book.arrivals.pop()],
    ),
    ("staff_is_heard", "did not say so", came_again(9, "We are at it r1", KILL)),
    ("staff_is_heard", "of 1 acknowledged remedies", lost("inbox", 5)),
    ("staff_is_heard", "is failed", set_("inbox", 5, state="failed", error="no")),
    ("remedies_are_asked_about", "0 questions were planned", lambda book: book.tables["moments"].clear()),
    ("remedies_are_asked_about", "no conversation began", set_("conversations", "k", key="another")),
    ("sales_explained", "customer had not said so", of_staff),
    ("sales_explained", "customer had not said so", set_("verdicts", 2, choice="no")),
    ("sales_explained", "log says otherwise", untold("sale.complete")),
    ("sales_explained", "log says otherwise", set_("sales", "1", confirmed_at=None)),
    ("sales_explained", "happened", set_("sales", "1", happened={})),
    ("cases_explained", "the log says remedied", untold("case.customerconfirmed")),
    ("cases_explained", "opened 0 times", untold("case.opened")),
    ("cases_explained", "several open cases", second_case),
    ("conversations_explained", "began 0 times", untold("conversation.begun")),
    ("conversations_explained", "log does not tell", untold("conversation.finished")),
    ("conversations_explained", "there is none", lost("conversations", "k")),
    ("customers_explained", "agreed to", set_("customers", "c", consents={})),
    ("customers_explained", "stopped_at", set_("customers", "c", stopped_at=T)),
    ("at_rest", "is sending", set_("outbox", 2, state="sending")),
    ("at_rest", "is failed", set_("outbox", 2, state="failed", reason="no")),
    ("at_rest", "is overdue", set_("outbox", 2, state="waiting")),
    ("at_rest", "held without a reason", set_("outbox", 2, state="held")),
    ("at_rest", "is new", set_("inbox", 1, state="new")),
    ("at_rest", "is overdue", set_("moments", 1, state="planned")),
    ("at_rest", "dropped without a reason", set_("moments", 1, state="dropped")),
]


@pytest.mark.parametrize(("name", "words", "plant"), PLANTED, ids=[f"{name}: {words}" for name, words, _ in PLANTED])
def test_what_was_planted_is_found(name: str, words: str, plant: Callable[[Book], Any]) -> None:
    """Each class of violation, planted in an honest book, is found by the balance that is there for it."""
    book = honest()
    plant(book)
    assert [found for found in balance(book) if found.startswith(f"{name}: ") and words in found] != []


def test_every_balance_can_fail() -> None:
    """A balance that cannot fail proves nothing: for each of them something was planted above."""
    assert {name for name, _, _ in PLANTED} == {each.__name__ for each in BALANCES}


@pytest.mark.parametrize(
    "plant",
    [
        in_doubt(is_told=True, has_happened=True),
        came_again(9, "We are at it r1\n(perhaps sent twice)", KILL),
        lambda book: [
            book.faults.append(KILL),
            card(lines=(*book.cards[0].lines, Line("13.0", "done (perhaps posted twice)", is_ours=True)))(book),
        ],
    ],
    ids=["a question in doubt", "a reply that says so", "a line that says so"],
)
def test_what_is_promised_is_no_violation(plant: Callable[[Book], Any]) -> None:
    """What the promises allow after a fault is not reported: a doubt that is shown, a repeat that says so."""
    book = honest()
    plant(book)
    assert balance(book) == []
