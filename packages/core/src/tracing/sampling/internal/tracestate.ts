import type { Randomness } from "../../internal/LocalTrace.ts"
import { parseThreshold } from "./threshold.ts"

// The `ot` member of `tracestate` (OpenTelemetry, "TraceState Handling" and "TraceState: Probability Sampling"): `ot=th:…;rv:…`.

const maxMembers = 32
/** W3C Trace Context, 3.3.1.5: at least 512 characters are passed on. */
const maxLength = 512
/** OpenTelemetry's own limit for its value. */
const maxValue = 256

const valueOf = (tracestate: string): string | undefined =>
  tracestate.split(",").find((member) => member.startsWith("ot="))?.slice(3)

/** What a caller said about the trace: with which probability it was kept, and its randomness where that is not in the id. */
export interface Sampled {
  readonly probability: number | undefined
  readonly randomness: Randomness | undefined
}

const nothing: Sampled = { probability: undefined, randomness: undefined }

/** Reads a checked `tracestate`. What is malformed counts as absent. */
export const readTracestate = (tracestate: string): Sampled => {
  const value = valueOf(tracestate)
  if (value === undefined) return nothing
  let probability: number | undefined
  let randomness: Randomness | undefined
  for (const part of value.split(";")) {
    const text = part.slice(3)
    if (part.startsWith("th:")) probability = parseThreshold(text)
    else if (part.startsWith("rv:") && /^[0-9a-f]{14}$/.test(text)) {
      randomness = { high: Number.parseInt(text.slice(0, 6), 16), low: Number.parseInt(text.slice(6), 16) }
    }
  }
  return { probability, randomness }
}

/** Writes our sampling values into a checked `tracestate`, first as the rule is for what was changed (W3C, 3.5). `sampling` may be empty. */
export const editTracestate = (tracestate: string, sampling: string): string => {
  const others = tracestate.split(",").filter((member) => member !== "" && !member.startsWith("ot="))
  const setsRandomness = sampling.includes("rv:")
  const parts = (valueOf(tracestate) ?? "").split(";")
    .filter((part) => part !== "" && !part.startsWith("th:") && !(setsRandomness && part.startsWith("rv:")))
  let value = sampling
  for (const part of parts) {
    const longer = value === "" ? part : `${value};${part}`
    if (longer.length <= maxValue) value = longer
  }
  const members = value === "" ? others : [`ot=${value}`, ...others]
  let joined = members.slice(0, maxMembers).join(",")
  while (joined.length > maxLength) joined = joined.slice(0, joined.lastIndexOf(","))
  return joined
}
