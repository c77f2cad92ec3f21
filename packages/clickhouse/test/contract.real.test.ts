import { MetricsHistory, Telemetry } from "@effect-observability/core"
import { ErrorsProbe, errorsSuite, HistoryProbe, historyProbes, historySuite, LogsProbe, logsSuite, metricsSuite, spansSuite, tracesSuite } from "@effect-observability/testkit/contract"
import { Context, Effect, Layer, Redacted } from "effect"
import { ClickHouse } from "../src/index.ts"
import { valueOf } from "../src/internal/attributeText.ts"
import { startEngine } from "./support/engine.ts"
import { startProcess, target } from "./support/process.ts"

const server = Layer.unwrap(Effect.map(startEngine(), ({ url }) => ClickHouse.layer({ connection: Redacted.make(`${url}/contract`), flushInterval: "1 second" })))

const clickhouse = historyProbes.pipe(Layer.provideMerge(server))
metricsSuite("clickhouse", clickhouse)
spansSuite("clickhouse", clickhouse)
tracesSuite("clickhouse", clickhouse)

/** A row of the table of logs, as SQL gives it. */
interface Line {
  readonly time: string
  readonly level: string
  readonly Body: string
  readonly TraceId: string
  readonly SpanId: string
  readonly LogAttributes: Readonly<Record<string, string>>
  readonly LogAttributeTypes: Readonly<Record<string, string>>
}

const records = Layer.unwrap(Effect.map(startEngine(), (engine) => {
  const lines = (where: string) =>
    Effect.promise(async () => {
      const text = await engine.query(`SELECT toString(toUnixTimestamp64Nano(Timestamp)) AS time, lower(SeverityText) AS level, Body, TraceId, SpanId, LogAttributes, LogAttributeTypes
        FROM records.otel_logs WHERE ${where} ORDER BY Timestamp, SeverityNumber FORMAT JSONEachRow`)
      return text.split("\n").filter((line) => line !== "").map((line) => {
        const row = JSON.parse(line) as Line
        const attributes = new Map(Object.entries(row.LogAttributes).map(([key, value]) => [key, valueOf(value, row.LogAttributeTypes[key])]))
        return {
          time: BigInt(row.time), level: row.level as "info", message: row.Body, traceId: row.TraceId === "" ? undefined : row.TraceId,
          spanId: row.SpanId === "" ? undefined : row.SpanId, attributes
        }
      })
    })
  const literal = (text: string) => `'${text.replaceAll("'", "\\'")}'`
  const probes = Layer.effectContext(Effect.map(Telemetry, ({ flush: settle }) =>
    Context.make(LogsProbe, {
      withText: (text) => lines(`position(Body, ${literal(text)}) > 0 AND LogAttributes['event.name'] = ''`),
      settle
    }).pipe(Context.add(ErrorsProbe, {
      withText: (text) =>
        Effect.map(lines(`position(LogAttributes['exception.message'], ${literal(text)}) > 0`), (rows) =>
          rows.map((row) => {
            const own = (key: string) => row.attributes.get(key) as string
            return {
              ...row,
              errorId: own("error.id"), kind: own("effect.cause") === "fail" ? "failure" as const : "defect" as const, errorType: own("exception.type"),
              message: own("exception.message"), fingerprint: own("error.fingerprint"), requestId: row.attributes.get("request_id") as string | undefined
            }
          })),
      settle
    }))))
  return probes.pipe(Layer.provideMerge(ClickHouse.layer({ connection: Redacted.make(`${engine.url}/records`), logs: true, history: false })))
}))
logsSuite("clickhouse", records)
errorsSuite("clickhouse", records)

/** Frames come from a process of their own each. */
const history = Layer.effectContext(
  Effect.gen(function*() {
    const { url } = yield* startEngine()
    const { metrics } = yield* startProcess(target(url, "history"))
    return Context.make(MetricsHistory, metrics).pipe(Context.add(HistoryProbe, {
      write: (frames, known) =>
        Effect.scoped(Effect.gen(function*() {
          const { exportFrames } = yield* startProcess(target(url, "history"), known)
          yield* exportFrames(1, ...frames)
        })).pipe(Effect.orDie)
    }))
  })
)
historySuite("clickhouse", history)
