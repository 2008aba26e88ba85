"""The recipe of a corpus: its sources, their weights, and every option that changes the result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from keyboard_lm.errors import ConfigError
from keyboard_lm.tables import fitting_fields, parse_toml
from keyboard_lm_training.corpus.clean import CleanOptions
from keyboard_lm_training.corpus.dedup import DedupOptions
from keyboard_lm_training.corpus.sources import SourceRecipe
from keyboard_lm_training.corpus.tokenizer_training import TokenizerOptions

PER_TOKEN = "per_token"
SHARE = "share"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A corpus as data.

    Attributes:
        name: what the corpus is called.
        sources: at least one.
        weights: what a source's weight means. ``per_token``: how often each of its tokens is drawn, relative to the
            other sources. ``share``: its part of the whole mixture, whatever its size.
        heldout_fraction: share of documents, by the hash of their text, that no training sees.
        seed: of the sample that the tokenizer is trained on.
        clean: what is dropped.
        dedup: what counts as a duplicate.
        tokenizer: how the tokenizer is trained.

    Raises:
        ConfigError: on construction, listing every mistake.
    """

    name: str
    sources: tuple[SourceRecipe, ...]
    weights: str = PER_TOKEN
    heldout_fraction: float = 0.01
    seed: int = 0
    clean: CleanOptions = field(default_factory=CleanOptions)
    dedup: DedupOptions = field(default_factory=DedupOptions)
    tokenizer: TokenizerOptions = field(default_factory=TokenizerOptions)

    def __post_init__(self) -> None:
        mistakes = self._mistakes()
        if mistakes:
            raise ConfigError(f"recipe {self.name}: " + "; ".join(mistakes))

    def _mistakes(self) -> list[str]:
        found = []
        if not self.sources:
            found.append("it has no source; add a [[source]] table")
        if self.weights not in (PER_TOKEN, SHARE):
            found.append(f"weights must be {PER_TOKEN!r} or {SHARE!r}, not {self.weights!r}")
        if not 0 <= self.heldout_fraction < 1:
            found.append(f"heldout_fraction must be at least 0 and below 1, not {self.heldout_fraction}")
        if self.seed < 0:
            found.append(f"seed must not be negative, not {self.seed}")
        names = [source.name for source in self.sources]
        found += [f"two sources are called {name!r}" for name in sorted({n for n in names if names.count(n) > 1})]
        found += [f"[[source]] {source.name or '?'}: {text}" for source in self.sources for text in source.mistakes()]
        for section in ("clean", "dedup", "tokenizer"):
            found += [f"[{section}] {text}" for text in getattr(self, section).mistakes()]
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as the manifest holds them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Return the recipe that `to_dict` gave the values of."""
        kinds = {"clean": CleanOptions, "dedup": DedupOptions, "tokenizer": TokenizerOptions}
        sections = {name: kind(**values[name]) for name, kind in kinds.items()}
        sources = tuple(SourceRecipe(**source) for source in values["sources"])
        return cls(**{**values, **sections, "sources": sources})

    @classmethod
    def from_inputs(cls, inputs: Sequence[str]) -> Recipe:
        """Return a recipe of equal weights for files, patterns and ``hf:OWNER/NAME`` datasets.

        Raises:
            ConfigError: there is no input.
        """
        sources: list[SourceRecipe] = []
        for text in inputs:
            dataset = text.removeprefix("hf:") if text.startswith("hf:") else ""
            stem = (dataset or Path(text).name).replace("/", "-").split(".")[0]
            name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in stem).strip("_") or "text"
            taken = sum(source.name == name or source.name.startswith(f"{name}-") for source in sources)
            name = f"{name}-{taken + 1}" if taken else name
            sources.append(SourceRecipe(name, dataset=dataset, path="" if dataset else text))
        return cls("inputs", tuple(sources))

    @classmethod
    def from_toml(cls, text: str, where: str) -> Recipe:
        """Parse a recipe.

        Args:
            text: TOML; the fields of `Recipe` at the top, the tables ``[clean]``, ``[dedup]`` and ``[tokenizer]``, and
                one ``[[source]]`` table per source.
            where: the file's name, for messages.

        Raises:
            ConfigError: not TOML, or unknown, missing or invalid keys; all are listed.
        """
        values = parse_toml(text, where)
        mistakes: list[str] = []
        sources = values.pop("source", [])
        if not isinstance(sources, list):
            mistakes.append("source must be an array of tables, [[source]]")
            sources = []
        sections = {name: values.pop(name, {}) for name in ("clean", "dedup", "tokenizer")}
        top = fitting_fields(cls, values, mistakes, skip=("sources", *sections))
        built = [
            SourceRecipe(**{"name": "", **fitting_fields(SourceRecipe, source, mistakes, _source_label(source, i))})
            for i, source in enumerate(sources, 1)
        ]
        kinds = {"clean": CleanOptions, "dedup": DedupOptions, "tokenizer": TokenizerOptions}
        options = {
            name: kind(**fitting_fields(kind, sections[name], mistakes, f"[{name}] ")) for name, kind in kinds.items()
        }
        try:
            recipe = cls(**{"name": where, **top, **options, "sources": tuple(built)})
        except ConfigError as error:
            mistakes.append(str(error))
        if mistakes:
            raise ConfigError(f"{where}: " + "; ".join(mistakes))
        return recipe


def load_recipe(name: str) -> Recipe:
    """Read a recipe file, or one that ships with the package by its name.

    Raises:
        ConfigError: no such recipe, or mistakes in it.
    """
    shipped = {
        item.name.removesuffix(".toml"): item
        for item in resources.files(__package__).joinpath("recipes").iterdir()
        if item.name.endswith(".toml")
    }
    if name in shipped:
        return Recipe.from_toml(shipped[name].read_text(encoding="utf-8"), f"{name}.toml")
    try:
        text = Path(name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"no recipe file {name}; name a file or one of: {', '.join(sorted(shipped))}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: the recipe cannot be read ({error})") from None
    return Recipe.from_toml(text, name)


def _source_label(values: object, number: int) -> str:
    name = values.get("name") if isinstance(values, dict) else None
    return f"[[source]] {name or number}: "
