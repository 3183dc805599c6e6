"""Write flows.md, the reference of the language, from flows.in.md and the table of forms: `make docs`."""  # noqa: INP001 - a script, beside what it writes

from pathlib import Path

from bot.flows.reference import filled

FOLDER = Path(__file__).parent
NOTE = "<!-- Made by make_flows.py from flows.in.md and bot/flows/forms.py: change those, then `make docs`. -->\n\n"


def made() -> str:
    """Give the whole page."""
    return NOTE + filled((FOLDER / "flows.in.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    (FOLDER / "flows.md").write_text(made(), encoding="utf-8")
