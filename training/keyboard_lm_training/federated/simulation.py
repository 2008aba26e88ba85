"""Flower's own simulation: the same apps on Ray, as many devices at once as there are cores."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from functools import partial

from keyboard_lm.errors import MissingExtraError, TrainingError
from keyboard_lm_training.federated.client_app import client_app
from keyboard_lm_training.federated.devices import SeatedDevices
from keyboard_lm_training.federated.options import FederatedConfig, Site
from keyboard_lm_training.federated.server import RoundReport
from keyboard_lm_training.federated.server_app import server_app


def run_simulation_on_ray(
    run_config: Mapping[str, bool | int | float | str],
    num_workers: int,
    report: Callable[[RoundReport], None] = lambda round_report: None,
) -> None:
    """Run the rounds on Ray, on this machine.

    Args:
        run_config: the options, as Flower carries them.
        num_workers: processes that devices take turns in, one core each.
        report: called after every round.

    Raises:
        MissingExtraError: Ray is not installed.
        TrainingError: the simulation failed.
    """
    try:
        import ray
    except ImportError:
        raise MissingExtraError("ray", "federated") from None
    from flwr.simulation import run_simulation

    num_seats = FederatedConfig.from_run_config(run_config).clients_per_round
    is_over = threading.Event()
    devices_on = partial(
        SeatedDevices, population=Site.from_run_config(run_config).population, num_seats=num_seats,
        is_over=is_over.is_set,
    )  # fmt: skip
    # Both report to their makers unless told otherwise.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a device each core: more threads would fight for them
    logging.getLogger("flwr").setLevel(logging.CRITICAL)  # what it logs as errors comes back as errors
    # Without an address Ray joins whatever cluster runs on this machine and refuses `num_cpus` there; Flower's server
    # then waits for devices whose thread has ended.
    init = {"address": "local", "num_cpus": num_workers, "include_dashboard": False, "log_to_driver": False}
    backend = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}, "init_args": init}
    server = server_app(run_config, report, devices_on)
    try:
        run_simulation(server, client_app(run_config), num_seats, backend_name="ray", backend_config=backend)
    except RuntimeError as error:
        raise TrainingError(
            f"Flower's simulation failed ({_first_cause(error)}); --runtime in-process needs no Ray"
        ) from error
    finally:
        is_over.set()  # the server's thread would wait for devices that are gone
        ray.shutdown()


def _first_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0]
