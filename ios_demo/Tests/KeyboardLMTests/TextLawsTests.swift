import Foundation
import KeyboardLM
import Testing

/// Single characters, short strings and the network, against the Python package's golden files.
struct TextLawsTests {
    let model = repositoryFolder("keyboard_lm/bundled")

    @Test func everyCharacterOfUnicode14IsPythons() throws {
        let ranges = try #require(JSONSerialization.jsonObject(with: goldenFile("unicode14.json")) as? [[Int]])
        var blocks: [Int: [String]] = [:]
        for code in ranges.flatMap({ $0[0]..<$0[1] }) {
            let char = CodePoints([UInt32(code)])
            let texts = [Case.fold(char), TextForm.capitalise(char), Normaliser.normalise("a" + char + "b")].map(quotedAsPython)
            let flags = "\(TextForm.isWordPart(char)),\(TypingRules.isWordCharacter(UInt32(code)))"
            let row = "[\(code),\"\(Self.kind(char))\",\(flags),\(texts.joined(separator: ","))]"
            blocks[code / 256, default: []].append(row)
        }
        let law = try Law("characters")
        #expect(law.cases.count == blocks.count)
        try law.check { asked in
            let rows = blocks[(asked["first"] as? Int ?? 0) / 256] ?? []
            return ["num": rows.count, "sha256": sha256(Array("[\(rows.joined(separator: ","))]".utf8))]
        }
    }

    private static func kind(_ text: CodePoints) -> String {
        switch TextForm.kind(of: text) {
        case .word: "word"
        case .dotted: "dotted"
        case .punctuation: "punct"
        case .emoji: "emoji"
        case .emoticon: "emoticon"
        }
    }

    // As `SYMBOLS` of tests/golden/text_laws.py.
    private static let symbols: [CodePoints] = [
        "a", "I", "\u{e9}", "\u{4f60}", "3", "'", ".", ",", ":", "?", "-", "/", "(", ")", "\"", "@", "%", " ", "\u{2019}",
        "\u{301}", "\u{2764}", "\u{fe0f}", "\u{200d}", "\u{1f44d}",
    ]

    @Test func everyStringOfUpToFourSymbolsIsCutAsInPython() throws {
        let form = try Tokenizer(folder: model).form, symbols = Self.symbols
        var ends: [CodePoints] = [""] + symbols
        for first in symbols { ends += symbols.map { first + $0 } }
        try Law("scanner").check { asked in
            let begins = Law.text(asked, "begins")
            let asked: [CodePoints] = begins.count == 1 ? [""] : ends
            let forms = asked.map { quotedAsPython(form.encode(begins + $0)) }
            return ["num": forms.count, "sha256": sha256(Array("[\(forms.joined(separator: ","))]".utf8))]
        }
    }

    @Test func theNetworkIsTheReferences() throws {
        let network = try CPUBackend(checking: model), law = try Law("network")
        let fixed = (0..<16).map { $0 * (network.vocabularySize / 16) }
        var worst = 0.0
        for asked in law.cases {
            let ids = asked["ids"] as? [Int] ?? [], parents = asked["parents"] as? [Int] ?? []
            let rows = [try network.prefill(ids)] + (try network.scoreTree(asked["tree"] as? [Int] ?? [], parents: parents))
            let after = try #require(asked["after"] as? [[String: Any]])
            #expect(rows.count == after.count)
            for (row, said) in zip(rows, after) {
                for best in try #require(said["best"] as? [[Double]]) { worst = max(worst, abs(Double(row[Int(best[0])]) - best[1])) }
                for (piece, logit) in zip(fixed, try #require(said["fixed"] as? [Double])) {
                    worst = max(worst, abs(Double(row[piece]) - logit))
                }
                let most = Double(row.max() ?? 0), sum = row.reduce(0.0) { $0 + exp(Double($1) - most) }
                worst = max(worst, abs(most + log(sum) - (said["log_sum"] as? Double ?? 0)))
            }
        }
        #expect(!law.cases.isEmpty && worst < 5e-4, "\(worst)")
    }
}
