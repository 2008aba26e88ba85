"""Writes `Stubs/api.json`: since which iOS there is what the Swift sources use of Apple's frameworks.

    npm pack @nativescript/types-ios && tar xzf nativescript-types-ios-*.tgz
    python ios_demo/tools/api.py package

The package's declarations are made from the headers of the SDK, under the names of Objective-C. A name is `Class` or
`Class.member`; what has no version of its own was there before iOS 8, when keyboards began.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

STUBS = Path(__file__).parents[1] / "Stubs"
FIRST = "8.0"
NAMES = {
    "UIKit": (
        *("UIResponder", "UIResponder.touchesBeganWithEvent", "UIResponder.touchesEndedWithEvent"),
        *("UIResponder.touchesCancelledWithEvent", "UITouch", "UITouch.locationInView", "_UIEvent", "UIView"),
        *("UIView.multipleTouchEnabled", "UIView.contentMode", "UIView.setNeedsDisplay", "UIView.drawRect"),
        *("UIView.hidden", "UIColor.systemGrayColor", "UIColor.systemGray2Color", "UIColor.systemGray3Color"),
        *("UIColor.systemGray4Color", "UIColor.colorWithDynamicProvider", "UITraitCollection"),
        *("UITraitCollection.userInterfaceStyle", "UIUserInterfaceStyle", "UIUserInterfaceStyle.Dark"),
        *("UIResponder.touchesMovedWithEvent", "UITouch.timestamp"),
        *("UIView.topAnchor", "UIView.heightAnchor", "NSLayoutAnchor", "NSLayoutAnchor.constraintEqualToAnchor"),
        *("NSLayoutDimension", "NSLayoutDimension.constraintEqualToConstant", "NSLayoutConstraint"),
        *("NSLayoutConstraint.activateConstraints", "UIViewController", "UIViewController.viewDidAppear"),
        *("UIInputViewController", "UIInputViewController.textDocumentProxy"),
        *("UIInputViewController.needsInputModeSwitchKey",),
        *("UIInputViewController.handleInputModeListFromViewWithEvent", "UITextInput", "UIKeyInput"),
        *("UITextInputTraits", "UITextInputTraits.textContentType", "UITextInputTraits.autocorrectionType"),
        *("UITextInputTraits.autocapitalizationType", "UITextAutocapitalizationType"),
        *("UITextAutocapitalizationType.None", "UITextAutocapitalizationType.Sentences"),
        *("UITextDocumentProxy", "UITextDocumentProxy.documentIdentifier", "UITextDocumentProxy.selectedText"),
        *("UITextDocumentProxy.adjustTextPositionByCharacterOffset", "UIColor", "UIColor.systemGray5Color"),
        *("UIColor.labelColor", "UIColor.systemBackgroundColor", "UIFont", "UIFont.systemFontOfSize"),
        *("UIBezierPath", "UIBezierPath.bezierPathWithRoundedRectCornerRadius", "UIAccessibilityElement"),
        *("UIAccessibilityElement.accessibilityFrameInContainerSpace",),
    ),
    "CoreML": (
        *("MLModel", "MLModel.modelWithContentsOfURLConfigurationError", "MLModel.newState"),
        *("MLModel.predictionFromFeaturesUsingStateError", "MLModelConfiguration", "MLModelConfiguration.computeUnits"),
        *("MLModelConfiguration.functionName", "MLState", "MLMultiArray", "MLMultiArray.strides"),
        *("MLMultiArray.dataType", "MLFeatureValue", "MLFeatureValue.multiArrayValue", "MLFeatureProvider"),
        *("MLFeatureProvider.featureValueForName", "MLDictionaryFeatureProvider", "MLComputeUnits"),
        *("MLCPUComputeDevice", "MLGPUComputeDevice", "MLNeuralEngineComputeDevice", "MLComputePlan"),
        *("MLComputePlan.modelStructure", "MLComputePlan.computeDeviceUsageForMLProgramOperation", "MLModelStructure"),
        *("MLComputePlan.loadContentsOfURLConfigurationCompletionHandler", "MLModelStructureProgram"),
        *("MLComputePlanDeviceUsage.preferredComputeDevice", "MLModelStructureProgram.functions"),
        *("MLComputeUnits.CPUAndNeuralEngine", "MLMultiArrayDataType", "MLMultiArrayDataType.Float16"),
    ),
}
_TYPE = re.compile(r"^(?:declare )?(?:const )?(?:class|interface|enum) (\w+)")
_MEMBER = re.compile(r"^\t(?:static |readonly )*(\w+)[?]?(?:\(|:| =)")
_SINCE = re.compile(r"\* @since ([\d.]+)")


def versions(text: str) -> dict[str, str]:
    """Return since when there are the types and members that a file declares; of several, the first time."""
    found: dict[str, str] = {}
    kind, since = "", FIRST
    for line in text.splitlines():
        if match := _SINCE.search(line):
            since = match[1]
        elif match := _TYPE.match(line):
            kind = match[1]
            found.setdefault(kind, since)
            since = FIRST
        elif match := _MEMBER.match(line):
            found.setdefault(f"{kind}.{match[1]}", since)
            since = FIRST
        elif line and not line.strip().startswith(("/**", "*")):
            since = FIRST
    return found


def main(package: Path) -> None:
    """Look the names up in an unpacked npm package, and write the file."""
    version = json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    since: dict[str, dict[str, str]] = {}
    for framework, names in NAMES.items():
        known = versions((package / "lib/ios/objc-x86_64" / f"objc!{framework}.d.ts").read_text(encoding="utf-8"))
        missing = [name for name in names if name not in known]
        if missing:
            sys.exit(f"{framework}: not declared: {', '.join(missing)}")
        since[framework] = {name: known[name] for name in sorted(names)}
    values = {"source": f"@nativescript/types-ios {version}", "since": since}
    (STUBS / "api.json").write_text(json.dumps(values, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
