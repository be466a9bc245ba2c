"""The tasks of our own: what they compute, and that their circuits have interacting components."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from tracr.rasp import rasp

import tracr_cases
from siit.causal import Inputs
from siit.graph.architecture import EMBEDDINGS, LOGITS, is_head, layer_of
from siit.interchange import Pairs
from siit.interchange.alignment import AlignmentConfig, derive_labels, draw_alignment
from siit.interchange.interventions import Interchanges, differs
from siit.training.rasp.agreement import decode, outputs
from siit.training.rasp.from_rasp import sample_tokens
from tests.builders.programs import causal_model, config_for, decoded, exclusions, task
from tests.cases.references import REFERENCES
from tracr_cases.shared import select

NAMES = sorted(REFERENCES)
T, F = True, False
EXAMPLES: dict[str, list[tuple[Any, Any]]] = {
    # retrieval
    "induction": [("abcab", "abcbc"), ("aabab", "aabba")],
    "previous_occurrence_distance": [("abcab", [0, 0, 0, 3, 3]), ("aabba", [0, 1, 0, 1, 3])],
    "key_value_lookup": [("a0b1ab", "0-1-01"), ("a0a1b", "?-?--")],
    "followers_of_first": [("abacab", [0, 2, 0, 1, 0, 2]), ("aabb", [1, 1, 1, 1])],
    "follow_pointer": [([3, 0, 1], [3, 3, 0]), ([5, 1, 0, 7], [1, 1, 5, 7])],
    "follow_two_pointers": [([3, 0, 1], [3, 3, 3]), ([5, 1, 0, 7], [1, 1, 1, 7])],
    "indexed_by_last": [([4, 5, 6, 1], [5, 5, 5, 5]), ([7, 2, 5], [5, 5, 5])],
    "rotate_left": [([2, 0, 1, 4], [1, 4, 2, 0]), ([4, 3, 0], [3, 0, 4])],
    # segments
    "segment_length": [("ab|a|", [2, 2, 2, 2, 1]), ("|ab", [3, 3, 3])],
    "segment_fraction": [("xa|x", [0.5, 0.5, 0.5, 0.5]), ("|xxa||", [0.5, 0.5, 0.5, 0.5, 0, 0])],
    "count_in_segment": [("aab|aa", [2, 2, 1, 1, 2, 2]), ("|a||", [1, 1, 1, 1])],
    "field_length": [("10|2|", [2, 2, 2, 2, 2]), ("|01", [0, 0, 0]), ("201", [0, 0, 0])],
    "field_lookup": [("10|21|0", "1111111"), ("2|0", "000"), ("|12", "|||")],
    "distance_to_x": [("axbba", [0, 0, 1, 2, 3]), ("abxx", [0, 1, 0, 0])],
    "forward_fill": [("_a__b", "_aaab"), ("ab_", "abb")],
    "mask_quoted": [("a'ab'b", "a'**'b"), ("'a'b", "'*'b")],
    # statistics
    "most_frequent_token": [("abcb", "bbbb"), ("cab", "aaa"), ("ccba", "cccc")],
    "majority_vote": [("ab.b", "bbbb"), ("ab.", "==="), ("aab", "aaa")],
    "least_frequent_token": [("ddcca", "aaaaa"), ("dcdc", "cccc")],
    "token_occurring_once": [("dadcc", "aaaaa"), ("bbdc", "cccc"), ("aabb", "----")],
    "singles": [("abca", [2, 2, 2, 2]), ("aabb", [0, 0, 0, 0])],
    "equally_frequent": [("aabbc", [4, 4, 4, 4, 1]), ("abc", [3, 3, 3])],
    "distinct_tokens": [("abab", [2, 2, 2, 2]), ("abcd", [4, 4, 4, 4])],
    "keep_two": [("aabaab", "aab__b"), ("abcc", "abcc")],
    "bigram_count": [("ababa", [1, 2, 2, 2, 2]), ("aaa", [3, 3, 3])],
    # extremes
    "second_largest": [([1, 5, 3], [3, 3, 3]), ([4, 4, 2], [4, 4, 4])],
    "value_range": [([1, 5, 3], [4, 4, 4]), ([2, 2, 2], [0, 0, 0])],
    "maxima": [([3, 1, 3], [2, 2, 2]), ([0, 5, 2, 1], [1, 1, 1, 1])],
    "distance_to_maximum": [([1, 5, 3], [4, 0, 2]), ([0, 0, 2, 1], [2, 2, 0, 1])],
    "running_maximum": [([1, 2, 1, 3, 2], [1, 2, 2, 3, 3]), ([2, 1, 1], [2, 2, 2])],
    "records": [([2, 1, 3, 3, 5], [2, "-", 3, "-", 5]), ([0, 0, 0], [0, "-", "-"])],
    "nearer_extreme": [([0, 1, 4, 2], ["low", "low", "high", "middle"]), ([3, 3, 3], 3 * ["middle"])],
    # windows
    "bigram_violations": [("abca", [0, 0, 0, 0]), ("acbb", [2, 2, 2, 2])],
    "legal_so_far": [("abacc", [T, T, F, F, F]), ("bca", [T, T, T])],
    "majority_of_three": [([1, 0, 0, 1, 1], [1, 1, 0, 0, 1]), ([0, 1, 1], [0, 0, 1])],
    "max_of_three": [([5, 1, 2, 0, 0], [5, 5, 5, 2, 2]), ([0, 1, 2], [0, 1, 2])],
    "rewrite_after_pair": [("aabca", "bbaca"), ("bcc", "acc")],
    "rewrite_between": [("abaaab", "aBaAab"), ("bab", "bab")],
    "pattern_count": [("ababa", [2, 2, 2, 2, 2]), ("aabb", [0, 0, 0, 0])],
    "peaks": [([0, 2, 1, 3, 0], [2, 2, 2, 2, 2]), ([5, 4, 3], [0, 0, 0])],
    "ascents": [([0, 2, 1, 3], [2, 2, 2, 2]), ([3, 3, 1], [0, 0, 0])],
    "net_rise_fraction": [([0, 1, 2, 0], [0, 1 / 2, 2 / 3, 1 / 4]), ([2, 1, 1], [0, -1 / 2, -1 / 3])],
    # automata
    "bracket_depth": [("((x)))", [1, 2, 2, 1, 0, -1]), (")x(", [-1, -1, 0])],
    "largest_depth": [("(()x", [2, 2, 2, 2]), ("))x", [-1, -1, -1])],
    "balanced_depth": [("(())()", [1, 2, 1, 0, 1, 0]), ("())((", [1, 0, -1, -1, -1])],
    "run_length": [("aabbba", [2, 2, 3, 3, 3, 1]), ("abab", [1, 1, 1, 1])],
    "longest_run": [("xx.xxx.", 7 * [3]), ("...", [0, 0, 0])],
    "switch_state": [("..+.-", [F, F, T, T, F]), ("+-+", [T, F, T])],
    "parity_of_count": [("xaxx", [T, T, F, T]), ("aax", [F, F, T])],
    "counter_with_reset": [("++r+.", [1, 2, 0, 1, 1]), (".r++", [0, 0, 1, 2])],
    # numbers
    "carry": [(["11", "01", "00", "10"], [0, 1, 1, 0]), (["10", "11", "11"], [0, 0, 1])],
    "binary_addition": [(["11", "01", "00", "10"], [0, 0, 1, 1]), (["10", "11", "11"], [1, 0, 1])],
    "compare_binary": [(["00", "01", "10"], "<<<"), (["11", "00", "11"], "==="), (["10", "01", "01"], ">>>")],
    "binary_increment": [([1, 1, 0, 1], [0, 0, 1, 1]), ([1, 1, 1], [0, 0, 0])],
    "twos_complement": [([0, 1, 0, 1], [0, 1, 1, 0]), ([0, 0, 0], [0, 0, 0])],
    "binary_modulo_three": [([1, 0, 1], [2, 2, 2]), ([0, 1, 1], [0, 0, 0])],
    "modular_sum": [([1, 2, 2], [2, 2, 2]), ([0, 1, 2, 0], [0, 0, 0, 0])],
    "running_modular_sum": [([1, 2, 2], [1, 0, 2]), ([0, 1, 1, 1], [0, 1, 2, 0])],
    "caesar_shift": [("bace", "cbdf"), ("cfa", "ade")],
    "affine_cipher": [([2, 1, 3, 4], [0, 3, 2, 4]), ([0, 3, 1], [3, 3, 3])],
    # ordering
    "argsort": [([2, 0, 1, 0], [1, 3, 2, 0]), ([3, 3, 0], [2, 0, 1])],
    "blanks_last": [("a_b_c", "abc__"), ("__a", "a__")],
    "deduplicating_sort": [([1, 0, 1, 0, 2], [0, "-", 1, "-", 2]), ([3, 3, 3], [3, "-", "-"])],
    "sorted_set": [([1, 0, 1, 0, 2], [0, 1, 2, "-", "-"]), ([3, 3, 3], [3, "-", "-"])],
    "sort_by_frequency": [("abcbba", "caabbb"), ("bca", "abc")],
    "mirror_rank": [([2, 0, 1], [0, 2, 1]), ([1, 1, 3, 0], [1, 1, 0, 3])],
}
"""Worked by hand."""


def test_every_case_of_our_own_has_a_reference_and_examples():
    ours = [name for name in tracr_cases.names() if tracr_cases.get(name).interpbench_id is None]
    assert ours == NAMES == sorted(EXAMPLES)
    assert len(ours) >= 40


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str):
    words = [list(word) for word, _ in EXAMPLES[name]]
    for word, (_, expected), ours in zip(words, EXAMPLES[name], decoded(causal_model(name), *words), strict=True):
        assert ours == pytest.approx(list(expected), abs=1e-6)
        assert REFERENCES[name](word) == pytest.approx(list(expected), abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_causal_model_is_what_the_reference_computes(name: str):
    case, model = tracr_cases.get(name), causal_model(name)
    tokens = sample_tokens(case, 100, torch.Generator().manual_seed(8))
    for row, ours in zip(tokens, outputs(model, tokens), strict=True):
        word = decode(case, row)
        assert ours == pytest.approx(REFERENCES[name](word), abs=1e-6), word


@pytest.mark.parametrize("name", NAMES)
def test_a_circuit_has_interacting_components(name: str):
    """At least 4 nodes beside the embeddings, heads and MLPs, in 2 layers or more; and every variable matters."""
    model, config = causal_model(name), config_for(task(name))
    alignment = draw_alignment(model, config, AlignmentConfig(), 0)
    labels = derive_labels(model, config, alignment, exclusions(task(name), 256))
    nodes = [node for node in labels.circuit.members if node not in (*EMBEDDINGS, LOGITS)]
    assert len(nodes) >= 4
    assert 0 < sum(map(is_head, nodes)) < len(nodes)
    assert len({layer_of(node) for node in nodes}) >= 2
    assert not labels.circuit.excluded.keys() & model.variables.keys(), "no variable is idle"

    count, generator = 512, torch.Generator().manual_seed(9)
    interchanges = Interchanges(model, labels)
    pairs = Pairs(task(name).sample(count, generator), task(name).sample(count, generator))
    own = model.run(Inputs(pairs.base))
    for number, unit in enumerate(labels.units, start=1):
        exchanged = interchanges.answers(pairs, torch.full((count,), number))
        assert (differs(exchanged.output, own.output) & own.scored).any(), f"exchanging {unit} changes answers"


@pytest.mark.parametrize("name", NAMES)
def test_no_lookup_of_the_own_token_gives_the_answer(name: str):
    """The best guess from position and token alone is wrong in at least a tenth of the positions."""
    case = tracr_cases.get(name)
    guesses: dict[tuple[int, Any], Counter[Any]] = {}
    words = [decode(case, row) for row in sample_tokens(case, 1000, torch.Generator().manual_seed(10))]
    for word in words:
        for position, (token, answer) in enumerate(zip(word, REFERENCES[name](word), strict=True)):
            guesses.setdefault((position, token), Counter())[answer] += 1
    right = sum(answers.most_common(1)[0][1] for answers in guesses.values())
    assert right < 0.9 * sum(map(len, words))


def test_a_selection_passes_over_padding_without_reading_tokens():
    predicate = select(rasp.tokens, rasp.tokens, rasp.Comparison.LT).predicate
    assert (predicate(1, 2), predicate(2, 1), predicate(None, 2)) == (True, False, False)
    with pytest.raises(ValueError, match="the query is undefined"):
        predicate(1, None)
    share = causal_model("compare_binary").variables["earlier_differences_share"]
    assert share.mechanism.parents["k"] == ("difference",)
