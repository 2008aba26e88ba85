"""The tasks by name."""

from __future__ import annotations

from typing import Any

from keyboard_lm.evaluation.autocorrect import Autocorrect, ReplayedAutocorrect
from keyboard_lm.evaluation.completion import Completion
from keyboard_lm.evaluation.inline import Inline
from keyboard_lm.evaluation.language_model_task import LanguageModel
from keyboard_lm.evaluation.next_word import NextWord
from keyboard_lm.evaluation.savings import KeystrokeSavings
from keyboard_lm.evaluation.task import Task
from keyboard_lm.evaluation.texts import EvaluationText

TASKS: dict[str, Task[Any]] = {
    task.name: task for task in (NextWord(), Completion(), KeystrokeSavings(), Autocorrect(), Inline(), LanguageModel())
}
# What there is to measure on recordings, by the task of the same name and with its metrics.
RECORDING_TASKS: dict[str, Task[Any]] = {task.name: task for task in (ReplayedAutocorrect(),)}


def task_for(name: str, text: EvaluationText) -> Task[Any] | None:
    """Return the task of a name as it is done on a text; None where it does not apply."""
    return (TASKS if text.documents else RECORDING_TASKS).get(name)
