/// One answer's turn: what it may spend on the network, until when, and whether anybody still waits for it.
///
/// Made for one answer and handed down to whoever may call the network. A call is asked for by `take`, which spends its time at
/// once; whoever is refused does without. `keyboard_lm/device/turn.py` is the law.
package final class Turn {
    /// Seconds that only go forward.
    package let clock: () -> Double
    package private(set) var spentMs = 0.0
    /// Whether a call was wanted that there was no room for.
    package private(set) var wasRefused = false
    /// Calls of the network that were made.
    package private(set) var numCalls = 0
    /// Time that they took on this machine.
    package private(set) var forwardMs = 0.0
    private let cost: CallCost
    private let budgetMs: Double
    private let deadline: Double?
    private let isStale: (() -> Bool)?

    /// - Parameters:
    ///   - cost: of a call on the device.
    ///   - budgetMs: estimated time on the device, all calls together.
    ///   - deadline: an instant on `clock` after which no call is begun.
    ///   - isStale: asked before each call whether the answer is no longer wanted.
    package init(
        cost: CallCost = .free, budgetMs: Double = .infinity, deadline: Double? = nil,
        clock: @escaping () -> Double = Turn.seconds, isStale: (() -> Bool)? = nil
    ) {
        self.clock = clock
        (self.cost, self.budgetMs, self.deadline, self.isStale) = (cost, budgetMs, deadline, isStale)
    }

    /// The turn of an answer that has to do with what is known already.
    package static func noCalls() -> Turn { Turn(cost: CallCost(overheadMs: 1), budgetMs: 0) }

    /// Spends the time of a call with as many tokens; false, and nothing spent, where it may not be made.
    package func take(_ numTokens: Int) -> Bool {
        let costMs = cost.ms(numTokens)
        let isLate = deadline.map { clock() >= $0 } ?? false
        if isLate || spentMs + costMs > budgetMs || isStale?() == true {
            wasRefused = true
            return false
        }
        spentMs += costMs
        return true
    }

    /// Counts a call of the network that began at an instant on `clock` and has ended now.
    package func countCall(begun: Double) {
        numCalls += 1
        forwardMs += (clock() - begun) * 1000
    }

    /// Seconds since the process first asked.
    package static func seconds() -> Double {
        let passed = origin.duration(to: .now).components
        return Double(passed.seconds) + Double(passed.attoseconds) * 1e-18
    }

    private static let origin = ContinuousClock.now
}
