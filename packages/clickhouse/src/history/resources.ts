import type { MetricRange, ResourceField } from "@effect-observability/core"
import type { Parameters } from "./ask.ts"

/** Where what is known of a process stands in every table (`internal/resource.ts`). */
export const resourceColumns: Readonly<Record<ResourceField, string>> = {
  service: "toString(ServiceName)",
  version: "ResourceAttributes['service.version']",
  instance: "ResourceAttributes['service.instance.id']",
  cluster: "ResourceAttributes['k8s.cluster.name']",
  env: "ResourceAttributes['deployment.environment.name']"
}

/** What is absent equals `""`: so does a map's missing key. */
export const condition = (parameters: Parameters, column: string, test: MetricRange.LabelTest): string => {
  switch (test.op) {
    case "eq":
      return `${column} = ${parameters.text(test.value)}`
    case "neq":
      return `${column} != ${parameters.text(test.value)}`
    case "in":
      return `has(${parameters.texts(test.values)}, ${column})`
    case "prefix":
      return `startsWith(${column}, ${parameters.text(test.value)})`
  }
}

/** Rows of the processes that are meant. */
export const isOf = (parameters: Parameters, tests: ReadonlyArray<MetricRange.LabelTest>): ReadonlyArray<string> =>
  tests.map((test) => condition(parameters, resourceColumns[test.label as ResourceField], test))
