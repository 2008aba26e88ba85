import Foundation
import KeyboardLM
import Testing

/// Folders that hold no model, or parts of two.
struct ModelIndexTests {
    private let bundled = repositoryFolder("keyboard_lm/bundled")

    // A copy of the bundled model without its weights' bytes, which are a link, with one file put in another's place.
    private func folder(without missing: String? = nil, _ change: (URL) throws -> Void = { _ in }) throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appending(path: "model-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for name in ["checkpoint.json", "config.json", "tokenizer.model", "proper_nouns.txt"] where name != missing {
            try Data(contentsOf: bundled.appending(path: name)).write(to: folder.appending(path: name))
        }
        if missing != "model.safetensors" {
            try FileManager.default.createSymbolicLink(
                at: folder.appending(path: "model.safetensors"), withDestinationURL: bundled.appending(path: "model.safetensors"))
        }
        try change(folder)
        return folder
    }

    @Test func theBundledModelIsOne() throws {
        try ModelIndex(folder: bundled).check(reads: true)
        let copy = try folder()
        defer { try? FileManager.default.removeItem(at: copy) }
        _ = try CPUBackend(checking: copy)
    }

    @Test func aTokenizerOfAnotherModelIsSaid() throws {
        let changed = try folder { folder in
            let file = folder.appending(path: "tokenizer.model")
            var content = try Data(contentsOf: file)
            let piece = try #require(content.range(of: Data("going\u{2581}\u{15}".utf8)))
            content[piece.upperBound] ^= 1  // of its score: a tokenizer as good as the other
            try content.write(to: file)
        }
        defer { try? FileManager.default.removeItem(at: changed) }
        #expect(throws: KeyboardLMError.self) { try CPUBackend(checking: changed) }
    }

    @Test(arguments: ["checkpoint.json", "config.json", "tokenizer.model", "model.safetensors"])
    func aFileThatIsMissingIsSaid(name: String) throws {
        let folder = try folder(without: name)
        defer { try? FileManager.default.removeItem(at: folder) }
        #expect(throws: KeyboardLMError.self) { try CPUBackend(checking: folder) }
    }

    @Test func aDamagedIndexIsOneErrorOrOne() throws {
        let content = [UInt8](try Data(contentsOf: bundled.appending(path: "checkpoint.json")))
        var numbers = SplitMix(state: 9), numErrors = 0
        let damaged = try folder()
        defer { try? FileManager.default.removeItem(at: damaged) }
        for _ in 0..<300 {
            try Data(DamageTests.damaged(content, &numbers)).write(to: damaged.appending(path: "checkpoint.json"))
            do { try ModelIndex(folder: damaged).check() } catch is KeyboardLMError { numErrors += 1 }
        }
        #expect(numErrors > 100)
    }
}
