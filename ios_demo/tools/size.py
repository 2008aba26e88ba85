"""Counts what the app is made of, in bytes, as far as that can be told without Xcode.

    ios_demo/tools/swift.sh build -c release --static-swift-stdlib
    keyboard-lm export-coreml -o ios_demo/Model/coreml         (where the package is to be counted as it is)
    python ios_demo/tools/size.py [--package FOLDER] [--json]

Files that the project copies are counted as they lie on the disk, once for each target that copies them. Stand-ins,
since there is no compiler for iOS here: for the engine's code the sections of its object files for this machine,
without what a debugger wants, twice, because app and extension each link it; for executables, signatures and property
lists of the two targets `ALLOWANCE` each; for a compiled package the package itself. Swift's and Apple's libraries are
the system's.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from pathlib import Path

DEMO = Path(__file__).parents[1]
WEIGHTS = "model.safetensors"  # in fp16, for the network on the processor
ALLOWANCE = 500_000
LIMIT = 16_000_000
_RESOURCE = re.compile(r"/\* (\S+) in Resources \*/,")
_FILE = re.compile(r"isa = PBXFileReference;.* name = (\S+); path = (\S+); sourceTree = \"<group>\"")


def resources(project: str) -> dict[str, int]:
    """Return the size of each file that the project copies, by its name."""
    places = dict(_FILE.findall(project))
    copied = _RESOURCE.findall(project)
    return {name: copied.count(name) * (DEMO / places[name]).stat().st_size for name in copied}


def engine_bytes(objects: Path) -> int:
    """Return what the engine's code and data take, once."""
    files = sorted(objects.glob("*.o"))
    if not files:
        raise SystemExit(
            f"{objects}: no object files; run: ios_demo/tools/swift.sh build -c release --static-swift-stdlib"
        )
    told = subprocess.run(["size", *map(str, files)], capture_output=True, text=True, check=True).stdout
    return sum(int(text) + int(data) for text, data, *_ in map(str.split, told.splitlines()[1:]))


def payload(objects: Path, package: Path | None) -> dict[str, int]:
    """Return the size of each part of the app, by what it is."""
    project = (DEMO / "KeyboardLMDemo.xcodeproj" / "project.pbxproj").read_text(encoding="utf-8")
    parts = resources(project)
    parts["engine's code, twice (stand-in)"] = 2 * engine_bytes(objects)
    parts["executables, signatures, property lists (allowance)"] = 2 * ALLOWANCE
    if package is not None:
        files = [path for path in package.rglob("*") if path.is_file()]
        parts["Core ML package (stand-in for the compiled one)"] = sum(path.stat().st_size for path in files)
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", type=Path, help="an exported .mlpackage")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    bundled = DEMO / "Model" / "coreml" / "keyboard-lm.mlpackage"
    package = asked.package or (bundled if bundled.is_dir() else None)
    parts = payload(DEMO / ".build" / "release" / "KeyboardLM.build", package)
    total = sum(parts.values())
    without = total - parts[WEIGHTS]
    if not asked.json:
        for name, size in sorted(parts.items(), key=lambda part: -part[1]):
            print(f"{size / 1e6:8.3f} MB  {name}")
        print(f"{total / 1e6:8.3f} MB  all of it")
    print(
        json.dumps(
            {"bytes": total, "without_fp16_weights": without, "limit": LIMIT, "has_package": package is not None}
        )
    )


if __name__ == "__main__":
    main()
