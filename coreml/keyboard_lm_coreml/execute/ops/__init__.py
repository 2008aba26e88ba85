"""Implementations of MIL's operations in numpy, by MIL's names."""

from __future__ import annotations

from keyboard_lm_coreml.execute.ops import elementwise, matrix, movement, reduction
from keyboard_lm_coreml.execute.ops.kernel import Builder

BUILDERS: dict[str, Builder] = {
    **elementwise.BUILDERS,
    **matrix.BUILDERS,
    **movement.BUILDERS,
    **reduction.BUILDERS,
}
