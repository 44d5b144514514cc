/** An open checkpoint: what is in the folder, and ranged reads of its tensors. */
import type { Result } from '../protocol/fault';
import type { Dtype, TensorRef } from '../protocol/tensors';

export interface TensorEntry {
  readonly name: string;
  /** As stored: F32, F16, BF16, or another dtype of the format, which can't be read as weights. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** File name within the folder. */
  readonly file: string;
  /** Bytes from the start of that file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface Shard {
  /** File name within the folder. */
  readonly file: string;
  /** Where its bytes are; differs from folder/file only for the kept originals of an applied patch. */
  readonly path: string;
  readonly bytes: number;
  /** Bytes before the first tensor. */
  readonly headerBytes: number;
  /** Of the file that the header was read from. */
  readonly version: string;
}

export interface RawTensor {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A slice of a tensor on disk: always one contiguous range of bytes. */
export interface StoredSlice {
  /** Path of the shard. */
  readonly file: string;
  /** Of the shard: another one's offsets mean nothing. */
  readonly version: string;
  /** Bytes from the start of that file. */
  readonly offset: number;
  readonly bytes: number;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

export interface Checkpoint {
  /** Absolute path. */
  readonly folder: string;
  /** config.json, parsed and nothing more. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly configText: string;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly shards: readonly Shard[];
  /** Of most bytes. */
  readonly dtype: string;
  /** Bytes of all tensors. */
  readonly totalBytes: number;
  /** Plain files that belong to it besides the shards, relative to the folder (tokenizer, generation config, index, ...). */
  readonly otherFiles: readonly string[];
  /** Weights in other files or formats, which this checkpoint does not use (pytorch_model.bin, *.gguf, ...). */
  readonly unusedWeights: readonly string[];
  /** What shows that the weights are quantised, for a sentence; null when they are not. */
  readonly quantisation: string | null;
  /** Where a slice lies, and as what. `ref.shape` must be the slice's shape. */
  place(ref: TensorRef): Result<StoredSlice>;
  /** Exactly the slice's bytes. `ref.shape` must be the slice's shape. */
  read(ref: TensorRef): Promise<Result<RawTensor>>;
  /** The slice widened to f32; a NaN or infinity among the values is a fault that names tensor and place. */
  readValues(ref: TensorRef): Promise<Result<Float32Array>>;
  /** Any bytes of a shard. */
  readRange(file: string, offset: number, length: number, into?: Uint8Array): Promise<Result<Uint8Array>>;
  /** Identity of configuration and weights, however they are cut into shards (fingerprint.ts). Computed once. */
  fingerprint(signal?: AbortSignal): Promise<Result<string>>;
  close(): Promise<void>;
}
