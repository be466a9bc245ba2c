"""Locating variables: methods that score which nodes carry a variable of the causal model, and what they may see.

A method is anything that takes a `VariableTask`, and gives a number for every node. Higher means that it carries the
variable:

    import siit
    from siit.localization import find_locator, variable_task

    model = siit.load("checkpoints", "frac_prevs")
    task = variable_task(model, "is_x", seed=1)
    print(find_locator("das", directions=4)(task))

One's own is a function of a task, see `siit.localization.task`; `find_locator("my_module:my_method")` finds it by name.
"""

from siit.localization.draw import UnseenUnitError, variable_task
from siit.localization.registry import METHODS, Locator, find_locator
from siit.localization.task import Positions, VariableBatch, VariablePairs, VariableTask

__all__ = [
    "METHODS",
    "Locator",
    "Positions",
    "UnseenUnitError",
    "VariableBatch",
    "VariablePairs",
    "VariableTask",
    "find_locator",
    "variable_task",
]
