/// What a `Memo` is asked about: its hash is cheap, since most keys of a keyboard ask hundreds of questions.
///
/// The library's own, which also keeps strangers from making up colliding keys, takes ten times as long.
protocol MemoKey: Equatable {
    /// The same for equal questions, and spread over all bits.
    var mixed: UInt64 { get }
}

/// Answers that are remembered, each in the one place that its question has; another question of that place takes it over.
final class Memo<Question: MemoKey, Answer> {
    private var questions: [Question?]
    private var answers: [Answer?]
    private let shift: UInt64

    /// - Parameter most: answers remembered; the next power of two is taken.
    init(most: Int) {
        var bits: UInt64 = 1
        while 1 << bits < most { bits += 1 }
        (questions, answers) = (Array(repeating: nil, count: 1 << bits), Array(repeating: nil, count: 1 << bits))
        shift = 64 - bits
    }

    /// Returns what is remembered, or what `find` says and is from now on.
    func value(_ question: Question, _ find: () throws -> Answer) rethrows -> Answer {
        let place = Int(question.mixed >> shift)
        if questions[place] == question, let known = answers[place] { return known }
        let found = try find()
        (questions[place], answers[place]) = (question, found)
        return found
    }
}

extension UInt64 {
    /// A hash of what came before and one number more; its highest bits are the best.
    @inline(__always)
    func mixed(with number: UInt64) -> UInt64 {
        let product = (self ^ number) &* 0x9E37_79B9_7F4A_7C15
        return product ^ product >> 32
    }
}

extension Int: MemoKey {
    var mixed: UInt64 { UInt64(truncatingIfNeeded: self) &* 0x9E37_79B9_7F4A_7C15 }
}

extension CodePoints: MemoKey {
    var mixed: UInt64 { values.withUnsafeBufferPointer(Self.mixed) }

    static func mixed(_ values: UnsafeBufferPointer<UInt32>) -> UInt64 {
        var hash = UInt64(values.count)
        for value in values { hash = hash.mixed(with: UInt64(value)) }
        return hash &* 0x9E37_79B9_7F4A_7C15
    }
}

extension [CodePoints]: MemoKey {
    var mixed: UInt64 { reduce(UInt64(count)) { $0.mixed(with: $1.mixed) } }
}
