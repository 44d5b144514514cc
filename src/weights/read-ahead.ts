/**
 * Weights read before they are asked for: a thread reads, checks and widens what a pass announced, into slots of one shared memory of fixed
 * size, while this thread computes. The room bounds what is read ahead; nothing of it waits for the garbage collector.
 */
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { StoredSlice } from '../checkpoint/checkpoint';
import type { Fault } from '../protocol/fault';
import type { WeightReading } from '../protocol/records';
import { elementCount } from '../protocol/tensors';
import { widenOn } from '../tensor/wasm-widen';
import type { ReadReply, ReadRequest } from './reading-thread';
import { openRoom } from './room';
import { isTracing, span, traceClock } from './trace';

/** What became of a read: values in the shared memory, valid until `release`. `finite`: whether all of them are. */
export interface ReadSlot {
  readonly values: Float32Array;
  readonly fault: Fault | null;
  readonly finite: boolean;
  release(): void;
}

export interface ReadAhead {
  /** What will be asked for next, in that order, after what was announced before. */
  announce(wanted: readonly { readonly key: string; readonly at: StoredSlice }[]): void;
  /** What was announced is no longer wanted. */
  forget(): void;
  /** The values; null where they don't fit the room: read them another way. */
  take(key: string, at: StoredSlice): Promise<ReadSlot | null>;
  readonly times: () => Omit<WeightReading, 'bytes'>;
  close(): void;
}

interface Reading {
  readonly key: string;
  readonly slot: number;
  readonly done: Promise<ReadReply>;
  reply: ReadReply | null;
}

const threadFile = () => path.join(__dirname, 'reading-thread.js');

/** null where shared memory of that size, or the kernel, can't be had. */
export function openReadAhead(roomBytes: number): ReadAhead | null {
  const pages = Math.ceil(roomBytes / 65536);
  let memory: WebAssembly.Memory;
  try {
    memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch {
    return null;
  }
  if (widenOn(memory) === null) return null;
  const thread = new Worker(threadFile(), { workerData: { memory }, name: 'reading weights' });
  thread.unref();
  const room = openRoom(pages * 65536);
  const replies = new Map<number, { resolve: (reply: ReadReply) => void; reject: (error: Error) => void }>();
  let announced: { readonly key: string; readonly at: StoredSlice }[] = [];
  const readings = new Map<string, Reading>();
  let next = 0;
  let broken: Error | null = null;
  let waiting = 0;
  let readUntil = 0;
  const times = { reading: 0, widening: 0, waiting: 0 };
  /** Of reads under way while a trace is open. */
  const names = new Map<number, string>();

  thread.on('message', (reply: ReadReply) => {
    // Reads go on beside one another: a second counts once.
    times.reading += Math.max(0, reply.read[1] - Math.max(reply.read[0], readUntil)) / 1000;
    readUntil = Math.max(readUntil, reply.read[1]);
    times.widening += (reply.widened[1] - reply.widened[0]) / 1000;
    if (isTracing()) {
      const name = names.get(reply.id) ?? '';
      span('reading', name, ...reply.read);
      span('widening', name, ...reply.widened);
      names.delete(reply.id);
    }
    replies.get(reply.id)?.resolve(reply);
    replies.delete(reply.id);
  });
  const end = (error: unknown) => {
    broken ??= error instanceof Error ? error : new Error(String(error));
    for (const { reject } of replies.values()) reject(broken);
    replies.clear();
  };
  thread.on('error', end);
  // Nobody waits for the answer of a thread that has ended.
  thread.on('exit', (code) => end(new Error(`The reading thread has ended (${code}).`)));

  /** Begins a read where the room has a slot for it. */
  function begin(key: string, { file, version, offset, dtype, shape }: StoredSlice): Reading | null {
    const count = elementCount(shape);
    const slot = room.take(count * 4);
    if (slot === null) return null;
    const id = next++;
    if (isTracing()) names.set(id, key);
    const done = new Promise<ReadReply>((resolve, reject) => {
      replies.set(id, { resolve, reject });
    });
    const reading: Reading = { key, slot, done, reply: null };
    done.then(
      (reply) => {
        reading.reply = reply;
      },
      () => undefined,
    );
    thread.postMessage({ id, file, version, offset, dtype, count, at: slot } satisfies ReadRequest);
    return reading;
  }

  /** Begins what was announced, as far as the room goes. */
  function pump(): void {
    while (announced.length > 0 && broken === null) {
      const [{ key, at }] = announced;
      if (!readings.has(key)) {
        const reading = begin(key, at);
        if (!reading) return;
        readings.set(key, reading);
      }
      announced.shift();
    }
  }

  /** Gives back a slot once its read is over. */
  function drop(reading: Reading): void {
    const give = () => {
      room.give(reading.slot);
      pump();
    };
    if (reading.reply) give();
    else reading.done.then(give, () => undefined);
  }

  /** Makes room for what is wanted now at the cost of what was read ahead, the latest announced first. */
  function beginNow(key: string, at: StoredSlice): Reading | null {
    const unwanted = [...readings.values()].filter(({ reply }) => reply !== null).reverse();
    for (;;) {
      const reading = begin(key, at);
      if (reading) return reading;
      const last = unwanted.shift();
      if (!last) return null;
      readings.delete(last.key);
      room.give(last.slot);
    }
  }

  return {
    announce(wanted) {
      announced.push(...wanted);
      pump();
    },
    forget() {
      announced = [];
      for (const reading of readings.values()) drop(reading);
      readings.clear();
    },
    async take(key, at) {
      if (broken) return null;
      announced = announced[0]?.key === key ? announced.slice(1) : announced.filter((one) => one.key !== key);
      const reading = readings.get(key) ?? beginNow(key, at);
      readings.delete(key);
      if (!reading) return null;
      const asked = performance.now();
      let { reply } = reading;
      if (!reply) {
        // While somebody waits, the thread keeps the process alive.
        if (waiting++ === 0) thread.ref();
        try {
          reply = await reading.done;
        } catch {
          return null;
        } finally {
          if (--waiting === 0) thread.unref();
        }
        const waited = performance.now() - asked;
        times.waiting += waited / 1000;
        const now = traceClock();
        span('waiting', key, now - waited, now);
      }
      return {
        values: new Float32Array(memory.buffer, reading.slot, elementCount(at.shape)),
        fault: reply.fault,
        finite: reply.finite,
        release: () => {
          room.give(reading.slot);
          pump();
        },
      };
    },
    times: () => ({ ...times }),
    close() {
      announced = [];
      void thread.terminate();
    },
  };
}
