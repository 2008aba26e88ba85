"""Flower's server app: the rounds, and the checkpoint at their end."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from keyboard_lm import __version__
from keyboard_lm.files import write_text_whole
from keyboard_lm.network.checkpoint import Checkpoint, save_checkpoint
from keyboard_lm_training.federated.accounting import ASSUMPTIONS
from keyboard_lm_training.federated.devices import Devices, NamedDevices, OwnDevices
from keyboard_lm_training.federated.exchange import Exchange, PlainExchange
from keyboard_lm_training.federated.ledger import LEDGER_FILE, LedgerTerms, PrivacyLedger, finite
from keyboard_lm_training.federated.local_training import AdaptedNetwork
from keyboard_lm_training.federated.options import FederatedConfig, Site
from keyboard_lm_training.federated.secure_exchange import SecureExchange
from keyboard_lm_training.federated.server import FederatedServer, RoundReport
from keyboard_lm_training.run.run_log import RunLog

CHECKPOINT_FOLDER = "checkpoint"
RUN_FILE = "run.json"


def train_rounds(
    grid: Grid,
    site: Site,
    config: FederatedConfig,
    report: Callable[[RoundReport], None] = lambda round_report: None,
    devices_on: Callable[[Grid], Devices] = OwnDevices,
) -> Checkpoint:
    """Run the rounds that are left and write the merged checkpoint.

    Args:
        grid: Flower's.
        site: see `Site`.
        config: see `FederatedConfig`.
        report: called after every round.
        devices_on: says which writers the grid's nodes stand for.

    Raises:
        PrivacyBudgetError: a round would pass the budget; the rounds before it are kept in the run folder.
        TrainingError: the folder belongs to another run, nobody answers, or something cannot be saved.
    """
    folder = Path(site.output)
    checkpoint = Checkpoint.load(Path(site.model))
    adapted = AdaptedNetwork(checkpoint, config)
    terms = LedgerTerms(
        checkpoint.digest, site.population, config.participation_cap, config.epsilon, config.delta,
        config.assumption,
    )  # fmt: skip
    ledger = PrivacyLedger(folder / LEDGER_FILE, terms)
    try:
        server = FederatedServer(config, folder, adapted.vector(), ledger)
        write_text_whole(folder / RUN_FILE, json.dumps({"federated": config.to_dict()}, indent=2) + "\n")
        devices = devices_on(grid)
        exchange: Exchange = (
            SecureExchange(devices, config.reply_seconds)
            if config.is_secure
            else PlainExchange(devices, config.reply_seconds)
        )
        log = RunLog(folder, ledger.num_rounds)

        def note(done: RoundReport) -> None:
            log.write(
                {
                    "step": done.round_number, "asked": done.num_asked, "replies": done.num_replies,
                    "step_norm": round(done.signal_norm, 6), "epsilon": finite(done.epsilons),
                }
            )  # fmt: skip
            report(done)

        try:
            server.run(exchange, note)
        finally:
            log.close()
        record = {
            "keyboard_lm_version": __version__,
            "initial": {"digest": checkpoint.digest, "record": checkpoint.record()},
            "federated": {
                **config.to_dict(),
                "noise_multiplier": ledger.least_noise_multiplier,
                "writers": terms.population,
                "rounds_done": ledger.num_rounds,
                "epsilon_spent": finite(ledger.epsilons()),
                "assumptions": dict(ASSUMPTIONS),
            },
        }
        weights = adapted.merged_weights(server.vector)
        return save_checkpoint(folder / CHECKPOINT_FOLDER, checkpoint.config, checkpoint.tokenizer, weights, record)
    finally:
        ledger.close()


def server_app(
    defaults: Mapping[str, Any] | None = None,
    report: Callable[[RoundReport], None] = lambda round_report: None,
    devices_on: Callable[[Grid], Devices] = NamedDevices,
) -> ServerApp:
    """Return the app.

    Args:
        defaults: the run's options, for ways of running that give the server none.
        report: called after every round.
        devices_on: says which writers the grid's nodes stand for.
    """

    def main(grid: Grid, context: Context) -> None:
        run_config = {**(defaults or {}), **context.run_config}
        train_rounds(
            grid, Site.from_run_config(run_config), FederatedConfig.from_run_config(run_config), report, devices_on
        )

    flower_app = ServerApp()
    flower_app.main()(main)
    return flower_app


app = server_app()
