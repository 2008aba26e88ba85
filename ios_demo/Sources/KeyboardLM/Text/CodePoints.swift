/// A text as Unicode code points.
///
/// `String` compares and hashes by canonical equivalence and is indexed by grapheme, so that two pieces of a vocabulary
/// can be one key, and an offset means something else than in the Python engine. Inside the engine text is this;
/// `String` stands at the public border only.
public struct CodePoints: Hashable, Comparable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    package var values: [UInt32]

    package init(_ values: [UInt32]) { self.values = values }
    package init(_ values: ArraySlice<UInt32>) { self.values = Array(values) }
    package init() { values = [] }
    package init(_ value: UInt32) { values = [value] }

    public init(_ text: String) { values = text.unicodeScalars.map(\.value) }
    public init(stringLiteral text: String) { self.init(text) }

    /// The text as Swift's own; a lone surrogate, which only Python's strings can hold, becomes U+FFFD.
    public var string: String {
        var scalars = String.UnicodeScalarView()
        for value in values { scalars.append(Unicode.Scalar(value) ?? "\u{FFFD}") }
        return String(scalars)
    }

    public var description: String { string }

    /// One number for all: the hash of an array takes one after another, and texts are looked up at every key.
    public func hash(into hasher: inout Hasher) { hasher.combine(mixed) }
    public var count: Int { values.count }
    public var isEmpty: Bool { values.isEmpty }

    package var first: UInt32? { values.first }
    package var last: UInt32? { values.last }
    package var isASCII: Bool { values.allSatisfy { $0 < 0x80 } }

    package subscript(_ index: Int) -> UInt32 { values[index] }

    /// The text between two offsets; ends outside are clipped, as Python's slices are.
    package subscript(_ range: Range<Int>) -> CodePoints {
        let start = Swift.min(range.lowerBound, values.count)
        return CodePoints(values[start..<Swift.max(start, Swift.min(range.upperBound, values.count))])
    }

    package func suffix(from start: Int) -> CodePoints { CodePoints(values[Swift.min(start, values.count)...]) }
    package func prefix(_ count: Int) -> CodePoints { CodePoints(values.prefix(count)) }
    package func dropLast(_ count: Int = 1) -> CodePoints { CodePoints(values.dropLast(count)) }

    package func hasPrefix(_ other: CodePoints) -> Bool { values.starts(with: other.values) }

    package func hasSuffix(_ other: CodePoints) -> Bool {
        values.count >= other.count && values[(values.count - other.count)...].elementsEqual(other.values)
    }

    package func contains(_ value: UInt32) -> Bool { values.contains(value) }

    public static func < (left: CodePoints, right: CodePoints) -> Bool {
        left.values.lexicographicallyPrecedes(right.values)
    }

    package static func + (left: CodePoints, right: CodePoints) -> CodePoints { CodePoints(left.values + right.values) }

    package static func + (left: CodePoints, right: UInt32) -> CodePoints {
        var sum = left
        sum.values.append(right)
        return sum
    }

    package static func += (left: inout CodePoints, right: CodePoints) { left.values += right.values }

    /// Joins texts with one code point between them.
    package static func joined(_ parts: [CodePoints], by separator: UInt32) -> CodePoints {
        var all = CodePoints()
        for (index, part) in parts.enumerated() {
            if index > 0 { all.values.append(separator) }
            all.values += part.values
        }
        return all
    }

    /// The parts between white space (Python's `str.split()`): none is empty.
    package func words() -> [CodePoints] {
        values.split(whereSeparator: CharacterClass.isSpace).map { CodePoints($0) }
    }
}

extension UInt32 {
    /// The code point of an ASCII or other one-scalar literal.
    package init(char: Unicode.Scalar) { self = char.value }
}
