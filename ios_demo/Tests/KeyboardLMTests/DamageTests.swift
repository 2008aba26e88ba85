import Foundation
import KeyboardLM
import Testing

/// Damaged files of words: each is one error, never a trap.
struct DamageTests {
    static func damaged(_ content: [UInt8], _ numbers: inout SplitMix) -> [UInt8] {
        var found = content
        let place = Int.random(in: 0..<content.count, using: &numbers)
        switch Int.random(in: 0..<4, using: &numbers) {
        case 0: found.removeSubrange(place...)
        case 1: found.insert(UInt8.random(in: 0...255, using: &numbers), at: place)
        case 2:
            let end = min(place + Int.random(in: 1...64, using: &numbers), found.count)
            for number in place..<end { found[number] = UInt8.random(in: 0...255, using: &numbers) }
        default: found[place] ^= 1 << UInt8.random(in: 0..<8, using: &numbers)
        }
        return found
    }

    @Test func aDamagedLexiconIsOneError() throws {
        let words = ["a", "an", "Anna", "it's", "Kraków", "zebra", "zoo"].map { Entry(CodePoints($0), frequency: 100) }
        let content = try Lexicon.bytes(words)
        var numbers = SplitMix(state: 1)
        for _ in 0..<1000 {
            let other = Self.damaged(content, &numbers)
            if other == content { continue }
            #expect(throws: KeyboardLMError.self) { try Lexicon(MappedFile(copying: other), name: "a lexicon") }
        }
    }

    /// Bytes with the sums of an intact file, as a careless writer would leave them: whatever is read of them is in bounds.
    @Test func aForeignLexiconWithRightSumsIsNoTrap() throws {
        let words = ["a", "an", "Anna", "it's", "Kraków", "zebra", "zoo"].map { Entry(CodePoints($0), frequency: 100) }
        let content = try Lexicon.bytes(words)
        var numbers = SplitMix(state: 2)
        for _ in 0..<1000 {
            var other = content
            let place = Int.random(in: 8..<content.count, using: &numbers)
            other[place] = UInt8.random(in: 0...255, using: &numbers)
            Lexicon.seal(&other)
            guard let lexicon = try? Lexicon(MappedFile(copying: other), name: "a lexicon") else { continue }
            for entry in 0..<lexicon.count { _ = lexicon.isKnown(lexicon.text(entry)) }
            _ = lexicon.frequentWords("", limit: 10)
            let layout = Layout(name: "one", rows: [.init(keys: ["a", "n", "z"], left: 0)], spaceLeft: 0, spaceWidth: 3)
            _ = CandidateSearch(lexicon, Channel(layout, alphabet: lexicon.alphabet)).find("ana")
        }
    }

    @Test func aDamagedPackIsOneErrorOrAPack() throws {
        let content = [UInt8](try Data(contentsOf: repositoryFolder("ios_demo/Model/pack.json")))
        let file = FileManager.default.temporaryDirectory.appending(path: "pack-\(UUID().uuidString).json")
        defer { try? FileManager.default.removeItem(at: file) }
        var numbers = SplitMix(state: 3), numErrors = 0
        for _ in 0..<1000 {
            try Data(Self.damaged(content, &numbers)).write(to: file)
            do {
                let pack = try Pack(file: file)
                if let layout = pack.layouts["qwerty"] { _ = Channel(layout, alphabet: [0x61, 0x62], parameters: pack.channel) }
            } catch let error as KeyboardLMError {
                #expect(error.description.contains("export the model again"))
                numErrors += 1
            }
        }
        #expect(numErrors > 300)
    }

    /// Calls something with a file of damaged bytes, a thousand times; it may say what is wrong, or not mind.
    private static func damage(_ content: [UInt8], seed: UInt64, _ use: (URL) throws -> Void) throws -> Int {
        let file = FileManager.default.temporaryDirectory.appending(path: "damaged-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        var numbers = SplitMix(state: seed), numErrors = 0
        for _ in 0..<1000 {
            try Data(damaged(content, &numbers)).write(to: file)
            do { try use(file) } catch is KeyboardLMError { numErrors += 1 }
        }
        return numErrors
    }

    @Test func aDamagedConfigurationIsOneErrorOrOne() throws {
        let content = [UInt8](try Data(contentsOf: repositoryFolder("keyboard_lm/bundled/config.json")))
        #expect(try Self.damage(content, seed: 4) { _ = try ModelConfig(file: $0) } > 300)
    }

    @Test func damagedWeightsAreOneErrorOrSome() throws {
        let header = #"{"__metadata__":{"format":"pt"},"a.weight":{"dtype":"F16","shape":[4,8],"data_offsets":[0,64]},"#
            + #""b":{"dtype":"F16","shape":[16],"data_offsets":[64,96]}}"#
        let size = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian, Array.init)
        let content = size + Array(header.utf8) + [UInt8](repeating: 0x3C, count: 96)
        let numErrors = try Self.damage(content, seed: 5) { file in
            let weights = try Safetensors(file: file)
            for (name, shape) in [("a.weight", [4, 8]), ("b", [16])] {
                let tensor = try weights.tensor(name, shape)
                for place in 0..<tensor.count { _ = tensor.values.loadUnaligned(fromByteOffset: 2 * place, as: UInt16.self) }
            }
        }
        #expect(numErrors > 300)
    }

    @Test func aDamagedTokenizerIsOneErrorOrOne() throws {
        let model = [UInt8](try Data(contentsOf: repositoryFolder("keyboard_lm/bundled/tokenizer.model")))
        // The first pieces of it, control pieces and bytes among them: tag 0x0A, a length below 128, the piece.
        var end = 0
        for _ in 0..<320 where model[end] == 0x0A { end += 2 + Int(model[end + 1]) }
        var numbers = SplitMix(state: 6), numErrors = 0
        for _ in 0..<1000 {
            do {
                let tokenizer = try Tokenizer(data: Self.damaged(Array(model[..<end]), &numbers), properNouns: [])
                _ = tokenizer.encode(["the", "naïve", "zoo"])
            } catch is KeyboardLMError {
                numErrors += 1
            }
        }
        #expect(numErrors > 100)
    }
}
