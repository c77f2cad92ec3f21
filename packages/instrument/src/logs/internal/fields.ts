import type { LogData, ServiceResource } from "@effect-observability/core"

/** The fields that every line of every format has; those nobody knows are absent. */
export type Fields = Record<string, unknown>

/** `{trace_id}` and `{span_id}` are replaced. */
export const traceUrlOf = (template: string | undefined, line: LogData): string | undefined =>
  template === undefined || line.traceId === undefined
    ? undefined
    : template.replaceAll("{trace_id}", line.traceId).replaceAll("{span_id}", line.spanId ?? "")

/** Ids and shared context of a line (OpenTelemetry's names for logs outside of OTLP, and the document's). */
export const fieldsOf = (line: LogData, resource: ServiceResource, traceUrl: string | undefined, module: string | undefined): Fields => {
  const fields: Fields = {}
  if (line.traceId !== undefined) {
    fields["trace_id"] = line.traceId
    fields["span_id"] = line.spanId
    fields["trace_flags"] = line.traceFlags === 1 ? "01" : "00"
  }
  if (line.requestId !== undefined) fields["request_id"] = line.requestId
  if (line.errorId !== undefined) fields["error_id"] = line.errorId
  fields["service"] = resource.service
  fields["env"] = resource.env
  if (resource.cluster !== "") fields["cluster"] = resource.cluster
  fields["instance"] = resource.instance
  const part = line.module ?? module
  if (part !== undefined) fields["module"] = part
  if (line.tenantId !== undefined) fields["tenant_id"] = line.tenantId
  if (line.userId !== undefined) fields["user_id"] = line.userId
  const url = traceUrlOf(traceUrl, line)
  if (url !== undefined) fields["trace_url"] = url
  return fields
}
