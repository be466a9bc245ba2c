"""Published folders are read, and nothing in them runs."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from siit.bundle import BundleError
from siit.graph.architecture import Edge
from siit.interpbench import read_case
from siit.transformer import Transformer
from tests.builders import published
from tests.builders.published import CONFIG, EDGES, META, fields, weights, write

CIRCUIT = (
    Edge("tok_embed", "m0"),
    Edge("m0", "a1.h2", "v"),
    Edge("pos_embed", "a1.h2", "q"),
    Edge("pos_embed", "a1.h2", "k"),
    Edge("a1.h2", "logits"),
)


def test_a_published_case(tmp_path: Path):
    case = read_case(write(tmp_path))
    assert case.config == CONFIG
    assert case.edges == CIRCUIT
    assert case.meta == META
    assert set(case.parameters) == set(CONFIG.parameter_shapes())
    model = Transformer(case.config)
    model.load_state_dict(dict(case.parameters))
    # BOS x a x x: 1, 1/2, 2/3, 3/4.
    answers = model(torch.tensor([[0, 5, 2, 5, 5]]))[0, 1:, 0]
    torch.testing.assert_close(answers, torch.tensor([1, 1 / 2, 2 / 3, 3 / 4]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_names_with_weights_and_older_pickles(tmp_path: Path, protocol: int):
    names = ("ll_model_510.pth", "ll_model_cfg_510.pkl", "edges.pkl", "meta_510.json")
    config = pickle.dumps(fields(), protocol=protocol)
    edges = pickle.dumps([list(edge) for edge in EDGES], protocol=protocol)
    case = read_case(write(tmp_path, names=names, config=config, edges=edges))
    assert (case.config, case.edges) == (CONFIG, CIRCUIT)


def test_numpys_older_name_for_scalars(tmp_path: Path):
    config = pickle.dumps(fields(), protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert read_case(write(tmp_path, config=config)).config == CONFIG


def test_a_configuration_that_is_an_object(tmp_path: Path):
    lens = pytest.importorskip("transformer_lens")
    config = lens.HookedTransformerConfig(**fields(attn_scale=-1.0, initializer_range=-1.0))
    write(tmp_path, config=config)
    assert read_case(tmp_path).config == CONFIG
    # Reading it imports no TransformerLens.
    code = (
        "import sys; from siit.interpbench import read_case; "
        "print(read_case(sys.argv[1]).config.d_model, 'transformer_lens' in sys.modules, 'tracr' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["13", "False", "False"]


def test_links_as_in_the_hubs_cache(tmp_path: Path):
    blobs = write(tmp_path / "blobs")
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for path in blobs.iterdir():
        (snapshot / path.name).symlink_to(path)
    assert read_case(snapshot).edges == CIRCUIT


def test_both_embeddings_at_once(tmp_path: Path):
    edges = [("blocks.0.hook_resid_pre", "blocks.0.hook_mlp_in")]
    found = read_case(write(tmp_path, edges=edges)).edges
    assert found == (Edge("tok_embed", "m0"), Edge("pos_embed", "m0"))


class Harmful:
    """A pickle of it runs a command when it is loaded."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> Any:
        return self.reduced


def harmful(mark: Path) -> list[Any]:
    touch = f"touch {mark}"
    return [
        Harmful(os.system, touch),
        Harmful(eval, f"open({str(mark)!r}, 'w')"),
        Harmful(exec, f"open({str(mark)!r}, 'w')"),
        Harmful(subprocess.check_call, ["touch", str(mark)]),
        Harmful(getattr, "text", "upper"),
        Harmful(torch.load, str(mark)),
        Harmful(open, str(mark), "w"),
    ]


@pytest.mark.parametrize("number", range(7))
def test_pickles_that_run_code_run_none(tmp_path: Path, number: int):
    mark = tmp_path / "mark"
    harm = harmful(mark)[number]
    for place, content in (
        ("ll_model_cfg.pkl", {"config": harm}),
        ("ll_model_cfg.pkl", {"config": fields(tokenizer_name=harm)}),
        ("edges.pkl", {"edges": [*EDGES, harm]}),
        ("ll_model.pth", {"state": {**weights(), "unembed.b_U": harm}}),
        ("ll_model.pth", {"state": harm}),
    ):
        folder = write(tmp_path / "case", **content)
        with pytest.raises(BundleError, match=rf"^{place}: content: found"):
            read_case(folder)
        assert not mark.exists()
    # The same bytes do run where nothing stops them.
    if number == 0:
        pickle.loads(pickle.dumps(harm))
        assert mark.exists()


def instructions(*parts: bytes) -> bytes:
    return b"\x80\x02" + b"".join(parts) + b"."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "pickle exhausted"),
        (b"not a pickle", "at position 0, opcode b'n' unknown"),
        (pickle.dumps(fields())[:40], "content: found"),
        (pickle.dumps([1, 2]), "accepted is a dict or a HookedTransformerConfig"),
        (pickle.dumps({1: 2}), "accepted is a dict or a HookedTransformerConfig"),
        (pickle.dumps({"a": {1, 2}}), "the instruction EMPTY_SET"),
        (pickle.dumps({"a": bytearray(9)}, protocol=5), "the instruction BYTEARRAY8"),
        (pickle.dumps({"a": 1}, protocol=0), "the instruction"),
        # An object by id from a place of the loader's own, a class by number, a class called by name.
        (instructions(b"U\x01aQ"), "the instruction SHORT_BINSTRING"),
        (instructions(b"\x82\x01"), "the instruction EXT1"),
        (instructions(b"(ios\nsystem\n"), "the instruction INST"),
        # A place for which Python's interpreter would make room: 2^31 of them.
        (instructions(b"}r\x00\x00\x00\x80"), "fields: found"),
        # A stand-in is no object: called with a strange number of arguments, given attributes, its class changed.
        (instructions(b"cnumpy.core.multiarray\nscalar\n)R"), "TypeError"),
        (instructions(b"cnumpy.core.multiarray\nscalar\n}b"), "a state of what has none"),
        (instructions(b"ctorch\nfloat32\n)R"), "a call of what is no name"),
        (instructions(b"ctorch\nfloat32\n}X\x01\x00\x00\x00aK\x01sb"), "a state of what has none"),
        (
            instructions(b"ctransformer_lens.HookedTransformerConfig\nHookedTransformerConfig\n}b"),
            "a state of what has none",
        ),
        (instructions(b"ctransformer_lens.HookedTransformerConfig\n_StandIn\n"), "the name transformer_lens"),
        (instructions(b"cos\nsystem\n"), r"the name os\.system"),
        (instructions(b"ctorch\nfloat32.__class__\n"), r"the name torch\.float32\.__class__"),
        (b"\x80\x02}" + b"0" * (1 << 20), "size: found 'more than 1048576 bytes'"),
    ],
)
def test_pickles_that_are_no_configuration(tmp_path: Path, data: bytes, message: str):
    folder = write(tmp_path)
    (folder / "ll_model_cfg.pkl").write_bytes(data)
    with pytest.raises(BundleError, match=rf"^ll_model_cfg\.pkl: .*{message}"):
        read_case(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx: found True, accepted is False"),
        ({"use_attn_scale": 1}, "use_attn_scale: found 1, accepted is True"),
        ({"n_key_value_heads": 2}, "n_key_value_heads: found 2, accepted is None"),
        ({"attn_scale": 8.0}, r"attn_scale: found 8\.0, accepted is the square root of d_head"),
        ({"normalization_type": "LNPre"}, "normalization_type: found 'LNPre'"),
        ({"positional_embedding_type": "rotary"}, "positional_embedding_type: found 'rotary'"),
        ({"n_layers": 10**9}, "n_layers: found 1000000000"),
        ({"d_model": 0}, "d_model: found 0"),
    ],
)
def test_architectures_that_are_not_ours(tmp_path: Path, changes: dict[str, Any], message: str):
    with pytest.raises(BundleError, match=rf"^ll_model_cfg\.pkl: {message}"):
        read_case(write(tmp_path, config=fields(**changes)))


def test_a_configuration_without_a_field(tmp_path: Path):
    config = fields()
    del config["d_head"]
    with pytest.raises(BundleError, match=r"^ll_model_cfg\.pkl: fields: .*; missing are d_head"):
        read_case(write(tmp_path, config=config))


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ({"a": "b"}, "content: found {'a': 'b'}, accepted is a list of edges"),
        ([("a", "b", "c")], r"\[0\]: found \('a', 'b', 'c'\), accepted is a pair of hook names"),
        ([*EDGES, ("hook_embed", 3)], r"\[12\]: found .*, accepted is a pair of hook names"),
        (
            [("hook_embed", "blocks.2.hook_mlp_in")],
            r"edge: found 'hook_embed -> blocks\.2\.hook_mlp_in', accepted",
        ),
        ([("blocks.0.hook_mlp_out", "blocks.0.hook_q_input[1]")], "edge: found"),
        ([("blocks.0.hook_q_input[1]", "blocks.0.attn.hook_q[2]")], "edge: found"),
        ([("blocks.0.hook_mlp_in", "blocks.1.hook_mlp_out")], "edge: found"),
        (EDGES[1:2], "content: found '1 edges within components', accepted is at least one edge between two"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, edges: Any, message: str):
    with pytest.raises(BundleError, match=rf"^edges\.pkl: {message}"):
        read_case(write(tmp_path, edges=edges))


def packed(state: dict[str, torch.Tensor]) -> bytes:
    """The archive of torch.save, compressed: a small file that can grow to any size."""
    plain, small = io.BytesIO(), io.BytesIO()
    torch.save(state, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    return small.getvalue()


def change(**tensors: Any) -> Callable[[], Any]:
    return lambda: {**weights(), **{name.replace("__", "."): tensor for name, tensor in tensors.items()}}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (lambda: [torch.ones(2)], "content: found 'list', accepted is a state dict of tensors"),
        (lambda: {name: tensor for name, tensor in weights().items() if name != "embed.W_E"}, "embed.W_E: found"),
        (change(embed__W_X=torch.ones(2)), "embed.W_X: found 'a tensor of this name'"),
        (change(unembed__b_U=torch.ones(2)), r"unembed.b_U: found 'float32 \[2\]', accepted is float32 \[1\]"),
        (change(unembed__b_U=torch.ones(1).double()), r"unembed.b_U: found 'float64 \[1\]'"),
        (change(unembed__b_U=torch.ones(1) / 0), "unembed.b_U: found 'NaN or an infinity'"),
        (change(unembed__b_U="text"), "unembed.b_U: found 'str'"),
        (
            change(unembed__b_U=torch.ones(1).to_sparse()),
            r"content: found 'the name torch\._utils\._rebuild_sparse_tensor'",
        ),
        (change(embed__W_E=torch.ones(1, 1).expand(6, 13)), "embed.W_E: found 'a view that repeats its values'"),
    ],
)
def test_weights_that_do_not_fit(tmp_path: Path, state: Callable[[], Any], message: str):
    with pytest.raises(BundleError, match=rf"^ll_model\.pth: {message}"):
        read_case(write(tmp_path, state=state()))


HUGE = {
    # Each tuple holds the one before twice, so that its hash takes twice as long.
    "an exponential key": (
        b"}(K\x00\x85q\x00" + b"".join(b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(60)),
        "two places",
    ),
    "a tuple as a key": (b"}K\x01\x85K\x00s", "a key that is neither text nor a number"),
    "tuples in tuples": (b"N" + b"\x85" * 90_000, "more than 50 containers in each other"),
    "lists in lists": (b"]" * 60 + b"a" * 59, "more than 50 containers in each other"),
    "dicts in dicts": (b"}" + b"K\x01}" * 60 + b"s" * 60, "more than 50 containers in each other"),
    "objects in objects": (b"(" * 1 + b"ctorch\ndevice\n" * 60 + b")R" + b"\x85R" * 59, "more than 50 containers"),
    "a list in itself": (b"]q\x00h\x00a", "one container in two places"),
    "more below than its own": (b"](a", "too few values"),
    "nothing to mark": (b"t", "IndexError"),
    "a stack of values": (b"N" * 200_000, "more than 100000 instructions"),
    "half a pair": (b"}(K\x01u", "ValueError"),
    "a long text": (b"X\xff\xff\xff\x7f", "expected 2147483647 bytes"),
    "a storage": (b"(X\x07\x00\x00\x00storageK\x01K\x01K\x01K\x01tQ", "a value outside of the pickle"),
    "a huge buffer": (b"cbuiltins\nbytearray\n\x8a\x05\x00\x1aq\x18\x02\x85R", r"the name builtins\.bytearray"),
}


@pytest.mark.parametrize("name", HUGE)
@pytest.mark.parametrize("place", ["config", "edges"])
def test_small_pickles_that_grow(tmp_path: Path, name: str, place: str):
    data, message = HUGE[name]
    content: dict[str, Any] = {place: instructions(data)}
    with pytest.raises(BundleError, match=message):
        read_case(write(tmp_path, **content))


class Zeros:
    """A pickle of it makes a buffer of 9 GB."""

    def __reduce__(self) -> Any:
        return bytearray, (9 * 10**9,)


def rewritten(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """An archive of torch.save with other records, as small."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as target:
        for name in source.namelist():
            target.writestr(name, change(name, source.read(name)))
    return made.getvalue()


def saved(state: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: saved({**weights(), "x.mask": Zeros()}), r"the name (builtins|__builtin__)\.bytearray"),
        # Torch reads as many numbers as the pickle says, from wherever they are.
        (
            lambda: rewritten(saved(weights()), lambda name, data: data[:4] if name.endswith("/data/0") else data),
            "a storage of [0-9]+ numbers in 4 bytes",
        ),
        (
            lambda: rewritten(saved(weights()), lambda name, data: b"" if name.endswith("data.pkl") else data),
            "pickle exhausted",
        ),
        (
            lambda: rewritten(
                saved(weights()), lambda name, data: bytes(2 << 20) if name.endswith("data.pkl") else data
            ),
            "data.pkl: found",
        ),
        (lambda: saved(weights()) + bytes(17 << 20), "size: found 'more than"),
        (lambda: pickle.dumps({"a": 1}), "accepted is an archive as torch.save writes it"),
    ],
)
def test_small_files_of_weights_that_grow(tmp_path: Path, data: Callable[[], bytes], message: str):
    folder = write(tmp_path)
    (folder / "ll_model.pth").write_bytes(data())
    with pytest.raises(BundleError, match=rf"^ll_model\.pth: .*{message}"):
        read_case(folder)


def test_weights_that_are_no_checkpoint(tmp_path: Path):
    folder = write(tmp_path)
    for data in (b"", b"PK\x03\x04", b"text", (folder / "ll_model.pth").read_bytes()[:2000]):
        (folder / "ll_model.pth").write_bytes(data)
        with pytest.raises(BundleError, match=r"^ll_model\.pth: content: found"):
            read_case(folder)
    (folder / "ll_model.pth").write_bytes(packed(weights()))
    with pytest.raises(BundleError, match=r"^ll_model\.pth: \S+/data\.pkl: found 'compressed data'"):
        read_case(folder)


def test_files_that_are_missing_or_too_many(tmp_path: Path):
    folder = write(tmp_path)
    (folder / "meta_510.json").write_text("{}")
    with pytest.raises(BundleError, match=r"meta\*\.json: found 'meta\.json, meta_510\.json', accepted is one file"):
        read_case(folder)
    (folder / "meta_510.json").unlink()
    for name, pattern in (("meta.json", r"meta\*\.json"), ("edges.pkl", r"edges\.pkl"), ("ll_model.pth", "ll_model")):
        (folder / name).unlink()
        with pytest.raises(BundleError, match=rf"{pattern}.*: found 'none', accepted is one file"):
            read_case(folder)
    write(folder, meta=[1])
    with pytest.raises(BundleError, match=r"^meta\.json: content: found \[1\], accepted is a JSON object"):
        read_case(folder)


@pytest.mark.filterwarnings("ignore:HookedTransformer is deprecated:DeprecationWarning")
def test_what_the_tests_write_is_what_transformer_lens_writes(tmp_path: Path):
    """Its own state dict and configuration, of an untrained model, are read too."""
    lens = pytest.importorskip("transformer_lens")
    config = lens.HookedTransformerConfig(**fields(attn_scale=-1.0, initializer_range=-1.0))
    model = lens.HookedTransformer(config)
    case = read_case(write(tmp_path, state=model.state_dict(), config=config.to_dict()))
    ours = Transformer(case.config)
    ours.load_state_dict(dict(case.parameters))
    tokens = torch.randint(CONFIG.d_vocab, (3, CONFIG.n_ctx), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(tokens), model(tokens), atol=1e-5, rtol=0)
    assert set(published.fields()) - set(config.to_dict()) == set()
