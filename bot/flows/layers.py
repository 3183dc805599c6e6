"""Placing boxes in rows, one below the other, so that arrows run downwards and seldom cross. Pure geometry.

The method of Sugiyama: boxes get a row by the longest way to them, arrows over several rows get a waypoint in each, the
order within a row follows the neighbours' (their mean), and places follow by least squares, so that no two boxes
overlap. Source: https://en.wikipedia.org/wiki/Layered_graph_drawing (read 2026-11-25). Arrows that lead back up are not
placed here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

SWEEPS = 40
"""How often rows are ordered, and then placed, by their neighbours; more changes nothing that one could see."""


@dataclass(frozen=True, slots=True)
class Box:
    """Something to place: its name, its size."""

    name: str
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Arrow:
    """From a box, `offset` to the right of its middle, down to another."""

    source: str
    target: str
    offset: float = 0.0


@dataclass(slots=True)
class Spot:
    """Where a box (or a waypoint of an arrow) lies: its row, its middle `x`, its top `y`."""

    name: str
    width: float
    row: int
    x: float = 0.0
    y: float = 0.0
    is_waypoint: bool = False


@dataclass(slots=True)
class Layout:
    """All spots by name, the waypoints of each arrow from top to bottom, the height of rows, and the whole size."""

    spots: dict[str, Spot] = field(default_factory=dict)
    waypoints: dict[int, list[Spot]] = field(default_factory=dict)
    tops: list[float] = field(default_factory=list)
    heights: list[float] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0


def leading_down(names: Sequence[str], pairs: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Give those of the arrows that can all run downwards: without the ones that would close a circle.

    `names` says with which box a reader begins.
    """
    ahead: dict[str, list[str]] = {name: [] for name in names}
    for source, target in pairs:
        if target not in ahead[source]:
            ahead[source].append(target)
    down: set[tuple[str, str]] = set()
    open_, done = set(), set()

    def visit(name: str) -> None:
        open_.add(name)
        for target in ahead[name]:
            if target in open_:
                continue
            down.add((name, target))
            if target not in done:
                visit(target)
        open_.discard(name)
        done.add(name)

    for name in names:
        if name not in done:
            visit(name)
    return down


def lay_out(
    boxes: Sequence[Box], arrows: Sequence[Arrow], *, gap: float = 28.0, row_gap: float = 56.0, margin: float = 24.0
) -> Layout:
    """Place the boxes. The arrows must all be able to run downwards (see `leading_down`).

    Args:
        boxes: in the order in which a reader would meet them.
        arrows: between boxes.
        gap: the least room between neighbours in a row.
        row_gap: the room between rows, for arrows to bend.
        margin: around everything.
    """
    rows_of = _rows([box.name for box in boxes], arrows)
    layout = Layout(spots={box.name: Spot(box.name, box.width, rows_of[box.name]) for box in boxes})
    rows: list[list[Spot]] = [[] for _ in range(max(rows_of.values(), default=0) + 1)]
    for spot in layout.spots.values():
        rows[spot.row].append(spot)
    links: list[tuple[Spot, Spot, float]] = []
    for number, arrow in enumerate(arrows):
        previous, offset = layout.spots[arrow.source], arrow.offset
        target = layout.spots[arrow.target]
        layout.waypoints[number] = []
        for row in range(previous.row + 1, target.row):
            waypoint = Spot(f"{number}:{row}", 6.0, row, is_waypoint=True)
            rows[row].append(waypoint)
            layout.waypoints[number].append(waypoint)
            links.append((previous, waypoint, offset))
            previous, offset = waypoint, 0.0
        links.append((previous, target, offset))
    _order(rows, links)
    _place(rows, links, gap)
    _measure(layout, rows, {box.name: box.height for box in boxes}, row_gap, margin)
    return layout


def _rows(names: Sequence[str], arrows: Sequence[Arrow]) -> dict[str, int]:
    rows = dict.fromkeys(names, 0)
    for _ in names:
        changed = False
        for arrow in arrows:
            if rows[arrow.target] <= rows[arrow.source]:
                rows[arrow.target] = rows[arrow.source] + 1
                changed = True
        if not changed:
            break
    # Where nothing leads to, a box stands right above what it leads to: a long arrow to it would tell nothing.
    reached = {arrow.target for arrow in arrows}
    for name in names:
        below = [rows[arrow.target] for arrow in arrows if arrow.source == name]
        if name not in reached and below:
            rows[name] = min(below) - 1
    return rows


def _order(rows: list[list[Spot]], links: Sequence[tuple[Spot, Spot, float]]) -> None:
    above: dict[str, list[tuple[str, float]]] = {}
    below: dict[str, list[tuple[str, float]]] = {}
    for source, target, offset in links:
        # Where on the box an arrow begins orders its targets; a fraction of a place is enough for that.
        above.setdefault(target.name, []).append((source.name, offset / max(source.width, 1.0)))
        below.setdefault(source.name, []).append((target.name, 0.0))
    best, fewest = [list(row) for row in rows], _crossings(rows, links)
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        neighbours = above if downwards else below
        for row in rows[1:] if downwards else reversed(rows[:-1]):
            place = {spot.name: float(n) for each in rows for n, spot in enumerate(each)}
            means = {
                spot.name: _mean([place[name] + part for name, part in neighbours.get(spot.name, ())], place[spot.name])
                for spot in row
            }
            row.sort(key=lambda spot: means[spot.name])
        crossings = _crossings(rows, links)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    rows[:] = best


def _crossings(rows: Sequence[Sequence[Spot]], links: Sequence[tuple[Spot, Spot, float]]) -> int:
    place = {spot.name: n for row in rows for n, spot in enumerate(row)}
    ends = [(s.row, place[s.name] + offset / max(s.width, 1.0), place[t.name]) for s, t, offset in links]
    return sum(
        one[0] == other[0] and (one[1] - other[1]) * (one[2] - other[2]) < 0
        for n, one in enumerate(ends)
        for other in ends[:n]
    )


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _place(rows: Sequence[Sequence[Spot]], links: Sequence[tuple[Spot, Spot, float]], gap: float) -> None:
    for row in rows:
        x = 0.0
        for spot in row:
            spot.x = x + spot.width / 2
            x += spot.width + gap
    for sweep in range(SWEEPS):
        order = rows if sweep % 2 == 0 else list(reversed(rows))
        for row in order:
            both = sweep >= SWEEPS // 2
            wanted = {spot.name: _wanted(spot, links, both=both, above=sweep % 2 == 0) for spot in row}
            _fit(row, wanted, gap)


def _wanted(spot: Spot, links: Sequence[tuple[Spot, Spot, float]], *, both: bool, above: bool) -> tuple[float, float]:
    """Tell where a spot would stand, and how much it matters: an arrow's own waypoints should be in one line."""
    total, weights = 0.0, 0.0
    for source, target, offset in links:
        weight = 1.0 + 3.0 * source.is_waypoint + 3.0 * target.is_waypoint
        if target is spot and (above or both):
            total, weights = total + weight * (source.x + offset), weights + weight
        if source is spot and (not above or both):
            total, weights = total + weight * (target.x - offset), weights + weight
    return (total / weights, weights) if weights else (spot.x, 0.1)


@dataclass(slots=True)
class _Pool:
    """Neighbours that push one another: the mean of what they want, its weight, and how many they are."""

    mean: float
    weight: float
    members: int = 1


def _fit(row: Sequence[Spot], wanted: Mapping[str, tuple[float, float]], gap: float) -> None:
    """Give each spot the place nearest to the wanted one, all in order and apart: neighbours that push are pooled.

    Source: https://en.wikipedia.org/wiki/Isotonic_regression (read 2026-11-25).
    """
    pools: list[_Pool] = []
    distance, distances = 0.0, []
    for number, spot in enumerate(row):
        if number:
            before = row[number - 1]
            apart = gap / 2 if before.is_waypoint and spot.is_waypoint else gap
            distance += (before.width + spot.width) / 2 + apart
        distances.append(distance)
        mean, weight = wanted[spot.name]
        pools.append(_Pool(mean - distance, weight))
        while len(pools) > 1 and pools[-2].mean > pools[-1].mean:
            other, one = pools.pop(), pools.pop()
            weight = one.weight + other.weight
            mean = (one.mean * one.weight + other.mean * other.weight) / weight
            pools.append(_Pool(mean, weight, one.members + other.members))
    starts = [pool.mean for pool in pools for _ in range(pool.members)]
    for spot, start, apart in zip(row, starts, distances, strict=True):
        spot.x = start + apart


def _measure(
    layout: Layout, rows: Sequence[Sequence[Spot]], box_heights: Mapping[str, float], row_gap: float, margin: float
) -> None:
    left = min((spot.x - spot.width / 2 for row in rows for spot in row), default=0.0)
    y = margin
    for row in rows:
        height = max((box_heights.get(spot.name, 0.0) for spot in row), default=0.0)
        layout.tops.append(y)
        layout.heights.append(height)
        for spot in row:
            spot.x += margin - left
            spot.y = y
        y += height + row_gap
    layout.width = max((spot.x + spot.width / 2 for row in rows for spot in row), default=0.0) + margin
    layout.height = y - row_gap + margin
