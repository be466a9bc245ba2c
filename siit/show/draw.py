"""All files of one model's pictures, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siit._device import usable_device
from siit._extras import require
from siit.bundle import Bundle, BundleError
from siit.certificate import Certificate
from siit.show.effects import Replacement, measure_effects
from siit.show.example import evidence_example, own_example
from siit.show.page import page

if TYPE_CHECKING:
    import torch

PAIRS = 256
PICTURES = ("circuit", "attention", "effects")


def draw_model(
    bundle: Bundle,
    *,
    example: int = 0,
    tokens: str | None = None,
    pairs: int = PAIRS,
    replace: Replacement = "source",
    device: torch.device | str = "cpu",
) -> dict[str, bytes]:
    """File name -> content of `circuit.png`, `attention.png`, `effects.png` and `index.html`.

    Args:
        bundle: a model with its weights and evidence.
        example: which of the evidence's pairs has the base whose attention is shown.
        tokens: an input of one's own in its place, see `siit.show.example.parse_tokens`.
        pairs: how many pairs effects are measured on at most.
        replace: by what each part is replaced there: its value on the `source`, or `zero`.
        device: where to compute.

    Raises:
        ValueError: an example that there is not, tokens that the model does not know, a damaged certificate, or a
            device that torch cannot use.
        ImportError: matplotlib is not installed; names the extra.
    """
    require("matplotlib", extra="show", needed_by="siit.show")
    device = usable_device(device, key="device")
    from siit.show.attention_picture import attention_picture
    from siit.show.circuit_picture import circuit_picture
    from siit.show.effects_picture import effects_picture

    try:
        certificate = Certificate.from_json(bundle.certificate)
    except ValueError as error:
        raise BundleError(f"certificate.json: {str(error).removeprefix('certificate: ')}") from error
    if tokens is None:
        shown = evidence_example(bundle, example, device)
    else:
        shown = own_example(bundle, tokens, device)
    effects = measure_effects(bundle, pairs=pairs, replacement=replace, device=device)
    circuit, title = bundle.circuit, f"{bundle.case}, seed {bundle.seed}"
    pictures = {
        "circuit": circuit_picture(circuit, f"{title}: the circuit"),
        "attention": attention_picture(circuit, shown, f"{title}: attention"),
        "effects": effects_picture(circuit, effects, f"{title}: what each part does"),
    }
    html = page(bundle, certificate, shown, effects, pictures)
    return {**{f"{name}.png": picture for name, picture in pictures.items()}, "index.html": html}
