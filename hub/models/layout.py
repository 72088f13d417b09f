"""Which files of a model folder play which part. Looks at names only; opens nothing.

Folders as they are found in the wild: the towers at the top or in `onnx/`, as `vision_model.onnx` and
`text_model.onnx`, `visual.onnx` and `textual.onnx`, or both in one `model.onnx`; beside them the same in other
number formats (`vision_model_fp16.onnx`, `…_quantized`), which are left alone unless one is asked for by its path.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from shared.errors import ModelError

_FORMAT = re.compile(r"[_.-](fp16|float16|bf16|u?int8|u?int4|q\d\w*|quant\w*|bnb4)$", re.IGNORECASE)
_TEXT = re.compile(r"text", re.IGNORECASE)
_VISION = re.compile(r"vis(ion|ual)|image|pixel", re.IGNORECASE)


@dataclass(frozen=True)
class Parts:
    """The files of one embedder. image: the tower that takes pictures, which may be the text tower as well."""

    image: Path
    text: Path | None = None
    bank: Path | None = None
    tokenizer: Path | None = None
    preprocessing: Path | None = None

    @property
    def folder(self) -> Path:
        """The model's own folder."""
        return self.image.parent.parent if self.image.parent.name == "onnx" else self.image.parent


def find_parts(path: Path) -> Parts:
    """The parts of the model at `path`, an .onnx file or a folder. ModelError when no image tower is there."""
    if not path.exists():
        raise ModelError(f"{path}: there is no such model", hint="See `hub models list`.")
    image = _image_tower(path) if path.is_dir() else path
    places = [image.parent, *([image.parent.parent] if image.parent.name == "onnx" else [])]
    return Parts(
        image,
        _text_tower(image),
        _first(places, "text_bank.npz"),
        _first(places, "tokenizer.json"),
        _first(places, "preprocessor_config.json"),
    )


def _image_tower(folder: Path) -> Path:
    files = sorted([*folder.glob("*.onnx"), *folder.glob("onnx/*.onnx")])
    towers = [f for f in files if not _TEXT.search(f.stem)]
    plain = [f for f in towers if not _FORMAT.search(f.stem)] or towers
    named = [f for f in plain if _VISION.search(f.stem)] or [f for f in plain if f.stem == "model"] or plain
    if len(named) == 1:
        return named[0]
    if not towers:
        held = f"only {_names(files)}" if files else "no .onnx file"
        raise ModelError(
            f"{folder} holds no .onnx file that takes pictures: {held}", hint="See hub/models/README.md, Embedders."
        )
    raise ModelError(f"{folder} holds several models: {_names(named)}", hint=f"Name the one you mean, like {named[0]}.")


def _text_tower(image: Path) -> Path | None:
    """The text tower that goes with an image tower: of its number format if there is one, else the plain one."""
    mark = _FORMAT.search(image.stem)
    texts = [f for f in sorted(image.parent.glob("*.onnx")) if _TEXT.search(f.stem) and f != image]
    same = [f for f in texts if mark and f.stem.endswith(mark.group())]
    plain = [f for f in texts if not _FORMAT.search(f.stem)]
    return next(iter([*same, *plain, *texts]), None)


def _first(places: Iterable[Path], name: str) -> Path | None:
    return next((place / name for place in places if (place / name).is_file()), None)


def _names(files: Iterable[Path]) -> str:
    return ", ".join(f.name for f in files)
