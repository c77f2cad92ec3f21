import { parseArgs } from "node:util"

export interface Arguments {
  /** Requests to send before the demo ends by itself; Infinity runs until Ctrl-C. */
  readonly requests: number
  /** 0: no traffic of its own. */
  readonly perSecond: number
  /** Stays open after the last request, until Ctrl-C. */
  readonly hold: boolean
  readonly port: number
  /** Whether the port was asked for: then another one is never taken instead. */
  readonly portGiven: boolean
  readonly dir: string
  /** Who is asked for the stock; the supplier of the demo itself when there is none. */
  readonly supplierUrl: string | undefined
  /** Without the warehouse: orders wait in the queue. */
  readonly alone: boolean
  /** Also does what does not happen to a healthy shop. */
  readonly trouble: boolean
}

export const help = `The shop: a small Effect service, observed by Prometheus and PostgreSQL side by side.

  npm start                        run until Ctrl-C, with a live table of rate, errors and duration
  npm start -- --requests 2000     send 2000 requests, show the results, end

While it runs its dashboard is at http://127.0.0.1:3000/observability (the address is printed first).

Options
  --requests N    requests to send, then end (1 or more; default: no end)
  --rate N        requests per second (default: 60, unlimited with --requests); 0 for none: bring your own
  --hold          with --requests: stay open afterwards, until Ctrl-C
  --port N        port of the shop, 0 for a free one (default: 3000, or a free one when that is taken)
  --dir PATH      where the embedded PostgreSQL keeps its data (default: .shop-data); history survives restarts
  --supplier-url URL
                  ask this server for the stock (GET URL/stock/N) instead of the small one that comes along
  --alone         without the warehouse, the second process that packs what was ordered
  --trouble       also what does not happen to a healthy shop: failing statements, a backend that is away, alerts, too little memory
  --help          this text

Environment
  DATABASE_URL    use this PostgreSQL instead of the embedded one: postgres://user:password@host:port/database
  REDIS_URL       use this Redis instead of the one that comes along: redis://host:port
  SHOP_LOG        write the log lines of all processes to this file, as JSON
`

/** Reads the command line; a problem comes back as one line that names the option and the fix. */
export const parse = (argv: ReadonlyArray<string>): Arguments | "help" | { readonly problem: string } => {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        requests: { type: "string" },
        rate: { type: "string" },
        port: { type: "string" },
        dir: { type: "string" },
        "supplier-url": { type: "string" },
        hold: { type: "boolean" },
        alone: { type: "boolean" },
        trouble: { type: "boolean" },
        help: { type: "boolean" }
      }
    })
    if (values.help === true) return "help"
    if (values.rate === "0" && values.requests !== undefined) throw new Error("--rate 0 sends nothing: leave --requests out")
    if (values.trouble === true && values.requests !== undefined) throw new Error("--trouble keeps some traces only, --requests counts them: leave one out")
    const requests = number(values.requests, "--requests", 1, 10_000_000) ?? Infinity
    return {
      requests,
      perSecond: number(values.rate, "--rate", 0, 100_000) ?? (requests === Infinity ? 60 : Infinity),
      port: number(values.port, "--port", 0, 65_535) ?? 3000,
      hold: values.hold ?? false,
      alone: values.alone ?? false,
      trouble: values.trouble ?? false,
      portGiven: values.port !== undefined,
      dir: values.dir ?? ".shop-data",
      supplierUrl: httpUrl(values["supplier-url"], "--supplier-url")
    }
  } catch (error) {
    return { problem: error instanceof Error ? error.message.split("\n")[0]! : String(error) }
  }
}

const number = (text: string | undefined, option: string, least: number, most: number): number | undefined => {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new Error(`${option} must be a whole number from ${least} to ${most}, got ${JSON.stringify(text)}`)
  }
  return value
}

const httpUrl = (text: string | undefined, option: string): string | undefined => {
  if (text === undefined) return undefined
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol) || `${url.username}${url.password}${url.search}${url.hash}` !== "") {
    throw new Error(`${option} must be like http://host:port, without user, query or fragment`)
  }
  return url.href
}
