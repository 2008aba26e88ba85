"""A Flower app on disk: what `flwr run` sends to a SuperLink."""

from __future__ import annotations

import json
from pathlib import Path

from keyboard_lm import __version__
from keyboard_lm.files import replaced_folder
from keyboard_lm_training.federated.options import FederatedConfig, Site

_HEAD = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "keyboard-federated"
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
    """Write the app with its options; every machine needs keyboard-lm and, at the same paths, model and texts."""
    options = {**site.to_run_config(), **config.to_run_config()}
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in options.items()]  # JSON's scalars are TOML's
    version = __version__.split(".dev")[0]
    with replaced_folder(folder) as draft:
        (draft / "pyproject.toml").write_text(_HEAD.format(version=version) + "".join(lines), encoding="utf-8")
