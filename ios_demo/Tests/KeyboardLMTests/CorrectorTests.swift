import Foundation
import KeyboardLM
import KeyboardLMToy
import Testing

struct CorrectorTests {
    /// The writer's own words, as `tests/golden/word_laws.py` has them.
    static let own: [CodePoints] = ["Zyxel", "kraxel", "gnorp", "O'Brannigan", "wibble-wobble"]

    let tokenizer: Tokenizer
    let boundaries: Boundaries
    let search: CandidateSearch
    let language: Language

    init() throws {
        let (language, pack) = try bundledLanguage()
        self.language = language
        let layout = try #require(pack.layouts["qwerty"]), model = repositoryFolder("keyboard_lm/bundled")
        search = CandidateSearch(
            language.lexicon, Channel(layout, alphabet: language.lexicon.alphabet, parameters: language.channel))
        tokenizer = try Tokenizer(folder: model)
        let config = try ModelConfig(file: model.appending(path: "config.json"))
        let network = ToyNetwork(scores: tokenizer.model.scores, maxContextLength: config.maxContextLength)
        boundaries = try Boundaries(network, tokenizer, maxNodes: 16)
    }

    @Test func theCorrectorIsPythons() throws {
        let judge = Corrector(search, tokenizer)
        try Law("corrector").check { asked in
            let verdict = try judge.judge(Law.text(asked, "text"), { try boundaries.at($0) }, taps: Law.taps(asked["taps"]))
            return [
                "hypotheses": verdict.hypotheses.map { [$0.replaced, $0.text, $0.logJoint] as [Any] },
                "correction": verdict.correction.map { [$0.replaced, $0.text] as [Any] } ?? NSNull(),
            ]
        }
    }

    @Test func theCorrectorAsTheKeyboardAsksItIsPythons() throws {
        let ownLexicon = try Lexicon.build(Self.own.map { Entry($0, frequency: 1) })
        var options = CandidateOptions()
        (options.numWords, options.beam) = (4, 200)
        let layout = search.channel.layout
        let own = CandidateSearch(
            ownLexicon, Channel(layout, alphabet: ownLexicon.alphabet, parameters: language.channel), options)
        let isProtected: Set<CodePoints> = ["gnorp", "tomorow"]
        let judge = Corrector(
            search, tokenizer, isProtected: { isProtected.contains($0) }, words: language.knownWords(), gate: language.gate)
        let believed: Prior = { 0.8 * $0 + 0.2e-4 * Double($1.count % 3) }
        try Law("verdicts").check { asked in
            let text = Law.text(asked, "text"), hasNetwork = asked["network"] as? Bool == true
            let verdict = try judge.judge(
                text, { hasNetwork ? try boundaries.at($0) : nil }, prior: asked["prior"] as? Bool == true ? believed : nil,
                more: { own.find($0, $1) })
            let typed = tokenizer.form.splitTyped(text)
            var longer: [Any] = []
            if (asked["longer"] as? [Any])?.isEmpty == false {
                let found = search.mistypedCompletions(boundaries.table, try boundaries.at(typed), typed.partial, [], numPrefixes: 6)
                longer = found.map { [$0.text, $0.probability, $0.logLikelihood] as [Any] }
            }
            return [
                "hypotheses": verdict.hypotheses.prefix(6).map { [$0.replaced, $0.text, $0.logJoint] as [Any] },
                "num": verdict.hypotheses.count,
                "correction": verdict.correction.map { [$0.replaced, $0.text] as [Any] } ?? NSNull(), "longer": longer,
            ]
        }
    }
}
