"""The models we know where to get, and how one is chosen from what lies on the disk.

Each sha256 was found published, with the same value, by several projects that pin the same official file; where
none could be confirmed it is None, and fetching relies on the server's own digest and says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs

from hub.models.check import check_model
from hub.models.files import Kind, LocalModel, local_model, models_in
from shared.errors import ModelError, NotFound

_YOLOX = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0"
_YOLOX_LICENCE = "https://github.com/Megvii-BaseDetection/YOLOX/blob/main/LICENSE"
_ULTRALYTICS = "https://github.com/ultralytics/assets/releases/download/v8.4.0"
_ULTRALYTICS_LICENCE = "https://github.com/ultralytics/ultralytics/blob/main/LICENSE"
_CLIP = "https://huggingface.co/Xenova/clip-vit-base-patch32/resolve/d15189d7028b43f1d3e65039190477f6af591c2a"
_AGPL = "AGPL-3.0 asks much of those who offer a service built on it: read it, or take a YOLOX."


@dataclass(frozen=True)
class FileCard:
    """One file. filename: where it goes below a models folder. bytes, sha256: None where not published."""

    filename: str
    url: str
    sha256: str | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class ModelCard:
    """A model that can be fetched. input_size: pixels, square. classes: what it was trained to tell apart."""

    name: str
    kind: Kind
    files: tuple[FileCard, ...]
    licence: str
    licence_url: str
    input_size: int
    classes: str
    note: str

    @property
    def bytes(self) -> int:
        """Known size of all files together."""
        return sum(file.bytes or 0 for file in self.files)


def _detector(
    name: str, url: str, sha256: str, size: int, licence: tuple[str, str], input_size: int, note: str
) -> ModelCard:
    file = FileCard(f"detectors/{name}.onnx", url, sha256, size)
    return ModelCard(name, "detector", (file,), *licence, input_size, "80 of COCO", note)


CATALOG: tuple[ModelCard, ...] = (
    _detector(
        "yolox-nano", f"{_YOLOX}/yolox_nano.onnx",
        "c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d", 3_659_407,
        ("Apache-2.0", _YOLOX_LICENCE), 416, "COCO mAP 25.8, 1.1 GFLOPs (Megvii's figures): fast on any CPU.",
    ),
    _detector(
        "yolox-tiny", f"{_YOLOX}/yolox_tiny.onnx",
        "427cc366d34e27ff7a03e2899b5e3671425c262ea2291f88bb942bc1cc70b0f7", 20_219_662,
        ("Apache-2.0", _YOLOX_LICENCE), 416, "COCO mAP 32.8, 6.5 GFLOPs (Megvii's figures).",
    ),
    _detector(
        "yolox-s", f"{_YOLOX}/yolox_s.onnx",
        "c5c2d13e59ae883e6af3b45daea64af4833a4951c92d116ec270d9ddbe998063", 35_858_002,
        ("Apache-2.0", _YOLOX_LICENCE), 640, "COCO mAP 40.5, 26.8 GFLOPs (Megvii's figures).",
    ),
    _detector(
        "yolov8n", f"{_ULTRALYTICS}/yolov8n.onnx",
        "b2bc52f40e8e1c532427d5bde3575a5d5b571b739fab2c6df443733ed1589cbd", 12_851_049,
        ("AGPL-3.0", _ULTRALYTICS_LICENCE), 640, _AGPL,
    ),
    _detector(
        "yolo11n", f"{_ULTRALYTICS}/yolo11n.onnx",
        "634279b40c07c6391472c51ad45b81ebc48706a9a1fe72dd3396322acd0c053b", 10_930_182,
        ("AGPL-3.0", _ULTRALYTICS_LICENCE), 640, _AGPL,
    ),
    ModelCard(
        "clip-vit-b32", "embedder",
        (
            FileCard(
                "clip-vit-b32/vision_model.onnx", f"{_CLIP}/onnx/vision_model.onnx",
                "fd6e1402a588279d1723c7534d4bcba5bc0b14b47dfab0e46f8c47b8270d7d40", 351_685_709,
            ),
            FileCard(
                "clip-vit-b32/text_model.onnx", f"{_CLIP}/onnx/text_model.onnx",
                "3f6571f5bad13a97c469c1622e1cfc4d9aef78b79fdbfcff804ca357bfada8cc", 254_058_553,
            ),
            FileCard(
                "clip-vit-b32/tokenizer.json", f"{_CLIP}/tokenizer.json",
                "f7f3b7af117d467b58374797691a6438d3e6b9e9cef800dfd5dced7f697a90cd", 2_224_119,
            ),
            FileCard("clip-vit-b32/preprocessor_config.json", f"{_CLIP}/preprocessor_config.json"),
            FileCard("clip-vit-b32/config.json", f"{_CLIP}/config.json"),
        ),
        "MIT", "https://github.com/openai/CLIP/blob/main/LICENSE", 224, "open: pictures and any English text",
        "OpenAI's CLIP ViT-B/32, exported by Xenova.",
    ),
)  # fmt: skip
"""In the order they are offered."""

DEFAULTS = ("yolox-nano", "clip-vit-b32")
"""What is fetched when nothing is named: the one of each kind that anybody may use."""


@dataclass(frozen=True)
class Listing:
    """A line of `hub models list`. status: "here", "broken" or "not fetched". path: None when not fetched."""

    name: str
    kind: Kind
    status: Literal["here", "broken", "not fetched"]
    licence: str
    path: Path | None
    bytes: int
    note: str


def search_path(models_dir: Path | None) -> tuple[Path, ...]:
    """Where models are looked for, in order: HUB_MODELS_DIR, the cache, ../shared/models beside a checkout."""
    checkout = Path(__file__).resolve().parents[2]
    beside = checkout.parent / "shared" / "models"
    places = [models_dir] if models_dir else []
    places.append(cache_dir())
    if (checkout / "pyproject.toml").is_file():
        places.append(beside)
    return tuple(dict.fromkeys(places))


def cache_dir() -> Path:
    """Where fetched models are kept."""
    return Path(platformdirs.user_cache_dir("bowerbird")) / "models"


def card(name: str) -> ModelCard:
    """The catalog's entry of that name. NotFound names the nearest."""
    found = next((c for c in CATALOG if c.name == name), None)
    if found is None:
        raise NotFound("model in the catalog", name, (c.name for c in CATALOG))
    return found


def list_models(search: Sequence[Path]) -> list[Listing]:
    """Every model on the disk, best first within a folder, then what could be fetched."""
    local = [m for folder in dict.fromkeys(search) for m in models_in(folder)]
    here = {m.name for m in local}
    return [_found(m) for m in local] + [
        Listing(c.name, c.kind, "not fetched", c.licence, None, c.bytes, c.note) for c in CATALOG if c.name not in here
    ]


def _found(model: LocalModel) -> Listing:
    status: Literal["here", "broken"] = "broken" if model.kind == "unknown" else "here"
    return Listing(model.name, model.kind, status, model.licence, model.path, model.bytes, model.note)


def find_model(kind: Kind, wanted: str | None, search: Sequence[Path], *, device: str = "cpu") -> LocalModel:
    """The model to use. wanted: a name from the listing, a path, or None for the best that passes its self-test.

    "Best" is: the earlier folder of `search`, in it a dynamic batch axis before a fixed one, then the order of
    `files.rank`. ModelError when none works, or the wanted one does not work or is of the other kind.
    """
    if wanted is not None:
        return _working(_wanted(wanted, search), kind, device)
    failures = []
    for folder in dict.fromkeys(search):
        for model in models_in(folder):
            if model.kind != kind:
                continue
            report = check_model(model.path, device=device)
            if report.ok:
                return model
            failures.append(f"{model.path}: {report.message}")
    default = next(name for name in DEFAULTS if card(name).kind == kind)
    hint = f"Run `hub models fetch {default}`, or put an .onnx file into HUB_MODELS_DIR."
    tried = "".join(f"\n  {line}" for line in failures)
    raise ModelError(f"no working {kind} in {', '.join(map(str, search))}{tried}", hint=hint)


def _wanted(wanted: str, search: Sequence[Path]) -> LocalModel:
    path = Path(wanted).expanduser()
    if path.suffix == ".onnx" or "/" in wanted:
        if not path.exists():
            raise ModelError(f"{path}: there is no such model", hint="`hub models list` shows what there is.")
        return local_model(path)
    local = [m for folder in dict.fromkeys(search) for m in models_in(folder)]
    for model in local:
        if wanted == model.name:
            return model
    if wanted in {c.name for c in CATALOG}:
        raise ModelError(f"the model {wanted} is not on this machine", hint=f"Run `hub models fetch {wanted}`.")
    raise NotFound("model", wanted, {m.name for m in local} | {c.name for c in CATALOG})


def _working(model: LocalModel, kind: Kind, device: str) -> LocalModel:
    report = check_model(model.path, device=device)
    if not report.ok:
        raise ModelError(f"{model.path}: {report.message}", hint=report.hint)
    if report.kind != kind:
        raise ModelError(
            f"{model.path} is {_article(report.kind)}, and {_article(kind)} is needed",
            hint="`hub models list` shows which is which.",
        )
    return model


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
