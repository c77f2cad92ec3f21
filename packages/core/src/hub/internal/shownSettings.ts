import * as Redacted from "effect/Redacted"
import type { ObservabilitySettings } from "../../config/ObservabilityConfig.ts"
import { make } from "../../redaction/Redaction.ts"
import { isSampler } from "../../tracing/sampling/Sampler.ts"

/** As in what is recorded. */
const hidden = "[REDACTED]"
const maxDepth = 8
const maxEntries = 1_000

/**
 * The settings in force as plain values for people: what is `Redacted` stays so, texts are read by the rules of redaction, whether it is on or not,
 * and an address keeps neither user, password nor query.
 */
export const shownSettings = (settings: ObservabilitySettings): Readonly<Record<string, unknown>> => {
  const { rules, ...plain } = settings.redaction
  const redactor = make({ ...plain, rules, enabled: true })
  const show = (name: string, value: unknown, depth: number): unknown => {
    if (value === undefined || value === null || typeof value === "boolean" || typeof value === "number") return value ?? null
    if (Redacted.isRedacted(value)) return hidden
    if (typeof value === "function") return "[function]"
    if (isSampler(value)) return redactor.text(value.description)
    if (typeof value === "string") return redactor.isSecret(name) ? hidden : redactor.text(withoutUser(value))
    if (depth >= maxDepth || typeof value !== "object") return "[…]"
    if (value instanceof RegExp) return String(value)
    if (Array.isArray(value)) return value.slice(0, maxEntries).map((one) => show(name, one, depth + 1))
    return Object.fromEntries(Object.entries(value).slice(0, maxEntries).map(([key, one]) => [redactor.text(key), redactor.isSecret(key) && one !== undefined && typeof one !== "boolean" && !isPlain(one) ? hidden : show(key, one, depth + 1)]))
  }
  return show("", settings, 0) as Readonly<Record<string, unknown>>
}

const isPlain = (value: unknown): boolean => typeof value === "object" && value !== null && !Redacted.isRedacted(value)

/** An address keeps who it leads to. */
const withoutUser = (text: string): string => {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return text
  // A template has braces, which `URL` would escape.
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, "$1").replace(/[?#].*$/s, (rest) => rest.includes("{") ? rest : "")
}
