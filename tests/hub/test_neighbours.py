import builtins
from itertools import chain

import numpy as np
import pytest

from hub.corpus import tuning
from hub.neighbours import NEIGHBOURS, Annoy, neighbour_kind
from shared.errors import NotSetUp
from tests.hub.corpora import clustered

KINDS = sorted(NEIGHBOURS)


@pytest.mark.parametrize("name", KINDS)
def test_candidates_hold_the_nearest(name, tmp_path):
    vectors, queries = clustered(1500), clustered(30, 1)
    kind = NEIGHBOURS[name]
    kind.build([vectors[:1000], vectors[1000:]], 32, tmp_path / "file", kind.plans[0][1])
    opened = kind.open(tmp_path / "file", 32)
    for query in queries:
        assert int(np.argmax(vectors @ query)) in opened.candidates(query, 20, kind.efforts[-1])


@pytest.mark.parametrize("name", KINDS)
def test_a_file_that_is_open_outlives_its_name(name, tmp_path):
    vectors = clustered(300)
    NEIGHBOURS[name].build([vectors], 32, tmp_path / "file", 16)
    opened = NEIGHBOURS[name].open(tmp_path / "file", 32)
    (tmp_path / "file").unlink()
    assert opened.candidates(vectors[7], 1, 1000)[0] == 7


@pytest.mark.parametrize("name", KINDS)
def test_recall_is_measured_and_reached(name, tmp_path):
    vectors = clustered(2000, dim=128)
    tuned, projection = tuning.build(vectors.astype(np.float16), NEIGHBOURS[name], tmp_path / "file")
    assert tuned.recall >= tuning.TARGET
    assert projection.shape == (128, tuned.dims)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_target_out_of_reach_leaves_the_best(tmp_path):
    quick = Annoy(plans=((0, 5), (0, 10)), efforts=(1000,))
    tuned, _ = tuning.build(clustered(600), quick, tmp_path / "file", target=1.1)
    assert 0.9 < tuned.recall <= 1.0
    assert (tmp_path / "file").exists()


def test_an_index_that_looks_at_half_of_all_is_not_worth_having():
    annoy = NEIGHBOURS["annoy"]
    cheap = tuning.Tuned(20, 0, 50, 1_000, 0.999, 0.8)
    assert not tuning.exact_is_better(annoy, cheap, 10_000)
    assert tuning.exact_is_better(annoy, cheap, 400)
    assert tuning.exact_is_better(annoy, tuning.Tuned(20, 0, 50, 1_000, 0.7, 0.8), 10_000)


def test_a_missing_usearch_says_how_to_install_it(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("usearch"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(NotSetUp, match=r"pip install 'bowerbird\[usearch\]'"):
        neighbour_kind("usearch")
    assert neighbour_kind("annoy") is NEIGHBOURS["annoy"]


def test_the_plans_and_efforts_rise():
    for kind in NEIGHBOURS.values():
        assert list(kind.efforts) == sorted(kind.efforts)
        assert all(size > 0 for size in chain(size for _, size in kind.plans))
