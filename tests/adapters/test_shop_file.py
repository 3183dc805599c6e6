"""Opening shop.yaml: what an operator is told when it is not there or not readable."""

from pathlib import Path

import pytest

from bot.adapters.shop_file import default_shop, example_text, read_shop_file, shop_problems
from bot.errors import ConfigurationError, FlowError


def test_a_copy_of_the_example_is_a_shop(tmp_path: Path) -> None:
    """What the operator is told to copy can be used as it is, also where an editor put a byte order mark in front."""
    path = tmp_path / "shop.yaml"
    path.write_text(example_text(), encoding="utf-8-sig")
    assert read_shop_file(path) == default_shop()
    assert shop_problems(path) == []


def test_a_missing_file_says_what_to_copy(tmp_path: Path) -> None:
    """The message names the setting, the place, and the example, which is really there."""
    path = tmp_path / "shop.yaml"
    with pytest.raises(ConfigurationError) as raised:
        read_shop_file(path)
    assert raised.value.variable == "SHOP_FILE"
    example = str(raised.value).partition("copy ")[2].partition(" to ")[0]
    assert Path(example).read_text(encoding="utf-8") == example_text()


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    """A folder, or text that is not UTF-8, is the operator's to mend: no stack trace."""
    (tmp_path / "latin.yaml").write_bytes("name: Blåbær".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read_shop_file(tmp_path / "latin.yaml")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_shop_file(tmp_path)


def test_a_mistake_names_the_file(tmp_path: Path) -> None:
    """A wrong file is refused with its own path, line and column."""
    path = tmp_path / "shop.yaml"
    path.write_text("nam: x\n", encoding="utf-8")
    with pytest.raises(FlowError, match=r"shop\.yaml:1:1: "):
        read_shop_file(path)
    assert len(shop_problems(path)) == 7
