"""`keyboard-lm verify-coreml`: climbs the parity ladder again, and asks code that is not ours."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from keyboard_lm.errors import KeyboardLMError, MissingExtraError, PackageError
from keyboard_lm.network import checkpoint as checkpoints


@click.command()
@click.argument("package", type=click.Path(path_type=Path))
@click.option(
    "--checkpoint", type=click.Path(path_type=Path),
    help="What the package was made from.  [default: the bundled model if it was; else the package's own folder]",
)  # fmt: skip
@click.option(
    "--second-opinion/--ladder-only", default=True, help="Ask coremltools, and Core AI where it is installed."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(package: Path, checkpoint: Path | None, second_opinion: bool, as_json: bool) -> None:
    """Check PACKAGE (or the bundle folder it lies in) against the checkpoint it was made from.

    Weights, layout, conversion, fp16, trees, rewinding and real text, each with its error and what is allowed; then the
    same file through coremltools' loader and decompression, and the same network through Apple's Core AI runtime.
    """
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        raise MissingExtraError("torch", "coreml") from None
    from keyboard_lm_coreml.check.ladder import check_package, require_passed
    from keyboard_lm_coreml.package.package import Package, find_package

    path = find_package(package)
    opened = Package(path)
    source = checkpoints.Checkpoint.load(checkpoint) if checkpoint else _source(path, opened.metadata.user)
    rungs = check_package(path, source, on_stage=_say)
    opinions: dict[str, object] = {}
    if second_opinion:
        from keyboard_lm_coreml.check.second_opinion import ask_coremltools
        from keyboard_lm_coreml.package.core_ai_versions import CONVERTER, CORE, require_core_ai

        try:
            _say("asking coremltools")
            opinions["coremltools"] = dataclasses.asdict(ask_coremltools(opened))
        except MissingExtraError as error:
            opinions["coremltools"] = str(error)
        try:
            require_core_ai(CORE, CONVERTER)
        except KeyboardLMError as error:
            opinions["core_ai"] = str(error)
        else:
            _say("asking Core AI")
            opinions["core_ai"] = _core_ai(path, source)
    if as_json:
        values = [{**dataclasses.asdict(rung), "is_passed": rung.is_passed} for rung in rungs]
        click.echo(json.dumps({"package": str(path), "rungs": values, "second_opinions": opinions}))
    else:
        click.echo(f"  {'check':<10}{'error':>9}{'allowed':>9}{'top-1':>8}{'top-3':>8}   between")
        for rung in rungs:
            agreement = "" if rung.top1 is None or rung.top3 is None else f"{rung.top1:>8.1%}{rung.top3:>8.1%}"
            mark = " " if rung.is_passed else "!"
            click.echo(
                f"{mark} {rung.name:<10}{rung.error:>9.2g}{rung.threshold:>9.2g}{agreement:<16}   {rung.compares}"
            )
        for name, opinion in opinions.items():
            text = (
                ", ".join(f"{key} {value}" for key, value in opinion.items()) if isinstance(opinion, dict) else opinion
            )
            click.echo(f"  {name}: {text}")
    require_passed(path, rungs)


def _say(stage: str) -> None:
    click.echo(f"{stage} ...", err=True)


def _source(path: Path, user: dict[str, str] | object) -> checkpoints.Checkpoint:
    from keyboard_lm_coreml.package.names import META_CHECKPOINT

    bundled = checkpoints.Checkpoint.load(checkpoints.bundled_folder())
    wanted = user.get(META_CHECKPOINT) if hasattr(user, "get") else None
    return bundled if wanted == bundled.digest else checkpoints.Checkpoint.load(path)


def _core_ai(path: Path, source: checkpoints.Checkpoint) -> dict[str, float]:
    from keyboard_lm_coreml.check.core_ai import second_runner
    from keyboard_lm_coreml.check.ladder import check_package
    from keyboard_lm_coreml.check.package_weights import read_weights
    from keyboard_lm_coreml.package.contract import read_contract
    from keyboard_lm_coreml.package.package import Package

    package = Package(path)
    contract = read_contract(package, source.config)
    stored = read_weights(package, source.config)
    with second_runner(source.config, stored, contract) as runner:
        rungs = check_package(path, source, runner)
    for rung in rungs:
        if not rung.is_passed:
            raise PackageError(
                f"{path}: Core AI computes something else at '{rung.name}': error {rung.error:.3g}, allowed "
                f"{rung.threshold:.3g}; report this"
            )
    return {rung.name: rung.error for rung in rungs if rung.name in ("rounded", "tree", "rewind")}
