// Names of SwiftUI as far as the app uses them, for type-checking on systems without it. Nothing here runs.
@_exported import Foundation

@MainActor public protocol View {
    associatedtype Body: View
    @ViewBuilder var body: Body { get }
}

extension Never: View {
    public var body: Never { return fatalError() }
}

@MainActor public protocol Scene {}

@MainActor public protocol App {
    associatedtype Body: Scene
    @SceneBuilder var body: Body { get }
    init()
}

extension App {
    public static func main() {}
}

@resultBuilder @MainActor public enum ViewBuilder {
    public static func buildBlock<each Part: View>(_ parts: repeat each Part) -> Group { Group() }
}

@resultBuilder @MainActor public enum SceneBuilder {
    public static func buildBlock<Part: Scene>(_ part: Part) -> Part { part }
}

@MainActor public protocol Leaf: View where Body == Never {}
extension Leaf {
    public var body: Never { return fatalError() }
}

public struct Group: Leaf { public init() {} }

public struct WindowGroup: Scene {
    public init<Content: View>(@ViewBuilder content: () -> Content) {}
}

public struct NavigationStack: Leaf {
    public init<Content: View>(@ViewBuilder root: () -> Content) {}
}

public struct List: Leaf {
    public init<Content: View>(@ViewBuilder content: () -> Content) {}
}

public struct Section: Leaf {
    public init<Content: View>(_ title: String, @ViewBuilder content: () -> Content) {}
}

public struct ForEach: Leaf {
    public init<Data: RandomAccessCollection, ID: Hashable, Content: View>(
        _ data: Data, id: KeyPath<Data.Element, ID>, @ViewBuilder content: @escaping (Data.Element) -> Content
    ) {}
}

public struct NavigationLink: Leaf {
    public init<Content: View>(_ title: String, @ViewBuilder destination: () -> Content) {}
}

public struct Button: Leaf {
    public init(_ title: String, action: @escaping @MainActor () -> Void) {}
}

public struct ShareLink: Leaf { public init(item: String) {} }

public struct Text: Leaf { public init(_ text: String) {} }

public enum Axis: Sendable { case horizontal, vertical }

public struct TextField: Leaf {
    public init(_ title: String, text: Binding<String>, axis: Axis) {}
}

extension View {
    public func navigationTitle(_ title: String) -> Group { Group() }
    public func onAppear(perform action: (() -> Void)? = nil) -> Group { Group() }
}

@propertyWrapper @MainActor public struct State<Value> {
    public var wrappedValue: Value {
        get { fatalError() }
        nonmutating set {}
    }
    public init(wrappedValue: Value) {}
    public var projectedValue: Binding<Value> { fatalError() }
}

public struct Binding<Value> {}
