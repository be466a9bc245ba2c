"""Adds pointwise steps: functions of one value, and of two. Each is None where it does not fit what it would read."""

from __future__ import annotations

from collections.abc import Callable

from tracr.rasp import rasp

from siit.training.generator.draft import Draft, Value

OneValue = Callable[[Draft, Value], Value | None]
TwoValues = Callable[[Draft, Value, Value], Value | None]
BLANK = "-"
"""What a letter becomes where it is dropped."""


def threshold(draft: Draft, x: Value) -> Value | None:
    """Computes whether a value reaches a bound."""
    if x.is_flag or len(x.values) < 3:
        return None
    bound = draft.draw.choice(x.values[1:])
    late = f"at least {bound}" if x.is_number else f"{bound!r} or a later letter"
    return draft.map(lambda value: value >= bound, x, f"at_least_{bound}", f"whether {x.words} is {late}")


def member(draft: Draft, x: Value) -> Value | None:
    """Computes whether a value is one of a few."""
    if x.is_flag or len(x.values) < 3:
        return None
    chosen, listed = draft.few_of(x)
    return draft.map(
        lambda value: value in chosen, x, f"is_{''.join(map(str, chosen))}", f"whether {x.words} is {listed}"
    )


def modulo(draft: Draft, x: Value) -> Value | None:
    """Computes a number's remainder."""
    if not x.is_number or len(x.values) < 4:
        return None
    base = draft.draw.choice((2, 3))
    return draft.map(lambda value: value % base, x, f"mod_{base}", f"{x.words} modulo {base}")


def capped(draft: Draft, x: Value) -> Value | None:
    """Computes a number, or a bound where it is larger."""
    if not x.is_number or len(x.values) < 4:
        return None
    bound = draft.draw.choice((2, 3)[: len(x.values) - 3])
    return draft.map(lambda value: min(value, bound), x, f"capped_{bound}", f"{x.words}, or {bound} where it is more")


def recoded(draft: Draft, x: Value) -> Value | None:
    """Computes a value's image under a permutation of the values; positions have an order and are left alone."""
    if x.is_flag or x.sop is draft.indices.sop or len(x.values) < 3:
        return None
    order = list(x.values)
    while order == list(x.values):
        draft.draw.shuffle(order)
    table = dict(zip(x.values, order, strict=True))
    listed = ", ".join(f"{key!r} to {value!r}" for key, value in table.items())
    return draft.map(lambda value: table[value], x, "recoded", f"{x.words} under the permutation {listed}")


def equal(draft: Draft, x: Value, y: Value) -> Value | None:
    """Computes whether two values are the same."""
    if x.is_flag or not x.like(y) or len(set(x.values) & set(y.values)) < 2:
        return None
    return draft.combine(lambda a, b: a == b, x, y, "equal", f"whether {x.words} is equal to {y.words}")


def smaller(draft: Draft, x: Value, y: Value) -> Value | None:
    """Computes whether one value comes before another."""
    if x.is_flag or not x.like(y):
        return None
    what = "is smaller than" if x.is_number else "comes before"
    role = f"whether {x.words} {what} {y.words}" + ("" if x.is_number else " in the alphabet")
    return draft.combine(lambda a, b: a < b, x, y, "smaller", role)


def maximum(draft: Draft, x: Value, y: Value) -> Value | None:
    """Computes the larger of two numbers."""
    if not (x.is_number and y.is_number):
        return None
    return draft.combine(max, x, y, "maximum", f"the larger of {x.words} and {y.words}")


def modular_sum(draft: Draft, x: Value, y: Value) -> Value | None:
    """Computes the sum of two numbers, modulo a small one."""
    if not (x.is_number and y.is_number):
        return None
    base = draft.draw.randint(2, max(2, min(5, max(len(x.values), len(y.values)))))
    return draft.combine(
        lambda a, b: (a + b) % base, x, y, f"sum_mod_{base}", f"the sum of {x.words} and {y.words} modulo {base}"
    )


def difference(draft: Draft, x: Value, y: Value) -> Value | None:
    """Computes how far two numbers are apart."""
    if not (x.is_number and y.is_number):
        return None
    return draft.combine(lambda a, b: abs(a - b), x, y, "difference", f"how far apart {x.words} and {y.words} are")


def shifted(draft: Draft, x: Value, y: Value) -> Value | None:
    """Computes a letter moved on in the alphabet of the task, cyclically, by a number."""
    alphabet = draft.vocab
    if x.values != alphabet or x.is_number or not y.is_number:
        return None
    return draft.combine(
        lambda letter, by: alphabet[(alphabet.index(letter) + by) % len(alphabet)],
        x,
        y,
        "shifted",
        f"{x.words} moved on by {y.words} in the alphabet {''.join(map(str, alphabet))}, cyclically",
    )


def both(draft: Draft, x: Value, y: Value) -> Value | None:
    """Computes whether two flags are set."""
    if not (x.is_flag and y.is_flag):
        return None
    return draft.combine(lambda a, b: a and b, x, y, "both", f"whether both {x.words} and {y.words} hold")


def either(draft: Draft, x: Value, y: Value) -> Value | None:
    """Computes whether one of two flags is set, or both."""
    if not (x.is_flag and y.is_flag):
        return None
    return draft.combine(lambda a, b: a or b, x, y, "either", f"whether {x.words} or {y.words} holds")


def one_of_two(draft: Draft, x: Value, y: Value) -> Value | None:
    """Computes whether exactly one of two flags is set."""
    if not (x.is_flag and y.is_flag):
        return None
    role = f"whether exactly one of {x.words} and {y.words} holds"
    return draft.combine(lambda a, b: a != b, x, y, "one_of_two", role)


def kept(draft: Draft, x: Value, y: Value) -> Value | None:
    """Computes a value where a flag is set, and a blank (for numbers 0) where it is not."""
    if not x.is_flag or y.is_flag:
        return None
    blank = 0 if y.is_number else BLANK
    role = f"{y.words} where {x.words} holds, else {blank!r}"
    return draft.combine(lambda flag, value: value if flag else blank, x, y, "kept", role)


ONE_VALUE: tuple[OneValue, ...] = (threshold, member, modulo, capped, recoded)
TWO_VALUES: tuple[TwoValues, ...] = (
    equal, smaller, maximum, modular_sum, difference, shifted, both, either, one_of_two, kept,
)  # fmt: skip


def mapped(draft: Draft, x: Value) -> Value | None:
    """Computes any function of one value; of one that is such a function already, none: the two would be one step."""
    if isinstance(x.sop, rasp.Map):
        return None
    for step in draft.shuffled(ONE_VALUE, [1.0] * len(ONE_VALUE)):
        found = step(draft, x)
        if found is not None:
            return found
    return None


def combined(draft: Draft, x: Value, y: Value) -> Value | None:
    """Computes any function of two different values, in either order."""
    if x.sop is y.sop:
        return None
    pairs = [(step, *pair) for step in TWO_VALUES for pair in ((x, y), (y, x))]
    for step, first, second in draft.shuffled(pairs, [1.0] * len(pairs)):
        found = step(draft, first, second)
        if found is not None:
            return found
    return None
