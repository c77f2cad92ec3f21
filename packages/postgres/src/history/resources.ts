import { type HistoryError, type MetricRange, type ResourceField, resourceFields } from "@effect-observability/core"
import * as Effect from "effect/Effect"
import { clean } from "../internal/json.ts"
import type { Sql } from "../internal/names.ts"
import { texts } from "../internal/parameters.ts"
import type { Ask } from "./ask.ts"
import { Parameters } from "./parameters.ts"

type Tests = ReadonlyArray<MetricRange.LabelTest>

/** Conditions on a row `r` of `obs_resource`; names come from a closed list, values are bound. */
export const isOf = (parameters: Parameters, tests: Tests): ReadonlyArray<string> =>
  tests.map((test) => {
    const column = `r.${test.label as ResourceField}`
    // As a lane writes them.
    const value = (one: string) => clean(one, 255)
    switch (test.op) {
      case "eq":
        return `${column} = ${parameters.text(value(test.value))}`
      case "neq":
        return `${column} <> ${parameters.text(value(test.value))}`
      case "in":
        return `${column} = any (${parameters.add(texts(test.values.map(value)), "text[]")})`
      case "prefix":
        return `starts_with(${column}, ${parameters.text(value(test.value))})`
    }
  })

/** What is written through `lane` was recorded by one of the processes; `undefined` when any will do. */
export const laneOf = (t: Sql, parameters: Parameters, tests: Tests, lane: string): string | undefined =>
  tests.length === 0
    ? undefined
    : `${lane} = any (array(select l.id from ${t.lane} l join ${t.resource} r on r.id = l.resource where ${isOf(parameters, tests).join(" and ")}))`

export type Resource = { readonly [F in ResourceField]: string }

/** The processes that are meant, by their ids; `undefined` when any will do and none is to be told apart. */
export const resourcesOf = (
  ask: Ask,
  t: Sql,
  plan: { readonly resource: Tests; readonly groupByResource?: ReadonlyArray<ResourceField> }
): Effect.Effect<ReadonlyMap<number, Resource> | undefined, HistoryError> =>
  Effect.suspend(() => {
    if (plan.resource.length === 0 && (plan.groupByResource ?? []).length === 0) return Effect.succeed(undefined)
    const parameters = new Parameters()
    const where = ["true", ...isOf(parameters, plan.resource)].join(" and ")
    return Effect.map(
      ask(`select r.id, ${resourceFields.map((field) => `r.${field}`).join(", ")} from ${t.resource} r where ${where}`, parameters.values),
      (rows) => new Map(rows.map((row) => [row["id"] as number, Object.fromEntries(resourceFields.map((field) => [field, String(row[field])])) as Resource]))
    )
  })
