"""What both pages of the studio begin with: the files of flows that this program runs, and its style."""

from nicegui import ui

from bot.app.editing import Workshop
from bot.app.published import PublishedFlows
from bot.pages.frame import VERSION, Visit


def workshop_of(visit: Visit) -> Workshop:
    """Give the files of flows of the program that is looked at."""
    house = visit.world.program.house
    folder = house.flows.folder if isinstance(house.flows, PublishedFlows) else None
    return Workshop(folder, house.shop)


def add_style(visit: Visit) -> None:
    """Have the page look as the studio does."""
    ui.add_head_html(f'<link rel="stylesheet" href="{visit.root}/studio/studio.css?{VERSION}">')
