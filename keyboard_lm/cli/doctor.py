"""`keyboard-lm doctor`: what is installed, what this machine can run, and how to get the rest."""

from __future__ import annotations

import json

import click

from keyboard_lm.errors import KeyboardLMError


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """Say what this machine can run, and the pip line for what is missing."""
    from keyboard_lm.cli.installed import ABILITIES, machine, training_devices, versions
    from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder

    try:
        model = f"{Checkpoint.load(bundled_folder()).config.num_parameters / 1e6:.1f} M parameters"
    except KeyboardLMError as error:
        model = f"damaged: {error}; reinstall the package"
    found, devices = versions(), training_devices()
    if as_json:
        abilities = [
            {"name": each.name, "missing": list(each.missing), "install": each.install, "note": each.note}
            for each in ABILITIES
        ]
        report = {
            "machine": machine(), "bundled_model": model, "versions": found, "training_devices": devices,
            "abilities": abilities,
        }  # fmt: skip
        click.echo(json.dumps(report))
        return
    for name, value in machine().items():
        click.echo(f"{name}: {value}")
    click.echo(f"bundled model: {model}")
    click.echo(f"training: {', '.join(devices) or 'needs torch'}")
    click.echo("installed: " + ", ".join(f"{name} {version}" for name, version in found.items() if version))
    for ability in ABILITIES:
        mark = "no " if ability.missing else "yes"
        note = ability.install if ability.missing else ability.note
        click.echo(f"  {mark} {ability.name}" + (f": {note}" if note else ""))
