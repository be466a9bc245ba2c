"""Builds the high-level causal model of a RASP program, exactly.

Tracr's value sets (basis inference) make every mechanism a table or a closed form. A RASP `SelectorWidth` becomes
two variables, as Tracr compiles it: an attention variable (the attention left on BOS), and an MLP that reads it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import networkx as nx
import torch
from tracr.compiler import basis_inference, nodes, rasp_to_graph
from tracr.rasp import rasp

from siit.causal import (
    INDICES,
    OUTPUT,
    TOKENS,
    Aggregate,
    CausalModel,
    Class,
    Inputs,
    Linear,
    Mechanism,
    Nearest,
    Scalar,
    Selection,
    SelectionShare,
    Table,
    Variable,
)
from siit.causal.mechanisms import NOT_SELECTED, SELECTED, UNDECIDED, UNDEFINED
from siit.tasks.samplers import SAMPLERS
from tracr_cases import Case

SHARE_SUFFIX = "_share"
"""Appended to a selector width's name for its attention half."""
TRACR_SHARE = "_selector_width_attn_output"
"""Appended by Tracr to its label."""


class ProgramError(ValueError):
    """A RASP program that cannot become a causal model; the message names the program and the expression."""


def build_causal_model(program: Case) -> CausalModel:
    """Builds the causal model of a program.

    Args:
        program: of the catalogue, or a user's own.

    Raises:
        ProgramError: for expressions that have no mechanism here, or a program that ignores its inputs.
    """
    builder = _built(program)
    # The output comes last, whatever the order of the graph.
    answer = builder.names[builder.sink]
    ordered = sorted(builder.variables, key=lambda variable: variable.name == answer)
    try:
        return CausalModel(program.vocab, program.max_len, ordered)
    except ValueError as error:
        raise ProgramError(f"{program.name}: {error}") from error


def variables_by_label(program: Case) -> dict[str, str]:
    """Finds the variable of each expression: label, as Tracr names directions of its residual stream, -> name.

    The label of the attention half of a selector width is Tracr's too.

    Args:
        program: as `build_causal_model` takes it.

    Raises:
        ProgramError: see `build_causal_model`.
    """
    builder = _built(program)
    hidden = {variable.name for variable in builder.variables}
    found = {label: name for label, name in builder.names.items() if name in hidden}
    shares = {label + TRACR_SHARE: name + SHARE_SUFFIX for label, name in found.items()}
    return found | {label: name for label, name in shares.items() if name in hidden}


def _built(program: Case) -> _Builder:
    """Adds all variables of a program."""
    _check_inputs(program)
    try:
        expression = program.expression()
    except Exception as error:
        raise ProgramError(f"{program.name}: building it failed: {type(error).__name__}: {error}") from error
    if not isinstance(expression, rasp.SOp):
        raise ProgramError(f"{program.name}: the program is a {type(expression).__name__}, accepted is a rasp.SOp")
    extracted = rasp_to_graph.extract_rasp_graph(expression)
    try:
        basis_inference.infer_bases(extracted.graph, extracted.sink, set(program.vocab), program.max_len)
    except Exception as error:  # the program's own functions run here, on all values of their inputs
        raise ProgramError(f"{program.name}: Tracr cannot infer value sets: {type(error).__name__}: {error}") from error
    builder = _Builder(program, extracted.graph, extracted.sink[nodes.ID])
    for label in nx.lexicographical_topological_sort(extracted.graph):
        expr = extracted.graph.nodes[label][nodes.EXPR]
        if isinstance(expr, rasp.SOp) and not isinstance(expr, rasp.TokensType | rasp.IndicesType):
            builder.add(expr)
    if not builder.variables:
        raise ProgramError(f"{program.name}: the program is just {expression.label}, it computes nothing")
    unknown = set(program.roles) - {variable.name for variable in builder.variables}
    if unknown:
        known = ", ".join(variable.name for variable in builder.variables)
        raise ProgramError(f"{program.name}: roles name unknown variables {sorted(unknown)}; its variables: {known}")
    return builder


class _Builder:
    """Adds variables in the order of computation."""

    def __init__(self, program: Case, graph: nx.DiGraph, sink: str) -> None:
        self.program = program
        self.graph = graph
        self.sink = sink
        self.variables: list[Variable] = []
        self.names: dict[str, str] = {rasp.tokens.label: TOKENS, rasp.indices.label: INDICES}
        self.values: dict[str, tuple[Class, ...] | None] = {
            TOKENS: program.vocab,
            INDICES: tuple(range(program.max_len)),
        }
        self.points: dict[str, tuple[float, ...]] = {}

    def add(self, expr: rasp.SOp) -> None:
        name = self._name(expr)
        found = self.graph.nodes[expr.label][nodes.VALUE_SET]
        strange = [value for value in found if not _is_plain(value, exactly=rasp.is_categorical(expr))]
        if strange or not found:
            what = f"the value {strange[0]!r}" if strange else "no value at all"
            raise ProgramError(
                f"{self.program.name}: {name} can take {what}, accepted are strings, finite numbers and booleans of "
                "Python's own"
            )
        values: tuple[Class, ...] | None = _ordered(self._written(expr, found)) if rasp.is_categorical(expr) else None
        if isinstance(expr, rasp.Aggregate):
            parent = self._parent(expr.sop)
            self._require(parent, name, categorical=values is not None)
            values = self.values[parent]  # it moves ids as they are
        if self.program.none_is_answer and expr.label == self.sink:
            mechanism, values = self._answer_with_none(expr, name, values)
        else:
            mechanism = self._mechanism(expr, name, values)
        self.names[expr.label] = name
        self.values[name] = values
        if values is None:
            self.points[name] = tuple(sorted({float(value) for value in found}))
        self.variables.append(Variable(name, values, mechanism, self.program.roles.get(name, "")))

    def _answer_with_none(
        self, expr: rasp.SOp, name: str, values: tuple[Class, ...] | None
    ) -> tuple[Mechanism, tuple[Class, ...]]:
        """Makes the mechanism of an answer for which None is a class of its own, and its classes."""
        if values is None or not isinstance(expr, rasp.Map | rasp.SequenceMap):
            found = f"a {'numerical' if values is None else 'categorical'} {type(expr).__name__}"
            raise ProgramError(
                f"{self.program.name}: none_is_answer: {name} is {found}, accepted is a categorical Map or SequenceMap"
            )
        classes = (*values, None)
        mechanism = self._mechanism(expr, name, classes)
        assert isinstance(mechanism, Table | Nearest)
        if not (mechanism.table == classes.index(None)).any():
            raise ProgramError(f"{self.program.name}: none_is_answer: {name} gives None for no values of its parents")
        return mechanism, classes

    def _name(self, expr: rasp.SOp) -> str:
        default = rasp.default_name(expr)
        name = self.program.name if expr.label == self.sink and expr.name == default else expr.name
        taken = {TOKENS, INDICES, OUTPUT, *self.values}
        if name not in taken:
            return str(name)
        if name != default:
            raise ProgramError(f"{self.program.name}: two variables are named {name!r}, accepted are unique names")
        return next(f"{name}_{n}" for n in itertools.count(2) if f"{name}_{n}" not in taken)

    def _mechanism(self, expr: rasp.SOp, name: str, values: tuple[Class, ...] | None) -> Mechanism:
        if isinstance(expr, rasp.LinearSequenceMap):
            inputs = (self._parent(expr.fst), self._parent(expr.snd))
            for parent in inputs:
                self._require(parent, name, categorical=False)
            return Linear(inputs, (float(expr.fst_fac), float(expr.snd_fac)))
        if isinstance(expr, rasp.SequenceMap):
            for part in (expr.fst, expr.snd):
                self._require(self._parent(part), name, categorical=True)
            return self._table((expr.fst, expr.snd), expr.f, values)
        if isinstance(expr, rasp.Map):
            if rasp.is_categorical(expr.inner):
                return self._table((expr.inner,), expr.f, values)
            parent = self._parent(expr.inner)
            points = self.points[parent]
            return Nearest(parent, torch.tensor(points), _tabulated(expr.f, [(p,) for p in points], values))
        if isinstance(expr, rasp.Aggregate):
            return self._aggregate(expr, name, categorical=values is not None)
        if isinstance(expr, rasp.SelectorWidth):
            return self._width(expr, name, values)
        raise ProgramError(f"{self.program.name}: {name} is a {type(expr).__name__}, which Tracr cannot compile")

    def _written(self, expr: rasp.SOp, found: Iterable[Any]) -> list[Any]:
        """Says how each value is written: as the program first gives it, of those that are equal (0, 0.0 and False).

        Tracr's value sets keep one of them by the order of a set, which is another one in each process.
        """
        first: dict[Any, Any] = {}
        if isinstance(expr, rasp.Map | rasp.SequenceMap) and not isinstance(expr, rasp.LinearSequenceMap):
            inputs = [expr.inner] if isinstance(expr, rasp.Map) else [expr.fst, expr.snd]
            parents = [self._parent(part) for part in inputs]
            domains = [self.values[parent] or self.points.get(parent, ()) for parent in parents]
            for argument in itertools.product(*domains):
                try:
                    result = expr.f(*argument)
                except ArithmeticError:  # as in a table
                    continue
                first.setdefault(result, result)
        return [first.get(value, value) for value in found]

    def _parent(self, expr: rasp.SOp) -> str:
        return self.names[expr.label]

    def _require(self, parent: str, name: str, categorical: bool) -> None:
        if (self.values[parent] is not None) != categorical:
            found, accepted = ("numerical", "categorical") if categorical else ("categorical", "numerical")
            raise ProgramError(f"{self.program.name}: {name} reads {parent}, which is {found}; accepted is {accepted}")

    def _aggregate(self, expr: rasp.Aggregate, name: str, categorical: bool) -> Aggregate:
        parent, default = self._parent(expr.sop), expr.default
        if default is not None and (categorical or default != 0):
            accepted = "None" if categorical else "None or 0"
            raise ProgramError(f"{self.program.name}: {name} has the default {default!r}, accepted is {accepted}")
        selection = self._selection(expr.selector, name)
        # A default that the program never meets is none: where permuted positions empty the selection,
        # the outcome is undefined. By positions alone, lengths decide what is selected, and all of them are tried.
        if default is not None and self._by_position(selection) and not self._can_be_empty(selection):
            default = None
        return Aggregate(selection, parent, None if default is None else float(default))

    def _table(
        self, inputs: tuple[rasp.SOp, ...], f: Callable[..., Any], values: tuple[Class, ...] | None
    ) -> Mechanism:
        parents = tuple(self._parent(expr) for expr in inputs)
        domains = [self.values[parent] for parent in parents]
        arguments = list(itertools.product(*[(*(domain or ()), None) for domain in domains]))
        table = _tabulated(f, arguments, values).reshape([len(domain or ()) + 1 for domain in domains])
        if len(parents) == 2 and parents[0] == parents[1]:
            return Table(parents[:1], table.diagonal().clone())
        return Table(parents, table)

    def _width(self, expr: rasp.SelectorWidth, name: str, values: tuple[Class, ...] | None) -> Mechanism:
        share = name + SHARE_SUFFIX
        if share in self.values:
            raise ProgramError(f"{self.program.name}: two variables are named {share!r}, accepted are unique names")
        role = f"the attention that the selection of {name} leaves on BOS, 1 / (1 + width)"
        role = self.program.roles.get(share, role)
        self.variables.append(Variable(share, None, SelectionShare(self._selection(expr.selector, name)), role))
        self.values[share] = None
        widths = list(range(self.program.max_len, -1, -1))
        points = torch.tensor([1.0 / (1 + width) for width in widths])
        return Nearest(share, points, _tabulated(lambda width: width, [(width,) for width in widths], values))

    def _selection(self, selector: rasp.Selector, name: str) -> Selection:
        if not isinstance(selector, rasp.Select):
            raise ProgramError(
                f"{self.program.name}: {name} uses a composite selector ({type(selector).__name__}), "
                "accepted is a single rasp.Select"
            )
        query, key = self._parent(selector.queries), self._parent(selector.keys)
        queries, keys = self.values[query], self.values[key]
        if queries is None or keys is None:
            raise ProgramError(f"{self.program.name}: {name} selects by {query}, {key}; accepted are categorical ones")
        states = [[_decide(selector.predicate, k, q) for k in (*keys, None)] for q in (*queries, None)]
        predicate = torch.tensor(states, dtype=torch.int8)
        # A predicate that does not look at one side is decided whatever is there.
        if bool((predicate[:-1] == predicate[:1]).all()):
            predicate[-1] = predicate[0]
        if key == TOKENS:
            predicate[:, -1] = NOT_SELECTED
        elif bool((predicate[:, :-1] == predicate[:, :1]).all()):
            predicate[:, -1] = predicate[:, 0]
        selection = Selection(query, key, predicate, self.program.causal, valid=False)
        if self.program.causal or key == TOKENS or not self._reaches_padding(selection):
            return selection
        return Selection(query, key, predicate, self.program.causal, valid=True)

    def _reaches_padding(self, selection: Selection) -> bool:
        """Tells whether some position of a plain run selects padding (or cannot tell), were it not excluded."""
        selected, undecided, is_token = self._probed(selection)
        padding = ~is_token
        return bool(((selected & padding.unsqueeze(1)).any(-1) | undecided)[is_token].any())

    def _by_position(self, selection: Selection) -> bool:
        """Tells whether query and key depend on positions only."""
        return {selection.query, selection.key} <= self._model_with(selection).position_only

    def _can_be_empty(self, selection: Selection) -> bool:
        """Tells whether some position of a plain run selects nothing."""
        selected, _, is_token = self._probed(selection)
        return bool((~selected.any(-1))[is_token].any())

    def _probed(self, selection: Selection) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Finds on plain runs what is selected, where that is undecided, and which slots are tokens."""
        tokens = sample_tokens(self.program, 2048, torch.Generator().manual_seed(0))
        values = self._model_with(selection).run(Inputs(tokens)).values

        def read(parent: str, slot: str | None) -> torch.Tensor:
            return values[parent]

        return *selection(read), tokens < len(self.program.vocab)

    def _model_with(self, selection: Selection) -> CausalModel:
        probe = Variable("probe of a selection", None, SelectionShare(selection))
        return CausalModel(self.program.vocab, self.program.max_len, [*self.variables, probe])


def sample_tokens(program: Case, count: int, generator: torch.Generator) -> torch.Tensor:
    """Draws inputs of the program's distribution, all lengths in turn: BOS, tokens, padding.

    Args:
        program: whose inputs they are.
        count: how many.
        generator: of the draw.

    Returns:
        Token ids, int64 [count, max_len + 1].
    """
    size = len(program.vocab)
    lengths = program.min_len + torch.arange(count) % (program.max_len - program.min_len + 1)
    tokens = SAMPLERS[program.sampler](size, lengths, program.max_len, generator)
    tokens = torch.where(torch.arange(program.max_len) >= lengths.unsqueeze(1), size + 1, tokens)
    return torch.nn.functional.pad(tokens, (1, 0), value=size)


def _check_inputs(program: Case) -> None:
    repeated = len(set(program.vocab)) != len(program.vocab)
    if repeated or len(program.vocab) < 2:
        raise ProgramError(
            f"{program.name}: vocab: found {list(program.vocab)}, accepted are two or more different tokens"
        )
    if not 1 <= program.min_len <= program.max_len:
        raise ProgramError(
            f"{program.name}: min_len: found {program.min_len}, accepted are 1 to max_len={program.max_len}"
        )
    if program.sampler not in SAMPLERS:
        raise ProgramError(f"{program.name}: sampler: found {program.sampler!r}, accepted: {', '.join(SAMPLERS)}")


def _ordered(values: Iterable[Any]) -> tuple[Scalar, ...]:
    return tuple(sorted(values, key=lambda value: (isinstance(value, str), value)))


def _is_plain(value: Any, exactly: bool) -> bool:
    """Whether a file can hold a value: text, a truth value or a finite number; `exactly`: not of a subclass either."""
    known = type(value) in (str, bool, int, float) if exactly else isinstance(value, str | int | float)
    return known and (isinstance(value, str) or math.isfinite(value))


def _decide(predicate: Callable[[Any, Any], Any], key: Any, query: Any) -> int:
    """Computes one entry of a selection's table. What raises is undecided: RASP itself would raise there."""
    try:
        return SELECTED if predicate(key, query) else NOT_SELECTED
    except (ArithmeticError, TypeError, ValueError, LookupError):
        return UNDECIDED


def _tabulated(
    f: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], values: tuple[Class, ...] | None
) -> torch.Tensor:
    """Tabulates f at all arguments: ids into `values`, or numbers.

    Undefined where an argument is None, where f raises, and where it gives None, unless None is one of `values`.
    """
    ids: dict[Class, int] | None = None
    if values is not None:
        ids = {None: UNDEFINED, **{value: index for index, value in enumerate(values)}}

    def entry(argument: tuple[Any, ...]) -> float | int:
        undefined = torch.nan if ids is None else UNDEFINED
        if any(value is None for value in argument):
            return undefined
        try:
            result = f(*argument)
        except ArithmeticError:  # what Tracr ignores, and nothing else
            return undefined
        if ids is not None:
            if result not in ids:
                raise ProgramError(
                    f"a function gives {result!r} for {argument}, and another value for what equals it (0, 0.0 and "
                    "False are equal, and so are 1, 1.0 and True); accepted are values of one type"
                )
            return ids[result]
        return undefined if result is None else float(result)

    dtype = torch.float32 if ids is None else torch.int64
    return torch.tensor([entry(argument) for argument in arguments], dtype=dtype)
