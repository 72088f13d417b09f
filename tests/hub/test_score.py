import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.score import FALSE_POSITIVE_RATE, LEAST_BACKGROUND, calibrate, calibrated, score
from hub.target import SeedTarget, stack
from hub.triggers.similarity import Similarity
from hub.types import Calibration, SeedKind
from shared.errors import ModelError
from tests.hub.making import observation, seed, unit, version

CLIP = Calibration(0.53, 0.67)


@pytest.mark.parametrize(("cosine", "value"), [(-1, 0), (0.53, 0), (0.60, 0.25), (0.67, 0.5), (1.0, 1.0)])
def test_a_calibrated_score_is_half_at_the_boundary(cosine, value):
    assert calibrated(np.array([cosine], np.float32), CLIP)[0] == pytest.approx(value, abs=1e-6)


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_a_higher_cosine_never_scores_lower(a, b):
    low, high = calibrated(np.array(sorted((a, b)), np.float32), CLIP)
    assert low <= high


def test_the_boundary_lets_the_stated_share_of_the_background_through():
    background = np.random.default_rng(0).beta(5, 5, 4000).astype(np.float32)
    calibration = calibrate(background, CLIP)
    passed = np.mean(calibrated(background, calibration) >= 0.5)
    assert passed == pytest.approx(FALSE_POSITIVE_RATE, abs=0.002)
    assert "4000 elements" in calibration.source


def test_too_little_background_says_nothing():
    assert calibrate(np.full(LEAST_BACKGROUND - 1, 0.9, np.float32), CLIP) is CLIP


@given(st.floats(-1, 1))
def test_a_background_of_equal_frames_still_gives_a_usable_scale(cosine):
    calibration = calibrate(np.full(LEAST_BACKGROUND, cosine, np.float32), CLIP)
    assert calibration.floor < calibration.boundary < 1.0


def test_text_and_picture_seeds_are_judged_on_their_own_scales():
    picture, text = seed([1, 0, 0], "photo"), seed([0, 1, 0], "words", SeedKind.TEXT)
    target = SeedTarget(version(Similarity(), (picture, text)), None)
    found = target.nearest(unit([[0.3, 0.28, 0.91]]))
    assert found.seed == ("words",)
    assert found.value[0] > 0.5
    assert found.cosine[0] == pytest.approx(0.28, abs=0.01)


def test_raw_cosine_is_the_score_when_asked_for():
    target = SeedTarget(version(Similarity(scorer="cosine"), (seed([1, 0], "a"),)), None)
    assert target.nearest(unit([[0.8, 0.6], [-1, 0]])).value == pytest.approx([0.8, 0.0])


def test_a_batch_scores_as_its_frames_do_alone():
    target = SeedTarget(version(Similarity(), (seed([1, 0, 0], "a"), seed([0, 1, 0], "b"))), None)
    seen = [observation(vectors=np.random.default_rng(i).normal(size=(1, 3)), content=str(i)) for i in range(9)]
    together, _ = score(seen, target, {})
    alone = [score([one], target, {})[0][0] for one in seen]
    assert [s.seed for s in together] == [s.seed for s in alone]
    assert [s.value for s in together] == pytest.approx([s.value for s in alone])


def test_vectors_of_another_model_are_never_compared():
    with pytest.raises(ModelError, match="another model"):
        stack([seed([1, 0])], "v2")
