import Foundation

/// A word on its way to a slot: the one type that every source of words yields.
struct Offer {
    enum Source { case typed, network, continuation, ownWords, lexicon, mistyped, corrector, emoji, swipe }

    /// What would be inserted, with the capitals that belong there.
    let text: CodePoints
    /// The same as its source has it.
    let word: CodePoints
    let kind: Slot.Kind
    let source: Source
    /// Logarithm of P(word | context).
    var logPrior: Double
    /// Logarithm of P(what was typed | word), relative to typing just this on purpose.
    var logChannel = 0.0
    /// The end of the text before the cursor that it stands for.
    var replaced: CodePoints = ""

    /// What it is worth: both together.
    var logJoint: Double { logPrior + logChannel }
}

/// Says what is never offered, whatever source it comes from; `keyboard_lm/keyboard/ranking.py` is the law.
final class OfferFilter {
    private let offends: (CodePoints) -> Bool
    private let mayOffer: (CodePoints) -> Bool
    private let offensive: Memo<CodePoints, Bool>

    convenience init(isOffensive: @escaping (CodePoints) -> Bool, mayOffer: @escaping (CodePoints) -> Bool) {
        self.init(isOffensive, mayOffer, Memo(most: 4096))
    }

    private init(
        _ offends: @escaping (CodePoints) -> Bool, _ mayOffer: @escaping (CodePoints) -> Bool, _ offensive: Memo<CodePoints, Bool>
    ) {
        (self.offends, self.mayOffer, self.offensive) = (offends, mayOffer, offensive)
    }

    /// The same for another writer, whose words are others; what is remembered is shared.
    func another(mayOffer: @escaping (CodePoints) -> Bool) -> OfferFilter { OfferFilter(offends, mayOffer, offensive) }

    func isOffensive(_ word: CodePoints) -> Bool { offensive.value(word) { offends(word) } }

    func hasOffensive(_ text: CodePoints) -> Bool {
        text.contains(where: CharacterClass.isSpace) ? text.words().contains(where: isOffensive) : !text.isEmpty && isOffensive(text)
    }

    /// Whether an offer is fit for the bar. The word is looked at as its source has it and as it would be inserted: in capitals
    /// it may be another.
    func allows(_ offer: Offer) -> Bool {
        !hasOffensive(offer.text) && (offer.word == offer.text || !hasOffensive(offer.word)) && mayOffer(offer.text)
    }
}

/// The door to the bar: every offer is looked at once, mixed with the writer's own words, and ranked here; of those of the same
/// letters the best.
final class Ranking {
    private let filter: OfferFilter
    private let view: PersonalView?
    private var offers: [Offer] = []
    private var keys: [(mixed: UInt64, letters: CodePoints)] = []  // of each offer, folded

    init(_ filter: OfferFilter, _ view: PersonalView?) { (self.filter, self.view) = (filter, view) }

    var count: Int { offers.count }

    /// Takes in what a source yields, as far as it is fit.
    func add(_ found: [Offer]) {
        for var offer in found where filter.allows(offer) {
            if let view, offer.source == .network || offer.source == .ownWords || offer.source == .mistyped {
                offer.logPrior = logarithm(view.mix(exp(offer.logPrior), offer.word))  // the corrector has asked it itself
            }
            let key = Case.fold(offer.text), mixed = key.mixed
            // They are a few dozen: looked through sooner than a dictionary is asked.
            if let place = keys.firstIndex(where: { $0.mixed == mixed && $0.letters == key }) {
                if offer.logJoint > offers[place].logJoint { offers[place] = offer }
            } else {
                offers.append(offer)
                keys.append((mixed, key))
            }
        }
    }

    /// What was taken, the best first; of equal ones in the order of their texts.
    func best() -> [Offer] {
        let worths = offers.map(\.logJoint)
        let order = offers.indices.sorted { worths[$0] != worths[$1] ? worths[$0] > worths[$1] : offers[$0].text < offers[$1].text }
        return order.map { offers[$0] }
    }

    /// The probability of all that was taken.
    func total() -> Double { exactSum(offers.map { exp($0.logJoint) }) }
}

/// The natural logarithm, minus infinity for 0.
func logarithm(_ probability: Double) -> Double { probability > 0 ? log(probability) : -.infinity }

extension CodePoints {
    func contains(where isOne: (UInt32) -> Bool) -> Bool { values.contains(where: isOne) }
}
