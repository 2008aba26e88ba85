"""`keyboard-lm federate`: rounds of federated learning, with a ledger of what they tell about a writer."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keyboard_lm.cli.training_run import require_training_extra
from keyboard_lm.errors import MissingExtraError

if TYPE_CHECKING:
    from keyboard_lm_training.federated.ledger import Epsilons
    from keyboard_lm_training.federated.server import RoundReport

_OPTIONS = (
    click.option("--rounds", type=int, help="Rounds in all."),
    click.option("--clients-per-round", type=int, help="Writers asked in a round."),
    click.option("--participation-cap", type=int, help="Rounds one writer may be asked in, over the whole run."),
    click.option("--clip-norm", type=float, help="Bound on the norm of one writer's change (C)."),
    click.option(
        "--noise-multiplier",
        type=float,
        help="Noise on the sum, over C (z).  [default: the least that keeps --epsilon]",
    ),
    click.option("--epsilon", type=float, help="The budget; a round that would pass it is refused."),
    click.option("--delta", type=float, help="Chance that the promise does not hold."),
    click.option(
        "--assumption",
        type=click.Choice(["participation", "every_round", "poisson"]),
        help="Which of the ledger's statements the budget holds.",
    ),
    click.option("--rank", type=int, help="Of the adapters."),
    click.option("--factors", type=click.Choice(["up", "both"]), help="Learn one factor of each adapter, or both."),
    click.option("--local-rate", type=float, help="Learning rate on a device."),
    click.option("--local-epochs", type=int, help="Passes over a writer's text."),
    click.option("--seq-len", type=int, help="Tokens of one local step."),
    click.option("--max-tokens", type=int, help="Of a writer's text that are used."),
    click.option("--precision", type=click.Choice(["bf16", "fp32"]), help="Of a device's matrix products."),
    click.option("--server-rate", type=float, help="Factor on the mean change."),
    click.option("--server-momentum", type=float, help="Share of the last step that the next one keeps."),
    click.option("--reply-seconds", type=float, help="How long a round waits for its writers."),
    click.option("--seed", type=int, help="Of the adapters' fixed factor; nothing else is drawn by it."),
)


def _federated_options(function: Any) -> Any:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.command(context_settings={"show_default": True})
@click.option(
    "--model", "model_folder", type=click.Path(path_type=Path), help="The checkpoint that every device has.  "
    "[default: the bundled one]",
)  # fmt: skip
@click.option(
    "--writers", type=click.Path(path_type=Path), multiple=True, required=True,
    help="Text, plain or .xz: each dialogue (a blank line ends it) stands for one writer. May be repeated.",
)  # fmt: skip
@click.option(
    "-o", "--output", "run_folder", type=click.Path(path_type=Path), required=True, help="Where the run is kept."
)
@click.option(
    "--runtime", type=click.Choice(["in-process", "simulation", "app"]), default="in-process",
    help="One device after the other here; Flower's simulation on Ray; or only write a Flower app for a SuperLink.",
)  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1), default=2, help="Ray processes of --runtime simulation.")
@click.option("--secure", "is_secure", is_flag=True, help="Sum by SecAgg+, so that the server sees no single change.")
@click.option("--no-privacy", is_flag=True, help="No noise and no promise: what noise costs is measured against this.")
@_federated_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    model_folder: Path | None,
    writers: tuple[Path, ...],
    run_folder: Path,
    runtime: str,
    workers: int,
    is_secure: bool,
    no_privacy: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Improve a model by what writers' devices learn, without their text.

    Low-rank adapters go out, clipped changes come back, and Gaussian noise goes on their sum. The run folder's
    ledger.jsonl states epsilon under several assumptions and refuses a round over the budget. Run the same command
    again to go on.
    docs/federated.md says what a phone would do, and what this simulation cannot show.
    """
    require_training_extra()
    _require_federated_extra()
    from keyboard_lm_training.federated.options import FederatedConfig, Site
    from keyboard_lm_training.federated.writers import load_writers

    from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder

    given = {name: value for name, value in options.items() if value is not None}
    if no_privacy:
        if "epsilon" in given or given.get("noise_multiplier"):
            raise click.UsageError("--no-privacy takes neither --epsilon nor --noise-multiplier")
        given |= {"epsilon": None, "noise_multiplier": 0.0}
    config = FederatedConfig(is_secure=is_secure, **given)
    model = (model_folder or bundled_folder()).resolve()
    texts = tuple(str(path.resolve()) for path in writers)
    site = Site(str(model), texts, len(load_writers(texts)), str(run_folder.resolve()))
    Checkpoint.load(model)
    if runtime == "app":
        from keyboard_lm_training.federated.app_folder import RUN_FOLDER, write_app

        site = Site(site.model, texts, site.population, str(run_folder.resolve() / RUN_FOLDER))
        write_app(run_folder, site, config)
        click.echo(f"{run_folder}: a Flower app for {site.population:,} writers")
        click.echo(f"next: flwr run {run_folder} NAME-OF-YOUR-SUPERLINK (docs/federated.md)", err=True)
        return
    run_config = {**site.to_run_config(), **config.to_run_config()}
    _run(runtime, run_config, site.population, workers)
    checkpoint = Checkpoint.load(run_folder / "checkpoint")
    record = checkpoint.record()["federated"]
    if as_json:
        click.echo(
            json.dumps(
                {
                    "checkpoint": str(checkpoint.folder), "digest": checkpoint.digest, "rounds": record["rounds_done"],
                    "noise_multiplier": record["noise_multiplier"], "epsilon": record["epsilon_spent"],
                }
            )
        )  # fmt: skip
        return
    click.echo(f"{checkpoint.folder}: {record['rounds_done']} rounds, {_epsilon_text(record['epsilon_spent'])}")
    click.echo(f"next: keyboard-lm export-onnx {checkpoint.folder}", err=True)


def _require_federated_extra() -> None:
    os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # read when flwr is imported; it reports every start otherwise
    try:
        import dp_accounting  # noqa: F401
        import flwr  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(error.name or "flwr", "federated") from None


def _run(runtime: str, run_config: dict[str, Any], population: int, workers: int) -> None:
    from keyboard_lm_training.federated.client_app import client_app
    from keyboard_lm_training.federated.devices import OwnDevices
    from keyboard_lm_training.federated.in_process import run_in_process
    from keyboard_lm_training.federated.server_app import server_app
    from keyboard_lm_training.federated.simulation import run_simulation_on_ray

    def report(done: RoundReport) -> None:
        lost = f", {done.failures[0]}" if done.failures else ""
        click.echo(
            f"round {done.round_number}: {done.num_replies} of {done.num_asked} writers{lost}; "
            f"{_epsilon_text(done.epsilons)}",
            err=True,
        )

    if runtime == "in-process":
        run_in_process(server_app(None, report, OwnDevices), client_app(), population, run_config)
    else:
        run_simulation_on_ray(run_config, workers, report)
    sys.stderr.flush()


def _epsilon_text(epsilons: Epsilons | dict[str, dict[str, float | None]]) -> str:
    def said(value: float | None) -> str:
        return "no bound" if value is None or value == float("inf") else f"{value:.3f}"

    return "epsilon " + ", ".join(
        f"{said(value)} at delta {delta} ({assumption})"
        for assumption, by_delta in epsilons.items()
        for delta, value in list(by_delta.items())[:1]
    )
