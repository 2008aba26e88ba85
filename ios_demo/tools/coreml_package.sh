#!/bin/sh
# Build phase of the keyboard: compiles the Core ML package into the extension, where one was exported; without one the
# keyboard runs on its own network for processors, and the build says so.
#
#   keyboard-lm export-coreml -o ios_demo/Model/coreml     makes the package (any machine)
#   KEYBOARD_LM_COREML=FOLDER                              a build setting: a bundle that lies elsewhere
set -eu
bundle=${KEYBOARD_LM_COREML:-$SRCROOT/Model/coreml}
resources=$TARGET_BUILD_DIR/$UNLOCALIZED_RESOURCES_FOLDER_PATH
index=$SRCROOT/../keyboard_lm/bundled/checkpoint.json

value() { sed -n "s/^ *\"$1\": *\"\([^\"]*\)\".*/\1/p" "$2" | head -n 1; }

if [ ! -e "$bundle" ]; then
    echo "note: no Core ML package: the keyboard uses its own network. To add one: keyboard-lm export-coreml -o ios_demo/Model/coreml"
    rm -rf "$resources/manifest.json" "$resources"/*.mlmodelc
    exit 0
fi
manifest=$bundle/manifest.json
[ -f "$manifest" ] || { echo "error: $bundle: no bundle (manifest.json is missing); run: keyboard-lm export-coreml"; exit 1; }
package=$(value package "$manifest")
if [ -z "$package" ] || [ ! -d "$bundle/$package" ]; then
    echo "error: $bundle: its package '$package' is missing; run: keyboard-lm export-coreml"
    exit 1
fi
if [ "$(value checkpoint_digest "$manifest")" != "$(value digest "$index")" ]; then
    echo "error: $bundle: a package of another model than the one in this app; run: keyboard-lm export-coreml"
    exit 1
fi
mkdir -p "$resources"
rm -rf "$resources"/*.mlmodelc
xcrun coremlcompiler compile "$bundle/$package" "$resources"
cp "$manifest" "$resources/manifest.json"
