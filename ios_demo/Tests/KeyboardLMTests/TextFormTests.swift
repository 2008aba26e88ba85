import Foundation
import Testing

import KeyboardLM

struct TextFormTests {
    struct Golden: Decodable {
        struct Encoded: Decodable { let text, form, restored: String }
        struct Split: Decodable {
            let text: String
            let messages: [[String]]
            let partial: String
            let starts_sentence, space_before: Bool
        }
        let proper_nouns: [String]
        let encode: [Encoded]
        let split_typed: [Split]
    }

    let golden: Golden
    let form: TextForm

    init() throws {
        golden = try JSONDecoder().decode(Golden.self, from: Golden.data("text_form.json"))
        form = TextForm(properNouns: golden.proper_nouns.map { CodePoints($0) })
    }

    @Test func encodeAndDecodeMatchTheGoldenFile() {
        for line in golden.encode {
            #expect(form.encode(CodePoints(line.text)).string == line.form)
            #expect(form.decode(CodePoints(line.form)).string == line.restored)
        }
    }

    @Test func splitTypedMatchesTheGoldenFile() {
        for line in golden.split_typed {
            let typed = form.splitTyped(CodePoints(line.text))
            #expect(typed.messages.map { $0.map(\.string) } == line.messages)
            #expect(typed.partial.string == line.partial)
            #expect(typed.startsSentence == line.starts_sentence)
            #expect(typed.spaceBefore == line.space_before)
        }
    }
}

extension TextFormTests.Golden {
    static func data(_ name: String) throws -> Data { try goldenFile(name) }
}

/// Returns a file of the repository's `tests/golden`.
func goldenFile(_ name: String) throws -> Data {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../../../tests/golden")
    return try Data(contentsOf: folder.appending(path: name))
}
