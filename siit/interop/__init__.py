"""Models and circuits in the forms that other tools take: TransformerLens, ACDC, EAP-IG, PyTorch datasets."""

from siit.interop.dataset import PairDataset
from siit.interop.lens import to_bridge, to_hooked_transformer

__all__ = ["PairDataset", "to_bridge", "to_hooked_transformer"]
