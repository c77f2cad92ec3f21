import { Composite, Memory } from "@effect-observability/core"
import { EmbeddedServer, Postgres } from "@effect-observability/postgres"
import { Prometheus } from "@effect-observability/prometheus"
import { historyProbes, metricsSuite, spansSuite } from "@effect-observability/testkit/contract"
import { Effect, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "obs-composite-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)

const postgres = Layer.unwrap(Effect.gen(function*() {
  const { url } = yield* EmbeddedServer.start({ dir: join(yield* folder, "data"), durable: false })
  return Postgres.layer({ connection: url })
}))

// The answers come from PostgreSQL; the others must not change them.
const composite = historyProbes.pipe(Layer.provideMerge(Composite.layer([Prometheus.layer(), postgres, Memory.layer()])))
metricsSuite("composite of prometheus, postgres and memory", composite)
spansSuite("composite of prometheus, postgres and memory", composite)
