"""Hints about a reply before it is sent: words that promise what nobody promised, or blame the customer. Pure.

A hint never stops a reply: the person who writes decides (rule 11 binds the bot; people are only asked to look again).
Nothing here sends or shows anything. The words are those of the languages that the product itself speaks.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

HintKind: TypeAlias = Literal["promise", "absolute", "blame", "pressure"]


@dataclass(frozen=True, slots=True)
class Hint:
    """What may mislead or hurt: the `words` as they are written, their place in the text, and what to think of."""

    kind: HintKind
    words: str
    start: int
    advice: str


_ADVICE: Mapping[str, Mapping[HintKind, str]] = {
    "en": {
        "promise": "This promises something. Is it sure? If not, say what you will do, and by when.",
        "absolute": "Hardly anything is always or never so. Say what is so now.",
        "blame": "This may sound as if it were the customer's fault. Say what happened instead.",
        "pressure": "This may sound like a way out of the talk. Say what the customer can do next.",
    },
    "da": {
        "promise": "Det her er et løfte. Er det sikkert? Ellers skriv, hvad du gør, og hvornår.",
        "absolute": "Næsten intet er altid eller aldrig sådan. Skriv, hvordan det er nu.",
        "blame": "Det kan lyde, som om det er kundens skyld. Skriv i stedet, hvad der skete.",
        "pressure": "Det kan lyde, som om samtalen skal slutte. Skriv, hvad kunden kan gøre nu.",
    },
}

_WORDS: Mapping[str, Mapping[HintKind, tuple[str, ...]]] = {
    "en": {
        "promise": (
            *("guarantee", "guaranteed", "guarantees", "i promise", "we promise", "promise you", "for sure"),
            *("definitely", "certainly will", "100 %", "100%", "without fail", "rest assured", "no risk"),
            *("tomorrow at the latest", "risk-free", "you can count on"),
        ),
        "absolute": ("always", "never", "everybody", "nobody else", "impossible", "perfect", "the best", "in no case"),
        "blame": (
            *("you should have", "you failed", "you forgot", "you did not read", "you didn't read", "your fault"),
            *("your mistake", "you must have", "as i already said", "as already stated", "if you had"),
            *("you misunderstood", "obviously", "you are wrong", "you're wrong"),
        ),
        "pressure": (
            *("our policy", "company policy", "nothing i can do", "nothing we can do", "take it or leave it"),
            *("final offer", "calm down", "case closed", "unfortunately you"),
        ),
    },
    "da": {
        "promise": (
            *("garanterer", "garanteret", "garanti for", "jeg lover", "vi lover", "lover dig", "helt sikkert"),
            *("med sikkerhed", "100 %", "100%", "uden tvivl", "stol på", "senest i morgen", "uden risiko"),
        ),
        "absolute": ("altid", "aldrig", "alle andre", "ingen andre", "umuligt", "perfekt", "den bedste", "under ingen"),
        "blame": (
            *("du burde have", "du skulle have", "du glemte", "du har glemt", "du læste ikke", "du har ikke læst"),
            *("din fejl", "din skyld", "du må have", "som jeg allerede", "som allerede nævnt", "hvis du havde"),
            *("du har misforstået", "selvfølgelig", "du tager fejl"),
        ),
        "pressure": (
            *("vores politik", "ikke noget jeg kan gøre", "intet jeg kan gøre", "ikke noget vi kan gøre"),
            *("sidste tilbud", "tag det roligt", "sagen er lukket", "desværre har du"),
        ),
    },
}


def hints(text: str, *, language: str = "en", staff_language: str = "en") -> tuple[Hint, ...]:
    """Give what in a reply may mislead or hurt, in the order of the text.

    Args:
        text: the reply.
        language: that of the reply (a tag such as ``da`` or ``da-DK``); in one that is not known both are looked for.
        staff_language: the language of the advice.
    """
    advice = _ADVICE.get(staff_language.partition("-")[0], _ADVICE["en"])
    spoken = language.replace("_", "-").partition("-")[0]
    asked = [_WORDS[spoken]] if spoken in _WORDS else list(_WORDS.values())
    found: dict[int, Hint] = {}
    for kinds in asked:
        for kind, words in kinds.items():
            for match in _pattern(words).finditer(text):
                known = found.get(match.start())
                if known is None or len(known.words) < len(match[0]):
                    found[match.start()] = Hint(kind, match[0], match.start(), advice[kind])
    return tuple(found[place] for place in sorted(found))


def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    # The longest first: of "guaranteed" and "guarantee" the whole word is meant. A blank is any white space.
    longest = sorted(words, key=len, reverse=True)
    either = "|".join(r"\s+".join(re.escape(part) for part in phrase.split()) for phrase in longest)
    return re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)
