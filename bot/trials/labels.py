"""What stands on buttons, compared the way people type it: without emoji, signs and capitals."""


def letters(text: str) -> str:
    """Give the letters and digits of a label alone; the label itself where it has none."""
    return "".join(each for each in text.casefold() if each.isalnum()) or text
