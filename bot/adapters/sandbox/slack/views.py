"""Modals and home tabs: each person's stack of open views, with what is filled in.

Rules of opening, pushing, updating and closing as Slack has them. No HTTP here.

Source: https://docs.slack.dev/surfaces/modals (three views at most; a hash guards updates).
"""

import copy
import secrets
from collections.abc import Iterator

from bot.adapters.sandbox.slack.blocks import (
    Json,
    completed,
    elements_of,
    view_problems,
)
from bot.adapters.sandbox.slack.workspace import (
    APP_ID,
    BOT_ID,
    TEAM_ID,
    Refused,
    Workspace,
)

STACK_MAX_VIEWS = 3
VALUE_KEYS = {
    "static_select": "selected_option",
    "external_select": "selected_option",
    "radio_buttons": "selected_option",
    "multi_static_select": "selected_options",
    "multi_external_select": "selected_options",
    "checkboxes": "selected_options",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
    "users_select": "selected_user",
    "conversations_select": "selected_conversation",
    "channels_select": "selected_channel",
    "multi_users_select": "selected_users",
    "multi_conversations_select": "selected_conversations",
    "multi_channels_select": "selected_channels",
}


def inputs_of(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Yield `(block, element)` for everything that keeps a value in `state.values`."""
    for block in blocks:
        if block.get("type") in {"input", "actions", "section"}:
            for element in elements_of(block):
                if element.get("type") not in {"button", "overflow", "image"}:
                    yield block, element


def initial_values(blocks: list[Json]) -> Json:
    """Return `state.values` as it stands before anybody filled in anything."""
    values: Json = {}
    for block, element in inputs_of(blocks):
        kind = element["type"]
        key = VALUE_KEYS.get(kind, "value")
        empty: list[Json] | None = [] if key.endswith("s") else None
        initial = element.get(key.replace("selected", "initial"), empty)
        if key == "value":
            initial = element.get("initial_value")
        values.setdefault(block["block_id"], {})[element["action_id"]] = {
            "type": kind,
            key: initial,
        }
    return values


class Views:
    """Every open modal, each person's stack with the newest on top, and the home tabs."""

    def __init__(self, workspace: Workspace) -> None:
        self.stacks: dict[str, list[Json]] = {}
        self.homes: dict[str, Json] = {}
        self._workspace = workspace

    def top(self, person_id: str) -> Json | None:
        """Return the view that this person sees, or None."""
        stack = self.stacks.get(person_id)
        return stack[-1] if stack else None

    def open(self, person_id: str, definition: object) -> Json:
        """Open a modal in place of whatever is open."""
        view = self._made(definition, "modal")
        self.stacks[person_id] = [view]
        self._workspace.changed()
        return view

    def push(self, person_id: str, definition: object) -> Json:
        """Put a modal on top of the open one.

        Raises:
            Refused: Three are open (`push_limit_reached`), or none (`not_found`).
        """
        stack = self.stacks.get(person_id) or []
        if not stack:
            raise Refused("not_found")
        if len(stack) >= STACK_MAX_VIEWS:
            raise Refused("push_limit_reached")
        view = self._made(definition, "modal")
        view["root_view_id"] = stack[0]["id"]
        view["previous_view_id"] = stack[-1]["id"]
        stack.append(view)
        self._workspace.changed()
        return view

    def update(self, view: Json, definition: object) -> Json:
        """Give an open view new content; it keeps its id and what was typed into like fields."""
        new = self._made(definition, str(view["type"]), replaces=view)
        kept = {name: view[name] for name in ("id", "root_view_id", "previous_view_id")}
        typed = view["state"]["values"]
        for block_id, actions in new["state"]["values"].items():
            for action_id, value in actions.items():
                old = typed.get(block_id, {}).get(action_id)
                if old is not None and old["type"] == value["type"]:
                    actions[action_id] = old
        view.clear()
        view.update(new | kept)
        self._workspace.changed()
        return view

    def publish(self, person_id: str, definition: object, view_hash: str | None) -> Json:
        """Set the home tab of one person.

        Raises:
            Refused: `hash_conflict` when it changed meanwhile.
        """
        home = self.homes.get(person_id)
        if home is not None and view_hash and home["hash"] != view_hash:
            raise Refused("hash_conflict")
        if home is None:
            home = self.homes[person_id] = self._made(definition, "home")
            self._workspace.changed()
            return home
        return self.update(home, definition)

    def find(self, view_id: str | None, external_id: str | None) -> Json:
        """Return an open view.

        Raises:
            Refused: `not_found` when nobody has it open.
        """
        for stack in [*self.stacks.values(), list(self.homes.values())]:
            for view in stack:
                if view["id"] == view_id or (external_id and view["external_id"] == external_id):
                    return view
        raise Refused("not_found")

    def close(self, person_id: str, view_id: str) -> None:
        """Close one view if it is still open; those below it come to light."""
        stack = self.stacks.get(person_id, [])
        self.stacks[person_id] = [view for view in stack if view["id"] != view_id]
        self._workspace.changed()

    def clear(self, person_id: str) -> None:
        """Close everything that this person has open."""
        self.stacks.pop(person_id, None)
        self._workspace.changed()

    def _made(self, definition: object, kind: str, replaces: Json | None = None) -> Json:
        problems = view_problems(definition)
        if isinstance(definition, dict) and definition.get("type") != kind and not problems:
            problems = [f"[ERROR] must be of type {kind} [json-pointer:/view/type]"]
        if problems or not isinstance(definition, dict):
            raise Refused("invalid_arguments", problems)
        external_id = definition.get("external_id") or ""
        if external_id and any(
            view["external_id"] == external_id and view is not replaces
            for stack in self.stacks.values()
            for view in stack
        ):
            raise Refused("duplicate_external_id")
        blocks = completed(copy.deepcopy(definition["blocks"]), self._workspace.new_id)
        view_id = self._workspace.new_id("V")
        return {
            "id": view_id,
            "team_id": TEAM_ID,
            "type": kind,
            "blocks": blocks,
            "private_metadata": definition.get("private_metadata") or "",
            "callback_id": definition.get("callback_id") or "",
            "state": {"values": initial_values(blocks)},
            "hash": f"{self._workspace.new_ts()}.{secrets.token_hex(4)}",
            "title": definition.get("title"),
            "clear_on_close": bool(definition.get("clear_on_close")),
            "notify_on_close": bool(definition.get("notify_on_close")),
            "close": definition.get("close"),
            "submit": definition.get("submit"),
            "previous_view_id": None,
            "root_view_id": view_id,
            "app_id": APP_ID,
            "external_id": external_id,
            "app_installed_team_id": TEAM_ID,
            "bot_id": BOT_ID,
        }
