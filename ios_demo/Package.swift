// swift-tools-version: 6.0
import PackageDescription

let package = Package(
    name: "KeyboardLM",
    platforms: [.iOS(.v18), .macOS(.v15)],
    products: [
        .library(name: "KeyboardLM", type: .static, targets: ["KeyboardLM"]),
        .executable(name: "keyboard-lm-swift", targets: ["keyboard-lm-swift"]),
    ],
    targets: [
        .target(name: "KeyboardLM"),
        .target(name: "KeyboardLMToy", dependencies: ["KeyboardLM"]),
        .executableTarget(name: "keyboard-lm-swift", dependencies: ["KeyboardLM", "KeyboardLMToy"]),
        .testTarget(name: "KeyboardLMTests", dependencies: ["KeyboardLM", "KeyboardLMToy"]),
    ],
    swiftLanguageModes: [.v6]
)
