"""The models on which methods are compared: those of one bundle or more that are certified, with their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from siit.bundle import IndexEntry
from siit.loading import LoadedCircuit, list_models, load_circuit

Model = tuple[str, int]
"""Case and seed."""


def words(model: Model) -> str:
    """Names a model, as its folder is named."""
    return f"{model[0]}/seed-{model[1]}"


@dataclass(frozen=True, eq=False)
class Release:
    """Certified models.

    Attributes:
        entries: model -> its entry in its bundle's index.
        bundles: model -> the bundle that it is in.
    """

    entries: Mapping[Model, IndexEntry]
    bundles: Mapping[Model, str | Path]
    _labels: dict[Model, LoadedCircuit] = field(default_factory=dict)

    def labels(self, model: Model) -> LoadedCircuit:
        """Loads what is known of a model, once.

        Raises:
            BundleError: a file that is damaged.
        """
        if model not in self._labels:
            self._labels[model] = load_circuit(self.bundles[model], *model)
        return self._labels[model]


def read_release(bundles: Sequence[str | Path]) -> Release:
    """Lists the certified models of bundles: folders, or repositories on the Hub.

    Raises:
        ValueError: none is certified, or one is in two bundles. BundleError: a bundle that cannot be read.
    """
    entries: dict[Model, IndexEntry] = {}
    homes: dict[Model, str | Path] = {}
    for bundle in bundles:
        for entry in list_models(bundle):
            model = (entry.case, entry.seed)
            if not entry.certified:
                continue
            if model in entries:
                raise ValueError(
                    f"bundle: found {words(model)} in {homes[model]} and {bundle}, accepted is one of them"
                )
            entries[model], homes[model] = entry, bundle
    if not entries:
        raise ValueError(f"bundle: found no certified model in {', '.join(map(str, bundles))}, accepted are some")
    return Release(entries, homes)
