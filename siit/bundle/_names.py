"""Names of the files of a model's folder, and how large each may be."""

from __future__ import annotations

CONFIG_FILE, CIRCUIT_FILE, GRAPH_FILE = "config.json", "circuit.json", "graph.json"
CAUSAL_FILE, CERTIFICATE_FILE, TRAIN_FILE = "causal_model.json", "certificate.json", "train.yaml"
WEIGHTS_FILE, EVIDENCE_FILE = "model.safetensors", "evaluation.safetensors"
VOCAB_FILE, MANIFEST_FILE = "vocab.json", "manifest.json"
TOKENIZER_FILE = "tokenizer.json"
"""A further file: where inputs are sentences."""
FILES = (
    CONFIG_FILE,
    VOCAB_FILE,
    CIRCUIT_FILE,
    GRAPH_FILE,
    CAUSAL_FILE,
    CERTIFICATE_FILE,
    TRAIN_FILE,
    WEIGHTS_FILE,
    EVIDENCE_FILE,
)
SIZE_LIMITS = {WEIGHTS_FILE: 4 << 30, EVIDENCE_FILE: 4 << 30, TRAIN_FILE: 1 << 20}
"""Bytes; every other file is held to the limit for JSON."""
