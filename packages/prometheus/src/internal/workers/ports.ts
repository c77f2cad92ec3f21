import cluster, { type Worker as ClusterWorker } from "node:cluster"
import { type MessagePort, parentPort, type Worker as Thread } from "node:worker_threads"

/** The end of a channel between a primary and one worker. Messages arrive whole and in order. */
export interface Port {
  /** What the channel belongs to: two ports of one are the same channel. */
  readonly of: object
  /** Hands a message over; what happens to it when the other side is gone does not matter. Must not throw. */
  readonly post: (message: unknown) => void
  /** Calls back for every message, ours or not; returns how to stop it. */
  readonly onMessage: (listener: (message: unknown) => void) => () => void
  /** Calls back once when no more messages will come. */
  readonly onClose: (listener: () => void) => () => void
}

/** In the primary: the channel to a worker of `node:cluster`. */
export const clusterWorker = (worker: ClusterWorker): Port => ({
  of: worker,
  post: (message) => {
    // Without a callback a channel that closes meanwhile would be an error event.
    if (worker.isConnected()) quietly(() => worker.send(message as object, () => {}))
  },
  onMessage: (listener) => listen(worker, "message", listener),
  // Not "exit": messages may still wait in the channel then.
  onClose: (listener) => listen(worker, "disconnect", listener)
})

/** In the primary: every worker of `node:cluster`, those there are and those to come. */
export const onClusterWorker = (listener: (worker: ClusterWorker) => void): () => void => {
  for (const worker of Object.values(cluster.workers ?? {})) if (worker?.isConnected() === true) listener(worker)
  return listen(cluster, "online", listener)
}

/** In a worker of `node:cluster`: the channel to the primary; `undefined` where there is none. */
export const clusterPrimary = (): Port | undefined =>
  !cluster.isWorker || process.send === undefined ? undefined : {
    of: process,
    post: (message) => {
      if (process.connected) quietly(() => process.send!(message, undefined, undefined, () => {}))
    },
    onMessage: (listener) => listen(process, "message", listener),
    onClose: (listener) => listen(process, "disconnect", listener)
  }

/** The channel to or from a thread. */
export const thread = (port: Thread | MessagePort): Port => ({
  of: port,
  post: (message) => quietly(() => port.postMessage(message)),
  onMessage: (listener) => listen(port, "message", listener),
  onClose: (listener) => listen(port, "ref" in port && "terminate" in port ? "exit" : "close", listener)
})

/** In a thread: the channel to who started it; `undefined` in the main thread. */
export const threadParent = (): Port | undefined => parentPort === null ? undefined : thread(parentPort)

interface Emitter {
  readonly on: (event: any, listener: (...args: Array<any>) => void) => unknown
  readonly off: (event: any, listener: (...args: Array<any>) => void) => unknown
}

const listen = (emitter: Emitter, event: string, listener: (value: any) => void): () => void => {
  emitter.on(event, listener)
  return () => emitter.off(event, listener)
}

const quietly = (send: () => void): void => {
  try {
    send()
  } catch {
    // The other side is gone, which its closing tells.
  }
}
