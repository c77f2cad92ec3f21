import type { AlertHistory, Alerts, ErrorHistory } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import type { Params } from "./params.ts"
import { refuse } from "./answers.ts"

export const errorGroups = (history: ErrorHistory["Service"], params: Params) =>
  Effect.gen(function*() {
    const service = yield* params.text("service")
    const text = yield* params.text("text")
    const query = { ...(yield* params.range), ...(yield* params.resource), ...(service === undefined ? {} : { serviceName: service }), ...(text === undefined ? {} : { text }), limit: 200 }
    return { query, groups: yield* history.errorGroups(query) }
  })

export const error = (history: ErrorHistory["Service"], params: Params) =>
  Effect.gen(function*() {
    const id = yield* params.needed("id")
    if (!/^[0-9a-f]{32}$/i.test(id)) return yield* refuse(400, "id: must be 32 hex digits")
    const found = yield* history.getError(id.toLowerCase())
    if (found === undefined) return yield* refuse(404, "This error is not stored any more.")
    return { ...found, time: Number(found.time / 1_000n) / 1e3 }
  })

export const alertsNow = (alerts: Alerts["Service"]) => Effect.all({ alerts: alerts.list, silences: alerts.silences })

export const alertEvents = (history: AlertHistory["Service"], params: Params) =>
  Effect.gen(function*() {
    const query = { ...(yield* params.range), ...(yield* params.resource), limit: 200 }
    return { query, events: (yield* history.searchAlerts(query)).events }
  })
