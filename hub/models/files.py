"""Model files on the disk: what each is, told from the file itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hub.models.layout import find_parts
from hub.models.session import Session, open_session
from shared.errors import ModelError

Kind = Literal["detector", "embedder", "unknown"]

MAX_FILES = 200
"""Models looked at in one folder, so that HUB_MODELS_DIR=/ ends."""

_KNOWN: tuple[tuple[str, str, str], ...] = (
    ("yolo11", "AGPL-3.0 (Ultralytics)", ""),
    ("yolov8", "AGPL-3.0 (Ultralytics)", ""),
    ("yolox", "Apache-2.0 (Megvii)", ""),
    ("clip-vit", "MIT (OpenAI)", ""),
    (
        "clip-student",
        "Apache-2.0 (backbone)",
        "A stand-in that imitates CLIP ViT-B/32's picture vectors, NOT CLIP itself: for development and tests.",
    ),
    ("mobilenetv2", "Apache-2.0 (Google)", "Pictures only: understands no text."),
)
"""(how the name starts, licence, note), in the order of preference among models we know."""


@dataclass(frozen=True)
class LocalModel:
    """A model on the disk. path: an .onnx file, or a folder of towers, tokenizer and preprocessing.

    origin: the folder it was found in. note: what a user should know, "" for nothing. dynamic: takes any batch.
    """

    name: str
    kind: Kind
    path: Path
    licence: str
    origin: Path
    note: str = ""
    dynamic: bool = False

    @property
    def bytes(self) -> int:
        """Size of its files together."""
        files = self.path.iterdir() if self.path.is_dir() else [self.path]
        return sum(f.stat().st_size for f in files if f.is_file())


def models_in(folder: Path) -> list[LocalModel]:
    """The models in a folder and one level below it, best first (see `rank`). Absent folders hold none."""
    found = [local_model(path, origin=folder) for path in _candidates(folder)]
    return sorted(found, key=lambda m: (m.kind == "unknown", not m.dynamic, rank(m.name), m.name))


def rank(name: str) -> int:
    """Preference by name, lower is better: a user's own model before the known ones, those in their order."""
    return next((1 + i for i, (prefix, *_) in enumerate(_KNOWN) if name.startswith(prefix)), 0)


def local_model(path: Path, *, origin: Path | None = None) -> LocalModel:
    """What lies at `path`; one that can't be opened is of kind "unknown", with the reason as its note."""
    name = path.name if path.is_dir() else path.stem
    prefix = next((known for known in _KNOWN if name.startswith(known[0])), None)
    licence, note = prefix[1:] if prefix else ("unknown", "")
    where = origin or path.parent
    try:
        session = open_session(image_tower(path), device="cpu", threads=1)
    except ModelError as error:
        return LocalModel(name, "unknown", path, licence, where, error.message)
    licence = session.metadata.get("license", licence)
    return LocalModel(name, kind_of(session), path, licence, where, note, session.fixed_batch is None)


def image_tower(path: Path) -> Path:
    """The file that takes pictures: the path itself, or the one in a model folder that is no text tower."""
    return find_parts(path).image if path.is_dir() else path


def kind_of(session: Session) -> Kind:
    """An embedder takes pictures and gives a row of numbers each (two axes); a detector gives boxes (three)."""
    if not any(len(port.shape) == 4 for port in session.inputs):
        return "unknown"
    if any(len(port.shape) == 2 for port in session.outputs):
        return "embedder"
    return "detector" if len(session.inputs) == 1 and len(session.outputs[0].shape) == 3 else "unknown"


def _candidates(folder: Path) -> Iterator[Path]:
    """.onnx files, and folders with a preprocessing file in place of the files in them."""
    if not folder.is_dir():
        return
    seen = 0
    for entry in sorted(folder.iterdir()):
        inside = [entry] if entry.suffix == ".onnx" else []
        if entry.is_dir():
            whole = (entry / "preprocessor_config.json").is_file()
            inside = [entry] if whole else sorted(entry.glob("*.onnx"))
        for path in inside:
            seen += 1
            if seen > MAX_FILES:
                return
            yield path
