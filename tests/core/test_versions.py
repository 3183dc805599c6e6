"""Versions: what changes one, what differs between two, who can go on in another, and texts of every earlier form."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import FlowError
from bot.flows.check import check_flow
from bot.flows.differences import FLOW, SENTENCES, Change, difference
from bot.flows.engine import step
from bot.flows.events import Begun, Tapped
from bot.flows.formats import FORMAT, LIFTS, Lift, lift
from bot.flows.model import Flow
from bot.flows.moving import carried_over
from bot.flows.parse import parse_flow, read_flow, version_of
from bot.flows.phrases import spoken_by
from bot.flows.state import Asked, State
from bot.flows.yaml_tree import Mapping, Node, Scalar, Sequence, read_tree
from tests.core.test_engine import NOW

FORMATS = Path(__file__).parent / "formats"
FILES = sorted(FORMATS.glob("*/*.yaml"), key=lambda file: (file.parent.name, file.name))
EVERYTHING = next(FORMATS.glob("2/everything.*.yaml")).read_text(encoding="utf-8")
SAYS = {
    name: {"en": f"The bot says {name}."}
    for name in ("reminder", "ack_passed_on", "ack_noted", "change_answer", "help")
}

TWO = """\
flow: two
purpose: service
start: { on: order.placed }
steps:
  first:
    ask: { en: "Well?", da: "Nå?" }
    choices:
      good: { label: { en: Good, da: Godt }, factors: { promise: 1 }, next: rest }
      bad: { label: { en: Bad, da: Skidt }, factors: { promise: 0 }, next: what }
    remind: { after: 3d }
    silence: { after: 7d, next: end }
  rest: { wait: 2d, next: last }
  what: { ask: { en: "What?", da: "Hvad?" }, next: last, silence: { after: 3d, next: end } }
  last: { say: { en: "Thanks", da: "Tak" } }
"""


def flow(text: str = TWO) -> Flow:
    return parse_flow(text, file="f")


def changed(*pairs: tuple[str, str]) -> Flow:
    text = TWO
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return flow(text)


# -- what changes a version ------------------------------------------------------------------------------------------------


def scalars(node: Node) -> Iterator[Scalar]:
    match node:
        case Scalar():
            yield node
        case Sequence():
            for each in node.items:
                yield from scalars(each)
        case Mapping():
            for entry in node.entries.values():
                yield from scalars(entry.value)


def planted_changes(text: str) -> Iterator[tuple[str, Flow]]:
    """Give the text with one value changed at a time, each in a way that its reader takes."""
    lines = text.splitlines()
    instead: dict[str, str] = {"true": "false", "false": "true", "wine": "beer", "sat": "fri", "stars": "faces"}
    instead |= {"silent": "answered", "review": "referral", "referral": "review", "item": "sku", "promise": "promise"}
    for scalar in scalars(read_tree(text, file="f")):
        line, column = scalar.place.line - 1, scalar.place.column - 1
        for new in (f"{scalar.text}x", f"9{scalar.text}", f"{scalar.text[:-1]}9", instead.get(scalar.text, "end")):
            after = lines[line][:column] + lines[line][column:].replace(scalar.text, new, 1)
            found, _ = read_flow("\n".join([*lines[:line], after, *lines[line + 1 :]]), "f")
            if found is not None and new != scalar.text:
                yield f"{scalar.text} → {new} in line {line + 1}", found


def test_every_change_of_what_a_flow_says_or_does_is_another_version_and_a_difference() -> None:
    """Each value of the whole language is changed in turn: the hash notices, and so does whoever looks at the diff."""
    before = flow(EVERYTHING)
    planted = list(planted_changes(EVERYTHING))
    assert len(planted) > 150
    unseen = [what for what, after in planted if after.version == before.version]
    assert unseen == []
    untold = [what for what, after in planted if not difference(before, after)]
    # Of a flow with another name nobody asks for a difference.
    assert [each for each in untold if not each.startswith("everything")] == []


@pytest.mark.parametrize("name", ["reminder", "ack_passed_on", "change_answer"])
def test_a_sentence_of_the_bot_that_the_flow_speaks_with_is_part_of_its_version(name: str) -> None:
    """A changed reminder or thanks is another version; a sentence that the flow never says is not."""
    one = speaking(flow(), SAYS)
    other = speaking(flow(), {**SAYS, name: {"en": "Otherwise."}})
    assert one.version != other.version
    assert difference(one, other).words == (Change(SENTENCES, name, f"The bot says {name}.", "Otherwise.", "en"),)
    assert speaking(flow(), {**SAYS, "help": {"en": "Otherwise."}}).version == one.version
    mute = flow("flow: f\npurpose: service\nstart: { on: order.placed }\nsteps:\n  a: { say: Hello }\n")
    assert set(spoken_by(mute, SAYS)) == {"ack_passed_on", "ack_noted"}


def speaking(of: Flow, phrases: dict[str, dict[str, str]]) -> Flow:
    told = replace(of, phrases=spoken_by(of, phrases))
    return replace(told, version=version_of(told))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 80), st.sampled_from(["comment", "line", "end", "brackets"])), max_size=12))
def test_comments_and_white_space_are_no_other_version(places: list[tuple[int, str]]) -> None:
    """However a file is commented and spaced, its version stays."""
    lines = EVERYTHING.splitlines()
    for place, what in places:
        at = place % len(lines)
        if what == "comment":
            lines.insert(at, "   # whatever: {")
        elif what == "line":
            lines.insert(at, "")
        elif what == "end":
            lines[at] += "   # said again"
        else:
            lines[at] = lines[at].replace("{ ", "{   ").replace(", ", ",  ") if '"' not in lines[at] else lines[at]
    assert flow("\n".join(lines)).version == flow(EVERYTHING).version


# -- what differs --------------------------------------------------------------------------------------------------------


def test_a_difference_is_told_in_words_and_structure() -> None:
    """What leads where, times and words by language; what stayed is not spoken of."""
    found = difference(
        flow(), changed(("Well?", "All well?"), ("3d }\n    silence: { after: 7d", "4d }\n    silence: { after: 8d"))
    )
    assert found.words == (Change("first", "text", "Well?", "All well?", "en"),)
    assert found.facts == (
        Change("first", "silence after", "1w", "8d"),
        Change("first", "reminder after", "3d", "4d"),
    )
    assert (found.added, found.removed, found.renamed) == ((), (), {})


def test_a_step_under_another_name_is_told_as_renamed() -> None:
    """Neither its words nor what leads to it are told as changed."""
    found = difference(flow(), changed(("what:", "tell_us:"), ("next: what", "next: tell_us")))
    assert found.renamed == {"what": "tell_us"}
    assert (found.words, found.facts, found.added, found.removed) == ((), (), (), ())


def test_steps_that_came_and_went_are_told() -> None:
    """A step that is gone, one that is new, and who leads there now."""
    found = difference(
        flow(), changed(("  rest: { wait: 2d, next: last }\n", "  bye: { end: silent }\n"), ("next: rest", "next: bye"))
    )
    assert (found.added, found.removed) == (("bye",), ("rest",))
    assert Change("first", "“good” leads to", "rest", "bye") in found.facts


def test_another_order_of_buttons_and_of_steps_is_told() -> None:
    """The order in which buttons stand is seen by the customer."""
    good, bad = TWO.splitlines()[7:9]
    found = difference(flow(), flow(TWO.replace(f"{good}\n{bad}", f"{bad}\n{good}")))
    assert found.facts == (Change("first", "buttons, in this order", "good, bad", "bad, good"),)
    last = TWO.splitlines()[-1]
    steps = difference(
        flow(),
        flow(
            TWO.replace(f"\n{last}", "")
            .replace("steps:\n", f"steps:\n{last}\n")
            .replace("placed }", "placed, step: first }")
        ),
    )
    assert [(each.place, each.what) for each in steps.facts] == [(FLOW, "order of steps")]


def test_a_version_does_not_differ_from_itself() -> None:
    """All that there is in the language, compared with itself, gives nothing to tell."""
    assert not difference(flow(EVERYTHING), flow(EVERYTHING))


# -- who can go on -------------------------------------------------------------------------------------------------------

ASKING = State("asking", "first", turn=1, visits=1, asked=(Asked(1, "first"),))
RESTING = State("waiting", "rest", turn=2, visits=2, asked=(Asked(1, "first", answered=True, choice=0),))
WORDS = State(
    "asking",
    "what",
    turn=2,
    visits=2,
    unhappy=True,
    asked=(Asked(1, "first", answered=True, choice=1), Asked(2, "what")),
)


@pytest.mark.parametrize(
    ("state", "new", "why"),
    [
        (ASKING, changed(("  first:", "  begin:")), "its step “first” is not there any more"),
        (ASKING, changed(("Good, da: Godt", "Fine, da: Fint"), ("7d", "9d")), None),
        (ASKING, changed(("      good:", "      fine:")), "“good” is no answer to its question “first” any more"),
        (RESTING, changed(("      good:", "      fine:")), "the answer “good” that was given to “first” is not there any more"),
        (RESTING, changed(("rest: { wait: 2d", "rest: { wait: 9d")), None),
        (RESTING, changed(("rest: { wait: 2d", "rest: { say: Hello")), "its step “rest” is of another kind now"),
        (
            RESTING,
            changed(("rest: { wait: 2d", "rest: { wait: { event: order.returned, at_most: 2d }")),
            "its pause “rest” waits for something else now",
        ),
        (WORDS, changed(('da: "Hvad?" }', 'da: "Hvad?" }, choices: { a: A }')), "its question “what” takes another kind of answer now"),
        (WORDS, changed(("What?", "What was it?")), None),
        (State("finished", "last"), flow(), "it has ended"),
        (State(), flow(), "it has not begun"),
    ],
)  # fmt: skip
def test_a_conversation_moves_only_where_its_open_step_takes_the_same_answer(
    state: State, new: Flow, why: str | None
) -> None:
    """Each reason for which one has to stay; where there is none, it stands as it stood."""
    carried = carried_over(flow(), new, state)
    assert carried == (why or state)


def test_buttons_that_were_sent_keep_what_they_mean() -> None:
    """Other buttons may only come after those that the customer sees: theirs say by their place what they mean."""
    good, bad = TWO.splitlines()[7:9]
    swapped = flow(TWO.replace(f"{good}\n{bad}", f"{bad}\n{good}"))
    more = flow(TWO.replace(bad, f"{bad}\n      so_so: {{ label: So so, next: last }}"))
    assert carried_over(flow(), swapped, ASKING) == "the buttons of its question “first” stand in another order now"
    assert carried_over(flow(), more, ASKING) == ASKING
    # An answer that was given keeps its name, wherever its button stands now.
    moved = carried_over(flow(), swapped, RESTING)
    assert isinstance(moved, State)
    assert moved.asked == (Asked(1, "first", answered=True, choice=1),)


def test_a_question_that_can_still_be_answered_keeps_a_conversation() -> None:
    """Its buttons may be on the screen yet: a late tap must not be lost by moving."""
    late = replace(RESTING, asked=(Asked(1, "first"),))
    gone = changed(("  first:", "  begin:"))
    assert (
        carried_over(flow(), gone, late) == "its question “first”, which can still be answered, is not there any more"
    )


def test_who_was_moved_goes_on_in_the_new_version() -> None:
    """After moving, the customer's tap leads where the new version says."""
    new = changed(("next: what", "next: last"))
    began = step(flow(), State(), Begun("first"), NOW).state
    carried = carried_over(flow(), new, began)
    assert isinstance(carried, State)
    assert step(new, carried, Tapped(1, 1), NOW).state.step == "last"


# -- forms of the language -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_a_text_of_every_earlier_form_is_read_as_it_was_then(file: Path) -> None:
    """Each is read without an error, and means what it meant: the version that its program then gave is in its name."""
    name, version, _ = file.name.split(".")
    read = parse_flow(file.read_text(encoding="utf-8"), file=file.name, written_in=int(file.parent.name))
    assert (read.name, read.version) == (name, version)
    assert [each for each in check_flow(read, file=file.name) if each.severity == "error"] == []


def test_there_are_files_of_every_form() -> None:
    """Whoever adds a form adds files of the one before."""
    assert {int(file.parent.name) for file in FILES} == set(range(1, FORMAT + 1))
    assert set(LIFTS) == set(range(1, FORMAT))


def renaming(old: str, new: str) -> Lift:
    """Make what a form would bring that calls a key otherwise."""

    def rename(tree: Node) -> Node:
        assert isinstance(tree, Mapping)
        return Mapping(tree.place, {new if key == old else key: entry for key, entry in tree.entries.items()})

    return rename


def test_a_text_goes_through_every_form_after_its_own() -> None:
    """A text of the first form is lifted by all steps, a later one by those after it, and the newest by none."""
    lifts: dict[int, Callable[[Node], Node]] = {1: renaming("a", "b"), 2: renaming("b", "c"), 3: renaming("c", "d")}
    tree = {form: read_tree(f"{key}: 1", file="f") for form, key in enumerate("abcd", 1)}
    for form, read in tree.items():
        lifted = lift(read, form, file="f", lifts=lifts)
        assert isinstance(lifted, Mapping)
        assert list(lifted.entries) == ["d"]


@pytest.mark.parametrize("form", [0, FORMAT + 1])
def test_a_form_that_is_not_known_is_an_error_and_no_guess(form: int) -> None:
    """An older program that meets a newer text says so; it does not read half of it."""
    with pytest.raises(FlowError, match=f"form {form} of the flow language"):
        parse_flow(TWO, file="f", written_in=form)
