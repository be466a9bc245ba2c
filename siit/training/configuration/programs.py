"""The settings of RASP programs: one of the catalogue, a user's own, or a drawn one."""

from __future__ import annotations

import importlib
import re
import sys
import traceback
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from omegaconf import MISSING

from siit._text import one_line
from siit.catalogue import drawn_name, is_drawn
from siit.graph.tiers import COMPOSED, TIERS
from siit.tasks import SAMPLERS
from siit.training.configuration.case import CaseSettings
from siit.training.configuration.errors import ConfigError, require
from siit.training.generator import MAX_LENGTHS, GeneratorError, generate
from siit.training.rasp import ProgramTask, build_causal_model, task_from_case
from tracr_cases import Case, get

LARGEST_SEED = (1 << 31) - 1


@dataclass
class ProgramSettings(CaseSettings):
    """Holds a case whose causal model is that of a RASP program."""

    @abstractmethod
    def rasp_case(self) -> Case:
        """Checks the fields, and finds or draws the program.

        Raises:
            ConfigError: as `check`, or a program that cannot be had.
        """

    def make_task(self) -> ProgramTask:
        """Finds or draws the program, and makes its task; see `CaseSettings.make_task`.

        Raises:
            ConfigError: as `rasp_case`; lengths that cannot be; or a program of which there is no causal model.
        """
        case = self.rasp_case()
        possible = 1 <= case.min_len <= case.max_len
        require("case.min_len", case.min_len, possible, f"1 to {case.max_len}, the most tokens that {case.name} takes")
        try:
            return task_from_case(case, build_causal_model(case))
        except ValueError as error:
            raise ConfigError(str(error)) from error


@dataclass
class ChangedInputs(ProgramSettings):
    """Holds how inputs of a given program are drawn, where it is not as the program says."""

    min_len: int | None = None
    """Smallest number of tokens, BOS not counted; null: as the program says."""
    sampler: str | None = None
    """Distribution of the inputs, see siit/tasks/samplers.py; null: as the program says."""
    balanced: bool | None = None
    """Whether inputs with rare answers are drawn as often as others; null: as the program says."""
    rearranged: bool | None = None
    """Whether half of the sources are the base in another order; null: as the program says."""

    def check(self) -> None:
        """Checks how inputs are drawn; see `CaseSettings.check`."""
        shortest, sampler = self.min_len, self.sampler
        require("case.min_len", shortest, shortest is None or shortest >= 1, "null (as the program says), 1 or more")
        known = sampler is None or sampler in SAMPLERS
        require("case.sampler", sampler, known, f"null (as the program says), {', '.join(SAMPLERS)}")

    def changed(self, case: Case) -> Case:
        """Draws the case's inputs as these settings say."""
        values = {name: getattr(self, name) for name in ("min_len", "sampler", "balanced", "rearranged")}
        return replace(case, **{name: value for name, value in values.items() if value is not None})


@dataclass
class CatalogueCase(ChangedInputs):
    """Holds a program of the catalogue."""

    FIXED_BY: ClassVar[str] = "the catalogue"
    CHOSEN_BY: ClassVar[str] = "a case of the catalogue"
    _target_: str = "siit.training.configuration.programs.CatalogueCase"

    def rasp_case(self) -> Case:
        """Finds the program by its name; see `ProgramSettings.rasp_case`.

        Raises:
            ConfigError: as `check`, or the catalogue has no such program; names the nearest ones.
        """
        self.check()
        try:
            return self.changed(get(self.name))
        except KeyError as error:
            raise ConfigError(error.args[0]) from error


@dataclass
class DrawnCase(ChangedInputs):
    """Holds a program that is drawn, see siit/training/generator.

    Another seed of the draw is another task; `seed` draws, as for every case, the alignment and the weights.
    """

    FIXED_BY: ClassVar[str] = "the generator"
    CHOSEN_BY: ClassVar[str] = "case=random"
    _target_: str = "siit.training.configuration.programs.DrawnCase"
    name: str = ""
    """Name of the case, and of its models' folder; it follows from the draw: random-<tier>-<generator_seed>."""
    tier: str = COMPOSED
    """How much of a circuit there is: pointwise, single, composed or deep, see siit/graph/tiers.py."""
    generator_seed: int = 0
    """Seed of the draw, 0 to 2147483647; the program of a tier and a seed is the same on every machine."""

    def __post_init__(self) -> None:
        self.name = self.name or drawn_name(self.tier, self.generator_seed)

    def check(self) -> None:
        """Checks the draw, and how inputs are drawn; see `CaseSettings.check`."""
        super().check()
        shortest, longest = self.min_len, MAX_LENGTHS[1]
        possible = shortest is None or shortest <= longest
        require("case.min_len", shortest, possible, f"at most {longest}, the most tokens that a drawn program takes")
        require("case.tier", self.tier, self.tier in TIERS, ", ".join(TIERS))
        drawn = self.generator_seed
        require("case.generator_seed", drawn, 0 <= drawn <= LARGEST_SEED, f"an integer from 0 to {LARGEST_SEED}")
        name = drawn_name(self.tier, drawn)
        require("case.name", self.name, self.name == name, f"{name!r} for this draw, as case=random sets it")

    def rasp_case(self) -> Case:
        """Draws the program; see `ProgramSettings.rasp_case`.

        Raises:
            ConfigError: as `check`, or nothing well formed is drawn; says why, and to take another seed.
        """
        self.check()
        try:
            return self.changed(generate(self.tier, self.generator_seed))
        except GeneratorError as error:
            raise ConfigError(f"case.generator_seed: {error}") from error


@dataclass
class CustomCase(ProgramSettings):
    """Holds a program of one's own: case=custom case.program=my_module:make_program case.vocab=[a,b] case.max_len=8."""

    FIXED_BY: ClassVar[str] = "its author"
    CHOSEN_BY: ClassVar[str] = "case=custom"
    _target_: str = "siit.training.configuration.programs.CustomCase"
    name: str = ""
    """Name of the case, and of its models' folder; empty: it follows from the program, <module>-<function>."""
    program: str = MISSING
    """<module>:<function>, which takes no arguments and returns a rasp.SOp; the working directory is searched too."""
    vocab: list[Any] = MISSING
    """The tokens: two or more different strings or integers."""
    max_len: int = MISSING
    """Largest number of tokens, BOS not counted."""
    min_len: int = Case.min_len
    """Smallest number of tokens, BOS not counted; 1 or more."""
    causal: bool = Case.causal
    """Whether no position depends on later ones; the model then attends causally."""
    none_is_answer: bool = Case.none_is_answer
    """Whether None, where the program's last map gives it, is an answer of its own rather than an undefined output."""
    sampler: str = Case.sampler
    """Distribution of the inputs, see siit/tasks/samplers.py."""
    balanced: bool = Case.balanced
    """Whether inputs with rare answers are drawn as often as others, see siit/tasks/balance.py."""
    rearranged: bool = Case.rearranged
    """Whether half of the sources are the base in another order, see siit/tasks/pairs.py."""

    def __post_init__(self) -> None:
        if not self.name and self.program != MISSING:
            self.name = program_name(self.program)

    def check(self) -> None:
        """Checks what takes no import; see `CaseSettings.check`."""
        tokens = self.vocab
        odd = [token for token in tokens if not isinstance(token, str | int) or isinstance(token, bool)]
        possible = len(tokens) >= 2 and not odd and len(set(tokens)) == len(tokens)
        require("case.vocab", tokens, possible, "two or more different strings or integers")
        require("case.min_len", self.min_len, self.min_len >= 1, "1 or more")
        longest = self.max_len >= self.min_len
        require("case.max_len", self.max_len, longest, f"case.min_len={self.min_len} or more")
        require("case.sampler", self.sampler, self.sampler in SAMPLERS, ", ".join(SAMPLERS))
        module, _, function = self.program.partition(":")
        require("case.program", self.program, bool(module and function), "<module>:<function>")
        require("case.name", self.name, not is_drawn(self.name), "a name that is none of the generator's")

    def rasp_case(self) -> Case:
        """Imports the program; see `ProgramSettings.rasp_case`.

        Raises:
            ConfigError: as `check`, or the program cannot be imported; names the line that stops it.
        """
        self.check()
        return Case(
            name=self.name,
            make=_imported(self.program),
            vocab=tuple(self.vocab),
            max_len=self.max_len,
            min_len=self.min_len,
            family="custom",
            description=f"the program {self.program}",
            causal=self.causal,
            none_is_answer=self.none_is_answer,
            sampler=self.sampler,
            balanced=self.balanced,
            rearranged=self.rearranged,
        )


def program_name(program: str) -> str:
    """Names the case of a program of one's own, so that each has a folder of its own.

    Args:
        program: `<module>:<function>`.
    """
    return re.sub(r"[^A-Za-z0-9_]+", "-", program).strip("-_")[:100] or "custom"


def _imported(path: str) -> Callable[[], Any]:
    """Imports the function of `<module>:<function>`.

    Raises:
        ConfigError: there is none, or its module cannot be imported, whatever stops it; names the line that does.
    """
    module_name, _, name = path.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")):
        accepted = "a module as `import` names it, such as folder.module for ./folder/module.py"
        raise ConfigError(f"case.program: found the module {module_name!r}, accepted is {accepted}")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    # A module that is imported can raise anything, and end the process.
    except (Exception, SystemExit) as error:
        raise ConfigError(
            f"case.program: cannot import {module_name!r}: {one_line(f'{type(error).__name__}: {error}')} "
            f"({_place(error)}), accepted is a module that can be imported"
        ) from error
    make = getattr(module, name, None)
    if not callable(make):
        functions = sorted(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
        raise ConfigError(f"case.program: {module_name} has no function {name!r}, it has: {', '.join(functions)}")
    return make


def _place(error: BaseException) -> str:
    """Names the file and the line at which a module failed."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}, line {last.lineno}"
