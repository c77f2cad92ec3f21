import type { LoadGate } from "../../hub/Telemetry.ts"
import { type Sampler, sampler } from "../../tracing/sampling/internal/sampler.ts"

/** One for each gate and sampler: another object would start the sampler anew. */
const known = new WeakMap<LoadGate, WeakMap<Sampler, Sampler>>()

/** The sampler, keeping only the share of its traces that the gate allows; their weights rise accordingly. */
export const easing = (wanted: Sampler, gate: LoadGate | undefined): Sampler => {
  if (gate === undefined) return wanted
  let ofGate = known.get(gate)
  if (ofGate === undefined) known.set(gate, ofGate = new WeakMap())
  let eased = ofGate.get(wanted)
  if (eased === undefined) {
    eased = sampler(wanted.description, wanted.problems, (environment) => {
      const decide = wanted.start(environment)
      return (root) => decide(root) * gate.ratio()
    })
    ofGate.set(wanted, eased)
  }
  return eased
}
