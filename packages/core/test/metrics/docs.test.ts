import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

// The code of docs/metrics.md is run as it stands there, and so are the examples beside the definitions.

const root = new URL("../../../../", import.meta.url)

const blocksOf = (text: string): ReadonlyArray<string> => [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, block]) => block!)

/** The `@example` blocks of a source file. */
const examplesOf = (file: string): ReadonlyArray<string> =>
  blocksOf(readFileSync(new URL(`packages/core/src/metrics/${file}`, root), "utf8").replaceAll(/^ \* ?/gm, ""))

const run = async (code: string): Promise<unknown> => {
  const { stdout } = await promisify(execFile)(process.execPath, ["--conditions=source", "--input-type=module-typescript", "--eval", code], {
    cwd: fileURLToPath(new URL("packages/core/", root))
  })
  return JSON.parse(stdout)
}

describe("docs/metrics.md", () => {
  it("its code runs in one piece and gives what it says", async () => {
    const code = blocksOf(readFileSync(new URL("docs/metrics.md", root), "utf8")).join("\n")
    const out: any = await run(`${code}
      const program = Effect.gen(function*() {
        yield* labels
        yield* measuring
        const total = yield* own
        const memory = yield* MemoryBackend
        return {
          high: Session.cardinality,
          advice: advice[0]?.message,
          orders: yield* memory.describe(Orders),
          checkout: yield* memory.getCounterValue(Checkout.total, { channel: "web", outcome: "success" }),
          mails: yield* memory.getCounterValue(Mails, { outcome: "success" }),
          spans: (yield* memory.spans).map((span) => span.name),
          active: yield* memory.getGaugeValue(Import.active),
          work: yield* memory.describe("work_seconds"),
          total,
          rules: rules.includes("record: http_requests_total")
        }
      })
      console.log(JSON.stringify(await Effect.runPromise(program.pipe(Effect.provide(Memory.layer()), Effect.provideService(Metric.MetricRegistry, new Map())))))
    `)
    assert.deepStrictEqual(out, {
      high: "high",
      advice: "metric \"requestLatencyMs\": \"request_latency_seconds\" would be better (snake case; base unit seconds instead of ms)",
      orders: [{ labels: { channel: "web", tenant_id: "acme", region: "eu" }, value: 1 }],
      checkout: 1,
      mails: 1,
      spans: ["checkout"],
      active: 0,
      work: [{ labels: {}, value: 1 }],
      total: 2,
      rules: true
    })
  })

  it("so do the examples of the definitions", async () => {
    const files = ["MetricDefinition.ts", "Label.ts", "bundles.ts", "MetricsRecorder.ts", "NamingConventions.ts"]
    const blocks = files.flatMap(examplesOf)
    assert.isAtLeast(blocks.length, files.length)
    const out: any = await run(`
      import { Label, Memory, MetricDefinition, MetricsRecorder, NamingConventions } from "@effect-observability/core"
      import { Effect } from "effect"
      const ran: Array<string> = []
      await Effect.runPromise(Effect.gen(function*() {
        const metrics = yield* MetricsRecorder
        const order = {}
        const charge = (_: {}) => Effect.sync(() => { ran.push("charge") })
        const writeFileSync = (file: string, text: string) => { ran.push(file) }
        ${blocks.join("\n").replace("const program =", "yield*").replace("const observed =", "yield*")}
      }).pipe(Effect.provide(Memory.layer())))
      console.log(JSON.stringify(ran))
    `)
    assert.deepStrictEqual(out, ["charge", "charge", "charge", "standard-names.yml"])
  })
})
