"""A terminal to type commands into: the real commands, run in this process, in a folder and environment of their own."""

import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import structlog

from bot.adapters.clock import SystemClock
from bot.adapters.shop_file import example_text
from bot.app.base import Base, open_base
from bot.cli import main
from bot.settings import Settings

NOW = SystemClock().now()
_OURS = (
    "DATABASE_",
    "TELEGRAM_",
    "SLACK_",
    "HTTP_",
    "INTAKE_",
    "SHOP_",
    "FLOWS_",
    "LOG_FORMAT",
    "PUBLIC_URL",
    "CONSOLE_",
)


@dataclass(frozen=True)
class Answer:
    """What a command gave: its exit code, what it wrote to stdout and to stderr."""

    code: int
    out: str
    err: str


class Terminal:
    """Types commands; `folder` is the working folder, with a shop.yaml in it."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **environment: str
    ) -> None:
        self.folder, self._patch, self._capsys = folder, monkeypatch, capsys
        monkeypatch.chdir(folder)
        for name in [each for each in os.environ if each.startswith(_OURS)]:
            monkeypatch.delenv(name)
        self.set(**environment)
        (folder / "shop.yaml").write_text(example_text(), encoding="utf-8")

    def keep_flows(self, *names: str) -> None:
        """Use only these shipped flows: reading them is most of what a command does."""
        folder = self.folder / "kept"
        folder.mkdir()
        for name in names:
            text = files("bot.flows").joinpath("library", f"{name}.yaml").read_text(encoding="utf-8")
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        self.set(FLOWS_DIR=str(folder))

    def set(self, **environment: str) -> None:
        """Set variables of the environment."""
        for name, value in environment.items():
            self._patch.setenv(name, value)

    def __call__(self, *words: str, stdin: str = "") -> Answer:
        """Run ``aftersale WORDS…``."""
        self._patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
        self._capsys.readouterr()
        code = main(words)
        out, err = self._capsys.readouterr()
        return Answer(code, out, err)

    def json(self, *words: str) -> Any:
        """Run a command with ``--json`` and give what it says."""
        answer = self(*words, "--json")
        assert answer.code == 0, answer.err
        return json.loads(answer.out)

    @contextmanager
    def base(self) -> Iterator[Base]:
        """Open the same house and database as the commands."""
        with open_base(Settings.load()) as base:
            yield base


@contextmanager
def logs_left_alone() -> Iterator[None]:
    """Put the set-up of logs back as it was: a command that runs in this process changes it for everybody."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()


def event(
    sale: str = "1001", kind: str = "order.delivered", *, ago: timedelta = timedelta(), **more: Any
) -> dict[str, Any]:
    """Give a native event that happened `ago`."""
    return {
        "id": f"evt-{sale}-{kind}",
        "type": kind,
        "occurred_at": (NOW - ago).isoformat(),
        "sale": {
            "id": sale,
            "summary": "two bottles of Barolo",
            "customer": {"id": f"c-{sale}", "name": "Freja Holm", "locale": "en", "country": "DK"},
            "items": [{"sku": "BAROLO-19", "name": "Barolo 2019", "quantity": 2, "tags": ["wine"]}],
            "promises": [{"id": "p1", "text": "Delivered before the weekend", "touchpoint": "site"}],
        },
        **more,
    }
