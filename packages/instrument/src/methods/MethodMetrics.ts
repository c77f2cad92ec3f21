import { MetricDefinition } from "@effect-observability/core"

// What `Observe` records of methods, by their names as the program wrote them (`Orders.place`).

const { duration, total } = MetricDefinition.operation("method", {
  help: "Calls of observed methods, and how long they took in seconds",
  labelNames: ["method"],
  errorType: true,
  buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10]
})

/** `method_duration_seconds{method}`; of a stream from its start to its end. */
export const MethodDuration = duration

/**
 * `method_total{method,outcome,error_type}`: `outcome` is `success`, `failure` (an expected error), `defect` (a bug) or `interrupted`;
 * `error_type` the error's `_tag` or `name`, empty without one.
 */
export const MethodTotal = total

/** All of them. */
export const all: ReadonlyArray<MetricDefinition.MetricDefinition> = [MethodDuration, MethodTotal]
