import { EmbeddedServer } from "@effect-observability/postgres"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { type ChildProcess, fork } from "node:child_process"
import * as Fs from "node:fs"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import type { Bench } from "./Bench.ts"
import { connections, type Load, loadFile, type Wanted } from "./http/load.ts"
import { type Start, serverFile, type Usage, type Variant } from "./http/server.ts"

// F1: what metrics cost a server per request, F2: metrics and every span into PostgreSQL, both over the bare router and beside what people
// use for it. Every server is a process of its own, so that processor time and memory are its alone; one of them works at a time, in an order
// that turns, under as much load as 32 connections give. A sample is one round over all of them in short slices, and of its slices each
// server's best one: processor time per request only ever grows by what else the machine does. The database of F2 shares the machine's processors with server and load, which the rate of F2 pays for.

/** Of one slice. */
const seconds = 0.5
const slices = 6
/** How long the exporter of a slice may take to be done: what it exports late belongs to it. */
const settleMillis = 10_000

interface Round {
  /** Microseconds of the server's processor time per request. */
  readonly cpu: number
  readonly perSecond: number
  /** Milliseconds. */
  readonly p99: number
  readonly rss: number
}

interface Served {
  readonly child: ChildProcess
  readonly port: number
}

const next = <A>(child: ChildProcess): Promise<A> =>
  new Promise((resolve, reject) => {
    const gone = (code: number | null) => reject(new Error(`the process ended with ${code}`))
    child.once("exit", gone)
    child.once("message", (message) => {
      child.off("exit", gone)
      resolve(message as A)
    })
  })

const serve = async (start: Start): Promise<Served> => {
  const child = fork(serverFile, ["serve", JSON.stringify(start)], { execArgv: ["--conditions=source"] })
  const { port } = await next<{ readonly port: number }>(child)
  return { child, port }
}

const usage = (served: Served): Promise<Usage> => {
  served.child.send("usage")
  return next<Usage>(served.child)
}

/** What is measured together, and the state of it. */
const group = (variants: ReadonlyArray<Variant>, target: (variant: Variant) => string) => {
  const servers = new Map<Variant, Served>()
  const rounds: Array<ReadonlyMap<Variant, Round>> = []
  let load: ChildProcess | undefined
  const drive = async (served: Served, duration: number): Promise<Load> => {
    if (load === undefined) {
      load = fork(loadFile, ["drive"])
      await next(load)
    }
    load.send({ url: `http://127.0.0.1:${served.port}/hello`, seconds: duration } satisfies Wanted)
    return next<Load>(load)
  }
  const exported = async (served: Served): Promise<Usage> => {
    const until = Date.now() + settleMillis
    for (;;) {
      const used = await usage(served)
      if (used.spans.waiting === 0 || Date.now() > until) return used
      await new Promise((wake) => setTimeout(wake, 50))
    }
  }
  /** `undefined` when not every span was exported: the rest of the machine kept the database from its work, and such a slice proves nothing. */
  const slice = async (variant: Variant): Promise<Round | undefined> => {
    const served = servers.get(variant)!
    const before = await usage(served)
    const load = await drive(served, seconds)
    const after = await exported(served)
    const dropped = after.spans.dropped - before.spans.dropped
    const more = after.spans.offered - before.spans.offered - load.requests
    // Each connection may have sent one more request, whose answer came when the load was over.
    if (variant === "traced" && (dropped > 0 || after.spans.waiting > 0 || more < 0 || more > connections)) {
      process.stderr.write(`a slice left out, not every span was exported: ${load.requests} requests, ${JSON.stringify(before.spans)} to ${JSON.stringify(after.spans)}\n`)
      return undefined
    }
    return { cpu: (after.cpu - before.cpu) / load.requests, perSecond: load.perSecond, p99: load.p99, rss: after.rss }
  }
  const measure = async (first: number): Promise<ReadonlyMap<Variant, Round>> => {
    const best = new Map<Variant, Round>()
    for (let i = 0; i < slices; i++) {
      for (const at of variants.keys()) {
        const variant = variants[(first + i + at) % variants.length]!
        const one = await slice(variant)
        if (one === undefined) continue
        const so = best.get(variant) ?? one
        best.set(variant, {
          cpu: Math.min(so.cpu, one.cpu),
          perSecond: Math.max(so.perSecond, one.perSecond),
          p99: Math.min(so.p99, one.p99),
          rss: one.rss
        })
      }
    }
    const missing = variants.filter((variant) => !best.has(variant))
    if (missing.length > 0) throw new Error(`no slice of ${missing.join(", ")} had every span exported: the machine is too busy`)
    return best
  }
  return {
    setup: async () => {
      if (servers.size > 0) return
      for (const variant of variants) servers.set(variant, await serve({ variant, target: target(variant) }))
      for (const served of servers.values()) {
        await drive(served, 2)
        await exported(served)
      }
    },
    teardown: async () => {
      for (const { child } of servers.values()) {
        child.send("end")
        await new Promise((resolve) => child.once("exit", resolve))
      }
      servers.clear()
      load?.kill()
      load = undefined
    },
    /** The figure of the case's next sample; the first to ask for a round has it measured. */
    figure: (of: (round: ReadonlyMap<Variant, Round>) => number) => {
      let at = 0
      return async () => {
        if (at === rounds.length) rounds.push(await measure(at))
        return of(rounds[at++]!)
      }
    }
  }
}

const over = (variant: Variant) => (round: ReadonlyMap<Variant, Round>) => round.get(variant)!.cpu - round.get("bare")!.cpu
const times = (variant: Variant, of: (round: Round) => number) => (round: ReadonlyMap<Variant, Round>) => of(round.get(variant)!) / of(round.get("bare")!)

const unit = "us/request over the bare router"
/** Of the best slices each: three processes make one round each, which is minutes enough. */
const samples = 1

const declare = (
  bench: Bench,
  name: string,
  of: (round: ReadonlyMap<Variant, Round>) => number,
  measured: ReturnType<typeof group>,
  rest: Partial<Parameters<Bench["measure"]>[0]>
): void => bench.measure({ name, unit, samples, setup: measured.setup, teardown: measured.teardown, run: measured.figure(of), budget: "value", ...rest })

export default (bench: Bench): void => {
  const metrics = group(["bare", "metrics", "prom", "prom-gen"], () => "")
  declare(bench, "F1", over("metrics"), metrics, { must: 2.5, moonshot: 1.3 })
  declare(bench, "F1.p99", times("metrics", ({ p99 }) => p99), metrics, { unit: "of the bare router's", must: 1.25, moonshot: 1.1 })
  declare(bench, "F1.rss", times("metrics", ({ rss }) => rss), metrics, { unit: "of the bare router's", must: 1.25, moonshot: 1.1 })
  declare(bench, "F1.prom-client", over("prom"), metrics, {})
  declare(bench, "F1.prom-client.gen", over("prom-gen"), metrics, {})
  declare(bench, "F1.bare", (round) => round.get("bare")!.cpu, metrics, { unit: "us/request" })

  const sinks = { database: "", collector: "" }
  const traced = group(["bare", "traced", "otel"], (variant) => variant === "traced" ? sinks.database : sinks.collector)
  const parts = startSinks(sinks)
  const all = {
    ...traced,
    setup: async () => {
      await parts.start()
      await traced.setup()
    },
    teardown: async () => {
      await traced.teardown()
      await parts.stop()
    }
  }
  declare(bench, "F2", over("traced"), all, { must: 9, moonshot: 5 })
  declare(bench, "F2.rate", times("traced", ({ perSecond }) => perSecond), all, { unit: "of the bare router's", better: "higher", must: 0.65, moonshot: 0.8 })
  declare(bench, "F2.p99", times("traced", ({ p99 }) => p99), all, { unit: "of the bare router's" })
  declare(bench, "F2.rss", times("traced", ({ rss }) => rss), all, { unit: "of the bare router's" })
  declare(bench, "F2.otel", over("otel"), all, {})
  declare(bench, "F2.otel.rate", times("otel", ({ perSecond }) => perSecond), all, { unit: "of the bare router's", better: "higher" })
  declare(bench, "F2.bare", (round) => round.get("bare")!.cpu, all, { unit: "us/request" })
}

/** A PostgreSQL, and a collector that takes everything and keeps nothing. */
const startSinks = (sinks: { database: string; collector: string }) => {
  let stop: (() => Promise<void>) | undefined
  return {
    start: async () => {
      if (stop !== undefined) return
      const scope = Effect.runSync(Scope.make())
      const dir = Fs.mkdtempSync(Path.join(tmpdir(), "obs-http-bench-"))
      const { url } = await Effect.runPromise(Scope.provide(EmbeddedServer.start({ dir }), scope))
      sinks.database = Redacted.value(url)
      const collector = Http.createServer((request, response) => {
        request.resume().on("end", () => response.writeHead(200, { "content-type": "application/x-protobuf" }).end())
      })
      await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve))
      sinks.collector = `http://127.0.0.1:${(collector.address() as AddressInfo).port}/v1/traces`
      stop = async () => {
        await Effect.runPromise(Scope.close(scope, Exit.void))
        Fs.rmSync(dir, { recursive: true, force: true })
        await new Promise((resolve) => collector.close(resolve))
      }
    },
    stop: async () => {
      const ending = stop
      stop = undefined
      await ending?.()
    }
  }
}
