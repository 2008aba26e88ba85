import Foundation
import KeyboardLM
import Testing

/// The language that the package carries.
func bundledLanguage() throws -> (language: Language, pack: Pack) {
    let folder = repositoryFolder("ios_demo/Model")
    let pack = try Pack(file: folder.appending(path: Language.packFile))
    let emoji = EmojiIndex(file: repositoryFolder("keyboard_lm/languages/en/emoji.tsv"))
    return (Language(pack, lexicon: try Lexicon(file: folder.appending(path: Language.lexiconFile)), emoji: emoji), pack)
}

struct WordsTests {
    let language: Language
    let layout: Layout
    let search: CandidateSearch
    let channel: Channel

    init() throws {
        let (language, pack) = try bundledLanguage()
        self.language = language
        layout = try #require(pack.layouts["qwerty"])
        channel = Channel(layout, alphabet: language.lexicon.alphabet, parameters: language.channel)
        search = CandidateSearch(language.lexicon, channel)
    }

    @Test func theLexiconIsPythons() throws {
        let lexicon = language.lexicon
        try Law("lexicon").check { asked in
            let word = Law.text(asked, "word")
            if asked["prefix"] != nil {
                let found = lexicon.frequentWords(Law.text(asked, "prefix"), limit: 4)
                return ["frequent": found.map { [$0.text, $0.frequency] as [Any] }]
            }
            return [
                "known": lexicon.isKnown(word), "frequency": lexicon.frequency(word), "offensive": lexicon.isOffensive(word),
                "miswritten": lexicon.isMiswritten(word),
            ]
        }
    }

    @Test func theChannelIsPythons() throws {
        try Law("channel").check { asked in
            let tap = Law.taps([asked["tap"] ?? NSNull()])[0], letter = Law.text(asked, "letter")
            let said = channel.evidence(of: letter[0], tap)
            return ["hit": said.hit, "brushed": said.brushed, "added": said.added]
        }
    }

    @Test func whatMayHaveBeenMeantIsPythons() throws {
        try Law("candidates").check { asked in
            let typed = Law.text(asked, "typed"), taps = Law.taps(asked["taps"])
            return [
                "words": search.find(typed, taps).map { [$0.text, $0.logLikelihood, $0.logFrequency] as [Any] },
                "beginnings": search.prefixes(typed, taps).map { [$0.prefix, $0.logLikelihood] as [Any] },
            ]
        }
    }

    @Test func whatIsRememberedOfBeginningsChangesNoAnswer() {
        let typed: [CodePoints] = ["teh", "there", "thank", "te", "helo", "teh", "thak", "hel", "there", "recieve", "rec", "th"]
        for most in [1, 4, 9] {
            let forgetful = CandidateSearch(language.lexicon, channel, numRemembered: most)
            for word in typed {
                #expect(forgetful.find(word) == search.find(word))
                #expect(forgetful.prefixes(word).map(\.prefix) == search.prefixes(word).map(\.prefix))
            }
        }
    }

    @Test func whatIsAWordIsPythons() throws {
        let taught = Set(CorrectorTests.own)
        let known = language.knownWords { taught.contains($0) }, reader = Reader(search, known)
        try Law("words").check { asked in
            let text = Law.text(asked, "text")
            return [
                "is_word": known.isWord(text), "may_offer": known.mayOffer(text), "is_known": known.isKnown(text),
                "cased": known.cased(text), "frequency": known.frequency(text), "read": reader.read(text),
                "emoji": language.emoji.find(text, limit: 2),
            ]
        }
    }

    @Test func aBuiltLexiconHoldsItsWords() throws {
        let words = ["Kraków", "krakow", "McCoy", "naïve", "a", "ab", "Ab", "b-c", "it's"]
        let lexicon = try Lexicon.build(words.map { Entry(CodePoints($0), frequency: 1) })
        #expect(lexicon.count == words.count)
        #expect(Set((0..<lexicon.count).map { lexicon.text($0).string }) == Set(words))
        for word in words { #expect(lexicon.isKnown(CodePoints(word))) }
        #expect(!lexicon.isKnown("krak") && !lexicon.isKnown("mccoy") && lexicon.frequency("MCCOY") == 1)
        #expect(try Lexicon.build([]).count == 0)
        let sharp: CodePoints = "\u{1E9E}"  // its small letter's capital is two letters
        #expect(throws: KeyboardLMError.self) { try Lexicon.build([Entry(sharp, frequency: 1)]) }
    }
}
