"""Croissant metadata of a bundle's evaluation data (`croissant.json`), see https://docs.mlcommons.org/croissant."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from siit._version import __version__
from siit.bundle import EVIDENCE_FILE
from siit.graph.tiers import TIERS
from siit.hub.models import PackedModel

CROISSANT_FILE = "croissant.json"
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_DESCRIPTION = (
    "Held-out pairs of a base and a source input, with the high-level causal model's answers under every interchange "
    "intervention: the evidence on which transformers with known circuits were certified. One safetensors file per "
    "model: base_tokens and source_tokens (token ids, [pairs, positions]), base_target, source_target and do/<unit or "
    "edge>/target (class ids, or numbers), and beside each target the mask of scored positions. Each tensor has the "
    "smallest dtype that holds it exactly, often uint8 (int64 and float32 in models of the format siit-bundle/1)."
)
_CITE = (
    f"siit: Transformers whose circuits are known and measured to be true, version {__version__}. "
    "Gupta, Arcuschin, Kwa, Garriga-Alonso: InterpBench: Semi-Synthetic Transformers for Evaluating Mechanistic "
    "Interpretability Techniques. arXiv:2407.14494 (2024). Lindner et al.: Tracr: Compiled Transformers as a "
    "Laboratory for Interpretability. arXiv:2301.05062 (2023)."
)
_FIELDS = {
    "model": ("sc:Text", "The model's folder in the repository."),
    "case": ("sc:Text", "The task."),
    "seed": ("sc:Integer", "The seed that the model was trained with."),
    "tier": ("sc:Text", "How much of a circuit there is to find: pointwise, single, composed or deep."),
    "output": ("sc:Text", "categorical or numerical."),
    "certified": ("sc:Boolean", "Whether the model's labels were measured to be true on these pairs."),
    "certificate": ("sc:Text", "The certificate's format; siit-certificate/1 is an older kind, of fewer edges."),
    "pairs": ("sc:Integer", "How many pairs of a base and a source input there are."),
    "positions": ("sc:Integer", "How many positions each input has, the one of BOS included."),
    "evaluation": ("sc:Text", "The file that holds the pairs."),
}
_RECORDS = "models"
_SPLITS = "tiers"


def render_croissant(models: Sequence[PackedModel], repo_id: str, url: str, revision: str) -> bytes:
    """Makes the content of `croissant.json`.

    Args:
        models: whose evaluation data is described.
        repo_id: `<organization or user>/<name>`.
        url: where the repository is shown.
        revision: the branch whose files are meant.
    """
    content = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": repo_id.replace("/", "-"),
        "description": _DESCRIPTION,
        "license": "https://spdx.org/licenses/MIT.html",
        "url": url,
        "citeAs": _CITE,
        "creator": {"@type": "sc:Organization", "name": repo_id.partition("/")[0]},
        "datePublished": max(model.content.created for model in models)[:10],
        "version": __version__,
        "distribution": [_file(model, f"{url}/resolve/{revision}") for model in models],
        "recordSet": [_splits(models), _records(models)],
    }
    return (json.dumps(content, indent=1) + "\n").encode()


def _file(model: PackedModel, base: str) -> dict[str, Any]:
    path = _evaluation(model)
    file = model.content.files[EVIDENCE_FILE]
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "description": f"{model.pairs} pairs of {model.summary.case}, seed {model.summary.seed}, in safetensors.",
        "contentUrl": f"{base}/{path}",
        "contentSize": f"{file.size} B",
        "encodingFormat": "application/octet-stream",
        "sha256": file.sha256,
    }


def _splits(models: Sequence[PackedModel]) -> dict[str, Any]:
    """The tiers as splits: scores are reported for each of them."""
    there = {model.summary.tier for model in models}
    return {
        "@type": "cr:RecordSet",
        "@id": _SPLITS,
        "name": _SPLITS,
        "description": "The models fall into tiers, by how much of a circuit there is to find.",
        "dataType": "cr:Split",
        "key": {"@id": f"{_SPLITS}/name"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{_SPLITS}/name",
                "name": f"{_SPLITS}/name",
                "description": "The tier's name.",
                "dataType": "sc:Text",
            }
        ],
        "data": [{f"{_SPLITS}/name": tier} for tier in TIERS if tier in there],
    }


def _records(models: Sequence[PackedModel]) -> dict[str, Any]:
    """A table of the models, its rows in the metadata itself."""
    return {
        "@type": "cr:RecordSet",
        "@id": _RECORDS,
        "name": _RECORDS,
        "description": "One row per model, naming the file of its evaluation data.",
        "key": {"@id": f"{_RECORDS}/model"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{_RECORDS}/{name}",
                "name": f"{_RECORDS}/{name}",
                "description": text,
                "dataType": kind,
                **({"references": {"field": {"@id": f"{_SPLITS}/name"}}} if name == "tier" else {}),
            }
            for name, (kind, text) in _FIELDS.items()
        ],
        "data": [{f"{_RECORDS}/{name}": value for name, value in _row(model).items()} for model in models],
    }


def _row(model: PackedModel) -> dict[str, str | int | bool]:
    summary = model.summary
    return {
        "model": summary.path,
        "case": summary.case,
        "seed": summary.seed,
        "tier": summary.tier,
        "output": summary.output,
        "certified": summary.certificate.certified,
        "certificate": summary.certificate.format,
        "pairs": model.pairs,
        "positions": model.positions,
        "evaluation": _evaluation(model),
    }


def _evaluation(model: PackedModel) -> str:
    return f"{model.summary.path}/{EVIDENCE_FILE}"
