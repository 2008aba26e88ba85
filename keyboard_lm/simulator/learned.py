"""The screen of what the keyboard has learned: words to be forgotten, everything to be exported or cleared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from keyboard_lm.personal import PersonalStore, PersonalStoreError

_HELP = "Delete forgets the word   e exports   i imports   c c clears all   F4 back"
_MOST_WORDS = 1_000  # the most used; a file can hold two hundred times as many
_EXPORT_FILE = "learned.jsonl"  # beside the personal file, or in the current folder where there is none


class LearnedScreen(ModalScreen[None]):
    """Shows the learned words, the most used first.

    Args:
        store: what was learned.
    """

    CSS = """
    LearnedScreen { align: center middle; }
    #words { width: 80%; height: 1fr; border: round #4c566a; }
    #told, #learned-help { height: auto; width: 80%; color: #9aa3b2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f4,escape", "back", "back"),
        Binding("delete,backspace", "forget", "forget"),
        Binding("e", "export", "export"),
        Binding("i", "import", "import"),
        Binding("c", "clear", "clear"),
    ]

    def __init__(self, store: PersonalStore) -> None:
        super().__init__()
        self._store = store
        self._export = (store.path.parent if store.path is not None else Path()) / _EXPORT_FILE
        self._is_clear_asked = False
        self._shown: list[str] = []

    def compose(self) -> ComposeResult:
        """Put the parts on the screen."""
        yield OptionList(id="words")
        yield Static(id="told")
        yield Static(_HELP, id="learned-help")

    def on_mount(self) -> None:
        """Show the words."""
        self._draw("")

    def action_back(self) -> None:
        """Go back to the phone."""
        self.dismiss()

    def action_forget(self) -> None:
        """Forget the word that is chosen."""
        words = self._words
        if words.highlighted is not None:
            word = self._shown[words.highlighted]
            self._do(lambda: self._store.forget(word), f"{word} is forgotten")

    def action_export(self) -> None:
        """Write everything to a file beside the personal one."""
        self._do(lambda: self._store.export(self._export), f"written to {self._export}")

    def action_import(self) -> None:
        """Add what was exported."""
        self._do(lambda: self._store.import_from(self._export), f"{self._export} is added")

    def action_clear(self) -> None:
        """Delete everything, asked twice."""
        if not self._is_clear_asked:
            self._is_clear_asked = True
            self.query_one("#told", Static).update("once more to delete everything")
            return
        self._do(self._store.clear, "everything is deleted")

    def on_option_list_option_highlighted(self) -> None:
        """Whoever looks on does not want to delete everything."""
        self._is_clear_asked = False

    @property
    def _words(self) -> OptionList:
        return self.query_one("#words", OptionList)

    def _do(self, act: Callable[[], object], done: str) -> None:
        try:
            act()
        except PersonalStoreError as error:
            done = str(error)
        self._draw(done)

    def _draw(self, told: str) -> None:
        self._is_clear_asked = False
        words, chosen = self._words, self._words.highlighted or 0
        self._shown = self._store.words(_MOST_WORDS)
        words.clear_options()
        words.add_options([Option(Text(word)) for word in self._shown])
        if self._shown:
            words.highlighted = min(chosen, len(self._shown) - 1)
        self.query_one("#told", Static).update(Text(told or f"{self._store.num_words():,} words learned"))
