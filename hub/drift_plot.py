"""A drift report as a picture, readable in print."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from hub.drift import ALL_TIME, DriftReport, DriftRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK, _DRIFTED, _CHANCE = "#1f4e79", "#c0392b", "#777777"
_MAX_TICKS = 16


def plot(report: DriftReport) -> bytes:
    """PNG: above, the cosine with its interval and its value without drift; below, MMD². What drifted is red."""
    # Here, since it takes a third of a second that no other command should wait.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [row for row in report.rows if row.period != ALL_TIME and row.cosine is not None]
    figure = Figure(figsize=(8.0, 5.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    _plot_cosines(above, rows)
    _plot_distances(below, rows)
    step = -(-len(rows) // _MAX_TICKS) or 1
    below.set_xticks(range(0, len(rows), step), [row.period for row in rows[::step]], rotation=45, ha="right")
    figure.suptitle(f"Drift by {report.increment}, against {report.reference}", fontsize=11)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _plot_cosines(axes: Axes, rows: list[DriftRow]) -> None:
    for x, row in enumerate(rows):
        axes.plot([x, x], [row.low or 0.0, row.high or 0.0], color=_colour(row), linewidth=1.4)
        axes.plot([x], [row.cosine or 0.0], marker="o", markersize=6, color=_colour(row), markerfacecolor=_fill(row))
    # Stairs, since each period has its own value.
    expected = [row.expected or 0.0 for row in rows]
    axes.hlines(
        expected,
        [x - 0.4 for x in range(len(rows))],
        [x + 0.4 for x in range(len(rows))],
        colors=_CHANCE,
        linestyles="dashed",
        linewidth=1.2,
    )
    axes.set_ylabel("cosine of the means")
    _explain(axes)


def _explain(axes: Axes) -> None:
    """The legend, of lines without points."""
    axes.plot([], [], color=_CHANCE, linestyle="dashed", label="expected if nothing changed")
    axes.plot([], [], color=_INK, marker="o", markerfacecolor="white", label="not drifted, 95 % interval")
    axes.plot([], [], color=_DRIFTED, marker="o", label="drifted")
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=3)


def _plot_distances(axes: Axes, rows: list[DriftRow]) -> None:
    for x, row in enumerate(rows):
        axes.bar([x], [row.mmd2 or 0.0], width=0.6, color=_fill(row), edgecolor=_colour(row), linewidth=1.0)
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set_ylabel("distance (MMD²)")


def _colour(row: DriftRow) -> str:
    return _DRIFTED if row.drifted else _INK


def _fill(row: DriftRow) -> str:
    return _DRIFTED if row.drifted else "white"
