"""Every embedder keeps the same promises, and says where its cosines lie."""

import uuid
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from hub.models.builtin_embedder import BuiltinEmbedder
from hub.models.embedder import load_embedder
from hub.models.typical import CLIP
from hub.protocols import Embedder
from hub.types import Image
from shared.errors import ModelError
from tests.hub.models.clip_pictures import TINY, joint, pictures


@pytest.fixture(params=["student", "mobilenet", "builtin", "tiny", "joint"], scope="module")
def embedder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    def pack(name: str) -> Embedder:
        return load_embedder(request.getfixturevalue("models_dir") / name, device="cpu")

    makers: dict[str, Callable[[], Embedder]] = {
        "student": lambda: pack("clip-student"),
        "mobilenet": lambda: pack("mobilenetv2"),
        "builtin": BuiltinEmbedder,
        "tiny": lambda: load_embedder(TINY, device="cpu"),
        "joint": lambda: load_embedder(joint(tmp_path_factory.mktemp("joint")), device="cpu"),
    }
    return makers[request.param]()


# ── what all promise ─────────────────────────────────────────────────────────────────────────────────


def test_pictures_of_any_size_become_unit_vectors(embedder: Embedder) -> None:
    odd = [np.zeros(shape, np.uint8) for shape in ((1, 1, 3), (31, 4000, 3), (4000, 31, 3))]
    vectors = embedder.embed(pictures() + odd)
    assert vectors.shape == (len(pictures()) + 3, embedder.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_picture_alone_and_among_sixteen_gets_the_same_vector(embedder: Embedder) -> None:
    sixteen = (pictures() * 2)[:16]
    alone = np.concatenate([embedder.embed([picture]) for picture in sixteen])
    np.testing.assert_allclose(alone, embedder.embed(sixteen), atol=1e-5)


def test_no_pictures_give_no_vectors(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, embedder.dim)


def test_colours_and_up_and_down_matter(embedder: Embedder) -> None:
    picture = pictures()[0]
    same, bgr, turned = embedder.embed([picture, picture[..., ::-1], picture[::-1]]) @ embedder.embed([picture])[0]
    assert same > 0.9999
    assert bgr < 0.999
    assert turned < 0.999


def test_the_version_is_a_uuid_and_cosines_have_a_scale(embedder: Embedder) -> None:
    assert uuid.UUID(embedder.version).version == 5
    for kind in ("image", "text"):
        calibration = embedder.typical[kind]
        assert 0 <= calibration.floor < calibration.boundary < 1
        assert calibration.source


# ── built in ─────────────────────────────────────────────────────────────────────────────────────────


def test_the_built_in_version_is_the_same_everywhere() -> None:
    """Changes only when the descriptor does, and then stored vectors are not compared any more."""
    assert BuiltinEmbedder.version == "8111506d-0f8c-5ad6-882d-28753013f3c7"


def test_the_built_in_one_is_honest_about_itself() -> None:
    embedder = BuiltinEmbedder()
    assert embedder.name == "built-in colour and edge descriptor"
    with pytest.raises(ModelError, match="understands no text"):
        embedder.embed_text(["owl"])


def test_the_built_in_one_takes_a_flat_picture() -> None:
    vectors = BuiltinEmbedder().embed([np.full((50, 50, 3), value, np.uint8) for value in (0, 255)])
    assert np.isfinite(vectors).all()
    assert vectors[0] @ vectors[1] < 0.5


# ── where their cosines lie ──────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def objects(data_dir: Path) -> tuple[list[Image], np.ndarray]:
    """Every fourth picture of Caltech-101's validation split, RGB, and its class."""
    files = sorted((data_dir / "caltech101_val").glob("*/*.jpg"))[::4]
    images = [cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB) for file in files]
    return images, np.array([file.parent.name for file in files])


def quantiles_of_unlike(vectors: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    cosines = (vectors @ vectors.T)[label[:, None] != label[None]]
    median, most = np.quantile(cosines, [0.5, 0.99])
    return float(median), float(most)


def test_the_figures_given_for_clip_are_those_of_real_clip_vectors(data_dir: Path) -> None:
    pack = np.load(data_dir / "clip_features" / "caltech101_val_clip_vitb32.npz")
    vectors = pack["feats"].astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = (CLIP["image"].floor, CLIP["image"].boundary)
    assert quantiles_of_unlike(vectors, pack["labels"]) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("name", ["clip-student", "mobilenetv2", "builtin"])
def test_the_figures_given_for_a_model_are_those_measured(
    name: str, models_dir: Path, objects: tuple[list[Image], np.ndarray]
) -> None:
    embedder = BuiltinEmbedder() if name == "builtin" else load_embedder(models_dir / name, device="cpu")
    images, label = objects
    vectors = embedder.embed(images)
    typical = embedder.typical["image"]
    assert quantiles_of_unlike(vectors, label) == pytest.approx((typical.floor, typical.boundary), abs=0.03)
    cosines = vectors @ vectors.T - 2 * np.eye(len(vectors))
    right = float((label[cosines.argmax(axis=1)] == label).mean())
    assert right > {"clip-student": 0.75, "mobilenetv2": 0.7, "builtin": 0.4}[name]
