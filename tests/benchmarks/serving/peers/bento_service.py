"""The engine behind BentoML: `bentoml serve bento_service:Keyboard` in an environment of its own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import bentoml

from keyboard_lm.keyboard.bar import Request
from keyboard_lm.keyboard.engine import Engine


@bentoml.service(workers=1)
class Keyboard:
    def __init__(self) -> None:
        self.suggester = Engine.open(num_threads=1).suggester()

    @bentoml.api(route="/v1/suggest")
    def suggest(self, text: str) -> dict[str, Any]:
        return asdict(self.suggester.answer(Request(text)))
