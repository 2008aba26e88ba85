"""Three writers, a tiny network, every part of a round."""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # read when flwr is imported

import numpy as np
import pytest

pytest.importorskip("flwr")
pytest.importorskip("dp_accounting")

from click.testing import CliRunner
from flwr.app import Message
from flwr.cli.build import build_fab_from_disk
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from keyboard_lm_training.federated.app_folder import write_app
from keyboard_lm_training.federated.client_app import client_app
from keyboard_lm_training.federated.devices import Devices, NamedDevices, OwnDevices, SeatedDevices
from keyboard_lm_training.federated.exchange import PlainExchange
from keyboard_lm_training.federated.in_process import Delivery, InProcessGrid
from keyboard_lm_training.federated.ledger import LEDGER_FILE, LedgerTerms, PrivacyLedger
from keyboard_lm_training.federated.local_training import AdaptedNetwork, clipped
from keyboard_lm_training.federated.options import FederatedConfig, Site
from keyboard_lm_training.federated.secure_exchange import SecureExchange, answer_stage, quantization_step
from keyboard_lm_training.federated.secure_noise import secure_normal
from keyboard_lm_training.federated.server import FederatedServer
from keyboard_lm_training.federated.server_app import train_rounds
from keyboard_lm_training.federated.writers import load_writers, token_windows

from keyboard_lm.cli import main
from keyboard_lm.errors import ConfigError, KeyboardLMError, PrivacyBudgetError, TrainingError, WriteError
from keyboard_lm.network.checkpoint import Checkpoint

Change = Callable[[int], Any]
QUIET = {"epsilon": None, "noise_multiplier": 0.0}


@pytest.fixture
def site(tmp_path: Path, tiny_checkpoint: Path, sentences: list[str]) -> Site:
    """Six writers of three messages each."""
    text = tmp_path / "writers.txt"
    text.write_text("\n".join("\n".join(sentences[3 * i : 3 * i + 3]) + "\n" for i in range(6)), encoding="utf-8")
    return Site(str(tiny_checkpoint), (str(text),), 6, str(tmp_path / "run"))


def tiny(**changes: Any) -> FederatedConfig:
    return FederatedConfig(**{"rounds": 2, "clients_per_round": 3, "rank": 2, "local_rate": 0.1, **changes})


def grid_for(site: Site, config: FederatedConfig, lost: Callable[[Delivery], bool] = lambda d: False) -> InProcessGrid:
    run_config = {**site.to_run_config(), **config.to_run_config()}
    return InProcessGrid(client_app(), site.population, run_config, lost)


def test_options_go_through_flower_unchanged(site: Site) -> None:
    for config in (FederatedConfig(), tiny(**QUIET), tiny(is_secure=True, noise_multiplier=2.0)):
        assert FederatedConfig.from_run_config(config.to_run_config()) == config
    assert Site.from_run_config(site.to_run_config()) == site
    with pytest.raises(ConfigError, match="no model, writers, population, output"):
        Site.from_run_config({})
    with pytest.raises(ConfigError, match=r"rounds must .*; clip_norm must"):
        FederatedConfig(rounds=0, clip_norm=-1.0)
    with pytest.raises(ConfigError, match="max_tokens must be 2 or more"):
        FederatedConfig(max_tokens=1)
    with pytest.raises(ConfigError, match="without noise"):
        FederatedConfig(noise_multiplier=0.0)


def test_a_text_in_another_encoding_says_where(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("plain\ncaf\xe9\n".encode("latin-1"))
    with pytest.raises(KeyboardLMError, match=r"latin.txt: byte 10 is not UTF-8; convert"):
        load_writers((str(tmp_path / "latin.txt"),))


def test_a_device_sends_a_change_no_longer_than_asked(site: Site) -> None:
    config = tiny(clip_norm=1e-3)
    network = AdaptedNetwork(Checkpoint.load(Path(site.model)), config)
    start = network.vector()
    windows = token_windows(Checkpoint.load(Path(site.model)).tokenizer, load_writers(site.writers)[0], 64, 256)
    update = network.update(start, windows, config.clip_norm)
    assert update.norm > config.clip_norm >= np.linalg.norm(update.change) > 0.99 * config.clip_norm
    assert np.array_equal(clipped(np.array([np.nan, 1.0], np.float32), 1.0)[0], [0, 0])
    # What changed is what was learned: the text is likelier after it.
    free = network.update(start, windows, 1e9)
    assert network.nats_per_token(start + free.change, windows) < network.nats_per_token(start, windows)


def test_without_noise_a_round_is_the_mean_of_the_changes(site: Site) -> None:
    config = tiny(rounds=1, server_momentum=0.0, **QUIET)
    train_rounds(grid_for(site, config), site, config)
    ledger = [json.loads(line) for line in (Path(site.output) / LEDGER_FILE).read_text().splitlines()]
    checkpoint = Checkpoint.load(Path(site.model))
    network = AdaptedNetwork(checkpoint, config)
    start = network.vector()
    changes = {}
    salted = PrivacyLedger(
        Path(site.output) / LEDGER_FILE, LedgerTerms(checkpoint.digest, 6, 1, None, 1e-5, "participation")
    )
    for number, messages in enumerate(load_writers(site.writers)):
        windows = token_windows(checkpoint.tokenizer, messages, config.seq_len, config.max_tokens)
        changes[salted.hash_of(number + 2)] = network.update(start, windows, config.clip_norm).change
    salted.close()
    expected = start + np.mean([changes[name] for name in ledger[1]["asked"]], axis=0)
    merged = Checkpoint.load(Path(site.output) / "checkpoint")
    for name, value in network.merged_weights(expected).items():
        assert np.allclose(merged.weights()[name], value, atol=2e-3), name
    assert merged.record()["federated"]["epsilon_spent"]["participation"]["1e-05"] is None


def test_a_run_that_stopped_goes_on_and_asks_nobody_twice(site: Site) -> None:
    train_rounds(grid_for(site, tiny(rounds=1)), site, tiny(rounds=1))
    train_rounds(grid_for(site, tiny()), site, tiny())
    entries = [json.loads(line) for line in (Path(site.output) / LEDGER_FILE).read_text().splitlines()]
    first, second = (entry["asked"] for entry in entries if entry["kind"] == "round")
    assert len({*first, *second}) == 6
    with pytest.raises(TrainingError, match="0 of 6 writers may still be asked"):
        train_rounds(grid_for(site, tiny(rounds=3)), site, tiny(rounds=3))


class _Renumbered(InProcessGrid):
    """Nodes with other numbers in every run, as those of Flower's simulation and of SuperNodes that start again."""

    offset = 0

    def get_node_ids(self) -> list[int]:
        return [node + self.offset for node in super().get_node_ids()]

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        sent = list(messages)
        for message in sent:
            message.metadata.dst_node_id -= self.offset
        return super().push_messages(sent)

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        replies = super().pull_messages(message_ids)
        for reply in replies:
            reply.metadata.__dict__["_src_node_id"] += self.offset
        return replies


@pytest.mark.parametrize("is_secure", [False, True])
def test_writers_who_take_seats_change_what_their_own_devices_would(
    site: Site, tmp_path: Path, is_secure: bool
) -> None:
    config = tiny(is_secure=is_secure, **QUIET)
    start = AdaptedNetwork(Checkpoint.load(Path(site.model)), config).vector()
    run_config = {**site.to_run_config(), **config.to_run_config()}
    seats = _Renumbered(client_app(), 3, run_config)
    seats.offset = 0 if is_secure else 500  # SecAgg+ reads its own number off the message
    found = []
    for name, devices in (
        ("own", OwnDevices(grid_for(site, config))), ("seats", SeatedDevices(seats, site.population, 3))
    ):  # fmt: skip
        ledger = PrivacyLedger(tmp_path / name / "ledger", LedgerTerms("", 6, 1, None, 1e-5, "participation"))
        exchange = SecureExchange(devices, 10) if is_secure else PlainExchange(devices, 10)
        server = FederatedServer(config, tmp_path / name, start, ledger, choose=lambda fresh, n: sorted(fresh)[:n])
        server.run(exchange)
        ledger.close()
        found.append(server.vector)
    assert np.abs(found[0] - start).max() > 0
    assert np.allclose(found[0], found[1], atol=1e-5 if is_secure else 0)


def test_the_ledger_knows_writers_whatever_node_speaks_for_them(site: Site) -> None:
    def seated(grid: Grid) -> Devices:
        return SeatedDevices(grid, site.population, 3)

    run_config = {**site.to_run_config(), **tiny().to_run_config()}
    ways: list[tuple[int, int, Callable[[Grid], Devices]]] = [(100, 6, NamedDevices), (900, 3, seated)]
    for rounds, (offset, nodes, devices_on) in enumerate(ways, 1):
        grid = _Renumbered(client_app(), nodes, run_config)
        grid.offset = offset
        train_rounds(grid, site, tiny(rounds=rounds), devices_on=devices_on)
    entries = [json.loads(line) for line in (Path(site.output) / LEDGER_FILE).read_text().splitlines()]
    assert len({name for entry in entries if entry["kind"] == "round" for name in entry["asked"]}) == 6
    for devices_on in (OwnDevices, NamedDevices):
        with pytest.raises(TrainingError, match="0 of 6 writers may still be asked"):
            train_rounds(grid_for(site, tiny(rounds=3)), site, tiny(rounds=3), devices_on=devices_on)


def test_a_node_that_does_not_say_whose_it_is_is_asked_again(site: Site) -> None:
    silent = {1, 4}
    grid = grid_for(site, tiny(), lambda delivery: delivery.partition in silent)
    devices = NamedDevices(grid)
    assert devices.writers() == [2, 4, 5, 7]
    assert devices.nodes_of([4, 2, 3]) == [4, 2]
    silent.clear()
    assert devices.writers() == [2, 3, 4, 5, 6, 7]


def test_nodes_that_are_gone_are_not_waited_for(site: Site) -> None:
    is_over = [False]
    grid = grid_for(site, tiny(), lambda delivery: is_over.append(True) is None)  # the simulation ends, unanswered
    devices = SeatedDevices(grid, site.population, 3, lambda: is_over[-1])
    with pytest.raises(TrainingError, match="ended before its server"):
        PlainExchange(devices, 600).sum_changes(1, devices.writers()[:3], np.zeros(4, np.float32), 1.0)
    with pytest.raises(TrainingError, match="ended before its server"):
        devices.writers()


def test_adapters_without_the_ledger_of_their_rounds_are_refused(site: Site) -> None:
    train_rounds(grid_for(site, tiny(rounds=1)), site, tiny(rounds=1))
    ledger = Path(site.output) / LEDGER_FILE
    written = ledger.read_bytes()
    ledger.unlink()
    for _ in range(2):  # the new ledger that the first try began is no ledger of that round either
        with pytest.raises(TrainingError, match="tells of 0 rounds, the adapters beside it of 1; restore the ledger"):
            train_rounds(grid_for(site, tiny()), site, tiny())
    ledger.write_bytes(written)
    assert train_rounds(grid_for(site, tiny()), site, tiny()).record()["federated"]["rounds_done"] == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 2}, "seed was 1, now 2"), ({"rank": 3}, "rank was 2, now 3"),
        ({"noise_multiplier": 5.0}, "noise_multiplier was .*, now 5.0"), ({"max_tokens": 20}, "max_tokens was .*, now"),
    ],
)  # fmt: skip
def test_other_options_are_refused_and_change_no_record(site: Site, changes: dict[str, Any], said: str) -> None:
    record = train_rounds(grid_for(site, tiny(rounds=1)), site, tiny(rounds=1)).record()
    for rounds in (1, 2):  # of a run that is finished, and of one that would go on
        with pytest.raises(TrainingError, match=said):
            train_rounds(grid_for(site, tiny(**changes)), site, tiny(rounds=rounds, **changes))
    assert Checkpoint.load(Path(site.output) / "checkpoint").record() == record


def test_a_damaged_state_is_one_line(site: Site) -> None:
    train_rounds(grid_for(site, tiny(rounds=1)), site, tiny(rounds=1))
    (Path(site.output) / "state" / "state.json").write_text("{")
    with pytest.raises(TrainingError, match="state: cannot be read"):
        train_rounds(grid_for(site, tiny()), site, tiny())


def test_an_app_is_written_beside_its_run_and_over_nothing_else(site: Site, tmp_path: Path) -> None:
    app = tmp_path / "app"
    (app / "run").mkdir(parents=True)
    (app / "run" / LEDGER_FILE).write_text("what was promised")
    for rounds in (1, 2):
        write_app(app, site, tiny(rounds=rounds))
        assert f"\nrounds = {rounds}\n" in (app / "pyproject.toml").read_text()
    assert (app / "run" / LEDGER_FILE).read_text() == "what was promised"
    (app / "pyproject.toml").write_text('[project]\nname = "mine"\n')
    with pytest.raises(TrainingError, match="another project's"):
        write_app(app, site, tiny())
    with pytest.raises(WriteError, match="choose another folder"):
        write_app(Path(site.writers[0]), site, tiny())
    assert Path(site.writers[0]).is_file()


@pytest.mark.parametrize("ignored", [None, "*.log", "/run/\n"])
def test_devices_are_sent_an_app_and_nothing_of_its_run(site: Site, tmp_path: Path, ignored: str | None) -> None:
    app = tmp_path / "app"
    train_rounds(grid_for(site, tiny(rounds=1)), site, tiny(rounds=1))
    app.mkdir()
    Path(site.output).rename(app / "run")
    if ignored:
        (app / ".gitignore").write_text(ignored, encoding="utf-8")
    write_app(app, site, tiny())
    packed = zipfile.ZipFile(io.BytesIO(build_fab_from_disk(app))).namelist()
    assert sorted(packed) == [".info/CONTENT", "pyproject.toml"]
    assert (app / ".gitignore").read_text(encoding="utf-8").split() == [
        *(["*.log"] if ignored == "*.log" else []),
        "/run/",
    ]


def test_a_round_is_charged_before_anybody_is_asked(site: Site) -> None:
    def lost(delivery: Delivery) -> bool:
        assert json.loads((Path(site.output) / LEDGER_FILE).read_text().splitlines()[-1])["kind"] == "round"
        return True

    config = tiny()
    with pytest.raises(TrainingError, match="round 1: none of 3 writers answered"):
        train_rounds(grid_for(site, config, lost), site, config)
    reports = []
    train_rounds(grid_for(site, config), site, config, reports.append)
    assert [report.round_number for report in reports] == [2]  # the first is spent


def test_the_budget_ends_a_run_whose_rounds_before_it_are_kept(site: Site) -> None:
    config = tiny(assumption="every_round", noise_multiplier=0.7)
    with pytest.raises(PrivacyBudgetError, match="over the budget of 8"):
        train_rounds(grid_for(site, config), site, config)
    assert (Path(site.output) / "state" / "adapters.safetensors").is_file()


def test_noise_has_the_deviation_asked_for_and_no_seed() -> None:
    values = secure_normal(40_001, 3.0)
    assert values.shape == (40_001,)
    assert abs(values.mean()) < 0.1
    assert values.std() == pytest.approx(3.0, rel=0.03)
    kurtosis = ((values / 3) ** 4).mean()
    assert kurtosis == pytest.approx(3.0, rel=0.1)
    assert not np.array_equal(values, secure_normal(40_001, 3.0))


def test_noise_is_on_the_sum_whoever_answers(site: Site, tmp_path: Path) -> None:
    config = tiny(rounds=1, server_momentum=0.0, clip_norm=0.5, noise_multiplier=2.0)
    ledger = PrivacyLedger(tmp_path / "ledger", LedgerTerms("", 6, 1, 8.0, 1e-5, "participation"))
    asked: list[tuple[int, float]] = []

    def normal(size: int, deviation: float) -> np.ndarray:
        asked.append((size, deviation))
        return np.ones(size)

    network = AdaptedNetwork(Checkpoint.load(Path(site.model)), config)
    server = FederatedServer(
        config, tmp_path / "run", network.vector(), ledger, normal, lambda fresh, n: sorted(fresh)[:n]
    )
    grid = grid_for(site, config, lambda delivery: len(asked) == 0 and delivery.partition % 2 == 0)
    server.run(PlainExchange(OwnDevices(grid), 10))
    ledger.close()
    assert asked == [(network.size, 1.0)]  # z C, on the sum
    # A third of the noise of 1: over the three that were asked, not those that answered.
    assert np.abs(server.vector - network.vector()).max() == pytest.approx(1 / 3, abs=0.5 / 3 + 1e-3)


@pytest.mark.parametrize("drops", [False, True])
def test_a_secure_sum_is_the_plain_sum_within_quantisation(drops: bool) -> None:
    size, clip_norm = 3000, 1.0
    rng = np.random.default_rng(4)
    margin = clip_norm - quantization_step(clip_norm) * size**0.5
    changes = [clipped(rng.normal(size=size).astype(np.float32), margin)[0] for _ in range(5)]
    app = ClientApp()
    app.train()(lambda message, context: answer_stage(
        message, context, lambda vector, norm: clipped(changes[context.node_config["partition-id"]], norm)[0]
    ))  # fmt: skip
    stages = [0] * 5

    def lost(delivery: Delivery) -> bool:
        stages[delivery.partition] += 1
        return drops and delivery.partition == 3 and stages[3] >= 3  # it has shared its keys, and then is gone

    grid = InProcessGrid(app, 5, {}, lost)
    found = SecureExchange(OwnDevices(grid), 10).sum_changes(
        1, grid.get_node_ids(), np.zeros(size, np.float32), clip_norm
    )
    staying = [change for number, change in enumerate(changes) if not (drops and number == 3)]
    assert found.num_replies == len(staying)
    assert np.abs(found.total - np.sum(staying, axis=0, dtype=float)).max() <= quantization_step(clip_norm) * len(
        staying
    )


def test_a_secure_run_ends_in_a_checkpoint(site: Site) -> None:
    config = tiny(rounds=1, is_secure=True)
    checkpoint = train_rounds(grid_for(site, config), site, config)
    assert checkpoint.record()["federated"]["is_secure"]
    assert checkpoint.digest != Checkpoint.load(Path(site.model)).digest


def test_the_command_runs_and_its_model_exports(site: Site, tmp_path: Path) -> None:
    arguments = ["--model", site.model, "--writers", site.writers[0], "--clients-per-round", "3", "--rounds", "2"]
    result = CliRunner().invoke(main, ["federate", *arguments, "-o", str(tmp_path / "out"), "--json"])
    assert result.exit_code == 0, result.output
    stated = json.loads(result.stdout)
    assert stated["epsilon"]["participation"]["1e-05"] <= 8 < stated["epsilon"]["every_round"]["1e-05"]
    result = CliRunner().invoke(main, ["export-onnx", stated["checkpoint"]])
    assert result.exit_code == 0, result.output
    app = tmp_path / "app"
    result = CliRunner().invoke(main, ["federate", *arguments, "-o", str(app), "--runtime", "app"])
    assert result.exit_code == 0, result.output
    assert 'clientapp = "keyboard_lm_training.federated.client_app:app"' in (app / "pyproject.toml").read_text()


def test_texts_that_do_not_fit_are_one_line(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("\n\n")
    for paths in ((str(empty),), (str(tmp_path / "none.txt"),)):
        with pytest.raises(KeyboardLMError, match=r"empty\.txt|none\.txt"):
            load_writers(paths)


def test_without_the_extra_the_command_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "flwr", None)
    result = CliRunner().invoke(main, ["federate", "--writers", str(tmp_path), "-o", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert result.stderr == "error: flwr is not installed; run: pip install 'keyboard-lm[federated]'\n"
