#if canImport(CoreML)
    import CoreML
    import Foundation

    /// Where Core ML means to run a package: on the processor, the GPU or the Neural Engine.
    @available(iOS 18.0, macOS 15.0, *)
    enum ComputePlan {
        private final class Box: @unchecked Sendable {  // written before the semaphore is signalled, read behind it
            var found: Result<[String: [String: Int]], any Error> = .success([:])
        }

        /// How many operations of each function go to which device, constants left out; waits until that is known.
        static func devices(_ compiled: URL) throws -> [String: [String: Int]] {
            let box = Box(), isKnown = DispatchSemaphore(value: 0)
            Task.detached {
                let configuration = MLModelConfiguration()
                configuration.computeUnits = .cpuAndNeuralEngine
                do {
                    let plan = try await MLComputePlan.load(contentsOf: compiled, configuration: configuration)
                    box.found = .success(counted(plan))
                } catch {
                    box.found = .failure(error)
                }
                isKnown.signal()
            }
            isKnown.wait()
            return try box.found.get()
        }

        private static func counted(_ plan: MLComputePlan) -> [String: [String: Int]] {
            guard case .program(let program) = plan.modelStructure else { return [:] }
            return program.functions.mapValues { function in
                var counts: [String: Int] = [:]
                for operation in function.block.operations where operation.operatorName != "const" {
                    counts[name(plan.deviceUsage(for: operation)?.preferred), default: 0] += 1
                }
                return counts
            }
        }

        private static func name(_ device: MLComputeDevice?) -> String {
            switch device {
            case .cpu: "processor"
            case .gpu: "GPU"
            case .neuralEngine: "Neural Engine"
            default: "not said"
            }
        }
    }
#endif
