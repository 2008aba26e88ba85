"""From the network in PyTorch to a Core AI asset of several functions.

Each function is exported by `torch.export` and lowered by Apple's `coreai-torch`; weights keep the look-up tables of
the recipe, as `lut_to_dense` operations over packed indices. Differences from the Core ML package, all of them this
converter's: the state is written by a product with one-hot rows (an export with a slice that begins at a computed slot
fails in torch 2.13), and norms divide by their largest value first, since none is fused and fp16 squares overflow.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from keyboard_lm.errors import ConfigError, PackageError
from keyboard_lm.network.config import ModelConfig
from keyboard_lm.quantize.palettes import Palettized
from keyboard_lm_coreml.convert.ane_model import AneModel
from keyboard_lm_coreml.convert.convert import example_inputs
from keyboard_lm_coreml.package import names
from keyboard_lm_coreml.package.contract import Contract
from keyboard_lm_coreml.package.core_ai_versions import CONVERTER, CORE, require_core_ai

PACKED_BITS = (1, 2, 4, 6, 8)  # coreai-torch accepts tables of 3 bits and then has no packing for their indices


def convert_asset(
    config: ModelConfig,
    weights: Mapping[str, NDArray[np.float32]],
    palettes: Mapping[str, Palettized],
    contract: Contract,
    path: Path,
    *,
    num_head_parts: int = 1,
    shrink: float = 1.0,
    is_half: bool = True,
    about: Callable[[Any], None] = lambda _: None,
    on_stage: Callable[[str], None] = lambda _: None,
) -> None:
    """Write the asset of a network.

    Args:
        config: the network's shape.
        weights: what the network computes with, by OpenELM's names.
        palettes: those with look-up tables, by the name that `AneModel` has for them.
        contract: its functions and slots.
        path: the `.aimodel` to write.
        num_head_parts: see `AneModel`.
        shrink: see `AneModel`.
        is_half: inputs, state and arithmetic in fp16, as in a Core ML package; else fp32.
        about: fills in the asset's metadata.
        on_stage: told what is being done.

    Raises:
        MissingExtraError: the wheels are not installed.
        KeyboardLMError: they are of other versions.
        ConfigError: a table has indices of a width that the converter cannot pack.
        PackageError: the converter fails.
    """
    require_core_ai(CORE, CONVERTER)
    for name, palette in palettes.items():
        if palette.bits not in PACKED_BITS:
            raise ConfigError(
                f"{name}: coreai-torch cannot pack indices of {palette.bits} bits; choose {PACKED_BITS} in the recipe"
            )
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), torch.no_grad():  # it announces itself
            warnings.simplefilter("ignore")
            from coreai_torch import TorchConverter, get_decomp_table

            importlib.import_module("coreai_torch._compression.custom_layers")  # registers lut_to_dense
            model = AneModel(config, contract.num_slots, num_head_parts, shrink, is_blended=True, is_scaled=True)
            model.load({name: torch.from_numpy(value) for name, value in weights.items()})
            model = model.eval().half() if is_half else model.eval()
            _put_tables(model, palettes, is_half)
            # Its other mode writes the paths of source files on this machine into the asset.
            converter = TorchConverter(mode=TorchConverter.Mode.RELEASE)
            for entry in contract.entries:
                on_stage(f"converting {entry.name}")
                model.set_num_tokens(entry.num_tokens)
                inputs = {
                    name: value.half() if is_half and value.is_floating_point() else value
                    for name, value in example_inputs(config, entry, contract.num_slots).items()
                }
                exported = torch.export.export(model, tuple(inputs.values())).run_decompositions(get_decomp_table())
                converter.add_exported_program(
                    exported, input_names=list(inputs), output_names=[names.LOGITS], state_names=[names.STATE],
                    entrypoint_name=entry.name,
                )  # fmt: skip
            asset = converter.to_coreai().save_asset(path)
            asset.update_metadata(about)
    except Exception as error:  # torch.export's and the converter's errors have no common base
        what = " ".join(str(error).split())[:200]
        raise PackageError(f"coreai-torch cannot convert the network ({what}); report this") from error


class _Table(nn.Module):
    """A weight as indices into tables, of which the converter makes one operation.

    It finds the two by the names of these buffers.
    """

    indices: Tensor
    lut: Tensor

    def __init__(self, indices: Tensor, lut: Tensor) -> None:
        super().__init__()
        self.register_buffer("indices", indices)
        self.register_buffer("lut", lut)

    def forward(self, _: Tensor) -> Tensor:
        dense: Tensor = torch.ops.coreai.lut_to_dense(self.indices, self.lut, 0)
        return dense


def _put_tables(model: AneModel, palettes: Mapping[str, Palettized], is_half: bool) -> None:
    modules = dict(model.named_modules())
    for name, palette in palettes.items():
        module = modules[name.removesuffix(".weight")]
        weight = module.weight
        indices = torch.from_numpy(palette.codes).reshape(weight.shape)
        tables = palette.tables.astype(np.float16 if is_half else np.float32)
        lut = torch.from_numpy(tables).reshape(len(tables), *(1,) * (weight.ndim - 1), -1, 1)  # (G, 1, ..., 2^bits, 1)
        nn.utils.parametrize.register_parametrization(module, "weight", _Table(indices, lut), unsafe=True)
