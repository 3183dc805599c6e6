"""`aftersale flows test|play|graph`: what an admin types, and what the terminal answers."""

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.system.terminal import Terminal, logs_left_alone


@pytest.fixture
def type_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Terminal]:
    """A terminal in an empty folder with a shop.yaml."""
    with logs_left_alone():
        yield Terminal(tmp_path, monkeypatch, capsys)


def own_flows(type_: Terminal, *names: str) -> Path:
    """Copy shipped flows and their tests into a folder of the shop's own."""
    folder = type_.folder / "flows"
    folder.mkdir()
    for name in names:
        for suffix in (".yaml", ".tests.yaml"):
            text = files("bot.flows").joinpath("library", name + suffix).read_text(encoding="utf-8")
            (folder / (name + suffix)).write_text(text, encoding="utf-8")
    return folder


def change(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after, 1), encoding="utf-8")


# test


def test_shipped_flows_are_tested_by_one_command(type_: Terminal) -> None:
    """Without anything else, all shipped flows are tested; each line tells how many ways were walked."""
    answer = type_("flows", "test")
    assert answer.code == 0, answer.out
    assert re.search(r"✓ after_delivery 14/14 ways, \d+ tests", answer.out)
    assert re.search(r"\d+ tests passed, 0 failed: [\d,]+ simulated days in [\d.]+ s\.", answer.out)


def test_only_the_named_flows_are_tested(type_: Terminal) -> None:
    """A name chooses; one that is not known is answered with the nearest."""
    answer = type_("flows", "test", "on_the_way")
    assert "on_the_way" in answer.out
    assert "after_delivery" not in answer.out
    answer = type_("flows", "test", "after_delivry")
    assert answer.code == 1
    assert "did you mean 'after_delivery'?" in answer.err


def test_a_failing_test_shows_both_transcripts_side_by_side(type_: Terminal) -> None:
    """What was expected and what came stand beside one another, with the place, and the command fails."""
    folder = own_flows(type_, "after_delivery")
    change(folder / "after_delivery.tests.yaml", "at: 2026-11-26 08:30", "at: 2026-11-25 21:30")
    answer = type_("flows", "test", "after_delivery", "--dir", str(folder))
    assert answer.code == 1
    assert "✗ evening_parcel: nothing was said by Wed 25 Nov 21:30" in answer.out
    assert re.search(r"after_delivery\.tests\.yaml:\d+:9", answer.out)
    assert re.search(r"^ +expected +actual *$", answer.out, re.MULTILINE)
    assert re.search(
        r"^    ✗  2026-11-25 21:30   🤖 … Was everything as we promised\? … +nothing", answer.out, re.MULTILINE
    )
    assert "quiet hours of the customer until Thu 26 Nov 08:30" in " ".join(answer.out.split())
    assert "1 failed" in answer.out


def test_a_bad_file_of_tests_is_refused_with_its_place(type_: Terminal) -> None:
    """A slip in a file is told with line, column and mend; the other tests run nevertheless, and the command fails."""
    folder = own_flows(type_, "after_delivery")
    change(folder / "after_delivery.tests.yaml", "tap: easy", "tap: eazy")
    answer = type_("flows", "test", "--dir", str(folder))
    assert answer.code == 1
    assert re.search(
        r"after_delivery\.tests\.yaml:14:14: no step has a button 'eazy' → did you mean 'easy'\?", answer.out
    )
    assert "✓ after_delivery 13/14 ways" in answer.out
    assert "nobody walks: dealing → easy" in answer.out
    assert "1 error in files" in answer.out
    (folder / "after_delivery.tests.yaml").write_bytes(b"flow: \xff")
    answer = type_("flows", "test", "--dir", str(folder))
    assert answer.code == 2
    assert "is not UTF-8 (byte 6) → save it as UTF-8" in answer.err


def test_tests_of_the_shops_own_flows_run_in_its_own_shop(type_: Terminal) -> None:
    """Guards and teams are those of shop.yaml; without one, those of the example, which is said."""
    folder = own_flows(type_, "on_the_way")
    type_.set(FLOWS_DIR=str(folder))
    change(type_.folder / "shop.yaml", "quiet_hours: 21:00-08:30", "quiet_hours: 21:00-09:15")
    answer = type_("flows", "test", "on_the_way")
    assert "shipped_in_the_night: nothing was said by Tue 24 Nov 08:30" in answer.out
    assert "quiet hours of the customer until Tue 24 Nov 09:15" in " ".join(answer.out.split())
    (type_.folder / "shop.yaml").unlink()
    answer = type_("flows", "test", "on_the_way")
    assert answer.code == 0
    assert "the flows are tried in the shop of the shipped example" in answer.err


def test_tests_beside_flows_are_no_flows(type_: Terminal) -> None:
    """`flows check` of a folder looks at its flows and leaves the tests beside them alone."""
    folder = own_flows(type_, "after_delivery", "on_the_way")
    answer = type_("flows", "check", str(folder))
    assert answer.code == 0, answer.out
    assert answer.out.startswith("2 files:")


# play

PLAY = """\
next
why
2
One bottle had leaked
tomorrow 9:00
remedy refund we paid it back
event order.eaten
tap Perhaps
+1bd
next
quit
"""


def test_a_flow_is_played_line_by_line(type_: Terminal) -> None:
    """The customer's part is typed, time is moved, and each message says why it comes when it comes."""
    options = ("--start", "2026-11-23 21:30", "--with", "after_remedy")
    answer = type_("flows", "play", "after_delivery", *options, stdin=PLAY)
    assert answer.code == 0, answer.err
    shown = answer.out
    for line in (
        "▶ after_delivery, played as Freja Holm (en, Europe/Copenhagen) in the shop Nordlys.",
        "── Thursday 26 November 2026, 08:30 ──",
        "   1 [👍 Yes]  2 [🤔 Not quite]  3 [📦 Not here yet]",
        "   why: 2d after order.delivered (Mon 23 Nov 21:30); quiet hours of the customer until Thu 26 Nov 08:30",
        "   Sun 29 Nov 2026 08:30  a reminder, if nobody answers",
        "👤 taps [🤔 Not quite]",
        "   ▪ case for team wine (promise)",
        "👤 “One bottle had leaked”",
        "🧑‍🔧 remedy: refund – we paid it back",
        "   ▪ case is remedied",
        "   why: 1bd after remedy.done (Fri 27 Nov 09:00)",
    ):
        assert line in shown
    assert "event: 'order.eaten' is none; there are order.placed" in shown
    assert re.search(r"there is no button 'Perhaps' → there are: .*\[👍 Yes\]", shown)
    assert shown.index("Thursday 26 November") < shown.index("tomorrow 9:00") < shown.index("You told us")


def test_a_play_takes_customer_language_zone_and_product(type_: Terminal) -> None:
    """Options choose who plays: their language, their night, what they bought and how soon it is used."""
    options = ("--locale", "da", "--zone", "America/New_York", "--tag", "dress", "--first-use-after", "3d")
    options += ("--start", "2026-11-23 22:00", "--event", "order.delivered")
    answer = type_("flows", "play", "after_first_use", *options, stdin="next\n3\n")
    assert answer.code == 0, answer.err
    assert "(da, America/New_York)" in answer.out
    assert "Har du prøvet det" in answer.out
    assert "── Friday 27 November 2026, 08:30 ──" in answer.out
    assert "3d (first_use_after) after order.delivered (Mon 23 Nov 22:00); quiet hours of the customer" in answer.out
    assert "case for team fashion (quality, product)" in answer.out


def test_a_flow_after_a_remedy_begins_with_one(type_: Terminal) -> None:
    """What starts on a remedy is played from a case that got one."""
    answer = type_("flows", "play", "after_remedy", stdin="next\n")
    assert "case is remedied" in answer.out
    assert "Is it right now?" in answer.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--start", "soon"), "'soon' is not a moment; write +2d"),
        (("--zone", "Mars/North"), "--start or --zone"),
        (("--consents", "maybe"), "'maybe' is none of all, service, none, unlinked"),
        (("--with", "after_all"), "there is no flow 'after_all'"),
    ],
)
def test_options_that_cannot_be_are_refused(type_: Terminal, options: tuple[str, str], said: str) -> None:
    """A wrong option is told in a sentence, never a stack trace."""
    answer = type_("flows", "play", "after_delivery", *options, stdin="next\n")
    assert answer.code != 0
    assert said in answer.err + answer.out
    assert "Traceback" not in answer.err + answer.out


def test_what_was_played_becomes_a_test(type_: Terminal) -> None:
    """A recorded play passes as a test; a second one goes behind the first; and it fails once the flow changes."""
    folder = own_flows(type_, "after_delivery", "after_remedy")
    tests = folder / "after_delivery.tests.yaml"
    tests.unlink()
    options = ("--dir", str(folder), "--record", str(tests))
    for number, stdin in enumerate(("next\ntap Yes\n+1h\nnext\ntap unclear\n+40d\n", PLAY), 1):
        answer = type_("flows", "play", "after_delivery", "--with", "all", *options, stdin=stdin)
        assert answer.code == 0, answer.err
        assert f"Recorded as the test played_{number}" in answer.out
    assert type_("flows", "test", "after_delivery", "--dir", str(folder)).code == 0
    change(folder / "after_delivery.yaml", "Was everything as we promised?", "Was it all as we promised?")
    answer = type_("flows", "test", "after_delivery", "--dir", str(folder))
    assert answer.code == 1
    assert "played_1: something else was said" in answer.out


def test_a_recording_never_spoils_a_file(type_: Terminal) -> None:
    """Where the test could not be read back, the file stays as it was, and the reason is told."""
    folder = own_flows(type_, "after_delivery")
    tests = folder / "after_delivery.tests.yaml"
    tests.write_text(tests.read_text(encoding="utf-8") + "given: {}\n", encoding="utf-8")
    before = tests.read_bytes()
    answer = type_("flows", "play", "after_delivery", "--record", str(tests), stdin="next\n")
    assert answer.code == 2
    assert "the test was not written" in answer.err
    assert tests.read_bytes() == before


# graph


def test_a_flow_is_drawn_as_mermaid_or_picture(type_: Terminal) -> None:
    """Mermaid goes to stdout and nothing else with it; a picture goes into the file, in the language asked for."""
    answer = type_("flows", "graph", "after_delivery")
    assert answer.out.startswith("flowchart TD\n")
    assert type_("flows", "graph", "after_delivery", "--mermaid").out == answer.out
    answer = type_("flows", "graph", "after_first_use", "--svg", "flow.svg", "--language", "da")
    assert answer.code == 0
    svg = (type_.folder / "flow.svg").read_text(encoding="utf-8")
    ET.fromstring(svg)  # noqa: S314 - our own
    assert "Har du prøvet" in svg
    answer = type_("flows", "graph", "after_first_use", "--svg", "nowhere/flow.svg")
    assert answer.code == 2
    assert "cannot be written" in answer.err


def test_a_flow_of_twenty_steps_is_drawn_without_overlaps(type_: Terminal) -> None:
    """A long flow stays legible: no card covers another, and the picture is not wider than a page can show."""
    folder = type_.folder / "long"
    folder.mkdir()
    steps = "\n".join(
        f"  step_{n}: {{ ask: {{ en: Question {n} }}, choices: {{ yes: {{ label: 'Yes', next: step_{n + 1} }}, "
        f"no: {{ label: 'No', next: step_{min(n + 3, 20)} }} }} }}"
        for n in range(1, 20)
    )
    text = f"flow: long\npurpose: service\nstart: {{ on: order.delivered }}\nsteps:\n{steps}\n  step_20: {{ end: answered }}\n"
    (folder / "long.yaml").write_text(text, encoding="utf-8")
    assert type_("flows", "graph", "long", "--svg", "long.svg", "--dir", str(folder)).code == 0
    root = ET.fromstring((type_.folder / "long.svg").read_text(encoding="utf-8"))  # noqa: S314 - our own
    cards = [
        tuple(float(each.attrib[name]) for name in ("x", "y", "width", "height"))
        for each in root.iter("{http://www.w3.org/2000/svg}rect")
        if each.attrib.get("rx") == "8"
    ]
    assert len(cards) == 19
    for n, (x, y, width, height) in enumerate(cards):
        for other_x, other_y, other_width, other_height in cards[:n]:
            apart_x = x + width < other_x or other_x + other_width < x
            assert apart_x or y + height < other_y or other_y + other_height < y
    assert float(root.attrib["width"]) < 1600
