"""QR codes of deep links: for receipt or parcel (PNG, SVG) and for a terminal. What they say is decided elsewhere."""

import io
from pathlib import Path

import segno

# A receipt is small, gets wet and is folded: a quarter of the code may be unreadable.
# Source: ISO/IEC 18004, error correction level Q; https://segno.readthedocs.io/en/stable/make.html
_ERROR_CORRECTION = "q"
_PIXELS_PER_MODULE = 8


def png(url: str, path: Path) -> None:
    """Write the code as a PNG of some 300 to 500 pixels a side, with the white border that readers need.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("wb") as file:
        _code(url).save(file, kind="png", scale=_PIXELS_PER_MODULE)


def svg(url: str) -> str:
    """Give the code as an SVG element that can stand in a page or be saved; black on white, also on a dark page."""
    drawing, code = io.BytesIO(), _code(url)
    code.save(drawing, kind="svg", scale=_PIXELS_PER_MODULE, light="white", xmldecl=False)
    width, height = code.symbol_size(_PIXELS_PER_MODULE)
    # Without it, a page that shows the code smaller would show a corner of it.
    return drawing.getvalue().decode().replace("<svg ", f'<svg viewBox="0 0 {width} {height}" ', 1)


def terminal(url: str) -> str:
    """Give the code as lines of half blocks with terminal colours, dark on light whatever the terminal's theme."""
    drawing = io.StringIO()
    _code(url).terminal(drawing, compact=True)
    return drawing.getvalue()


def _code(url: str) -> segno.QRCode:
    return segno.make_qr(url, error=_ERROR_CORRECTION)
