import Foundation

/// Which offer takes which slot; `keyboard_lm/keyboard/arrangement.py` is the law.
enum Arrangement {
    /// Of a word that is worth a slot: less would be shown as 0.0 %.
    static let leastShare = 0.001

    /// The first offers that are worth a slot, each with its share of the probability of all that may have been meant.
    static func slots(_ offers: [Offer], _ total: Double, _ numSlots: Int, leastShare: Double = leastShare) -> [Slot] {
        offers.prefix(numSlots).map { Slot($0.text, $0.kind, share($0, total), replaced: $0.replaced) }
            .filter { $0.probability >= leastShare }
    }

    /// The bar of a word that a space would replace, best first: what a space would put in is among the first two, and what it
    /// would replace among the first three.
    static func withCorrection(
        _ offers: [Offer], _ total: Double, _ correction: Correction, _ literal: Offer, _ numSlots: Int
    ) -> [Slot] {
        let (same, others) = apart(offers, total, correction, numSlots)
        let first = Slot(correction.text, .correction, same, replaced: correction.replaced)
        let kept = Slot(literal.text, .literal, share(literal, total), replaced: literal.replaced)
        let isAhead = others.first.map { $0.probability > first.probability } ?? false
        let firsts = isAhead ? [others[0], first] : [first] + others.prefix(1)
        return Array((firsts + [kept] + others.dropFirst()).prefix(numSlots))
    }

    /// The bar of a word that most likely goes on, but that a space typed now would replace: the literal takes no slot that a
    /// completion could have, what a space would put in is on the bar all the same.
    static func withUnlikelyCorrection(
        _ offers: [Offer], _ total: Double, _ correction: Correction, _ numSlots: Int
    ) -> [Slot] {
        let (same, others) = apart(offers, total, correction, numSlots)
        let put = Slot(correction.text, .correction, same, replaced: correction.replaced)
        let slots = (others + [put]).sorted {
            $0.probability != $1.probability ? $0.probability > $1.probability : $0.text < $1.text
        }
        let key = Case.fold(correction.text)
        let shown = Array(slots.prefix(numSlots))
        if shown.contains(where: { Case.fold($0.text) == key }) { return shown }
        return shown.dropLast() + slots.filter { Case.fold($0.text) == key }
    }

    /// Whether a text is one of some offers, case apart.
    static func contains(_ offers: ArraySlice<Offer>, _ text: CodePoints) -> Bool {
        let key = Case.fold(text)
        return offers.contains { Case.fold($0.text) == key }
    }

    /// The bar with some offers, whatever they are worth, in the last slots.
    static func withLast(_ slots: [Slot], _ last: [Offer], _ numSlots: Int) -> [Slot] {
        slots.prefix(numSlots - last.count) + last.map { Slot($0.text, $0.kind, 0, replaced: $0.replaced) }
    }

    // The share of what a correction puts in, and the slots of all else.
    private static func apart(
        _ offers: [Offer], _ total: Double, _ correction: Correction, _ numSlots: Int
    ) -> (same: Double, others: [Slot]) {
        let key = Case.fold(correction.text)
        let isSame = offers.map { Case.fold($0.text) == key }
        var same = 0.0
        for (offer, isSame) in zip(offers, isSame) where isSame { same += share(offer, total) }
        return (same, slots(zip(offers, isSame).filter { !$0.1 }.map(\.0), total, numSlots))
    }

    private static func share(_ offer: Offer, _ total: Double) -> Double { total > 0 ? exp(offer.logJoint) / total : 0 }
}
