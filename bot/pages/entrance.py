"""The pages before the door: signing in, a link's one button, and a clear word where it does not work.

Plain HTML, drawn here; nothing of the pages behind the door is loaded for it.
"""

from html import escape

from bot.pages.words import TEXTS, Words

_COMMAND = "<code>aftersale console-link</code>"


def sign_in(words: Words, root: str, *, slack: bool) -> str:
    """Give the page on which one signs in; `slack`: whether Slack may say who one is."""
    if not slack:
        return _page(words, "sign_in", root, f"<p>{words('sign_in_by_link_only', command=_COMMAND)}</p>")
    button = f'<a class="button primary" href="{escape(root)}/sign-in/slack">{escape(words("sign_in_with_slack"))}</a>'
    return _page(words, "sign_in", root, f"{button}<p>{words('sign_in_by_link', command=_COMMAND)}</p>")


def enter(words: Words, root: str, ticket: str) -> str:
    """Give the page of a link: a button, for programs that only look at links must not use them up."""
    kept = f'<input type="hidden" name="ticket" value="{escape(ticket)}">'
    button = f'<button class="button primary" autofocus>{escape(words("enter"))}</button>'
    form = f'<form method="post" action="{escape(root)}/enter">{kept}{button}</form>'
    return _page(words, "enter", root, f"{form}<p>{escape(words('enter_once'))}</p>")


def refused(words: Words, root: str, why: str) -> str:
    """Give the page that says why somebody was not let in; `why` is a name in the texts, or the words themselves."""
    said = words(why) if why in TEXTS else why
    back = f'<a class="button" href="{escape(root)}/sign-in">{escape(words("sign_in"))}</a>'
    return _page(words, "not_let_in", root, f"<p>{escape(said)}</p>{back}")


def _page(words: Words, title: str, root: str, inside: str) -> str:
    return f"""<!doctype html>
<html lang="{words.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(words(title))} · aftersale</title>
<link rel="stylesheet" href="{escape(root)}/static/style.css">
</head>
<body class="entrance">
<main>
<p class="brand">aftersale</p>
<h1>{escape(words(title))}</h1>
{inside}
<p class="tagline">{escape(words("tagline"))}</p>
</main>
</body>
</html>
"""
