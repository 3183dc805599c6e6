"""A file as text, without having it in memory: which encoding it is in, its lines, its parts. No orders here."""

import codecs
import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from bot.errors import InputRefused

EVENT_MAX_CHARS = 1_048_576
"""How long one event, and so one line, may be: as long as a whole call to ``POST /events``."""

_CHUNK_BYTES = 1_048_576


class OrderText:
    """The text of a file, from the start as often as needed."""

    def __init__(self, name: str, binary: BinaryIO) -> None:
        """Find out the encoding of `binary`, which can be wound back.

        Raises:
            InputRefused: it is not text, or there is none.
        """
        self.name = name
        self._binary = binary
        self._encoding = _encoding(name, binary)
        self._bytes = binary.tell()
        self._text = io.TextIOWrapper(binary, encoding=self._encoding, newline="")
        self._text.seek(0)
        self.head = next(filter(None, map(str.strip, iter(partial(self._text.readline, EVENT_MAX_CHARS), ""))), "")
        """The first line that is not blank, or its beginning."""
        if not self.head:
            raise InputRefused([(name, "is empty")])

    @property
    def is_utf8(self) -> bool:
        """Whether it is UTF-8; if not, it is read as Windows-1252, and whoever brought it should hear that."""
        return self._encoding != "cp1252"

    @property
    def part_read(self) -> float:
        """How much was read by now, from 0 to 1."""
        return min(self._binary.tell() / self._bytes, 1.0)

    def lines(self) -> Iterator[str]:
        """Give each line from the start, with its end.

        Raises:
            InputRefused: a line is too long to be one event.
        """
        self._text.seek(0)
        number = 0
        while line := self._text.readline(EVENT_MAX_CHARS + 1):
            number += 1
            if len(line) > EVENT_MAX_CHARS:
                raise InputRefused([(f"line {number}", f"is longer than {EVENT_MAX_CHARS} characters")])
            yield line

    def parts(self) -> Iterator[str]:
        """Give the whole from the start in parts of `EVENT_MAX_CHARS`."""
        self._text.seek(0)
        while part := self._text.read(EVENT_MAX_CHARS):
            yield part


@contextmanager
def opened(path: Path) -> Iterator[OrderText]:
    """Open a file, or a pipe, which is then copied first.

    Raises:
        InputRefused: it cannot be read, is not text, or there is none in it.
    """
    try:
        with path.open("rb") as source:
            if source.seekable():
                yield OrderText(path.name, source)
                return
            with tempfile.TemporaryFile() as copy:
                shutil.copyfileobj(source, copy)
                yield OrderText(path.name, copy)
    except OSError as error:
        raise InputRefused([(str(path), f"cannot be read ({error.strerror})")]) from None


def _encoding(name: str, binary: BinaryIO) -> str:
    # Spreadsheets on Western European Windows write cp1252 and say so nowhere. Every æ, ø, å in it breaks UTF-8, so
    # UTF-8 that reads without error is UTF-8.
    for encoding in ("utf-8-sig", "cp1252"):
        decoder = codecs.getincrementaldecoder(encoding)()
        binary.seek(0)
        try:
            while chunk := binary.read(_CHUNK_BYTES):
                decoder.decode(chunk)
                if b"\x00" in chunk:
                    raise InputRefused([(name, "is not a text file; save it as CSV or JSON lines in UTF-8")])
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise InputRefused([("the file", "is neither UTF-8 nor Windows-1252 text; save it as UTF-8")])
