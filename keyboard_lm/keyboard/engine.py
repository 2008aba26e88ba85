"""A checkpoint opened once for many keyboards: they share all but a KV cache, a field and what is learned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from keyboard_lm.backends import DEFAULT_BACKEND, load_backend
from keyboard_lm.backends.protocol import Backend, SharedBackend
from keyboard_lm.correction.candidates import CandidateMemory, CandidateOptions
from keyboard_lm.correction.options import CorrectorOptions
from keyboard_lm.decoding.context import KnownBudget
from keyboard_lm.errors import ConfigError
from keyboard_lm.keyboard.language import load_language
from keyboard_lm.keyboard.options import SessionOptions
from keyboard_lm.keyboard.suggester import Suggester, SuggesterOptions, SuggesterParts
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.personal import PersonalStore
from keyboard_lm.touch.layout import load_layout
from keyboard_lm.words.offensive import OffensiveWords

if TYPE_CHECKING:  # loaded at the first path
    from keyboard_lm.swipe.decoder import SwipeOptions

_Key = tuple[
    str, str, int, CandidateOptions, CorrectorOptions, "SwipeOptions | None", frozenset[str], frozenset[str]
]  # fmt: skip


class Engine:
    """Weights, tokenizer tables, lexicons and memos of one process; to be used from one thread.

    Args:
        checkpoint: the model.
        backend: what runs it, opened.
        options: what keyboards are opened with if nothing else is said.
        memory: of letters being typed, shared by all keyboards; None for one keyboard's.
        remembered_mb: what the network said that all of them together remember; None for no bound but each one's own.

    Attributes:
        checkpoint: as given.
        options: as given.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        backend: Backend,
        options: SessionOptions,
        memory: CandidateMemory | None = None,
        remembered_mb: float | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.options = options
        self._backend = backend
        self._is_taken = False
        self._memory = memory
        self._budget = KnownBudget(int(remembered_mb * 2**20)) if remembered_mb is not None else None
        self._parts: dict[_Key, SuggesterParts] = {}

    @classmethod
    def open(
        cls,
        folder: Path | None = None,
        backend: str = DEFAULT_BACKEND,
        num_threads: int | None = None,
        memory: CandidateMemory | None = None,
        remembered_mb: float | None = None,
    ) -> Engine:
        """Open a checkpoint; None is the bundled model.

        Args:
            folder: of the checkpoint.
            backend: what runs the network.
            num_threads: of one step; None for the backend's choice.
            memory: see the class.
            remembered_mb: see the class.

        Raises:
            KeyboardLMError: the checkpoint or the backend; the message says what to do.
        """
        checkpoint = Checkpoint.load(folder or bundled_folder())
        network = load_backend(backend, checkpoint, num_threads=num_threads)
        options = SessionOptions(backend=backend, num_threads=num_threads)
        return cls(checkpoint, network, options, memory, remembered_mb)

    @property
    def config(self) -> ModelConfig:
        """The network's shape."""
        return self.checkpoint.config

    def suggester(self, options: SessionOptions | None = None, personal: PersonalStore | None = None) -> Suggester:
        """Return what makes the bars of one keyboard, with a KV cache of its own.

        Args:
            options: of the keyboard; None for those of the engine.
            personal: what was learned from the writer; None for nothing.

        Raises:
            ConfigError: no such language or layout, another backend, or one whose weights cannot be shared.
        """
        options = options or self.options
        if (options.backend, options.num_threads) != (self.options.backend, self.options.num_threads):
            raise ConfigError("an engine has one backend and number of threads; open another engine")
        language, layout = load_language(options.language), load_layout(options.layout)
        how = options.suggester or SuggesterOptions()
        made_of = how.search.max_nodes, how.candidates, how.corrector, how.swipe
        key = (options.language, options.layout, *made_of, options.blocked, options.allowed)
        tokenizer = self.checkpoint.tokenizer
        parts = self._parts.get(key)
        if parts is None:
            offensive = OffensiveWords(language.lexicon, options.blocked, options.allowed)
            parts = SuggesterParts.make(tokenizer, language, layout, how, offensive, self._memory)
            self._parts[key] = parts
        return Suggester(
            self._another(), tokenizer, language, layout, personal, how, parts=parts, budget=self._budget
        )  # fmt: skip

    def forget_letters(self) -> None:
        """Drop what is remembered of the letters being typed, after those of a private field."""
        for parts in self._parts.values():
            parts.candidates.forget()

    def _another(self) -> Backend:
        if not self._is_taken:
            self._is_taken = True
            return self._backend
        if not isinstance(self._backend, SharedBackend):
            raise ConfigError(f"the {self._backend.name} backend runs one keyboard; use: --backend {DEFAULT_BACKEND}")
        return self._backend.another()
