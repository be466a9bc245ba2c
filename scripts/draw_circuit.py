"""Draws a model's circuit as an SVG: `python scripts/draw_circuit.py checkpoints/frac_prevs/seed-0 circuit.svg`."""

from __future__ import annotations

import argparse
from pathlib import Path
from xml.sax.saxutils import escape

from siit.architecture import EMBEDDINGS, LOGITS, ModelConfig, head_index, is_head, layer_of, nodes
from siit.bundle import BundleError, read_bundle
from siit.circuit import Circuit

WIDTH, ROW, LEFT, BOX_WIDTH, BOX = 860, 64, 20, 78, 30
ON, OFF, INK, LINE = "#2f6fde", "#eef0f4", "#1d2433", "#2f6fde"
SLOT_COLOURS = {"q": "#c2410c", "k": "#7c3aed", "v": "#2f6fde", None: "#15803d"}


def place(node: str, config: ModelConfig) -> tuple[float, float]:
    """The middle of a node's box; the input is at the bottom."""
    rows = 2 * config.n_layers + 1
    columns = config.n_heads + 1
    step = (WIDTH - 2 * LEFT - 300) / columns
    if node in EMBEDDINGS:
        return LEFT + step * (0.8 + 1.6 * EMBEDDINGS.index(node)) + 20, ROW * (rows + 0.5)
    if node == LOGITS:
        return LEFT + step * (columns / 2), ROW * 0.5
    if is_head(node):
        return LEFT + step * (head_index(node) + 0.5), ROW * (rows - 2 * layer_of(node) - 0.5)
    return LEFT + step * (columns - 0.5), ROW * (rows - 2 * layer_of(node) - 1.5)


def draw(circuit: Circuit, title: str) -> str:
    """The SVG text."""
    config = circuit.config
    height = ROW * (2 * config.n_layers + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + 34}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{height + 34}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="15" font-weight="bold" fill="{INK}">{escape(title)}</text>',
        '<g transform="translate(0 34)">',
    ]
    for edge in circuit.carries:
        (x1, y1), (x2, y2) = place(edge.sender, config), place(edge.receiver, config)
        shift = {"q": -18, "k": 0, "v": 18, None: 0}[edge.slot]
        colour = SLOT_COLOURS[edge.slot]
        bend = (y1 - y2) / 2
        parts.append(
            f'<path d="M{x1} {y1 - BOX / 2} C{x1} {y1 - bend} {x2 + shift} {y2 + bend} {x2 + shift} {y2 + BOX / 2}" '
            f'fill="none" stroke="{colour}" stroke-width="2" opacity="0.85"/>'
        )
        if edge.slot:
            parts.append(
                f'<text x="{x2 + shift}" y="{y2 + BOX / 2 + 12}" font-size="10" text-anchor="middle" '
                f'fill="{colour}">{edge.slot}</text>'
            )
    for node in nodes(config):
        x, y = place(node, config)
        member = node in circuit.members
        parts.append(
            f'<rect x="{x - BOX_WIDTH / 2}" y="{y - BOX / 2}" width="{BOX_WIDTH}" height="{BOX}" rx="6" '
            f'fill="{ON if member else OFF}"/>'
            f'<text x="{x}" y="{y + 4}" font-size="11" text-anchor="middle" '
            f'fill="{"white" if member else "#8b93a5"}">{node}</text>'
        )
    # What each unit computes stands at the right, beside its own row.
    taken: list[float] = []
    for unit, unit_nodes in sorted(circuit.alignment.items(), key=lambda item: -place(item[1][0], config)[1]):
        y = place(unit_nodes[0], config)[1]
        while any(abs(y - other) < 26 for other in taken):
            y -= 26
        taken.append(y)
        parts.append(
            f'<text x="{WIDTH - 300}" y="{y}" font-size="12" fill="{INK}"><tspan font-weight="bold">'
            f"{escape(', '.join(unit_nodes))}</tspan> {escape(unit)}</text>"
            f'<text x="{WIDTH - 300}" y="{y + 14}" font-size="10" fill="#6b7280">'
            f"{escape(circuit.roles.get(unit_nodes[0], ''))}</text>"
        )
    return "\n".join([*parts, "</g>", "</svg>"]) + "\n"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a model's folder")
    parser.add_argument("svg", type=Path, help="where the drawing goes")
    options = parser.parse_args()
    try:
        bundle = read_bundle(options.folder, weights=False, evidence=False)
    except BundleError as error:
        parser.error(str(error))
    options.svg.write_text(draw(bundle.circuit, f"{bundle.case}, seed {bundle.seed}: the certified circuit"))


if __name__ == "__main__":
    main()
