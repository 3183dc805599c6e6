"""What the pages say, in English and Danish. Every text that somebody reads in a page stands here, and nowhere else."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from starlette.requests import Request

from bot.pages.studio_words import STUDIO

LANGUAGES = ("en", "da")
LANGUAGE = "aftersale_language"
"""The cookie with which a browser remembers its language."""

NAMES: Mapping[str, str] = {"en": "English", "da": "Dansk"}


def language_of(request: Request) -> str:
    """Give the language for a browser: what was chosen in it, else what it asks for first, else English."""
    chosen = request.cookies.get(LANGUAGE, "")
    if chosen in LANGUAGES:
        return chosen
    asked = (part.split(";")[0].strip()[:2].lower() for part in request.headers.get("accept-language", "").split(","))
    return next((each for each in asked if each in LANGUAGES), LANGUAGES[0])


class Words:
    """The texts in one language: ``words("sales")``; ``{name}`` in them is filled in."""

    def __init__(self, language: str) -> None:
        """Speak `language`."""
        self.language = language
        self._place = LANGUAGES.index(language)

    def __call__(self, key: str, **given: object) -> str:
        """Give a text."""
        return TEXTS[key][self._place].format(**given) if given else TEXTS[key][self._place]

    def moment(self, at: datetime, zone: ZoneInfo) -> str:
        """Write a time with its day, on the wall clock of `zone`."""
        return self._time(at, zone, "EEE d MMM y, HH:mm")

    def day(self, at: datetime, zone: ZoneInfo) -> str:
        """Write a day."""
        return self._time(at, zone, "EEEE d MMMM")

    def hour(self, at: datetime, zone: ZoneInfo) -> str:
        """Write a time of the day."""
        return self._time(at, zone, "HH:mm")

    def stage(self, kind: str) -> str:
        """Write what last happened to an order; an event of the shop's own stands as it is."""
        key = kind.replace(".", "_")
        return self(key) if key in TEXTS else kind

    def _time(self, at: datetime, zone: ZoneInfo, pattern: str) -> str:
        return format_datetime(at, pattern, tzinfo=zone, locale=self.language)


TEXTS: Mapping[str, tuple[str, str]] = {
    # the entrance
    "sign_in": ("Sign in", "Log ind"),
    "sign_in_with_slack": ("Sign in with Slack", "Log ind med Slack"),
    "sign_in_by_link": (
        "Or ask whoever runs aftersale for a link: they type {command} on the machine where it runs.",
        "Eller bed den, der driver aftersale, om et link: skriv {command} på maskinen, hvor det kører.",
    ),
    "sign_in_by_link_only": (
        "Ask whoever runs aftersale for a link: they type {command} on the machine where it runs.",
        "Bed den, der driver aftersale, om et link: skriv {command} på maskinen, hvor det kører.",
    ),
    "tagline": (
        "Every sale, until the customer says that it is complete.",
        "Hvert salg, indtil kunden siger, at det er fuldendt.",
    ),
    "enter": ("Enter the console", "Gå ind i konsollen"),
    "enter_once": ("This link lets you in once.", "Linket lukker dig ind én gang."),
    "not_let_in": ("You were not let in", "Du blev ikke lukket ind"),
    "link_no_good": (
        "This link was used already, is older than ten minutes, or was cut short. Ask for a new one.",
        "Linket er brugt, ældre end ti minutter eller blev klippet over. Bed om et nyt.",
    ),
    "slack_elsewhere": (
        "The sign-in did not begin in this browser, or took longer than ten minutes. Begin again.",
        "Log ind begyndte ikke i denne browser eller tog mere end ti minutter. Begynd forfra.",
    ),
    # the frame
    "skip": ("Skip to the content", "Gå til indholdet"),
    "home": ("aftersale, start page", "aftersale, startside"),
    "pages": ("Pages", "Sider"),
    "language": ("Language", "Sprog"),
    "theme": ("Colours", "Farver"),
    "theme_auto": ("Auto", "Auto"),
    "theme_light": ("Light", "Lys"),
    "theme_dark": ("Dark", "Mørk"),
    "sign_out": ("Sign out", "Log ud"),
    "session_over": ("Your session is over. Sign in again.", "Din session er udløbet. Log ind igen."),
    "not_allowed": ("This is for {role} only.", "Det er kun for {role}."),
    "role_admin": ("admins", "administratorer"),
    "role_staff": ("staff", "medarbejdere"),
    "role_reader": ("readers", "læsere"),
    "page_failed": (
        "This page cannot be shown just now. The log tells more under {reference}.",
        "Siden kan ikke vises lige nu. Loggen siger mere under {reference}.",
    ),
    "nowhere": ("There is nothing at this address.", "Der er intet på denne adresse."),
    "working": ("Working …", "Arbejder …"),
    "close": ("Close", "Luk"),
    "choose": ("Choose", "Vælg"),
    "nav_sandbox": ("Sandbox", "Sandkasse"),
    # the sandbox
    "sandbox": ("Sandbox", "Sandkasse"),
    "sandbox_title": (
        "The sandbox: a customer's phone, and the shop's Slack",
        "Sandkassen: en kundes telefon og butikkens Slack",
    ),
    "try": ("Try this next", "Prøv nu"),
    "try_place": (
        "{name} buys something: press “Order placed”.",
        "{name} køber noget: tryk på »Ordre afgivet«.",
    ),
    "try_scan": (
        "Be {name}: scan the code on the receipt, in the phone.",
        "Vær {name}: scan koden på kvitteringen, i telefonen.",
    ),
    "try_answer": ("Answer the bot in {name}'s phone.", "Svar botten i {name}s telefon."),
    "try_deliver": (
        "Let the parcel arrive: press “Delivered”. “Delayed” is interesting, too.",
        "Lad pakken komme frem: tryk på »Leveret«. »Forsinket« er også interessant.",
    ),
    "try_unblock": (
        "{name} has blocked the bot. Unblock it in the phone.",
        "{name} har blokeret botten. Ophæv det i telefonen.",
    ),
    "try_jump": (
        "Jump to the next thing that happens: the bot asks {name} how it went.",
        "Spring til det næste, der sker: botten spørger {name}, hvordan det gik.",
    ),
    "try_unhappy": (
        "Be unhappy: tap 🤔 in {name}'s phone. (Happy works as well.)",
        "Vær utilfreds: tryk på 🤔 i {name}s telefon. (Tilfreds går også.)",
    ),
    "try_write": ("Say in {name}'s own words what was wrong.", "Skriv med {name}s egne ord, hvad der var galt."),
    "try_claim": (
        "Now be staff: press “Claim” on the card in Slack. (None yet? Answers may be changed for ten minutes.)",
        "Vær nu medarbejder: tryk på »Claim« på kortet i Slack. (Intet kort? Svar kan ændres i ti minutter.)",
    ),
    "try_reply": (
        "Press “Reply to customer” on the card, and write to {name}.",
        "Tryk på »Reply to customer« på kortet, og skriv til {name}.",
    ),
    "try_send": (
        "Fill in the form in Slack, look at the preview, and send it.",
        "Udfyld formularen i Slack, se den igennem, og send den.",
    ),
    "try_remedy": (
        "Put it right: press “Remedy done” on the card, and say what was done.",
        "Gør det godt igen: tryk på »Remedy done« på kortet, og skriv, hvad der blev gjort.",
    ),
    "try_wait": (
        "Jump to the next thing that happens, until {name} is asked whether it is right now.",
        "Spring til det næste, der sker, indtil {name} bliver spurgt, om det er i orden nu.",
    ),
    "try_confirm": (
        "Only {name} can complete the sale. Say yes, in the phone. Or no.",
        "Kun {name} kan fuldende salget. Sig ja i telefonen. Eller nej.",
    ),
    "try_again": (
        "Complete, because {name} says so. Jump four days, choose another customer, or write /stop.",
        "Fuldendt, fordi {name} siger det. Spring fire dage frem, vælg en anden kunde, eller skriv /stop.",
    ),
    "clock": ("The clock", "Uret"),
    "next_is": ("Next, on {time}", "Næste, {time}"),
    "nothing_next": ("Nothing is planned.", "Intet er planlagt."),
    "next_thing": ("Next thing that happens", "Det næste, der sker"),
    "plus_hour": ("+1 hour", "+1 time"),
    "plus_day": ("+1 day", "+1 dag"),
    "plus_four": ("+4 days", "+4 dage"),
    "next_morning": ("Next morning", "Næste morgen"),
    "start_over": ("Start over", "Begynd forfra"),
    "started_over": ("All is as it was at the beginning.", "Alt er, som det var i begyndelsen."),
    "customers": ("Customers, in Telegram", "Kunder, i Telegram"),
    "shop": ("What the shop tells", "Hvad butikken melder"),
    "staff": ("Staff, in Slack", "Medarbejdere, i Slack"),
    "order_placed": ("Order placed", "Ordre afgivet"),
    "order_shipped": ("Shipped", "Afsendt"),
    "order_delayed": ("Delayed", "Forsinket"),
    "order_delivered": ("Delivered", "Leveret"),
    "order_returned": ("Returned", "Returneret"),
    "order_cancelled": ("Cancelled", "Annulleret"),
    "product_first_used": ("In use", "I brug"),
    "phone": ("The customer's phone", "Kundens telefon"),
    "bot": ("bot", "bot"),
    "chat": ("Chat", "Chat"),
    "chat_empty": ("Nothing yet.", "Intet endnu."),
    "you_say": ("Customer:", "Kunden:"),
    "bot_says": ("Bot:", "Botten:"),
    "edited": ("edited", "redigeret"),
    "photo": ("A photo", "Et billede"),
    "receipt": ("Receipt {order}", "Kvittering {order}"),
    "receipt_says": (
        "On the receipt: “Tell us how it goes. Scan me.”",
        "På kvitteringen: »Fortæl os, hvordan det går. Scan mig.«",
    ),
    "scan": ("Scan and press Start", "Scan og tryk på Start"),
    "blocked": ("The bot is blocked.", "Botten er blokeret."),
    "unblock": ("Unblock", "Ophæv blokering"),
    "block": ("Block the bot", "Bloker botten"),
    "message": ("Message", "Besked"),
    "message_as": ("Message, as {name}", "Besked, som {name}"),
    "send": ("Send", "Send"),
    "send_photo": ("Send a photo", "Send et billede"),
    "channels": ("Channels", "Kanaler"),
    "messages": ("Messages", "Beskeder"),
    "app_home": ("App Home", "App Home"),
    "home_empty": ("The app shows nothing here yet.", "Appen viser intet her endnu."),
    "new": ("{number} new", "{number} nye"),
    "unread": ("new message", "ny besked"),
    "channel_empty": (
        "Nobody is unhappy. Cards of unhappy customers come up here.",
        "Ingen er utilfreds. Her kommer kort om utilfredse kunder.",
    ),
    "only_you": ("Only you can see this", "Kun du kan se dette"),
    "thread": ("Reply in the thread (no customer sees it)", "Svar i tråden (ingen kunde ser det)"),
    "message_to": ("Message #{channel}, or /command", "Besked til #{channel}, eller /kommando"),
    "message_in": ("Message in #{channel}, as {name}", "Besked i #{channel}, som {name}"),
    "planned": ("What is planned, and why", "Hvad der er planlagt, og hvorfor"),
    "nothing_planned": ("Nothing is planned.", "Intet er planlagt."),
    "held": ("held back", "holdt tilbage"),
    "sales": ("Sales", "Salg"),
    "sale": ("Sale", "Salg"),
    "customer": ("Customer", "Kunde"),
    "stands": ("How it stands", "Hvordan det står"),
    "latest": ("Latest", "Senest"),
    "find": ("Order number or customer", "Ordrenummer eller kunde"),
    "search": ("Search", "Søg"),
    "which": ("Which", "Hvilke"),
    "only_all": ("All", "Alle"),
    "only_silent": ("Silent", "Tavse"),
    "only_unlinked": ("No chat yet", "Uden chat"),
    "only_case": ("Open case", "Åben sag"),
    "only_complete": ("Complete", "Fuldendte"),
    "no_sales_found": ("No sale fits.", "Intet salg passer."),
    "no_sales_yet": (
        "No sale yet. Orders come in through POST /events, aftersale import, or aftersale sale add.",
        "Intet salg endnu. Ordrer kommer ind gennem POST /events, aftersale import eller aftersale sale add.",
    ),
    "more_pages": ("More pages", "Flere sider"),
    "newest": ("Newest", "Nyeste"),
    "older": ("Older", "Ældre"),
    "silent_since": ("silent since {day}", "tavs siden {day}"),
    "unlinked": ("no chat yet", "ingen chat endnu"),
    "no_such_sale": ("There is no sale {sale}.", "Der er intet salg {sale}."),
    "next": ("What comes next, and why", "Hvad der nu sker, og hvorfor"),
    "story": ("What happened", "Hvad der skete"),
    "why": ("Each message, and why it went or did not", "Hver besked, og hvorfor den gik eller ikke gik"),
    "no_messages": ("No message yet.", "Ingen besked endnu."),
    "then": ("then", "derefter"),
    "paused": ("paused", "på pause"),
    "satisfaction_title": ("Satisfaction", "Tilfredshed"),
    "promises": ("Promises", "Løfter"),
    "by": ("by", "senest"),
    "case": ("Case", "Sag"),
    "team": ("Team", "Hold"),
    "remedy": ("Remedy", "Afhjælpning"),
    "chat_link": ("A link for their chat", "Et link til deres chat"),
    "not_linked": ("{name} has not joined a chat yet.", "{name} har ikke knyttet en chat endnu."),
    "make_link": ("Make a link and a code", "Lav et link og en kode"),
    "code_of": ("QR code of {url}", "QR-kode for {url}"),
    "bot_unknown": (
        "The bot's name in Telegram is not known yet; try again once Telegram was reached.",
        "Bottens navn i Telegram er ikke kendt endnu; prøv igen, når Telegram er nået.",
    ),
    "nav_unlinked": ("Links to hand out", "Links til kunder"),
    "unlinked_title": ("Customers without a chat", "Kunder uden chat"),
    "unlinked_lead": (
        "The bot writes to nobody who has not joined. Put the code on the receipt or into the parcel; each works once.",
        "Botten skriver kun til dem, der er med. Læg koden på kvitteringen eller i pakken; hver virker én gang.",
    ),
    "all_linked": ("Every customer has joined a chat.", "Alle kunder har knyttet en chat."),
    "make_links": ("Make links and codes for these {number}", "Lav links og koder til disse {number}"),
    "print": ("Print", "Udskriv"),
    "outbox": ("Messages out", "Beskeder ud"),
    "outbox_lead": (
        "What waits to be sent, could not be, or is in doubt, and what to do about it.",
        "Hvad der venter, ikke kunne sendes eller er i tvivl, og hvad man gør ved det.",
    ),
    "inbox": ("What came in", "Hvad der kom ind"),
    "inbox_lead": (
        "What came in and could not be handled, or waits, and what to do about it.",
        "Hvad der kom ind og ikke kunne behandles eller venter, og hvad man gør ved det.",
    ),
    "needs_look": ("Needs a look", "Bør ses"),
    "nothing_here": ("Nothing here: all is well.", "Intet her: alt er vel."),
    "state_waiting": ("waiting", "venter"),
    "state_sending": ("sending", "sendes"),
    "state_sent": ("sent", "sendt"),
    "state_unknown": ("in doubt", "i tvivl"),
    "state_refused": ("refused", "afvist"),
    "state_dropped": ("left out", "udeladt"),
    "state_held": ("held", "holdt"),
    "state_failed": ("failed", "fejlet"),
    "state_new": ("new", "ny"),
    "state_done": ("done", "klaret"),
    "state_ignored": ("ignored", "ignoreret"),
    "retry": ("Try again", "Prøv igen"),
    "retry_doubtful": ("It may arrive twice. Send it anyway", "Den kan komme to gange. Send den alligevel"),
    "retry_all": ("Try all again that failed", "Prøv alle fejlede igen"),
    "tried_again": ("{number} will be tried again.", "{number} bliver prøvet igen."),
    "no_sales": ("No sale yet.", "Intet salg endnu."),
    "complete": ("complete", "fuldendt"),
    "case_open": ("case open", "sag åben"),
    "case_claimed": ("case claimed", "sag taget"),
    "case_remedied": ("remedy done", "afhjulpet"),
    "case_call": ("a person calls", "et menneske ringer"),
    "case_unconfirmed": ("unconfirmed", "ubekræftet"),
    "case_confirmed": ("confirmed", "bekræftet"),
    "promise": ("Promise", "Løfte"),
    "promise_open": ("open", "åbent"),
    "promise_kept": ("kept", "holdt"),
    "promise_broken": ("broken", "brudt"),
    "factor_promise": ("Promise", "Løfte"),
    "factor_service": ("Service", "Service"),
    "factor_clarity": ("Clarity", "Klarhed"),
    "factor_quality": ("Quality", "Kvalitet"),
    "satisfaction": ("Satisfaction, their product:", "Tilfredshed, deres produkt:"),
    **STUDIO,
}
