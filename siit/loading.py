"""Loading models with known circuits, from a folder or from the Hugging Face Hub."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from siit.architecture import ModelConfig
from siit.bundle import (
    MANIFEST_FILE,
    Bundle,
    BundleError,
    IndexEntry,
    Vocab,
    list_folders,
    read_bundle,
    read_index,
    seed_folder,
)
from siit.causal import CausalModel
from siit.circuit import Circuit
from siit.tiers import tier
from siit.transformer import Transformer

_INDEX = "bundle.json"


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model with its labels and the evidence for them, checked and ready to run.

    Attributes:
        model: the transformer, in evaluation mode: token ids [batch, pos] -> logits [batch, pos, d_vocab_out].
        causal_model: the high-level model, to be run with interventions on inputs of one's own.
        bundle: all that the files hold; the attributes below are read from it.
    """

    model: Transformer
    causal_model: CausalModel
    bundle: Bundle

    @property
    def config(self) -> ModelConfig:
        """The architecture."""
        return self.bundle.config

    @property
    def case(self) -> str:
        """The task's name."""
        return self.bundle.case

    @property
    def seed(self) -> int:
        """The seed that the model was trained with."""
        return self.bundle.seed

    @property
    def output(self) -> str:
        """`categorical` or `numerical`."""
        return self.bundle.output

    @property
    def tolerance(self) -> float | None:
        """How far a numerical output may be off; None where outputs are classes."""
        return self.bundle.tolerance

    @property
    def vocab(self) -> Vocab:
        """What the ids stand for; its `encode` makes the model's inputs."""
        return self.bundle.vocab

    @property
    def circuit(self) -> Circuit:
        """The labels."""
        return self.bundle.circuit

    @property
    def tier(self) -> str:
        """`pointwise`, `single`, `composed` or `deep`: how much of a circuit there is to find, see `siit.tiers`."""
        return tier(self.bundle.circuit)

    @property
    def evidence(self) -> Mapping[str, Tensor]:
        """Held-out pairs with the high-level model's answers, by their names in `evaluation.safetensors`."""
        return self.bundle.evidence

    @property
    def certificate(self) -> Mapping[str, Any]:
        """What was measured on the evidence."""
        return self.bundle.certificate


def load(
    root_or_repo: str | Path,
    case: str,
    seed: int = 0,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
) -> LoadedModel:
    """Loads one model of a bundle; nothing in the bundle is trusted or executed.

    Args:
        root_or_repo: a bundle's folder, such as `checkpoints`, or a repository id on the Hub, such as `org/name`. A
            folder that exists goes first.
        case: the task's name.
        seed: the model's seed.
        revision: a branch, tag or commit of the repository.
        cache_dir: where downloads are kept; the Hub's own cache by default.

    Raises:
        BundleError: nothing there, no such model, or a file that is damaged; names the file and the field.
    """
    place = seed_folder(case, seed)
    root = Path(root_or_repo)
    if root.is_dir():
        bundle = _read_local(root, place)
    else:
        root = _download(str(root_or_repo), [f"{place}/*", _INDEX], revision, cache_dir)
        bundle = _read_downloaded(root, place)
    if bundle.case != case:
        raise BundleError(f"{place}/config.json: case: found {bundle.case!r}, accepted is the folder's, {case!r}")
    try:
        causal_model = CausalModel.from_json(bundle.causal_model)
    except ValueError as error:
        raise BundleError(f"{place}/causal_model.json: {error}") from error
    model = Transformer(bundle.config)
    model.load_state_dict(dict(bundle.parameters))
    return LoadedModel(model.eval(), causal_model, bundle)


def list_models(
    root_or_repo: str | Path, *, revision: str | None = None, cache_dir: str | Path | None = None
) -> list[IndexEntry]:
    """The models of a bundle: case, seed, path below the root, and whether each is certified.

    Args:
        root_or_repo: a bundle's folder or a repository id on the Hub, see `load`.
        revision: a branch, tag or commit of the repository.
        cache_dir: where downloads are kept; the Hub's own cache by default.

    Raises:
        BundleError: nothing there, or an index that is damaged.
    """
    root = Path(root_or_repo)
    if root.is_dir():
        return list_folders(root)
    root = _download(str(root_or_repo), [_INDEX], revision, cache_dir)
    return read_index(root, within=_storage(root))


def _download(repo: str, patterns: list[str], revision: str | None, cache_dir: str | Path | None) -> Path:
    # Only here: it takes half a second to import.
    import huggingface_hub
    import huggingface_hub.errors

    try:
        folder = huggingface_hub.snapshot_download(
            repo, revision=revision, cache_dir=cache_dir, allow_patterns=patterns
        )
    # Its transport's own errors have no base class that every version shares.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise BundleError(
            f"{repo}: bundle: found neither a folder of this name nor, on the Hub, a repository that can be read "
            f"({type(error).__name__}: {reason}), accepted is a bundle's folder or a repository id"
        ) from error
    return Path(folder)


def _storage(snapshot: Path) -> Path:
    """Where the cache keeps a repository's files: a snapshot consists of links to them."""
    return snapshot.parent.parent


def _read_local(root: Path, place: str) -> Bundle:
    # An index that lags behind the folders is no fault (a writer may have died just before it wrote one).
    if (root / _INDEX).exists():
        read_index(root)
    try:
        return read_bundle(root / place)
    except BundleError as error:
        if (root / place).exists():
            raise
        raise _no_such(str(root), place, list_folders(root)) from error


def _read_downloaded(root: Path, place: str) -> Bundle:
    within = _storage(root)
    entries = read_index(root, within=within)
    listed = {entry.path: entry.manifest_sha256 for entry in entries}
    if place not in listed:
        raise _no_such(_INDEX, place, entries)
    bundle = read_bundle(root / place, within=within)
    if hashlib.sha256((root / place / MANIFEST_FILE).read_bytes()).hexdigest() != listed[place]:
        raise BundleError(
            f"{place}/{MANIFEST_FILE}: sha256: found another one, accepted is {listed[place]}, as {_INDEX} lists"
        )
    return bundle


def _no_such(where: str, place: str, entries: list[IndexEntry]) -> BundleError:
    accepted = ", ".join(entry.path for entry in entries) or "none: there are no models here"
    return BundleError(f"{where}: case, seed: found no {place}, accepted are {accepted}")
