"""`aftersale flows graph`: a flow as Mermaid text, or as an SVG picture."""

from pathlib import Path

from bot.cli.flow_opening import open_flows
from bot.cli.terminal import say
from bot.errors import ConfigurationError
from bot.flows.mermaid import mermaid
from bot.flows.picture import picture
from bot.flows.sketch import languages_of


def draw_flow(name: str, folder: Path | None, svg: Path | None, language: str | None) -> None:
    """Draw a flow: into the file `svg`, or else as Mermaid text to stdout.

    Raises:
        NotFound: there is no flow of that name.
        ConfigurationError: the file cannot be written.
    """
    flow = open_flows(folder).flow(name)
    languages = languages_of(flow, language)
    if svg is None:
        print(mermaid(flow, languages), end="")
        return
    try:
        svg.write_text(picture(flow, languages), encoding="utf-8")
    except OSError as error:
        problem = f"the picture cannot be written: {error.strerror or error}"
        raise ConfigurationError(str(svg), problem, "name a file in a folder that is there") from error
    say(f"Drew {name} into {svg}; open it in a browser.", "green")
