import * as Effect from "effect/Effect"
import type { AlertHistory, StoredAlertEvent } from "../../history/AlertHistory.ts"
import * as Questions from "../../history/AlertQuestions.ts"
import { type Known, passes as isOf } from "../../history/range/plan.ts"

/** Answers from the events at hand, one after the other: slow, and plainly right. */
export const make = (events: () => ReadonlyArray<StoredAlertEvent>, resource: Known = {}): AlertHistory["Service"] => ({
  searchAlerts: (query) =>
    Effect.map(Questions.question(query), (filter) => {
      const { before, limit } = filter
      const all = events()
        .filter((event) => isOf(resource, filter.resource) && passes(filter, event) && (before === undefined || isBefore(event, before)))
        .toSorted((a, b) => isBefore(a, b) ? 1 : -1)
      const page = all.slice(0, limit)
      return { events: page, cursor: all.length > limit ? Questions.cursorOf(page.at(-1)!) : undefined }
    })
})

const passes = (filter: Questions.AlertFilter, event: StoredAlertEvent): boolean =>
  event.time >= filter.from && event.time < filter.to &&
  (["alertname", "fingerprint", "severity", "state", "serviceName"] as const).every((field) => filter[field] === undefined || filter[field] === event[field])

const isBefore = (a: Pick<StoredAlertEvent, "time" | "eventId">, b: Pick<StoredAlertEvent, "time" | "eventId">): boolean =>
  a.time < b.time || (a.time === b.time && a.eventId < b.eventId)
