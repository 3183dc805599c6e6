"""The books: what people and sandboxes saw, against what the database says. Each balance is a function over plain data.

A balance yields one sentence for each thing that does not add up, naming rows by their ids; an empty yield is a balance.
Tests plant each class of violation and show that it is found. What must not live here: I/O, the program, and patience.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations, pairwise
from typing import Any, TypeAlias

from bot.adapters.sandbox.telegram import Arrival
from bot.adapters.slack.words import state
from bot.flows.model import Ask, Flow
from tests.campaign.faults import Played
from tests.campaign.load import Ledger

Row: TypeAlias = dict[str, Any]

AT_MOST_ONCE = frozenset({"question", "reminder", "notice", "answer"})
"""What the README promises to be sent at most once: all that the bot says of itself."""
PERHAPS_TWICE = ("(perhaps sent twice)", "(måske sendt to gange)")
PERHAPS_POSTED_TWICE = " (perhaps posted twice)"
LIVE = timedelta(minutes=30)
"""How long an answer to the customer's own words keeps its place in the chat's order; later it waits for a good hour."""
AFTERMATH = timedelta(minutes=30)
"""How long after a fault a message may still be found to be in doubt: a lease, and the next look of whoever finds it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line in the thread of a card."""

    ts: str
    text: str
    is_ours: bool


@dataclass(frozen=True, slots=True)
class CardSeen:
    """One card as it stands in Slack: `post` is the key of the row that posted it."""

    channel: str
    ts: str
    case_id: str
    post: str
    text: str
    lines: tuple[Line, ...]


@dataclass
class Book:
    """All that is to be balanced, as plain data."""

    now: datetime
    tables: dict[str, list[Row]]
    arrivals: list[Arrival] = field(default_factory=list)
    handed: list[Row] = field(default_factory=list)
    cards: list[CardSeen] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    faults: list[Played] = field(default_factory=list)
    flows: Mapping[str, Flow] = field(default_factory=dict)

    def rows(self, table: str, **fit: Any) -> list[Row]:
        """Give the rows of a table whose columns fit."""
        return [row for row in self.tables[table] if all(row[name] == value for name, value in fit.items())]


Balance: TypeAlias = Callable[[Book], Iterator[str]]


# What customers got ----------------------------------------------------------------------------------------------------


def _spoken(book: Book) -> list[Row]:
    """Give the rows that become a message of their own in a chat."""
    return [
        row
        for row in book.rows("outbox", channel="telegram")
        if row["kind"] != "edit" and row["body"].get("message_id") is None and row["body"].get("text")
    ]


def _same_words(row: Row, arrival: Arrival) -> bool:
    words = row["body"]["text"].strip()
    if row["kind"] == "staff_reply":
        return bool(words.startswith(arrival.text) or arrival.text.startswith(words))
    return bool(words == arrival.text)


def _explained(book: Book) -> tuple[dict[int, list[Arrival]], list[str]]:
    """Give what arrived of each row, oldest first, and what no row explains.

    A row that was marked as sent explains the message whose id it has. What is left over is a message that arrived
    unnoticed: of a row that is in doubt, once; or of one that goes at least once, as often as things went wrong.
    """
    left = {(each.chat_id, each.message_id): each for each in book.arrivals}
    arrived: dict[int, list[Arrival]] = defaultdict(list)
    problems = []
    rows = _spoken(book)
    for row in rows:
        if row["state"] != "sent":
            continue
        arrival = left.pop((row["body"]["chat_id"], int(row["external"] or 0)), None)
        if arrival is None:
            problems.append(f"{_named(row)} is marked as sent, and did not arrive, or explains another row, too")
            continue
        if not _same_words(row, arrival):
            problems.append(f"{_named(row)} arrived with other words: {arrival.text!r}")
        arrived[row["id"]].append(arrival)
    doubtful = [row for row in rows if row["state"] == "unknown" and row["kind"] in AT_MOST_ONCE]
    for arrival in left.values():
        mine = [row for row in rows if _is_for(row, arrival)]
        once = next((row for row in mine if row in doubtful), None)
        again = [row for row in mine if row["kind"] not in AT_MOST_ONCE and row["created_at"] <= arrival.at]
        if once is not None:
            doubtful.remove(once)
            arrived[once["id"]].append(arrival)
        elif again and book.faults:
            # Of several with the same words the newest: the older ones had arrived by then.
            arrived[again[-1]["id"]].insert(0, arrival)
        else:
            of_row = ", ".join(_named(row) for row in mine) or "no row at all"
            problems.append(f"chat {arrival.chat_id} got more than was to be sent, of {of_row}: {arrival.text!r}")
    return arrived, problems


def nothing_twice(book: Book) -> Iterator[str]:
    """Every message that arrived is explained by one row; of what goes at most once, one row explains no two."""
    yield from _explained(book)[1]


def _is_for(row: Row, arrival: Arrival) -> bool:
    return row["body"]["chat_id"] == arrival.chat_id and _same_words(row, arrival)


def order_kept(book: Book) -> Iterator[str]:
    """What answers a customer's own words, and a person's words, arrive in the order in which they were said.

    Of what was repeated, the first time counts. Whatever had to wait for a good hour gives up its place; and of messages
    with the same words nobody can tell which came first.
    """
    arrived, _ = _explained(book)
    alike = Counter((row["body"]["chat_id"], row["body"]["text"].strip()) for row in _spoken(book))
    by_chat: dict[int, list[Row]] = defaultdict(list)
    for row in _spoken(book):
        prompt = row["sent_at"] is not None and row["sent_at"] - row["created_at"] <= LIVE
        is_alone = alike[row["body"]["chat_id"], row["body"]["text"].strip()] == 1
        if (
            row["priority"] == 0
            and is_alone
            and arrived[row["id"]]
            and (prompt or row["kind"] in ("system", "staff_reply"))
        ):
            by_chat[row["body"]["chat_id"]].append(row)
    for chat_id, rows in by_chat.items():
        for before, after in combinations(rows, 2):
            # What two programs say at the same time has no order: their transactions and their clocks cross.
            if (
                before["created_at"] <= after["created_at"]
                and arrived[before["id"]][0].message_id > arrived[after["id"]][0].message_id
            ):
                yield f"in chat {chat_id} {_named(after)} overtook {_named(before)}"


def _named(row: Row) -> str:
    """Name a message of the outbox, with what tells its story."""
    times = f"created {row['created_at']:%d %H:%M:%S}, sent {row['sent_at']:%d %H:%M:%S}" if row["sent_at"] else ""
    return f"message {row['id']} ({row['kind']}, {row['attempts']} attempts, {times}, {row['external']})"


def doubts_explained(book: Book) -> Iterator[str]:
    """A message is unknown only where a fault stands beside it in time; without faults nothing is in doubt."""
    for entry in book.rows("log", kind="message.unknown"):
        near = [
            each.name
            for each in book.faults
            if each.began_at - AFTERMATH <= entry["at"] <= each.ended_at + AFTERMATH or each.name.startswith("Clock")
        ]
        if not near:
            yield f"a {entry['data'].get('message')} of sale {entry['sale_id']} became unknown, and nothing had happened"
    told = Counter(entry["data"].get("text") for entry in book.rows("log", kind="message.unknown"))
    for row in book.rows("outbox", state="unknown"):
        if not str(row["reason"] or "").strip():
            yield f"message {row['id']} is unknown and does not say why"
        if not told[row["body"].get("text")]:
            yield f"message {row['id']} is unknown, and the log does not tell of it"


# What customers and the shop said ----------------------------------------------------------------------------------------


def nothing_lost(book: Book) -> Iterator[str]:
    """What was handed over is in the inbox once, settled, and a customer's words stand where people find them."""
    updates, events = _by_number(book, "telegram", "update_id"), _by_number(book, "shop", "id")
    for update in book.handed:
        yield from _taken_in(updates[update["update_id"]], f"update {update['update_id']}")
    for event in dict.fromkeys(book.ledger.accepted_events):
        yield from _taken_in(events[event], f"event {event}")
        if not any(entry["data"].get("event") == event for entry in book.tables["log"]):
            yield f"event {event} was accepted, and the log does not tell of it"
    kept = json.dumps(
        [
            [[row["text"], row["media"]] for row in book.tables["verdicts"]],
            [row["said"] for row in book.tables["cases"]],
            [row["data"] for row in book.tables["log"]],
        ],
        default=str,
    )
    by_token = {said.token: update for update in book.handed for said in book.ledger.said if _has(update, said.token)}
    for said in book.ledger.said:
        update = by_token.get(said.token)
        if update is None:
            yield f"the words {said.token} never reached the program's door"
            continue
        rows = updates[update["update_id"]]
        if rows and rows[0]["state"] == "done" and f"{said.token}" not in kept:
            yield f"the words {said.token} (update {update['update_id']}) stand in no verdict, case or log"


def _by_number(book: Book, source: str, number: str) -> dict[Any, list[Row]]:
    """Give the rows of the inbox by the sender's own number for what it sent."""
    found: dict[Any, list[Row]] = defaultdict(list)
    for row in book.rows("inbox", source=source):
        found[row["payload"].get(number)].append(row)
    return found


def _has(update: Row, token: str) -> bool:
    message = update.get("message") or update.get("edited_message") or {}
    words = f"{message.get('text', '')} {message.get('caption', '')}"
    return token in words.split()


def _taken_in(rows: list[Row], what: str) -> Iterator[str]:
    if len(rows) != 1:
        yield f"{what} stands {len(rows)} times in the inbox"
    for row in rows:
        if row["state"] not in ("done", "ignored"):
            yield f"{what} is {row['state']} in the inbox: {row['error']}"
        if row["state"] == "ignored" and not row["error"]:
            yield f"{what} was ignored without a reason"


# Cases, and what staff did -------------------------------------------------------------------------------------------------

OF_UNHAPPINESS = ("case.opened", "case.unhappyagain", "case.customersaid")


def unhappy_is_a_case(book: Book) -> Iterator[str]:
    """Every reply with a zero in any factor opened a case, or joined one, in the same transaction."""
    told = {(entry["sale_id"], entry["at"]) for entry in book.tables["log"] if entry["kind"] in OF_UNHAPPINESS}
    cases = {row["sale_id"] for row in book.tables["cases"]}
    for row in book.tables["verdicts"]:
        if any(value <= 0 for value in row["factors"].values()):
            if row["sale_id"] not in cases:
                yield f"verdict {row['id']} of sale {row['sale_id']} is unhappy, and there is no case"
            elif (row["sale_id"], row["at"]) not in told:
                yield f"verdict {row['id']} of sale {row['sale_id']} is unhappy, and its case was not told"


def cards_stand(book: Book) -> Iterator[str]:
    """Each case has one live card, which shows how it stands now; no row posted two."""
    seen = {(card.channel, card.ts): card for card in book.cards}
    for case in book.tables["cases"]:
        live = book.rows("case_posts", case_id=case["id"], live=True)
        if len(live) != 1:
            yield f"case {case['id']} has {len(live)} live cards"
            continue
        card = seen.get((live[0]["channel"], live[0]["ts"]))
        if card is None or card.case_id != case["id"]:
            yield f"the card of case {case['id']} does not stand in Slack where the database says"
        elif state(case["status"], "en").casefold() not in card.text.casefold():
            yield f"the card of case {case['id']} does not show that it is {case['status']}"
    posted = Counter((card.case_id, card.post) for card in book.cards)
    for (case_id, post), times in posted.items():
        if times > 1:
            yield f"the card {post} of case {case_id} was posted {times} times"
    keys = {row["key"] for row in book.rows("outbox", kind="card")}
    for card in book.cards:
        if card.post not in keys:
            yield f"a card of case {card.case_id} stands in {card.channel} that no row explains"


def threads_in_order(book: Book) -> Iterator[str]:
    """What is said in the thread of a card stands there, in the order in which it was said; and nothing else of ours.

    A step of the ladder has a lane of its own: it waits for the team's hours, and nothing else waits behind it.
    """
    lines = {(card.channel, line.ts): line for card in book.cards for line in card.lines}
    by_case: dict[tuple[str, str, bool], list[Row]] = defaultdict(list)
    for row in book.rows("outbox", kind="thread", state="sent"):
        channel = row["body"].get("channel")
        if (channel, row["external"]) not in lines:
            yield f"line {row['id']} of case {row['case_id']} is marked as sent, and does not stand in its thread"
        by_case[row["case_id"], channel, "stage" in row["body"]].append(row)
    for (case_id, channel, _), rows in by_case.items():
        for before, after in pairwise(rows):
            if float(before["external"]) > float(after["external"]):
                yield f"in the thread of case {case_id} in {channel} line {after['id']} overtook line {before['id']}"
    known = {row["external"] for rows in by_case.values() for row in rows}
    words: dict[str, set[str]] = defaultdict(set)
    for row in book.rows("outbox", kind="thread"):
        words[row["case_id"]].add(_letters(row["body"]["text"]))
    for card in book.cards:
        for line in card.lines:
            if not line.is_ours or line.ts in known:
                continue
            said = _letters(line.text.removesuffix(PERHAPS_POSTED_TWICE))
            if not book.faults or not any(said.endswith(each) for each in words[card.case_id]):
                yield f"in the thread of case {card.case_id} stands what nobody was to say: {line.text!r}"


def _letters(text: str) -> str:
    """Give the letters and digits of a text alone, whichever way people and signs are written in it."""
    plain = re.sub(r"\{user:(\w+)\}", r"\1", text).replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
    return "".join(sign for sign in plain if sign.isalnum())


def staff_is_heard(book: Book) -> Iterator[str]:
    """A reply that Slack was told is taken reached the customer; if twice, it says so; if never, the thread says why."""
    acts = book.rows("inbox", source="slack")
    threads: dict[str, str] = defaultdict(str)
    for card in book.cards:
        threads[card.case_id] += "\n".join(line.text for line in card.lines)
    for reply in book.ledger.replies:
        taken = [row for row in acts if reply.token in str(row["payload"].get("text", "")).split()]
        if reply.acked and len(taken) != 1:
            yield f"the reply {reply.token} was acknowledged, and stands {len(taken)} times in the inbox"
        got = [each for each in book.arrivals if reply.token in each.text.split()]
        rows = [row for row in _spoken(book) if reply.token in row["body"]["text"].split()]
        unsent = [row for row in rows if row["state"] in ("dropped", "refused", "held")]
        if taken and not got and not unsent:
            yield f"the reply {reply.token} was taken, and never reached the customer"
        if unsent and not got and "⚠️" not in threads[reply.case_id] and unsent[0]["state"] != "held":
            yield f"the reply {reply.token} was not sent, and nobody was told"
        for again in got[1:]:
            if not again.text.endswith(PERHAPS_TWICE):
                yield f"the reply {reply.token} came again and did not say so"
    for case_id, times in Counter(case_id for case_id, acked in book.ledger.remedies if acked).items():
        kept = [row for row in acts if row["payload"].get("kind") == "remedy" and row["payload"]["case_id"] == case_id]
        if len(kept) < times:
            yield f"of {times} acknowledged remedies of case {case_id} {len(kept)} stand in the inbox"
    for row in acts:
        yield from _taken_in([row], f"the act {row['key']}")


def remedies_are_asked_about(book: Book) -> Iterator[str]:
    """Every first remedy of a round planned the question whether it is right now."""
    asked = Counter(row["case_id"] for row in book.rows("moments", kind="start") if row["data"]["on"] == "remedy.done")
    status: dict[str, str] = {}
    wanted: Counter[str] = Counter()
    for entry in book.tables["log"]:
        if entry["kind"] == "case.remedydone" and status.get(entry["case_id"]) != "remedied":
            wanted[entry["case_id"]] += 1
        if entry["case_id"] and "status" in entry["data"]:
            status[entry["case_id"]] = entry["data"]["status"]
    for case_id, times in wanted.items():
        if asked[case_id] < times:
            yield f"case {case_id} was remedied {times} times, and {asked[case_id]} questions were planned"
    keys = {row["key"] for row in book.tables["conversations"]}
    for row in book.rows("moments", kind="start", state="done"):
        if row["key"] not in keys:
            yield f"moment {row['id']} ({row['key']}) is done, and no conversation began"


# What no event explains ---------------------------------------------------------------------------------------------------


def sales_explained(book: Book) -> Iterator[str]:
    """A sale is complete exactly where the log says so last, and only after the customer's own word (rule 1)."""
    last: dict[str, Row] = {}
    happened: dict[str, set[str]] = defaultdict(set)
    for entry in book.tables["log"]:
        if entry["kind"] in ("sale.complete", "sale.reopened"):
            last[entry["sale_id"]] = entry
        if entry["kind"].startswith(("order.", "product.")):
            happened[entry["sale_id"]].add(entry["kind"])
        if entry["kind"] == "sale.complete" and not any(
            _completes(book, row, entry) for row in book.tables["verdicts"]
        ):
            yield f"sale {entry['sale_id']} became complete, and the customer had not said so"
    for sale in book.tables["sales"]:
        told = last.get(sale["id"])
        is_complete = told is not None and told["kind"] == "sale.complete"
        if is_complete != (sale["confirmed_at"] is not None):
            yield f"sale {sale['id']}: confirmed_at is {sale['confirmed_at']}, and the log says otherwise"
        if set(sale["happened"]) != happened[sale["id"]]:
            yield f"sale {sale['id']}: {sorted(sale['happened'])} happened, and the log says {sorted(happened[sale['id']])}"


def _completes(book: Book, verdict: Row, entry: Row) -> bool:
    """Tell whether a verdict is the customer's own tap, or word, that completes the sale."""
    if verdict["sale_id"] != entry["sale_id"] or verdict["at"] != entry["at"] or verdict["choice"] is None:
        return False
    flow = book.flows.get(verdict["flow"])
    ask = flow.steps.get(verdict["step"]) if flow else None
    if not isinstance(ask, Ask):
        return False
    number = next(
        (index for index, choice in enumerate(ask.choices) if choice.name == verdict["choice"] and choice.completes),
        None,
    )
    if number is None:
        return False
    marks = f"a:{verdict['conversation_id']}:"
    for update in book.handed:
        data = (update.get("callback_query") or {}).get("data", "")
        if data.startswith(marks) and data.endswith(f":{number}"):
            return True
    return bool(verdict["text"]) and any(
        verdict["text"] == (update.get("message") or {}).get("text") for update in book.handed
    )


def cases_explained(book: Book) -> Iterator[str]:
    """A case stands as the last line of the log about it says, and was opened once."""
    status: dict[str, str] = {}
    opened: Counter[str] = Counter()
    for entry in book.tables["log"]:
        if entry["kind"] == "case.opened":
            opened[entry["case_id"]] += 1
            status[entry["case_id"]] = "open"
        elif entry["kind"].startswith("case.") and "status" in entry["data"]:
            status[entry["case_id"]] = entry["data"]["status"]
    for case in book.tables["cases"]:
        if opened[case["id"]] != 1:
            yield f"case {case['id']} was opened {opened[case['id']]} times in the log"
        if status.get(case["id"]) != case["status"]:
            yield f"case {case['id']} is {case['status']}, and the log says {status.get(case['id'])}"
    for sale_id, cases in _by(book.tables["cases"], "sale_id").items():
        unsettled = [case["id"] for case in cases if case["status"] != "confirmed"]
        if len(unsettled) > 1:
            yield f"sale {sale_id} has several open cases: {unsettled}"


def conversations_explained(book: Book) -> Iterator[str]:
    """A conversation began once, and is finished exactly where the log says that it finished."""
    begun = Counter(entry["data"].get("conversation") for entry in book.rows("log", kind="conversation.begun"))
    finished = {entry["data"].get("conversation") for entry in book.rows("log", kind="conversation.finished")}
    for row in book.tables["conversations"]:
        if begun[row["id"]] != 1:
            yield f"conversation {row['id']} began {begun[row['id']]} times in the log"
        if row["state"]["status"] == "finished" and row["id"] not in finished:
            yield f"conversation {row['id']} is finished, and the log does not tell of it"
    for conversation in set(begun) - {row["id"] for row in book.tables["conversations"]}:
        yield f"conversation {conversation} began in the log, and there is none"


def customers_explained(book: Book) -> Iterator[str]:
    """What a customer agreed to, and whether they stopped, is what they said last."""
    consents: dict[str, Mapping[str, bool]] = {}
    stopped: dict[str, bool] = {}
    for entry in book.tables["log"]:
        customer = entry["customer_id"]
        match entry["kind"]:
            case "customer.consented":
                consents[customer], stopped[customer] = entry["data"]["consents"], False
            case "customer.stopped":
                consents[customer], stopped[customer] = {}, True
            case "customer.moved_chat":
                consents[customer] = {}
            case "customer.linked" | "customer.started_again":
                stopped[customer] = False
            case _:
                pass
    for row in book.tables["customers"]:
        if row["extra"].get("same_as"):
            continue
        if dict(row["consents"]) != dict(consents.get(row["id"], {})):
            yield f"customer {row['id']} agreed to {row['consents']}, and the log says {consents.get(row['id'])}"
        if (row["stopped_at"] is not None) != stopped.get(row["id"], False):
            yield f"customer {row['id']}: stopped_at is {row['stopped_at']}, and the log says otherwise"


def at_rest(book: Book) -> Iterator[str]:
    """Nothing is half done, overdue, or failed."""
    for row in book.tables["outbox"]:
        if row["state"] in ("sending", "failed"):
            yield f"message {row['id']} ({row['kind']}) is {row['state']}: {row['reason']}"
        if row["state"] == "waiting" and row["not_before"] <= book.now:
            yield f"message {row['id']} ({row['kind']}) is overdue: {row['reason']}"
        if row["state"] in ("held", "dropped", "refused") and not row["reason"]:
            yield f"message {row['id']} ({row['kind']}) is {row['state']} without a reason"
    for row in book.tables["inbox"]:
        if row["state"] in ("new", "failed"):
            yield f"row {row['id']} of the inbox ({row['source']} {row['key']}) is {row['state']}: {row['error']}"
    for row in book.tables["moments"]:
        if row["state"] == "planned" and row["due_at"] <= book.now:
            yield f"moment {row['id']} ({row['key']}) is overdue"
        if row["state"] in ("held", "dropped") and not row["reason"]:
            yield f"moment {row['id']} ({row['key']}) is {row['state']} without a reason"


def _by(rows: list[Row], column: str) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[column]].append(row)
    return found


BALANCES: tuple[Balance, ...] = (
    nothing_twice,
    order_kept,
    doubts_explained,
    nothing_lost,
    unhappy_is_a_case,
    cards_stand,
    threads_in_order,
    staff_is_heard,
    remedies_are_asked_about,
    sales_explained,
    cases_explained,
    conversations_explained,
    customers_explained,
    at_rest,
)


def balance(book: Book) -> list[str]:
    """Give everything that does not add up, each with the name of its balance."""
    return [f"{each.__name__}: {found}" for each in BALANCES for found in each(book)]
