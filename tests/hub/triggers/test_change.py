import io
import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.rarity import rarity_of_score
from hub.triggers.change import Change
from hub.triggers.running import Running, identify_change, tail_score
from hub.triggers.surprise import LEAST_SCORES, rarity
from hub.types import Detections, Frame, Observation
from shared.errors import InvalidInput

STRATEGIES = ["ema", "sma", "window"]


def seen(vector, at=0.0, embedder="v1"):
    rows = np.zeros((0, 0), np.float32) if vector is None else np.asarray(vector, np.float32)[None]
    return Observation(Frame("porch", 1, at, b"jpeg"), (640, 480), Detections.empty(), rows, embedder)


def run(trigger, vectors, state=None):
    """Every score, and the state at the end."""
    state, scores = state or {}, []
    for x in vectors:
        score, state = trigger.score(seen(x), None, state)
        scores.append(score)
    return scores, state


def scene(rng, n, dim=64, noise=0.1):
    """A still picture with sensor noise: (n, dim) unit."""
    x = np.eye(dim)[0] + noise * rng.normal(size=(n, dim)) / np.sqrt(dim)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def elsewhere(x, direction=5, strength=1.0):
    y = x + strength * np.eye(x.shape[-1])[direction]
    return y / np.linalg.norm(y, axis=-1, keepdims=True)


# ── compat: the formulas, written a second time ──────────────────────────────────────────────────────


def reference(vectors, strategy, a=0.1, window_size=10, warmup=3, t=0.2):
    """Identify Changes by the letter, over whole lists: (is_outlier, percentile, z, average, std, warming_up)."""
    x = [np.asarray(v, float) / np.linalg.norm(v) for v in vectors]
    averages, c, out = [], [], []
    for i in range(len(x)):
        if i:
            previous = averages[-1]
            c.append(float(np.dot(x[i], previous) / np.linalg.norm(previous)))
        z = 0.0
        if c:
            m, s = _mean_and_deviation(np.array(c)[:, None], strategy, a, window_size, frames_before=1)
            z = (c[-1] - m[0]) / s[0] if s[0] > 1e-12 else 0.0
        p = 0.5 * math.erfc(z / math.sqrt(2))
        average, std = _mean_and_deviation(np.array(x[: i + 1]), strategy, a, window_size)
        averages.append(average)
        warming = i < warmup
        out.append((not warming and (p <= t / 2 or p >= 1 - t / 2), p, z, average, std, warming))
    return out


def _mean_and_deviation(values, strategy, a, window_size, frames_before=0):
    if strategy == "window":
        last = values[1:][-window_size:] if len(values) > 1 else values
        return last.mean(axis=0), last.std(axis=0)
    mean, square, variance = values[0], np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for number, v in enumerate(values[1:], 2):
        if strategy == "ema":
            mean = (1 - a) * mean + a * v
            variance = (1 - a) * variance + a * (v - mean) ** 2
        else:
            old, frames = mean, number + frames_before
            mean = (mean * (frames - 1) + v) / frames
            square = square + (v - old) * (v - mean)
            variance = square / (frames - 1)
    return mean, np.sqrt(variance)


@st.composite
def sequences(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, dim = draw(st.integers(1, 60)), draw(st.sampled_from([2, 3, 16, 64]))
    kind = draw(st.sampled_from(["random", "drift", "scene", "steps"]))
    if kind == "random":
        x = rng.normal(size=(n, dim))
    elif kind == "drift":
        x = np.eye(dim)[0] + np.linspace(0, 1, n)[:, None] * np.eye(dim)[1] + 0.01 * rng.normal(size=(n, dim))
    elif kind == "scene":
        x = np.eye(dim)[0] + 0.05 * rng.normal(size=(n, dim))
    else:
        x = np.eye(dim)[rng.integers(0, 2, n)] + 0.01 * rng.normal(size=(n, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(deadline=None, max_examples=60)
@given(vectors=sequences(), t=st.sampled_from([0.05, 0.2, 0.5]))
def test_compat_is_identify_changes_frame_for_frame(strategy, vectors, t):
    state = {}
    for x, expected in zip(vectors, reference(vectors, strategy, t=t), strict=True):
        got, state = identify_change(x, state, Running(strategy), 3, t)
        is_outlier, p, z, average, std, warming_up = expected
        assert got.percentile == pytest.approx(p, abs=1e-6)
        assert got.z_score == pytest.approx(z, abs=1e-5)
        assert got.average == pytest.approx(average, abs=1e-12)
        assert got.std == pytest.approx(std, abs=1e-7)
        assert got.warming_up == warming_up
        if min(abs(p - t / 2), abs(p - 1 + t / 2)) > 1e-6:
            assert got.is_outlier == is_outlier


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_identical_frames_are_never_changes_in_compat(strategy):
    x = np.random.default_rng(0).normal(size=512)
    scores, _ = run(Change(mode="compat", strategy=strategy), [x] * 60)
    assert {score.value for score in scores} == {0.0}


@settings(deadline=None, max_examples=40)
@given(vectors=sequences(), strategy=st.sampled_from(STRATEGIES))
def test_a_compat_score_reaches_a_half_exactly_for_outliers(vectors, strategy):
    trigger, state, plain = Change(mode="compat", strategy=strategy), {}, {}
    for x in vectors.astype(np.float32):
        score, state = trigger.score(seen(x), None, state)
        unit = x.astype(float) / np.linalg.norm(x.astype(float))
        says, plain = identify_change(unit, plain, Running(strategy), 3, 0.2)
        assert (score.value >= 0.5) == says.is_outlier
        assert 0.0 <= score.value <= 1.0


@pytest.mark.parametrize("limit", [0.0, 0.1, 0.5])
def test_a_compat_score_grows_towards_both_ends(limit):
    percentiles = np.linspace(0.5, 1.0, 101)
    up = [tail_score(p, limit, min(p, 1 - p) <= limit) for p in percentiles]
    down = [tail_score(1 - p, limit, min(p, 1 - p) <= limit) for p in percentiles]
    assert np.all(np.diff(up) >= 0)
    assert down == pytest.approx(up)
    assert up[-1] == 1.0


# ── rarity, the default ──────────────────────────────────────────────────────────────────────────────


def test_one_odd_frame_is_a_change_and_the_frame_after_it_is_none():
    x = scene(np.random.default_rng(1), 300)
    x[200] = elsewhere(x[200])
    scores, _ = run(Change(), x)
    assert scores[200].value > 0.5
    assert max(score.value for score in scores[201:206]) < 0.5
    assert scores[200].why.startswith("unlike the moments before: rarer than 1 in ")


def test_an_odd_frame_is_found_while_the_history_is_short():
    x = scene(np.random.default_rng(2), 40)
    x[30] = elsewhere(x[30])
    scores, _ = run(Change(), x)
    assert [i for i, score in enumerate(scores) if score.value >= 0.5] == [30]


def test_what_lasts_is_one_change():
    x = scene(np.random.default_rng(3), 900)
    x[450:] = elsewhere(x[450:])
    scores, _ = run(Change(), x)
    alarmed = [i for i, score in enumerate(scores[400:600], 400) if score.value >= 0.5]
    assert alarmed[0] == 450
    assert len(alarmed) <= 5


def test_slow_drift_is_no_change():
    turn = 0.5 * np.sin(2 * np.pi * np.arange(2000) / 1500)[:, None] * np.eye(64)[1]
    scores, _ = run(Change(), scene(np.random.default_rng(4), 2000) + turn)
    assert np.mean([score.value >= 0.5 for score in scores]) <= 0.02


@pytest.mark.parametrize("alpha", [0.01, 0.02])
@pytest.mark.parametrize("kind", ["normal squared", "log-normal", "two states", "infinite mean"])
def test_alpha_is_the_share_of_alarms_with_a_full_history_whatever_the_distribution(alpha, kind):
    rng = np.random.default_rng(5)
    scores = {
        "normal squared": rng.normal(size=4000) ** 2,
        "log-normal": np.exp(rng.normal(size=4000)),
        "two states": rng.choice([1.0, 50.0], 4000) + rng.random(4000),
        "infinite mean": rng.pareto(1.0, 4000),
    }[kind]
    alarms = np.mean([rarity(scores[i], scores[i - 400 : i], 400) <= alpha for i in range(400, 4000)])
    assert 0.5 * alpha <= alarms <= (3 if kind == "infinite mean" else 2) * alpha


def test_a_record_is_told_from_a_greater_record():
    past = np.random.default_rng(6).random(400) + 1.0
    assert rarity(9.0, past, 400) < rarity(4.0, past, 400) < 1 / 401


@settings(deadline=None)
@given(st.lists(st.floats(0, 2), max_size=80), st.floats(0, 2), st.floats(0, 2))
def test_rarity_is_a_share_and_never_grows_with_the_score(past, a, b):
    low, high = (rarity(s, np.array(past), 400) for s in sorted((a, b)))
    assert 0.0 < high <= low <= 1.0


def test_the_score_is_the_rarity_on_the_common_scale():
    x = scene(np.random.default_rng(7), 200)
    scores, state = run(Change(), x)
    last, _ = Change(alpha=0.02).score(seen(elsewhere(x[0], strength=0.2)), None, state)
    assert last.value > scores[-1].value
    assert 0.0 < float(rarity_of_score(last.value, 0.02)) <= 0.02


# ── what can go wrong ────────────────────────────────────────────────────────────────────────────────

MODES = [Change(), *(Change(mode="compat", strategy=strategy) for strategy in STRATEGIES)]


@pytest.mark.parametrize("trigger", MODES)
def test_warming_up_is_said_and_scores_zero(trigger):
    scores, _ = run(trigger, scene(np.random.default_rng(8), 3))
    assert all(score.value == 0.0 and score.why.startswith("warming up, ") for score in scores)
    of = LEAST_SCORES + 1 if trigger.mode == "rarity" else trigger.warmup
    assert scores[2].why == f"warming up, 3 of {of} frames"


@pytest.mark.parametrize("trigger", MODES)
@pytest.mark.parametrize("bad", [None, np.zeros(64), np.full(64, np.nan), np.full(64, np.inf)])
def test_an_unusable_vector_scores_zero_and_leaves_the_state_unharmed(trigger, bad):
    _, state = run(trigger, scene(np.random.default_rng(9), 20))
    score, after = trigger.score(seen(bad), None, state)
    assert score.value == 0.0
    assert "embed" in score.why
    assert after is state


@pytest.mark.parametrize("trigger", MODES)
def test_another_embedder_starts_afresh(trigger):
    x = scene(np.random.default_rng(10), 30)
    _, state = run(trigger, x)
    for changed in (seen(np.eye(8)[0]), seen(x[0], embedder="v2")):
        score, fresh = trigger.score(changed, None, state)
        assert score.why.startswith("warming up")
        assert fresh == {} or _same(fresh, trigger.score(changed, None, {})[1])


def _same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("trigger", MODES)
def test_the_clock_does_not_matter(trigger):
    x = scene(np.random.default_rng(11), 30)
    forward, backward = {}, {}
    for i, row in enumerate(x):
        a, forward = trigger.score(seen(row, at=float(i)), None, forward)
        b, backward = trigger.score(seen(row, at=-float(i)), None, backward)
        assert a == b


@pytest.mark.parametrize("trigger", MODES)
def test_scoring_changes_no_state_it_was_given(trigger):
    x = scene(np.random.default_rng(12), 40)
    _, state = run(trigger, x)
    kept = {key: np.copy(value) if isinstance(value, np.ndarray) else value for key, value in state.items()}
    first = trigger.score(seen(x[0]), None, state)[0]
    assert _same(state, kept)
    assert trigger.score(seen(x[0]), None, state)[0] == first


@pytest.mark.parametrize("trigger", [*MODES, Change(history=50)])
def test_the_state_is_plain_and_bounded(trigger):
    x = scene(np.random.default_rng(13), 600, dim=16)
    _, early = run(trigger, x[:500])
    _, late = run(trigger, x[500:], early)
    for key, value in late.items():
        assert isinstance(key, str)
        assert isinstance(value, int | float | str | bool | None | np.ndarray)
        if isinstance(value, np.ndarray):
            assert value.dtype in (np.float32, np.float64)
            assert value.shape == early[key].shape


def test_identical_frames_are_never_a_change():
    scores, _ = run(Change(), [scene(np.random.default_rng(15), 1)[0]] * 100)
    assert max(score.value for score in scores) < 0.5


@pytest.mark.parametrize("trigger", MODES)
def test_a_state_read_back_after_a_restart_goes_on_the_same(trigger):
    x = scene(np.random.default_rng(14), 60)
    _, state = run(trigger, x[:40])
    file = io.BytesIO()
    np.savez(file, **{key: value for key, value in state.items() if isinstance(value, np.ndarray)})
    file.seek(0)
    with np.load(file) as arrays:
        plain = {key: value for key, value in state.items() if not isinstance(value, np.ndarray)}
        restored = json.loads(json.dumps(plain)) | dict(arrays)
    assert run(trigger, x[40:], restored)[0] == run(trigger, x[40:], state)[0]


@settings(deadline=None, max_examples=60)
@given(
    trigger=st.sampled_from(MODES),
    vectors=st.lists(st.lists(st.floats(width=32), min_size=3, max_size=3), max_size=30),
)
def test_whatever_comes_the_score_is_a_number_from_0_to_1(trigger, vectors):
    with np.errstate(over="ignore"):
        scores, state = run(trigger, vectors)
    assert all(0.0 <= score.value <= 1.0 for score in scores)
    assert all(np.isfinite(value).all() for value in state.values() if isinstance(value, np.ndarray))


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"mode": "magic"}, "rarity, compat"),
        ({"strategy": "median"}, "ema, sma, window"),
        ({"alpha": 0.03}, "to 0.02"),
        ({"alpha": math.nan}, "a number"),
        ({"history": 10}, "from 50"),
        ({"history": 100.5}, "whole number"),
        ({"window_size": None}, "whole number from 1 to 1000"),
        ({"warmup": -1}, "from 0"),
        ({"threshold_percentile": 1.5}, "from 0.0 to 1.0"),
        ({"rate": 0}, "from 0.001"),
    ],
)
def test_settings_that_can_not_work_are_refused_with_what_can(wrong, hint):
    with pytest.raises(InvalidInput, match=hint):
        Change(**wrong)


def test_it_is_data():
    assert Change(**asdict(Change(alpha=0.005))) == Change(alpha=0.005)
