"""How like naturally trained models ours are: statistics of weights, activations and ablations, beside twins'."""

from siit.realism.comparison import average_precision, by_carried, by_layer, spearman
from siit.realism.portrait import Portrait, portrait

__all__ = ["Portrait", "average_precision", "by_carried", "by_layer", "portrait", "spearman"]
