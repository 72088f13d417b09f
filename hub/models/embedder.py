"""Opens an embedder: which kind it is, is told from its files."""

from collections.abc import Mapping
from pathlib import Path

from hub.models.clip import ClipEmbedder, TextTower
from hub.models.features import MINUS_ONE_TO_ONE, FeatureEmbedder, has_features
from hub.models.files import image_tower, kind_of
from hub.models.preprocess import Preprocessing, read_preprocessing
from hub.models.session import Session, open_session
from hub.models.text_bank import TextBank
from hub.protocols import Embedder
from hub.types import Calibration
from shared.errors import ModelError

_CLIP = {
    "image": Calibration(0.53, 0.70, "typical of CLIP: unlike pictures lie at 0.53, 5 % of them above 0.67"),
    "text": Calibration(0.19, 0.25, "typical of CLIP: wrong texts lie at 0.19, right ones at 0.285"),
}
_STUDENT = {
    "image": Calibration(0.50, 0.72, "typical of the CLIP student"),
    "text": Calibration(0.17, 0.24, "typical of the CLIP student"),
}
_FEATURES = {
    "image": Calibration(0.40, 0.65, "typical of a classifier's features"),
    "text": Calibration(0.0, 0.5, "it understands no text"),
}


def load_embedder(path: Path, *, device: str = "auto", threads: int = 0) -> Embedder:
    """The embedder in a folder or an .onnx file. ModelError, saying what it is, when it is none."""
    if not path.exists():
        raise ModelError(f"{path}: there is no such model", hint="See: hub models list")
    tower = image_tower(path)
    session = open_session(tower, device=device, threads=threads)
    if kind_of(session) != "embedder":
        outputs = ", ".join(f"{p.name} {list(p.shape)}" for p in session.outputs)
        what = "a detector" if kind_of(session) == "detector" else f"not one (its outputs are {outputs})"
        raise ModelError(f"{tower} should be an embedder, and is {what}", hint="See: hub models list")
    folder = tower.parent
    config = next((f / _CONFIG for f in (folder, folder.parent) if (f / _CONFIG).is_file()), None)
    if has_features(session):
        return FeatureEmbedder(
            tower.stem, session, read_preprocessing(config) if config else _guess(session), _FEATURES
        )
    preprocessing = read_preprocessing(config) if config else Preprocessing()
    text = _text(folder, session, device, threads)
    return ClipEmbedder(_name(path, folder), session, preprocessing, text, _typical(folder))


_CONFIG = "preprocessor_config.json"


def _guess(session: Session) -> Preprocessing:
    """A classifier without a preprocessing file, where we know how it was trained."""
    if session.path.stem.startswith("mobilenetv2"):
        return MINUS_ONE_TO_ONE
    raise ModelError(
        f"{session.path.name} does not say how pictures must be prepared for it",
        hint=f"Put its {_CONFIG} (size, image_mean, image_std …) beside it.",
    )


def _text(folder: Path, images: Session, device: str, threads: int) -> TextTower | TextBank | None:
    """The text tower beside the image tower, the same file when it holds both, a bank, or None."""
    places = (folder, folder.parent)
    tokenizer = next((f / "tokenizer.json" for f in places if (f / "tokenizer.json").is_file()), None)
    towers = sorted(f for f in folder.glob("*.onnx") if "text" in f.stem.lower())
    plain = [
        f for f in towers if not any(mark in f.stem for mark in ("int8", "quant", "fp16", "q4", "bnb4", "uint8"))
    ]
    if towers and tokenizer:
        return TextTower(open_session((plain or towers)[0], device=device, threads=threads), tokenizer)
    if len(images.inputs) > 1 and tokenizer:
        picture = next(port.name for port in images.inputs if len(port.shape) == 4)
        return TextTower(images, tokenizer, image_input=picture)
    bank = next((f / "text_bank.npz" for f in places if (f / "text_bank.npz").is_file()), None)
    return TextBank(bank) if bank else None


def _name(path: Path, folder: Path) -> str:
    name = folder.parent.name if folder.name == "onnx" else folder.name
    if _is_student(folder):
        return f"{name} (a stand-in for CLIP ViT-B/32, not CLIP)"
    return name if path.is_dir() or (folder / _CONFIG).exists() else path.stem


def _typical(folder: Path) -> Mapping[str, Calibration]:
    return _STUDENT if _is_student(folder) else _CLIP


def _is_student(folder: Path) -> bool:
    return "student" in folder.name
