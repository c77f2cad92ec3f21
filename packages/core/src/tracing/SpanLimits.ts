/**
 * How much one span may hold (OpenTelemetry SDK, "Span Limits" and "Attribute Limits", with their names). What is beyond is left out and
 * counted on the span; nothing throws.
 */
export interface SpanLimits {
  /** Attributes of a span. Default 128. */
  readonly attributeCount: number
  /** UTF-16 code units of a string value. Default 4,096 (OpenTelemetry has no limit; a value of 100 MB must not be kept). */
  readonly attributeValueLength: number
  /** Default 128. */
  readonly eventCount: number
  /** Default 128. */
  readonly linkCount: number
  /** Attributes of one event. Default 128. */
  readonly attributePerEventCount: number
  /** Attributes of one link. Default 128. */
  readonly attributePerLinkCount: number
  /** Levels of objects and lists in one value; deeper ones become `"[…]"`. Default 8. */
  readonly depth: number
}

export const defaults: SpanLimits = {
  attributeCount: 128,
  attributeValueLength: 4096,
  eventCount: 128,
  linkCount: 128,
  attributePerEventCount: 128,
  attributePerLinkCount: 128,
  depth: 8
}
