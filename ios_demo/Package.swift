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
        .executableTarget(name: "keyboard-lm-swift", dependencies: ["KeyboardLM"]),
        .testTarget(name: "KeyboardLMTests", dependencies: ["KeyboardLM"]),
    ],
    swiftLanguageModes: [.v6]
)
