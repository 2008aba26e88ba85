import Foundation
import KeyboardLM
import KeyboardLMToy
import Testing

/// Text form, tokens, pieces and the search for words, against the Python package's golden files.
struct SearchTests {
    let tokenizer: Tokenizer
    let network: ToyNetwork
    let boundaries: Boundaries

    init() throws {
        let model = repositoryFolder("keyboard_lm/bundled")
        tokenizer = try Tokenizer(folder: model)
        let config = try ModelConfig(file: model.appending(path: "config.json"))
        network = ToyNetwork(scores: tokenizer.model.scores, maxContextLength: config.maxContextLength)
        boundaries = try Boundaries(network, tokenizer, maxNodes: 16)
    }

    @Test func theTextFormIsPythons() throws {
        try Law("text_form").check { asked in
            let text = Law.text(asked, "text"), form = tokenizer.form.encode(text), typed = tokenizer.form.splitTyped(text)
            return [
                "normal": Normaliser.normalise(text), "form": form, "text_again": tokenizer.form.decode(form),
                "split": [typed.messages as Any, typed.partial, typed.startsSentence, typed.spaceBefore],
            ]
        }
    }

    @Test func tokensArePythons() throws {
        try Law("tokens").check { asked in
            ["ids": tokenizer.encode(tokenizer.form.encode(Law.text(asked, "text")).words()) + [tokenizer.endID]]
        }
    }

    @Test func piecesLieInPythonsOrder() throws {
        #expect(sha256(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        try Law("pieces").check { asked in
            let pieces = asked["set"] as? String == "ends" ? boundaries.table.ends : boundaries.table.opens
            let first = Law.text(asked, "first")
            let span = first.isEmpty ? pieces.group("") : pieces.starting(with: first)
            let rows = span.map { place in
                let texts = "\(quotedAsPython(pieces.keys[place])), \(quotedAsPython(pieces.texts[place]))"
                return "[\(texts), \(pieces.ids[place]), \(pieces.mayBegin[place])]"
            }
            return ["num": span.count, "sha256": sha256(Array("[\(rows.joined(separator: ", "))]".utf8))]
        }
    }

    @Test func theSearchIsPythons() throws {
        try Law("search").check { asked in
            let typed = tokenizer.form.splitTyped(Law.text(asked, "text"))
            var options = SearchOptions()
            options.numWords = try #require(asked["num_words"] as? Int)
            let found = try WordSearch.find(boundaries.table, boundaries.at(typed), typed.partial, options)
            return [
                "words": found.words.map { [$0.text, $0.probability] as [Any] }, "typed": found.typedProbability,
                "prefix": found.prefixProbability, "rounds": found.numRounds,
            ]
        }
    }

    @Test func theNetworkIsAskedAsOften() throws {
        try Law("cache_calls").check { asked in
            network.clearCalls()
            let typed = tokenizer.form.splitTyped(Law.text(asked, "text"))
            _ = try WordSearch.find(boundaries.table, boundaries.at(typed), typed.partial)
            return ["calls": network.calls.map(Self.values)]
        }
    }

    private static func values(_ call: ToyNetwork.Call) -> [Any] {
        switch call {
        case .prefill(let ids): return ["prefill", ids]
        case .decode(let ids): return ["decode", ids]
        case .scoreTree(let ids, let parents): return ["score_tree", ids, parents]
        case .rewind(let length): return ["rewind", length]
        }
    }
}
