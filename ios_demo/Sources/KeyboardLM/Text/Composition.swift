import Foundation

/// Unicode's normalization form C, from the properties of single scalars and pairs.
///
/// Foundation's `precomposedStringWithCanonicalMapping` is asked about one or two scalars of one plane only: over longer texts
/// it takes U+E0061 and an acute accent for "á" (seen in Swift 6.0.3 on Linux; `findings/foundation_nfc_planes.sh`).
/// The algorithm is that of the Unicode Standard, section 3.11.
package struct Composition {
    private var decompositions: [UInt32: [UInt32]] = [:]
    private var composites: [UInt64: UInt32] = [:]  // 0 for a pair that has none

    package init() {}

    /// Returns a text in normalization form C.
    package mutating func compose(_ text: [UInt32]) -> [UInt32] {
        if text.allSatisfy({ $0 < 0x300 }) { return text }  // none of these is a mark, or has another form
        var scalars = text.flatMap { decomposed($0) }
        order(&scalars)
        var composed: [UInt32] = []
        var starter: Int?
        var lastClass: UInt8 = 0
        for scalar in scalars {
            let here = Self.combiningClass(scalar)
            let isBlocked = starter.map { composed.count - 1 > $0 && (lastClass == 0 || lastClass >= here) } ?? true
            if let starter, !isBlocked, let whole = composite(composed[starter], scalar) {
                composed[starter] = whole
                continue
            }
            if here == 0 { starter = composed.count }
            lastClass = here
            composed.append(scalar)
        }
        return composed
    }

    // Marks between two starters by their combining class, equal ones as they came.
    private func order(_ scalars: inout [UInt32]) {
        var index = 1
        while index < scalars.count {
            let here = Self.combiningClass(scalars[index])
            if here > 0, Self.combiningClass(scalars[index - 1]) > here {
                scalars.swapAt(index, index - 1)
                index = max(index - 1, 1)
            } else {
                index += 1
            }
        }
    }

    private mutating func decomposed(_ scalar: UInt32) -> [UInt32] {
        if scalar < 0xC0 { return [scalar] }
        if let known = decompositions[scalar] { return known }
        let found = Unicode.Scalar(scalar).map { String(String.UnicodeScalarView([$0])).decomposedStringWithCanonicalMapping }
        let parts = found.map { $0.unicodeScalars.map(\.value) } ?? [scalar]
        if decompositions.count >= Self.mostRemembered { decompositions.removeAll() }
        decompositions[scalar] = parts
        return parts
    }

    private mutating func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
        // No composite has parts of two planes.
        guard second >= 0x300, first >> 16 == second >> 16 else { return nil }
        if let syllable = Self.syllable(first, second) { return syllable }
        let key = UInt64(first) << 32 | UInt64(second)
        if let known = composites[key] { return known == 0 ? nil : known }
        var whole: UInt32 = 0
        if let left = Unicode.Scalar(first), let right = Unicode.Scalar(second) {
            let found = String(String.UnicodeScalarView([left, right])).precomposedStringWithCanonicalMapping.unicodeScalars
            if found.count == 1, let only = found.first { whole = only.value }
        }
        if composites.count >= Self.mostRemembered { composites.removeAll() }
        composites[key] = whole
        return whole == 0 ? nil : whole
    }

    // Hangul by arithmetic, and a vowel of Kannada: Foundation leaves a pair and a third apart where they are one.
    private static func syllable(_ first: UInt32, _ second: UInt32) -> UInt32? {
        if first == 0x0CCA, second == 0x0CD5 { return 0x0CCB }
        if (0x1100...0x1112).contains(first), (0x1161...0x1175).contains(second) {
            return 0xAC00 + ((first - 0x1100) * 21 + second - 0x1161) * 28
        }
        if (0xAC00...0xD7A3).contains(first), (first - 0xAC00) % 28 == 0, (0x11A8...0x11C2).contains(second) {
            return first + second - 0x11A7
        }
        return nil
    }

    private static func combiningClass(_ scalar: UInt32) -> UInt8 {
        if scalar < 0x300 { return 0 }
        return Unicode.Scalar(scalar)?.properties.canonicalCombiningClass.rawValue ?? 0
    }

    private static let mostRemembered = 4096
}
