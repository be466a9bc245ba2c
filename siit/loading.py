"""Loading models with known circuits, from a folder or from the Hugging Face Hub."""

from __future__ import annotations

import hashlib
import json
import operator
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from siit import presentation
from siit.bundle import (
    INDEX_FILE,
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
from siit.certificate import Answers
from siit.graph.architecture import ModelConfig
from siit.graph.circuit import Circuit
from siit.graph.tiers import tier
from siit.hub.download import fetch_index, fetch_model, storage
from siit.hub.errors import HubError
from siit.places import is_repository_id, no_such_model, no_such_root, root_hint
from siit.prediction import has_tokenizer, predict
from siit.starter import with_starter
from siit.transformer import Transformer

if TYPE_CHECKING:
    from transformer_lens import HookedTransformer

    from siit.interop.dataset import PairDataset
    from siit.show.drawing import Drawing

_EXAMPLE = 40
"""Letters of an input that is shown as an example."""


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class LoadedCircuit:
    """What is known of a model, without its weights: architecture, labels, causal model and certificate, all checked.

    Attributes:
        causal_model: the high-level model, to be run with interventions on inputs of one's own.
        bundle: all that was read; the attributes below are read from it.
    """

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
    def answers(self) -> Answers:
        """How outputs are read and compared."""
        return self.bundle.answers

    @property
    def output(self) -> str:
        """`categorical` or `numerical`."""
        return self.bundle.answers.output

    @property
    def tolerance(self) -> float | None:
        """How far a numerical output may be off; None where outputs are classes."""
        return self.bundle.answers.tolerance

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
        """Tier: `pointwise`, `single`, `composed` or `deep`; how much circuit there is to find (`siit.graph.tiers`)."""
        return tier(self.bundle.circuit)

    @property
    def certificate(self) -> Mapping[str, Any]:
        """What was measured on the evidence."""
        return self.bundle.certificate

    def __repr__(self) -> str:
        return presentation.text(self, self._ways())

    def _repr_html_(self) -> str:
        return presentation.page(self)

    def _ways(self) -> list[str]:
        """Expressions to go on with, and what each gives."""
        return [
            ".circuit  the labels; print them, or .circuit.plot()",
            ".causal_model  the truth, with interventions of your own",
            ".certificate  all that was measured",
        ]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class LoadedModel(LoadedCircuit):
    """A model with its labels and the evidence for them, checked and ready to run.

    Attributes:
        model: the transformer, in evaluation mode: token ids [batch, pos] -> logits [batch, pos, d_vocab_out].
    """

    model: Transformer

    @property
    def evidence(self) -> Mapping[str, Tensor]:
        """Held-out pairs with the high-level model's answers, by their names in `evaluation.safetensors`."""
        return self.bundle.evidence

    def predict(self, inputs: Any) -> list[Any]:
        """Answers an input, or each of a batch, in the words of the vocabulary, see `siit.prediction.predict`.

        `m.predict(["x", "a", "x"])` gives an answer for each token, None where the task has none.

        Args:
            inputs: a list of tokens; or a sentence, where the bundle has a tokenizer; or a list of such inputs.

        Raises:
            ValueError: an unknown token, or too many or too few of them.
        """
        return predict(self.model, self.bundle, self.causal_model, inputs)

    def show(self, out: str | Path | None = None, *, tokens: Sequence[Any] | str | None = None, **how: Any) -> Drawing:
        """Draws what `siit show` draws: circuit, attention, effects, and a page, which a notebook displays.

        Args:
            out: a folder into which all of it is written too.
            tokens: an input of your own for the attention, in the place of one of the evidence.
            how: `example`, `pairs`, `replace`, `device`, see `siit.show.draw.draw_model`.

        Raises:
            ImportError: matplotlib is not installed; names the extra.
            ValueError: see `draw_model` and `Drawing.write`.
        """
        from siit.show.draw import draw_model
        from siit.show.drawing import Drawing

        text = tokens if tokens is None or isinstance(tokens, str) else json.dumps(list(tokens))
        drawing = Drawing(draw_model(self.bundle, tokens=text, **how), f"{self.case}, seed {self.seed}")
        if out is not None:
            drawing.write(out)
        return drawing

    def _ways(self) -> list[str]:
        ids = self.evidence["base_tokens"][0].tolist()
        example = '"a sentence"' if has_tokenizer(self.bundle) else repr(self.vocab.decode(ids))
        return [
            f".predict({example if len(example) <= _EXAMPLE else '[...]'})  its answers",
            ".circuit  the labels; print them, or .circuit.plot()",
            ".show()  pictures of circuit, attention and effects",
            ".to_hooked_transformer()  in TransformerLens; .model is the plain one",
        ]

    def to_hooked_transformer(self, *, circuit_hooks: bool = True) -> HookedTransformer:
        """Makes a HookedTransformer of TransformerLens 3.9, see `siit.interop.lens.to_hooked_transformer`.

        Args:
            circuit_hooks: whether every head's result and the input of every slot can be hooked. A run takes about five
                times as long with them.

        Returns:
            The model with the same weights, on its device, in evaluation mode, and with a tokenizer where tokens differ
            as text: token ids [batch, pos] -> logits [batch, pos, d_vocab_out].

        Raises:
            ImportError: TransformerLens 3.9 is not installed; names the extra.
        """
        from siit.interop.lens import to_hooked_transformer

        return to_hooked_transformer(self.model, circuit_hooks=circuit_hooks, bundle=self.bundle)

    def to_bridge(self) -> Any:
        """Makes a TransformerBridge of TransformerLens 4, see `siit.interop.lens.to_bridge`.

        Returns:
            The model with the same weights, on its device, in evaluation mode: token ids [batch, pos] -> logits
            [batch, pos, d_vocab_out]. It has no hooks of single heads' results, nor of the inputs of q, k and v.

        Raises:
            ImportError: TransformerLens 4 is not installed; names the extra.
        """
        from siit.interop.lens import to_bridge

        return to_bridge(self.model)

    def dataset(self, corruption: str = "source") -> PairDataset:
        """Makes a PyTorch dataset of the held-out pairs, see `siit.interop.dataset.PairDataset`.

        Args:
            corruption: `source`, another input drawn independently, or a kind of contrast that the evidence has.

        Returns:
            One `siit.interop.dataset.Pair` for each pair: base, source, their answers and where these count, each
            [pos].

        Raises:
            ValueError: no such corruption; names those that there are.
        """
        from siit.interop.dataset import PairDataset

        return PairDataset(self.evidence, corruption)


def load(
    root_or_repo: str | Path,
    case: str,
    seed: Any = 0,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    endpoint: str | None = None,
    verify: bool = False,
) -> LoadedModel:
    """Loads one model of a bundle; nothing in the bundle is trusted or executed.

    Of a repository only this model's files are downloaded, once: what is in the cache is found without a network too.

    Args:
        root_or_repo: a bundle's folder, such as `checkpoints`. Or `starter`, for the models that come with siit, or a
            repository id on the Hub, such as `org/name`. A folder that exists goes first.
        case: the task's name.
        seed: the model's seed, an integer; NumPy's and torch's are taken too.
        revision: a branch, tag or commit of the repository.
        cache_dir: where downloads are kept; the Hub's own cache by default.
        endpoint: the Hub's address; HF_ENDPOINT or the public Hub by default.
        verify: whether every claim is verified first, as `siit certify` does; it takes seconds to minutes.

    Raises:
        BundleError: no such model, or a file that is damaged, or a claim that does not hold; names the file and field.
        HubError: a BundleError too; there is no such folder, and no such repository or no way to it.
    """
    bundle, causal_model = _read(root_or_repo, case, seed, True, revision, cache_dir, endpoint)
    if verify:
        _require_verified(bundle)
    model = Transformer(bundle.config)
    model.load_state_dict(dict(bundle.parameters))
    return LoadedModel(causal_model=causal_model, bundle=bundle, model=model.eval())


def _require_verified(bundle: Bundle) -> None:
    """Raises BundleError with the first claim that does not hold."""
    # Only here: loading alone needs none of it.
    from siit.verification import verify

    verification = verify(bundle)
    if not verification.certified:
        raise BundleError(
            f"{seed_folder(bundle.case, bundle.seed)}: not certified by this reader (seed {verification.seed} of its "
            f"pairs): {verification.findings[0]}"
        )
    if verification.other_inputs:
        warnings.warn(
            f"{seed_folder(bundle.case, bundle.seed)}: certified as {verification.provenance}, see causal_model.json",
            stacklevel=3,
        )


def load_circuit(
    root_or_repo: str | Path,
    case: str,
    seed: Any = 0,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    endpoint: str | None = None,
) -> LoadedCircuit:
    """Loads what is known of a model, and neither reads nor downloads its weights and evidence.

    Args:
        root_or_repo, case, seed, revision, cache_dir, endpoint: see `load`.

    Raises:
        BundleError, HubError: see `load`.
    """
    bundle, causal_model = _read(root_or_repo, case, seed, False, revision, cache_dir, endpoint)
    return LoadedCircuit(causal_model=causal_model, bundle=bundle)


def list_models(
    root_or_repo: str | Path,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    endpoint: str | None = None,
) -> list[IndexEntry]:
    """Lists the models of a bundle: case, seed, path below the root, and whether each is certified.

    Args:
        root_or_repo, revision, cache_dir, endpoint: see `load`.

    Raises:
        BundleError: an index that is damaged.
        HubError: see `load`.
    """
    root = with_starter(root_or_repo)
    if root.is_dir():
        return list_folders(root)
    with _repository(root_or_repo) as repo_id:
        root = fetch_index(repo_id, revision=revision, cache_dir=cache_dir, endpoint=endpoint)
    return read_index(root, within=storage(root))


def _read(
    root_or_repo: str | Path,
    case: str,
    seed: Any,
    whole: bool,
    revision: str | None,
    cache_dir: str | Path | None,
    endpoint: str | None,
) -> tuple[Bundle, CausalModel]:
    """One model's files, with weights and evidence if `whole`."""
    seed = _plain_seed(seed)
    place = seed_folder(case, seed)
    root = with_starter(root_or_repo)
    if root.is_dir():
        bundle = _read_local(root, case, seed, whole)
    else:
        with _repository(root_or_repo) as repo_id:
            root = fetch_model(repo_id, place, whole=whole, revision=revision, cache_dir=cache_dir, endpoint=endpoint)
        bundle = _read_downloaded(root, case, seed, whole)
    if bundle.case != case:
        raise BundleError(f"{place}/config.json: case: found {bundle.case!r}, accepted is the folder's, {case!r}")
    try:
        return bundle, CausalModel.from_json(bundle.causal_model)
    except ValueError as error:
        raise BundleError(f"{place}/causal_model.json: {error}") from error


def _plain_seed(seed: Any) -> Any:
    """Makes an integer of NumPy's or torch's a plain one; what is none is left for the check of seeds."""
    if isinstance(seed, bool) or not hasattr(seed, "__index__"):
        return seed
    return operator.index(seed)


@contextmanager
def _repository(name: str | Path) -> Iterator[str]:
    """Yields a repository's id; what the Hub has to say of it becomes one error, without the client's own before it.

    Raises:
        BundleError: the name can be no repository's; nothing was asked of the network.
    """
    if not is_repository_id(name):
        raise no_such_root(name)
    try:
        yield str(name)
    except HubError as error:
        hint = root_hint(name)
        nor = f"nor is there a folder of this name{f'; {hint}'.rstrip() if hint else ''}"
        raise HubError(f"{error}; {nor}") from None


def _read_local(root: Path, case: str, seed: int, whole: bool) -> Bundle:
    place = root / seed_folder(case, seed)
    # An index that lags behind the folders is no fault (a writer may have died just before it wrote one).
    if (root / INDEX_FILE).exists():
        try:
            read_index(root)
        except BundleError as error:
            raise BundleError(f"{root}/{error}; siit.bundle.write_index makes it anew from the models") from error
    try:
        return read_bundle(place, weights=whole, evidence=whole)
    except BundleError as error:
        if place.exists():
            raise BundleError(f"{place}/{error}") from error
        there = [(entry.case, entry.seed) for entry in list_folders(root)]
        raise no_such_model(str(root), case, seed, there) from None


def _read_downloaded(root: Path, case: str, seed: int, whole: bool) -> Bundle:
    place, within = seed_folder(case, seed), storage(root)
    entries = read_index(root, within=within)
    listed = {entry.path: entry.manifest_sha256 for entry in entries}
    if place not in listed:
        raise no_such_model(INDEX_FILE, case, seed, [(entry.case, entry.seed) for entry in entries])
    try:
        bundle = read_bundle(root / place, weights=whole, evidence=whole, within=within)
    except BundleError as error:
        raise BundleError(f"{place}/{error}") from error
    if hashlib.sha256((root / place / MANIFEST_FILE).read_bytes()).hexdigest() != listed[place]:
        raise BundleError(
            f"{place}/{MANIFEST_FILE}: sha256: found another one, accepted is {listed[place]}, as {INDEX_FILE} lists"
        )
    return bundle
