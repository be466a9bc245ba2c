"""Circuit discovery: methods that score a model's edges or nodes, and all that they may see of it.

A method is anything that takes a `DiscoveryTask`, and gives a number for every edge, or for every node. Higher means on
the circuit:

    import siit
    from siit.discovery import find_method, task_of

    model = siit.load("checkpoints", "frac_prevs")
    task = task_of(model, seed=1)
    scores = find_method("eap_ig_inputs", steps=10)(task)
    print(siit.score(scores, model))

A method that is written for TransformerLens gets the model as a HookedTransformer:

    def my_method(task):
        hooked = siit.interop.to_hooked_transformer(task.model)
        logits, cache = hooked.run_with_cache(task.clean)
        ...
        return {edge: ... for edge in task.edges}

One's own is a function of a task, see `siit.discovery.task`; `find_method("my_module:my_method")` finds it by name.
"""

from siit.discovery.draw import PAIRS, contrasts_of, held_out_task, task_of
from siit.discovery.method import Method
from siit.discovery.registry import METHODS, find_method
from siit.discovery.task import DiscoveryTask, Passes, TaskBatch

__all__ = [
    "METHODS",
    "PAIRS",
    "DiscoveryTask",
    "Method",
    "Passes",
    "TaskBatch",
    "contrasts_of",
    "find_method",
    "held_out_task",
    "task_of",
]
