import * as Redacted from "effect/Redacted"
import { createHash, timingSafeEqual } from "node:crypto"

export interface CredentialOptions {
  /** `Authorization: Bearer …`; several while one is being replaced. */
  readonly bearer?: Redacted.Redacted<string> | ReadonlyArray<Redacted.Redacted<string>>
  /** `Authorization: Basic …` (RFC 7617, UTF-8). */
  readonly basic?: { readonly user: string; readonly password: Redacted.Redacted<string> }
  /** A header with a key, `x-api-key` unless named. */
  readonly apiKey?: { readonly header?: string; readonly keys: ReadonlyArray<Redacted.Redacted<string>> }
}

/** How digests are made and compared; replaced by a test that counts the calls. */
export interface Comparing {
  readonly digest: (text: string) => Uint8Array
  readonly equal: (a: Uint8Array, b: Uint8Array) => boolean
}

const comparing: Comparing = {
  digest: (text) => createHash("sha256").update(text).digest(),
  equal: timingSafeEqual
}

interface Given {
  /** Values of the header, as often as it was sent. */
  readonly header: (name: string) => ReadonlyArray<string>
}

/**
 * Who may come in. Every secret is compared as a digest and against every accepted one, so that neither time nor the number of steps
 * tells what was right about a wrong one. An empty secret opens nothing.
 */
export class Credentials {
  private readonly how: Comparing
  private readonly schemes = new Map<string, ReadonlyArray<Uint8Array>>()
  private readonly keyHeader: string | undefined
  private readonly keys: ReadonlyArray<Uint8Array>

  constructor({ apiKey, basic, bearer }: CredentialOptions, how: Comparing = comparing) {
    this.how = how
    const digests = (secrets: ReadonlyArray<Redacted.Redacted<string>>) =>
      secrets.map((secret) => Redacted.value(secret)).filter((text) => text !== "").map(how.digest)
    if (bearer !== undefined) this.schemes.set("bearer", digests(Redacted.isRedacted(bearer) ? [bearer] : bearer))
    if (basic !== undefined) {
      const password = Redacted.value(basic.password)
      this.schemes.set("basic", password === "" || basic.user === "" ? [] : [how.digest(`${basic.user}:${password}`)])
    }
    this.keyHeader = apiKey === undefined ? undefined : (apiKey.header ?? "x-api-key").toLowerCase()
    this.keys = digests(apiKey?.keys ?? [])
  }

  get isAsked(): boolean {
    return this.schemes.size > 0 || this.keyHeader !== undefined
  }

  /** What `WWW-Authenticate` says (RFC 9110, 11.6.1). */
  get challenge(): string | undefined {
    const all = [...this.schemes.keys()].map((scheme) => scheme === "basic" ? "Basic realm=\"observability\", charset=\"UTF-8\"" : "Bearer")
    return all.length === 0 ? undefined : all.join(", ")
  }

  accepts(request: Given): boolean {
    const authorization = request.header("authorization")
    // Two of them: which one a proxy has checked nobody knows.
    if (authorization.length > 1) return false
    const [, scheme = "", text = ""] = /^([A-Za-z]{1,16}) +([^\s]{1,8192})$/.exec(authorization[0] ?? "") ?? []
    const wanted = this.schemes.get(scheme.toLowerCase())
    const given = scheme.toLowerCase() === "basic" ? decoded(text) : text
    const byScheme = this.matches(given, wanted ?? [])
    const keys = this.keyHeader === undefined ? [] : request.header(this.keyHeader)
    const byKey = keys.length === 1 && this.matches(keys[0]!, this.keys)
    return byScheme || byKey
  }

  private matches(text: string, accepted: ReadonlyArray<Uint8Array>): boolean {
    const digest = this.how.digest(text)
    let found = false
    for (const one of accepted) found = this.how.equal(digest, one) || found
    return found && text !== ""
  }
}

const decoded = (base64: string): string => {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)))
  } catch {
    return ""
  }
}
