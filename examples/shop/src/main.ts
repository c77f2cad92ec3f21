import { connectionProblem, Diagnostics, ObservabilityConfig, Telemetry } from "@effect-observability/core"
import { Dashboard } from "@effect-observability/dashboard"
import { Logs, SqlInstrumentation } from "@effect-observability/instrument"
import { RuntimeMetrics } from "@effect-observability/instrument/node"
import { EmbeddedServer, Postgres } from "@effect-observability/postgres"
import { Prometheus } from "@effect-observability/prometheus"
import { NodeHttpClient, NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Cause, Clock, Config, Console, Data, Effect, Exit, Layer, Option, Redacted, Ref } from "effect"
import { HttpClient, HttpRouter, HttpServer } from "effect/http"
import { createServer } from "node:http"
import { type Arguments, help, parse } from "./arguments.ts"
import { routes } from "./http.ts"
import { Catalog } from "./orders/Catalog.ts"
import { Orders } from "./orders/Orders.ts"
import { createTables } from "./orders/schema.ts"
import { logFile } from "./logFile.ts"
import { freePort } from "./port.ts"
import { redis, redisUrl } from "./redis.ts"
import { Refusal } from "./Refusal.ts"
import { Shipments } from "./shipping/Shipments.ts"
import { deliveryReport } from "./terminal/deliveryReport.ts"
import { redTable } from "./terminal/redTable.ts"
import { Supplier } from "./supplier/Supplier.ts"
import * as Trouble from "./trouble.ts"
import { lastFailedTrace, lastPackedTrace, lastSuppliedTrace, somethingPacked } from "./terminal/waterfall.ts"
import { traffic, type TrafficCount } from "./traffic.ts"
import { warehouse } from "./warehouse/Warehouse.ts"

class Disagreement extends Data.TaggedError("Disagreement")<{ readonly message: string }> {}

const show = (title: string, lines: ReadonlyArray<string>) => Console.log(["", title, ...lines].join("\n"))

/** Prints blocks one over the other on a terminal, one below the other elsewhere. */
const screen = () => {
  let height = 0
  return (text: string) => {
    const up = process.stdout.isTTY && height > 0 ? `\x1b[${height}A\x1b[J` : ""
    height = text.split("\n").length
    return Console.log(up + text)
  }
}

/** `DATABASE_URL`, or an embedded PostgreSQL in `dir`. */
const database = (dir: string) =>
  Effect.gen(function*() {
    const given = yield* Config.option(Config.Redacted("DATABASE_URL"))
    if (Option.isSome(given)) {
      const wrong = connectionProblem(Redacted.value(given.value))
      return wrong === undefined ? given.value : yield* new Refusal({ message: `DATABASE_URL: ${wrong}` })
    }
    yield* Console.log(`Starting the embedded PostgreSQL in ${dir} …`)
    const server = yield* EmbeddedServer.start({ dir })
    return server.url
  })

interface Places {
  readonly url: Redacted.Redacted<string>
  readonly redisAt: Redacted.Redacted<string> | undefined
  readonly port: number
  /** Where the warehouse tells its metrics; `undefined` without a warehouse. */
  readonly warehousePort: number | undefined
}

const shop = ({ port, redisAt, url, warehousePort }: Places, { supplierUrl, trouble }: Arguments, lines: Logs.LogsOptions) => {
  const settings = ObservabilityConfig.layer({
    tracing: { serviceName: "shop" },
    cluster: "demo",
    flushInterval: 1,
    postgres: { flushInterval: 1 },
    ...(trouble ? Trouble.settings : {})
  })

  // Who listens: Prometheus and PostgreSQL, side by side. What the process itself does is told to both.
  const observability = RuntimeMetrics.layer.pipe(
    Layer.provideMerge(trouble ? Trouble.backends : Layer.empty),
    Layer.provideMerge(Layer.mergeAll(Prometheus.layer(), Postgres.layer({ connection: url }), Logs.layer(trouble ? { ...lines, sampling: "trace" } : lines))),
    Layer.provide(settings)
  )

  const tables = Layer.effectDiscard(
    Effect.catchTag(createTables, "SqlError", (error) =>
      new Refusal({ message: `the shop cannot make its tables: ${error.message}; check DATABASE_URL and that its server is up` }))
  )
  const services = Orders.layer.pipe(
    Layer.provideMerge(Catalog.layer),
    Layer.provide(warehousePort === undefined ? Layer.empty : warehouse(url, warehousePort)),
    Layer.provide(Shipments.layer(url)),
    Layer.provide(tables),
    Layer.provide(redis(redisAt)),
    Layer.provideMerge(SqlInstrumentation.layerFor(PgClient.PgClient)),
    Layer.provide(PgClient.layer({ url, maxConnections: 8, applicationName: "shop" }))
  )
  const server = HttpRouter.serve(Layer.merge(routes, Dashboard.layer()), { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port, gracefulShutdownTimeout: "2 seconds" }))
  )
  // Provided around the app, so that it closes after it: what the closing app records is still delivered.
  return (trouble ? Layer.merge(server, Trouble.layer) : server).pipe(Layer.provide(services), Layer.provideMerge(Supplier.layer(supplierUrl)), Layer.provideMerge(lastWords), Layer.provideMerge(observability))
}

/** Runs after the server is closed and before the backends are: brings everything home and says what became of it. */
const lastWords = Layer.effectDiscard(
  Effect.gen(function*() {
    const telemetry = yield* Telemetry
    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        yield* Effect.timeoutOption(telemetry.flush, "3 seconds")
        const { lines } = yield* deliveryReport
        yield* show("Delivery report", lines)
      }).pipe(Effect.provideService(Telemetry, telemetry))
    )
  })
)

const demo = (options: Arguments, warehousePort: number | undefined) =>
  Effect.gen(function*() {
    const telemetry = yield* Telemetry
    const server = yield* HttpServer.HttpServer
    const address = server.address
    if (address._tag === "UnixPathAddress") return yield* Effect.die(new Error("the shop listens on TCP only"))
    const url = `http://127.0.0.1:${address.port}`
    const supplier = yield* Supplier
    yield* show("The shop is open", [
      `  dashboard ${url}/observability`,
      `  shop      ${url}/products/1`,
      `  supplier  ${supplier.url}`,
      `  metrics   ${url}/metrics`,
      `  health    ${url}/health`,
      ...(warehousePort === undefined ? [] : [`  warehouse http://127.0.0.1:${warehousePort}/metrics`]),
      "  Ctrl-C ends it: everything recorded so far is flushed and accounted for."
    ])
    const count = yield* Ref.make<TrafficCount>({ sent: 0, answered: 0, failed: 0 })
    const startTime = yield* Clock.currentTimeMillis
    const run = options.perSecond === 0
      ? Effect.never
      : traffic({ url, total: options.requests, perSecond: options.perSecond, count })

    const display = Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      // History ends at the last flush; a minute of it is enough for a live table.
      const from = options.requests === Infinity ? Math.max(startTime, now - 60_000) : startTime
      const { lines, total } = yield* redTable(from, now + 1)
      const title = `Rate, errors, duration, from PostgreSQL history (${total} requests${options.requests === Infinity ? " in the last minute" : ""})`
      const text = [
        "",
        title,
        ...lines,
        "",
        "The last trace through shop and supplier, from PostgreSQL",
        ...(yield* lastSuppliedTrace),
        ...(options.alone ? [] : ["", "The last order that was packed: Redis, SQL, queue, and the warehouse's own process", ...(yield* lastPackedTrace)]),
        "",
        "The last failed trace, from PostgreSQL",
        ...(yield* lastFailedTrace)
      ].join("\n")
      return { text, total }
    })

    if (options.requests === Infinity) {
      const print = screen()
      const live = display.pipe(
        Effect.map(({ text }) => text),
        Effect.catchCause((cause) => Effect.succeed(`\nHistory is not available just now: ${explain(cause)}`)),
        Effect.flatMap(print),
        Effect.delay("3 seconds"),
        Effect.forever
      )
      return yield* Effect.raceFirst(run, live)
    }

    const progress = Effect.gen(function*() {
      const { answered } = yield* Ref.get(count)
      yield* Console.log(`  ${answered} of ${options.requests} requests answered`)
    }).pipe(Effect.delay("2 seconds"), Effect.forever)
    yield* Effect.raceFirst(run, progress)

    yield* telemetry.flush
    // Fewer requests may have ordered nothing.
    if (!options.alone && options.requests >= 25) yield* somethingPacked(startTime)
    const { text, total } = yield* display
    yield* Console.log(text)
    const { answered, failed, sent } = yield* Ref.get(count)
    const page = yield* HttpClient.get(`${url}/metrics`).pipe(Effect.flatMap((response) => response.text))
    const scraped = page.split("\n").filter((line) => line.startsWith("http_requests_total{"))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0)
    const diagnostics = yield* (yield* Diagnostics).report
    yield* show("Do they agree?", [
      `  requests sent ${sent}, answered ${answered}, failed ${failed}`,
      `  http_requests_total: ${scraped} on the Prometheus page, ${total} in PostgreSQL`
    ])
    if (sent !== options.requests || failed > 0 || scraped !== sent || total !== sent || diagnostics.imbalances.length > 0) {
      return yield* new Disagreement({ message: "The numbers do not agree." })
    }
    if (options.hold) {
      yield* show("All requests are answered; Ctrl-C ends the shop.", [])
      return yield* Effect.never
    }
  })

const main = (options: Arguments) =>
  Effect.gen(function*() {
    const port = options.port === 0 ? 0 : yield* freePort(options.port)
    if (port !== options.port) {
      if (options.portGiven) {
        return yield* new Refusal({ message: `port ${options.port} is taken: choose another one with --port, or --port 0 for any` })
      }
      yield* Console.log(`Port ${options.port} is taken, using ${port}.`)
    }
    const redisAt = yield* redisUrl
    const url = yield* database(options.dir)
    const warehousePort = options.alone ? undefined : yield* freePort(0)
    yield* demo(options, warehousePort).pipe(Effect.provide(shop({ url, redisAt, port, warehousePort }, options, yield* logFile)), Effect.provide(NodeHttpClient.layerUndici))
  }).pipe(
    Effect.scoped,
    Effect.tapCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.void : Console.error(explain(cause)))
  )

/** The first error of a cause as one line, the way a person wants to read it. */
const explain = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  if (!(error instanceof Error)) return String(error)
  const because = error.cause instanceof Error ? ` (${error.cause.message === "" ? error.cause.name : error.cause.message})` : ""
  return `${error.message === "" ? error.name : error.message}${because}`
}

const options = parse(process.argv.slice(2))
if (options === "help") {
  process.stdout.write(help)
} else if ("problem" in options) {
  process.stderr.write(`${options.problem}\nRun with --help for the options.\n`)
  process.exitCode = 2
} else {
  NodeRuntime.runMain(main(options), {
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(Exit.isSuccess(exit) || Exit.hasInterrupts(exit) ? 0 : 1)
  })
}
