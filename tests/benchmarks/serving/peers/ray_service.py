"""The engine behind Ray Serve: `python ray_service.py PORT` in an environment of its own."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import asdict
from typing import Any

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray
from ray import serve
from starlette.requests import Request as HttpRequest

from keyboard_lm.keyboard.bar import Request
from keyboard_lm.keyboard.engine import Engine


@serve.deployment(num_replicas=1, ray_actor_options={"num_cpus": 1})
class Keyboard:
    def __init__(self) -> None:
        self.suggester = Engine.open(num_threads=1).suggester()

    async def __call__(self, request: HttpRequest) -> dict[str, Any]:
        body = await request.json()
        return asdict(self.suggester.answer(Request(body["text"])))


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Keyboard.bind(), route_prefix="/v1/suggest")
    while True:
        time.sleep(60)
