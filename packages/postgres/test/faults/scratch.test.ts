import { it } from "@effect/vitest"
import { Telemetry } from "@effect-observability/core"
import { PgConnection } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TcpProxy from "../../../../test/tools/tcpProxy.ts"
import { controlledServer, seeded, through } from "./support.ts"
import * as Postgres from "../../src/Postgres.ts"
it.live("x", () => Effect.gen(function*() {
  const server = yield* controlledServer
  const proxy = yield* TcpProxy.make(server.port)
  const url = through(server.url, proxy.port)
  const ctx = yield* Layer.build(Postgres.layer({ connection: url, flushInterval: "150 millis" }))
  const t = yield* Effect.provideContext(Telemetry, ctx)
  const random = seeded(766761)
  const t0 = Date.now()
  const say = (x: unknown) => console.log(Date.now() - t0, x)
  const show = (n: string) => say(n + " " + t.reports()[0]!.status + " " + t.reports()[0]!.reason + " conns " + proxy.connections() + "/" + proxy.accepted())
  for (let round = 0; round < 20; round++) {
    yield* proxy.setLatency(random.between(0, 80))
    yield* Effect.sleep(random.between(100, 400))
    const k = ["cut", "hang", "refuse"][round % 3]!
    show(k)
    yield* [proxy.cut, proxy.hang, Effect.andThen(proxy.refuse, proxy.cut)][round % 3]!
    yield* Effect.sleep(random.between(50, 900))
    yield* Effect.andThen(proxy.unhang, proxy.accept)
  }
  yield* proxy.setLatency(0)
  show("healed")
  for (let i = 0; i < 12; i++) {
    yield* Effect.sleep(1000)
    show("after")
    const r = yield* Effect.exit(Effect.scoped(Effect.flatMap(PgConnection.make({ url, connectTimeout: "1 second" }), (c) => c.query("select pid, state, query, application_name from pg_stat_activity where backend_type='client backend'"))))
    say(r._tag === "Success" ? r.value.rows : String(r.cause))
  }
}), 60_000)
