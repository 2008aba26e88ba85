"""A sharded state by one process: what goes in comes out, and what cannot be written is one error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from keyboard_lm_training.run.devices import Placement
from keyboard_lm_training.run.run_state import load_latest_state
from keyboard_lm_training.run.sharded_saves import ShardedSaves, load_average, restore_sharded
from torch import nn

from keyboard_lm.errors import TrainingError


@pytest.fixture(autouse=True)
def alone(tmp_path: Path) -> Iterator[None]:
    """A group of one process."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def trained(seed: int, steps: int) -> tuple[nn.Module, list[torch.optim.Optimizer]]:
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
    for _ in range(steps):
        module(torch.randn(5, 4)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return module, [optimizer]


def moments(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [torch.as_tensor(value) for state in optimizer.state.values() for value in state.values()]


def test_a_state_is_what_the_run_was_when_it_was_saved(tmp_path: Path) -> None:
    module, optimizers = trained(0, 3)
    average = {"a.weight": torch.arange(6.0).reshape(2, 3)}
    saves = ShardedSaves(tmp_path, Placement(torch.device("cpu")))
    kept = {name: value.clone() for name, value in module.state_dict().items()}
    kept_moments = [value.clone() for value in moments(optimizers[0])]
    saves.save(3, {"num_averaged": 1}, module, optimizers, average)
    with torch.no_grad():
        for parameter in module.parameters():  # training goes on while the state is being written
            parameter.add_(1)
    saves.wait()
    for step in (4, 5, 6):
        saves.save(step, {}, *trained(step, 1), {})
    saves.wait()
    saves.close()
    assert sorted(path.name for path in (tmp_path / "states").iterdir()) == ["00000005", "00000006"]
    saves = ShardedSaves(tmp_path / "again", Placement(torch.device("cpu")))
    module.load_state_dict(kept)
    saves.save(3, {"num_averaged": 1}, module, optimizers, average)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1)
    saves.wait()
    saves.close()
    state = load_latest_state(tmp_path / "again")
    assert state is not None
    assert state.shards is not None
    assert (state.step, state.values["num_averaged"]) == (3, 1)
    other, other_optimizers = trained(9, 0)
    restore_sharded(other, other_optimizers, state.shards)
    assert all(torch.equal(value, kept[name]) for name, value in other.state_dict().items())
    assert all(torch.equal(*pair) for pair in zip(moments(other_optimizers[0]), kept_moments, strict=True))
    found = load_average(state.shards)
    assert found.keys() == average.keys()
    assert torch.equal(found["a.weight"], average["a.weight"])


def test_a_state_that_cannot_be_written_is_one_error_and_the_one_before_stays(tmp_path: Path) -> None:
    saves = ShardedSaves(tmp_path, Placement(torch.device("cpu")))
    saves.save(1, {}, *trained(0, 1), {})
    saves.wait()
    (tmp_path / "states").rename(tmp_path / "kept")
    (tmp_path / "states").write_text("in the way")
    with pytest.raises(TrainingError, match="cannot be made"):
        saves.save(2, {}, *trained(0, 1), {})
    saves.close()
    (tmp_path / "states").unlink()
    (tmp_path / "kept").rename(tmp_path / "states")
    state = load_latest_state(tmp_path)
    assert state is not None
    assert state.step == 1


@pytest.mark.parametrize("name", ["__0_0.distcp", ".metadata"])
@pytest.mark.parametrize("damage", ["empty", "half", "gone", "noise"])
def test_a_damaged_state_is_one_line_that_names_the_file(
    name: str, damage: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    saves = ShardedSaves(tmp_path, Placement(torch.device("cpu")))
    saves.save(1, {}, *trained(0, 1), {"a": torch.ones(2)})
    saves.wait()
    saves.close()
    folder = tmp_path / "states" / "00000001"
    path = folder / "shards" / name
    size = path.stat().st_size
    capfd.readouterr()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "half": path.read_bytes()[: size // 2], "noise": b"\x07" * size}[damage])
    # What is inside a file of tensors torch says without the file's name.
    named = folder if damage == "noise" and name != ".metadata" else path
    for read in (lambda: restore_sharded(*trained(0, 1), folder), lambda: load_average(folder)):
        with pytest.raises(TrainingError) as caught:
            read()
        assert str(caught.value).startswith(f"{named}: cannot be read (")
        assert f"delete {folder} to go on" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
