"""Finding and opening shop.yaml. What it may hold is `bot.desk.shop_yaml`'s."""

from importlib.resources import files
from pathlib import Path

from bot.desk.shop import Shop
from bot.desk.shop_yaml import parse_shop, read_shop
from bot.errors import ConfigurationError, FlowError

_EXAMPLE = files("bot.desk") / "shop.example.yaml"


def read_shop_file(path: Path) -> Shop:
    """Read the shop's own file.

    Raises:
        ConfigurationError: there is no such file, or it cannot be read; tells where the example to copy is.
        FlowError: the first thing in it that will not do, with line and column.
    """
    return parse_shop(_text_of(path), file=str(path))


def shop_problems(path: Path) -> list[FlowError]:
    """List all that is wrong in the shop's own file; an empty list where it is good.

    Raises:
        ConfigurationError: there is no such file, or it cannot be read.
    """
    return read_shop(_text_of(path), str(path))[1]


def default_shop() -> Shop:
    """Give the shop of the shipped example: what the demo plays in."""
    return parse_shop(example_text(), file="shop.example.yaml")


def example_text() -> str:
    """Give the shipped, commented example as it stands."""
    return _EXAMPLE.read_text(encoding="utf-8")


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        problem = f"there is no file {path}"
        raise ConfigurationError("SHOP_FILE", problem, f"copy {_EXAMPLE} to {path} and change it") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError("SHOP_FILE", f"{path} is not UTF-8 text", "save it as UTF-8") from error
    except OSError as error:
        problem = f"{path} cannot be read ({error.strerror})"
        raise ConfigurationError("SHOP_FILE", problem, "look at its place and permissions") from error
