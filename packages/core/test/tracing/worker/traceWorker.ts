import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { parentPort, workerData } from "node:worker_threads"
import * as Tracer from "../../../src/tracing/Tracer.ts"
import { recording } from "../support.ts"

// Continues the trace whose carrier came with the work, and answers with the span it made.
const service = Tracer.make({ flush: Effect.void })
const { ended, provide } = recording()
await Effect.runPromise(Effect.gen(function*() {
  const parent = Option.getOrThrow(yield* service.extractContext(workerData))
  yield* Effect.void.pipe(service.withSpan("in the worker", { parent }))
}).pipe(provide))
const [span] = ended
parentPort!.postMessage({ name: span!.name, traceId: span!.traceId, parentSpanId: span!.parentSpanId }, [])
