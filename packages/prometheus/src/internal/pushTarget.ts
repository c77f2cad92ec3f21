import * as Redacted from "effect/Redacted"
import { isLabelName } from "./text.ts"

/** Where pushes go: a URL without credentials, and the header that carries them. */
export interface PushTarget {
  readonly url: string
  readonly authorization: Redacted.Redacted<string> | undefined
  /** For people: scheme, host and path, never a secret. */
  readonly label: string
}

export interface PushTargetOptions {
  readonly url: string
  readonly job: string
  readonly groupingKey: Readonly<Record<string, string>>
  readonly username: string | undefined
  readonly password: Redacted.Redacted<string> | undefined
  readonly token: Redacted.Redacted<string> | undefined
  /** Milliseconds between pushes. */
  readonly interval: number
}

export interface PushTargetProblem {
  readonly field: string
  readonly message: string
}

/** Plain in a path whatever proxies make of it; everything else travels as base64. */
const plain = /^[A-Za-z0-9_-][A-Za-z0-9_.-]*$/

/** Milliseconds: shorter ones would only keep both sides busy. */
const minInterval = 10

/** A label and its value as two segments of a path (Pushgateway README, "URL"): one value never becomes two segments, or another path. */
export const segments = (label: string, value: string): string => {
  if (plain.test(value)) return `${label}/${value}`
  return `${label}@base64/${value === "" ? "=" : Buffer.from(value.toWellFormed()).toString("base64url")}`
}

/** The target, or everything that is wrong with the options; no message repeats a secret. */
export const pushTarget = (options: PushTargetOptions): PushTarget | ReadonlyArray<PushTargetProblem> => {
  const problems: Array<PushTargetProblem> = []
  const wrong = (field: string, message: string) => problems.push({ field, message })
  const base = URL.canParse(options.url) ? new URL(options.url) : undefined
  if (base === undefined) wrong("url", "is no URL: use one like http://pushgateway:9091")
  else if (base.protocol !== "http:" && base.protocol !== "https:") wrong("url", `has the scheme ${base.protocol.slice(0, 20)} use http: or https:`)
  else if (base.search !== "" || base.hash !== "") wrong("url", "has a query or fragment: leave it out")
  if (typeof options.job !== "string" || options.job === "") wrong("job", "is empty: the Pushgateway needs one, such as the name of the program")
  if (!(options.interval >= minInterval)) wrong("interval", `is less than ${minInterval} milliseconds`)
  for (const label of Object.keys(options.groupingKey)) {
    if (label === "job" || !isLabelName(label)) {
      wrong("groupingKey", `has ${JSON.stringify(label.slice(0, 80))}: ${label === "job" ? "give it as job" : "a label name must match [a-zA-Z_][a-zA-Z0-9_]* and not start with __"}`)
    }
  }
  const authorization = credentials(base, options, wrong)
  if (problems.length > 0 || base === undefined) return problems
  const path = [["job", options.job] as const, ...Object.entries(options.groupingKey)].map(([label, value]) => segments(label, String(value))).join("/")
  const root = `${base.origin}${base.pathname.replace(/\/+$/, "")}`
  return { url: `${root}/metrics/${path}`, authorization, label: root }
}

const credentials = (
  base: URL | undefined,
  { password, token, username }: PushTargetOptions,
  wrong: (field: string, message: string) => void
): Redacted.Redacted<string> | undefined => {
  const inUrl = base !== undefined && (base.username !== "" || base.password !== "")
  const given = [inUrl && "url", username !== undefined && "username", token !== undefined && "token"].filter((one) => one !== false)
  if (given.length > 1) wrong(given[1]!, `and ${given[0]} both carry credentials: keep one of them`)
  if (token !== undefined) {
    if (!/^[\x21-\x7e]+$/.test(Redacted.value(token))) wrong("token", "is empty or has characters that a header cannot carry")
    return Redacted.make(`Bearer ${Redacted.value(token)}`)
  }
  const [user, secret] = inUrl ? [decoded(base.username), decoded(base.password)] : [username, password === undefined ? "" : Redacted.value(password)]
  if (user === undefined || secret === undefined) {
    if (inUrl) wrong("url", "has credentials that are not percent-encoded properly")
    if (!inUrl && password !== undefined) wrong("password", "is given without username")
    return undefined
  }
  if (user.includes(":")) wrong(inUrl ? "url" : "username", "has a colon, which basic authentication does not allow there")
  return Redacted.make(`Basic ${Buffer.from(`${user}:${secret}`).toString("base64")}`)
}

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
