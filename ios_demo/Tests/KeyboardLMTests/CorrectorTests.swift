import Foundation
import KeyboardLM
import KeyboardLMToy
import Testing

struct CorrectorTests {
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
}
