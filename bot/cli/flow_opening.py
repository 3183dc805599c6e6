"""Which flows, which shop: what the commands that try flows out begin with. No database, nobody is talked to."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from bot.adapters.flow_files import TESTS_SUFFIX, FlowFiles
from bot.adapters.shop_file import default_shop, read_shop_file
from bot.cli.terminal import remark
from bot.desk.shop import Shop
from bot.errors import ConfigurationError, NotFound
from bot.flows.model import Flow
from bot.flows.yaml_tree import did_you_mean
from bot.settings import Settings


@dataclass(frozen=True, slots=True)
class Opened:
    """The flows of a folder (None: the shipped ones), and the shop that they are tried in."""

    flow_files: FlowFiles
    shop: Shop
    folder: Path | None

    def flow(self, name: str) -> Flow:
        """Give a flow.

        Raises:
            NotFound: there is none of that name; the text says which there are.
        """
        found = self.flow_files.flows.get(name)
        if found is None:
            raise NotFound(f"there is no flow {name!r} → {did_you_mean(name, self.flow_files.flows)}")
        return found

    def test_files(self) -> list[tuple[str, str]]:
        """Give name and text of each file of tests, by name.

        Raises:
            ConfigurationError: one of them is not UTF-8, or cannot be read.
        """
        if self.folder is None:
            found: Sequence[tuple[str, bytes]] = [
                (each.name, each.read_bytes())
                for each in files("bot.flows").joinpath("library").iterdir()
                if each.name.endswith(TESTS_SUFFIX)
            ]
        else:
            found = [(str(each), _bytes_of(each)) for each in self.folder.glob(f"*{TESTS_SUFFIX}")]
        return sorted((name, _decoded(name, data)) for name, data in found)


def open_flows(folder: Path | None) -> Opened:
    """Read the flows of `folder`, or else of FLOWS_DIR, or else the shipped ones; a file that is no flow is told of.

    The shipped flows are tried in the shipped example of a shop, so that they behave alike everywhere; others in the
    shop's own, if there is a shop.yaml.

    Raises:
        ConfigurationError, FlowError: the folder or shop.yaml cannot be used; the text says what to do.
    """
    settings = Settings.load()
    folder = folder or settings.flows_dir
    flow_files = FlowFiles(folder)
    flow_files.load()
    for error in flow_files.errors:
        remark(f"! {error}", "red")
    if folder is None:
        return Opened(flow_files, default_shop(), None)
    if settings.shop_file.exists():
        return Opened(flow_files, read_shop_file(settings.shop_file), folder)
    remark(f"There is no {settings.shop_file}: the flows are tried in the shop of the shipped example.", "dim")
    return Opened(flow_files, default_shop(), folder)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(str(path), f"the file cannot be read: {error.strerror or error}") from error


def _decoded(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(name, f"is not UTF-8 (byte {error.start})", "save it as UTF-8") from error
