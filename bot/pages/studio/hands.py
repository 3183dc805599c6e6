"""What the parts of one window of the studio share: the flow, its file as typed, and a word on what came of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nicegui.element import Element

from bot.app.drafts import Drafts
from bot.app.editing import Opened, Workshop
from bot.errors import FollowUpError
from bot.flows.model import Flow
from bot.pages.drawing import put
from bot.pages.frame import Visit


@dataclass(slots=True)
class Hands:
    """One window on one flow.

    `file` is the flow's own, `opened` the one in the editor as it was read, `text` what the editor says now. `flow` is
    the last flow that could be read, `is_readable` whether that is the one as typed. `drafts` are all flows as saved.
    """

    visit: Visit
    workshop: Workshop
    name: str
    file: str
    opened: Opened
    text: str
    drafts: Drafts
    flow: Flow | None = None
    is_readable: bool = True

    @property
    def is_dirty(self) -> bool:
        """Whether something is typed that is not saved."""
        return self.text != self.opened.text

    @property
    def may_save(self) -> bool:
        """Whether whoever looks may save here."""
        return self.workshop.folder is not None and self.visit.visitor.may("admin")

    def typed(self) -> dict[str, str]:
        """Give what is typed and not saved, by file name."""
        return {self.opened.name: self.text} if self.is_dirty else {}

    async def attempt(self, work: Callable[[], Awaitable[object]]) -> bool:
        """Do something, and say what kept it from being done; tells whether it was."""
        try:
            await work()
        except FollowUpError as error:
            self.visit.say(str(error), "bad")
            return False
        return True


class Tabs:
    """Panels of which one is seen. Arrow keys go from tab to tab (studio.js)."""

    def __init__(self, label: str) -> None:
        """Draw the list of tabs here; panels are added to it."""
        self._list = put("div", None, "tabs", role="tablist", aria_label=label)
        self._tabs: dict[str, tuple[Element, Element]] = {}
        self._shown: dict[str, Callable[[], Awaitable[None]]] = {}
        self.chosen = ""

    def add(self, name: str, label: str, panel: Element, shown: Callable[[], Awaitable[None]]) -> None:
        """Add a panel that stands elsewhere; `shown` is called whenever it comes to sight."""
        panel.props.update({"role": "tabpanel", "aria-label": label, "hidden": ""})
        with self._list:
            tab = put("button", label, "tab", type="button", role="tab", aria_selected="false", tabindex="-1")
        tab.props["aria-controls"] = f"c{panel.id}"

        async def press() -> None:
            await self.choose(name)

        tab.on("click", press, args=[])
        self._tabs[name], self._shown[name] = (tab, panel), shown

    async def choose(self, name: str) -> None:
        """Bring a panel to sight."""
        self.chosen = name
        for each, (tab, panel) in self._tabs.items():
            is_chosen = each == name
            tab.props.update({"aria-selected": str(is_chosen).lower(), "tabindex": "0" if is_chosen else "-1"})
            if is_chosen:
                panel.props.pop("hidden", None)
            else:
                panel.props["hidden"] = ""
            tab.update()
            panel.update()
        await self._shown[name]()
