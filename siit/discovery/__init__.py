"""Circuit discovery: methods that score a model's edges or nodes, and all that they may see of it.

A method is anything that takes a `DiscoveryTask` and gives a number for every edge (or every node), higher for what
it holds to be on the circuit:

    import siit
    from siit.discovery import find_method, task_of

    model = siit.load("checkpoints", "frac_prevs")
    task = task_of(model, seed=1)
    scores = find_method("eap_ig_inputs", steps=10)(task)
    print(siit.score(scores, model))

One's own is a function of a task, see `siit.discovery.task`; `find_method("my_module:my_method")` finds it by name.
"""

from siit.discovery.draw import task_of
from siit.discovery.method import Method
from siit.discovery.registry import METHODS, find_method
from siit.discovery.task import DiscoveryTask, Passes, TaskBatch

__all__ = ["METHODS", "DiscoveryTask", "Method", "Passes", "TaskBatch", "find_method", "task_of"]
