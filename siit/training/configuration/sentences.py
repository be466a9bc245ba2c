"""The settings of Indirect Object Identification (Wang et al., arXiv 2211.00593)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from siit.training.configuration.case import CaseSettings
from siit.training.configuration.errors import ConfigError, require
from siit.training.ioi.causal_models import IOI_CASES, ioi_case
from siit.training.ioi.task import IOITask, make_ioi_task
from siit.training.ioi.tokenizer import WORDS, TokenizerError


@dataclass
class SentenceCase(CaseSettings):
    """Holds a case of Indirect Object Identification."""

    FIXED_BY: ClassVar[str] = "the set of sentences"
    CHOSEN_BY: ClassVar[str] = f"case={', '.join(IOI_CASES)}"
    # train.yaml and checkpoints hold this path: by another one, no model of IOI that is there could be gone on with.
    _target_: str = "siit.training.configuration.sentences.SentenceCase"
    tokenizer: str = WORDS
    """The tokenizer: words, gpt2, or a folder with GPT-2's tokenizer.json; not words: set case.name=ioi-gpt2 too."""

    def check(self) -> None:
        """Checks the name; see `CaseSettings.check`."""
        accepted = f"{', '.join(IOI_CASES)}, or one's own for one of them, such as ioi-gpt2"
        require("case.name", self.name, ioi_case(self.name) is not None, accepted)

    def make_task(self) -> IOITask:
        """Makes the tokenizer and the task; see `CaseSettings.make_task`."""
        self.check()
        try:
            return make_ioi_task(self.name, self.tokenizer)
        except TokenizerError as error:
            raise ConfigError(str(error)) from error
