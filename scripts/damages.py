"""Damages: what breaks, or is made to break, in a model's folder; each is drawn from a seed."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from siit.bundle import MANIFEST_FILE

Damage = Callable[[Path, random.Random], str]
"""Damages a folder in place, and says how."""
JSON_FILES = ("config.json", "vocab.json", "circuit.json", "graph.json", "causal_model.json", "certificate.json")
TENSOR_FILES = ("model.safetensors", "evaluation.safetensors")
DTYPES = (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.uint8)
ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 1.5, -0.5, 1e308, 10**12, 1 << 70, "", "x", "a0.h0", "../x", "\x1b[31m", "<b>", [],
    [1], [[]], {}, {"x": 1}, [None], "0", 0.9995,
)  # fmt: skip


def seal_again(folder: Path) -> None:
    """Writes a manifest that lists the files as they are now, as a forger would."""
    path = folder / MANIFEST_FILE
    content = json.loads(path.read_text())
    content.pop("digest", None)
    for name in content["files"]:
        data = (folder / name).read_bytes()
        content["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    digest = hashlib.sha256(_dump(content)).hexdigest()
    path.write_bytes(_dump({**content, "digest": digest}))


def _dump(data: Any) -> bytes:
    """In the layout of `siit.bundle`."""
    return (json.dumps(data, indent=1, separators=(",", ": ")) + "\n").encode()


def flipped_bytes(folder: Path, draw: random.Random) -> str:
    """Flips bytes of one file, its hash made again or not."""
    name = draw.choice(sorted(path.name for path in folder.iterdir()))
    data = bytearray((folder / name).read_bytes())
    for _ in range(draw.choice((1, 1, 3, 20))):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    (folder / name).write_bytes(bytes(data))
    return f"flipped {name}{_maybe_sealed(folder, draw, name)}"


def cut_off(folder: Path, draw: random.Random) -> str:
    """Cuts one file off, or lets it grow."""
    name = draw.choice(sorted(path.name for path in folder.iterdir()))
    data = (folder / name).read_bytes()
    length = draw.choice((0, 1, 8, len(data) // 2, len(data) - 1))
    (folder / name).write_bytes(data[:length] if draw.random() < 0.8 else data + b"\0" * 16)
    return f"cut {name}{_maybe_sealed(folder, draw, name)}"


def odd_value(folder: Path, draw: random.Random) -> str:
    """Replaces one value of a JSON file by one of another type, size or meaning."""
    name = draw.choice(JSON_FILES)
    data = json.loads((folder / name).read_text())
    place = _random_place(data, draw)
    if place is None:
        return f"nothing in {name}"
    parent, key = place
    before, parent[key] = parent[key], draw.choice(ODD)
    after = parent[key]
    (folder / name).write_bytes(_dump(data))
    seal_again(folder)
    return f"{name}: {key}: {str(before)[:30]!r} -> {str(after)[:30]!r}"


def missing_or_doubled_key(folder: Path, draw: random.Random) -> str:
    """Takes a key of a JSON file away, adds one, or writes one twice."""
    name = draw.choice(JSON_FILES)
    text = (folder / name).read_text()
    data = json.loads(text)
    holders = [value for value in _walk(data) if isinstance(value, dict) and value]
    holder = draw.choice(holders)
    key = draw.choice(list(holder))
    way = draw.choice(("missing", "added", "doubled"))
    if way == "missing":
        del holder[key]
    elif way == "added":
        holder["odd"] = 1
    if way == "doubled":
        (folder / name).write_text(text.replace(f'"{key}":', f'"{key}": 0, "{key}":', 1))
    else:
        (folder / name).write_bytes(_dump(data))
    seal_again(folder)
    return f"{name}: {way} {key}"


def not_a_number(folder: Path, draw: random.Random) -> str:
    """Puts NaN or an infinity into a JSON file or a tensor."""
    if draw.random() < 0.5:
        name = draw.choice(JSON_FILES)
        text = (folder / name).read_text()
        number = next((word for word in text.replace(",", " ").split() if word.replace(".", "").isdigit()), None)
        if number is None:
            return f"no number in {name}"
        (folder / name).write_text(text.replace(number, draw.choice(("NaN", "Infinity", "-Infinity", "1e999")), 1))
    else:
        name = TENSOR_FILES[0]
        data = bytearray((folder / name).read_bytes())
        start = 8 + int.from_bytes(data[:8], "little")
        place = start + 4 * draw.randrange((len(data) - start) // 4)
        data[place : place + 4] = draw.choice((b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\0\0\x80\xff"))
        (folder / name).write_bytes(bytes(data))
    seal_again(folder)
    return f"NaN in {name}"


def odd_header(folder: Path, draw: random.Random) -> str:
    """Changes the header of a safetensors file: a dtype, a shape, an offset, a name."""
    name = draw.choice(TENSOR_FILES)
    data = (folder / name).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    tensor = draw.choice([key for key in header if key != "__metadata__"])
    way = draw.choice(("dtype", "shape", "data_offsets", "name", "size"))
    if way == "dtype":
        header[tensor]["dtype"] = draw.choice(("F16", "F64", "I64", "U8", "XX", 3))
    elif way == "shape":
        header[tensor]["shape"] = draw.choice(([], [1 << 40], [-1], ["3"], [0], header[tensor]["shape"][::-1]))
    elif way == "data_offsets":
        header[tensor]["data_offsets"] = draw.choice(([0, 1], [0, 1 << 50], [8, 0], [-4, 4], []))
    elif way == "name":
        header[f"{tensor}.x"] = header.pop(tensor)
    made = json.dumps(header).encode()
    length = draw.choice((0, 1 << 40, 1 << 63)) if way == "size" else len(made)
    (folder / name).write_bytes(length.to_bytes(8, "little") + made + data[8 + size :])
    seal_again(folder)
    return f"{name}: {way} of {tensor}"


def other_dtype(folder: Path, draw: random.Random) -> str:
    """Puts one tensor of the evidence into another dtype: wider, narrower with a loss, or with numbers that wrap."""
    path = folder / TENSOR_FILES[1]
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = safetensors.torch.load(path.read_bytes())
    name = draw.choice(sorted(tensors))
    before = tensors[name]
    dtype, less = draw.choice(DTYPES), draw.choice((0, 0, 1, 1000))
    numbers = before.double() - less
    tensors[name] = numbers.to(dtype) if dtype.is_floating_point else numbers.long().to(dtype)
    path.write_bytes(safetensors.torch.save(tensors, metadata))
    seal_again(folder)
    return f"{name}: {before.dtype} -> {dtype}, less {less}"


def odd_entry(folder: Path, draw: random.Random) -> str:
    """Takes a file away, puts a folder or a link in its place, or one by its side."""
    name = draw.choice(sorted(path.name for path in folder.iterdir()))
    way = draw.choice(("missing", "folder", "link", "foreign"))
    if way == "foreign":
        foreign = draw.choice((".DS_Store", ".ipynb_checkpoints", ".nfs0001", "Thumbs.db", "model.pkl", "x.py"))
        (folder / foreign).write_bytes(b"\x80\x04.")
        return f"a foreign {foreign}"
    (folder / name).unlink()
    if way == "folder":
        (folder / name).mkdir()
    elif way == "link":
        (folder / name).symlink_to("/etc/passwd")
    return f"{way} {name}"


def large(folder: Path, draw: random.Random) -> str:
    """Declares sizes that would take a machine's memory, in the configuration or the causal model."""
    name, key, value = draw.choice(
        (
            ("config.json", "n_ctx", 16_000),
            ("config.json", "n_ctx", 1 << 40),
            ("config.json", "n_layers", 10**6),
            ("config.json", "n_heads", 10**9),
            ("config.json", "d_model", 10**9),
            ("config.json", "d_vocab", 10**9),
            ("causal_model.json", "max_len", 10**8),
            ("causal_model.json", "max_len", 1 << 62),
        )
    )
    data = json.loads((folder / name).read_text())
    data[key] = value
    (folder / name).write_bytes(_dump(data))
    seal_again(folder)
    return f"{name}: {key} = {value}"


def deep(folder: Path, draw: random.Random) -> str:
    """Nests a JSON file deep, or repeats a list until it is large."""
    name = draw.choice((*JSON_FILES, MANIFEST_FILE, "train.yaml"))
    depth = draw.choice((500, 20_000, 200_000))
    text = "[" * depth + "]" * depth if draw.random() < 0.5 else '{"x":' * depth + "1" + "}" * depth
    (folder / name).write_text(text)
    if name != MANIFEST_FILE:
        seal_again(folder)
    return f"{name}: nested {depth} deep"


DAMAGES: tuple[Damage, ...] = (
    flipped_bytes,
    cut_off,
    odd_value,
    odd_value,
    odd_value,
    missing_or_doubled_key,
    not_a_number,
    odd_header,
    other_dtype,
    odd_entry,
    large,
    deep,
)
"""Drawn from evenly; what is named more often is drawn more often."""


def damaged(pristine: Path, folder: Path, seed: int) -> str:
    """Copies a folder, damages the copy by a seed's draw, and says how."""
    shutil.copytree(pristine, folder)
    draw = random.Random(seed)
    return draw.choice(DAMAGES)(folder, draw)


def _maybe_sealed(folder: Path, draw: random.Random, name: str) -> str:
    if name == MANIFEST_FILE or draw.random() < 0.5:
        return ""
    seal_again(folder)
    return ", sealed again"


def _walk(data: Any) -> list[Any]:
    found = [data]
    for value in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        found += _walk(value)
    return found


def _random_place(data: Any, draw: random.Random) -> tuple[Any, Any] | None:
    """A container and a key or index in it, the depth drawn too, so that long lists do not take all."""
    node, place = data, None
    while isinstance(node, dict | list) and node:
        key = draw.choice(list(node)) if isinstance(node, dict) else draw.randrange(len(node))
        place, node = (node, key), node[key]
        if draw.random() < 0.15:
            break
    return place
