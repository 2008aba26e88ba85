import Foundation

/// What a function of a package is given; `coreml/keyboard_lm_coreml/package/names.py` says what each is for.
package struct FunctionInputs: Equatable {
    /// The new tokens, (1, T); a padded place holds the last one again.
    package let tokenIDs: [Int32]
    /// The slot of the first new token.
    package let position: Int32
    /// Added to the attention scores: 0 where a token may attend, `masked` elsewhere, (1, 1, T, S).
    package let mask: [Float]
    /// Cosines, then sines, of each token's rotary angles, (T, 2 D).
    package let rope: [Float]
    /// 1 at the token whose logits are wanted, (1, 1, T); nil for functions that return all.
    package let row: [Float]?

    package static let masked: Float = -1e4
}

/// Runs the functions of one package, which share one state.
package protocol FunctionRunner: AnyObject {
    /// Runs a function and returns its logits, (rows, V), one row after another.
    func run(_ function: String, _ inputs: FunctionInputs) throws -> [Float]
}

/// What a keyboard's package offers, as its bundle's manifest has it.
package struct Contract: Equatable, Sendable {
    /// One function that the backend may call.
    package struct Entry: Equatable, Sendable {
        package let name: String
        package let numTokens: Int
        /// It returns the logits of one token, which an input chooses.
        package let isPrefill: Bool

        package init(name: String, numTokens: Int, isPrefill: Bool) {
            (self.name, self.numTokens, self.isPrefill) = (name, numTokens, isPrefill)
        }
    }

    /// Fewest tokens first.
    package let entries: [Entry]
    /// Slots of the state.
    package let numSlots: Int
    /// The package's name in its bundle.
    package let package: String
    /// The digest of the model that it was made of.
    package let checkpoint: String

    package static let manifestFile = "manifest.json"

    private struct Manifest: Decodable {
        struct Function: Decodable {
            let name: String
            let num_tokens: Int
            let is_prefill: Bool
        }
        let package: String
        let package_format: Int
        let checkpoint_digest: String
        let num_slots: Int
        let functions: [Function]
    }

    /// - Throws: `KeyboardLMError` where there is no single-token function, or a number makes no sense.
    package init(entries: [Entry], numSlots: Int, package: String = "keyboard-lm.mlpackage", checkpoint: String = "") throws {
        guard numSlots > 1, entries.allSatisfy({ $0.numTokens >= 1 && $0.numTokens <= numSlots }),
            entries.contains(where: { $0.numTokens == 1 })
        else { throw KeyboardLMError("the package's functions do not fit its \(numSlots) slots; export it again") }
        self.entries = entries.sorted { ($0.numTokens, $0.isPrefill ? 1 : 0) < ($1.numTokens, $1.isPrefill ? 1 : 0) }
        (self.numSlots, self.package, self.checkpoint) = (numSlots, package, checkpoint)
    }

    /// Reads a bundle's `manifest.json`.
    ///
    /// - Throws: `KeyboardLMError` where it is missing, damaged, or of another format.
    package init(manifest file: URL) throws {
        guard let read = try? JSONDecoder().decode(Manifest.self, from: Data(contentsOf: file)), read.package_format == 1 else {
            throw KeyboardLMError("\(file.path): no manifest of a package that this app reads; export the model again")
        }
        try self.init(
            entries: read.functions.map { Entry(name: $0.name, numTokens: $0.num_tokens, isPrefill: $0.is_prefill) },
            numSlots: read.num_slots, package: read.package, checkpoint: read.checkpoint_digest)
    }
}
