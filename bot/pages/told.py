"""What the program tells of a sale, in Danish: sentence by sentence, in the way of gettext. Pure.

The story and its reasons are made once, in English, for terminal, Slack and pages alike; a page that is read in Danish
puts them into Danish here. ``{}`` stands for words that are nobody's to translate (what somebody wrote, a name, a
time), ``[]`` for a sentence within the sentence. What is not known here stays as it was told.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from bot.pages.studio_words import PLAYS

_DANISH: Mapping[str, str] = {
    # who
    "shop": "butikken",
    "customer": "kunden",
    "bot": "botten",
    "bot →": "botten →",
    "staff": "medarbejder",
    "staff →": "medarbejder →",
    "case": "sagen",
    # orders and chat
    "the order was placed": "ordren blev afgivet",
    "the order was shipped": "ordren blev afsendt",
    "the order is delayed": "ordren er forsinket",
    "the order was delivered": "ordren blev leveret",
    "the product was used for the first time": "varen blev brugt første gang",
    "the order was cancelled": "ordren blev annulleret",
    "the order was returned": "ordren blev sendt retur",
    "[], of it: {}": "[], deraf: {}",
    "[] (on {})": "[] ({})",
    "a link for the customer's chat was made": "der blev lavet et link til kundens chat",
    "linked their chat": "knyttede sin chat",
    "said /stop": "skrev /stop",
    "pressed Start again": "trykkede på Start igen",
    "blocked the bot": "blokerede botten",
    "unblocked the bot": "ophævede blokeringen af botten",
    "the customer cannot be reached any more": "kunden kan ikke nås mere",
    "agreed to no messages": "sagde ja til ingen beskeder",
    "agreed to messages about {}": "sagde ja til beskeder om {}",
    "chose a language: {}": "valgte et sprog: {}",
    "put {} below a message": "satte {} under en besked",
    "wrote “{}”": "skrev »{}«",
    "tapped “{}” and wrote “{}”": "trykkede på »{}« og skrev »{}«",
    "tapped “{}”": "trykkede på »{}«",
    "sent a {}": "sendte: {}",
    "[]  ({})": "[]  ({})",
    "answered": "svarede",
    # conversations and completion
    "“{}” began": "»{}« begyndte",
    "“{}” ended: {}": "»{}« sluttede: {}",
    "“{}” goes on with {} instead of {}": "»{}« fortsætter med {} i stedet for {}",
    "★ says that the sale is complete": "★ siger, at salget er fuldendt",
    "says that this much is complete: {}": "siger, at så meget er fuldendt: {}",
    "takes back that the sale is complete": "tager tilbage, at salget er fuldendt",
    "says that all is well; the open case must be settled first": "siger, at alt er vel; den åbne sag skal afsluttes",
    "paused what the bot says": "satte botten på pause",
    "paused what the bot says: {}": "satte botten på pause: {}",
    "let the bot go on": "lod botten fortsætte",
    "“{}”": "»{}«",
    "(may not have arrived) “{}”": "(måske ikke kommet frem) »{}«",
    "let a message ({}) go again, which was {}": "sendte en besked ({}) igen, som var {}",
    "a message ({}) was not sent: []": "en besked ({}) blev ikke sendt: []",
    "a message ({}) was refused: []": "en besked ({}) blev afvist: []",
    "a message ({}) could not be sent: []": "en besked ({}) kunne ikke sendes: []",
    # cases
    "opened for team {} ({}): “{}”": "åbnet for hold {} ({}): »{}«",
    "opened for team {} ({}); first answer due {}: “{}”": "åbnet for hold {} ({}); første svar senest {}: »{}«",
    "{} took the case": "{} tog sagen",
    "{} wrote to the customer: “{}”": "{} skrev til kunden: »{}«",
    "{} put it right: {}": "{} gjorde det godt igen: {}",
    "{} put the case aside until {}: it waits for the {} – {}": "{} lagde sagen til side til {}: den venter på {} – {}",
    "{} says that the customer is to be called: {}": "{} siger, at kunden skal ringes op: {}",
    "{} noted: “{}”": "{} noterede: »{}«",
    "{} asked team {}: “{}”": "{} bad hold {}: »{}«",
    "{} did what was asked of a second team {}": "{} gjorde, hvad et andet hold blev bedt om {}",
    "what was asked of a second team is overdue": "det, et andet hold blev bedt om, er forsinket",
    "{} handed the case to team {}: {}": "{} gav sagen til hold {}: {}",
    "added to the case: “{}”": "føjede til sagen: »{}«",
    "changed a message, which now says “{}”": "ændrede en besked, der nu siger »{}«",
    "deleted a message": "slettede en besked",
    "is still not happy: “{}”": "er stadig ikke tilfreds: »{}«",
    "the first answer is nearly due": "det første svar skal snart gives",
    "the answer is overdue": "svaret er forsinket",
    "went to team {}, by what the customer said ({})": "gik til hold {} efter det, kunden sagde ({})",
    "is no longer put aside: its time has come": "er ikke længere lagt til side: tiden er inde",
    "changed the answer that had opened the case: it is closed": "ændrede svaret, der åbnede sagen: den er lukket",
    "says that it is right now: the case is closed": "siger, at det er i orden nu: sagen er lukket",
    "no answer after the remedy: unconfirmed": "intet svar efter afhjælpningen: ubekræftet",
    # what comes next
    "“{}” begins": "»{}« begynder",
    "first of “{}”": "første besked i »{}«",
    "a reminder": "en påmindelse",
    "the question counts as unanswered": "spørgsmålet regnes for ubesvaret",
    "the conversation goes on": "samtalen fortsætter",
    "the conversation expires": "samtalen udløber",
    "the case climbs a rung": "sagen går et trin op",
    "a task is due": "en opgave forfalder",
    "the case is no longer put aside": "sagen er ikke længere lagt til side",
    # kinds of messages
    "question": "spørgsmål",
    "reminder": "påmindelse",
    "notice": "besked",
    "answer": "svar",
    "about the chat": "om chatten",
    "reply of staff": "svar fra medarbejder",
    "case card": "sagens kort",
    "line in the case's thread": "linje i sagens tråd",
    "hint to a member of staff": "vink til en medarbejder",
    "task for a second team": "opgave til et andet hold",
    "summary of new cases": "oversigt over nye sager",
    # states
    "sent": "sendt",
    "waiting": "venter",
    "sending": "sendes",
    "unknown": "i tvivl",
    "refused": "afvist",
    "dropped": "udeladt",
    "held": "holdt",
    "failed": "fejlet",
    "planned": "planlagt",
    "done": "gjort",
    # reasons
    "if no answer comes before": "hvis intet svar kommer før",
    "if nobody answers the customer before": "hvis ingen svarer kunden før",
    "if it is not done before": "hvis det ikke er gjort før",
    "it was put aside until then": "den blev lagt til side til da",
    "the flow says so": "det siger flowet",
    "the flow “{}” says so": "det siger flowet »{}«",
    "the customer wrote or tapped": "kunden skrev eller trykkede",
    "staff answered": "en medarbejder svarede",
    "no answer had come": "intet svar var kommet",
    "the case changed": "sagen ændrede sig",
    "[]; {}": "[]; {}",
    "because of {}": "på grund af {}",
    "there is no flow {} any more": "der er ikke længere et flow {}",
    "as things stand, it would be held: []": "som det står, ville den blive holdt: []",
    "as things stand, it would be left out: []": "som det står, ville den blive udeladt: []",
    "it is on its way": "den er på vej",
    "its time has not come": "tiden er ikke inde",
    "it is next; it goes out while aftersale run runs": "den er den næste; den går ud, mens aftersale run kører",
    "a case is open": "en sag er åben",
    "a case of this customer is open": "kunden har en åben sag",
    "the customer has not linked a chat": "kunden har ikke knyttet en chat",
    "the customer has not linked their chat": "kunden har ikke knyttet sin chat",
    "the customer said /stop": "kunden skrev /stop",
    "the customer blocked the bot": "kunden blokerede botten",
    "the customer blocked the bot, or the chat is gone": "kunden blokerede botten, eller chatten er væk",
    "no consent for {}": "intet samtykke til {}",
    "the customer declined messages about {}": "kunden sagde nej til beskeder om {}",
    "the customer has not agreed to messages about {}": "kunden har ikke sagt ja til beskeder om {}",
    "waits its turn: another question to this customer is open": "venter på sin tur: kunden har et åbent spørgsmål",
    "the last question was only just asked": "det sidste spørgsmål er lige stillet",
    "the last talk was only just now": "den sidste samtale var lige nu",
    "quiet hours of the customer": "kundens stille timer",
    "a public holiday of the customer: {}": "helligdag hos kunden: {}",
    "the order was cancelled or returned": "ordren blev annulleret eller sendt retur",
    "what it was to be about was cancelled or returned": "det, den skulle handle om, blev annulleret eller sendt retur",
    "the conversation went on": "samtalen gik videre",
    "the question it reminds of is answered, or was never sent": "spørgsmålet er besvaret eller blev aldrig sendt",
    "the question is closed": "spørgsmålet er lukket",
    "no longer needed": "ikke nødvendigt mere",
    "the sale is complete": "salget er fuldendt",
    "the sale is gone": "salget er væk",
    "it began before": "den begyndte før",
    "its time is past: it expired before it could be sent": "tiden er forbi: den udløb, før den kunne sendes",
    "team {} is not at work": "hold {} er ikke på arbejde",
    **PLAYS,
}

_HOLES = re.compile(r"\\\{\\\}|\\\[\\\]")
_SENTENCES = tuple(
    (re.compile(_HOLES.sub("(.+?)", re.escape(english)), re.DOTALL), english, danish)
    for english, danish in _DANISH.items()
    if "{}" in english or "[]" in english
)


@lru_cache(maxsize=4096)
def told(sentence: str, language: str) -> str:
    """Give a sentence of the program in `language`."""
    if language != "da" or not sentence:
        return sentence
    if sentence in _DANISH:
        return _DANISH[sentence]
    for pattern, english, danish in _SENTENCES:
        found = pattern.fullmatch(sentence)
        if found is None:
            continue
        holes = re.findall(r"\{\}|\[\]", english)
        words = [
            told(part, language) if hole == "[]" else part for hole, part in zip(holes, found.groups(), strict=True)
        ]
        if "[]" in holes and not _is_known(found.groups()[holes.index("[]")]) and english.startswith("[]"):
            continue  # an end that only looks like one: the sentence before it is not ours
        parts = re.split(r"\{\}|\[\]", danish)
        return parts[0] + "".join(word + part for word, part in zip(words, parts[1:], strict=True))
    return sentence


def _is_known(sentence: str) -> bool:
    return sentence in _DANISH or any(pattern.fullmatch(sentence) for pattern, _, _ in _SENTENCES)
