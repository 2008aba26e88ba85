"""A Flower app on disk: what `flwr run` sends to a SuperLink."""

from __future__ import annotations

import json
from pathlib import Path

from keyboard_lm import __version__
from keyboard_lm.errors import TrainingError, WriteError
from keyboard_lm.files import write_text_whole
from keyboard_lm_training.federated.options import FederatedConfig, Site

RUN_FOLDER = "run"
_NAME = "keyboard-federated"
_IGNORED = f"/{RUN_FOLDER}/\n"
_HEAD = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "{version}"
description = "Federated rounds for a keyboard's language model"
license = "Apache-2.0"
dependencies = []  # Flower would install them anew for each run; keyboard-lm[federated] has to be there already

[tool.hatch.build.targets.wheel]
packages = ["."]

[tool.flwr.app]
publisher = "keyboard-lm"

[tool.flwr.app.components]
serverapp = "keyboard_lm_training.federated.server_app:app"
clientapp = "keyboard_lm_training.federated.client_app:app"

[tool.flwr.app.config]
"""


def write_app(folder: Path, site: Site, config: FederatedConfig) -> None:
    """Write the app with its options; every machine needs keyboard-lm and, at the same paths, model and texts.

    What else is in the folder stays: the run, with its ledger, is kept below it, in `RUN_FOLDER`. Flower packs every
    JSON file that `.gitignore` does not name, and sends it to every device: that is why it is named there.

    Raises:
        WriteError: the folder cannot be written.
        TrainingError: it holds another project.
    """
    options = {**site.to_run_config(), **config.to_run_config()}
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in options.items()]  # JSON's scalars are TOML's
    version = __version__.split(".dev")[0]
    path, ignored = folder / "pyproject.toml", folder / ".gitignore"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        kept = ignored.read_text(encoding="utf-8", errors="replace") if ignored.exists() else ""
        is_foreign = path.exists() and f'name = "{_NAME}"' not in path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise WriteError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from None
    if is_foreign:
        raise TrainingError(f"{path} is another project's; choose another --output")
    if _IGNORED not in kept.splitlines(keepends=True):
        write_text_whole(ignored, kept + ("\n" if kept and not kept.endswith("\n") else "") + _IGNORED)
    write_text_whole(path, _HEAD.format(name=_NAME, version=version) + "".join(lines))
