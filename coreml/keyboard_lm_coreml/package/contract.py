"""Whether a package is one of this project's keyboards: its functions, shapes and digests."""

from __future__ import annotations

from dataclasses import dataclass

from keyboard_lm.errors import PackageError
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.config import ModelConfig
from keyboard_lm_coreml.package import names
from keyboard_lm_coreml.package.package import Package
from keyboard_lm_coreml.package.program import Feature


@dataclass(frozen=True)
class Entry:
    """One function that the backend may call.

    Attributes:
        name: the function's name.
        num_tokens: T.
        is_prefill: it returns the logits of one token, which an input chooses.
    """

    name: str
    num_tokens: int
    is_prefill: bool


@dataclass(frozen=True)
class Contract:
    """What a keyboard's package offers.

    Attributes:
        entries: its functions, fewest tokens first.
        num_slots: S, slots of the state.
    """

    entries: tuple[Entry, ...]
    num_slots: int


def read_contract(package: Package, config: ModelConfig) -> Contract:
    """Check a package's interface against the network it should hold.

    Raises:
        PackageError: a function, an input, an output or the state is missing or has another type or shape.
    """
    entries: list[Entry] = []
    num_slots = 0
    for name in package.function_names:
        tokens = names.num_tokens(name)
        if tokens is None or name not in package.interfaces:
            raise PackageError(f"{package.path}: function '{name}' is none of a keyboard's; export the package anew")
        interface = package.interfaces[name]
        states = {state.name: state for state in interface.states}
        if names.STATE not in states or len(states[names.STATE].shape) != 4:
            raise PackageError(f"{package.path}: function {name} has no state '{names.STATE}'; export the package anew")
        slots = states[names.STATE].shape[2]
        if num_slots not in (0, slots):
            raise PackageError(f"{package.path}: function {name} has {slots} slots, others {num_slots}")
        num_slots = slots
        is_prefill = name.startswith("prefill")
        rows = 2 * sum(config.num_kv_heads)
        wanted = {
            names.TOKEN_IDS: (1, tokens),
            names.POSITION: (1,),
            names.MASK: (1, 1, tokens, slots),
            names.ROPE: (tokens, 2 * config.head_dim),
            **({names.ROW: (1, 1, tokens)} if is_prefill else {}),
            names.LOGITS: (1, 1 if is_prefill else tokens, config.vocab_size),
            names.STATE: (1, rows, slots, config.head_dim),
        }
        _check_shapes(package, name, wanted, (*interface.inputs, *interface.outputs, *interface.states))
        entries.append(Entry(name, tokens, is_prefill))
    if not any(entry.num_tokens == 1 for entry in entries):
        raise PackageError(f"{package.path}: no function for a single token; export it with one")
    entries.sort(key=lambda entry: (entry.num_tokens, entry.is_prefill))
    return Contract(tuple(entries), num_slots)


def check_digests(package: Package, checkpoint: Checkpoint) -> None:
    """Check that a package was made from a checkpoint.

    Raises:
        PackageError: it was made with another tokenizer, from another model, or does not say.
    """
    found = package.metadata.user
    if found.get(names.META_FORMAT) != str(names.PACKAGE_FORMAT):
        raise PackageError(f"{package.path}: not a package of this version; run: keyboard-lm export-coreml")
    if found.get(names.META_TOKENIZER) != checkpoint.tokenizer.digest:
        raise PackageError(
            f"{package.path} was made with another tokenizer than {checkpoint.folder} has; keep a package in the "
            "folder it was exported to"
        )
    if found.get(names.META_CHECKPOINT) != checkpoint.digest:
        raise PackageError(
            f"{package.path} was made from another model than {checkpoint.folder}; run: keyboard-lm export-coreml"
        )


def _check_shapes(
    package: Package, function: str, wanted: dict[str, tuple[int, ...]], features: tuple[Feature, ...]
) -> None:
    found = {feature.name: feature for feature in features}
    for name, shape in wanted.items():
        if name not in found:
            raise PackageError(f"{package.path}: function {function} has no '{name}'; export the package anew")
        if found[name].shape != shape:
            raise PackageError(
                f"{package.path}: '{name}' of function {function} is {found[name].shape}, the network's is {shape}: "
                "it belongs to another model"
            )
    extra = sorted(set(found) - set(wanted))
    if extra:
        raise PackageError(f"{package.path}: function {function} has an unknown '{extra[0]}'; export the package anew")
