"""Flower's own simulation: the same apps on Ray, as many devices at once as there are cores."""

from __future__ import annotations

import logging
import os

from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from keyboard_lm.errors import MissingExtraError, TrainingError


def run_simulation_on_ray(server_app: ServerApp, client_app: ClientApp, num_nodes: int, num_workers: int) -> None:
    """Run a Flower app on Ray, on this machine.

    Args:
        server_app: the server.
        client_app: what each device runs; it has to carry its options, since this way of running passes none.
        num_nodes: devices.
        num_workers: processes that devices take turns in, one core each.

    Raises:
        MissingExtraError: Ray is not installed.
        TrainingError: the simulation failed.
    """
    try:
        import ray
    except ImportError:
        raise MissingExtraError("ray", "federated") from None
    from flwr.simulation import run_simulation

    # Both report to their makers unless told otherwise.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a device each core: more threads would fight for them
    logging.getLogger("flwr").setLevel(logging.WARNING)
    # Without an address Ray joins whatever cluster runs on this machine and refuses `num_cpus` there; Flower's server
    # then waits for devices whose thread has ended.
    init = {"address": "local", "num_cpus": num_workers, "include_dashboard": False, "log_to_driver": False}
    backend = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}, "init_args": init}
    try:
        run_simulation(server_app, client_app, num_nodes, backend_name="ray", backend_config=backend)
    except RuntimeError as error:
        raise TrainingError(f"Flower's simulation failed ({error}); --runtime in-process needs no Ray") from error
    finally:
        ray.shutdown()
