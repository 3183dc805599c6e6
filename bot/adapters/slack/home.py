"""The home tab of the app, and the answers to its slash command. Pure; who may see what is decided before.

Source: https://docs.slack.dev/surfaces/app-home (a hundred blocks at most; read 2026-11-25).
"""

from collections.abc import Sequence

from bot.adapters.slack.blocks import OPEN_LINK
from bot.adapters.slack.text import Block, button, escape, fit, one_line, plain, section, user
from bot.adapters.slack.words import say
from bot.ports.board import Board, Found, Line, Running

REFRESH, PAUSE, RESUME = "home_refresh", "home_pause", "home_resume"
"""The action ids of the home tab."""
COMMAND = "/aftersale"
LINES_MAX = 12
"""How many lines of a list are shown; of what is left it is said how many there are."""
FOUND_MAX = 8
ANSWER_MAX_CHARS = 2_900
WHY_LINES_MAX = 20
PROBLEMS_MAX = 8

HELP = "\n".join(
    (
        f"`{COMMAND} find NAME` – sales by customer or order number",
        f"`{COMMAND} why ORDER` – why a message of a sale was sent or not, and what comes next",
        f"`{COMMAND} help` – this",
        "Your cases are on the app's *Home* tab. Only you see what is answered here.",
    )
)


def home_view(board: Board, running: Running | None, workspace_url: str) -> Block:
    """Give the home tab.

    Args:
        board: what this person sees.
        running: how the program is; None for whoever does not answer for it.
        workspace_url: the address of the workspace, for links to cards.
    """
    spoken = board.language
    blocks = [*_running(running, spoken)] if running else []
    if not board.teams:
        blocks.append(section(escape(say("no_team", spoken, shop=board.shop))))
    else:
        blocks += [
            *_list("mine", "none_mine", board.mine, board, workspace_url),
            *_list("teams", "none_team", board.team, board, workspace_url),
            *(_list("my_tasks", "none_team", board.tasks, board, workspace_url) if board.tasks else []),
            *_list("waiting", "none_waiting", board.waiting, board, workspace_url),
            {"type": "header", "text": plain(say("today", spoken))},
            section(say("figures", spoken, **{name: board.figures.get(name, 0) for name in _FIGURES})),
        ]
    blocks += [
        {"type": "divider"},
        {"type": "context", "elements": [plain(say("as_of", spoken, at=fit(board.at, 60)))]},
        {"type": "actions", "elements": [button(REFRESH, say("refresh", spoken), "refresh")]},
    ]
    return {"type": "home", "blocks": blocks}


_FIGURES = ("opened", "answered", "confirmed", "late")


def _running(running: Running, spoken: str) -> list[Block]:
    lines = [say("paused", spoken, why=fit(one_line(running.paused), 300, escaped=True))] if running.paused else []
    shown = running.problems[:PROBLEMS_MAX]
    lines += [f"⚠️ {fit(one_line(each), 300, escaped=True)}" for each in shown] or [f"✅ {say('all_well', spoken)}"]
    act = button(RESUME, say("resume", spoken), "resume", style="primary")
    if running.paused is None:
        act = button(PAUSE, say("pause", spoken), "pause", confirm=_sure(spoken))
    return [
        {"type": "header", "text": plain(say("health", spoken))},
        section("\n".join(lines)) | {"accessory": act},
        {"type": "divider"},
    ]


def _sure(spoken: str) -> Block:
    return {
        "title": plain(say("pause_title", spoken)),
        "text": plain(say("pause_text", spoken)),
        "confirm": plain(say("pause", spoken)),
        "deny": plain(say("not_now", spoken)),
    }


def _list(name: str, empty: str, lines: Sequence[Line], board: Board, workspace_url: str) -> list[Block]:
    spoken = board.language
    head = {"type": "header", "text": plain(say(name, spoken), emoji=True)}
    if not lines:
        return [head, {"type": "context", "elements": [plain(say(empty, spoken), emoji=True)]}]
    shown = [_line(each, spoken, workspace_url) for each in lines[:LINES_MAX]]
    left = max(0, len(lines) - LINES_MAX) + board.more.get(name, 0)
    more = [{"type": "context", "elements": [plain(say("and_more", spoken, n=left))]}] if left else []
    return [head, *shown, *more]


def _line(line: Line, spoken: str, workspace_url: str) -> Block:
    what = fit(one_line(line.about), 200, escaped=True)
    due = " · ".join(part for part in (one_line(line.light_word), one_line(line.due)) if part)
    who = f" · {user(line.claimed_by)}" if line.claimed_by else ""
    title = fit(one_line(line.title), 100, escaped=True)
    block = section(f"{line.light_shape} *{title}* · {what}\n{fit(due, 200, escaped=True)}{who}")
    if line.card and workspace_url:
        block["accessory"] = button(
            OPEN_LINK, say("open_card", spoken), "open", url=card_url(workspace_url, *line.card)
        )
    return block


def card_url(workspace_url: str, channel: str, ts: str) -> str:
    """Give the address of a message, as Slack's own links to messages look."""
    return f"{workspace_url.rstrip('/')}/archives/{channel}/p{ts.replace('.', '')}"


# The slash command --------------------------------------------------------------------------------------------------


def found_text(asked: str, found: Sequence[Found], workspace_url: str) -> str:
    """Give what a search found, in Slack's markup."""
    if not found:
        return f"No sale has “{fit(asked, 100, escaped=True)}” in its order number or its customer's name."
    lines = []
    for each in found[:FOUND_MAX]:
        parts = [fit(one_line(part), 120, escaped=True) for part in (each.bought, each.stage, each.case)]
        if each.card and workspace_url and each.case:
            parts[2] = f"<{card_url(workspace_url, *each.card)}|{parts[2]}>"
        name = fit(one_line(each.customer), 80, escaped=True)
        title = f"*{name}*, order {fit(one_line(each.sale_id), 60, escaped=True)}"
        lines.append("• " + " · ".join([title, *(part for part in parts if part)]))
    if len(found) > FOUND_MAX:
        lines.append("… and more: write more of the name.")
    return "\n".join(lines)


def why_text(order: str, lines: Sequence[str]) -> str:
    """Give the reasons of a sale's messages, in Slack's markup."""
    head = f"*Sale {fit(one_line(order), 60, escaped=True)}*"
    if not lines:
        return f"{head}: no message was sent or is planned; no flow begins on what happened to it."
    shown = [f"• {fit(one_line(each), 300, escaped=True)}" for each in lines[-WHY_LINES_MAX:]]
    before = [f"… {len(lines) - WHY_LINES_MAX} earlier ones are left out."] if len(lines) > WHY_LINES_MAX else []
    return fit("\n".join([head, *before, *shown]), ANSWER_MAX_CHARS)
