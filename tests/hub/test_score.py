import numpy as np
import pytest

from hub.score import score
from hub.scorers.examples import stack
from hub.target import SeedTarget
from hub.triggers.similarity import Similarity
from hub.types import Fitted, SeedKind
from shared.errors import ModelError
from tests.hub.making import observation, seed, unit, version


def test_text_and_picture_seeds_are_judged_on_their_own_scales():
    picture, text = seed([1, 0, 0], "photo"), seed([0, 1, 0], "words", SeedKind.TEXT)
    target = SeedTarget(version(Similarity(), (picture, text)), None)
    found = target.match(unit([[0.3, 0.28, 0.91]]))
    assert found.value[0] > 0.5
    assert found.nearest(0) == ("words", pytest.approx(0.28, abs=0.01))


def test_raw_cosine_is_the_score_when_asked_for():
    target = SeedTarget(version(Similarity(scorer="cosine"), (seed([1, 0], "a"),), scorer=Fitted("cosine")), None)
    assert target.match(unit([[0.8, 0.6], [-1, 0]])).value == pytest.approx([0.8, 0.0])


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


def test_a_frame_below_the_bar_is_not_looked_at_and_its_state_is_kept():
    target = SeedTarget(version(Similarity(), (seed([1, 0, 0], "a"),)), None)
    seen = [observation(vectors=[[0, 1, 0]], content="far"), observation(vectors=[[1, 0.05, 0]], content="near")]
    far, near = score(seen, target, {"porch": {"kept": 1}}, bar=0.5)[0]
    assert far is None
    assert near.value > 0.5
    assert score(seen, target, {"porch": {"kept": 1}}, bar=0.5)[1] == {"porch": {"kept": 1}}


def test_only_a_seed_itself_scores_one():
    target = SeedTarget(version(Similarity(), (seed([1, 0, 0], "a"),)), None)
    value = target.match(unit([[1, 0, 0], [1, 0.02, 0]])).value
    assert value[0] == 1.0
    assert 0.9 < value[1] < 1.0


@pytest.mark.parametrize("broken", [[0.0, 0.0, 0.0], [float("nan"), 0.0, 0.0], [float("inf"), 0.0, 0.0]])
def test_a_vector_that_is_none_scores_zero(broken):
    target = SeedTarget(version(Similarity(), (seed([1, 0, 0], "a"),)), None)
    assert target.match(np.array([broken], np.float32)).value[0] == 0.0


def test_rows_are_explained_the_same_one_by_one_and_all_together():
    rng = np.random.default_rng(3)
    seeds = tuple(seed(rng.standard_normal(16), f"s{i}", SeedKind.TEXT if i % 2 else SeedKind.IMAGE) for i in range(20))
    target = SeedTarget(version(Similarity(), seeds), None)
    rows = unit(rng.standard_normal((30, 16)))
    one_by_one = [target.match(rows[i : i + 1]).nearest(0) for i in range(30)]
    together = target.match(rows).nearest
    for i in range(30):
        name, cosine = together(i)
        assert name == one_by_one[i][0]
        assert cosine == pytest.approx(one_by_one[i][1], abs=1e-6)
    assert len({name for name, _ in one_by_one}) > 5
