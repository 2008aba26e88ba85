"""Personalisation: words and phrases learned from what one user commits, mixed with the language model."""

from __future__ import annotations

from keyboard_lm.personal.file import PersonalStoreError
from keyboard_lm.personal.model import PersonalOptions
from keyboard_lm.personal.store import PersonalStore, PersonalView, Source

__all__ = ["PersonalOptions", "PersonalStore", "PersonalStoreError", "PersonalView", "Source"]
