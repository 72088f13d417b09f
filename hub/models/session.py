"""One ONNX file, opened on the best device there is. The only module that knows onnxruntime."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from shared.errors import ModelError

Array = NDArray[Any]

MAX_BATCH = 32
"""Rows given to a model with a dynamic batch axis in one run; more only costs memory."""

PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""HUB_DEVICE → onnxruntime's name, in the order `auto` tries them."""

_INSTALL = {
    "tensorrt": "Install TensorRT, and onnxruntime-gpu in place of onnxruntime, or set HUB_DEVICE=auto.",
    "cuda": "Install CUDA and cuDNN, and onnxruntime-gpu in place of onnxruntime, or set HUB_DEVICE=auto.",
    "openvino": "Install onnxruntime-openvino in place of onnxruntime, or set HUB_DEVICE=auto.",
    "cpu": "Reinstall onnxruntime.",
}

_DTYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(double)": np.dtype(np.float64),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(int8)": np.dtype(np.int8),
    "tensor(bool)": np.dtype(np.bool_),
}

# onnxruntime's exceptions share no base of their own.
_ORT_ERRORS: tuple[type[BaseException], ...] = (
    *(e for e in vars(ort_errors).values() if isinstance(e, type) and issubclass(e, Exception)),
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True)
class Port:
    """An input or output of a model. shape: None where a dimension is dynamic."""

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


class Session:
    """An open model. `run` may be called from several threads at once."""

    def __init__(self, path: Path, session: ort.InferenceSession) -> None:
        self.path = path
        self._session = session
        self.inputs: tuple[Port, ...] = tuple(_port(arg, path) for arg in session.get_inputs())
        self.outputs: tuple[Port, ...] = tuple(_port(arg, path) for arg in session.get_outputs())
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)
        self.provider: str = session.get_providers()[0]
        """onnxruntime's name of what it runs on."""

    @property
    def fixed_batch(self) -> int | None:
        """Rows every run must have, None when dynamic."""
        return self.inputs[0].shape[0] if self.inputs and self.inputs[0].shape else None

    @cached_property
    def sha256(self) -> str:
        """Hash of the file, hexadecimal."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """One run, feeds as they are; an array per output. ModelError when the model refuses them."""
        try:
            return list(self._session.run(None, dict(feeds)))
        except _ORT_ERRORS as error:
            wanted = ", ".join(f"{p.name} {_shown(p.shape)} {p.dtype}" for p in self.inputs)
            given = ", ".join(f"{k} {_shown(v.shape)} {v.dtype}" for k, v in feeds.items())
            raise ModelError(
                f"{self.path.name} failed to run: {_first_line(error)}",
                hint=f"It takes {wanted}; it was given {given}.",
            ) from error

    def run_batched(self, rows: Array | Mapping[str, Array], *, max_batch: int = MAX_BATCH) -> list[Array]:
        """Any number of rows through the model: cut to its batch size, padded with zeros, joined again.

        rows: the array for the only input, or an array per input, each with as many rows. Returns an array per
        output with as many rows as came in. Inputs are cast to the model's types.
        """
        feeds = self._cast(rows)
        n = len(next(iter(feeds.values())))
        if n == 0:
            return [np.zeros((0, *(d or 0 for d in p.shape[1:])), p.dtype) for p in self.outputs]
        parts = [self._run_chunk(chunk) for chunk in _chunks(feeds, n, self.fixed_batch or max_batch)]
        return parts[0] if len(parts) == 1 else [np.concatenate(part) for part in zip(*parts, strict=True)]

    def _cast(self, rows: Array | Mapping[str, Array]) -> dict[str, Array]:
        named = rows if isinstance(rows, Mapping) else {self.inputs[0].name: rows}
        dtypes = {p.name: p.dtype for p in self.inputs}
        return {name: np.asarray(a, dtypes.get(name, a.dtype)) for name, a in named.items()}

    def _run_chunk(self, feeds: dict[str, Array]) -> list[Array]:
        n = len(next(iter(feeds.values())))
        missing = (self.fixed_batch or n) - n
        if missing == 0:
            return self.run(feeds)
        padded = {k: np.concatenate([a, np.zeros((missing, *a.shape[1:]), a.dtype)]) for k, a in feeds.items()}
        return [out[:n] for out in self.run(padded)]


def open_session(path: Path, *, device: str = "auto", threads: int = 0) -> Session:
    """Open an ONNX file. device: a key of PROVIDERS or "auto"; threads: of one run on the CPU, 0 for all cores.

    ModelError when the file is missing or broken, or when the device asked for is not there.
    """
    if not path.is_file():
        raise ModelError(f"{path}: there is no such model file", hint="See `hub models list`.")
    failure: BaseException | None = None
    for name in _candidates(device):
        try:
            session = ort.InferenceSession(
                str(path), _options(threads), providers=_with_cpu(PROVIDERS[name]), enable_fallback=0
            )
        except _ORT_ERRORS as error:
            failure = error
            continue
        if session.get_providers()[0] == PROVIDERS[name]:
            return Session(path, session)
    if device not in ("auto", "cpu"):
        why = f": {_first_line(failure)}" if failure else ""
        raise ModelError(f"{path.name} can't be opened on {device}{why}", hint=_INSTALL[device]) from failure
    why = _first_line(failure) if failure else "onnxruntime offers no device"
    raise ModelError(f"{path} can't be opened as a model: {why}", hint=_why_broken(path)) from failure


def providers() -> tuple[str, ...]:
    """The devices this onnxruntime was built for, best first, by their HUB_DEVICE names."""
    available = set(ort.get_available_providers())
    return tuple(name for name, provider in PROVIDERS.items() if provider in available)


def _candidates(device: str) -> Iterator[str]:
    if device not in ("auto", *PROVIDERS):
        raise ModelError(f"no device {device!r}", hint=f"HUB_DEVICE is auto or one of {', '.join(PROVIDERS)}.")
    found = providers()
    if device != "auto" and device not in found:
        raise ModelError(f"this onnxruntime can't use {device}", hint=_INSTALL[device])
    if {"cuda", "tensorrt"} & set(found) and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # CUDA and cuDNN installed by pip are on no library path
    yield from found if device == "auto" else (device,)


def _with_cpu(provider: str) -> list[str]:
    """Operators a device lacks run on the CPU; TensorRT leaves some to CUDA first."""
    chain = {PROVIDERS["tensorrt"]: [PROVIDERS["tensorrt"], PROVIDERS["cuda"]]}.get(provider, [provider])
    return list(dict.fromkeys([*chain, PROVIDERS["cpu"]]))


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised; the rest is noise on a user's terminal
    options.intra_op_num_threads = threads
    return options


def _port(arg: Any, path: Path) -> Port:
    if arg.type not in _DTYPES:
        raise ModelError(f"{path.name}: {arg.name} is a {arg.type}", hint="Models take and give numeric tensors.")
    shape = tuple(d if isinstance(d, int) and d > 0 else None for d in arg.shape)
    return Port(arg.name, shape, _DTYPES[arg.type])


def _chunks(feeds: dict[str, Array], n: int, size: int) -> Iterator[dict[str, Array]]:
    for start in range(0, n, size):
        yield {name: array[start : start + size] for name, array in feeds.items()}


def _shown(shape: tuple[int | None, ...]) -> str:
    return "×".join("?" if d is None else str(d) for d in shape)


def _first_line(error: BaseException) -> str:
    text = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : ", "", text)[:300]


def _why_broken(path: Path) -> str:
    """What a file that is no ONNX model most likely is, by its first bytes, and what to do."""
    with path.open("rb") as file:
        head = file.read(64).lstrip()
    if head.startswith(b"version https://git-lfs"):
        return "It is a Git LFS pointer, not the model: run `git lfs pull`, or download the file itself."
    if head.startswith(b"<"):
        return "It is a web page, not a model: download the file itself."
    if head.startswith(b"PK") and path.suffix == ".pt":
        return f"It is a PyTorch checkpoint: run `hub models export {path}`."
    return "The file may be cut short or damaged: delete it and run `hub models fetch`."
