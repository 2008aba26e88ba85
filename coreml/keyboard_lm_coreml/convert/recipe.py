"""Recipes: which tensor of a network is stored how, as TOML.

    importance = true                               # weigh errors by how much each input is used
    compensation = true                             # let later columns make up for the errors of earlier ones

    [[tensors]]
    match = "transformer.token_embeddings.weight"   # OpenELM's name; * stands for any characters
    bits = 6                                        # 1, 2, 3, 4, 6 or 8 with look-up tables, 16 for fp16
    group_size = 64                                 # rows that share a table, 0 for all

The first rule whose `match` fits decides; a matrix that none fits is stored in fp16, as are all norms.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path

from keyboard_lm.errors import ConfigError
from keyboard_lm.quantize.palettes import BITS
from keyboard_lm.tables import fitting_fields, parse_toml

SHIPPED_BITS = (4, 6, 8, 16)  # --bits; each has a recipe file
UNCOMPRESSED_BITS = 16


@dataclass(frozen=True)
class Rule:
    """How the matrices of some names are stored.

    Attributes:
        match: OpenELM tensor name, with * for any characters.
        bits: of an index into a look-up table; 16 for fp16 without one.
        group_size: rows that share a table; 0 for all.
    """

    match: str
    bits: int
    group_size: int = 0

    def mistakes(self) -> list[str]:
        """Return what makes no sense, one line each."""
        found = []
        if self.bits not in (*BITS, UNCOMPRESSED_BITS):
            found.append(f"bits must be one of {', '.join(map(str, BITS))} or 16, not {self.bits!r}")
        if self.group_size < 0:
            found.append(f"group_size must be a number of rows, 0 for all, not {self.group_size!r}")
        return found


@dataclass(frozen=True)
class Recipe:
    """How a network is stored.

    Attributes:
        name: of the file, for reports.
        rules: the first that fits decides.
        importance: weigh a weight's error by the mean square of the input that it multiplies.
        compensation: see `compensate`.
    """

    name: str
    rules: tuple[Rule, ...]
    importance: bool = True
    compensation: bool = True

    def rule_for(self, tensor: str) -> Rule | None:
        """Return the rule for a matrix, or None if it stays fp16."""
        rule = next((rule for rule in self.rules if fnmatchcase(tensor, rule.match)), None)
        return None if rule is None or rule.bits == UNCOMPRESSED_BITS else rule


def shipped_recipe(bits: int) -> Recipe:
    """Return the recipe that ships for a number of bits.

    Raises:
        ConfigError: there is none.
    """
    if bits not in SHIPPED_BITS:
        raise ConfigError(f"no recipe for {bits} bits; choose {', '.join(map(str, SHIPPED_BITS))}, or write a recipe")
    name = f"{bits}bit.toml"
    return parse_recipe(resources.files(__package__).joinpath("recipes", name).read_text("utf-8"), name)


def load_recipe(path: Path) -> Recipe:
    """Read a recipe file.

    Raises:
        ConfigError: it cannot be read, or says something that makes no sense; the message lists every mistake.
    """
    try:
        return parse_recipe(path.read_text("utf-8"), str(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); name a recipe file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text; name a recipe file") from None


def parse_recipe(text: str, source: str) -> Recipe:
    """Build a recipe from TOML; `source` is for messages.

    Raises:
        ConfigError: not TOML, or mistakes, all of which are listed.
    """
    values = parse_toml(text, source)
    tables = values.pop("tensors", [])
    if not isinstance(tables, list):
        raise ConfigError(f"{source}: tensors must be a list of tables, each under [[tensors]]")
    mistakes: list[str] = []
    switches = fitting_fields(Recipe, values, mistakes, skip=("name", "rules"))
    rules = []
    for number, table in enumerate(tables, 1):
        before = len(mistakes)
        fitting = fitting_fields(Rule, table, mistakes, f"tensors {number}: ")
        if len(mistakes) == before:
            rules.append(Rule(**fitting))
            mistakes += [f"tensors {number}: {mistake}" for mistake in rules[-1].mistakes()]
    if mistakes:
        raise ConfigError(f"{source}: " + "; ".join(mistakes))
    return Recipe(Path(source).name, tuple(rules), **switches)
