"""The picture of a drift report."""

import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from hub.drift import ALL_TIME, DriftReport, DriftRow
from hub.drift_periods import Increment
from hub.drift_plot import plot

ROW = DriftRow("2026-08", 100, 0.97, 0.96, 0.98, 0.975, 0.001, 0.4, 86400.0)
DRIFTED = replace(ROW, period="2026-09", cosine=0.9, mmd2=0.05, p=0.001, drifted=True)


def pixels(*rows: DriftRow) -> np.ndarray:
    report = DriftReport(Increment.MONTH, "2026-07", 100, rows)
    return cv2.imdecode(np.frombuffer(plot(report), np.uint8), cv2.IMREAD_COLOR)


def red(image: np.ndarray) -> int:
    blue, green, colour = (image[..., i].astype(int) for i in range(3))
    return int(((colour > 150) & (green < 100) & (blue < 100)).sum())


def test_what_drifted_is_red_and_nothing_else_is():
    calm, alarmed = pixels(ROW, replace(ROW, period="2026-10")), pixels(ROW, DRIFTED)
    assert calm.shape == alarmed.shape == (840, 1200, 3)
    assert red(alarmed) > 5 * red(calm) > 0  # the legend


@pytest.mark.parametrize("rows", [(), (DriftRow("2026-08", 2),), (replace(ROW, period=ALL_TIME),)])
def test_a_report_without_figures_is_a_picture_too(rows):
    assert pixels(*rows).shape == (840, 1200, 3)


def test_a_year_of_days_fits():
    assert pixels(*[replace(ROW, period=f"2026-{i:03}") for i in range(365)]).shape == (840, 1200, 3)


def test_no_command_waits_for_matplotlib_but_the_one_that_draws():
    code = "import sys, hub.cli.main; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
