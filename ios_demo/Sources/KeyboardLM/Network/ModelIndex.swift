import Foundation

/// What files a model is made of, as its `checkpoint.json` has it: they are one model's, or it is not asked.
///
/// Weights with the tokenizer of another model would answer with words of no sense and no error.
package struct ModelIndex: Sendable {
    /// Of the model: the same for every form in which it is exported.
    package let digest: String
    private let files: [String: Entry]
    private let folder: URL

    private struct Entry: Decodable, Sendable {
        let bytes: Int
        let sha256: String
    }
    private struct File: Decodable {
        let format_version: Int
        let digest: String
        let files: [String: Entry]
    }

    package static let file = "checkpoint.json"
    package static let network = ["config.json", "model.safetensors", "tokenizer.model"]

    /// - Throws: `KeyboardLMError` where the index is missing, damaged, or of a newer format.
    package init(folder: URL) throws {
        let place = folder.appending(path: Self.file)
        guard FileManager.default.fileExists(atPath: place.path) else {
            throw KeyboardLMError("\(folder.path): no model (\(Self.file) is missing); name the folder of an exported one")
        }
        let read = try JSONFile.read(File.self, from: place, hint: "no index of a model")
        guard read.format_version == 1 else {
            throw KeyboardLMError("\(place.path): format \(read.format_version), but this app reads 1; export the model again")
        }
        (digest, files, self.folder) = (read.digest, read.files, folder)
    }

    /// Compares sizes, and digests of what is small; all digests where that is asked for, which reads the weights once.
    ///
    /// - Throws: `KeyboardLMError` for a file that is missing or another model's.
    package func check(_ names: [String] = network, reads isWhole: Bool = false) throws {
        for name in names {
            let place = folder.appending(path: name), content = try MappedFile(place)
            guard let entry = files[name] else { throw KeyboardLMError("\(place.path): not of this model; export the model again") }
            let isSmall = content.count < 1 << 20
            guard content.count == entry.bytes,
                !(isWhole || isSmall) || sha256(UnsafeRawBufferPointer(start: content.bytes, count: content.count)) == entry.sha256
            else { throw KeyboardLMError("\(place.path): damaged, or of another model; export the model again") }
        }
    }
}

extension CPUBackend {
    /// Opens the network of a model's folder, after a look at whether its files belong together.
    ///
    /// - Throws: `KeyboardLMError` where they do not, or one is missing or damaged.
    package convenience init(checking folder: URL, threads: Int = 2, precision: Precision = .half) throws {
        try ModelIndex(folder: folder).check()
        try self.init(folder: folder, threads: threads, precision: precision)
    }
}
