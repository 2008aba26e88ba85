"""Which versions of Apple's Core AI wheels this project knows, and whether they are the ones installed."""

from __future__ import annotations

from importlib import metadata

from keyboard_lm.errors import KeyboardLMError, MissingExtraError

CORE, CONVERTER = "coreai-core", "coreai-torch"
EXTRA = "coreai"
PINNED = {CORE: "1.0.0b3", CONVERTER: "0.4.3"}  # pyproject.toml's extra; coreml/README.md says what others do


def installed_version(package: str) -> str | None:
    """Return the version of an installed wheel; None where there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def require_core_ai(*packages: str) -> None:
    """Raise unless these wheels are installed in the pinned versions.

    A pre-release may change what a program means without an error, so another version is refused, not tried.

    Raises:
        MissingExtraError: one is not installed.
        KeyboardLMError: one is of another version.
    """
    for package in packages:
        version = installed_version(package)
        if version is None:
            raise MissingExtraError(package, EXTRA)
        if version != PINNED[package]:
            raise KeyboardLMError(
                f"{package} {version} is installed, and only {PINNED[package]} is known to give the right results; "
                f"run: pip install '{package}=={PINNED[package]}'"
            )


def has_core_ai(*packages: str) -> bool:
    """Whether these wheels are installed in the pinned versions."""
    return all(installed_version(package) == PINNED[package] for package in packages)
