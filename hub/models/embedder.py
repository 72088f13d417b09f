"""Opens an embedder. What kind it is, is told from its files."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from hub.models.clip import ClipEmbedder, TextSource
from hub.models.features import FeatureEmbedder
from hub.models.layout import Parts, find_parts
from hub.models.preprocess import Preprocessing, read_preprocessing
from hub.models.prior import shipped
from hub.models.session import Session, open_session
from hub.models.text_bank import TextBank
from hub.models.tokenizer import ClipTokenizer
from hub.models.towers import ImageTower, TextTower, pixels_port, shares_space_with_text
from hub.models.typical import KNOWN, STUDENT_NAME, UNKNOWN_CLIP, UNKNOWN_FEATURES, Known
from hub.protocols import Embedder
from shared.errors import ModelError


def load_embedder(path: Path, *, device: str = "auto", threads: int = 0) -> Embedder:
    """The embedder in a folder (see layout.py) or an .onnx file.

    ModelError, saying what was found, when there is none, or it is broken or of another kind.
    """
    parts = find_parts(path)
    open_model = partial(open_session, device=device, threads=threads)
    session = open_model(parts.image)
    is_clip = shares_space_with_text(session, text_beside=parts.text is not None)
    known = KNOWN.get(session.sha256) or Known(UNKNOWN_CLIP if is_clip else UNKNOWN_FEATURES)
    name = known.name or _name(parts)
    prior = shipped(known.prior) if known.prior else None
    tower = ImageTower(session, _preprocessing(parts, session, known, is_clip))
    if is_clip:
        return ClipEmbedder(name, tower, lambda: _text_source(parts, tower, open_model), known.typical, prior)
    return FeatureEmbedder(name, tower, known.typical)


def _preprocessing(parts: Parts, session: Session, known: Known, is_clip: bool) -> Preprocessing:
    """What the model's own file says; without one, what we know of it; without that, what any CLIP takes."""
    if parts.preprocessing:
        return read_preprocessing(parts.preprocessing)
    if known.preprocessing:
        return known.preprocessing
    if not is_clip:
        raise ModelError(
            f"{session.path.name} does not say how pictures must be prepared for it",
            hint="Put its preprocessor_config.json (size, crop_size, image_mean, image_std, resample) beside it.",
        )
    height, width = (d or 224 for d in pixels_port(session).shape[2:])
    return Preprocessing(resize=max(height, width), crop_hw=(height, width))


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
    return STUDENT_NAME if name.startswith("clip-student") else name
