"""What a package says about itself to people and to programs that open it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from keyboard_lm import __version__
from keyboard_lm.network.checkpoint import Checkpoint
from keyboard_lm.network.config import ModelConfig
from keyboard_lm_coreml.convert.convert import import_coremltools
from keyboard_lm_coreml.convert.recipe import Recipe
from keyboard_lm_coreml.package import names
from keyboard_lm_coreml.package.contract import Contract

LICENCE = "Apache-2.0"
_AUTHOR = "keyboard-lm"
_MODEL_FILE = Path("Data/com.apple.CoreML/model.mlmodel")

_SENTENCES: Mapping[str, str] = {
    names.TOKEN_IDS: "The new tokens; behind their end, any ids.",
    names.POSITION: "Slot of the first new token: they are written there and into the slots that follow.",
    names.MASK: "Added to the attention scores of each new token over the slots: 0 where it may look, else -10000.",
    names.ROPE: "Each new token's rotary row: the cosines of its position's angles, then the sines.",
    names.ROW: "1 at the token whose logits are wanted, 0 elsewhere.",
    names.LOGITS: "Scores of each piece of the vocabulary as the next token; a softmax makes them probabilities.",
    names.STATE: "Keys and values of all layers by slot; shared by all functions, rewound by a smaller position.",
}


def sentence(config: ModelConfig, contract: Contract) -> str:
    """Return what a network is, in one sentence."""
    return (
        f"Next-word prediction for a keyboard: OpenELM, {config.num_parameters / 1e6:.1f} M parameters, "
        f"{config.num_transformer_layers} layers of {config.model_dim}, {config.vocab_size} pieces, "
        f"{contract.num_slots} slots."
    )


def describe(path: Path, checkpoint: Checkpoint, contract: Contract, recipe: Recipe, target: str) -> None:
    """Write a package's metadata into it: the model, its licence and digests, a sentence for each feature.

    Args:
        path: the package.
        checkpoint: what it was made from.
        contract: its functions and slots.
        recipe: how its weights are stored.
        target: the oldest system that runs it.
    """
    tools = import_coremltools()
    spec = tools.utils.load_spec(str(path))
    config = checkpoint.config
    about = spec.description.metadata
    about.shortDescription = sentence(config, contract)
    about.author, about.license, about.versionString = _AUTHOR, LICENCE, __version__
    values = {
        names.META_FORMAT: str(names.PACKAGE_FORMAT),
        names.META_CHECKPOINT: checkpoint.digest,
        names.META_TOKENIZER: checkpoint.tokenizer.digest,
        names.META_RECIPE: recipe.name,
        names.META_TARGET: target,
        names.META_SLOTS: str(contract.num_slots),
        names.META_CONVERTER: f"coremltools {tools.__version__}",
    }
    for key, value in values.items():
        about.userDefined[key] = value
    for function in spec.description.functions:
        for feature in (*function.input, *function.output, *function.state):
            feature.shortDescription = _SENTENCES[feature.name]
    (path / _MODEL_FILE).write_bytes(spec.SerializeToString())
    (path / _MODEL_FILE).chmod(0o644)  # coremltools makes it private
