import * as Redacted from "effect/Redacted"
import type { SignalName } from "../encoding/envelope.ts"
import type { Protocol } from "../transport/Target.ts"

export type Wrong = (field: string, message: string) => void

export const protocols: ReadonlyArray<Protocol> = ["http/protobuf", "http/json", "grpc"]

export const isProtocol = (text: string): text is Protocol => (protocols as ReadonlyArray<string>).includes(text)

const scheme = /^[a-z][a-z0-9+.-]*:\/\//i

/** An endpoint as a URL; `undefined` after telling what is wrong with it. The text may hold a secret: no message repeats it. */
export const endpointOf = (text: unknown, protocol: Protocol | undefined, insecure: boolean, wrong: (message: string) => void): URL | undefined => {
  const example = protocol === "grpc" ? "http://localhost:4317" : "http://localhost:4318"
  if (typeof text !== "string" || text === "") return void wrong(`is empty: use one like ${example}`)
  // The URL parser would leave such characters out without a word.
  if (/[\s\p{Cc}]/u.test(text)) return void wrong("has blanks or control characters in it")
  let full = text
  if (!scheme.test(text)) {
    if (protocol !== "grpc") return void wrong(`has no scheme: use one like ${example}`)
    full = `${insecure ? "http" : "https"}://${text}`
  }
  if (!URL.canParse(full)) return void wrong(`is no URL: use one like ${example}`)
  const url = new URL(full)
  if (url.protocol !== "http:" && url.protocol !== "https:") return void wrong(`has the scheme ${url.protocol.slice(0, 20)} use http: or https:`)
  if (url.hash !== "") return void wrong("has a fragment (#…): leave it out")
  return url
}

/** Where one signal goes (OTLP exporter specification, "Endpoint URLs for OTLP/HTTP"); credentials are taken out. */
export const signalUrl = (endpoint: URL, signal: SignalName, protocol: Protocol, own: boolean, wrong: (message: string) => void): URL => {
  const url = new URL(endpoint)
  url.username = ""
  url.password = ""
  if (protocol === "grpc" || own) return url
  if (url.search !== "") wrong("has a query: leave it out, or give each signal an endpoint of its own")
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/v1/${signal}`
  return url
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** Ours to set, or of the connection. */
const reserved: ReadonlySet<string> = new Set([
  "connection", "content-encoding", "content-length", "content-type", "expect", "host", "keep-alive", "te", "transfer-encoding", "upgrade", "grpc-timeout", "grpc-encoding"
])

type Headers = Readonly<Record<string, Redacted.Redacted<string>>>

/** Headers in lower case with all values redacted, and the credentials of the endpoint among them. */
export const headersOf = (
  url: URL,
  given: Readonly<Record<string, unknown>>,
  protocol: Protocol,
  wrong: (message: string, about: "headers" | "url") => void
): Headers => {
  const out: Record<string, Redacted.Redacted<string>> = {}
  const legal = protocol === "grpc" ? /^[\x20-\x7e]*$/ : /^[\t\x20-\x7e\x80-\xff]*$/
  for (const [name, held] of Object.entries(given)) {
    if (held === undefined) continue
    const shown = JSON.stringify(name.slice(0, 80))
    const value: unknown = Redacted.isRedacted(held) ? Redacted.value(held) : held
    if (!token.test(name)) wrong(`have ${shown}, which is no header name`, "headers")
    else if (reserved.has(name.toLowerCase())) wrong(`have ${shown}, which is not for options to set`, "headers")
    else if (typeof value !== "string" || !legal.test(value)) wrong(`have a value for ${shown} that a header cannot carry`, "headers")
    else out[name.toLowerCase()] = Redacted.make(value, { label: "header" })
  }
  if (url.username !== "" || url.password !== "") {
    const [user, secret] = [decoded(url.username), decoded(url.password)]
    if (user === undefined || secret === undefined) wrong("has credentials that are not percent-encoded properly", "url")
    else if (user.includes(":")) wrong("has a colon in its user name, which basic authentication does not allow", "url")
    else if (out["authorization"] !== undefined) wrong("has credentials, and so have the headers (authorization): keep one of them", "url")
    else out["authorization"] = Redacted.make(`Basic ${Buffer.from(`${user}:${secret}`).toString("base64")}`, { label: "header" })
  }
  return out
}

export const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
