from pathlib import Path
from xml.etree import ElementTree as ET

from bot.adapters import qr

URL = "https://t.me/aftersale_bot?start=Zk3v9QeYw0Jr5m1cT7uXa2LbN8pHs4Gd"


def test_png_is_a_picture_with_a_white_border(tmp_path: Path) -> None:
    """A receipt printer gets a square PNG that is large enough to be scanned."""
    path = tmp_path / "link.png"
    qr.png(URL, path)
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    assert width == height
    assert 300 <= width <= 500


def test_svg_stands_alone_and_differs_per_link() -> None:
    """The SVG is well-formed, has a light ground, and is not the same for another link."""
    drawing = qr.svg(URL)
    root = ET.fromstring(drawing)  # noqa: S314 - our own drawing
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.attrib["viewBox"] == f"0 0 {root.attrib['width']} {root.attrib['height']}", "scales as a whole"
    assert 'fill="#fff"' in drawing
    assert drawing != qr.svg(URL + "x")


def test_terminal_shows_a_square_of_blocks() -> None:
    """In a terminal the code comes as lines of half blocks, two rows of modules each."""
    lines = qr.terminal(URL).splitlines()
    assert len(lines) > 20
    assert any("█" in line or "▀" in line or "▄" in line for line in lines)
