"""``python -m tests.campaign``: play fault campaigns and say whether the books balance; a seed repeats a failure."""

import argparse
import asyncio
import secrets
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.database import migrate
from tests.campaign.dice import dice
from tests.campaign.storm import Report, campaign
from tests.databases import PostgresqlTemplate, postgresql_server


def say(line: str) -> None:
    """Tell whoever watches, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def asked(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--seed", help="play this one campaign alone (otherwise: new seeds until the time is over)")
    parser.add_argument("--minutes", type=float, default=3.0, help="how long to go on (3)")
    parser.add_argument("--database", choices=("sqlite", "postgres", "both"), default="both")
    parser.add_argument(
        "--processes", type=int, default=2, help="programs on PostgreSQL (2); on SQLite it is always one"
    )
    parser.add_argument(
        "--doors",
        choices=("polling", "http", "either"),
        default="either",
        help="how Telegram and Slack reach the programs: polling and sockets, or calls; either: the seed says (either)",
    )
    parser.add_argument("--buyers", type=int, default=12, help="customers at the beginning (12)")
    parser.add_argument(
        "--share", default="0/1", help="play only a share of the faults, as 2/4: the third of four (0/1)"
    )
    parser.add_argument("--calm", action="store_true", help="let nothing go wrong: then nothing may be in doubt")
    parser.add_argument("--keep", type=Path, help="folder for database, logs and books of a campaign that fails")
    parser.add_argument("--quiet", action="store_true", help="do not tell of each fault as it is played")
    return parser.parse_args(arguments)


@contextmanager
def fresh(kind: str, folder: Path) -> Iterator[str]:
    """Give the URL of a new, migrated database."""
    if kind == "sqlite":
        url = f"sqlite:///{folder / f'campaign-{secrets.token_hex(4)}.db'}"
        migrate(url)
        yield url
    else:
        with postgresql_server() as server, PostgresqlTemplate(server).fresh() as url:
            yield url


def play(given: argparse.Namespace, kind: str, seed: str, folder: Path) -> Report:
    """Play one campaign, and tell of it."""
    processes = given.processes if kind == "postgres" else 1
    began = time.monotonic()
    called = dice(seed, "doors").random() < 0.5 if given.doors == "either" else given.doors == "http"
    doors = "http" if called else "polling"
    say(f"── {kind}, {processes} program{'s' if processes > 1 else ''}, {doors}, seed {seed} " + "─" * 40)

    def note(line: str) -> None:
        if not given.quiet:
            say(f"{time.monotonic() - began:7.1f} s  {line}")

    which, _, of = given.share.partition("/")
    seconds = given.minutes * 60 if given.seed else 0.0
    with fresh(kind, folder) as url:
        report = asyncio.run(
            campaign(
                url,
                seed,
                seconds=seconds,
                processes=processes,
                called=called,
                buyers=given.buyers,
                calm=given.calm,
                part=(int(which), int(of)),
                note=note,
                keep=given.keep,
            )
        )
    say("\n".join(report.lines()))
    if report.problems:
        again = ["--seed", seed, "--database", kind, "--minutes", str(seconds / 60), "--buyers", str(given.buyers)]
        again += [
            "--doors",
            doors,
            "--processes",
            str(given.processes),
            "--share",
            given.share,
            *(["--calm"] if given.calm else []),
        ]
        say(f"\nTo repeat it: make faults ARGS={shlex.quote(shlex.join(again))}")
    return report


def main() -> int:
    """Play until the time is over. Gives the exit code: 1 where the books of any campaign do not balance."""
    given = asked(sys.argv[1:])
    kinds = ["sqlite", "postgres"] if given.database == "both" else [given.database]
    until = time.monotonic() + given.minutes * 60
    reports: list[Report] = []
    with tempfile.TemporaryDirectory(prefix="aftersale-faults-") as name:
        while True:
            reports += [play(given, kind, given.seed or secrets.token_hex(3), Path(name)) for kind in kinds]
            if given.seed or time.monotonic() > until:
                break
    bad = [each for each in reports if each.problems]
    say(f"\n{len(reports)} campaigns, {len(bad)} of them not balanced.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
