"""The Xcode project, property lists and model files, as far as they can be checked without Xcode."""

from __future__ import annotations

import json
import os
import plistlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keyboard_lm.export.lexicon_bin import LEXICON_BIN_FILE
from keyboard_lm.export.pack import PACK_FILE, write_pack
from keyboard_lm.network.checkpoint import Checkpoint, bundled_folder
from keyboard_lm.words.emoji import EMOJI_FILE

openstep = pytest.importorskip("openstep_parser", reason="reads Xcode's project files; pip install openstep-parser")

DEMO = Path(__file__).parents[2] / "ios_demo"
_REFERENCE = re.compile(r"[0-9A-F]{24}")
_NEWER_THAN_SWIFT_6_0 = ("InlineArray", "Span<", "Observations", "@concurrent", "nonisolated(nonsending)")


@pytest.fixture(scope="module")
def objects() -> dict[str, dict[str, Any]]:
    text = (DEMO / "KeyboardLMDemo.xcodeproj" / "project.pbxproj").read_text(encoding="utf-8")
    project = openstep.OpenStepDecoder.ParseFromString(text)
    assert project["objectVersion"] == "77"  # folders as groups: files are not listed
    found: dict[str, dict[str, Any]] = project["objects"]
    assert project["rootObject"] in found
    return found


def _of(objects: dict[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [item for item in objects.values() if item["isa"] == kind]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def test_every_reference_of_the_project_resolves(objects: dict[str, dict[str, Any]]) -> None:
    used = {text for item in objects.values() for text in _strings(item) if _REFERENCE.fullmatch(text)}
    assert used <= objects.keys()
    assert objects.keys() - used == {next(key for key, item in objects.items() if item["isa"] == "PBXProject")} - used


def test_every_file_of_the_project_is_there(objects: dict[str, dict[str, Any]]) -> None:
    for item in _of(objects, "PBXFileReference"):
        if item["sourceTree"] == "<group>":
            assert (DEMO / item["path"]).resolve().is_file(), item["path"]
    for item in _of(objects, "PBXFileSystemSynchronizedRootGroup"):
        assert list((DEMO / item["path"]).glob("*.swift"))
        for key in item["exceptions"]:
            assert "Info.plist" in objects[key]["membershipExceptions"]  # else it is built twice
    (package,) = _of(objects, "XCLocalSwiftPackageReference")
    assert (DEMO / package["relativePath"] / "Package.swift").is_file()


def test_the_extension_is_embedded_and_its_identifier_nests(objects: dict[str, dict[str, Any]]) -> None:
    (embed,) = _of(objects, "PBXCopyFilesBuildPhase")
    assert embed["dstSubfolderSpec"] == "13"  # PlugIns
    settings = {}
    for target in _of(objects, "PBXNativeTarget"):
        for key in objects[target["buildConfigurationList"]]["buildConfigurations"]:
            settings.setdefault(target["name"], []).append(objects[key]["buildSettings"])
    app, keyboard = settings["KeyboardLMDemo"], settings["Keyboard"]
    for of_app, of_keyboard in zip(app, keyboard, strict=True):
        own = of_keyboard["PRODUCT_BUNDLE_IDENTIFIER"]
        assert own.startswith(of_app["PRODUCT_BUNDLE_IDENTIFIER"] + ".")
        assert of_keyboard["APPLICATION_EXTENSION_API_ONLY"] == "YES"
    for key in objects[_of(objects, "PBXProject")[0]["buildConfigurationList"]]["buildConfigurations"]:
        assert objects[key]["buildSettings"]["IPHONEOS_DEPLOYMENT_TARGET"] == "18.0"


def test_whoever_imports_the_engine_links_it(objects: dict[str, dict[str, Any]]) -> None:
    for target in _of(objects, "PBXNativeTarget"):
        folders = [objects[key]["path"] for key in target["fileSystemSynchronizedGroups"]]
        sources = [path.read_text(encoding="utf-8") for folder in folders for path in (DEMO / folder).glob("*.swift")]
        assert any("import KeyboardLM" in text for text in sources)
        (phase,) = (objects[key] for key in target["buildPhases"] if objects[key]["isa"] == "PBXFrameworksBuildPhase")
        linked = [objects[key]["productRef"] for key in phase["files"]]
        assert linked == target["packageProductDependencies"]
        assert [objects[key]["productName"] for key in linked] == ["KeyboardLM"]


def test_every_build_setting_names_files_that_are_there(objects: dict[str, dict[str, Any]]) -> None:
    for item in _of(objects, "XCBuildConfiguration"):
        for name, value in item["buildSettings"].items():
            if name == "INFOPLIST_FILE":
                assert (DEMO / value).is_file()
    (script,) = _of(objects, "PBXShellScriptBuildPhase")
    (path,) = re.findall(r"\$SRCROOT/([\w/.]+)", script["shellScript"])
    assert os.access(DEMO / path, os.X_OK)


def _packaged(tmp_path: Path, **changed: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    # Runs the project's build phase on a bundle of its own, with a compiler that copies.
    bundle, built = tmp_path / "bundle", tmp_path / "built"
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "xcrun").write_text(
        '#!/bin/sh\n[ "$1 $2" = "coremlcompiler compile" ] && cp -r "$3" "$4/keyboard-lm.mlmodelc"\n'
    )
    (tools / "xcrun").chmod(0o755)
    if "none" not in changed:
        manifest = {"package": "keyboard-lm.mlpackage", "checkpoint_digest": Checkpoint.load(bundled_folder()).digest}
        (bundle / "keyboard-lm.mlpackage").mkdir(parents=True)
        (bundle / "manifest.json").write_text(json.dumps({**manifest, **changed}, indent=2))
    environment = {
        **os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "SRCROOT": str(DEMO), "TARGET_BUILD_DIR": str(built),
        "UNLOCALIZED_RESOURCES_FOLDER_PATH": "Keyboard.appex", "KEYBOARD_LM_COREML": str(bundle),
    }  # fmt: skip
    script = DEMO / "tools" / "coreml_package.sh"
    done = subprocess.run([str(script)], env=environment, capture_output=True, text=True, check=False)
    shutil.rmtree(tools)
    return done, built / "Keyboard.appex"


def test_a_build_without_a_core_ml_package_says_how_to_add_one(tmp_path: Path) -> None:
    done, _ = _packaged(tmp_path, none="")
    assert done.returncode == 0
    assert "note: no Core ML package" in done.stdout
    assert "keyboard-lm export-coreml" in done.stdout


def test_a_package_of_the_same_model_is_compiled_into_the_keyboard(tmp_path: Path) -> None:
    done, resources = _packaged(tmp_path)
    assert done.returncode == 0, done.stdout
    assert {path.name for path in resources.iterdir()} == {"manifest.json", "keyboard-lm.mlmodelc"}


@pytest.mark.parametrize("changed", [{"checkpoint_digest": "another"}, {"package": "missing.mlpackage"}])
def test_a_package_that_does_not_fit_ends_the_build_with_one_line(tmp_path: Path, changed: dict[str, str]) -> None:
    done, resources = _packaged(tmp_path, **changed)
    assert done.returncode == 1
    assert done.stdout.startswith("error: ")
    assert done.stdout.count("\n") == 1
    assert not resources.exists()


def test_the_keyboard_carries_a_model_whose_files_belong_together(objects: dict[str, dict[str, Any]]) -> None:
    paths = {Path(item["path"]) for item in _of(objects, "PBXFileReference") if item["sourceTree"] == "<group>"}
    assert {path.name for path in paths} == {
        "checkpoint.json", "config.json", "tokenizer.model", "proper_nouns.txt", "model.safetensors",
        PACK_FILE, LEXICON_BIN_FILE, EMOJI_FILE,
    }  # fmt: skip
    checkpoint = Checkpoint.load(bundled_folder())
    for path in paths:
        if path.name not in (PACK_FILE, LEXICON_BIN_FILE, EMOJI_FILE):
            assert (DEMO / path).resolve().parent == bundled_folder().resolve()
            assert path.name in {"checkpoint.json", *checkpoint.files}


def test_the_pack_holds_todays_words_and_rules(tmp_path: Path) -> None:
    write_pack(tmp_path, Checkpoint.load(bundled_folder()).config)
    for name in (PACK_FILE, LEXICON_BIN_FILE):
        written = (tmp_path / name).read_bytes()
        assert (DEMO / "Model" / name).read_bytes() == written, "write it anew: make ios-model"


def test_the_extension_asks_for_nothing() -> None:
    with (DEMO / "Keyboard" / "Info.plist").open("rb") as file:
        extension = plistlib.load(file)["NSExtension"]
    assert extension["NSExtensionPointIdentifier"] == "com.apple.keyboard-service"
    attributes = extension["NSExtensionAttributes"]
    assert attributes["RequestsOpenAccess"] is False
    assert attributes["PrimaryLanguage"] == "en-US"
    assert attributes["IsASCIICapable"] is True
    principal = extension["NSExtensionPrincipalClass"].rpartition(".")[2]
    sources = "".join(path.read_text(encoding="utf-8") for path in (DEMO / "Keyboard").glob("*.swift"))
    assert f"class {principal}: UIInputViewController" in sources


def test_neither_target_has_an_entitlement(objects: dict[str, dict[str, Any]]) -> None:
    # Nothing is shared and nothing is asked for: without Full Access no extension may write into a group's folder.
    settings = [item["buildSettings"] for item in _of(objects, "XCBuildConfiguration")]
    assert not [name for each in settings for name in each if "ENTITLEMENTS" in name]
    assert not list(DEMO.rglob("*.entitlements"))


@pytest.mark.parametrize("target", ["App", "Keyboard"])
def test_the_privacy_manifest_says_that_nothing_is_collected(target: str) -> None:
    with (DEMO / target / "PrivacyInfo.xcprivacy").open("rb") as file:
        manifest = plistlib.load(file)
    assert manifest["NSPrivacyTracking"] is False
    assert manifest["NSPrivacyCollectedDataTypes"] == manifest["NSPrivacyTrackingDomains"] == []
    # `stat` tells whether the personal file, which is the app's own, is still the one that is open.
    (used,) = manifest["NSPrivacyAccessedAPITypes"]
    assert used["NSPrivacyAccessedAPITypeReasons"] == ["C617.1"]


def test_no_source_opens_the_network_or_uses_what_linux_cannot_check() -> None:
    for folder in ("Sources", "App", "Keyboard"):
        for path in (DEMO / folder).rglob("*.swift"):
            text = path.read_text(encoding="utf-8")
            forbidden = ("URLSession", "import Network", "@objc", "#selector", "try!", *_NEWER_THAN_SWIFT_6_0)
            assert not [name for name in forbidden if name in text], path


def test_the_stubs_hold_only_what_there_is_on_the_least_system() -> None:
    api = json.loads((DEMO / "Stubs" / "api.json").read_text(encoding="utf-8"))
    least = (18, 0)
    helpers = {  # of the stubs themselves, or Swift's own shape of a name of Objective-C
        *("NSLayoutXAxisAnchor", "NSLayoutYAxisAnchor", "Horizontal", "Vertical", "ContentMode", "UITextContentType"),
        *("UITextAutocorrectionType", "UIAccessibilityTraits", "UIEvent", "MLComputeDevice"),
        *("Program", "Operation", "Block", "Function", "DeviceUsage"),
    }
    for framework, since in api["since"].items():
        assert all(tuple(map(int, version.split("."))) <= least for version in since.values())
        text = (DEMO / "Stubs" / f"{framework}.swift").read_text(encoding="utf-8")
        types = set(re.findall(r"(?:class|struct|enum|protocol|typealias) (UI\w+|ML\w+|NS\w+|[A-Z]\w+)", text))
        assert types - helpers <= since.keys(), framework
