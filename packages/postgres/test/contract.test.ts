import { historyProbes, metricsSuite, spansSuite } from "@effect-observability/testkit/contract"
import { Effect, Layer } from "effect"
import { Postgres } from "../src/index.ts"
import { startServer } from "./support/server.ts"

const server = Layer.unwrap(Effect.map(startServer(), ({ url }) => Postgres.layer({ connection: url })))

const postgres = historyProbes.pipe(Layer.provideMerge(server))
metricsSuite("postgres", postgres)
spansSuite("postgres", postgres)
