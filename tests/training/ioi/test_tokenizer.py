"""Tokenizers: whole words, and GPT-2's from a folder or the Hub."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from siit.bundle import read_bundle
from siit.causal import CausalModel, Inputs
from siit.train import train
from siit.training.configuration.sentences import SentenceCase
from siit.training.configuration.settings import ConfigError
from siit.training.ioi.sentences import make_ioi_tokenizer, make_sentences
from siit.training.ioi.task import TOKENIZER_FILE, IOITask, make_ioi_task
from siit.training.ioi.templates import HELD_OUT_TEMPLATES, SLOTS, TEMPLATES
from siit.training.ioi.tokenizer import GPT2_BOS, TokenizerError, make_tokenizer
from siit.training.ioi.words import NAMES, OBJECTS, PLACES
from siit.verification.declared import declared_task
from siit.verification.provenance import provenance
from siit.verification.vocabulary import vocabulary_findings
from tests.builders import ioi
from tests.builders.runs import Compose

LITERAL = sorted({word for text in (*TEMPLATES, *HELD_OUT_TEMPLATES) for word in text.split()} - {*SLOTS, ","})


def texts(task: IOITask, tokens: torch.Tensor) -> list[str]:
    return [task.tokenizer.decode([index for index in row if index < task.bos_id]) for row in tokens.tolist()]


def test_texts_split_into_their_tokens():
    task = ioi.task()
    chosen = list(ioi.sentences(seed=7))
    rows = ioi.inputs(task.model, chosen).tokens.tolist()
    for sentence, row in zip(chosen, rows, strict=True):
        whole = task.tokenizer.encode(" ".join(sentence.words))
        assert whole.ids == [index for index in row if index != task.pad_id], "BOS is put first"
        assert whole.tokens == ["BOS", *sentence.words]


def test_the_file_reads_as_the_same_tokenizer(tmp_path: Path):
    task = ioi.task()
    assert task.model.vocab == task.sentences.tokens[:-2] and task.sentences.tokens[-2:] == ("BOS", "PAD")
    ((name, content),) = task.files().items()
    (tmp_path / name).write_bytes(content)
    assert name == TOKENIZER_FILE
    text = " ".join(next(ioi.sentences(seed=8)).words)
    ids = task.tokenizer.encode(text).ids
    again = Tokenizer.from_file(str(tmp_path / name))
    assert again.encode(text).ids == ids
    transformers = pytest.importorskip("transformers")
    fast = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / name), bos_token="BOS", pad_token="PAD")
    assert fast(text)["input_ids"] == ids and (fast.bos_token_id, fast.pad_token_id) == (task.bos_id, task.pad_id)


def byte_level(folder: Path, words: Sequence[str], bos_last: bool = True) -> Path:
    """A tokenizer.json in GPT-2's form in which each of the words is a single token after a space."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {letter: index for index, letter in enumerate(alphabet)}
    merges: list[tuple[str, str]] = []
    for word in words:
        piece = "Ġ"
        for letter in word:
            if piece + letter not in vocab:
                vocab[piece + letter] = len(vocab)
                merges.append((piece, letter))
            piece += letter
    vocab = {**vocab, GPT2_BOS: len(vocab)} if bos_last else {GPT2_BOS: 0, **{k: v + 1 for k, v in vocab.items()}}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / TOKENIZER_FILE))
    return folder


@pytest.mark.parametrize("case", ["ioi", "ioi_full"])
def test_a_byte_level_tokenizer_in_gpt2s_form(tmp_path: Path, case: str):
    """Names, fillers and words within the sentence are single tokens; the first word, without a space, is several."""
    folder = byte_level(tmp_path / "gpt2", [*NAMES, *PLACES, *OBJECTS, *LITERAL])
    task = make_ioi_task(case, str(folder))
    assert task.sentences.tokens[-2:] == (GPT2_BOS, "<|pad|>")
    assert {"Ġ" + name for name in NAMES} == {task.sentences.tokens[index] for index in task.sentences.names}
    pairs = task.pairs("train").draw(300, torch.Generator().manual_seed(0))
    run = task.model.run(Inputs(pairs.base))
    assert run.scored.sum(1).tolist() == [1] * 300
    for text, answer, row in zip(texts(task, pairs.base), run.output[run.scored].tolist(), pairs.base.tolist()):
        words = text.replace(",", " ,").split()
        mentioned = [word for word in words if word in NAMES]
        (subject,) = {name for name in mentioned if mentioned.count(name) == 2}
        assert task.sentences.tokens[answer] == "Ġ" + next(name for name in mentioned if name != subject)
        # The tokenizer makes the same ids of the text.
        assert task.tokenizer.encode(text).ids == [index for index in row if index != task.pad_id]
    # Its own file, in a folder or by itself, is read the same.
    assert make_sentences(make_ioi_tokenizer(str(folder / TOKENIZER_FILE))).tokens == task.sentences.tokens


@pytest.mark.slow
def test_a_tokenizer_makes_another_program_which_needs_a_name_of_its_own(composed: Compose, tmp_path: Path):
    """The catalogue's has whole words: under its name a verifier would refuse the model, so training does before."""
    folder = byte_level(tmp_path / "gpt2", [*NAMES, *PLACES, *OBJECTS, *LITERAL])
    settings = ["case=ioi", f"case.tokenizer={folder}", "model.n_layers=3", "trainer.max_steps=2"]
    settings += ["trainer.check_every=1", "trainer.batch_size=8", "trainer.validation_pairs=16"]
    with pytest.raises(ConfigError, match=r"case\.name: found 'ioi', under which another .*case\.name=ioi-own"):
        train(composed(*settings))
    bundle = read_bundle(train(composed(*settings, "case.name=ioi-gpt2")))
    whose, model = provenance(bundle), CausalModel.from_json(bundle.causal_model)
    assert (whose.text, whose.findings) == ("an own program", ())
    assert list(vocabulary_findings(bundle, model)) == []
    assert declared_task(bundle, model, None).special_tokens == (GPT2_BOS, "<|pad|>")


@pytest.mark.parametrize("name", ["ioj", "reverse", "gpt2-ioi", "-ioi"])
def test_names_that_are_none_of_its_cases(name: str):
    with pytest.raises(ConfigError, match=r"case\.name: found .*, accepted is ioi, .*such as ioi-gpt2"):
        SentenceCase(name=name).make_task()


def test_fillers_of_several_tokens_are_left_out(tmp_path: Path):
    folder = byte_level(tmp_path, [*NAMES, *PLACES[:50], *OBJECTS])
    sentences = make_sentences(make_ioi_tokenizer(str(folder)))
    assert len(sentences.places) == 50 and len(sentences.objects) == len(OBJECTS)


def test_names_of_several_tokens_are_refused_by_name(tmp_path: Path):
    known = [name for name in NAMES if name not in ("Oliver", "Mary")]
    folder = byte_level(tmp_path, [*known, *PLACES, *OBJECTS])
    with pytest.raises(TokenizerError, match=r"found no single token for the names Mary, Oliver$"):
        make_sentences(make_ioi_tokenizer(str(folder)))


def task_with(tokenizer: str) -> Any:
    return SentenceCase(name="ioi", tokenizer=tokenizer).make_task()


@pytest.mark.parametrize("name", ["nowhere", "GPT2"])
def test_a_path_that_is_not_there(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"case.tokenizer: found '{name}', accepted are words, gpt2, or a fo"):
        task_with(name)


def test_a_folder_without_one(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"case\.tokenizer: found .*, accepted are words, gpt2, or a folder"):
        task_with(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"{}", b'{"version": "1.0"', b"\xff\xfe", b"[1, 2]"])
def test_a_file_that_is_no_tokenizer(content: bytes, tmp_path: Path):
    (tmp_path / TOKENIZER_FILE).write_bytes(content)
    with pytest.raises(ConfigError, match=r"tokenizer\.json: no tokenizer of the tokenizers library"):
        task_with(str(tmp_path))


def test_a_tokenizer_with_another_bos(tmp_path: Path):
    words = ioi.task().files()[TOKENIZER_FILE]
    (tmp_path / TOKENIZER_FILE).write_bytes(words)
    size = len(json.loads(words)["model"]["vocab"])
    with pytest.raises(ConfigError, match=rf"found <\|endoftext\|> at None of {size} ids, accepted is GPT-2's: the la"):
        task_with(str(tmp_path))
    first = byte_level(tmp_path / "first", NAMES, bos_last=False)
    with pytest.raises(ConfigError, match=r"found <\|endoftext\|> at 0 of \d+ ids, accepted is GPT-2's"):
        task_with(str(first))


@pytest.mark.parametrize("kind", ["offline", "refused", "broken"])
def test_gpt2_without_the_hub(kind: str, monkeypatch: pytest.MonkeyPatch):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def download(*args: Any, **options: Any) -> str:
        raise {"offline": LocalEntryNotFoundError, "refused": ConnectionError, "broken": OSError}[kind]("no route")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    message = r"openai-community/gpt2 could not be read from the Hub .*case\.tokenizer=<folder>, or .*tokenizer=words"
    with pytest.raises(ConfigError, match=message):
        task_with("gpt2")


def test_gpt2_from_the_hub_is_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = byte_level(tmp_path, NAMES)
    asked = []

    def download(repository: str, file: str) -> str:
        asked.append((repository, file))
        return str(folder / TOKENIZER_FILE)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    assert make_tokenizer("gpt2", []).get_vocab() == make_tokenizer(str(folder), []).get_vocab()
    assert asked == [("openai-community/gpt2", "tokenizer.json")]
