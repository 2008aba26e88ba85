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
                guard let backend = try? open(folder) else { return }
                let loaded = Loaded(backend: backend)
                done { loaded.backend }
            }
        }

        /// The package of a bundle with all its functions loaded; nil where there is none.
        @available(iOS 18.0, macOS 15.0, *)
        static func open(_ folder: URL) throws -> PackageBackend? {
            let manifest = folder.appending(path: Contract.manifestFile)
            guard FileManager.default.fileExists(atPath: manifest.path) else { return nil }
            let config = try ModelConfig(file: folder.appending(path: "config.json")), contract = try Contract(manifest: manifest)
            let name = URL(fileURLWithPath: contract.package).deletingPathExtension().lastPathComponent
            let runner = CoreMLRunner(compiled: folder.appending(path: name + ".mlmodelc"), contract, config)
            for entry in contract.entries { try runner.load(entry.name) }
            return PackageBackend(runner, contract, config)
        }
    }
#endif
