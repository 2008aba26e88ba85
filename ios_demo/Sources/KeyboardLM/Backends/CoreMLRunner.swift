#if canImport(CoreML)
    import CoreML
    import Foundation

    /// Apple's Core ML: one model for each function of a package, one state for all of them.
    ///
    /// Calls are synchronous, and to be made from one thread: two models that predict at once have corrupted Core ML's state
    /// (FluidAudio issue 661). Never on the GPU, which is refused in the background.
    @available(iOS 18.0, macOS 15.0, *)
    package final class CoreMLRunner: FunctionRunner {
        private let compiled: URL
        private let contract: Contract
        private let config: ModelConfig
        private let units: MLComputeUnits
        private var models: [String: MLModel] = [:]
        private var state: MLState?

        /// - Parameter compiled: the `.mlmodelc` that Xcode makes of the package.
        package init(
            compiled: URL, _ contract: Contract, _ config: ModelConfig, units: MLComputeUnits = .cpuAndNeuralEngine
        ) {
            (self.compiled, self.contract, self.config, self.units) = (compiled, contract, config, units)
        }

        /// Loads a function; the first load after an installation compiles, and may take long.
        package func load(_ function: String) throws {
            guard models[function] == nil else { return }
            let configuration = MLModelConfiguration()
            configuration.computeUnits = units
            configuration.functionName = function
            do {
                let model = try MLModel(contentsOf: compiled, configuration: configuration)
                if state == nil { state = model.makeState() }
                models[function] = model
            } catch {
                throw KeyboardLMError("Core ML cannot load \(function) (\(error.localizedDescription)); the processor answers")
            }
        }

        package func run(_ function: String, _ inputs: FunctionInputs) throws -> [Float] {
            try load(function)
            guard let model = models[function], let state else { throw KeyboardLMError("Core ML has not loaded \(function)") }
            let tokens = inputs.tokenIDs.count
            var features: [String: MLFeatureValue] = [
                "token_ids": try Self.integers(inputs.tokenIDs, [1, tokens]),
                "position": try Self.integers([inputs.position], [1]),
                "mask": try Self.halves(inputs.mask, [1, 1, tokens, contract.numSlots]),
                "rope": try Self.halves(inputs.rope, [tokens, 2 * config.headDim]),
            ]
            if let row = inputs.row { features["row"] = try Self.halves(row, [1, 1, tokens]) }
            do {
                let given = try MLDictionaryFeatureProvider(dictionary: features)
                let found = try model.prediction(from: given, using: state)
                guard let logits = found.featureValue(for: "logits")?.multiArrayValue else {
                    throw KeyboardLMError("\(function) returns no logits; export the model again")
                }
                return try Self.rows(of: logits)
            } catch let error as KeyboardLMError {
                throw error
            } catch {
                throw KeyboardLMError("Core ML cannot run \(function) (\(error.localizedDescription)); the processor answers")
            }
        }

        private static func integers(_ values: [Int32], _ shape: [Int]) throws -> MLFeatureValue {
            let array = try MLMultiArray(shape: shape.map { NSNumber(value: $0) }, dataType: .int32)
            array.withUnsafeMutableBytes { bytes, _ in
                for (place, value) in values.enumerated() { bytes.storeBytes(of: value, toByteOffset: 4 * place, as: Int32.self) }
            }
            return MLFeatureValue(multiArray: array)
        }

        private static func halves(_ values: [Float], _ shape: [Int]) throws -> MLFeatureValue {
            let array = try MLMultiArray(shape: shape.map { NSNumber(value: $0) }, dataType: .float16)
            array.withUnsafeMutableBytes { bytes, _ in
                for (place, value) in values.enumerated() {
                    bytes.storeBytes(of: Float16(value), toByteOffset: 2 * place, as: Float16.self)
                }
            }
            return MLFeatureValue(multiArray: array)
        }

        // (1, rows, V) by its strides: outputs of the Neural Engine are padded.
        private static func rows(of array: MLMultiArray) throws -> [Float] {
            let shape = array.shape.map(\.intValue), strides = array.strides.map(\.intValue)
            guard array.dataType == .float16, shape.count == 3, strides.count == 3 else {
                throw KeyboardLMError("the logits have another shape or type; export the model again")
            }
            return array.withUnsafeBytes { bytes in
                var found: [Float] = []
                found.reserveCapacity(shape[1] * shape[2])
                for row in 0..<shape[1] {
                    for place in 0..<shape[2] {
                        let offset = 2 * (row * strides[1] + place * strides[2])
                        found.append(Float(bytes.loadUnaligned(fromByteOffset: offset, as: Float16.self)))
                    }
                }
                return found
            }
        }
    }
#endif
