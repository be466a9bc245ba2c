"""Makes small bundles that are whole, whatever their models compute, and changes their files behind the manifest."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from siit.bundle import MANIFEST_FILE, Bundle, Vocab, _json
from siit.certificate import Answers, Certificate, Effect
from siit.certificate.certificate import BARS, SHARES
from siit.certificate.fields import BY_KIND, KINDS
from siit.certificate.questions import draw_subsets
from siit.graph.architecture import LOGITS, TOK_EMBED, Edge, ModelConfig, head, mlp
from siit.graph.circuit import Circuit

CONFIG = ModelConfig(
    n_layers=2, n_heads=2, d_model=8, d_head=4, d_mlp=16, n_ctx=5, d_vocab=5, d_vocab_out=2, normalization_type=None
)
CAUSAL_MODEL = {
    "format": "siit-causal-model/1",
    "vocab": ["a", "b", "c"],
    "max_len": 4,
    "variables": [
        {
            "name": "is_x",
            "kind": "categorical",
            "values": [False, True],
            "description": "",
            "mechanism": {"type": "table", "inputs": ["tokens"], "table": [0, 1, 0, -1]},
        }
    ],
}


def make_bundle(
    *, config: ModelConfig = CONFIG, case: str = "toy", seed: int = 0, salt: int = 0, **changes: Any
) -> Bundle:
    """Makes a whole bundle; `salt` draws its numbers."""
    generator = torch.Generator().manual_seed(salt)
    numerical = config.d_vocab_out == 1
    circuit = make_circuit(config)
    tokens = ("a", "b", *range(config.d_vocab - 4), "BOS", "PAD")
    bundle = Bundle(
        config=config,
        case=case,
        seed=seed,
        answers=Answers("numerical", 0.05) if numerical else Answers("categorical", None),
        parameters={name: torch.randn(shape, generator=generator) for name, shape in config.parameter_shapes().items()},
        vocab=Vocab(
            tokens,
            config.d_vocab - 2,
            config.d_vocab - 1,
            None if numerical else (None, *range(config.d_vocab_out - 1)),
        ),
        circuit=circuit,
        causal_model=CAUSAL_MODEL,
        evidence=make_evidence(config, circuit, generator),
        exhaustive=True,
        certificate=make_certificate(circuit),
        train_yaml=f"seed: {seed}\nsalt: {salt}\n",
        extra_files={"tokenizer.json": b'{"version": "1.0"}\n'},
    )
    return dataclasses.replace(bundle, **changes)


def salt_of(bundle: Bundle) -> int:
    """Tells with which salt a bundle was made."""
    return int(bundle.train_yaml.rpartition("salt: ")[2])


def make_certificate(circuit: Circuit, pairs: int = 3) -> dict[str, Any]:
    """Makes the certificate of a circuit of which all is well."""
    units, edges = list(circuit.alignment), list(circuit.edges_by_carried)
    subsets = draw_subsets(circuit, 3)
    components = {
        "iia": units,
        "edge_iia": edges,
        "strict_node": circuit.off_nodes,
        "strict_edge": [str(edge) for edge in circuit.off_edges],
        "strict_subsets": subsets,
    }
    details: dict[str, Any] = {field: dict.fromkeys(names, 1.0) for field, names in components.items()}
    effect = Effect(*(dict.fromkeys(names, 1.0) for names in (units, edges, circuit.unit_of)))
    how = {"by": "exchange", "measure": "output", "positions": pairs}
    details |= {
        "by_kind": {field: dict.fromkeys(KINDS, details[field]) for field in BY_KIND if details[field]},
        "strict_adversarial": dict.fromkeys(KINDS, 1.0) if circuit.off_edges else {},
        "subsets": subsets,
        "effect": {part: dict.fromkeys(names, how) for part, names in dataclasses.asdict(effect).items()},
    }
    spared = [field for field, names in {**components, "strict_adversarial": circuit.off_edges}.items() if not names]
    counts = {"scored": pairs, "undefined_share": 0.0, "changed_pairs": pairs, "changed_positions": pairs}
    shares: dict[str, Any] = dict.fromkeys(SHARES, 1.0)
    return Certificate(
        certified=True,
        **shares,
        effect=effect,
        details=details,
        bars=dict(BARS),
        failed=(),
        evidence={
            "pairs": pairs,
            "exhaustive": True,
            "required": {"scored": 4096, "changed_pairs": 200},
            "scored": {field: pairs for field in SHARES if field not in spared},
            "exchanges": dict.fromkeys((*units, *edges), counts),
            "nothing_measured": spared,
        },
    ).to_json()


def make_circuit(config: ModelConfig) -> Circuit:
    """Makes a head that feeds an MLP that feeds the logits."""
    first, last = head(0, config.n_heads - 1), mlp(config.n_layers - 1)
    return Circuit(
        config,
        {"is_x": (first,), "fraction+length": (last,)},
        {
            Edge(TOK_EMBED, first, "v"): "tokens->is_x<v>",
            Edge(first, last): "is_x->fraction",
            Edge(last, LOGITS): "fraction->output",
        },
        roles={first: "says which tokens are x"},
        variables={"is_x": {"kind": "categorical", "parents": {"v": ["tokens"]}, "description": "…"}},
        excluded={"indices->is_x<q>": "never changes it"},
        idle={str(Edge(TOK_EMBED, last)): "other edges carry all of it"},
    )


def make_evidence(
    config: ModelConfig, circuit: Circuit, generator: torch.Generator, rows: int = 3
) -> dict[str, Tensor]:
    """Draws random pairs, the last position of each padded."""
    bos, pad, size = config.d_vocab - 2, config.d_vocab - 1, (rows, config.n_ctx)

    def tokens() -> Tensor:
        ids = torch.randint(0, bos, size, generator=generator)
        ids[:, 0], ids[:, -1] = bos, pad
        return ids

    def target() -> Tensor:
        if config.d_vocab_out == 1:
            return torch.rand(size, generator=generator)
        return torch.randint(0, config.d_vocab_out, size, generator=generator)

    scored = torch.ones(size, dtype=torch.bool)
    scored[:, 0] = scored[:, -1] = False
    positions = torch.arange(config.n_ctx).repeat(rows, 1)
    evidence = {"source_positions": positions, "do/is_x/source_positions": positions}
    evidence |= {"base_tokens": tokens(), "source_tokens": tokens(), "contrast/swap/tokens": tokens()}
    runs = ["base_", "source_", "contrast/swap/"]
    runs += [f"do/{name}/" for name in (*circuit.alignment, *circuit.edges_by_carried)]
    for run in runs:
        evidence |= {f"{run}target": target(), f"{run}scored": scored}
    return evidence


def reseal(folder: Path, change: Callable[[dict[str, Any]], object] = lambda content: None) -> None:
    """Makes the manifest fit the files, as whoever means harm would."""
    content = _json.unseal((folder / MANIFEST_FILE).read_bytes(), MANIFEST_FILE)
    for name in content["files"]:
        data = (folder / name).read_bytes() if (folder / name).is_file() else b""
        content["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    change(content)
    (folder / MANIFEST_FILE).write_bytes(_json.seal(content, MANIFEST_FILE))


def change_evidence(folder: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    """Puts other tensors into the evidence, as they are, and makes the manifest fit."""
    path = folder / "evaluation.safetensors"
    with safetensors.safe_open(path, "pt") as file:
        tensors, metadata = {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118
    path.write_bytes(safetensors.torch.save(change(tensors), metadata))
    reseal(folder)


def change_tensor(folder: Path, name: str, tensor: Tensor | None) -> None:
    """Puts another tensor, or none, into the evidence, and makes the manifest fit."""
    others = {} if tensor is None else {name: tensor}
    change_evidence(folder, lambda tensors: {key: kept for key, kept in tensors.items() if key != name} | others)


def in_format_1(folder: Path) -> Path:
    """Makes a folder what earlier versions wrote: its evidence is int64, float32 and bool; gives the folder."""
    config = folder / "config.json"
    config.write_text(config.read_text().replace("siit-bundle/2", "siit-bundle/1"))
    wide = {torch.uint8: torch.int64, torch.int16: torch.int64, torch.float16: torch.float32}
    change_evidence(
        folder, lambda tensors: {name: kept.to(wide.get(kept.dtype, kept.dtype)) for name, kept in tensors.items()}
    )
    reseal(folder, lambda content: content.update(format="siit-bundle/1"))
    return folder
