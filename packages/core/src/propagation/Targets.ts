/**
 * Which targets may receive headers. A pattern is one of
 *
 * - `*`: everybody;
 * - `internal`: this machine, private addresses, and names that are in no public zone (`orders`, `db.local`, `api.shop.svc.cluster.local`);
 * - a host (`api.example.org`, `[::1]`), any port; with a port that port alone;
 * - `*.example.org`: every host below, not the domain itself;
 * - an origin (`https://api.example.org`): scheme, host and port.
 *
 * Comparing takes time in proportion to the number of patterns; there are no regular expressions.
 */
export type Targets = (url: URL) => boolean

/** What is wrong with a pattern, or `undefined`. */
export const targetProblem = (pattern: string): string | undefined => {
  if (pattern === "*" || pattern === "internal") return undefined
  const bare = pattern.startsWith("*.") ? pattern.slice(2) : pattern
  const parsed = parse(bare.includes("://") ? bare : `http://${bare}`)
  const expected = "is no target: expected *, internal, a host, *.domain or an origin such as https://example.org"
  if (parsed === undefined || bare.includes("*") || (bare !== pattern && bare.includes("://"))) return expected
  if (parsed.pathname !== "/" || parsed.search !== "" || parsed.hash !== "" || parsed.username !== "" || bare.endsWith("/")) {
    return "has more than a host: a target is named by scheme, host and port alone"
  }
  return undefined
}

/** Patterns as one function; a pattern that is none matches nothing. */
export const compile = (patterns: ReadonlyArray<string>): Targets => {
  const valid = patterns.filter((pattern) => targetProblem(pattern) === undefined)
  if (valid.includes("*")) return () => true
  const internal = valid.includes("internal")
  const exact = new Set<string>()
  const suffixes: Array<string> = []
  for (const pattern of valid) {
    if (pattern === "internal") continue
    if (pattern.startsWith("*.")) suffixes.push(`.${withoutDot(new URL(`http://${pattern.slice(2)}`).host)}`)
    else if (pattern.includes("://")) exact.add(new URL(pattern).origin)
    else exact.add(withoutDot(new URL(`http://${pattern}`).host) + (pattern.endsWith(":80") ? ":80" : ""))
  }
  return (url) => {
    const host = withoutDot(url.hostname)
    const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port
    return (internal && isInternal(host)) || exact.has(host) || exact.has(`${host}:${port}`) || exact.has(url.origin) ||
      suffixes.some((suffix) => host.endsWith(suffix) || `${host}:${port}`.endsWith(suffix))
  }
}

const parse = (text: string): URL | undefined => URL.canParse(text) ? new URL(text) : undefined

const withoutDot = (host: string): string => host.endsWith(".") ? host.slice(0, -1) : host

/** Zones that are never delegated (RFC 6761, RFC 6762, ICANN on `.internal`), and the names of a Kubernetes cluster. */
const zones = [".localhost", ".local", ".internal", ".svc", ".home.arpa", ".cluster.local"]

/** A host as the URL parser writes it: numbers of any form have become four decimal ones. */
const isInternal = (host: string): boolean => {
  if (host.startsWith("[")) return host === "[::1]" || /^\[f[cd]/.test(host)
  const four = /^(\d{1,3})\.(\d{1,3})\.\d{1,3}\.\d{1,3}$/.exec(host)
  if (four === null) return !host.includes(".") || zones.some((zone) => host.endsWith(zone))
  const first = Number(four[1])
  const second = Number(four[2])
  // Link-local (169.254) is not among them: a cloud's metadata service lives there.
  return first === 10 || first === 127 || (first === 172 && second >= 16 && second <= 31) || (first === 192 && second === 168)
}
