"""Labels: derived again from the causal model and the alignment, by the function that training uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from siit._text import listed
from siit.causal import CausalModel
from siit.graph.architecture import is_head
from siit.graph.circuit import Circuit
from siit.interchange.alignment import Alignment, Labels, derive_labels


def placement(circuit: Circuit, model: CausalModel) -> Alignment:
    """Finds the nodes of each variable from those of its unit.

    Attention variables need heads, and all others have MLPs only. So variables that share an MLP
    have one placement. Those that share heads are each taken to have all of the unit's nodes.

    Raises:
        ValueError: a unit that is no variable, or several, of the causal model, or nodes that cannot hold one.
    """
    known = [name for name in model.variables if name not in circuit.excluded]
    placed: dict[str, tuple[str, ...]] = {}
    for unit, nodes in circuit.alignment.items():
        for name in _members(unit, known):
            attention = model.variables[name].is_attention
            usable = nodes if attention else tuple(node for node in nodes if not is_head(node))
            if not usable or (attention and not any(map(is_head, usable))):
                wanted = "a head" if attention else "an MLP"
                raise ValueError(f"alignment: {unit}: found {', '.join(nodes)}, accepted for {name} is {wanted}")
            placed[name] = usable
    missing = [name for name in known if name not in placed]
    if missing:
        raise ValueError(f"alignment: found no nodes for {', '.join(missing)}, accepted is every variable or a reason")
    return {name: placed[name] for name in known}


def _members(unit: str, known: list[str]) -> list[str]:
    members = unit.split("+")
    unknown = [name for name in members if name not in known]
    if unknown:
        raise ValueError(
            f"alignment: found a unit {unit!r}, accepted are units of the causal model's variables that are not "
            f"excluded: {', '.join(known)}"
        )
    return members


def derived_labels(circuit: Circuit, model: CausalModel) -> Labels:
    """Derives the labels of a circuit's own alignment and exclusions, and of the edges that it leaves out.

    Edges that training found idle, beside others that carry the same, are not on the circuit; the bundle has to name
    them. It need not be believed for that: whatever is not on the circuit is measured to be off it.

    Raises:
        ValueError: an alignment or an exclusion that cannot be, or a high-level edge that nothing carries.
    """
    parts = {*model.variables, *map(str, model.edges)}
    unknown = [name for name in circuit.excluded if name not in parts]
    if unknown:
        raise ValueError(f"excluded: found {unknown[0]!r}, accepted are variables and edges of the causal model")
    placed = placement(circuit, model)
    whole = derive_labels(model, circuit.config, placed, circuit.excluded)
    idle = whole.circuit.carries.keys() - circuit.carries.keys()
    return derive_labels(model, circuit.config, placed, circuit.excluded, idle) if idle else whole


def differences(circuit: Circuit, derived: Circuit) -> Iterator[str]:
    """Lists where a circuit says something else than the derived one."""
    if dict(circuit.alignment) != dict(derived.alignment):
        yield f"alignment: found {_items(circuit.alignment)}, accepted is {_items(derived.alignment)}"
    spurious = [str(edge) for edge in circuit.carries if edge not in derived.carries]
    if spurious:
        yield f"edges: found {listed(spurious)} on the circuit, which no edge of the causal model runs over"
    misnamed = [
        f"{edge} carrying {circuit.carries[edge]!r} instead of {name!r}"
        for edge, name in derived.carries.items()
        if edge in circuit.carries and circuit.carries[edge] != name
    ]
    if misnamed:
        yield f"edges: found {listed(misnamed)}"
    # Earlier versions wrote no programs.
    for field in ("idle", "variables", "roles", *(("programs",) if circuit.programs else ())):
        ours, theirs = getattr(derived, field), getattr(circuit, field)
        wrong = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
        if wrong:
            name = wrong[0]
            yield f"{field}: {name}: found {theirs.get(name)!r}, accepted is {ours.get(name)!r}"


def _items(alignment: Mapping[str, tuple[str, ...]]) -> str:
    return listed([f"{unit}: {' '.join(nodes)}" for unit, nodes in alignment.items()])
