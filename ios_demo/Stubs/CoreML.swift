// Names of Core ML as far as the engine uses them, for type-checking on systems without it. Nothing here runs.
// Source of names and least versions: the iOS SDK's public declarations; see api.json.
@_exported import Foundation

public enum MLComputeUnits: Int, Sendable { case cpuOnly, cpuAndGPU, all, cpuAndNeuralEngine }

public enum MLMultiArrayDataType: Int, Sendable { case double, float32, float16, int32 }

public class MLModelConfiguration: NSObject {
    public var computeUnits = MLComputeUnits.all
    public var functionName: String?
}

public class MLMultiArray: NSObject {
    public init(shape: [NSNumber], dataType: MLMultiArrayDataType) throws {}
    public var shape: [NSNumber] { [] }
    public var strides: [NSNumber] { [] }
    public var dataType: MLMultiArrayDataType { .float16 }
    public func withUnsafeMutableBytes<R>(_ body: (UnsafeMutableRawBufferPointer, [Int]) throws -> R) rethrows -> R {
        try body(UnsafeMutableRawBufferPointer(start: nil, count: 0), [])
    }
    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try body(UnsafeRawBufferPointer(start: nil, count: 0))
    }
}

public class MLFeatureValue: NSObject {
    public convenience init(multiArray: MLMultiArray) { self.init() }
    public var multiArrayValue: MLMultiArray? { nil }
}

public protocol MLFeatureProvider {
    func featureValue(for featureName: String) -> MLFeatureValue?
}

public class MLDictionaryFeatureProvider: NSObject, MLFeatureProvider {
    public init(dictionary: [String: Any]) throws {}
    public func featureValue(for featureName: String) -> MLFeatureValue? { nil }
}

public class MLState: NSObject {}

@available(*, unavailable)
extension MLState: @unchecked Sendable {}

public class MLModel: NSObject {
    public init(contentsOf url: URL, configuration: MLModelConfiguration) throws {}
    public func makeState() -> MLState { MLState() }
    public func prediction(from input: any MLFeatureProvider, using state: MLState) throws -> any MLFeatureProvider { input }
}

@available(*, unavailable)
extension MLModel: @unchecked Sendable {}

public class MLCPUComputeDevice: NSObject {}
public class MLGPUComputeDevice: NSObject {}
public class MLNeuralEngineComputeDevice: NSObject {}

public enum MLComputeDevice {
    case cpu(MLCPUComputeDevice)
    case gpu(MLGPUComputeDevice)
    case neuralEngine(MLNeuralEngineComputeDevice)
}

public enum MLModelStructure {
    case program(Program)
    case unsupported

    public struct Program {
        public struct Operation { public var operatorName: String { "" } }
        public struct Block { public var operations: [Operation] { [] } }
        public struct Function { public var block: Block { Block() } }
        public var functions: [String: Function] { [:] }
    }
}

public final class MLComputePlan: Sendable {
    public struct DeviceUsage { public var preferred: MLComputeDevice { .cpu(MLCPUComputeDevice()) } }
    public class func load(contentsOf url: URL, configuration: MLModelConfiguration) async throws -> MLComputePlan { MLComputePlan() }
    public var modelStructure: MLModelStructure { .unsupported }
    public func deviceUsage(for operation: MLModelStructure.Program.Operation) -> DeviceUsage? { nil }
}
