"""Charts as plain geometry: numbers in, places on the page out. Pure; the templates only write the SVG.

What it decides: charts are drawn by the server. A chart of 24 bars needs no library in the browser, works without
JavaScript, prints, follows the theme by CSS and is not in the page's weight. Across, places are percentages, so that a
chart stretches with the page while its words keep their size; down, they are pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

PLOT_HEIGHT_PX = 150
TICK_ROW_PX = 22
TOP_ROOM_PX = 14
LEFT_ROOM_PERCENT = 6.0
MAX_SERIES = 3


@dataclass(frozen=True)
class Series:
    """One kind of value: its name and its values, one per slot; `None` where nothing was measured."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Chart:
    """What to show: `labels` name each slot in words, `ticks` are the few that stand under the axis ("" for none)."""

    title: str
    labels: Sequence[str]
    ticks: Sequence[str]
    series: Sequence[Series]
    unit: str = ""
    decimals: int = 0

    def __post_init__(self) -> None:
        if not 1 <= len(self.series) <= MAX_SERIES:
            raise ValueError(f"A chart shows one to {MAX_SERIES} series, not {len(self.series)}.")
        lengths = {len(self.labels), len(self.ticks), *(len(one.values) for one in self.series)}
        if len(lengths) != 1:
            raise ValueError(
                f"Labels, ticks and values of “{self.title}” differ in number: {sorted(lengths)}."
            )

    def write(self, value: float | None) -> str:
        """Write one value with its unit; a dash for `None`."""
        if value is None:
            return "–"
        number = f"{value:,.{self.decimals}f}"
        return f"{number} {self.unit}" if self.unit else number

    def rows(self) -> list[tuple[str, list[str]]]:
        """Return the chart as a table: each slot's label and its values in words."""
        return [
            (label, [self.write(one.values[i]) for one in self.series]) for i, label in enumerate(self.labels)
        ]

    def hint(self, slot: int) -> str:
        """Return what hovering over a slot says."""
        return f"{self.labels[slot]}: " + ", ".join(
            f"{one.name} {self.write(one.values[slot])}" for one in self.series
        )


@dataclass(frozen=True)
class Rect:
    """A bar's part: x and width in percent, y and height in pixels."""

    series: int
    x: str
    width: str
    y: str
    height: str


@dataclass(frozen=True)
class Slot:
    """One place on the axis with what stands there."""

    x: str
    width: str
    middle: str
    tick: str
    anchor: str
    hint: str
    rects: list[Rect] = field(default_factory=list)


@dataclass(frozen=True)
class Dot:
    """One measured point of a line: x in percent of the whole chart, y in pixels."""

    series: int
    x: str
    y: str


@dataclass(frozen=True)
class Guide:
    """A horizontal line with its value."""

    y: str
    text: str


def nice_ceiling(value: float) -> float:
    """Return the smallest of 1, 2, 2.5, 5 or 10 times a power of ten that is not below `value`; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 1.0
    while power > value:
        power /= 10
    while power * 10 < value:
        power *= 10
    return next(power * step for step in (1, 2, 2.5, 5, 10) if power * step >= value)


def _percent(value: float) -> str:
    return f"{value:.3f}%"


def _px(value: float) -> str:
    return f"{value:.2f}"


def guides(chart: Chart, top: float) -> list[Guide]:
    """Return the lines at half and at full height; none at half where its value can't be written without rounding."""
    is_whole = round(top / 2, chart.decimals) == top / 2
    return [
        Guide(_px(TOP_ROOM_PX + PLOT_HEIGHT_PX * (1 - share)), chart.write(top * share))
        for share in ((0.5, 1.0) if is_whole else (1.0,))
    ]


def slots(chart: Chart, top: float = 0) -> list[Slot]:
    """Return the slots from left to right; with a `top` (the axis' end) their bars stand on one another."""
    count = len(chart.labels)
    pitch = (100 - LEFT_ROOM_PERCENT) / max(count, 1)
    made = []
    for i in range(count):
        left = LEFT_ROOM_PERCENT + pitch * i
        rects: list[Rect] = []
        base = float(TOP_ROOM_PX + PLOT_HEIGHT_PX)
        for number, one in enumerate(chart.series, 1):
            value = one.values[i]
            if not value or not top:
                continue
            # A bar that is there can be seen: one refusal among thousands is what the page is about.
            height = max(2.0, PLOT_HEIGHT_PX * value / top)
            base -= height
            rects.append(
                Rect(number, _percent(left + pitch * 0.2), _percent(pitch * 0.6), _px(base), _px(height))
            )
        made.append(
            Slot(
                x=_percent(left),
                width=_percent(pitch),
                middle=_percent(left + pitch / 2),
                tick=chart.ticks[i],
                # The last tick ends at the plot's edge instead of leaving the card.
                anchor="end" if count > 1 and i == count - 1 else "middle",
                hint=chart.hint(i),
                rects=rects,
            )
        )
    return made


def bar_top(chart: Chart) -> float:
    """Return the axis' end for stacked bars."""
    return nice_ceiling(
        max((sum(one.values[i] or 0 for one in chart.series) for i in range(len(chart.labels))), default=0)
    )


def line_top(chart: Chart) -> float:
    """Return the axis' end for lines."""
    return nice_ceiling(max((value or 0 for one in chart.series for value in one.values), default=0))


def line_paths(chart: Chart, top: float) -> list[str]:
    """Return an SVG path for each series in a box of 1000 by `PLOT_HEIGHT_PX`; a gap where nothing was measured."""
    count = max(len(chart.labels), 1)
    paths = []
    for one in chart.series:
        pen_down = False
        parts: list[str] = []
        for i, value in enumerate(one.values):
            if value is None:
                pen_down = False
                continue
            x, y = 1000 * (i + 0.5) / count, PLOT_HEIGHT_PX * (1 - value / top)
            alone = not pen_down and (i + 1 == len(one.values) or one.values[i + 1] is None)
            parts.append(f"{'L' if pen_down else 'M'}{x:.1f} {y:.1f}" + ("h0.1" if alone else ""))
            pen_down = True
        paths.append(" ".join(parts))
    return paths


def dots(chart: Chart, top: float) -> list[Dot]:
    """Return a dot for each measured point: where little was measured, the lines alone would show next to nothing."""
    pitch = (100 - LEFT_ROOM_PERCENT) / max(len(chart.labels), 1)
    return [
        Dot(
            number,
            _percent(LEFT_ROOM_PERCENT + pitch * (i + 0.5)),
            _px(TOP_ROOM_PX + PLOT_HEIGHT_PX * (1 - value / top)),
        )
        for number, one in enumerate(chart.series, 1)
        for i, value in enumerate(one.values)
        if value is not None
    ]
