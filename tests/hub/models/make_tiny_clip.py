"""Makes tests/hub/models/fixtures: towers of CLIP's architecture with random weights, and what they answer.

Everything comes from implementations that are not ours: the towers and the image processor from Hugging Face
transformers, the token ids from OpenAI's own tokenizer. Run by hand, in an environment of its own, since nothing of
this belongs into the tests' environment (the versions are those used last):

    python -m venv /tmp/tiny && /tmp/tiny/bin/pip install torch==2.13.0 transformers==5.23.0 onnx==1.23.2 \
        onnxscript==0.7.2 pillow==13.0.0 ftfy==6.3.1 regex==2026.11.15
    /tmp/tiny/bin/pip install --no-deps clip-anytorch==2.6.0
    /tmp/tiny/bin/python tests/hub/models/make_tiny_clip.py <folder with bpe_simple_vocab_16e6.txt.gz, tokenizer.json>

Leaves fixtures/tiny-clip/ (vision_model.onnx, text_model.onnx, preprocessor_config.json, tokenizer.json,
expected.npz), fixtures/tiny-joint/model.onnx (both towers in one file), fixtures/unprojected.onnx (an image tower
exported without its projection) and fixtures/tokens.json.gz (odd strings and OpenAI's ids for them).
"""

import gzip
import importlib.util
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
OUT = HERE / "fixtures"
SIDE, MERGES = 32, 256
TEXTS = ["a photo of a cat", "", "A bird’s NEST &amp; two eggs", "红色汽车", "🦜" * 40, "the the the " * 60]


def load(path: Path) -> Any:
    """A module by its path, without its package's imports."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(pack: Path) -> None:
    import clip_pictures

    openai = load(next(p for f in sys.path for p in Path(f).glob("clip/simple_tokenizer.py")))
    odd_strings = load(HERE / "odd_strings.py").odd_strings
    full = openai.SimpleTokenizer(str(pack / "bpe_simple_vocab_16e6.txt.gz"))
    save_tokens(odd_strings(), full)
    small = shrink_tokenizer(pack, openai)
    ids = np.stack([tokenize(small, text) for text in TEXTS])
    export(clip_pictures.pictures(), ids)


def tokenize(tokenizer: Any, text: str) -> np.ndarray:
    """OpenAI's `clip.tokenize(text, truncate=True)`, which can't be imported without torchvision."""
    tokens = [tokenizer.encoder["<|startoftext|>"], *tokenizer.encode(text), tokenizer.encoder["<|endoftext|>"]]
    if len(tokens) > 77:
        tokens = [*tokens[:76], tokenizer.encoder["<|endoftext|>"]]
    return np.array(tokens + [0] * (77 - len(tokens)), np.int64)


def save_tokens(texts: list[str], tokenizer: Any) -> None:
    rows = [[text, [int(i) for i in np.trim_zeros(tokenize(tokenizer, text), "b")]] for text in texts]
    packed = json.dumps(rows, ensure_ascii=True, separators=(",", ":")).encode()
    (OUT / "tokens.json.gz").write_bytes(gzip.compress(packed, mtime=0))
    print(len(rows), "strings,", sum(len(ids) == 77 for _, ids in rows), "of them cut")


def shrink_tokenizer(pack: Path, openai: Any) -> Any:
    """The same tokenizer with its first merges only, in both forms; the embedding table would be 25 MB otherwise."""
    merges = gzip.decompress((pack / "bpe_simple_vocab_16e6.txt.gz").read_bytes()).decode().split("\n")
    with tempfile.NamedTemporaryFile(suffix=".txt.gz") as short:
        short.write(gzip.compress("\n".join(merges[: MERGES + 1]).encode()))
        short.flush()
        small = openai.SimpleTokenizer(short.name)
    file = json.loads((pack / "tokenizer.json").read_text("utf-8"))
    file["model"]["vocab"] = small.encoder
    file["model"]["merges"] = file["model"]["merges"][:MERGES]
    for token in file["added_tokens"]:
        token["id"] = small.encoder[token["content"]]
    for end in ("sep", "cls"):
        file["post_processor"][end][1] = small.encoder[file["post_processor"][end][0]]
    folder = OUT / "tiny-clip"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(file, ensure_ascii=False, separators=(",", ":")), "utf-8")
    return small


def export(pictures: list[np.ndarray], ids: np.ndarray) -> None:
    import torch
    from PIL import Image
    from transformers import CLIPConfig, CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    torch.manual_seed(0)
    last = 512 + MERGES + 1
    narrow = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**narrow, "vocab_size": last + 1, "bos_token_id": last - 1, "eos_token_id": last, "pad_token_id": 0}
    vision = {**narrow, "image_size": SIDE, "patch_size": 8}
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)
    config._attn_implementation = "eager"
    model = CLIPModel(config).eval().requires_grad_(False)
    with torch.no_grad():  # the usual start is so near zero that a wrong layer would hardly show
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}, resample=3
    )
    pixels = processor(images=[Image.fromarray(p) for p in pictures], return_tensors="pt")["pixel_values"]
    tokens = torch.from_numpy(ids)
    write_towers(model, pixels, tokens)
    save_config(processor)
    with torch.no_grad():
        found = model(input_ids=tokens, pixel_values=pixels)
    np.savez_compressed(
        OUT / "tiny-clip" / "expected.npz",
        pixels=as_bytes(pixels.numpy(), processor),
        image=unit(found.image_embeds.numpy()),
        text=unit(found.text_embeds.numpy()),
        ids=ids,
        texts=np.array(TEXTS),
    )


def write_towers(model: Any, pixels: Any, tokens: Any) -> None:
    import torch

    class Vision(torch.nn.Module):
        def forward(self, pixel_values: Any) -> Any:
            seen = model.vision_model(pixel_values=pixel_values)
            return model.visual_projection(seen.pooler_output), seen.last_hidden_state

    class Text(torch.nn.Module):
        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            read = model.text_model(input_ids=input_ids, attention_mask=attention_mask)
            return model.text_projection(read.pooler_output), read.last_hidden_state

    class Joint(torch.nn.Module):
        def forward(self, input_ids: Any, pixel_values: Any, attention_mask: Any) -> Any:
            both = model(input_ids=input_ids, pixel_values=pixel_values, attention_mask=attention_mask)
            return both.logits_per_image, both.logits_per_text, both.text_embeds, both.image_embeds

    class Unprojected(torch.nn.Module):
        def forward(self, pixel_values: Any) -> Any:
            seen = model.vision_model(pixel_values=pixel_values)
            return seen.last_hidden_state, seen.pooler_output

    mask = (tokens != 0).long()
    folder = OUT / "tiny-clip"
    many = {0: "n"}
    texts = {"input_ids": {0: "texts", 1: "length"}, "attention_mask": {0: "texts", 1: "length"}}
    write(
        Vision(), (pixels,), folder / "vision_model.onnx", {"pixel_values": many}, ["image_embeds", "last_hidden_state"]
    )
    write(Text(), (tokens, mask), folder / "text_model.onnx", texts, ["text_embeds", "last_hidden_state"])
    (OUT / "tiny-joint").mkdir(exist_ok=True)
    write(
        Joint(), (tokens, pixels, mask), OUT / "tiny-joint" / "model.onnx",
        {"input_ids": texts["input_ids"], "pixel_values": {0: "images"}, "attention_mask": texts["attention_mask"]},
        ["logits_per_image", "logits_per_text", "text_embeds", "image_embeds"],
    )  # fmt: skip
    write(
        Unprojected(),
        (pixels,),
        OUT / "unprojected.onnx",
        {"pixel_values": many},
        ["last_hidden_state", "pooler_output"],
    )


def write(
    module: Any, inputs: tuple[Any, ...], path: Path, axes: dict[str, dict[int, str]], outputs: list[str]
) -> None:
    import onnx
    import torch

    torch.onnx.export(
        module.eval(), inputs, str(path), input_names=list(axes), output_names=outputs, dynamic_axes=axes,
        opset_version=17, dynamo=False, do_constant_folding=True,
    )  # fmt: skip
    model = onnx.load(path)
    for node in model.graph.node:  # where each came from, two thirds of a small file
        node.doc_string = ""
        del node.metadata_props[:]
    onnx.save(model, path)
    print(path.name, path.stat().st_size)


def save_config(processor: Any) -> None:
    said = json.loads(processor.to_json_string())
    kept = {k: v for k, v in said.items() if k.startswith(("do_", "image_", "size", "crop", "resample", "rescale"))}
    (OUT / "tiny-clip" / "preprocessor_config.json").write_text(json.dumps(kept, indent=2) + "\n")


def as_bytes(values: np.ndarray, processor: Any) -> np.ndarray:
    """(n, height, width, 3) uint8: what the image processor resized and cropped, before it normalised."""
    scaled = values.transpose(0, 2, 3, 1) * np.array(processor.image_std) + np.array(processor.image_mean)
    whole = np.round(scaled * 255)
    assert np.abs(scaled * 255 - whole).max() < 0.01
    return whole.astype(np.uint8)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    main(Path(sys.argv[1]))
