"""Files of flow tests: what is read from them, and that whatever is wrong is told with its place and the mend."""

import re
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.adapters.flow_files import FlowFiles
from bot.adapters.shop_file import default_shop
from bot.errors import FlowError
from bot.trials.model import Act, CaseStands, Ends, SaleStands, Says, StaffTold, Trial
from bot.trials.parse import Known, read_trials

GOOD = """\
flow: after_delivery
given:
  start: 2026-11-23 10:00
  customer: { locale: da, time_zone: Europe/Copenhagen }
  guards: { quiet_hours: 22:00-07:00, ask_every: 20h }
tests:
  first:
    about: What it shows
    given: { consents: service, sale: { summary: a dress }, flows: [after_remedy] }
    story:
      - event: order.delivered
      - { says: [Hej, "?"], at: +2d, buttons: none }
      - { tap: "Yes", at: tomorrow 9:00 }
      - says_exactly: Tak
      - { send: photo, caption: look }
      - case: { team: wine, factor: promise, cycle: 2 }
      - staff_told: look
      - { remedy: refund, note: paid back }
      - silence: +30d
      - sale: not complete
      - ends: answered
"""


@cache
def known() -> Known:
    flows = FlowFiles()
    flows.load()
    return Known(default_shop(), flows.flows, flows.phrases)


def read(text: str) -> tuple[list[Trial], list[FlowError]]:
    return read_trials(text, "x.tests.yaml", known())


def test_a_file_is_read_as_it_is_meant() -> None:
    """What is given is laid over what the file and the defaults give; each line becomes what it says."""
    (trial,), errors = read(GOOD)
    assert errors == []
    setting = trial.setting
    assert (trial.name, trial.flow, trial.about) == ("first", "after_delivery", "What it shows")
    assert setting.sale["summary"] == "a dress"
    assert setting.sale["customer"] == {
        "id": "c-7",
        "name": "Freja Holm",
        "locale": "da",
        "country": "DK",
        "time_zone": "Europe/Copenhagen",
    }
    assert setting.consents == ("service",)
    assert setting.flows == ("after_remedy",)
    assert setting.guards is not None
    assert f"{setting.guards.quiet_from:%H:%M} {setting.guards.ask_every}" == "22:00 20:00:00"
    lines = [step.line for step in trial.story]
    assert lines[1:] == [
        Says(("Hej", "?"), buttons=()),
        Act("tap", "Yes"),
        Says(("Tak",), exactly=True),
        Act("send", "photo", {"caption": "look"}),
        CaseStands(team="wine", factor="promise", cycle=2),
        StaffTold("look"),
        Act("remedy", "refund", {"note": "paid back"}),
        lines[8],
        SaleStands(complete=False),
        Ends("answered"),
    ]
    assert [step.at.text if step.at else "" for step in trial.story][:3] == ["", "+2d", "tomorrow 9:00"]
    assert trial.story[1].place.line == 12


@pytest.mark.parametrize(
    ("before", "after", "error"),
    [
        ("flow: after_delivery", "flow: after_delivry", "1:7: flow cannot be 'after_delivry' → did you mean 'after_delivery'?"),
        ("flow: after_delivery", "flw: after_delivery", "1:1: a file of tests knows no key 'flw' → did you mean 'flow'?"),
        ("2026-11-23 10:00", "tomorrow", "3:10: start cannot be 'tomorrow' → write +2d, 10:00, tomorrow 9:00"),
        ("2026-11-23 10:00", "10:00", "3:10: start needs a date → for example 2026-11-23 10:00"),
        ("locale: da", "locale: d", "4:15: customer.locale: String should match pattern"),
        ("Europe/Copenhagen", "Europe/Kopenhagen", "4:27: customer.time_zone: 'Europe/Kopenhagen' is not a time zone"),
        ("22:00-07:00", "at night", "5:26: quiet_hours: 'at night' is not a period of the day"),
        ("ask_every: 20h", "ask_every: often", "5:50: ask_every: 'often' is not a length of time"),
        ("tests:", "test:", "6:1: a file of tests knows no key 'test' → did you mean 'tests'?"),
        ("consents: service", "consents: servce", "9:24: consents cannot be 'servce' → did you mean 'service'?"),
        ("[after_remedy]", "[after_all]", "9:69: flows cannot be 'after_all'"),
        ("order.delivered", "order.deliverd", "11:16: event cannot be 'order.deliverd' → did you mean 'order.delivered'?"),
        ("- event:", "- evnt:", "11:9: a line of the story cannot begin with 'evnt' → did you mean 'event'?"),
        ("at: +2d", "at: in two days", "12:33: at cannot be 'in two days' → write +2d, 10:00"),
        ("at: +2d", "att: +2d", "12:29: a line with 'says' knows no key 'att' → did you mean 'at'?"),
        ('tap: "Yes"', 'tap: "Yess"', "13:16: no step has a button 'Yess' → did you mean"),
        ("send: photo", "send: picture", "15:17: send cannot be 'picture'"),
        ("team: wine", "team: vine", "16:23: team cannot be 'vine' → did you mean 'wine'?"),
        ("factor: promise", "factor: promises", "16:37: factor cannot be 'promises' → did you mean 'promise'?"),
        ("remedy: refund", "remedy: refunds", "18:19: remedy cannot be 'refunds' → did you mean 'refund'?"),
        ("sale: not complete", "sale: done", "20:15: sale cannot be 'done'"),
        ("ends: answered", "ends: anwsered", "21:15: ends cannot be 'anwsered' → did you mean 'answered'?"),
        ("- staff_told: look", "- look", "17:9: a line of the story is 'what: …' → for example"),
        ("- { send: photo, caption: look }", "- { says: Hi, you }", "15:21: the text ends at the comma before 'you' → put the whole text in quotes"),
        ("- staff_told: look", "- { tap: easy, write: hi }", "17:9: this line says tap and write → one thing to a line"),
        ("    story:", "    storey:", "10:5: test 'first' knows no key 'storey' → did you mean 'story'?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_place_and_mend(before: str, after: str, error: str) -> None:
    """Each kind of slip is refused at its line and column, with what to write instead; the test does not run."""
    assert before in GOOD
    trials, errors = read(GOOD.replace(before, after, 1))
    assert f"x.tests.yaml:{error}" in "\n".join(map(str, errors))
    assert trials == [] or trials[0].story


def test_all_that_is_wrong_is_told_at_once() -> None:
    """Three slips give three errors, in the order of the file, and the good test beside them is still read."""
    text = GOOD.replace("order.delivered", "order.x").replace("team: wine", "team: x").replace("refund", "x", 1)
    text += "  second: { story: [ { event: order.placed } ] }\n"
    trials, errors = read(text)
    assert [error.line for error in errors] == [11, 16, 18]
    assert [trial.name for trial in trials] == ["second"]


@pytest.mark.parametrize(
    "text", ["", "[]", "flow", "tests: {}", "{ flow: after_delivery, tests: [] }", "a: *b", "\x00", "{"]
)
def test_what_is_no_file_of_tests_is_refused(text: str) -> None:
    """An empty file, a list, an unfinished one: an error with a place, never a stack trace."""
    trials, errors = read(text)
    assert trials == []
    assert errors
    assert all(error.line >= 1 for error in errors)


def library() -> list[str]:
    folder = files("bot.flows").joinpath("library")
    return [one.read_text("utf-8") for one in folder.iterdir() if one.name.endswith(".tests.yaml")]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_mangled_file_ever_raises(data: st.DataObject) -> None:
    """Whatever an editor or a merge made of a file of tests: it is read, or refused with places."""
    text = data.draw(st.sampled_from([GOOD, *library()]))
    lines = text.splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["cut", "double", "indent", "swap", "text"])):
            case "cut":
                lines[place] = lines[place][: data.draw(st.integers(0, 30))]
            case "double":
                lines.insert(place, lines[place])
            case "indent":
                lines[place] = "  " + lines[place]
            case "swap":
                other = data.draw(st.integers(0, len(lines) - 1))
                lines[place], lines[other] = lines[other], lines[place]
            case _:
                lines[place] += data.draw(st.text(max_size=8))
    trials, errors = read("\n".join(lines))
    assert trials or errors
    assert all(error.line >= 1 and error.column >= 1 and error.reason for error in errors)


def test_the_example_of_the_how_to_is_a_file_of_tests() -> None:
    """What docs/howto/try-a-flow.md shows as a file of tests can be read as one."""
    page = (Path(__file__).parents[2] / "docs/howto/try-a-flow.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    trials, errors = read(example)
    assert errors == []
    assert [trial.name for trial in trials] == ["evening_parcel"]
