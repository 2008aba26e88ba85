import Foundation
import KeyboardLM
import Testing

/// `swipe.json`: paths, and the words that Python reads from them.
struct SwipeTests {
    let golden: [String: Any]
    let pack: Pack
    let shipped: Lexicon

    init() throws {
        golden = try #require(JSONSerialization.jsonObject(with: goldenFile("swipe.json")) as? [String: Any])
        let (language, pack) = try bundledLanguage()
        (self.pack, shipped) = (pack, language.lexicon)
    }

    @Test func pathsOverAFewWordsAreReadAsPythonReadsThem() throws {
        let rows = try #require(golden["words"] as? [[Any]])
        let lexicon = try Lexicon.build(
            rows.map { Entry(CodePoints($0[0] as? String ?? ""), frequency: ($0[1] as? NSNumber)?.uint8Value ?? 0) })
        var options = PathBeamOptions()
        options.numWords = 5
        var decoders: [String: SwipeDecoder] = [:]
        for asked in try cases("decoder") {
            let name = try #require(asked["layout"] as? String)
            let layout = try #require(pack.layouts[name])
            let decoder = decoders[name] ?? SwipeDecoder(lexicon, layout, beam: options)
            decoders[name] = decoder
            try compare(decoder.find(path(asked)), asked, numBest: 5)
        }
    }

    @Test func pathsOverTheLexiconThatShipsAreReadAsPythonReadsThem() throws {
        let decoder = SwipeDecoder(shipped, try #require(pack.layouts["qwerty"]))
        for asked in try cases("shipped") {
            if let message = asked["error"] as? String {
                #expect {
                    try decoder.find(path(asked))
                } throws: {
                    ($0 as? KeyboardLMError)?.description == message
                }
                continue
            }
            #expect(try SwipePath.isTap(path(asked)) == (asked["is_tap"] as? Bool), "\(asked["name"] ?? "")")
            try compare(decoder.find(path(asked)), asked, numBest: 8)
        }
    }

    @Test func whatNoFingerCanHaveDrawnIsAnError() throws {
        let decoder = SwipeDecoder(try Lexicon.build([]), try #require(pack.layouts["qwerty"]))
        let point = PathPoint(x: 1, y: 1, ms: 0)
        #expect(try decoder.find([point, point]).isEmpty)
        #expect(throws: KeyboardLMError.self) { try decoder.find(Array(repeating: point, count: 100_000)) }
        for wrong in [Double.nan, .infinity, -.infinity] {
            #expect(throws: KeyboardLMError.self) { try decoder.find([point, PathPoint(x: wrong, y: 1, ms: 1)]) }
            #expect(throws: KeyboardLMError.self) { try decoder.find([point, PathPoint(x: 1, y: 1, ms: wrong)]) }
        }
    }

    private func cases(_ name: String) throws -> [[String: Any]] {
        let found = try #require(golden[name] as? [[String: Any]])
        #expect(found.count > 20)
        return found
    }

    private func path(_ asked: [String: Any]) -> [PathPoint] {
        (asked["path"] as? [[NSNumber]] ?? []).map {
            PathPoint(x: $0[0].doubleValue, y: $0[1].doubleValue, ms: $0[2].doubleValue)
        }
    }

    // The same words in the same order, with the same logarithms within 0.01.
    private func compare(_ found: [SwipeCandidate], _ asked: [String: Any], numBest: Int) throws {
        let expected = try #require(asked["found"] as? [[Any]])
        let best = found.prefix(numBest)
        #expect(best.map(\.text.string) == expected.map { $0[0] as? String }, "\(asked["name"] ?? "")")
        for (one, other) in zip(best, expected) {
            let log = try #require((other[1] as? NSNumber)?.doubleValue)
            #expect(abs(one.logLikelihood - log) < 0.01, "\(asked["name"] ?? ""): \(one)")
        }
    }
}
