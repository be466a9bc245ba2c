"""From the configuration to a bundle and back: what a model of indirect objects has beside the others."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

import siit
from siit.bundle import BundleError, read_bundle
from siit.causal import Inputs
from siit.train import train
from siit.training.configuration.settings import ConfigError
from siit.training.ioi.task import TOKENIZER_FILE
from tests.builders import ioi
from tests.builders.bundles import change_tensor
from tests.builders.runs import Compose

TINY = (
    "model.n_layers=3",
    "trainer.max_steps=2",
    "trainer.check_every=1",
    "trainer.batch_size=8",
    "trainer.validation_pairs=16",
)
SENTENCE = "Yesterday Mary met John near the station and John showed a ring to"


@pytest.mark.slow
@pytest.mark.ci
def test_a_model_of_indirect_objects_in_its_folder(composed: Compose, tmp_path: Path) -> None:
    path = train(composed("case=ioi_next_token", *TINY))
    assert path == tmp_path / "ioi_next_token" / "seed-0"
    task = ioi.task("ioi_next_token")

    # The tokenizer is one of the files that the manifest vouches for.
    manifest = json.loads((path / "manifest.json").read_text())
    content = (path / TOKENIZER_FILE).read_bytes()
    assert manifest["files"][TOKENIZER_FILE]["sha256"] == hashlib.sha256(content).hexdigest()
    assert content == task.files()[TOKENIZER_FILE]

    loaded = siit.load(tmp_path, "ioi_next_token")
    evidence = loaded.evidence
    for kind in ("contrast/roles_exchanged", "contrast/third_name", "probe/held_out_templates", "probe/next_token"):
        for field in ("tokens", "target", "scored"):
            assert evidence[f"{kind}/{field}"].shape == evidence["base_tokens"].shape
    assert not evidence["contrast/third_name/scored"].any() and evidence["probe/next_token/scored"].any()
    probes = loaded.certificate["details"]["probes"]
    assert set(probes) == {"held_out_templates", "next_token"}
    assert all(set(probe) == {"accuracy", "circuit_alone", "scored"} for probe in probes.values())

    # The causal model answers as the task's does, and as the evidence says.
    assert loaded.causal_model.to_json() == task.model.to_json()
    for prefix in ("base_", "source_", "contrast/roles_exchanged/", "probe/held_out_templates/"):
        run = loaded.causal_model.run(Inputs(evidence[f"{prefix}tokens"]))
        assert torch.equal(run.scored, evidence[f"{prefix}scored"])
        assert torch.equal(run.output[run.scored], evidence[f"{prefix}target"][run.scored])

    # A sentence through the files alone.
    ids = Tokenizer.from_file(str(path / TOKENIZER_FILE)).encode(SENTENCE).ids
    assert [loaded.vocab.tokens[index] for index in ids] == ["BOS", *SENTENCE.split()]
    tokens = torch.tensor([ids + [loaded.vocab.pad_id] * (loaded.config.n_ctx - len(ids))])
    run = loaded.causal_model.run(Inputs(tokens))
    assert [loaded.vocab.tokens[index] for index in run.output[run.scored]] == ["Mary"]
    assert [answer is None for answer in loaded.predict(SENTENCE)] == [True] * 12 + [False]
    hooked = loaded.to_hooked_transformer()
    assert torch.equal(hooked.to_tokens(SENTENCE), tokens)
    with pytest.raises(ValueError, match=r"^text: found 'Mary met Zork', accepted are tokens"):
        hooked.to_tokens("Mary met Zork")
    assert loaded.model(tokens).shape == (1, loaded.config.n_ctx, loaded.config.d_vocab_out)
    # AuxiliaryProbes are no part of the model.
    assert set(read_bundle(path).parameters) == set(loaded.config.parameter_shapes())
    assert "sentences:" in (path / "train.yaml").read_text()

    # Damaged further evidence is refused, as is another tokenizer.
    target = evidence["probe/next_token/target"].clone()
    change_tensor(path, "probe/next_token/target", target + len(loaded.vocab.tokens))
    with pytest.raises(
        BundleError, match=r"evaluation\.safetensors: probe/next_token/target: found \d+, accepted is a class from 0"
    ):
        siit.load(tmp_path, "ioi_next_token")
    change_tensor(path, "probe/next_token/target", None)
    with pytest.raises(BundleError, match=r"probe/next_token/target: found nothing, accepted is uint8"):
        siit.load(tmp_path, "ioi_next_token")
    change_tensor(path, "probe/next_token/target", target)
    siit.load(tmp_path, "ioi_next_token")
    (path / TOKENIZER_FILE).write_bytes(content.replace(b"Mary", b"Cary"))
    with pytest.raises(BundleError, match=r"tokenizer\.json: "):
        siit.load(tmp_path, "ioi_next_token")


@pytest.mark.slow
@pytest.mark.parametrize("case", ["ioi", "ioi_full"])
def test_the_other_cases(composed: Compose, tmp_path: Path, case: str) -> None:
    train(composed(f"case={case}", *TINY, "model.n_layers=5"))
    loaded = siit.load(tmp_path, case)
    assert loaded.causal_model.to_json() == ioi.task(case).model.to_json()
    assert set(loaded.certificate["details"]["probes"]) == {"held_out_templates"}


def test_a_tokenizer_that_cannot_be_had(composed: Compose, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"case\.tokenizer: found 'nowhere', accepted are words, gpt2, or a folder"):
        train(composed("case=ioi", "case.tokenizer=nowhere"))
    assert not list(tmp_path.iterdir()), "nothing is begun"
