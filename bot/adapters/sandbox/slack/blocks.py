"""What Slack accepts as blocks, messages and views, with its wording for what it refuses.

Pure checks over plain JSON. What does not live here: state of any workspace, HTTP, and the
reading of blocks for people (see `rendering`).

Source: https://docs.slack.dev/reference/block-kit/blocks (limits of every block and element).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

Json = dict[str, Any]

MESSAGE_TEXT_MAX_CHARS = 40_000
MESSAGE_BLOCKS_MAX = 50
VIEW_BLOCKS_MAX = 100
# Undocumented; found by others: https://github.com/slackapi/bolt-js/issues/2509
MESSAGE_BLOCKS_TEXT_MAX_CHARS = 13_200
ID_MAX_CHARS = 255
PRIVATE_METADATA_MAX_CHARS = 3_000
TITLE_MAX_CHARS = 24
SECTION_FIELDS_MAX = 10
OPTION_GROUPS_MAX = 100
INPUT_MAX_CHARS = 3_000

PLAIN = ("plain_text",)
ANY_TEXT = ("plain_text", "mrkdwn")

SURFACES: dict[str, frozenset[str]] = {
    "message": frozenset(
        {"actions", "context", "divider", "file", "header", "image", "input"}
        | {"markdown", "rich_text", "section", "table", "video"}
    ),
    "modal": frozenset(
        {"actions", "context", "divider", "header", "image", "input"} | {"rich_text", "section", "video"}
    ),
    "home": frozenset(
        {"actions", "context", "divider", "header", "image", "input"} | {"rich_text", "section", "table", "video"}
    ),
}

BLOCK_KEYS: dict[str, frozenset[str]] = {
    "section": frozenset({"text", "fields", "accessory", "expand"}),
    "header": frozenset({"text", "level"}),
    "divider": frozenset(),
    "context": frozenset({"elements"}),
    "actions": frozenset({"elements"}),
    "image": frozenset({"image_url", "slack_file", "alt_text", "title"}),
    "input": frozenset({"label", "element", "dispatch_action", "hint", "optional"}),
}

CHOOSING = frozenset({"action_id", "confirm", "focus_on_load"})
SELECTING = CHOOSING | {"placeholder", "options", "option_groups"}
ELEMENT_KEYS: dict[str, frozenset[str]] = {
    "button": frozenset({"text", "action_id", "url", "value", "style", "confirm", "accessibility_label"}),
    "static_select": SELECTING | {"initial_option"},
    "multi_static_select": SELECTING | {"initial_options", "max_selected_items"},
    "overflow": frozenset({"action_id", "options", "confirm"}),
    "checkboxes": CHOOSING | {"options", "initial_options"},
    "radio_buttons": CHOOSING | {"options", "initial_option"},
    "datepicker": CHOOSING | {"placeholder", "initial_date"},
    "timepicker": CHOOSING | {"placeholder", "initial_time", "timezone"},
    "datetimepicker": CHOOSING | {"initial_date_time"},
    "plain_text_input": frozenset(
        {"action_id", "initial_value", "multiline", "min_length", "max_length"}
        | {"placeholder", "focus_on_load", "dispatch_action_config"}
    ),
}
OPTIONS_MAX = {
    "static_select": 100,
    "multi_static_select": 100,
    "overflow": 5,
    "checkboxes": 10,
    "radio_buttons": 10,
}
PICKERS = frozenset(
    {"users_select", "conversations_select", "channels_select"}
    | {"external_select", "multi_users_select", "multi_conversations_select"}
    | {"multi_channels_select", "multi_external_select"}
)
TYPED = frozenset({"number_input", "email_text_input", "url_text_input", "rich_text_input", "file_input"})
INTERACTIVE = (frozenset(ELEMENT_KEYS) | PICKERS) - {"plain_text_input"}
INPUTS = ((frozenset(ELEMENT_KEYS) | PICKERS) - {"button", "overflow"}) | TYPED

VIEW_KEYS = frozenset(
    {"type", "title", "blocks", "close", "submit", "private_metadata", "callback_id"}
    | {"clear_on_close", "notify_on_close", "external_id", "submit_disabled"}
)


def message_problems(blocks: object) -> list[str]:
    """Return what Slack would say against these blocks of a message; empty when accepted."""
    check = _Check("message")
    check.blocks(blocks, "/blocks", MESSAGE_BLOCKS_MAX)
    return check.problems


def view_problems(view: object) -> list[str]:
    """Return what Slack would say against this view; empty when accepted."""
    if not isinstance(view, dict):
        return ["[ERROR] must be an object [json-pointer:/view]"]
    kind = view.get("type")
    if kind not in {"modal", "home"}:
        return [f"[ERROR] unsupported type: {kind} [json-pointer:/view/type]"]
    check = _Check(str(kind))
    check.view(view)
    return check.problems


def blocks_text_chars(blocks: Sequence[Json]) -> int:
    """Return how many characters of text the blocks hold together."""
    return sum(len(text) for text in _texts(list(blocks)))


def completed(blocks: Sequence[Json], new_id: Callable[[], str]) -> list[Json]:
    """Return the blocks as Slack stores them: every block and element bears an id."""
    return [_complete_block(block, new_id) for block in blocks]


def _complete_block(block: Json, new_id: Callable[[], str]) -> Json:
    done: Json = _complete_texts(block)
    done["block_id"] = block.get("block_id") or new_id()
    for element in elements_of(done):
        if element.get("type") not in {"image", *ANY_TEXT}:
            element["action_id"] = element.get("action_id") or new_id()
    return done


def _complete_texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_complete_texts(item) for item in value]
    if not isinstance(value, dict):
        return value
    copy = {key: _complete_texts(item) for key, item in value.items()}
    if copy.get("type") == "plain_text":
        copy.setdefault("emoji", True)
    elif copy.get("type") == "mrkdwn" and isinstance(copy.get("text"), str):
        copy.setdefault("verbatim", False)
    return copy


def elements_of(block: Json) -> list[Json]:
    """Return the elements that stand in one block: its own, its accessory, its input."""
    if block.get("type") == "rich_text":
        return []
    found = [*(block.get("elements") or []), block.get("accessory"), block.get("element")]
    return [element for element in found if isinstance(element, dict)]


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "text" and isinstance(item, str):
                yield item
            else:
                yield from _texts(item)


class _Check:
    """One pass over one message or view; problems gather in Slack's own words."""

    def __init__(self, surface: str) -> None:
        self.surface = surface
        self.problems: list[str] = []
        self._block_ids: set[str] = set()

    def say(self, what: str, where: str) -> None:
        self.problems.append(f"[ERROR] {what} [json-pointer:{where}]")

    def view(self, view: Json) -> None:
        self._known_keys(view, VIEW_KEYS, "/view")
        self._longest(view, "private_metadata", PRIVATE_METADATA_MAX_CHARS, "/view")
        self._longest(view, "callback_id", ID_MAX_CHARS, "/view")
        self._longest(view, "external_id", ID_MAX_CHARS, "/view")
        self.blocks(view.get("blocks"), "/view/blocks", VIEW_BLOCKS_MAX)
        if self.surface == "home":
            return
        self.text(view, "title", TITLE_MAX_CHARS, "/view")
        for name in ("submit", "close"):
            if name in view:
                self.text(view, name, TITLE_MAX_CHARS, "/view")
        has_input = any(_type(block) == "input" for block in view.get("blocks") or [])
        if has_input and "submit" not in view:
            self.say("missing required field: submit", "/view")

    def blocks(self, blocks: object, where: str, most: int) -> None:
        if not isinstance(blocks, list):
            self.say("must be an array", where)
            return
        if len(blocks) > most:
            self.say(f"no more than {most} items allowed", where)
        for index, block in enumerate(blocks):
            self._block(block, f"{where}/{index}")

    def _block(self, block: object, where: str) -> None:
        kind = _type(block)
        if not isinstance(block, dict) or kind not in SURFACES[self.surface]:
            self.say(f"unsupported type: {kind}", f"{where}/type")
            return
        self._longest(block, "block_id", ID_MAX_CHARS, where)
        self._block_id_is_new(block, where)
        if kind in BLOCK_KEYS:
            self._known_keys(block, BLOCK_KEYS[kind] | {"type", "block_id"}, where)
        check = _BLOCK_CHECKS.get(kind)
        if check is not None:
            check(self, block, where)
        self._action_ids_differ(block, where)

    def _block_id_is_new(self, block: Json, where: str) -> None:
        block_id = block.get("block_id")
        if isinstance(block_id, str) and block_id in self._block_ids:
            self.say(f"block_id {block_id} already exists", f"{where}/block_id")
        elif isinstance(block_id, str):
            self._block_ids.add(block_id)

    def _action_ids_differ(self, block: Json, where: str) -> None:
        # Unique within its block: the answer is keyed by block and action together.
        ids = [element["action_id"] for element in elements_of(block) if "action_id" in element]
        for action_id in {i for i in ids if ids.count(i) > 1}:
            self.say(f"action_id {action_id} already exists", where)

    def section(self, block: Json, where: str) -> None:
        if "text" not in block and not block.get("fields"):
            self.say("missing required field: text", where)
        if "text" in block:
            self.text(block, "text", 3000, where, ANY_TEXT)
        fields = block.get("fields") or []
        if len(fields) > SECTION_FIELDS_MAX:
            self.say(f"no more than {SECTION_FIELDS_MAX} items allowed", f"{where}/fields")
        for index, field in enumerate(fields):
            self._text_object(field, 2000, f"{where}/fields/{index}", ANY_TEXT)
        if "accessory" in block:
            self._element(block["accessory"], INTERACTIVE | {"image", "workflow_button"}, f"{where}/accessory")

    def header(self, block: Json, where: str) -> None:
        self.text(block, "text", 150, where)

    def context(self, block: Json, where: str) -> None:
        for index, item in enumerate(self._items(block, 10, where)):
            place = f"{where}/elements/{index}"
            if _type(item) == "image":
                self.image(item, place)
            else:
                self._text_object(item, 3000, place, ANY_TEXT)

    def actions(self, block: Json, where: str) -> None:
        for index, item in enumerate(self._items(block, 25, where)):
            self._element(item, INTERACTIVE | {"workflow_button"}, f"{where}/elements/{index}")

    def image(self, block: Json, where: str) -> None:
        if not block.get("alt_text"):
            self.say("missing required field: alt_text", where)
        if not block.get("image_url") and not block.get("slack_file"):
            self.say("missing required field: image_url", where)
        self._longest(block, "image_url", 3000, where)
        self._longest(block, "alt_text", 2000, where)
        if "title" in block:
            self.text(block, "title", 2000, where)

    def input(self, block: Json, where: str) -> None:
        self.text(block, "label", 2000, where)
        if "hint" in block:
            self.text(block, "hint", 2000, where)
        self._element(block.get("element"), INPUTS, f"{where}/element")

    def _items(self, block: Json, most: int, where: str) -> list[Any]:
        items = block.get("elements")
        if not isinstance(items, list) or not items:
            self.say("must provide at least 1 item", f"{where}/elements")
            return []
        if len(items) > most:
            self.say(f"no more than {most} items allowed", f"{where}/elements")
        return items

    def _element(self, element: object, allowed: frozenset[str], where: str) -> None:
        kind = _type(element)
        if not isinstance(element, dict) or kind not in allowed:
            self.say(f"unsupported type: {kind}", f"{where}/type")
            return
        if kind == "image":
            self.image(element, where)
            return
        self._longest(element, "action_id", ID_MAX_CHARS, where)
        if kind in ELEMENT_KEYS:
            self._known_keys(element, ELEMENT_KEYS[kind] | {"type"}, where)
        if "placeholder" in element:
            self.text(element, "placeholder", 150, where)
        if "confirm" in element:
            self._confirmation(element["confirm"], f"{where}/confirm")
        if kind in OPTIONS_MAX:
            self._choices(element, kind, where)
        elif kind == "button":
            self._button(element, where)
        elif kind == "plain_text_input":
            self._text_input(element, where)

    def _button(self, button: Json, where: str) -> None:
        self.text(button, "text", 75, where)
        self._longest(button, "value", 2000, where)
        self._longest(button, "url", 3000, where)
        self._longest(button, "accessibility_label", 75, where)
        if button.get("style", "primary") not in {"primary", "danger"}:
            self.say("must be a valid enum value", f"{where}/style")

    def _text_input(self, element: Json, where: str) -> None:
        for name, least in (("min_length", 0), ("max_length", 1)):
            value = element.get(name, least)
            if not isinstance(value, int) or not least <= value <= INPUT_MAX_CHARS:
                self.say(f"must be between {least} and {INPUT_MAX_CHARS}", f"{where}/{name}")
        longest = min(element.get("max_length", INPUT_MAX_CHARS), INPUT_MAX_CHARS)
        self._longest(element, "initial_value", longest, where)

    def _choices(self, element: Json, kind: str, where: str) -> None:
        options = self._options_of(element, where)
        if not 1 <= len(options) <= OPTIONS_MAX[kind]:
            self.say(f"must have 1 to {OPTIONS_MAX[kind]} items", f"{where}/options")
        kinds = ANY_TEXT if kind in {"checkboxes", "radio_buttons"} else PLAIN
        for index, option in enumerate(options):
            self._option(option, f"{where}/options/{index}", kinds)
        initial = [element["initial_option"]] if "initial_option" in element else []
        initial += element.get("initial_options") or []
        for option in initial:
            if not any(_same_option(option, candidate) for candidate in options):
                self.say("initial option must match an option", where)

    def _options_of(self, element: Json, where: str) -> list[Any]:
        groups = element.get("option_groups") or []
        if len(groups) > OPTION_GROUPS_MAX:
            self.say(f"no more than {OPTION_GROUPS_MAX} items allowed", f"{where}/option_groups")
        for index, group in enumerate(groups):
            self.text(group, "label", 75, f"{where}/option_groups/{index}")
        grouped = [option for group in groups for option in group.get("options") or []]
        return list(element.get("options") or []) or grouped

    def _option(self, option: object, where: str, kinds: tuple[str, ...]) -> None:
        if not isinstance(option, dict):
            self.say("must be an object", where)
            return
        self._known_keys(option, frozenset({"text", "value", "description", "url"}), where)
        self.text(option, "text", 75, where, kinds)
        if "description" in option:
            self.text(option, "description", 75, where, kinds)
        if not option.get("value"):
            self.say("missing required field: value", where)
        self._longest(option, "value", 150, where)

    def _confirmation(self, confirm: object, where: str) -> None:
        if not isinstance(confirm, dict):
            self.say("must be an object", where)
            return
        self.text(confirm, "title", 100, where)
        self.text(confirm, "text", 300, where, ANY_TEXT)
        self.text(confirm, "confirm", 30, where)
        self.text(confirm, "deny", 30, where)

    def text(self, holder: Json, name: str, most: int, where: str, kinds: tuple[str, ...] = PLAIN) -> None:
        if name not in holder:
            self.say(f"missing required field: {name}", where)
        else:
            self._text_object(holder[name], most, f"{where}/{name}", kinds)

    def _text_object(self, value: object, most: int, where: str, kinds: tuple[str, ...]) -> None:
        if not isinstance(value, dict):
            self.say("must be an object", where)
            return
        self._known_keys(value, frozenset({"type", "text", "emoji", "verbatim"}), where)
        if value.get("type") not in kinds:
            self.say(f"unsupported type: {value.get('type')}", f"{where}/type")
        text = value.get("text")
        if not isinstance(text, str) or not text:
            self.say("must be more than 0 characters", f"{where}/text")
        elif len(text) > most:
            self.say(f"must be less than {most + 1} characters", f"{where}/text")

    def _longest(self, holder: Json, name: str, most: int, where: str) -> None:
        value = holder.get(name)
        if value is None:
            return
        if not isinstance(value, str):
            self.say("must be a string", f"{where}/{name}")
        elif len(value) > most:
            self.say(f"must be less than {most + 1} characters", f"{where}/{name}")

    def _known_keys(self, holder: Json, known: frozenset[str], where: str) -> None:
        for key in holder.keys() - known:
            self.say(f"invalid additional property: {key}", where)


_BLOCK_CHECKS: dict[str, Callable[[_Check, Json, str], None]] = {
    "section": _Check.section,
    "header": _Check.header,
    "context": _Check.context,
    "actions": _Check.actions,
    "image": _Check.image,
    "input": _Check.input,
}


def _type(value: object) -> str | None:
    return value.get("type") if isinstance(value, dict) else None


def _same_option(left: object, right: object) -> bool:
    if not isinstance(left, dict) or not isinstance(right, dict):
        return False
    texts = [(option.get("text") or {}).get("text") for option in (left, right)]
    return left.get("value") == right.get("value") and texts[0] == texts[1]
