"""The one exception family that callers need to catch."""

from __future__ import annotations


class KeyboardLMError(Exception):
    """Base of every error this project raises on purpose.

    A message says what is wrong, where, and what to do next, in one line: the command line prints it as it is.
    """


class ConfigError(KeyboardLMError):
    """A configuration is not valid; the message lists every mistake found."""


class CheckpointError(KeyboardLMError):
    """A checkpoint folder is missing, damaged, or its parts do not belong together."""


class WriteError(KeyboardLMError):
    """A file or folder cannot be written; what stood in its place still does."""


class PackageError(KeyboardLMError):
    """A Core ML package is missing, damaged, or holds something that cannot be run."""


class DataError(KeyboardLMError):
    """A corpus, a shard or an evaluation file cannot be used."""


class TrainingError(KeyboardLMError):
    """A training run cannot start, continue or be saved."""


class PrivacyBudgetError(TrainingError):
    """A federated round would tell more about a writer than the run has promised; nothing was asked of anyone."""


class ContextLengthError(KeyboardLMError):
    """More tokens were given to a backend than its KV cache has slots for."""


class MissingExtraError(KeyboardLMError):
    """An optional dependency is not installed.

    Args:
        package: the import that failed, for example ``"torch"``.
        extra: the extra of this distribution that brings it, for example ``"train"``.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'keyboard-lm[{extra}]'")
        self.package = package
        self.extra = extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), (self.package, self.extra)  # so that it can come from another process
