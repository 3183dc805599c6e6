"""The plots: drawn from the raw figures, so that they can be drawn again without measuring anew.

``python -m bench.drawing`` draws those of results.json; matplotlib is needed here alone.
"""

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_OURS, _PEER, _LIMIT, _TEXT = "#1b6ca8", "#b0b7bf", "#c8553d", "#30363d"
_LINES = ("#1b6ca8", "#0b3c5d", "#7a8793", "#b08900", "#6d597a", "#2a9d8f")
_WIDTH = 9.0


def draw(measurements: Sequence[Mapping[str, Any]], folder: Path, kind: str = "svg") -> list[Path]:
    """Draw what these measurements allow into `folder`; give the files."""
    import matplotlib as mpl  # noqa: PLC0415 - whoever only measures need not have it

    mpl.use("svg" if kind == "svg" else "agg")
    # Text stays text, and the same figures give the same file.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "aftersale", "font.size": 10, "text.color": _TEXT})
    folder.mkdir(parents=True, exist_ok=True)
    by_name = {each["name"]: each for each in measurements}
    drawn = [
        _bars(folder / f"{file}.{kind}", [by_name[name] for name in names if name in by_name], title)
        for file, title, names in (
            ("messages-out", "Messages out per second (log)", ("out", "out-in-life")),
            ("replies-in", "Replies in per second (log)", ("replies",)),
            ("planning", "Messages planned per second (log)", ("planning",)),
        )
    ]
    waking = [each for name, each in by_name.items() if name.startswith("wakeup-")]
    drawn.append(
        _lines(folder / f"wake-up-cost.{kind}", waking, "waiting", "p50_ms", "milliseconds to claim 100 (log)")
    )
    drawn.append(_lines(folder / f"wake-up-memory.{kind}", waking, "waiting", "rss_mb", "MB of memory (log)"))
    crowds = [each for name, each in by_name.items() if name.startswith("postgres-")]
    drawn.append(_lines(folder / f"processes.{kind}", crowds, "processes", "rate", "replies in per second"))
    return [each for each in drawn if each is not None]


def _median(figure: Mapping[str, Any], key: str) -> float | None:
    found = [each[key] for each in figure["samples"] if key in each]
    return statistics.median(found) if found else None


def _bars(file: Path, measurements: Sequence[Mapping[str, Any]], title: str) -> Path | None:
    """Draw a bar for each contender, and a line where the best limit lies."""
    from matplotlib import pyplot as plt  # noqa: PLC0415

    shown = [(each, rows) for each in measurements if (rows := _rated(each))]
    if not shown:
        return None
    heights = [len(rows) for _, rows in shown]
    drawing, all_axes = plt.subplots(
        len(shown), 1, figsize=(_WIDTH, 0.9 + sum(0.42 * each + 0.75 for each in heights)), squeeze=False, sharex=True,
        height_ratios=heights, layout="constrained",
    )  # fmt: skip
    most = max(rate for _, rows in shown for _, _, rate in rows)
    least = min(rate for _, rows in shown for _, _, rate in rows)
    for axes, (measurement, rows) in zip(all_axes[:, 0], shown, strict=True):
        places = range(len(rows))
        axes.barh(places, [rate for *_, rate in rows], color=[_colour(role) for _, role, _ in rows], height=0.66)
        axes.set_yticks(places, [name for name, *_ in rows])
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        axes.set_xlim(least / 3, most * 4)
        axes.set_title(measurement["title"], loc="left", fontsize=10)
        for place, (*_, rate) in enumerate(rows):
            axes.text(rate * 1.06, place, f"{rate:,.0f}", va="center", fontsize=9)
        limits = [rate for _, role, rate in rows if role == "limit"]
        if limits:
            axes.axvline(min(limits), color=_LIMIT, linestyle="--", linewidth=1)
        _plain(axes)
    all_axes[-1, 0].set_xlabel(title)
    drawing.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    plt.close(drawing)
    return file


def _rated(measurement: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    found = [
        (f"{'limit: ' if each['role'] == 'limit' else ''}{each['contender']}", each["role"], _median(each, "rate"))
        for each in measurement["figures"]
    ]
    return [(_wrapped(name), role, rate) for name, role, rate in found if rate]


def _colour(role: str) -> str:
    return {"ours": _OURS, "peer": _PEER, "limit": _LIMIT}[role]


def _wrapped(name: str, width: int = 34) -> str:
    lines = [""]
    for word in name.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def _lines(file: Path, measurements: Sequence[Mapping[str, Any]], along: str, key: str, title: str) -> Path | None:
    """Draw a line for each contender over how many wait, or how many processes there are."""
    from matplotlib import pyplot as plt  # noqa: PLC0415

    lines: dict[str, list[tuple[float, float]]] = {}
    for each in measurements:
        place = float(each["name"].rpartition("-")[2])
        for figure in each["figures"]:
            value = _median(figure, key)
            if value is not None:
                lines.setdefault(figure["contender"], []).append((place, value))
    if not lines or len(measurements) < 2:  # noqa: PLR2004 - one point is no line
        return None
    drawing, axes = plt.subplots(figsize=(_WIDTH, 4.4), layout="constrained")
    for colour, (name, points) in zip(_LINES, lines.items(), strict=False):
        points.sort()
        ours = name.startswith("aftersale")
        axes.plot(*zip(*points, strict=True), marker="o", color=colour, linewidth=2.4 if ours else 1.4, label=name)
        axes.annotate(f"{points[-1][1]:,.0f}" if points[-1][1] >= 10 else f"{points[-1][1]:.1f}", points[-1],  # noqa: PLR2004
                      textcoords="offset points", xytext=(7, -3), fontsize=9, color=colour)  # fmt: skip
    axes.set_xscale("log", base=2 if along == "processes" else 10)
    ticks = sorted({place for points in lines.values() for place, _ in points})
    axes.set_xticks(ticks, [f"{each:,.0f}" for each in ticks])
    axes.minorticks_off()
    values = [value for points in lines.values() for _, value in points]
    if along == "processes":
        axes.set_ylim(0, max(values) * 1.1)
    else:
        axes.set_yscale("log")
        axes.set_ylim(min(values) / 2, max(values) * 2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.set_xlabel(along)
    axes.set_ylabel(title)
    axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(0, -0.14), ncols=2)
    _plain(axes)
    axes.grid(axis="y", color="#e3e6e9", linewidth=0.6)
    drawing.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    plt.close(drawing)
    return file


def _plain(axes: Any) -> None:
    axes.set_axisbelow(True)
    axes.grid(axis="x", color="#e3e6e9", linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def main() -> int:
    """Draw the plots of results.json; with an argument, into that folder and as PNG."""
    here = Path(__file__).parent
    raw = json.loads((here / "results.json").read_text("utf-8"))
    folder, kind = (Path(sys.argv[1]), "png") if len(sys.argv) > 1 else (here / "plots", "svg")
    for each in draw(raw["measurements"], folder, kind):
        print(each)
    return 0


if __name__ == "__main__":
    sys.exit(main())
