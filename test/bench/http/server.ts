import { ObservabilityConfig, Telemetry } from "@effect-observability/core"
import { HttpInstrumentation } from "@effect-observability/instrument"
import { Postgres } from "@effect-observability/postgres"
import { Prometheus } from "@effect-observability/prometheus"
import * as OtelTracer from "@effect/opentelemetry/OtelTracer"
import * as OtelResource from "@effect/opentelemetry/Resource"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto"
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace-base"
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Http from "node:http"
import { Counter, Histogram, Registry } from "prom-client"

// One server of the HTTP bench, in a process of its own: `GET /hello` behind one way of observing it. It tells its parent its port, and on
// request what it has used so far.

/** `bare` is the router alone; the others observe the same routes. */
export const variants = ["bare", "metrics", "prom", "prom-gen", "traced", "otel"] as const
export type Variant = typeof variants[number]

/** What a server has used since it started. */
export interface Usage {
  /** Processor time of all its threads, microseconds. */
  readonly cpu: number
  /** Resident memory, bytes. */
  readonly rss: number
  readonly spans: { readonly offered: number; readonly dropped: number; readonly waiting: number }
}

export interface Start {
  readonly variant: Variant
  /** Where spans go: a PostgreSQL for `traced`, an OTLP endpoint for `otel`. */
  readonly target: string
}

export const serverFile: string = import.meta.filename

const routes = HttpRouter.add("GET", "/hello", HttpServerResponse.text("hello"))

/** What people write by hand around a router: a counter and a histogram of prom-client, in the order of its README. */
const promClient = (gen: boolean) => {
  const registry = new Registry()
  const total = new Counter({ name: "http_requests_total", help: "requests", labelNames: ["method", "path", "status"], registers: [registry] })
  const duration = new Histogram({ name: "http_request_duration_seconds", help: "seconds", labelNames: ["method", "path"], registers: [registry], buckets: [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10] })
  type App = Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, never>
  const pathOf = (context: Context.Context<never>): string => Context.getOrUndefined(context, HttpRouter.RouteContext)?.route.path ?? "_unmatched"
  const plain = (app: App): App =>
    Effect.withFiber((fiber) => {
      const started = process.hrtime.bigint()
      return Effect.onExitPrimitive(app, (exit) => {
        const path = pathOf(fiber.context)
        total.inc({ method: "GET", path, status: exit._tag === "Success" ? String(exit.value.status) : "500" })
        duration.observe({ method: "GET", path }, Number(process.hrtime.bigint() - started) / 1e9)
        return undefined
      })
    })
  const written = (app: App): App =>
    Effect.gen(function*() {
      const started = yield* Clock.currentTimeNanos
      const exit = yield* Effect.exit(app)
      const path = pathOf(yield* Effect.context<never>())
      total.inc({ method: "GET", path, status: exit._tag === "Success" ? String(exit.value.status) : "500" })
      duration.observe({ method: "GET", path }, Number((yield* Clock.currentTimeNanos) - started) / 1e9)
      return yield* exit
    })
  return HttpRouter.middleware((gen ? written : plain) as never, { global: true }) as Layer.Layer<never, never, HttpRouter.HttpRouter>
}

const otel = (url: string) => {
  const provider = new NodeTracerProvider({
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url }), { maxQueueSize: 65_536 })]
  })
  return OtelTracer.layerGlobal.pipe(
    Layer.provide(OtelResource.layer({ serviceName: "bench" })),
    Layer.provideMerge(Layer.effectDiscard(Effect.acquireRelease(
      Effect.sync(() => provider.register()),
      () => Effect.promise(() => provider.shutdown())
    )))
  )
}

const observed = ({ target, variant }: Start): { readonly instrumentation: Layer.Layer<never, never, any>; readonly around: Layer.Layer<any, any> | Layer.Layer<never> } => {
  const off = Layer.succeed(HttpMiddleware.TracerDisabledWhen, () => true)
  switch (variant) {
    case "bare":
      return { instrumentation: Layer.empty, around: off }
    case "prom":
    case "prom-gen":
      return { instrumentation: promClient(variant === "prom-gen"), around: off }
    case "otel":
      return { instrumentation: Layer.empty, around: otel(target) }
    case "metrics":
      return { instrumentation: HttpInstrumentation.layer, around: Layer.merge(off, Prometheus.layer()) }
    case "traced":
      return {
        instrumentation: HttpInstrumentation.layer,
        around: Layer.mergeAll(
          off,
          Prometheus.layer(),
          Postgres.layer({ connection: Redacted.make(target), history: false, flushInterval: "1 second" })
        ).pipe(Layer.provide(ObservabilityConfig.layer({ batchSize: Number(process.env["BATCH"] ?? 1_000) })))
      }
  }
}

const start = async (what: Start): Promise<void> => {
  const { around, instrumentation } = observed(what)
  const scope = Effect.runSync(Scope.make())
  const app = HttpRouter.serve(routes.pipe(Layer.provide(instrumentation)) as Layer.Layer<never, never, HttpRouter.HttpRouter>, {
    disableLogger: true,
    disableListenLog: true
  }).pipe(
    Layer.provideMerge(NodeHttpServer.layer(() => Http.createServer(), { port: 0, host: "127.0.0.1" })),
    Layer.provideMerge(around as Layer.Layer<never>)
  ) as Layer.Layer<HttpServer.HttpServer>
  const context = await Effect.runPromise(Layer.buildWithScope(app, scope))
  const { address } = Context.get(context, HttpServer.HttpServer)
  const telemetry = Context.getOption(context as Context.Context<never>, Telemetry)
  const spans = () => {
    const signals = telemetry._tag === "None" ? [] : telemetry.value.reports().flatMap((one) => one.signals).filter((one) => one.signal === "spans")
    const sum = (of: (ledger: typeof signals[number]["ledger"]) => number) => signals.reduce((all, { ledger }) => all + of(ledger), 0)
    const total = (reasons: Readonly<Record<string, number>>) => Object.values(reasons).reduce((all, n) => all + n, 0)
    return {
      offered: sum((ledger) => ledger.offered),
      dropped: sum((ledger) => total(ledger.dropped) + total(ledger.rejected)),
      waiting: sum((ledger) => ledger.queued + ledger.inFlight)
    }
  }
  process.on("message", (message) => {
    if (message === "usage") {
      const { system, user } = process.cpuUsage()
      process.send!({ cpu: system + user, rss: process.memoryUsage.rss(), spans: spans() } satisfies Usage)
    } else void Effect.runPromise(Scope.close(scope, Exit.void)).then(() => process.exit(0))
  })
  process.send!({ port: "port" in address ? address.port : 0 })
}

if (process.send !== undefined && process.argv[2] === "serve") await start(JSON.parse(process.argv[3]!) as Start)

