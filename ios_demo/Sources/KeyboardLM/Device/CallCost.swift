import Foundation

/// What calls of one network cost on one device; `keyboard_lm/device/budget.py` is the law, `pack.json` holds the devices.
package struct CallCost: Equatable, Sendable {
    /// Of any call.
    package let overheadMs: Double
    /// Of reading the weights, which overlaps in part with computing.
    package let readMs: Double
    /// Of computing one token.
    package let tokenMs: Double

    package init(overheadMs: Double, readMs: Double = 0, tokenMs: Double = 0) {
        (self.overheadMs, self.readMs, self.tokenMs) = (overheadMs, readMs, tokenMs)
    }

    /// A call that costs nothing, where no device is estimated.
    package static let free = CallCost(overheadMs: 0)
    /// Gboard asks for a visible answer within 20 ms.
    package static let budgetMs = 20.0

    /// The estimated time of feeding or scoring tokens, in as many calls as that takes.
    package func ms(_ numTokens: Int) -> Double {
        let largest = Self.sizes[Self.sizes.count - 1]
        let (whole, rest) = numTokens.quotientAndRemainder(dividingBy: largest)
        let padded = rest == 0 ? 0 : Self.sizes.first { $0 >= rest } ?? largest
        return Double(whole) * callMs(largest) + (padded > 0 ? callMs(padded) : 0)
    }

    private func callMs(_ numTokens: Int) -> Double { overheadMs + hypot(readMs, tokenMs * Double(numTokens)) }

    private static let sizes = [1, 8, 16, 64]  // tokens of one call: shapes are fixed on the Neural Engine
}
