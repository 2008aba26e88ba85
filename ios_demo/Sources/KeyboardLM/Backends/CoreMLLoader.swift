#if canImport(CoreML)
    import CoreML
    import Foundation

    /// Loads a bundle's package on a queue of its own, decode first; the first load after an installation may take minutes.
    enum CoreMLLoader {
        // Handed from the loading queue to the engine's once, and used by nobody else.
        private struct Loaded: @unchecked Sendable {
            let backend: PackageBackend
        }

        /// - Parameters:
        ///   - failed: told on the loading queue, in one line, why a package that is there cannot be loaded.
        ///   - done: told on the loading queue; not at all where there is no package, or it cannot be loaded.
        static func load(
            _ folder: URL, failed: @escaping @Sendable (String) -> Void,
            done: @escaping @Sendable (@escaping @Sendable () -> any Backend) -> Void
        ) {
            guard #available(iOS 18.0, macOS 15.0, *) else { return }
            DispatchQueue(label: "keyboard-lm.load", qos: .utility).async {
                do {
                    guard let backend = try open(folder) else { return }
                    let loaded = Loaded(backend: backend)
                    done { loaded.backend }
                } catch {
                    failed("Core ML is not used: \(error)")
                }
            }
        }

        /// The package of a bundle with all its functions loaded; nil where there is none.
        @available(iOS 18.0, macOS 15.0, *)
        static func open(_ folder: URL) throws -> PackageBackend? {
            let manifest = folder.appending(path: Contract.manifestFile)
            guard FileManager.default.fileExists(atPath: manifest.path) else { return nil }
            let config = try ModelConfig(file: folder.appending(path: "config.json")), contract = try Contract(manifest: manifest)
            guard try contract.checkpoint == ModelIndex(folder: folder).digest else {
                throw KeyboardLMError("\(manifest.path): a package of another model; export the model again")
            }
            let runner = CoreMLRunner(compiled: compiled(folder, contract), contract, config)
            for entry in contract.entries { try runner.load(entry.name) }
            return PackageBackend(runner, contract, config)
        }

        /// What Xcode has made of a bundle's package.
        static func compiled(_ folder: URL, _ contract: Contract) -> URL {
            folder.appending(path: URL(fileURLWithPath: contract.package).deletingPathExtension().lastPathComponent + ".mlmodelc")
        }
    }
#endif
