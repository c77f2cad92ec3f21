import { Exposition, Telemetry } from "@effect-observability/core"
import { assert } from "@effect/vitest"
import { Effect, Layer } from "effect"
import cluster, { type Worker as Process } from "node:cluster"
import type { Worker as Thread } from "node:worker_threads"
import { Workers } from "../../src/node.ts"
import type { Order } from "./clusterWorker.ts"
import { type ParsedPage, parseText } from "./parseText.ts"

export const workerFile = new URL("./clusterWorker.ts", import.meta.url)

export const page = Effect.gen(function*() {
  return parseText((yield* (yield* Exposition).page).body)
})

/** The sum of the samples of a name that have these labels; `undefined` when there is none. */
export const total = ({ samples }: ParsedPage, name: string, wanted: Readonly<Record<string, string>> = {}): number | undefined => {
  const found = samples.filter((sample) => sample.name === name && Object.keys(wanted).every((key) => sample.labels[key] === wanted[key]))
  return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0)
}

export const reason = Effect.map(Telemetry, (telemetry) => telemetry.reports().find(({ name }) => name === "prometheus")!.reason)

/** Tells a worker something and waits until it has done it. */
export const tell = (worker: Process | Thread, order: Order): Promise<void> =>
  new Promise((resolve) => {
    const listen = (message: { readonly counted?: number }) => {
      if (message.counted === undefined) return
      worker.off("message", listen)
      resolve()
    }
    worker.on("message", listen)
    if ("send" in worker) worker.send(order)
    else worker.postMessage(order, [])
  })

export const ready = (worker: Process | Thread): Promise<void> => new Promise((resolve) => worker.once("message", () => resolve()))
export const ended = (worker: Process | Thread): Promise<void> => new Promise((resolve) => worker.once("exit", () => resolve()))

/** A worker process that runs and waits for orders. */
export const fork = async (): Promise<Process> => {
  cluster.setupPrimary({ exec: workerFile.pathname, execArgv: ["--conditions=source"], silent: false })
  const worker = cluster.fork()
  await ready(worker)
  return worker
}

/** Every counting sample of a page, by its identity. */
const counts = ({ samples }: ParsedPage): ReadonlyMap<string, number> =>
  new Map(samples.filter(({ name }) => /^work_|^size_bytes_/.test(name)).map(({ labels, name, value }) => [`${name} ${JSON.stringify(labels)}`, value]))

/** Four processes record and are ended properly or killed, in an order that a seed decides; after every step the page is compared with the truth. */
export const randomRestarts = ({ restarts, seed, steps }: { readonly seed: number; readonly steps: number; readonly restarts: number }) =>
  Effect.gen(function*() {
    const workers = yield* Effect.promise(() => Promise.all([fork(), fork(), fork(), fork()]))
    yield* Effect.addFinalizer(() => Effect.sync(() => workers.forEach((worker) => worker.process.kill("SIGKILL"))))
    let truth = 0
    let before: ReadonlyMap<string, number> = new Map()
    let state = seed
    const random = (n: number) => (state = (state * 48271) % 2147483647) % n
    for (let step = 0; step < steps; step++) {
      const at = random(4)
      const count = 1 + random(500)
      truth += count
      yield* Effect.promise(() => tell(workers[at]!, { count }))
      if (step % Math.floor(steps / restarts) === 0) {
        // What a worker that is killed had said stays; what it had not is lost, so it is asked first.
        const kill = random(2) === 0
        if (kill) yield* page
        const gone = ended(workers[at]!)
        if (kill) workers[at]!.process.kill("SIGKILL")
        else workers[at]!.send({ stop: true } satisfies Order)
        yield* Effect.promise(() => gone)
        workers[at] = yield* Effect.promise(fork)
      }
      const now = yield* page
      const after = counts(now)
      for (const [key, value] of before) assert.isAtLeast(after.get(key) ?? -1, value, `step ${step}: ${key}`)
      before = after
      assert.strictEqual(total(now, "work_total"), truth, `step ${step}`)
      assert.strictEqual(total(now, "work_seconds_count"), truth)
      assert.strictEqual(total(now, "work_seconds_bucket", { le: "+Inf" }), truth)
      assert.strictEqual(total(now, "size_bytes_count"), truth)
    }
    assert.isAtMost((yield* page).samples.filter(({ name }) => name === "size_bytes_count").length, 4, "labels of workers are used again")
    // A machine that stalls must not look like a worker that hangs.
  }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Workers.layerPrimary({ deadline: "30 seconds" }))))
