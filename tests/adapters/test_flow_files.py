"""Flows from files: last good versions, doubles, phrases."""

import os
from pathlib import Path

import pytest

from bot.adapters.flow_files import FlowFiles
from bot.errors import ConfigurationError
from bot.flows.phrases import PHRASES, read_phrases
from bot.flows.render import render

GOOD = """\
flow: {name}
purpose: service
start: {{ on: order.placed }}
steps:
  a: {{ say: "{text}" }}
"""


def write(folder: Path, file: str, text: str) -> None:
    """Write a file so that its stamp surely changes, however coarse the clock of the file system is."""
    path = folder / file
    stamp = path.stat().st_mtime_ns + 1_000_000_000 if path.exists() else None
    path.write_text(text, "utf-8")
    if stamp is not None:
        os.utime(path, ns=(stamp, stamp))


def loaded(folder: Path) -> FlowFiles:
    source = FlowFiles(folder)
    source.load()
    return source


def own(source: FlowFiles) -> list[str]:
    """Give the flows of the folder: the shipped question after a remedy stands beside them."""
    return [name for name in source.flows if name != "after_remedy"]


def test_a_folder_without_a_question_after_a_remedy_gets_the_shipped_one(tmp_path: Path) -> None:
    """Without a flow that begins on remedy.done no case could ever end; an own one takes its place."""
    write(tmp_path, "good.yaml", GOOD.format(name="good", text="x"))
    source = loaded(tmp_path)
    assert sorted(source.flows) == ["after_remedy", "good"]
    write(tmp_path, "mine.yaml", GOOD.format(name="mine", text="x").replace("order.placed", "remedy.done"))
    source.reload_if_changed()
    assert sorted(source.flows) == ["good", "mine"]


def test_a_version_that_was_good_before_the_start_stands_in_for_a_broken_file(tmp_path: Path) -> None:
    """Started with a file that will not do, the newest kept version of its flow is used, and the error stands."""
    write(tmp_path, "kept.yaml", "flow: [")
    source = loaded(tmp_path)
    assert own(source) == []
    before = FlowFiles()
    before.load()
    source.stand_in({"after_delivery": before.flows["after_delivery"]})
    assert own(source) == ["after_delivery"]
    assert source.errors


def test_the_shipped_library_serves_without_a_folder() -> None:
    """Without a folder the four shipped flows are there, and every sentence in English and Danish."""
    source = FlowFiles()
    source.load()
    assert len(source.flows) == 4
    assert set(source.phrases) == set(PHRASES)
    assert all({"en", "da"} <= set(texts) for texts in source.phrases.values())
    assert source.reload_if_changed() == []


def test_the_last_good_version_stays(tmp_path: Path) -> None:
    """An edit that breaks a flow is told with its place, and the flow goes on as it was; the mended one takes over."""
    write(tmp_path, "a.yaml", GOOD.format(name="a", text="one"))
    source = loaded(tmp_path)
    before = source.flows["a"]
    write(tmp_path, "a.yaml", GOOD.format(name="a", text="two").replace("say:", "sya:"))
    errors = source.reload_if_changed()
    assert [(error.file, error.line) for error in errors] == [("a.yaml", 5)]
    assert source.flows["a"] == before
    assert source.errors == errors
    assert source.reload_if_changed() == []
    assert source.errors == errors
    write(tmp_path, "a.yaml", GOOD.format(name="a", text="two"))
    assert source.reload_if_changed() == []
    assert source.errors == []
    assert source.flows["a"].version != before.version


def test_a_text_that_cannot_be_rendered_is_refused(tmp_path: Path) -> None:
    """A flow whose texts name what is not there is not used."""
    write(tmp_path, "a.yaml", GOOD.format(name="a", text="Hi {{ custmer.name }}"))
    source = loaded(tmp_path)
    assert own(source) == []
    assert "custmer" in source.errors[0].reason


def test_one_bad_file_does_not_keep_the_others_away(tmp_path: Path) -> None:
    """At the first load the good flows serve and the bad ones are told: no YAML, no text, no flow."""
    write(tmp_path, "good.yml", GOOD.format(name="good", text="x"))
    write(tmp_path, "bad.yaml", "flow: [")
    (tmp_path / "latin.yaml").write_bytes("flow: blåbær".encode("latin-1"))
    write(tmp_path, "notes.txt", "not a flow")
    source = loaded(tmp_path)
    assert own(source) == ["good"]
    assert [error.file for error in source.errors] == ["bad.yaml", "latin.yaml"]


def test_a_name_belongs_to_whoever_had_it(tmp_path: Path) -> None:
    """A second file with the same name is an error, and does not push the first one out, whatever its own name."""
    write(tmp_path, "b.yaml", GOOD.format(name="same", text="first"))
    source = loaded(tmp_path)
    write(tmp_path, "a.yaml", GOOD.format(name="same", text="second"))
    errors = source.reload_if_changed()
    assert [error.file for error in errors] == ["a.yaml"]
    assert "b.yaml" in errors[0].reason
    assert "first" in source.flows["same"].source


def test_a_removed_file_takes_its_flow_with_it(tmp_path: Path) -> None:
    """What an admin deletes is no longer begun; a folder that vanishes as a whole changes nothing, and is told once."""
    write(tmp_path, "a.yaml", GOOD.format(name="a", text="x"))
    write(tmp_path, "b.yaml", GOOD.format(name="b", text="x"))
    source = loaded(tmp_path)
    (tmp_path / "b.yaml").unlink()
    assert source.reload_if_changed() == []
    assert own(source) == ["a"]
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    assert len(source.reload_if_changed()) == 1
    assert source.reload_if_changed() == []
    assert own(source) == ["a"]
    moved.rename(tmp_path)
    assert source.reload_if_changed() == []
    assert source.errors == []


def test_a_folder_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    """A wrong FLOWS_DIR is the operator's to mend, by name."""
    with pytest.raises(ConfigurationError, match="FLOWS_DIR"):
        FlowFiles(tmp_path / "nowhere").load()


def test_own_sentences_replace_the_shipped_ones_one_by_one(tmp_path: Path) -> None:
    """A shop may say one thing its own way; a bad sentence is told and the last good one stays."""
    write(tmp_path, "phrases.yaml", "tap_thanks: { en: Cheers! }\n")
    source = loaded(tmp_path)
    assert source.phrases["tap_thanks"] == {"en": "Cheers!"}
    assert source.phrases["help"]["da"]
    write(tmp_path, "phrases.yaml", "tap_thanks: { en: 'Hi {{ stuff }}' }\ntap_thank: x\n")
    errors = source.reload_if_changed()
    assert ["stuff" in str(errors[0]), "did you mean 'tap_thanks'?" in str(errors[1])] == [True, True]
    assert source.phrases["tap_thanks"] == {"en": "Cheers!"}


@pytest.mark.parametrize("text", ["", "- a", "help: [x]", "help: ''", "help: { en: { x: y } }", "a: [", "\x00"])
def test_sentences_that_are_none_are_refused(text: str) -> None:
    """Whatever stands in the file, reading it gives errors and never raises."""
    found, errors = read_phrases(text, "phrases.yaml")
    assert found == {}
    assert errors


def test_the_bot_says_that_it_is_one_and_when_a_person_answers() -> None:
    """The first words name the shop and the bot and the way out; the acknowledgement names the time."""
    source = FlowFiles()
    source.load()
    context = {"shop": {"name": "Vinhuset"}, "case": {"due_at": "2026-11-23T09:00:00+00:00"}}
    for language, bot, by in (("en", "bot of Vinhuset", "at 10:00"), ("da", "botten fra Vinhuset", "kl. 10.00")):
        hello = render(source.phrases["hello_consent"], [language], context)
        assert bot in hello
        assert "/stop" in hello
        assert by in render(source.phrases["ack_passed_on"], [language], context, zone="Europe/Copenhagen")
