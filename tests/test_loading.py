"""`siit.load` from folders and from the Hub, with nothing but the base dependencies."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import siit
from siit.bundle import BundleError, read_bundle, write_bundle
from siit.hub import HubError
from siit.places import model_folder
from tests.builders import handmade
from tests.builders.bundles import CAUSAL_MODEL, CONFIG, make_bundle, salt_of

_ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkpoints")
    write_bundle(root, make_bundle(case="toy", seed=0))
    write_bundle(root, make_bundle(case="toy", seed=3, salt=3))
    return root


def run_python(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True).stdout


def test_load(root: Path):
    loaded = siit.load(root, "toy", 3)
    tokens = loaded.vocab.encode(["a", "b"], loaded.config.n_ctx).unsqueeze(0)
    assert loaded.model(tokens).shape == (1, CONFIG.n_ctx, CONFIG.d_vocab_out)
    assert not loaded.model.training
    for name, parameter in loaded.model.state_dict().items():
        assert torch.equal(parameter, make_bundle(salt=3).parameters[name])
    assert (loaded.case, loaded.seed, loaded.output, loaded.tolerance) == ("toy", 3, "categorical", None)
    assert loaded.circuit.members == ["tok_embed", "pos_embed", "a0.h1", "m1", "logits"]
    assert loaded.tier == "single"
    assert loaded.causal_model.to_json() == CAUSAL_MODEL
    assert loaded.certificate["certified"]
    assert "base_tokens" in loaded.evidence


@pytest.mark.parametrize("seed", [np.int64(3), np.uint8(3), torch.tensor(3)])
def test_seeds_of_other_libraries(root: Path, seed: Any):
    assert type(siit.load_circuit(root, "toy", seed).seed) is int


@pytest.mark.parametrize("seed", [True, 1.0, np.float64(1), "1", None, -1, np.int64(-1)])
def test_what_is_no_seed(root: Path, seed: Any):
    with pytest.raises(BundleError, match=r"seed: found .*, accepted is a whole number"):
        siit.load_circuit(root, "toy", seed)


def test_loading_draws_no_random_numbers(root: Path):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    siit.load(root, "toy")
    assert torch.equal(torch.rand(3), expected)


def test_list_models(root: Path):
    assert [(entry.case, entry.seed, entry.certified) for entry in siit.list_models(root)] == [
        ("toy", 0, True),
        ("toy", 3, True),
    ]


def test_no_such_model(root: Path, tmp_path: Path):
    with pytest.raises(BundleError, match="found no toy/seed-1, accepted are toy/seed-0, toy/seed-3"):
        siit.load(root, "toy", 1)
    with pytest.raises(BundleError, match="accepted are none"):
        siit.load(tmp_path, "toy")
    with pytest.raises(BundleError, match=r"case: found '\.\./toy'"):
        siit.load(root, "../toy")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever would ask the network fails."""

    def asked(*arguments: object, **options: object) -> None:
        raise AssertionError(f"asked the network for {arguments} {options}")

    monkeypatch.setattr("siit.loading.fetch_model", asked)
    monkeypatch.setattr("siit.loading.fetch_index", asked)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", ["no such folder", "nothing", "/no/such/folder", "a/b/c", "./x", "x/", Path("a/b")])
def test_neither_folder_nor_repository(name: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for load in (
        lambda: siit.load(name, "toy"),
        lambda: siit.load_circuit(name, "toy"),
        lambda: siit.list_models(name),
    ):
        with pytest.raises(
            BundleError, match=r"^root_or_repo: found .*accepted are a bundle's folder.*'org/name'"
        ) as e:
            load()
        assert "\n" not in str(e.value) and e.value.__cause__ is None


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("given", ["checkpoint", "chekpoints/", "./checkpoint"])
def test_a_folder_with_nearly_this_name(given: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copytree(root, tmp_path / "checkpoints")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match=r"; did you mean 'checkpoints'\? accepted"):
        siit.load(given, "toy")


def test_a_case_with_nearly_this_name(root: Path, tmp_path: Path):
    with pytest.raises(
        BundleError, match=r"found no tyo/seed-0; did you mean toy\? accepted are toy/seed-0, toy/seed-3$"
    ):
        siit.load(root, "tyo")
    with pytest.raises(BundleError, match=f"there are no models here; .* did you mean '{root}'"):
        siit.load(root / "toy", "toy")


@pytest.mark.usefixtures("offline")
def test_a_local_folder_is_suggested_beside_what_the_hub_says(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A name that may be a repository's is one; its error is one, without the client's own before it."""
    shutil.copytree(root, tmp_path / "runs/checkpoints")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        HubError, match=r"nor is there a folder of this name; did you mean 'runs/checkpoints'\?$"
    ) as error:
        siit.load("runs/checkpoint", "toy", cache_dir=tmp_path / "cache")
    assert error.value.__suppress_context__ and error.value.__cause__ is None


def model_error(path: Path) -> str:
    with pytest.raises(BundleError) as error:
        read_bundle(model_folder(path))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_models_folder(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What can be meant is suggested: by `siit certify`, `siit show` and `siit score` alike."""
    toy = root / "toy"
    assert model_folder(toy / "seed-0") == toy / "seed-0"
    both = f"did you mean {toy / 'seed-0'} or {toy / 'seed-3'}?"
    assert both in model_error(toy)
    assert both in model_error(toy / "seed-7") and both in model_error(root / "tyo")
    monkeypatch.chdir(toy)
    assert "did you mean seed-0 or seed-3?" in model_error(Path())
    assert f"did you mean {toy / 'seed-3'}?" in model_error(root / "tyo/seed-3")
    assert f"one of {toy / 'seed-0'}, {toy / 'seed-3'}" in model_error(root)
    assert model_error(tmp_path / "nowhere").endswith("accepted is a model's folder")


def test_a_damaged_index_or_causal_model(root: Path, tmp_path: Path):
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    (copy / "bundle.json").write_text("{}")
    with pytest.raises(BundleError, match=r"bundle\.json: digest.*write_index"):
        siit.load(copy, "toy")
    write_bundle(copy, make_bundle(causal_model={**CAUSAL_MODEL, "variables": [{}]}))
    with pytest.raises(BundleError, match=r"toy/seed-0/causal_model\.json: "):
        siit.load(copy, "toy")


def test_a_lagging_index(root: Path, tmp_path: Path):
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    index = (copy / "bundle.json").read_bytes()
    write_bundle(copy, make_bundle(salt=7))
    (copy / "bundle.json").write_bytes(index)
    assert salt_of(siit.load(copy, "toy").bundle) == 7


@pytest.fixture
def cache(root: Path, tmp_path: Path) -> Path:
    """The Hub's cache as it is after a download: a snapshot of links to blobs."""
    storage = tmp_path / "models--org--name"
    snapshot = storage / "snapshots" / ("0" * 40)
    (storage / "refs").mkdir(parents=True)
    (storage / "refs/main").write_text("0" * 40)
    (storage / "blobs").mkdir()
    for number, path in enumerate(sorted(path for path in root.rglob("*") if path.is_file())):
        blob, link = storage / "blobs" / str(number), snapshot / path.relative_to(root)
        shutil.copy(path, blob)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blob)
    return tmp_path


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.usefixtures("offline")
def test_the_hubs_cache(cache: Path):
    assert siit.load("org/name", "toy", 3, cache_dir=cache).seed == 3
    assert [entry.seed for entry in siit.list_models("org/name", cache_dir=cache)] == [0, 3]
    with pytest.raises(BundleError, match="found no toy/seed-1, accepted are toy/seed-0, toy/seed-3"):
        siit.load("org/name", "toy", 1, cache_dir=cache)
    with pytest.raises(BundleError, match="nor is there a folder"):
        siit.load("org/other", "toy", cache_dir=cache)


@pytest.mark.usefixtures("offline")
def test_a_model_that_the_downloaded_index_does_not_list(cache: Path, tmp_path: Path):
    other = tmp_path / "other"
    folder = write_bundle(other, make_bundle(salt=9))
    snapshot = cache / "models--org--name/snapshots" / ("0" * 40)
    for path in folder.iterdir():
        shutil.copyfile(path, (snapshot / "toy/seed-0" / path.name).resolve())
    with pytest.raises(BundleError, match=r"manifest\.json: sha256: found another one"):
        siit.load("org/name", "toy", cache_dir=cache)


def test_importing_is_cheap():
    heavy = run_python(
        """
        import sys, siit
        assert siit.__version__ and "load" in dir(siit)
        print([name for name in ("torch", "numpy", "huggingface_hub", "rich") if name in sys.modules])
        """
    )
    assert heavy.strip() == "[]"
    with pytest.raises(
        AttributeError, match="module 'siit' has no attribute 'lode'; it has LoadedCircuit, LoadedModel"
    ):
        _ = siit.lode


def test_loading_imports_only_the_base_dependencies(root: Path):
    imported = run_python(
        """
        import json, sys, siit
        siit.load(sys.argv[1], "toy").model
        print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
        """,
        str(root),
    )
    heavy = {"jax", "jaxlib", "tracr", "haiku", "pytorch_lightning", "lightning", "hydra", "omegaconf", "wandb"}
    assert not heavy & set(json.loads(imported))
    assert not {"transformer_lens", "networkx", "huggingface_hub"} & set(json.loads(imported))


@pytest.mark.slow
@pytest.mark.ci
def test_a_model_that_is_verified_first(tmp_path: Path):
    handmade.put(tmp_path)
    assert siit.load(tmp_path, "previous_is_x", verify=True).case == "previous_is_x"
    handmade.put(tmp_path, parameters=handmade.broken())
    assert siit.load(tmp_path, "previous_is_x").case == "previous_is_x"
    message = r"previous_is_x/seed-0: not certified by this reader \(seed \d+ of its pairs\): certificate: certif"
    with pytest.raises(BundleError, match=message):
        siit.load(tmp_path, "previous_is_x", verify=True)
