"""Opens an embedder. What kind it is, is told from its files."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from hub.models.clip import ClipEmbedder, TextSource
from hub.models.features import MINUS_ONE_TO_ONE, FeatureEmbedder
from hub.models.layout import Parts, find_parts
from hub.models.preprocess import Preprocessing, read_preprocessing
from hub.models.session import Session, open_session
from hub.models.text_bank import TextBank
from hub.models.tokenizer import ClipTokenizer
from hub.models.towers import FEATURES, ImageTower, TextTower, pixels_port
from hub.models.typical import KNOWN, UNKNOWN
from hub.protocols import Embedder
from shared.errors import ModelError


def load_embedder(path: Path, *, device: str = "auto", threads: int = 0) -> Embedder:
    """The embedder in a folder (see layout.py) or an .onnx file.

    ModelError, saying what was found, when there is none, or it is broken or of another kind.
    """
    parts = find_parts(path)
    open_model = partial(open_session, device=device, threads=threads)
    session = open_model(parts.image)
    pixels_port(session)
    tower = ImageTower(session, _preprocessing(parts, session))
    known = KNOWN.get(session.sha256)
    name = known.name if known else _name(parts)
    typical = known.typical if known else UNKNOWN
    if not tower.projected:
        return FeatureEmbedder(name, tower, typical)
    return ClipEmbedder(name, tower, lambda: _text_source(parts, tower, open_model), typical)


def _preprocessing(parts: Parts, session: Session) -> Preprocessing:
    """What the model's own file says; without one, what is usual for such a model."""
    if parts.preprocessing:
        return read_preprocessing(parts.preprocessing)
    usual = MINUS_ONE_TO_ONE if any(p.name in FEATURES for p in session.outputs) else Preprocessing()
    height, width = (d or 224 for d in pixels_port(session).shape[2:])
    return usual.for_input(height, width)


def _text_source(parts: Parts, images: ImageTower, open_model: Callable[[Path], Session]) -> TextSource | None:
    """The text tower in a file of its own or in the image tower's, else the bank, else None."""
    holds_text = any(len(p.shape) == 2 and p.dtype.kind == "i" for p in images.session.inputs)
    if parts.text or holds_text:
        session = images.session if holds_text else open_model(parts.text or parts.image)
        if parts.tokenizer is None:
            raise ModelError(
                f"{session.path.name} takes text, and there is no tokenizer.json in {parts.folder}",
                hint="Fetch the tokenizer.json that belongs to the model.",
            )
        return TextTower(session, ClipTokenizer(parts.tokenizer), images.preprocessing.input_hw)
    return TextBank(parts.bank) if parts.bank else None


def _name(parts: Parts) -> str:
    """The folder's name where the folder is the model, else the file's."""
    is_folder = parts.preprocessing or parts.tokenizer or parts.text
    name = parts.folder.name if is_folder else parts.image.stem
    return f"{name} (stand-in for CLIP, not CLIP)" if name.startswith("clip-student") else name
