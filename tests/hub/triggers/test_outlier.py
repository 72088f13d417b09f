import io
import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.triggers.change import Change
from hub.triggers.outlier import Outlier
from hub.triggers.running import identify_outlier
from hub.types import Detections, Frame, Observation
from shared.errors import InvalidInput


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


def alarmed(scores):
    return [i for i, score in enumerate(scores) if score.value >= 0.5]


def scene(rng, n, where=0, dim=64, noise=0.1):
    """A still picture with sensor noise: (n, dim) unit."""
    x = np.eye(dim)[where] + noise * rng.normal(size=(n, dim)) / np.sqrt(dim)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def elsewhere(x, direction=5, strength=1.0):
    y = x + strength * np.eye(x.shape[-1])[direction]
    return y / np.linalg.norm(y, axis=-1, keepdims=True)


# ── compat: the formulas, written a second time ──────────────────────────────────────────────────────


def reference(vectors, window_size=32, warmup=3, t=0.05):
    """Identify Outliers by the letter: (is_outlier, percentile, warming_up), and whether rounding decides."""
    x = [np.asarray(v, float) / np.linalg.norm(v) for v in vectors]
    out = []
    for i in range(len(x)):
        last = np.array(x[max(0, i + 1 - window_size) : i + 1])
        if i + 1 < warmup:
            out.append((False, 0.5, True, False))
            continue
        total = last.sum(axis=0)
        mu = total / np.linalg.norm(total)
        alignment = np.array([sum(mu * row) for row in last])
        percentile = int(np.searchsorted(np.sort(alignment), alignment[-1] - 1e-12)) / len(last)
        gaps = np.abs(alignment[:-1] - alignment[-1])
        close = bool(((gaps > 1e-13) & (gaps < 1e-11)).any()) or np.linalg.norm(total) < 1e-9
        out.append((percentile < t or percentile > 1 - t, percentile, False, close))
    return out


@st.composite
def sequences(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, dim = draw(st.integers(1, 80)), draw(st.sampled_from([2, 3, 16, 64]))
    kind = draw(st.sampled_from(["random", "drift", "scene"]))
    if kind == "random":
        x = rng.normal(size=(n, dim))
    elif kind == "drift":
        x = np.eye(dim)[0] + np.linspace(0, 1, n)[:, None] * np.eye(dim)[1] + 0.01 * rng.normal(size=(n, dim))
    else:
        x = np.eye(dim)[0] + 0.05 * rng.normal(size=(n, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@settings(deadline=None, max_examples=60)
@given(vectors=sequences(), window_size=st.sampled_from([1, 5, 32]), t=st.sampled_from([0.05, 0.3]))
def test_compat_is_identify_outliers_frame_for_frame(vectors, window_size, t):
    state = {}
    for x, expected in zip(vectors, reference(vectors, window_size, t=t), strict=True):
        got, state = identify_outlier(x, state, window_size, 3, t)
        is_outlier, percentile, warming_up, rounding_decides = expected
        assert got.warming_up == warming_up
        if not rounding_decides:
            assert (got.is_outlier, got.percentile) == (is_outlier, percentile)


def test_identical_frames_rank_lowest_in_compat_since_the_rank_counts_what_is_strictly_less():
    x, state = np.eye(512)[0], {}
    for _ in range(40):
        got, state = identify_outlier(x, state, 32, 3, 0.05)
    assert (got.percentile, got.is_outlier) == (0.0, True)


def test_opposite_frames_have_no_mean_and_still_an_answer():
    state = {}
    for sign in (1, -1, 1, -1):
        got, state = identify_outlier(sign * np.eye(8)[0], state, 32, 3, 0.05)
    assert math.isfinite(got.percentile)


@settings(deadline=None, max_examples=40)
@given(vectors=sequences())
def test_a_compat_score_reaches_a_half_exactly_for_outliers(vectors):
    trigger, state, plain = Outlier(mode="compat"), {}, {}
    for x in vectors.astype(np.float32):
        score, state = trigger.score(seen(x), None, state)
        says, plain = identify_outlier(x.astype(float) / np.linalg.norm(x.astype(float)), plain, 32, 3, 0.05)
        assert (score.value >= 0.5) == says.is_outlier
        assert 0.0 <= score.value <= 1.0


# ── rarity, the default ──────────────────────────────────────────────────────────────────────────────


def test_what_was_never_seen_is_an_outlier():
    x = scene(np.random.default_rng(1), 300)
    x[200] = elsewhere(x[200])
    scores, _ = run(Outlier(), x)
    assert scores[200].value == max(score.value for score in scores)
    assert scores[200].why.startswith("unlike anything of the last while: rarer than 1 in ")
    assert scores[201].value < 0.5


def test_what_lasts_is_one_outlier():
    x = scene(np.random.default_rng(2), 900)
    x[450:] = elsewhere(x[450:])
    found = [i for i in alarmed(run(Outlier(), x)[0]) if 440 <= i < 600]
    assert found[0] == 450
    assert len(found) <= 5


def test_a_scene_that_alternates_between_known_states_has_no_outliers_though_it_changes():
    rng = np.random.default_rng(3)
    x = np.where((np.arange(800) // 40 % 2 == 0)[:, None], scene(rng, 800), elsewhere(scene(rng, 800)))
    returns = np.arange(480, 800, 40)
    changes, outliers = ([score.value for score in run(trigger, x)[0]] for trigger in (Change(), Outlier()))
    assert np.median(np.array(changes)[returns]) > np.median(np.array(outliers)[returns]) + 0.2
    assert np.count_nonzero(np.array(outliers)[returns] >= 0.5) <= 1


def test_what_comes_back_is_news_once_it_is_forgotten():
    def come_back_after(others, memory):
        rng = np.random.default_rng(4)
        visits = [scene(rng, 20, where) for where in [*range(1, 9), 0, *others, 1]]
        scores, _ = run(Outlier(memory=memory), np.concatenate(visits))
        return scores[-20].value

    assert come_back_after(range(10, 20), memory=64) < 0.5
    assert come_back_after(range(10, 20), memory=4) > come_back_after(range(10, 20), memory=64)


def test_slow_drift_is_no_outlier():
    turn = 0.5 * np.sin(2 * np.pi * np.arange(2000) / 1500)[:, None] * np.eye(64)[1]
    assert len(alarmed(run(Outlier(), scene(np.random.default_rng(5), 2000) + turn)[0])) <= 40


# ── what can go wrong ────────────────────────────────────────────────────────────────────────────────

MODES = [Outlier(), Outlier(mode="compat")]


@pytest.mark.parametrize("trigger", MODES)
def test_warming_up_is_said_and_scores_zero(trigger):
    scores, _ = run(trigger, scene(np.random.default_rng(8), 2))
    assert all(score.value == 0.0 for score in scores)
    assert scores[1].why == f"warming up, 2 of {9 if trigger.mode == 'rarity' else 3} frames"


@pytest.mark.parametrize("trigger", MODES)
@pytest.mark.parametrize("bad", [None, np.zeros(64), np.full(64, np.nan), np.full(64, np.inf)])
def test_an_unusable_vector_scores_zero_and_leaves_the_state_unharmed(trigger, bad):
    _, state = run(trigger, scene(np.random.default_rng(9), 20))
    score, after = trigger.score(seen(bad), None, state)
    assert score.value == 0.0
    assert "embed" in score.why
    assert after is state


@pytest.mark.parametrize("trigger", MODES)
def test_another_embedder_or_rule_starts_afresh(trigger):
    x = scene(np.random.default_rng(10), 30)
    _, state = run(trigger, x)
    _, other = run(next(mode for mode in MODES if mode != trigger), x)
    for changed, known in ((seen(np.eye(8)[0]), state), (seen(x[0], embedder="v2"), state), (seen(x[0]), other)):
        score, fresh = trigger.score(changed, None, known)
        assert score.why.startswith("warming up, 1 of")
        assert _same(fresh, trigger.score(changed, None, {})[1])


def _same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("trigger", MODES)
def test_scoring_changes_no_state_it_was_given(trigger):
    x = scene(np.random.default_rng(12), 40)
    _, state = run(trigger, x)
    kept = {key: np.copy(value) if isinstance(value, np.ndarray) else value for key, value in state.items()}
    for frame in (x[0], elsewhere(x[0])):
        assert trigger.score(seen(frame), None, state)[0] == trigger.score(seen(frame), None, state)[0]
        assert _same(state, kept)


@pytest.mark.parametrize("trigger", [*MODES, Outlier(memory=1), Outlier(memory=5, history=50)])
def test_the_state_is_plain_and_bounded_whatever_comes(trigger):
    rng = np.random.default_rng(13)
    _, state = run(trigger, rng.normal(size=(700, 16)))
    for key, value in state.items():
        assert isinstance(key, str)
        assert isinstance(value, int | float | str | bool | None | np.ndarray)
        if isinstance(value, np.ndarray):
            assert value.dtype in (np.float32, np.float64)
            assert len(value) <= max(trigger.memory, trigger.history, trigger.window_size)
    assert len(state.get("scenes", [])) <= trigger.memory


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
        ({"alpha": 0.03}, "to 0.02"),
        ({"memory": 1000}, "to 256"),
        ({"window_size": None}, "whole number from 1 to 1000"),
        ({"threshold_percentile": -0.1}, "from 0.0 to 1.0"),
    ],
)
def test_settings_that_can_not_work_are_refused_with_what_can(wrong, hint):
    with pytest.raises(InvalidInput, match=hint):
        Outlier(**wrong)


def test_it_is_data():
    assert Outlier(**asdict(Outlier(memory=9))) == Outlier(memory=9)
