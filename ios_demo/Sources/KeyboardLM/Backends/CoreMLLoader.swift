#if canImport(CoreML)
    import CoreML
    import Foundation

    /// Loads a bundle's package on a queue of its own, decode first; the first load after an installation may take minutes.
    enum CoreMLLoader {
        // Handed from the loading queue to the engine's once, and used by nobody else.
        private struct Loaded: @unchecked Sendable {
            let backend: PackageBackend
        }

        /// - Parameter done: told on the loading queue; not at all where there is no package, or it cannot be loaded.
        static func load(_ folder: URL, done: @escaping @Sendable (@escaping @Sendable () -> any Backend) -> Void) {
            guard #available(iOS 18.0, macOS 15.0, *) else { return }
            DispatchQueue(label: "keyboard-lm.load", qos: .utility).async {
                guard let config = try? ModelConfig(file: folder.appending(path: "config.json")),
                    let contract = try? Contract(manifest: folder.appending(path: Contract.manifestFile))
                else { return }
                let name = URL(fileURLWithPath: contract.package).deletingPathExtension().lastPathComponent
                let compiled = folder.appending(path: name + ".mlmodelc")
                guard FileManager.default.fileExists(atPath: compiled.path) else { return }
                let runner = CoreMLRunner(compiled: compiled, contract, config)
                guard (try? contract.entries.forEach { try runner.load($0.name) }) != nil else { return }
                let loaded = Loaded(backend: PackageBackend(runner, contract, config))
                done { loaded.backend }
            }
        }
    }
#endif
