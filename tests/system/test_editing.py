"""Files of flows under somebody's hands: nobody's work is overwritten, and what is typed is judged before it is saved."""

from pathlib import Path

import pytest

from bot.adapters.shop_file import default_shop
from bot.app.editing import NOT_THERE, ChangedMeanwhile, Workshop, file_of_tests, flow_in
from bot.errors import ConfigurationError, Forbidden, NotFound

FLOW = """flow: mine
purpose: service
start: { on: order.delivered, after: 1d }
steps:
  arrived:
    ask: { en: "Did it come?", da: "Kom den?" }
    choices:
      yes: { label: { en: "Yes", da: "Ja" }, factors: { promise: 1 } }
      no: { label: { en: "No", da: "Nej" }, factors: { promise: 0 }, touchpoint: delivery }
    silence: { after: 7d }
"""
TESTS = """flow: mine
tests:
  happy:
    story:
      - event: order.delivered
      - says: Did it come?
      - tap: "Yes"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.yaml").write_text(FLOW)
    (tmp_path / "mine.tests.yaml").write_text(TESTS)
    return tmp_path


@pytest.fixture
def workshop(folder: Path) -> Workshop:
    return Workshop(folder, default_shop())


def test_what_is_saved_is_the_file(workshop: Workshop, folder: Path) -> None:
    """The file says what was typed, and whoever saved it can go on and save again."""
    opened = workshop.open("mine.yaml")
    saved = workshop.save("mine.yaml", opened.text + "# more\n", opened.stamp)
    assert (folder / "mine.yaml").read_text() == FLOW + "# more\n"
    workshop.save("mine.yaml", FLOW, saved.stamp)
    assert (folder / "mine.yaml").read_text() == FLOW


def test_an_edit_on_disk_meanwhile_is_never_overwritten(workshop: Workshop, folder: Path) -> None:
    """Neither where the file changed, nor where it vanished or came to be since it was opened."""
    opened = workshop.open("mine.yaml")
    (folder / "mine.yaml").write_text(FLOW + "# theirs\n")
    with pytest.raises(ChangedMeanwhile, match=r"mine\.yaml was changed on disk meanwhile; nothing was saved"):
        workshop.save("mine.yaml", FLOW + "# mine\n", opened.stamp)
    assert (folder / "mine.yaml").read_text() == FLOW + "# theirs\n"
    (folder / "mine.yaml").unlink()
    with pytest.raises(ChangedMeanwhile):
        workshop.save("mine.yaml", FLOW, opened.stamp)
    (folder / "new.yaml").write_text("theirs")
    with pytest.raises(ChangedMeanwhile):
        workshop.save("new.yaml", FLOW, NOT_THERE)


def test_line_ends_and_the_mark_at_the_beginning_stay_as_they_were(workshop: Workshop, folder: Path) -> None:
    """An editor that changes every line of a file makes a difference that nobody can read."""
    (folder / "mine.yaml").write_bytes(b"\xef\xbb\xbf" + FLOW.replace("\n", "\r\n").encode())
    opened = workshop.open("mine.yaml")
    assert opened.text == FLOW
    workshop.save("mine.yaml", FLOW + "# more\n", opened.stamp)
    assert (folder / "mine.yaml").read_bytes() == b"\xef\xbb\xbf" + (FLOW + "# more\n").replace("\n", "\r\n").encode()


def test_no_file_outside_the_folder_is_opened_or_written(workshop: Workshop, folder: Path) -> None:
    """Only names of YAML files, without folders."""
    for name in ("../x.yaml", "a/b.yaml", "mine.txt", ".hidden.yaml", ""):
        with pytest.raises(NotFound):
            workshop.open(name)
        with pytest.raises(NotFound):
            workshop.save(name, "x", NOT_THERE)
    assert not (folder.parent / "x.yaml").exists()


def test_a_file_that_is_no_text_is_said_to_be_none(workshop: Workshop, folder: Path) -> None:
    """Opening it would show something else than what it says."""
    (folder / "mine.yaml").write_bytes(b"flow: \xff")
    with pytest.raises(ConfigurationError, match="is not UTF-8"):
        workshop.open("mine.yaml")


def test_the_shipped_flows_are_looked_at_and_not_saved() -> None:
    """They belong to the program; the next upgrade would take the edits away."""
    shipped = Workshop(None, default_shop())
    opened = shipped.open("after_delivery.yaml")
    assert opened.text.startswith("# Two days after the parcel")
    assert "after_delivery.tests.yaml" in shipped.names()
    with pytest.raises(Forbidden, match="not edited in place"):
        shipped.save("after_delivery.yaml", opened.text, opened.stamp)


def test_what_is_typed_is_judged_with_everything_around_it(workshop: Workshop) -> None:
    """Findings of the very check that keeps a flow from being published, at their lines; also names that are taken."""
    drafts = workshop.drafts()
    assert [each for each in workshop.findings("mine.yaml", FLOW, drafts) if each.severity == "error"] == []
    wrong = workshop.findings("mine.yaml", FLOW.replace("touchpoint: delivery", "touchpoint: delivry"), drafts)
    errors = [(each.line, each.message) for each in wrong if each.severity == "error"]
    assert errors == [(9, "the shop knows no touchpoint 'delivry'")]
    twice = next(each for each in workshop.findings("other.yaml", FLOW, drafts) if each.severity == "error")
    assert twice.message == "the flow 'mine' is in mine.yaml already"
    (slip,) = workshop.findings("mine.tests.yaml", TESTS.replace("tap:", "tapp:"), drafts)
    assert slip.line == 7
    (sentence,) = workshop.findings("phrases.yaml", "hello_consnt: Hi\n", drafts)
    assert "did you mean 'hello_consent'?" in sentence.hint


def test_what_is_typed_can_be_tried_before_it_is_saved(workshop: Workshop, folder: Path) -> None:
    """A draft takes the place of its file for tests and plays; the file says what it said."""
    typed = {"mine.yaml": FLOW.replace("Did it come?", "Is it there?")}
    trials, errors = workshop.drafts(typed).trials("mine")
    assert [each.name for each in trials] == ["happy"]
    assert errors == []
    assert workshop.drafts(typed).flow("mine").steps["arrived"].texts["en"] == "Is it there?"  # type: ignore[union-attr]
    assert workshop.drafts().flow("mine").steps["arrived"].texts["en"] == "Did it come?"  # type: ignore[union-attr]
    typed_test = {"mine.tests.yaml": TESTS.replace("happy", "glad")}
    assert [each.name for each in workshop.drafts(typed_test).trials("mine")[0]] == ["glad"]
    assert (folder / "mine.yaml").read_text() == FLOW


def test_the_flow_in_a_text_is_found_where_there_is_one() -> None:
    """Tests, sentences and broken texts have none."""
    flow = flow_in("mine.yaml", FLOW)
    assert flow is not None
    assert flow.name == "mine"
    assert flow_in("mine.yaml", "flow: x") is None
    assert flow_in("mine.tests.yaml", TESTS) is None
    assert file_of_tests("mine.yaml") == "mine.tests.yaml"
