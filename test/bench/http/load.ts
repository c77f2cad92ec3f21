import autocannon from "autocannon"

// The load of the HTTP bench, in a process of its own: as many requests as these connections can send one after the other.

export const connections = 32

export interface Load {
  readonly requests: number
  readonly perSecond: number
  /** Milliseconds. */
  readonly p99: number
}

export const loadFile: string = import.meta.filename

const drive = async (url: string, seconds: number): Promise<Load> => {
  const times: Array<number> = []
  const instance = autocannon({ url, connections, duration: seconds }, () => {})
  instance.on("response", (_client: unknown, _status: number, _bytes: number, time: number) => void times.push(time))
  const result = await new Promise<autocannon.Result>((resolve) => instance.on("done", resolve))
  if (result.non2xx > 0 || result.errors > 0) throw new Error(`${result.non2xx} answers were not 2xx, ${result.errors} requests failed`)
  times.sort((a, b) => a - b)
  return { requests: times.length, perSecond: times.length / result.duration, p99: times[Math.floor(times.length * 0.99)]! }
}

/** What to send next: to whom, and for how long in seconds. */
export interface Wanted {
  readonly url: string
  readonly seconds: number
}

if (process.send !== undefined && process.argv[2] === "drive") {
  process.on("message", ({ seconds, url }: Wanted) => void drive(url, seconds).then((load) => process.send!(load)))
  process.send("ready")
}
