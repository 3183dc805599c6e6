"""What a customer's words are, as far as a program may say: the label of a button, a plain thank-you, or neither.

Pure functions over text. Nothing here guesses: whatever is not exactly a label or a thank-you is for a person to read
(rule 4: the bot never guesses in the shop's favour).
"""

import unicodedata
from collections.abc import Mapping, Sequence

from bot.flows.model import Choice

THANKS: Mapping[str, tuple[str, ...]] = {
    "en": (
        "thanks",
        "thank you",
        "thank you so much",
        "thank you very much",
        "many thanks",
        "thanks a lot",
        "thx",
        "ty",
        "cheers",
    ),
    "da": ("tak", "mange tak", "tusind tak", "tak skal du have", "tak skal i have", "takker"),
    "sv": ("tack", "tack så mycket", "tusen tack"),
    "no": ("takk", "tusen takk", "mange takk"),
    "de": ("danke", "vielen dank", "danke schön"),
    "": ("👍", "❤", "🙏", "😊"),
}
"""Plain words of thanks per language; those of every language are understood, whichever the customer has."""

SELLING: Mapping[str, str] = {
    "en": "discount, sale ends, special offer, buy now, order now, shop now, upgrade, coupon, promo code, best price",
    "da": "rabat, tilbud, køb nu, bestil nu, opgrader, kupon, rabatkode, kampagne, bedste pris",
}
"""Words that sell, by language, where nobody says which do: phrases.yaml may (``words_of_selling``)."""

_NOT_A_SIGN_OF_ITS_OWN = {"\ufe0e", "\ufe0f", "\u200d"}


def _letters_and_signs(text: str) -> tuple[str, frozenset[str]]:
    """Split `text` into its letters and digits (casefolded) and the signs that could change its meaning.

    Signs are emoji and other symbols, and the question mark: "👎 yes" and "yes?" do not say "yes".
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    letters, signs = [], set()
    for character in folded:
        category = unicodedata.category(character)
        if character in _NOT_A_SIGN_OF_ITS_OWN or category == "Sk":
            continue  # how an emoji is drawn, and its skin tone, say nothing
        if category[0] in "LNM":
            letters.append(character)
        elif category[0] == "S" or character == "?":
            signs.add(character)
    return "".join(letters), frozenset(signs)


def _says(text: str, label: str) -> bool:
    letters, signs = _letters_and_signs(text)
    label_letters, label_signs = _letters_and_signs(label)
    if not letters:
        return not label_letters and bool(signs) and signs == label_signs
    return letters == label_letters and signs <= label_signs


def choice_said(text: str, choices: Sequence[Choice]) -> int | None:
    """Return the number of the one choice whose label, in any language, is all that `text` says; None if unsure."""
    said = [
        number for number, choice in enumerate(choices) if any(_says(text, label) for label in choice.label.values())
    ]
    return said[0] if len(said) == 1 else None


_THANKS = frozenset(_letters_and_signs(word) for words in THANKS.values() for word in words)
_THANKS_LETTERS = frozenset(letters for letters, _ in _THANKS if letters)
_THANKS_SIGNS = frozenset(sign for letters, signs in _THANKS if not letters for sign in signs)


def is_plain_thanks(text: str, more: Sequence[str] = ()) -> bool:
    """Tell whether `text` is nothing but a word of thanks in a language that we know, or one of the shop's `more`."""
    letters, signs = _letters_and_signs(text)
    if not letters and not signs:
        return False
    known = letters in _THANKS_LETTERS or any(letters == _letters_and_signs(word)[0] for word in more)
    return (not letters or known) and signs <= _THANKS_SIGNS
