"""Order files become native events with their line, or are refused whole with every bad line named."""

import json
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.adapters.order_files.reading import read_order_file
from bot.adapters.order_files.spool import spool
from bot.adapters.order_files.text import EVENT_MAX_CHARS
from bot.errors import FollowUpError, InputRefused

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
HEADER = "id,type,occurred_at,sale_id,customer_id,customer_name,sku,item_name,quantity,tags,promise_text"
EVENT: dict[str, Any] = {
    "id": "evt-1",
    "type": "order.delivered",
    "occurred_at": "2026-11-21T10:00:00+01:00",
    "sale": {"id": "1001", "customer": {"id": "c-7"}},
}


def write(tmp_path: Path, content: str | bytes, name: str = "orders.csv") -> Path:
    file = tmp_path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def read(file: Path) -> list[tuple[int, dict[str, Any]]]:
    """Give each event with its line."""
    with spool() as events:
        read_order_file(file, events, NOW)
        return [(each.line, dict(each.payload)) for each in events.new()]


def problems_of(file: Path) -> list[tuple[str, str]]:
    with pytest.raises(InputRefused) as refused:
        read(file)
    return refused.value.problems


def test_rows_with_the_same_event_id_are_items_of_one_order(tmp_path: Path) -> None:
    """Two rows of one event give one event with two items, at the line of the first; its promise is told once."""
    lines = [
        HEADER,
        'e1,order.placed,2026-11-21T10:00:00+01:00,1001,c-7,"Holm, Freja",A,Barolo,2,wine|red,Before the weekend',
        "e1,order.placed,2026-11-21T10:00:00+01:00,1001,c-7,,B,Glass,,,Before the weekend",
        "e2,order.placed,2026-11-21T11:00:00Z,1002,c-8,Ana,C,Dress,1,,",
    ]
    events = read(write(tmp_path, "\n".join(lines)))
    assert [line for line, _ in events] == [2, 4]
    sale = events[0][1]["sale"]
    assert sale["customer"] == {"id": "c-7", "name": "Holm, Freja"}
    assert sale["items"] == [
        {"sku": "A", "name": "Barolo", "quantity": 2, "tags": ["wine", "red"]},
        {"sku": "B", "name": "Glass"},
    ]
    assert [promise["text"] for promise in sale["promises"]] == ["Before the weekend"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_delimiter_and_line_ends_are_recognised(tmp_path: Path, delimiter: str, newline: str) -> None:
    """Files as spreadsheets of different countries write them are read alike."""
    header = delimiter.join(["type", "occurred_at", "sale_id", "customer_id", "summary"])
    row = delimiter.join(["order.placed", "2026-11-21T10:00:00Z", "1", "c", '"one; two, three"'])
    ((line, event),) = read(write(tmp_path, newline.join([header, row, ""])))
    assert line == 2
    assert event["sale"]["summary"] == "one; two, three"


@pytest.mark.parametrize(("encoding", "utf8"), [("utf-8", True), ("utf-8-sig", True), ("cp1252", False)])
def test_danish_letters_survive_whatever_the_spreadsheet_wrote(tmp_path: Path, encoding: str, *, utf8: bool) -> None:
    """UTF-8 with and without its mark, and Windows' own text, give the same names."""
    text = "type,occurred_at,sale_id,customer_id,customer_name\norder.placed,2026-11-21T10:00:00Z,1,c,Søren Ærø\n"
    file = write(tmp_path, text.encode(encoding))
    with spool() as events:
        assert read_order_file(file, events, NOW) is utf8
        (event,) = events.new()
    assert event.payload["sale"]["customer"]["name"] == "Søren Ærø"


def test_native_names_and_unknown_columns_are_taken(tmp_path: Path) -> None:
    """Dotted names of the native event work as columns, and a shop's own column is kept."""
    lines = ["id,type,occurred_at,sale.id,sale.customer.id,sale.channel", "e,order.placed,2026-11-21T10:00:00Z,1,c,web"]
    ((_, event),) = read(write(tmp_path, "\n".join(lines)))
    assert event["sale"] == {"id": "1", "customer": {"id": "c"}, "channel": "web"}


def test_every_bad_line_is_named_and_nothing_is_given(tmp_path: Path) -> None:
    """One good row does not save a file with bad ones; each bad cell is named by line and column."""
    lines = [
        HEADER,
        "e1,order.placed,2026-11-21T10:00:00+01:00,1001,c-7,,,,,,",
        "e2,order.placed,2026-11-21 10:00,1002,c-8,,,,two,,",
        "e3,order.lost,2026-11-21T10:00:00Z,1003,,,,,,,",
        "e1,order.placed,2026-11-21T10:00:00+01:00,1009,c-7,,,,,,",
    ]
    problems = problems_of(write(tmp_path, "\n".join(lines)))
    assert {place for place, _ in problems} == {
        "line 3, quantity",
        "line 3, occurred_at",
        "line 4, type",
        "line 4, customer_id",
        "line 5, sale_id",
    }
    assert ("line 3, occurred_at", "the time has no offset; write it like 2026-11-21T10:00:00+01:00") in problems


def test_missing_columns_are_told_once(tmp_path: Path) -> None:
    """A header without what is needed is one problem, not one per row."""
    assert problems_of(write(tmp_path, "id,type\ne1,order.placed\ne2,order.placed\n")) == [
        ("line 1", "the header lacks occurred_at, sale_id, customer_id")
    ]


def test_header_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    """A column twice, or a thing both as a whole and in parts, has no one meaning; a cell below no name neither."""
    header = "type,occurred_at,sale_id,customer_id"
    row = "order.placed,2026-11-21T10:00:00Z,1,c,extra"
    assert "type twice" in problems_of(write(tmp_path, f"{header},Type\n{row}"))[0][1]
    assert "sale both as a whole" in problems_of(write(tmp_path, f"{header},sale\n{row}"))[0][1]
    assert problems_of(write(tmp_path, f"{header},\n{row}")) == [("line 2", "'extra' stands below no column name")]
    assert "more cells" in problems_of(write(tmp_path, f"{header}\n{row}"))[0][1]


def test_line_numbers_count_lines_inside_quotes(tmp_path: Path) -> None:
    """A text of several lines in one cell does not shift the line that is named."""
    text = (
        "type,occurred_at,sale_id,customer_id,summary\n"
        'order.placed,2026-11-21T10:00:00Z,1,c,"two\nlines"\n'
        "order.placed,never,2,c,x\n"
    )
    assert [place for place, _ in problems_of(write(tmp_path, text))] == ["line 4, occurred_at"]


def test_event_without_id_gets_the_same_one_each_time(tmp_path: Path) -> None:
    """Importing twice changes nothing: the id comes from the content, and other content gets another one."""
    header = "type,occurred_at,sale_id,customer_id,sku"
    rows = ["order.placed,2026-11-21T10:00:00Z,1,c,A", "order.placed,2026-11-21T10:00:00Z,2,c,A"]
    first = read(write(tmp_path, "\n".join([header, *rows]), "a.csv"))
    again = read(write(tmp_path, "\n".join([header, *reversed(rows)]), "b.csv"))
    assert {event["id"] for _, event in first} == {event["id"] for _, event in again}
    assert len({event["id"] for _, event in first}) == 2


def test_rows_without_id_of_one_moment_are_one_event(tmp_path: Path) -> None:
    """Without an id, rows of the same order, type and time are its items, instead of one undoing the other."""
    header = "type,occurred_at,sale_id,customer_id,sku"
    rows = ["order.placed,2026-11-21T10:00:00Z,1,c,A", "order.placed,2026-11-21T10:00:00Z,1,c,B"]
    ((_, event),) = read(write(tmp_path, "\n".join([header, *rows])))
    assert [item["sku"] for item in event["sale"]["items"]] == ["A", "B"]


def test_json_lines_and_arrays_give_the_same_events(tmp_path: Path) -> None:
    """Both JSON forms are read, each event with the line it begins on, unknown fields kept."""
    other = {**EVENT, "id": "evt-2", "gift": True}
    lines = write(tmp_path, json.dumps(EVENT) + "\n\n" + json.dumps(other) + "\n", "orders.jsonl")
    array = write(tmp_path, json.dumps([EVENT, other], indent=1), "orders.json")
    assert read(lines) == [(1, EVENT), (3, other)]
    assert [event for _, event in read(array)] == [EVENT, other]
    assert [line for line, _ in read(array)] == [2, 13]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (json.dumps(EVENT) + '\n{"id": \n', "line 2"),
        (json.dumps(EVENT) + "\n[1]\n", "line 2"),
        ('{"id": "\\u0000"}', "line 1"),
        ("[\n1\n]", "line 2"),
        (f"[{json.dumps(EVENT)},\n", "line 2"),
        (f"[{json.dumps(EVENT)}] and more", "line 1"),
        (json.dumps(EVENT) + "\n" + json.dumps({**EVENT, "type": "order.placed"}), "line 2, id"),
        ("", "orders.jsonl"),
        ("a\x00b", "orders.jsonl"),
        (b"\x81\x8d", "the file"),
    ],
)
def test_bad_json_is_named_by_line(tmp_path: Path, content: str | bytes, place: str) -> None:
    """What is not JSON, not an event, or the same id with other content, is refused where it stands."""
    assert [where for where, _ in problems_of(write(tmp_path, content, "orders.jsonl"))] == [place]


def test_file_that_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    """A wrong path is an answer, not a crash."""
    assert "cannot be read" in problems_of(tmp_path / "none.csv")[0][1]


def test_a_hopeless_file_does_not_flood_the_terminal(tmp_path: Path) -> None:
    """After two hundred problems only their number is told."""
    rows = "\n".join(f"order.placed,never,{number},c" for number in range(300))
    problems = problems_of(write(tmp_path, "type,occurred_at,sale_id,customer_id\n" + rows))
    assert len(problems) == 201
    assert problems[-1] == ("the file", "has 100 more problems like these")


def test_hundred_thousand_rows_are_read_in_seconds(tmp_path: Path) -> None:
    """A year of a middling shop is no reason to wait."""
    rows = (
        f"e{number},order.delivered,2026-11-21T10:00:00+01:00,{number},c{number},Freja,A,Barolo,2,wine,Soon"
        for number in range(100_000)
    )
    file = write(tmp_path, "\n".join([HEADER, *rows]))
    begun = time.process_time()
    assert len(read(file)) == 100_000
    # Some times what it takes of the processor, so that a slow one does not fail it, while a quadratic mistake does.
    assert time.process_time() - begun < 20


def test_rows_of_one_event_are_found_together_wherever_they_stand(tmp_path: Path) -> None:
    """Items and promises of an event are joined over the whole file, in its order; what is told twice is kept once."""
    rows = [f"e{number},order.placed,2026-11-21T10:00:00Z,{number},c,,A{number},,,,Soon" for number in range(600)]
    rows += [f"e{number},,,,,,B{number},,,,Cold" for number in range(600)]
    rows += ["e7,,,,,,,,,,Soon", "e7,,,,,,C7,,,,"]
    events = read(write(tmp_path, "\n".join([HEADER, *rows])))
    assert [line for line, _ in events] == list(range(2, 602))
    sale = events[7][1]["sale"]
    assert [item["sku"] for item in sale["items"]] == ["A7", "B7", "C7"]
    assert [promise["text"] for promise in sale["promises"]] == ["Soon", "Cold"]


def test_a_bad_item_is_named_by_its_own_row(tmp_path: Path) -> None:
    """Where a later row of an event is wrong, that row is named, not the one with which the event began."""
    header = "id,type,occurred_at,sale_id,customer_id,sku,first_use_after"
    rows = ["e1,order.placed,2026-11-21T10:00:00Z,1,c,A,5d", "e1,,,,,B,5d", "e1,,,,,C,soon"]
    assert [place for place, _ in problems_of(write(tmp_path, "\n".join([header, *rows])))] == [
        "line 4, first_use_after"
    ]


def test_an_event_far_ahead_is_named_by_its_line(tmp_path: Path) -> None:
    """A date more than a year ahead is a slip, and found where it stands."""
    row = "order.placed,2028-11-21T10:00:00Z,1,c"
    problems = problems_of(write(tmp_path, f"type,occurred_at,sale_id,customer_id\n{row}\n"))
    assert problems == [("line 2, occurred_at", "lies more than a year ahead; check the date")]


@pytest.mark.parametrize("indent", [None, 1])
def test_an_array_of_any_length_is_walked_piece_by_piece(tmp_path: Path, indent: int | None) -> None:
    """Wherever the pieces in which it is read end, every event is found, with the line it begins on."""
    text = "ø" * 900
    events = [{**EVENT, "id": f"evt-{number}", "note": text[: number % 900]} for number in range(6_000)]
    array = json.dumps(events, indent=indent, ensure_ascii=False)
    assert len(array) > 3 * EVENT_MAX_CHARS
    found = read(write(tmp_path, array, "orders.json"))
    assert [event for _, event in found] == events
    length = json.dumps(events[0], indent=indent).count("\n") + 1
    assert [line for line, _ in found] == [2 + length * n if indent else 1 for n in range(6_000)]


def test_a_mistake_deep_in_an_array_is_named_by_its_line(tmp_path: Path) -> None:
    """The line of a mistake is right also where it lies pieces away from the start."""
    events = [json.dumps({**EVENT, "id": f"evt-{number}", "note": "x" * 900}) for number in range(3_000)]
    events[2_500] = '{"id": "evt-x",\n "type": oops}'
    ((place, reason),) = problems_of(write(tmp_path, "[\n" + ",\n".join(events) + "\n]", "orders.json"))
    assert (place, reason) == ("line 2503", "is not JSON: Expecting value")


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (json.dumps({**EVENT, "note": "x" * EVENT_MAX_CHARS}), "line 1"),
        (json.dumps(EVENT) + "\n" + "x" * 3 * EVENT_MAX_CHARS, "line 2"),
        (json.dumps([EVENT, {**EVENT, "notes": ["x"] * (EVENT_MAX_CHARS // 4)}], indent=1), "line 13"),
        ("id,type,occurred_at,sale_id,customer_id\n" + "x" * 3 * EVENT_MAX_CHARS, "line 2"),
        (
            "id,type,occurred_at,sale_id,customer_id,sku\n"
            + "e,order.placed,2026-11-21T10:00:00Z,1,c,SKU\n" * (EVENT_MAX_CHARS // 10),
            "line 2, id",
        ),
    ],
)
def test_an_event_longer_than_a_call_may_be_is_refused(tmp_path: Path, content: str, place: str) -> None:
    """However a file is made, one event in it cannot fill the memory: it is refused by its line."""
    assert problems_of(write(tmp_path, content))[0][0] == place


def test_the_same_event_twice_is_one(tmp_path: Path) -> None:
    """A JSON event that stands in the file again, word for word, is counted and changes nothing."""
    file = write(tmp_path, "\n".join(json.dumps(each) for each in (EVENT, {**EVENT, "id": "evt-2"}, EVENT)))
    with spool() as events:
        read_order_file(file, events, NOW)
        assert (events.count(), events.count_new()) == (3, 2)
        assert events.repeats(5) == ["evt-1"]


def test_a_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    """What cannot be wound back (`import <(export)`) is taken all the same."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(json.dumps(EVENT) + "\n",))
    writer.start()
    assert read(pipe) == [(1, EVENT)]
    writer.join()


def test_a_full_disk_is_told_in_words(tmp_path: Path) -> None:
    """Where the events cannot be put by, it is said what to do about it."""
    file = write(tmp_path, "\n".join(json.dumps({**EVENT, "id": f"evt-{number}"}) for number in range(3_000)))
    with pytest.raises(FollowUpError, match="set TMPDIR to a folder that has it"):
        _read_onto_a_full_disk(file)


def _read_onto_a_full_disk(file: Path) -> None:
    with spool() as events:
        events._connection.execute("PRAGMA max_page_count = 20")
        read_order_file(file, events, NOW)
