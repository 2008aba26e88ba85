"""The type of options that are amounts: numbers within bounds, and no `nan`, which is neither below nor above them."""

from __future__ import annotations

import math
from typing import Any

import click


class Amount(click.FloatRange):
    """Like `click.FloatRange`, without `nan`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number.

        Raises:
            BadParameter: it is none, or out of bounds.
        """
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number
