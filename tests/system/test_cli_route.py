"""`aftersale route explain`: whose an unhappy reply is, and why; for a sale, and for what might be."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.adapters.shop_file import example_text
from tests.databases import SqliteTemplate
from tests.system.terminal import Terminal, event, logs_left_alone

RULES = """
routing:
  - { touchpoint: delivery, tag: wine, team: wine }
"""


@pytest.fixture
def aftersale(
    sqlite_template: SqliteTemplate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Terminal]:
    """A terminal in which one sale of wine was added, in a shop with a rule of its own."""
    with logs_left_alone():
        terminal = Terminal(tmp_path, monkeypatch, capsys, DATABASE_URL=sqlite_template.fresh(tmp_path))
        terminal.keep_flows("after_delivery")
        (tmp_path / "shop.yaml").write_text(example_text() + RULES, encoding="utf-8")
        added = terminal("sale", "add", stdin=json.dumps(event(ago=timedelta(days=3))))
        assert added.code == 0, added.err
        yield terminal


def test_a_sale_is_routed_by_what_was_bought(aftersale: Terminal) -> None:
    """Without an unhappy reply only the tags speak; team, channel, reason and each other rule are shown."""
    told = aftersale("route", "explain", "1001")
    assert told.code == 0, told.err
    assert "wine (#wine)" in told.out
    assert "because: tag wine → wine" in told.out
    assert "nothing that was bought has the tag skincare" in " ".join(told.out.split())


def test_what_if_is_asked_by_options(aftersale: Terminal) -> None:
    """A hypothetical touchpoint meets the shop's own rule, with its line; the same for no sale at all, as JSON."""
    told = json.loads(aftersale("route", "explain", "1001", "--touchpoint", "delivery", "--json").out)
    line = len(
        (example_text() + RULES).splitlines()
    )  # the rule is the last one; the example has a like one in a remark
    assert told["route"]["team"] == "wine"
    assert told["rules"][0]["rule"]["where"] == f"line {line} of shop.yaml"
    assert told["rules"][0]["wins"] is True
    assert told["rules"][1]["why"].endswith("comes before it: it asks for more")
    nobody = json.loads(aftersale("route", "explain", "--touchpoint", "site", "--json").out)
    assert nobody["route"]["team"] == "fallback"


def test_a_broken_promise_is_explained_by_who_made_it(aftersale: Terminal) -> None:
    """A promise of the sale can be supposed to be broken; one that there is not is named."""
    told = aftersale("route", "explain", "1001", "--promise", "p1")
    assert told.code == 0, told.err
    assert "promise made by" in told.out
    missing = aftersale("route", "explain", "1001", "--promise", "p9")
    assert missing.code == 1
    assert "no promise 'p9'" in missing.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("9999",), "there is no sale '9999'"),
        (("--touchpoint", "moon"), "'moon' is not a touchpoint of this shop"),
        (("--factor", "luck"), "'luck' is not a factor of this shop"),
        (("--promise", "p1"), "name the sale, too"),
    ],
)
def test_what_is_not_there_is_said_plainly(aftersale: Terminal, words: tuple[str, ...], said: str) -> None:
    """Nothing is explained about what does not exist."""
    told = aftersale("route", "explain", *words)
    assert told.code == 1
    assert said in told.err
