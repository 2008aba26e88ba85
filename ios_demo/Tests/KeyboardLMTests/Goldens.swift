import Foundation
import KeyboardLM
import Testing

/// The cases of one law of the engine that the Python package has written; `tests/golden/make.py` makes them.
struct Law {
    typealias Case = [String: Any]

    let name: String
    let cases: [Case]

    init(_ name: String) throws {
        self.name = name
        let lines = try goldenFile("laws/\(name).jsonl").split(separator: 0x0A)
        cases = try lines.dropFirst().map { try JSONSerialization.jsonObject(with: Data($0)) as? Case ?? [:] }
    }

    /// Compares what this engine says of each case with what the file does, and reports the first differences.
    ///
    /// - Parameter answer: of a case, the values that the file has, too; numbers are equal within 1e-5 of their size.
    func check(_ isAsked: (Case) -> Bool = { _ in true }, _ answer: (Case) throws -> [String: Any]) throws {
        var found: [String] = [], numAsked = 0
        for (number, asked) in cases.enumerated() where isAsked(asked) {
            numAsked += 1
            for (field, given) in try answer(asked).sorted(by: { $0.key < $1.key }) {
                guard let difference = Self.difference(asked[field] ?? NSNull(), given) else { continue }
                found.append("line \(number + 2), \(field)\(difference)")
            }
        }
        #expect(numAsked > 0)
        #expect(found.isEmpty, "\(name).jsonl: \(found.count) differences\n\(found.prefix(20).joined(separator: "\n"))")
    }

    /// Where two values of JSON differ; nil where they do not.
    static func difference(_ expected: Any, _ given: Any, relative: Double = 1e-5) -> String? {
        switch (expected, given) {
        case (is NSNull, is NSNull): return nil
        case (let one as [Any], let other as [Any]):
            if one.count != other.count { return ": \(other.count) for \(one.count): \(other) for \(one)" }
            for place in one.indices {
                if let found = difference(one[place], other[place], relative: relative) { return "[\(place)]\(found)" }
            }
            return nil
        case (let one as String, let other as CodePoints): return CodePoints(one) == other ? nil : ": \(other) for \(one)"
        case (let one as String, let other as String):
            return CodePoints(one) == CodePoints(other) ? nil : ": \(other) for \(one)"
        case (let one as NSNumber, let other as NSNumber):
            let (a, b) = (one.doubleValue, other.doubleValue)
            return abs(a - b) <= max(relative * max(abs(a), abs(b)), 1e-9) ? nil : ": \(b) for \(a)"
        default: return ": \(given) for \(expected)"
        }
    }
}

extension Law {
    /// Text of a case.
    static func text(_ asked: Case, _ field: String) -> CodePoints { CodePoints(asked[field] as? String ?? "") }

    /// Places that were touched, null where that is not known.
    static func taps(_ value: Any?) -> [Tap?] {
        (value as? [Any] ?? []).map { place in
            (place as? [NSNumber]).map { Tap(x: $0[0].doubleValue, y: $0[1].doubleValue) }
        }
    }
}

/// A folder of the repository.
func repositoryFolder(_ path: String) -> URL {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../../..").appending(path: path)
}

/// A text as Python's `json.dumps` writes it.
func quotedAsPython(_ text: CodePoints) -> String {
    let named: [UInt16: String] = [
        0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0C: "\\f", 0x0D: "\\r", 0x22: "\\\"", 0x5C: "\\\\",
    ]
    let escaped = text.string.utf16.map { unit in
        if let name = named[unit] { return name }
        if (0x20..<0x7F).contains(unit) { return String(decoding: [unit], as: UTF16.self) }
        let digits = String(unit, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }
    return "\"\(escaped.joined())\""
}
