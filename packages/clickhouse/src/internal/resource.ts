import type { ServiceResource } from "@effect-observability/core"
import { cut, entriesOf, writeMap } from "./attributeText.ts"
import { RowWriter } from "./RowWriter.ts"

/** Who is observed, as OpenTelemetry's resource attributes (semantic conventions 1.27). */
const attributesOf = (resource: ServiceResource): ReadonlyMap<string, string> =>
  new Map([
    ["service.name", resource.service],
    ["service.version", resource.version],
    ["service.instance.id", resource.instance],
    ["deployment.environment.name", resource.env],
    ...(resource.cluster === "" ? [] : [["k8s.cluster.name", resource.cluster] as const]),
    ["telemetry.sdk.name", scope],
    ["telemetry.sdk.language", "nodejs"]
  ])

const scope = "effect-observability"

/** The columns every row of a process begins with: `ResourceAttributes`, `ScopeName`, `ScopeVersion`, `ServiceName`. */
export const resourceBytes = (resource: ServiceResource): Buffer => {
  const writer = new RowWriter(1_024)
  writeMap(writer, entriesOf(attributesOf(resource)))
  writer.string(scope)
  writer.string("")
  writer.string(cut(resource.service, 1_024))
  return writer.bytes()
}
