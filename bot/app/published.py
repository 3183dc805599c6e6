"""Which flows begin new conversations: those of the files, and those that somebody published by hand.

What lives here: putting files and database together, again whenever one of them changes. What must not: the rule itself
(`bot.publishing.in_use`).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from bot import publishing
from bot.adapters.flow_files import FlowFiles
from bot.errors import FlowError, FollowUpError
from bot.flows.model import Flow, Texts
from bot.messages import as_kept
from bot.ports.records import Publication
from bot.ports.store import UnitOfWork
from bot.settings import Settings
from storage.database import open_database, parse_url


class PublishedFlows:
    """A source of flows over `files` and a database; what it shows is replaced whole, as that of the files is."""

    def __init__(self, files: FlowFiles) -> None:
        """Show what the files say, until somebody looks into a database."""
        self._files = files
        self.flows: Mapping[str, Flow] = files.flows
        self.heads: Mapping[str, Publication] = {}
        self._read: dict[tuple[str, str], Flow | None] = {}
        self._shown: tuple[object, object] = (None, None)
        self._taken_up: Mapping[str, Flow] | None = None

    @property
    def phrases(self) -> Mapping[str, Texts]:
        """The bot's own sentences, by name."""
        return self._files.phrases

    @property
    def errors(self) -> list[FlowError]:
        """What is wrong with the files."""
        return self._files.errors

    def unpublished(self) -> list[str]:
        """Say where a file says something else than what runs, and what to do about it."""
        return publishing.unpublished(self._files.flows, self._files.names, self.heads)

    def reload_if_changed(self) -> list[FlowError]:
        """Look at the files again; gives the errors that now stand, if any changed."""
        return self._files.reload_if_changed()

    @property
    def has_changed_files(self) -> bool:
        """Whether the files say something else than when `take_up` last looked."""
        return self._files.flows != self._taken_up

    def look(self, uow: UnitOfWork) -> None:
        """See what is published by now, and show what runs."""
        heads = publishing.heads_of(uow)
        if self._files.errors and self._shown == (None, None):
            # At the first look: a file that cannot be read now was good before the last start.
            kept = {name: flow for name, head in heads.items() if (flow := self._kept(uow, head)) is not None}
            self._files.stand_in(kept)
        shown = (heads, self._files.flows)
        if shown == self._shown:
            return
        by_hand = {name: head for name, head in heads.items() if publishing.is_by_hand(head) and head.version}
        published = {name: flow for name, head in by_hand.items() if (flow := self._kept(uow, head)) is not None}
        flows = publishing.in_use(self._from_files(heads), heads, published)
        if not any(trigger.on == "remedy.done" for flow in flows.values() for trigger in flow.triggers):
            flows = {**flows, **self._files.asking_after_a_remedy}
        self.flows, self.heads, self._shown = MappingProxyType(flows), heads, shown

    def take_up(self, uow: UnitOfWork, now: datetime) -> list[Publication]:
        """Note in the history what runs as the files say, and look. Gives what was new in it.

        Done when the files change, and not whenever the history does: two programs with different files would never
        come to rest.
        """
        self._taken_up = self._files.flows
        taken_up = publishing.take_up(uow, self._from_files(publishing.heads_of(uow)).values(), now)
        self.look(uow)
        return taken_up

    def _from_files(self, heads: Mapping[str, Publication]) -> Mapping[str, Flow]:
        """Give what the files say, less the shipped question after a remedy where a published one takes its place."""
        extra = self._files.asking_after_a_remedy.keys() - self._files.names.keys()
        others = (self._read.get((name, head.version)) for name, head in heads.items() if publishing.is_by_hand(head))
        is_asked = any(trigger.on == "remedy.done" for flow in others if flow for trigger in flow.triggers)
        return {name: flow for name, flow in self._files.flows.items() if not (is_asked and name in extra)}

    def _kept(self, uow: UnitOfWork, head: Publication) -> Flow | None:
        key = (head.flow, head.version)
        if key not in self._read:
            file = self._files.flows.get(head.flow)
            try:
                found = file if file is not None and file.version == head.version else as_kept(uow, *key)
            except FollowUpError:
                found = None
            self._read[key] = found
        return self._read[key]


def published_otherwise(settings: Settings) -> list[str]:
    """Say where a flow's file says something else than what runs, where there is a database to know it from.

    Raises:
        ConfigurationError: the folder of flows is not there, or a database that is there does not answer.
    """
    files = FlowFiles(settings.flows_dir)
    files.load()
    flows = PublishedFlows(files)

    def ask(uow: UnitOfWork) -> list[str]:
        flows.look(uow)
        return flows.unpublished()

    return _asked(settings, ask)


def unreadable_versions(settings: Settings) -> list[str]:
    """Say which versions cannot be read that somebody is on, where there is a database to know it from.

    Raises:
        ConfigurationError: a database that is there does not answer.
    """
    return _asked(settings, publishing.unreadable)


def _asked(settings: Settings, question: Callable[[UnitOfWork], list[str]]) -> list[str]:
    """Ask a database without making or changing one; none, or one whose tables are of another day, knows nothing."""
    location = parse_url(settings.database_url)
    if location.get_backend_name() == "sqlite" and not Path(str(location.database)).exists():
        return []
    database = open_database(settings.database_url)
    try:
        return database.run_now(question) if database.schema_state() in {"current", "ahead"} else []
    finally:
        database.close()
