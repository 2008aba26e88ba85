// swift-tools-version: 6.0
import PackageDescription

// Apple's SDKs bring a module of this name; on Linux it is made of the system's library.
#if os(Linux)
    let sqlite: [Target] = [.systemLibrary(name: "SQLite3")]
    let sqliteDependencies: [Target.Dependency] = ["SQLite3"]
#else
    let sqlite: [Target] = []
    let sqliteDependencies: [Target.Dependency] = []
#endif

let package = Package(
    name: "KeyboardLM",
    platforms: [.iOS(.v18), .macOS(.v15)],
    products: [
        .library(name: "KeyboardLM", type: .static, targets: ["KeyboardLM"]),
        .executable(name: "keyboard-lm-swift", targets: ["keyboard-lm-swift"]),
    ],
    targets: [
        .target(name: "KeyboardLMKernels"),
        .target(name: "KeyboardLM", dependencies: ["KeyboardLMKernels"] + sqliteDependencies),
        .target(name: "KeyboardLMToy", dependencies: ["KeyboardLM"]),
        .executableTarget(name: "keyboard-lm-swift", dependencies: ["KeyboardLM", "KeyboardLMToy"]),
        .testTarget(name: "KeyboardLMTests", dependencies: ["KeyboardLM", "KeyboardLMKernels", "KeyboardLMToy"]),
    ] + sqlite,
    swiftLanguageModes: [.v6]
)
