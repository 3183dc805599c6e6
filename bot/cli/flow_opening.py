"""Which flows, which shop: what the commands that try flows out begin with. No database, nobody is talked to."""

from pathlib import Path

from bot.adapters.flow_files import FlowFiles
from bot.adapters.shop_file import default_shop, read_shop_file
from bot.app.drafts import Drafts
from bot.cli.terminal import remark
from bot.settings import Settings


def open_flows(folder: Path | None) -> Drafts:
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
        return Drafts(flow_files, default_shop(), None)
    if settings.shop_file.exists():
        return Drafts(flow_files, read_shop_file(settings.shop_file), folder)
    remark(f"There is no {settings.shop_file}: the flows are tried in the shop of the shipped example.", "dim")
    return Drafts(flow_files, default_shop(), folder)
