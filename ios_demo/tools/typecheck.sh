#!/usr/bin/env bash
# Type-checks the files that need Apple's frameworks against the stub modules of Stubs/, in Swift 6 mode. Run `swift.sh build
# -c release` first (or `swift.sh build`, and say `debug` here): the engine's module is what they import.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
out=$here/.build/stubs
mkdir -p "$out"
swiftc() { "$here/tools/swift.sh" compile "$@"; }
for module in UIKit SwiftUI CoreML; do
    swiftc -emit-module -module-name "$module" -swift-version 6 -parse-as-library \
        -emit-module-path "$out/$module.swiftmodule" "$here/Stubs/$module.swift"
done
# The engine reads SQLite, whose module the SDK has on a phone, and calls its own kernels in C. App and keyboard are no part of the
# package: they see what is public.
c_modules=(-I "$here/Sources/SQLite3" -I "$here/Sources/KeyboardLMKernels/include")
modules=(-I "$out" -I "$here/.build/${1:-release}/Modules" "${c_modules[@]}" -swift-version 6)
swiftc -typecheck -module-name Keyboard -parse-as-library "${modules[@]}" "$here"/Keyboard/*.swift
swiftc -typecheck -module-name KeyboardLMDemo -parse-as-library "${modules[@]}" "$here"/App/*.swift
# The engine as a phone's compiler sees it: with Core ML.
mapfile -t sources < <(find "$here/Sources/KeyboardLM" -name '*.swift')
swiftc -typecheck -module-name KeyboardLM -parse-as-library -I "$out" "${c_modules[@]}" -swift-version 6 \
    -package-name ios_demo "${sources[@]}"
echo "Engine, App and Keyboard type-check against the stubs"
