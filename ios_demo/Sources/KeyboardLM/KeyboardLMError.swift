/// Every error that the package throws on purpose: what is wrong, where, and what to do next, in one line.
public struct KeyboardLMError: Error, Sendable, CustomStringConvertible {
    public let description: String

    package init(_ description: String) { self.description = description }
}
