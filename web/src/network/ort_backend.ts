/** The network on onnxruntime-web, over the graph that `keyboard-lm export-web` writes. */
import type { InferenceSession, Tensor } from "onnxruntime-web";
import { ROOT, treeDepths, type Backend } from "./backend";

/** The part of onnxruntime-web that is used; the module itself is loaded at run time. */
export interface OrtModule {
  readonly InferenceSession: { create(model: Uint8Array, options: object): Promise<InferenceSession> };
  readonly Tensor: new (type: "float32" | "int32" | "int64", data: Float32Array | Int32Array | BigInt64Array, dims: readonly number[]) => Tensor;
  readonly env: { logLevel?: string; wasm: { numThreads?: number; wasmBinary?: Uint8Array } };
}

/** The shape of a network, from its `config.json`. */
export interface NetworkShape {
  readonly vocab_size: number;
  readonly max_context_length: number;
  readonly head_dim: number;
  readonly num_kv_heads: readonly number[];
}

export type Provider = "wasm" | "webgpu";

export class OrtBackend implements Backend {
  readonly capacity: number;
  length = 0;
  private caches: Record<string, Tensor> = {};

  private constructor(
    private readonly ort: OrtModule,
    private readonly session: InferenceSession,
    private readonly shape: NetworkShape,
    readonly provider: Provider,
  ) {
    this.capacity = shape.max_context_length;
    shape.num_kv_heads.forEach((heads, layer) => {
      const dims = [1, heads, this.capacity + 1, shape.head_dim]; // one more for a tree behind nothing
      const size = dims.reduce((a, b) => a * b);
      for (const kind of ["key", "value"])
        this.caches[`past_${kind}.${layer}`] = new ort.Tensor("float32", new Float32Array(size), dims);
    });
  }

  /** Opens a graph; its int4 weights are unfolded here, once (`disable_quant_qdq` lets the runtime fold them). */
  static async open(ort: OrtModule, graph: Uint8Array, shape: NetworkShape, provider: Provider = "wasm"): Promise<OrtBackend> {
    const session = await ort.InferenceSession.create(graph, {
      executionProviders: [provider],
      logSeverityLevel: 3,
      extra: { session: { disable_quant_qdq: "1" } },
    });
    return new OrtBackend(ort, session, shape, provider);
  }

  rewind(length: number): void {
    this.length = length;
  }

  async decode(ids: readonly number[]): Promise<Float32Array> {
    const start = this.length;
    const positions = ids.map((_, i) => start + i);
    const bias = new Float32Array(ids.length * (start + ids.length));
    const [logits] = await this.run(ids, positions, start, bias, [ids.length - 1]);
    this.length = start + ids.length;
    return logits;
  }

  scoreTree(ids: readonly number[], parents: readonly number[]): Promise<Float32Array[]> {
    const num = ids.length;
    // With nothing cached, GroupQueryAttention ignores the positions it is given: such a tree stands behind one hidden slot.
    const start = Math.max(this.length, 1);
    const width = start + num;
    const bias = new Float32Array(num * width).fill(-Infinity);
    for (let node = 0; node < num; node++) {
      const row = node * width;
      const parent = parents[node];
      if (parent === ROOT) bias.fill(0, row, row + this.length);
      else bias.copyWithin(row, parent * width, (parent + 1) * width);
      bias[row + start + node] = 0;
    }
    const positions = treeDepths(parents).map((depth) => this.length + depth);
    return this.run(ids, positions, start, bias, ids.map((_, i) => i));
  }

  /** Writes the new tokens' keys and values into the slots from `start` on; the logits of some of them. */
  private async run(
    ids: readonly number[], positions: readonly number[], start: number, bias: Float32Array, rows: readonly number[],
  ): Promise<Float32Array[]> {
    const { Tensor } = this.ort;
    const num = ids.length;
    const numSlots = start + num;
    const long = (values: readonly number[]): BigInt64Array => BigInt64Array.from(values, BigInt);
    const found = await this.session.run({
      token_ids: new Tensor("int64", long(ids), [1, num]),
      positions: new Tensor("int64", long(positions), [1, num]),
      attention_bias: new Tensor("float32", bias, [1, 1, num, numSlots]),
      last_slot: new Tensor("int32", Int32Array.of(numSlots - 1), [1]),
      num_slots: new Tensor("int32", Int32Array.of(numSlots), []),
      rows: new Tensor("int64", long(rows), [rows.length]),
      ...this.caches,
    });
    for (const name of Object.keys(this.caches)) this.caches[name] = found[name.replace("past", "present")];
    const logits = found.logits.data as Float32Array;
    const width = this.shape.vocab_size;
    return rows.map((_, i) => logits.subarray(i * width, (i + 1) * width));
  }
}
