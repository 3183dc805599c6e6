"""What cards, forms and the home tab say to staff, in the languages that the program speaks to them. No logic.

Texts to customers are elsewhere: they belong to the flows and the shop.
"""

from collections.abc import Mapping
from typing import Final

STATES: Final[Mapping[str, Mapping[str, str]]] = {
    "open": {"en": "Open", "da": "Åben"},
    "claimed": {"en": "Claimed", "da": "Taget"},
    "remedied": {"en": "Remedy done – asking the customer", "da": "Udbedret – kunden spørges"},
    "call": {"en": "Call the customer", "da": "Ring til kunden"},
    "unconfirmed": {
        "en": "Unconfirmed – the customer stayed silent",
        "da": "Ubekræftet – kunden svarede ikke",
    },
    "confirmed": {"en": "Confirmed by the customer", "da": "Bekræftet af kunden"},
}
"""What a state of a case is called."""

LABELS: Final[Mapping[str, Mapping[str, str]]] = {
    "case_claim": {"en": "Claim", "da": "Tag sagen"},
    "case_reply": {"en": "Reply to customer", "da": "Svar kunden"},
    "case_remedy": {"en": "Remedy done", "da": "Udbedret"},
    "case_hand_over": {"en": "Hand over", "da": "Giv videre"},
    "case_snooze": {"en": "Put aside", "da": "Læg til side"},
    "case_call": {"en": "Call needed", "da": "Kunden skal ringes op"},
    "case_note": {"en": "Note", "da": "Notat"},
    "case_task": {"en": "Ask another team", "da": "Bed et andet hold"},
    "task_done": {"en": "Done", "da": "Klaret"},
}
"""What the buttons of a card say, by their action."""

FACTORS: Final[Mapping[str, Mapping[str, str]]] = {
    "promise": {"en": "promise", "da": "løfte"},
    "service": {"en": "service", "da": "service"},
    "clarity": {"en": "clarity", "da": "tydelighed"},
    "quality": {"en": "quality", "da": "kvalitet"},
}

THINGS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "photo": {"en": ("photo", "photos"), "da": ("foto", "fotos")},
    "voice": {"en": ("voice message", "voice messages"), "da": ("talebesked", "talebeskeder")},
    "video": {"en": ("video", "videos"), "da": ("video", "videoer")},
    "video_note": {"en": ("video message", "video messages"), "da": ("videobesked", "videobeskeder")},
    "document": {"en": ("file", "files"), "da": ("fil", "filer")},
    "sticker": {"en": ("sticker", "stickers"), "da": ("klistermærke", "klistermærker")},
}
"""Things that are no words: one, and several of them."""

_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    # the card
    "round": {"en": "round {n}", "da": "runde {n}"},
    "claimed_by": {"en": "Claimed by {who}", "da": "Taget af {who}"},
    "overdue": {"en": "⏰ Overdue: first answer was due", "da": "⏰ For sent: første svar skulle gives"},
    "unreachable": {
        "en": "📵 *The bot cannot write to this customer* – call or mail them",
        "da": "📵 *Botten kan ikke skrive til kunden* – ring eller send en mail",
    },
    "no_name": {"en": "no name", "da": "uden navn"},
    "reads": {"en": "reads {language}", "da": "læser {language}"},
    "order": {"en": "order {id}", "da": "ordre {id}"},
    "own_words": {"en": "In the customer’s own words", "da": "Med kundens egne ord"},
    "no_words": {"en": "(no words)", "da": "(ingen ord)"},
    "continued": {"en": "… (continued in the thread)", "da": "… (fortsætter i tråden)"},
    "in_thread": {"en": "{things} – in the thread", "da": "{things} – i tråden"},
    "not_right": {"en": "What is not right", "da": "Hvad er ikke i orden"},
    "promise": {"en": "Promise concerned", "da": "Løftet"},
    "promised_by": {"en": "promised by {who}", "da": "lovet af {who}"},
    "team": {"en": "Team", "da": "Hold"},
    "due": {"en": "First answer due", "da": "Første svar senest"},
    "done": {"en": "Done about it", "da": "Det er der gjort"},
    "call_why": {"en": "📞 *Call the customer:* {why}", "da": "📞 *Ring til kunden:* {why}"},
    "answerable": {"en": "Now answerable: {who}", "da": "Har ansvaret nu: {who}"},
    "so_far": {"en": "So far: {history}", "da": "Indtil nu: {history}"},
    "nothing": {"en": "nothing", "da": "intet"},
    "tasks": {"en": "Asked of other teams", "da": "Andre hold er bedt om"},
    "tasks_more": {"en": "… and {n} more", "da": "… og {n} mere"},
    "task_due": {"en": "due {due}", "da": "senest {due}"},
    "task_done_by": {"en": "done by {who}", "da": "klaret af {who}"},
    # a task
    "task_for": {"en": "Task for {team}", "da": "Opgave til {team}"},
    "task_finished": {"en": "Done", "da": "Klaret"},
    "task_asked": {
        "en": "{who} of team {team} asks, for {customer}, order {order}",
        "da": "{who} fra {team} spørger, for {customer}, ordre {order}",
    },
    "task_due_line": {"en": "Due {due} – {why}", "da": "Senest {due} – {why}"},
    # forms
    "cancel": {"en": "Cancel", "da": "Fortryd"},
    "back": {"en": "Back", "da": "Tilbage"},
    "choose": {"en": "Choose", "da": "Vælg"},
    "the_customer": {"en": "the customer", "da": "kunden"},
    "reply_title": {"en": "Reply to customer", "da": "Svar kunden"},
    "preview": {"en": "Preview", "da": "Se først"},
    "send": {"en": "Send", "da": "Send"},
    "reply_label": {"en": "Your reply to {name}", "da": "Dit svar til {name}"},
    "reply_hint": {
        "en": "{name} gets exactly what the next page shows: your words, signed “{signed}”.{tongue} "
        "Promise only what you know can be kept.",
        "da": "{name} får præcis det, som næste side viser: dine ord, underskrevet “{signed}”.{tongue} "
        "Lov kun, hvad du ved kan holdes.",
    },
    "tongue": {"en": " They read {language}.", "da": " Kunden læser {language}."},
    "last_said": {"en": "*{name} wrote, in {language}:*", "da": "*{name} skrev, på {language}:*"},
    "saved": {"en": "Begin with a saved answer", "da": "Begynd med et gemt svar"},
    "exactly_this": {"en": "*The customer gets exactly this:*", "da": "*Kunden får præcis dette:*"},
    "look_again": {"en": "*Please look again at:*", "da": "*Se lige en gang til på:*"},
    "send_anyway": {
        "en": "You decide: *Send* sends it as it is, *Back* leads to your words.",
        "da": "Du bestemmer: *Send* sender det, som det er, *Tilbage* fører til dine ord.",
    },
    "remedy_title": {"en": "Remedy done", "da": "Udbedret"},
    "remedy_what": {"en": "What was done?", "da": "Hvad er der gjort?"},
    "remedy_note": {"en": "What exactly?", "da": "Hvad helt præcis?"},
    "remedy_hint": {
        "en": "The customer is asked whether this puts it right, and may read it. Only they can close the case.",
        "da": "Kunden spørges, om det er i orden nu, og kan læse det her. Kun kunden kan lukke sagen.",
    },
    "remedy_value": {"en": "What is it worth?", "da": "Hvad er det værd?"},
    "remedy_value_hint": {
        "en": "Such as 120 kr.; a refund and a credit need it.",
        "da": "Fx 120 kr.; tilbagebetaling og tilgodebevis kræver det.",
    },
    "remedy_cause": {"en": "Why did it go wrong?", "da": "Hvorfor gik det galt?"},
    "done_button": {"en": "Done", "da": "Gjort"},
    "hand_over": {"en": "Hand over", "da": "Giv videre"},
    "hand_over_which": {"en": "Which team puts it right?", "da": "Hvilket hold kan gøre det godt?"},
    "hand_over_why": {"en": "Why they?", "da": "Hvorfor dem?"},
    "hand_over_hint": {
        "en": "The due time stays: handing over does not stop the clock.",
        "da": "Fristen bliver: uret går videre, selv om sagen gives videre.",
    },
    "snooze_title": {"en": "Put aside", "da": "Læg til side"},
    "snooze_for": {"en": "What does it wait for?", "da": "Hvad venter sagen på?"},
    "snooze_until": {"en": "Until when?", "da": "Til hvornår?"},
    "snooze_why": {"en": "What is awaited, in a few words", "da": "Hvad der ventes på, med få ord"},
    "snooze_hint": {
        "en": "Then it comes back by itself. The clock stands still only where we wait for the customer.",
        "da": "Så kommer sagen tilbage af sig selv. Uret står kun stille, når vi venter på kunden.",
    },
    "waits_customer": {"en": "The customer’s answer", "da": "Kundens svar"},
    "waits_parcel": {"en": "A parcel", "da": "En pakke"},
    "waits_supplier": {"en": "A supplier", "da": "En leverandør"},
    "call_title": {"en": "Call needed", "da": "Opkald nødvendigt"},
    "call_label": {"en": "Why is a call needed?", "da": "Hvorfor skal kunden ringes op?"},
    "call_hint": {
        "en": "The card then says: call the customer. The bot asks nothing meanwhile.",
        "da": "Kortet siger så: ring til kunden. Botten spørger ikke om noget imens.",
    },
    "note_title": {"en": "Note", "da": "Notat"},
    "note_label": {"en": "A note for your colleagues", "da": "Et notat til dine kolleger"},
    "note_hint": {
        "en": "It stands in the thread and in the sale’s story. The customer never sees it.",
        "da": "Det står i tråden og i salgets historie. Kunden ser det aldrig.",
    },
    "task_title": {"en": "Ask another team", "da": "Bed et andet hold"},
    "task_team": {"en": "Which team?", "da": "Hvilket hold?"},
    "task_text": {"en": "What shall they do?", "da": "Hvad skal de gøre?"},
    "task_hint": {
        "en": "They get it in their channel, with a due time of their own. The case stays with your team.",
        "da": "De får det i deres kanal, med deres egen frist. Sagen bliver hos dit hold.",
    },
    "task_done_title": {"en": "Task done", "da": "Opgave klaret"},
    "task_done_label": {"en": "What did you do?", "da": "Hvad gjorde I?"},
    "save": {"en": "Save", "da": "Gem"},
    "ask": {"en": "Ask", "da": "Bed"},
    # the home tab
    "mine": {"en": "My cases", "da": "Mine sager"},
    "teams": {"en": "My team’s cases, the most pressing first", "da": "Mit holds sager, de mest hastende først"},
    "waiting": {"en": "Waiting for the customer", "da": "Venter på kunden"},
    "my_tasks": {"en": "Asked of my team", "da": "Mit hold er bedt om"},
    "today": {"en": "Today", "da": "I dag"},
    "figures": {
        "en": "{opened} opened · {answered} answered · {confirmed} confirmed by the customer · {late} late now",
        "da": "{opened} åbnet · {answered} besvaret · {confirmed} bekræftet af kunden · {late} for sent nu",
    },
    "none_mine": {"en": "You have none at hand.", "da": "Du har ingen lige nu."},
    "none_team": {"en": "Nothing waits. 🎉", "da": "Intet venter. 🎉"},
    "none_waiting": {"en": "No customer is being asked just now.", "da": "Ingen kunde spørges lige nu."},
    "and_more": {"en": "… and {n} more", "da": "… og {n} mere"},
    "open_card": {"en": "Open", "da": "Åbn"},
    "refresh": {"en": "Refresh", "da": "Opdater"},
    "as_of": {"en": "As of {at}", "da": "Som det stod {at}"},
    "health": {"en": "Health", "da": "Helbred"},
    "all_well": {"en": "All is well.", "da": "Alt er vel."},
    "paused": {"en": "⏸ *The bot is paused:* {why}", "da": "⏸ *Botten er på pause:* {why}"},
    "pause": {"en": "Pause the bot", "da": "Sæt botten på pause"},
    "resume": {"en": "Resume", "da": "Fortsæt"},
    "pause_title": {"en": "Pause the bot?", "da": "Sæt botten på pause?"},
    "pause_text": {
        "en": "It asks no customer anything until somebody resumes. Nothing is lost: it waits.",
        "da": "Den spørger ingen kunder om noget, før nogen fortsætter. Intet går tabt: det venter.",
    },
    "not_now": {"en": "Not now", "da": "Ikke nu"},
    "no_team": {
        "en": "You are in no team of {shop} yet. Join the channel of yours, or have yourself written into shop.yaml.",
        "da": "Du er ikke på noget hold hos {shop} endnu. Gå ind i jeres kanal, eller bliv skrevet ind i shop.yaml.",
    },
}

LANGUAGES: Final = ("en", "da")


def spoken(language: str) -> str:
    """Give the language, of those there are, that is nearest to a wished one."""
    wished = language.replace("_", "-").partition("-")[0]
    return wished if wished in LANGUAGES else "en"


def say(key: str, tongue: str, /, **more: object) -> str:
    """Say a sentence in a language, with what it leaves open filled in."""
    return _WORDS[key][spoken(tongue)].format(**more)


def label(action: str, language: str) -> str:
    """Give what a button says."""
    return LABELS[action][spoken(language)]


def state(status: str, language: str) -> str:
    """Name a state of a case; one that nobody knows by its own name."""
    names = STATES.get(status)
    return names[spoken(language)] if names else status


def factor(name: str, language: str) -> str:
    """Name a factor."""
    names = FACTORS.get(name)
    return names[spoken(language)] if names else name


def things(kinds: list[str], language: str) -> str:
    """Tell how many things of which kinds there are: ``2 photos, 1 voice message``."""
    told = []
    for kind in dict.fromkeys(kinds):
        number = kinds.count(kind)
        one, several = THINGS.get(kind, {}).get(spoken(language), (kind.replace("_", " "),) * 2)
        told.append(f"{number} {one if number == 1 else several}")
    return ", ".join(told)
