"""Random programs: benchmark models that no method has been tuned on.

    generate("composed", 7) -> Case

A program is drawn from a typed grammar (`grammar`, of the steps in `pointwise_steps` and `attention_steps`), and drawn
again until it is well formed (`checks`). It is the same for the same tier and seed, on any machine.
"""

from siit.training.generator.draft import MAX_LENGTHS
from siit.training.generator.draws import Attempt, GeneratorError, attempts, generate

__all__ = ["MAX_LENGTHS", "Attempt", "GeneratorError", "attempts", "generate"]
