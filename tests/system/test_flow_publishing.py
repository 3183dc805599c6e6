"""`aftersale flows list|diff|publish|restore|move`: what an admin types, and what the terminal answers."""

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from bot.flows.state import Asked, State
from bot.ports.records import Conversation, Customer, Sale
from bot.ports.store import UnitOfWork
from tests.system.terminal import NOW, Answer, Terminal, logs_left_alone

FILE = """\
# The shop's own.
flow: mine
purpose: service
start: { on: order.delivered, after: 1h }
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
TESTS = """\
flow: mine
tests:
  well:
    story:
      - event: order.delivered
      - { says: Was it, at: +1h }
      - tap: Good
      - says: Thanks
"""


@pytest.fixture
def type_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Terminal]:
    """A terminal in a folder with a shop.yaml and one flow of the shop's own."""
    with logs_left_alone():
        terminal = Terminal(tmp_path, monkeypatch, capsys, FLOWS_DIR=str(tmp_path / "flows"))
        (tmp_path / "flows").mkdir()
        (tmp_path / "flows" / "mine.yaml").write_text(FILE, encoding="utf-8")
        yield terminal


def file(type_: Terminal) -> Path:
    return type_.folder / "flows" / "mine.yaml"


def edit(type_: Terminal, before: str, after: str) -> None:
    text = file(type_).read_text(encoding="utf-8")
    assert before in text
    file(type_).write_text(text.replace(before, after, 1), encoding="utf-8")


def fine(answer: Answer) -> str:
    """Give what was written, on one line; the command must have worked."""
    assert answer.code == 0, answer.out + answer.err
    return " ".join(answer.out.split())


def talks(type_: Terminal, *sales: str, step: str = "a") -> None:
    """Let conversations stand on what runs now."""
    with type_.base() as base:
        version = base.flows.heads["mine"].version

        def work(uow: UnitOfWork) -> None:
            for sale in sales:
                uow.put_customer(Customer(f"c-{sale}", "Freja Holm", chat_id=int(sale)))
                uow.put_sale(Sale(sale, f"c-{sale}"))
                state = State("asking", step, turn=1, visits=1, asked=(Asked(1, step),))
                uow.put_conversation(
                    Conversation(f"t{sale}", f"k{sale}", sale, f"c-{sale}", "mine", version, state, NOW)
                )

        base.database.run_now(work)


def test_a_new_admin_sees_what_runs_before_anything_was_published(type_: Terminal) -> None:
    """A fresh folder: each flow runs as its file says, there is nothing to compare, and nobody is frightened."""
    answer = type_("flows", "list")
    assert "mine as its file says" in fine(answer)
    assert "after_remedy as its file says" in fine(answer)
    assert "mine was never published; it runs as mine.yaml says." in fine(type_("flows", "diff", "mine"))
    assert "not in the history yet: the next aftersale run notes it" in fine(type_("flows", "list", "mine"))
    assert type_("flows", "check").out.startswith("1 file: 0 errors")


def test_publishing_asks_first_and_then_says_what_is_so(type_: Terminal) -> None:
    """Without a terminal to ask in and without --yes nothing is published; with it, the history knows who and why."""
    refused = type_("flows", "publish", "mine")
    assert refused.code == 1
    assert "nothing was changed; add --yes" in refused.err
    assert "Published mine v1." in fine(type_("flows", "publish", "mine", "--yes", "--note", "at last", "--by", "ida"))
    assert re.search(r"mine v1 \w+ \d+ \w+ \d{4} \d\d:\d\d ida 0 at last", fine(type_("flows", "list")))
    assert "Nothing to publish: mine says what runs." in fine(type_("flows", "publish", "mine", "--yes"))
    (told,) = type_.json("flows", "list", "mine")
    assert (told["number"], told["how"], told["by"], told["running"]) == (1, "publish", "ida", 0)


def test_an_edit_is_told_shown_and_published(type_: Terminal) -> None:
    """Check and list say that the file is not what runs; the difference is in words; then it runs, and conversations stay."""
    fine(type_("flows", "publish", "--yes"))
    talks(type_, "1001", "1002")
    talks(type_, "1003", step="gone")
    edit(type_, "Was it well?", "How was it?")
    edit(type_, "after: 7d", "after: 5d")
    said = "mine.yaml differs from v1, which is what runs"
    assert said in fine(type_("flows", "check"))
    assert said in fine(type_("flows", "list"))
    assert said in type_("doctor").out
    shown = fine(type_("flows", "diff"))
    assert "mine: v1 → mine.yaml" in shown
    assert "a silence after 1w 5d" in shown
    assert "text (en) - Was it well? + How was it?" in shown
    published = fine(type_("flows", "publish", "--yes"))
    assert (
        "3 conversations stay on v1, 2 could move (not: 1 because its step “gone” is not there any more)." in published
    )
    assert "To move those of v1: aftersale flows move mine --from v1" in published
    assert "3 (and 0" not in fine(type_("flows", "list"))
    assert "0 (and 3 on older versions)" in fine(type_("flows", "list"))
    assert "Every file says what runs." in fine(type_("flows", "diff"))


def test_nothing_is_published_while_the_check_or_a_test_fails(type_: Terminal) -> None:
    """Each refusal has its place; one bad file keeps all of them back; mended, it goes through."""
    fine(type_("flows", "publish", "--yes"))
    (type_.folder / "flows" / "mine.tests.yaml").write_text(TESTS, encoding="utf-8")
    edit(type_, "en: Thanks", "en: Bye")
    answer = type_("flows", "publish", "--yes")
    assert answer.code == 1
    assert re.search(r"mine\.tests\.yaml:8:9: the test well fails: ", answer.out)
    assert "Nothing was published: mend mine first." in answer.out
    edit(type_, "next: b", "next: nowhere")
    for words in (("mine",), ()):
        answer = type_("flows", "publish", *words, "--yes")
        assert answer.code == 1
        assert "mine.yaml:9:77: there is no step 'nowhere'" in answer.out
    assert [each["number"] for each in type_.json("flows", "list", "mine")] == [1]
    edit(type_, "next: nowhere", "next: b")
    edit(type_, "en: Bye", "en: Thanks a lot")
    assert "Published mine v2" in fine(type_("flows", "publish", "--yes"))


def test_a_broken_file_takes_no_flow_out_of_use(type_: Terminal) -> None:
    """A file that cannot be read is no file that is gone, whatever it is called."""
    fine(type_("flows", "publish", "--yes"))
    file(type_).rename(file(type_).with_name("other.yaml"))
    other = file(type_).with_name("other.yaml")
    other.write_text("flow: [", encoding="utf-8")
    answer = type_("flows", "publish", "mine", "--yes")
    assert answer.code == 1
    assert "other.yaml:1" in answer.out
    other.unlink()
    assert "mine has no file any more, and v1 goes on running" in fine(type_("flows", "list"))
    assert "Nothing to publish" in fine(type_("flows", "publish", "--yes"))
    assert "Published mine v2 (out of use)." in fine(type_("flows", "publish", "mine", "--yes"))
    assert "mine out of use" in fine(type_("flows", "list"))
    assert "v3 of mine runs" in fine(type_("flows", "restore", "mine", "v1", "--yes"))
    assert file(type_).read_text(encoding="utf-8") == FILE


def test_an_old_version_is_taken_back_and_the_file_says_it_again(type_: Terminal) -> None:
    """With its comments; and an edit that nobody published is not written over unasked."""
    fine(type_("flows", "publish", "--yes"))
    edit(type_, "Was it well?", "How was it?")
    fine(type_("flows", "publish", "--yes", "--note", "kinder"))
    edit(type_, "# The shop's own.", "# Ours, and kinder.")
    refused = type_("flows", "restore", "mine", "v1", "--yes")
    assert refused.code == 1
    assert "mine.yaml has edits that no version keeps" in refused.err
    assert "Ours, and kinder." in file(type_).read_text(encoding="utf-8")
    edit(type_, "# Ours, and kinder.", "# The shop's own.")
    answer = fine(type_("flows", "restore", "mine", "1", "--yes"))
    assert "mine: v1 comes back as v3, instead of v2" in answer
    assert "text (en) - How was it? + Was it well?" in answer
    assert file(type_).read_text(encoding="utf-8") == FILE
    assert "Every file says what runs." in fine(type_("flows", "diff"))
    history = fine(type_("flows", "list", "mine"))
    assert "taken back; the same as v1; v1 again" in history
    assert "kinder" in history
    assert "Nothing to restore" in fine(type_("flows", "restore", "mine", "v3", "--yes"))
    edit(type_, "Sorry", "Oh no")
    assert "v4 of mine runs" in fine(type_("flows", "restore", "mine", "v2", "--discard-edits", "--yes"))
    assert "Oh no" not in file(type_).read_text(encoding="utf-8")


def test_a_broken_file_is_not_written_over_unasked_either(type_: Terminal) -> None:
    """What stands in it may be an hour's work with one slip."""
    fine(type_("flows", "publish", "--yes"))
    file(type_).write_text("flow: [", encoding="utf-8")
    refused = type_("flows", "restore", "mine", "v1", "--yes")
    assert "edits that no version keeps" in refused.err
    answer = fine(type_("flows", "restore", "mine", "v1", "--yes", "--discard-edits"))
    assert "mine.yaml says the same again; v1 runs on." in answer
    assert [each["number"] for each in type_.json("flows", "list", "mine")] == [1]
    file(type_).write_text(FILE.replace("Thanks", "Bye"), encoding="utf-8")
    fine(type_("flows", "publish", "--yes"))
    file(type_).write_text("flow: [", encoding="utf-8")
    refused = type_("flows", "restore", "mine", "v1", "--yes")
    assert refused.code == 1
    assert "edits that no version keeps" in refused.err
    assert file(type_).read_text(encoding="utf-8") == "flow: ["
    fine(type_("flows", "restore", "mine", "v1", "--yes", "--discard-edits"))
    assert file(type_).read_text(encoding="utf-8") == FILE


def test_conversations_are_moved_one_or_all_and_the_log_knows_it(type_: Terminal) -> None:
    """The difference is shown first; who cannot move stays, with the reason; the story of the sale says who decided."""
    fine(type_("flows", "publish", "--yes"))
    talks(type_, "1001", "1002", "1003")
    talks(type_, "1004", step="gone")
    edit(type_, "Was it well?", "How was it?")
    fine(type_("flows", "publish", "--yes"))
    refused = type_("flows", "move", "mine", "--from", "v1")
    assert refused.code == 1
    assert "Move 3 conversations to v2? → nothing was changed" in refused.err
    assert "+ How was it?" in " ".join(refused.out.split())
    one = fine(type_("flows", "move", "mine", "--from", "v1", "--to", "v2", "--sale", "1001", "--yes", "--by", "ida"))
    assert "Moved 1 conversation from v1 to v2 of mine." in one
    assert "“mine” goes on with v2 instead of v1 (ida decided it)" in type_("sale", "show", "1001").out
    rest = fine(type_("flows", "move", "mine", "--from", "v1", "--yes"))
    assert "2 conversations can move; others stay (1 because its step “gone” is not there any more)." in rest
    assert "Moved 2 conversations from v1 to v2 of mine; 1 conversation stays" in rest
    assert [each["running"] for each in type_.json("flows", "list", "mine")] == [1, 3]
    again = type_("flows", "move", "mine", "--from", "v1", "--yes")
    assert again.code == 1
    assert "0 conversations can move" in again.out


def test_publishing_can_move_at_once(type_: Terminal) -> None:
    """`--move` takes those along who can go on."""
    fine(type_("flows", "publish", "--yes"))
    talks(type_, "1001", "1002")
    edit(type_, "Was it well?", "How was it?")
    assert "Moved 2 conversations from v1 to v2 of mine." in fine(type_("flows", "publish", "--yes", "--move"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("diff", "mien"), "there is no flow 'mien' → did you mean 'mine'?"),
        (("publish", "mien", "--yes"), "there is no flow 'mien' → did you mean 'mine'?"),
        (("restore", "mine", "v7"), "mine has no v7 → it has v1 only; see: aftersale flows list mine"),
        (("restore", "mine", "newest"), "'newest' is no version → write v3"),
        (("diff", "--from", "v1"), "--from and --to are versions of one flow → name it"),
        (("move", "mine", "--from", "v1", "--to", "v1"), "whoever is on v1 of mine is on v1 already"),
        (("move", "mine", "--from", "v1", "--to", "v1", "--sale", "77"), "whoever is on v1 of mine is on v1 already"),
        (("diff", "mine", "--from", "v9"), "mine has no v9"),
        (("list", "mien"), "there is no flow 'mien'"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(type_: Terminal, words: tuple[str, ...], said: str) -> None:
    """A slip of the finger gets the nearest name, or where to look; never a stack trace."""
    fine(type_("flows", "publish", "--yes"))
    answer = type_("flows", *words)
    assert answer.code == 1
    assert said in answer.err


def test_the_shipped_flows_are_published_too_and_nobody_writes_into_the_package(type_: Terminal) -> None:
    """Without a folder of one's own everything works, and what is taken back is taken back in the database alone."""
    type_.set(FLOWS_DIR="")
    before = files("bot.flows").joinpath("library", "on_the_way.yaml").read_text(encoding="utf-8")
    fine(type_("flows", "publish", "on_the_way", "--yes"))
    assert "on_the_way v1" in fine(type_("flows", "list"))
    assert "Nothing to restore" in fine(type_("flows", "restore", "on_the_way", "v1", "--yes"))
    assert files("bot.flows").joinpath("library", "on_the_way.yaml").read_text(encoding="utf-8") == before
