"""The bot's own sentences: which there are, what each may speak of, and reading them from YAML.

What lives here: the names that the use cases rely on. The sentences themselves are data
(``library/phrases.yaml``); a folder of the shop's own may replace any of them.
"""

from collections.abc import Mapping

from bot.errors import FlowError
from bot.flows.model import Ask, Flow, Texts
from bot.flows.render import faults, pick_language
from bot.flows.yaml_tree import Mapping as Tree
from bot.flows.yaml_tree import Node, Scalar, did_you_mean, read_tree

_TEXT: Mapping[str, tuple[str, ...]] = {"text": ()}

PHRASES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "hello_consent": {},
    "consent_all": {},
    "consent_service": {},
    "consent_none": {},
    "consent_thanks_all": {},
    "consent_thanks_service": {},
    "consent_thanks_none": {},
    "stop_done": {},
    "start_again": {},
    "help": {},
    "privacy": {},
    "link_used": {},
    "link_expired": {},
    "link_unknown": {},
    "not_linked": {},
    "ack_passed_on": {},
    "ack_noted": {},
    "staff_reply": {**_TEXT, "staff": ("name", "answers_within")},
    "reply_by": {},
    "repeated": {},
    "button_old": {},
    "tap_thanks": {},
    "reminder": _TEXT,
    "edited_noted": {},
    "change_answer": {},
    "change_too_late": {},
    "one_more": _TEXT,
    "language_ask": {},
    "language_set": {},
    "words_of_thanks": {},
    "words_of_selling": {},
}
"""Every sentence, with the names that it may use beside those of `bot.flows.render.VARIABLES`."""


def read_phrases(text: str, file: str) -> tuple[dict[str, Texts], list[FlowError]]:
    """Read sentences: return the good ones by name, and an error for each that is not.

    Never raises, whatever the text.
    """
    try:
        tree = read_tree(text, file=file)
    except FlowError as error:
        return {}, [error]
    if not isinstance(tree, Tree):
        return {}, [FlowError("this must be a list of 'name: texts'", file=file)]
    found: dict[str, Texts] = {}
    errors: list[FlowError] = []
    for name, entry in tree.entries.items():
        if name not in PHRASES:
            hint = did_you_mean(name, PHRASES)
            errors.append(_wrong(entry.key, f"there is no sentence {name!r}", file, hint))
            continue
        texts, wrong = _texts(entry.value, PHRASES[name], file)
        errors += wrong
        if texts and not wrong:
            found[name] = texts
    return found, errors


def spoken_by(flow: Flow, phrases: Mapping[str, Texts]) -> dict[str, Texts]:
    """Return the sentences that conversations of `flow` say themselves: part of its version, as its texts are."""
    asks = [step for step in flow.steps.values() if isinstance(step, Ask)]
    spoken = {"ack_passed_on", "ack_noted"}
    if any(ask.remind is not None and not ask.remind.texts for ask in asks):
        spoken.add("reminder")
    if any(ask.choices for ask in asks) and (flow.change_answer is None or not flow.change_answer.is_zero()):
        spoken.add("change_answer")
    return {name: texts for name, texts in sorted(phrases.items()) if name in spoken}


def untranslated(phrases: Mapping[str, Texts], language: str) -> list[str]:
    """Return the sentences that whoever reads `language` gets in another one. Lists of words are no sentences."""
    return [
        name
        for name, texts in phrases.items()
        if not name.startswith("words_of_")
        and pick_language(texts, [language]) not in {language, language.partition("-")[0]}
    ]


def _texts(node: Node, more: Mapping[str, tuple[str, ...]], file: str) -> tuple[Texts, list[FlowError]]:
    if isinstance(node, Scalar):
        written = {"en": node}
    elif isinstance(node, Tree) and all(isinstance(e.value, Scalar) for e in node.entries.values()):
        written = {key: e.value for key, e in node.entries.items() if isinstance(e.value, Scalar)}
    else:
        return {}, [_wrong(node, "this must be a text per language", file)]
    errors = [_wrong(text, fault, file) for text in written.values() for fault in faults(text.text, more=more)]
    errors += [_wrong(text, "this text is empty", file) for text in written.values() if not text.text.strip()]
    return {language: text.text.strip() for language, text in written.items()}, errors


def _wrong(node: Node, reason: str, file: str, hint: str = "") -> FlowError:
    return FlowError(reason, file=file, line=node.place.line, column=node.place.column, hint=hint)
