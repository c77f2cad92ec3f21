import { Baggage, Exposition, Memory, MemoryBackend, Redaction, Telemetry, Tracer } from "@effect-observability/core"
import { Postgres } from "@effect-observability/postgres"
import { Prometheus } from "@effect-observability/prometheus"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Stream, Tracer as EffectTracer } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { planted } from "../../packages/core/test/redaction/secrets.ts"
import { startServer, temporaryFolder } from "../../packages/postgres/test/support/server.ts"

const redaction = Redaction.make()

/** The ways in which a secret may hide in bytes. */
const forms = (secret: string): ReadonlyArray<string> => {
  const bytes = Buffer.from(secret)
  // Base64 of the same text at its three alignments; the first and last characters depend on the neighbours.
  const base64 = [0, 1, 2].map((shift) => Buffer.concat([Buffer.alloc(shift), bytes]).toString("base64").slice(Math.ceil((shift * 4) / 3), -4))
  const all = [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1), bytes.toString("hex"), [...secret].toReversed().join(""), secret.slice(0, 8), ...base64]
  return [...new Set(all.filter((form) => form.length >= 8))]
}

/** A span for every planted secret, with the secret in all places where it must be recognised. */
const record = Effect.forEach(planted, ({ name, value, what }, i) => {
  const attributes = { [name]: value }
  const link = { span: EffectTracer.externalSpan({ traceId: "1".repeat(32), spanId: "2".repeat(16), sampled: true }), attributes }
  // A text that gives itself away does so in messages and names as well.
  const telling = typeof value === "string" && redaction.text(value) !== value ? value : undefined
  const body = Effect.gen(function*() {
    const span = yield* Effect.orDie(Effect.currentSpan)
    span.event("step", 1_700_000_000_000_000_000n, attributes)
    if (telling !== undefined) {
      span.event(telling, 1_700_000_000_000_000_000n)
      yield* Effect.void.pipe(Effect.withSpan(telling))
      return yield* Effect.fail(new Error(telling, { cause: new Error(telling) }))
    }
  })
  return body.pipe(
    Effect.withSpan(`plant ${i} ${what.slice(0, 3)}`, { attributes, links: [link] }),
    Baggage.with({ note: typeof value === "string" ? value : what }),
    Effect.ignore
  )
}, { discard: true })

/** The files below a folder that were written since a moment: the rest of a cluster has millions of bytes that were there before. */
const writtenSince = (folder: string, moment: number): ReadonlyArray<string> =>
  Fs.readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => Path.join(entry.parentPath, entry.name))
    .filter((file) => Fs.statSync(file).mtimeMs >= moment)

/** Its pages without the empty ones: most of a log segment is room for later. */
const usedPages = (file: Buffer): ReadonlyArray<Buffer> => {
  const empty = Buffer.alloc(8192)
  return Array.from({ length: Math.ceil(file.length / 8192) }, (_, i) => file.subarray(i * 8192, (i + 1) * 8192))
    .filter((page) => !page.equals(empty.subarray(0, page.length)))
}

describe("planted secrets", () => {
  it.live("are in no bytes of memory, page, database rows or database files", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryFolder
      const { url } = yield* startServer({ dir })
      const began = Date.now()
      const backends = Layer.mergeAll(Memory.layer(), Prometheus.layer(), Postgres.layer({ connection: url }))
      const outputs = yield* Effect.gen(function*() {
        yield* record
        // Whoever carries baggage away carries it encoded; it is written nowhere else.
        const carrier: Record<string, string> = {}
        yield* (yield* Tracer).injectContext(carrier)
        yield* (yield* Telemetry).flush
        const spans = yield* (yield* MemoryBackend).spans
        const page = yield* (yield* Exposition).page
        const openMetrics = yield* (yield* Exposition).render("application/openmetrics-text;version=1.0.0")
        const sql = yield* PgClient.PgClient
        const tables = yield* sql<{ readonly schema: string; readonly name: string }>`
          select schemaname as schema, tablename as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`
        const rows: Array<string> = []
        for (const { name, schema } of tables) {
          for (const { row } of yield* sql<{ readonly row: string }>`select t::text as row from ${sql(schema)}.${sql(name)} t`) rows.push(row)
        }
        yield* sql`checkpoint`
        return {
          memory: JSON.stringify(spans, (_, one: unknown) => one instanceof Map ? [...one] : typeof one === "bigint" ? `${one}` : one),
          page: page.body,
          openMetrics: Buffer.concat(yield* Stream.runCollect(openMetrics.body)).toString("utf8"),
          rows: rows.join("\n"),
          files: Buffer.concat(writtenSince(dir, began).flatMap((file) => usedPages(Fs.readFileSync(file))))
        }
      }).pipe(Effect.provide(Layer.mergeAll(backends, PgClient.layer({ url: Redacted.make(Redacted.value(url)) }))))
      for (const [where, output] of Object.entries(outputs)) {
        // Of bytes a search is as fast as the memory; of a string of 20 MB it is not.
        const bytes = Buffer.from(output)
        const found = planted.flatMap(({ secret, what }) => forms(secret).filter((form) => bytes.includes(form)).map((form) => `${what}: ${form}`))
        assert.deepStrictEqual(found, [], where)
      }
      // What is not secret is there: nothing was left out by accident.
      for (const where of ["memory", "rows", "files"] as const) assert.isTrue(Buffer.from(outputs[where]).includes("plant 30"), where)
      assert.include(outputs.page, "obs_")
    }).pipe(Effect.scoped), { timeout: 60_000 })
})
