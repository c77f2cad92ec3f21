import type { ServiceResource } from "../hub/Telemetry.ts"
import type { LabelMatcher } from "./range/RangeQuery.ts"

/** What is known of the process that recorded something: `service`, `version`, `instance`, `cluster` and `env` of its configuration. */
export type ResourceField = keyof ServiceResource

/**
 * Only what processes of this kind recorded: all conditions hold, a text is matched exactly, `""` means that it has none. These are not the
 * labels of a metric nor the attributes of a span, which may have the same names.
 *
 * @example
 * ```ts
 * const resource: ResourceQuery = { cluster: "eu-1", env: { neq: "test" } }
 * ```
 */
export type ResourceQuery = { readonly [F in ResourceField]?: string | LabelMatcher }

export const resourceFields: ReadonlyArray<ResourceField> = ["service", "version", "instance", "cluster", "env"]
