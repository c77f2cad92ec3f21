import type { SpanData } from "../../tracing/SpanData.ts"
import type { SpanSelection } from "../Telemetry.ts"

/** Offers the spans a backend wants and counts the others. A filter that throws lets nothing through: it may be there to keep things in. */
export const selecting = (
  target: { readonly offerUnsafe: (span: SpanData) => boolean; readonly refuseUnsafe: (count: number, reason: string) => void },
  { filter, sampleRatio = 1 }: SpanSelection = {}
): (span: SpanData) => boolean => {
  const { offerUnsafe, refuseUnsafe } = target
  if (filter === undefined && sampleRatio >= 1) return offerUnsafe
  const share = Math.max(0, sampleRatio)
  return (span) => {
    let wanted: unknown
    try {
      wanted = filter === undefined || filter(span)
    } catch {
      refuseUnsafe(1, "filter_defect")
      return false
    }
    if (wanted !== true) refuseUnsafe(1, "filtered")
    else if (share < 1 && !isKept(span.traceId, share)) refuseUnsafe(1, "sampled_out")
    else return offerUnsafe(share < 1 ? { ...span, weight: span.weight / share } : span)
    return false
  }
}

/**
 * The same answer for all spans of a trace, in every process. It must not depend on the bits that samplers compare (the low ones, as they
 * are): of what a ratio of one half kept, another half would keep all or nothing. So they are mixed first (the finalizer of MurmurHash3).
 */
const isKept = (traceId: string, share: number): boolean => {
  let hash = Number.parseInt(traceId.slice(16, 24), 16) ^ Math.imul(Number.parseInt(traceId.slice(24), 16), 0x9e3779b1)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) < share * 2 ** 32
}
