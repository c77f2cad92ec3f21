import * as Redacted from "effect/Redacted"

/** Where envelopes go, and the key that opens the door. */
export interface Dsn {
  readonly url: URL
  readonly key: Redacted.Redacted<string>
  readonly publicKey: string
  /** `host/project`, for people. */
  readonly label: string
}

/** Reads `https://key@host/path/project` (Sentry, "DSN"); a text says what is wrong with it, without repeating any of it. */
export const dsnOf = (text: string): Dsn | string => {
  const expected = "must be like https://key@host/project"
  const url = URL.parse(text)
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) return expected
  const project = /^(.*)\/([A-Za-z0-9_-]{1,64})$/.exec(url.pathname)
  if (project === null) return `${expected}: the project's number is missing`
  if (!/^[A-Za-z0-9_-]{1,200}$/.test(url.username)) return `${expected}: the public key is missing or has other than letters and digits`
  if (url.search !== "" || url.hash !== "") return `${expected}, without ? and #`
  return {
    url: new URL(`${url.protocol}//${url.host}${project[1]}/api/${project[2]}/envelope/`),
    key: Redacted.make(url.username),
    publicKey: url.username,
    label: `${url.host}/${project[2]}`
  }
}
