/// What the last keys took, for the panel and for reports from a phone; nothing of what was typed.
public struct Statistics: Sendable, Codable {
    /// From the touch to the inserted letter, of the last keys, in milliseconds.
    public private(set) var insertMs: [Double] = []
    /// What the last bars took.
    public private(set) var barMs: [Double] = []
    /// How far the last bars came.
    public private(set) var stages: [String] = []
    /// Calls of the network for the last bars.
    public private(set) var calls: [Int] = []
    /// Words that were ended before their bar was there, and so were not corrected.
    public internal(set) var numMissed = 0
    /// Edits that were not made because the host did not show what was to go.
    public internal(set) var numRefused = 0
    private static let most = 512

    mutating func add(insertMs value: Double) { insertMs = insertMs.suffix(Self.most - 1) + [value] }

    mutating func add(_ answer: Answer) {
        barMs = barMs.suffix(Self.most - 1) + [answer.hostMs]
        stages = stages.suffix(Self.most - 1) + [answer.stage.rawValue]
        calls = calls.suffix(Self.most - 1) + [answer.numModelCalls]
    }
}
