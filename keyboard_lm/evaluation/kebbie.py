"""An engine in the shape that the kebbie benchmark drives.

kebbie (https://github.com/FleksySDK/kebbie, ``pip install kebbie 'pyarrow<21'``: it asks for NumPy 1, which newer
pyarrow refuses) is not a dependency: `corrector` imports it, this module does not. It types sentences without their
punctuation, word by word after the true words before, and asks before each word, within it and after it:

    import json, kebbie
    from keyboard_lm.evaluation.kebbie import corrector

    if __name__ == "__main__":  # its processes import this file
        lines = open("texts.txt", encoding="utf-8").read().splitlines()
        print(json.dumps(kebbie.evaluate(corrector(), dataset={"texts": lines}), indent=2))
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, cast

from keyboard_lm.backends import DEFAULT_BACKEND
from keyboard_lm.errors import ConfigError, KeyboardLMError
from keyboard_lm.evaluation.engine import Bar, Engine, Taps, finished
from keyboard_lm.evaluation.model_subject import ModelSubject
from keyboard_lm.network.checkpoint import bundled_folder
from keyboard_lm.text.form import TextForm
from keyboard_lm.touch.layout import Tap

NUM_SLOTS = 3  # kebbie looks at the first candidate and at the first three
KEY_SIZE = (32.0, 72.0)  # a letter key of kebbie's layout en-US, whose letter rows begin at (0, 0)

Keystrokes = Sequence[tuple[float, float] | None]  # one for each character; None for a key outside the letter layer


class KebbieCorrector:
    """Answers kebbie's questions with an engine, which is made on the first of them, in the process that asks.

    Every candidate is all of what was typed after the context as it would then stand there: a slot for ``kno`` after
    ``well-`` is ``well-known``.

    Args:
        make_engine: called once in each of kebbie's processes.
        key_size: width and height of a letter key in kebbie's units; None passes no taps on, which is right for a
            `custom_keyboard` that does not have its ``q`` in the top left corner or has keys of several sizes.

    Raises:
        ConfigError: `make_engine` cannot be sent to another process, over which kebbie would wait forever.
    """

    def __init__(self, make_engine: Callable[[], Engine], key_size: tuple[float, float] | None = KEY_SIZE) -> None:
        try:
            pickle.dumps(make_engine)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ConfigError(
                f"kebbie's processes cannot be sent what makes the engine ({error}); use a function that a module "
                "defines at its top level, or ModelSubject(...).engine"
            ) from None
        self._make_engine = make_engine
        self._key_size = key_size
        self._engine: Engine | None = None
        self._context: str | None = None  # before the first question
        self._form = TextForm()

    def __reduce__(self) -> tuple[Callable[..., KebbieCorrector], tuple[object, ...]]:
        return type(self), (self._make_engine, self._key_size)

    def auto_correct(self, context: str, keystrokes: Keystrokes, word: str) -> list[str]:
        """Return what a space would leave of the typed word, which is the word itself if it stays; then the slots."""
        bar = self._bar(context, word, keystrokes)
        # A correction of the words before, which are never wrong, leaves the whole text here: no word, so not right.
        result = finished(self._started(), context + word, self._taps(word, keystrokes), bar).removeprefix(context)
        return list(dict.fromkeys([result, *self._candidates(bar, word)]))

    def auto_complete(self, context: str, keystrokes: Keystrokes, partial_word: str) -> list[str]:
        """Return the slots."""
        return self._candidates(self._bar(context, partial_word, keystrokes), partial_word)

    def predict_next_word(self, context: str) -> list[str]:
        """Return the slots after a context that ends in a space."""
        return list(self._bar(context, "", ()).slots)

    def resolve_swipe(self, context: str, swipe_gesture: Sequence[tuple[float, float]]) -> list[str]:
        """Return nothing: engines take taps alone."""
        return []

    def _bar(self, context: str, typed: str, keystrokes: Keystrokes) -> Bar:
        engine = self._started()
        # A sentence begins with an empty context; after that its context only grows.
        if not context or self._context is None or not context.startswith(self._context):
            engine.start_field()
        self._context = context
        return engine.bar(context + typed, NUM_SLOTS, self._taps(typed, keystrokes))

    def _started(self) -> Engine:
        if self._engine is None:
            self._engine = self._make_engine()
        return self._engine

    def _candidates(self, bar: Bar, typed: str) -> list[str]:
        head = typed[: len(typed) - self._num_under_cursor(typed)]
        return [head + slot for slot in bar.slots]

    def _taps(self, typed: str, keystrokes: Keystrokes) -> Taps:
        word = keystrokes[len(typed) - self._num_under_cursor(typed) :]
        if self._key_size is None or len(keystrokes) != len(typed) or not any(word):
            return ()
        width, height = self._key_size
        return tuple(None if position is None else Tap(position[0] / width, position[1] / height) for position in word)

    def _num_under_cursor(self, typed: str) -> int:
        # The characters of the word under the cursor: a slipped tap or a hyphen may have finished one before it.
        partial = self._form.split_typed(typed).partial
        return len(partial) if typed.endswith(partial) else len(typed)


def corrector(
    make_engine: Callable[[], Engine] | None = None, key_size: tuple[float, float] | None = KEY_SIZE
) -> KebbieCorrector:
    """Return a `KebbieCorrector` that is a `kebbie.Corrector` too, as `kebbie.evaluate` asks.

    Args:
        make_engine: see `KebbieCorrector`; None for the bundled model.
        key_size: see `KebbieCorrector`.

    Raises:
        KeyboardLMError: kebbie cannot be imported.
        ConfigError: `make_engine` cannot be sent to another process.
    """
    bundled = ModelSubject(bundled_folder(), DEFAULT_BACKEND, max_slots=NUM_SLOTS)
    return _kebbie_class()(make_engine or bundled.engine, key_size)


@cache
def _kebbie_class() -> type[KebbieCorrector]:
    try:
        base: Any = importlib.import_module("kebbie").Corrector
    except ImportError as error:
        # kebbie 0.5.1 asks for NumPy 1 and any pyarrow; the newer ones need NumPy 2.
        do = "run: pip install kebbie 'pyarrow<21'"
        raise KeyboardLMError(f"kebbie cannot be imported ({error}); {do}") from error

    def reduce(self: KebbieCorrector) -> tuple[Callable[..., KebbieCorrector], tuple[object, ...]]:
        return corrector, KebbieCorrector.__reduce__(self)[1]  # the class has no name that pickle could look up

    made = type("KebbieCorrector", (KebbieCorrector, base), {"__reduce__": reduce, "__doc__": KebbieCorrector.__doc__})
    return cast(type[KebbieCorrector], made)
