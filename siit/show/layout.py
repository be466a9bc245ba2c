"""Where a circuit's picture has its parts: boxes in rows, edges in lanes between columns, so that none crosses a box.

Lengths are inches, from the lower left corner. The embeddings are at the bottom and the logits at the top. Each layer
has a row of heads and, above it, a row for its MLP, which has a column of its own.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from siit._text import printable
from siit.graph.architecture import EMBEDDINGS, LOGITS, Edge, ModelConfig, head, head_index, is_head, mlp
from siit.graph.circuit import Circuit
from siit.show.words import PROGRAM, short

BOX_WIDTH, BOX_HEIGHT, FAINT_HEIGHT = 0.92, 0.58, 0.24
LANE, TRACKS, TRACK_STEP = 0.34, (0, 1, -1, 2, -2), 0.06
STEP = BOX_WIDTH + LANE
GAP, FAINT_GAP = 0.46, 0.12
NOTE_LETTERS, NOTE_LINE, NOTE_SPACE = 62, 0.165, 0.1
NOTE_LINES = 4
MARGIN = 0.3
PORTS = {"q": -0.28, "k": 0.0, "v": 0.28, None: 0.0}
_OVERLAP = 4.0

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A node's place: its middle, and its size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def top(self) -> float:
        """The upper end."""
        return self.y + self.height / 2

    @property
    def bottom(self) -> float:
        """The lower end."""
        return self.y - self.height / 2


@dataclass(frozen=True)
class Note:
    """What stands beside a row: nodes that share a unit, a role and a program, and all of these in words.

    Attributes:
        nodes, unit: in one line; embeddings and logits have no unit.
        lines: the role, broken into lines.
        program: the program, broken into lines; below the role.
        y: the middle of the first line.
    """

    nodes: str
    unit: str
    lines: tuple[str, ...]
    program: tuple[str, ...]
    y: float


@dataclass(frozen=True)
class Layout:
    """All places.

    Attributes:
        boxes: node -> its box, faint ones of off-circuit nodes included.
        routes: edge of the circuit, or other one that is drawn -> the points of its path. A cubic curve is 4 points; 10
            are one into a lane, a straight one along it, and one out of it.
        notes: beside the rows, at `note_x`.
        layers: layer -> the lower and the upper end of its rows.
        width, height: of the whole.
    """

    boxes: Mapping[str, Box]
    routes: Mapping[Edge, tuple[Point, ...]]
    notes: Sequence[Note]
    note_x: float
    layers: Mapping[int, tuple[float, float]]
    width: float
    height: float


def lay_out(circuit: Circuit, also: Collection[Edge] = (), *, notes: bool = True) -> Layout:
    """Places every node of the model and every edge of the circuit.

    Args:
        circuit: the labels.
        also: edges off the circuit that are drawn too; their nodes are as large as the circuit's.
        notes: whether there is room for what stands beside the rows.
    """
    config = circuit.config
    members = {*circuit.members, *(node for edge in also for node in (edge.sender, edge.receiver))}
    rows = _rows(config)
    left = MARGIN + 0.35 + LANE
    boxes: dict[str, Box] = {}
    beside: list[Note] = []
    layers: dict[int, tuple[float, float]] = {}
    top = MARGIN
    for number, row in enumerate(rows):
        used = any(node in members for node in row)
        if number:
            below = any(node in members for node in rows[number - 1])
            top += GAP if used or below else FAINT_GAP
        drafts = _drafts(circuit, [node for node in row if node in circuit.members]) if notes else []
        note_height = sum(draft.height + NOTE_SPACE for draft in drafts) - NOTE_SPACE
        height = max(BOX_HEIGHT if used else FAINT_HEIGHT, note_height if drafts else 0.0)
        y = top + height / 2
        line = y + note_height / 2 - NOTE_LINE / 2
        for draft in drafts:
            nodes, unit = (short(text, NOTE_LETTERS // 2) for text in (draft.nodes, draft.unit))
            beside.append(Note(nodes, unit, draft.lines, draft.program, line))
            line -= draft.height + NOTE_SPACE
        for node in row:
            size = BOX_HEIGHT if node in members else FAINT_HEIGHT
            boxes[node] = Box(left + BOX_WIDTH / 2 + STEP * _column(node, config), y, BOX_WIDTH, size)
        top += height
    for layer in range(config.n_layers):
        heads = [boxes[head(layer, index)] for index in range(config.n_heads)]
        layers[layer] = (min(box.bottom for box in heads), boxes[mlp(layer)].top)
    note_x = left + STEP * (config.n_heads + 1) + 0.1
    routes = _routes([*circuit.carries, *also], rows, boxes, left)
    width = note_x + max(map(_note_width, beside), default=0.0) + MARGIN
    return Layout(boxes, routes, beside, note_x, layers, width, top + MARGIN)


def _note_width(note: Note) -> float:
    """About how wide a note is drawn."""
    return max(
        0.092 * (len(note.nodes) + 2 + len(note.unit)),
        *(0.068 * len(line) for line in (*note.lines, *note.program)),
        0.0,
    )


def _rows(config: ModelConfig) -> list[list[str]]:
    rows = [list(EMBEDDINGS)]
    for layer in range(config.n_layers):
        rows += [[head(layer, index) for index in range(config.n_heads)], [mlp(layer)]]
    return [*rows, [LOGITS]]


def _column(node: str, config: ModelConfig) -> float:
    """Heads and MLPs have a column each; the embeddings and the logits stand in the middle of all."""
    middle = config.n_heads / 2
    if node in EMBEDDINGS:
        return middle + (-0.6 if node == EMBEDDINGS[0] else 0.6)
    if node == LOGITS:
        return middle
    return float(head_index(node) if is_head(node) else config.n_heads)


@dataclass(frozen=True)
class _Draft:
    """A note before it has its place."""

    nodes: str
    unit: str
    lines: tuple[str, ...]
    program: tuple[str, ...]

    @property
    def height(self) -> float:
        return NOTE_LINE * (1 + len(self.lines) + len(self.program))


def _drafts(circuit: Circuit, row: Sequence[str]) -> list[_Draft]:
    """Makes the notes beside one row; neighbours that say the same are one note."""
    together: dict[tuple[str, str, str], list[str]] = {}
    for node in row:
        unit, role = circuit.unit_of.get(node, ""), circuit.roles.get(node, "")
        key = unit, role if role != unit else "", circuit.programs.get(node, "")
        together.setdefault(key, []).append(node)
    return [
        _Draft(", ".join(nodes), unit, _wrapped(role), _wrapped(f"{PROGRAM}: {program}" if program else ""))
        for (unit, role, program), nodes in together.items()
    ]


def _wrapped(text: str) -> tuple[str, ...]:
    return tuple(textwrap.wrap(printable(text), NOTE_LETTERS, max_lines=NOTE_LINES, placeholder=" …"))


def _routes(
    edges: Sequence[Edge], rows: Sequence[Sequence[str]], boxes: Mapping[str, Box], left: float
) -> dict[Edge, tuple[Point, ...]]:
    row_of = {node: number for number, row in enumerate(rows) for node in row}
    tracks = [
        left - LANE / 2 + STEP * number + TRACK_STEP * track
        for number in range(max(map(len, rows[1:-1])) + 2)
        for track in TRACKS
    ]
    taken: list[_Stretch] = []
    chosen: dict[Edge, float] = {}
    ends: dict[Edge, tuple[Point, Point]] = {}
    spans: dict[Edge, list[Box]] = {}
    # Long edges choose first; short ones find a place beside them.
    order = sorted(edges, key=lambda edge: (row_of[edge.sender] - row_of[edge.receiver], str(edge)))
    for edge in order:
        start = (boxes[edge.sender].x, boxes[edge.sender].top)
        end = (boxes[edge.receiver].x + PORTS[edge.slot], boxes[edge.receiver].bottom)
        between = [boxes[node] for row in rows[row_of[edge.sender] + 1 : row_of[edge.receiver]] for node in row]
        ends[edge], spans[edge] = (start, end), between
        if between:
            free = [x for x in (start[0], end[0]) if all(abs(x - box.x) > BOX_WIDTH / 2 + LANE / 4 for box in between)]
            x = min((*free, *tracks), key=lambda x: _cost(_Stretch(x, start[1], end[1]), start, end, taken))
            taken.append(_Stretch(x, start[1], end[1]))
            chosen[edge] = x
    chosen = _uncrossed(chosen)
    routes: dict[Edge, tuple[Point, ...]] = {}
    for edge in edges:
        start, end = ends[edge]
        if edge not in chosen:
            routes[edge] = _curve(start, end)
            continue
        enter = (chosen[edge], min(box.bottom for box in spans[edge]))
        leave = (chosen[edge], max(box.top for box in spans[edge]))
        routes[edge] = (*_curve(start, enter), enter, leave, *_curve(leave, end))
    return routes


def _uncrossed(chosen: Mapping[Edge, float]) -> dict[Edge, float]:
    """The same places, given to the edges between the same two nodes in the order of the receiver's slots."""
    together: dict[tuple[str, str], list[Edge]] = {}
    for edge in chosen:
        together.setdefault((edge.sender, edge.receiver), []).append(edge)
    return {
        edge: x
        for group in together.values()
        for edge, x in zip(
            sorted(group, key=lambda edge: PORTS[edge.slot]), sorted(chosen[edge] for edge in group), strict=True
        )
    }


@dataclass(frozen=True)
class _Stretch:
    """Where an edge lies in its lane."""

    x: float
    low: float
    high: float

    def meets(self, other: _Stretch) -> bool:
        return abs(self.x - other.x) < 0.9 * TRACK_STEP and self.low < other.high and other.low < self.high


def _cost(stretch: _Stretch, start: Point, end: Point, taken: Sequence[_Stretch]) -> float:
    """The way to a track and from it, and how many edges lie there already; of equals, the middle track comes first."""
    way = abs(start[0] - stretch.x) + abs(end[0] - stretch.x)
    return way + _OVERLAP * sum(map(stretch.meets, taken))


def _curve(start: Point, end: Point) -> tuple[Point, Point, Point, Point]:
    """A cubic curve that leaves and arrives upright."""
    bend = (end[1] - start[1]) / 2
    return start, (start[0], start[1] + bend), (end[0], end[1] - bend), end
