import type { Found, Operation } from "./RemoteCache.ts"

const single: ReadonlySet<string> = new Set(["GET", "GETEX", "GETDEL", "HGET", "JSON.GET", "LINDEX"])
const several: ReadonlySet<string> = new Set(["MGET", "HMGET", "JSON.MGET"])
const maxCommands = 100

/** What Redis commands are called, and what their answers say; bounded, as commands may be made from what callers send. */
export class RedisCommands {
  private readonly attributes: Operation["attributes"]
  private readonly known = new Map<string, Operation>()

  constructor(attributes: Operation["attributes"]) {
    this.attributes = attributes
  }

  /** The operation of a command; `_OTHER` for what is no command, or beyond the first hundred. */
  of(command: unknown): Operation {
    const given = String(command)
    const known = this.known.get(given)
    if (known !== undefined) return known
    const upper = given.toUpperCase()
    const name = /^[A-Z][A-Z0-9._]{0,31}$/.test(upper) && this.known.size < maxCommands ? upper : "_OTHER"
    const operation = this.operation(name, this.attributes)
    if (name !== "_OTHER") this.known.set(given, operation)
    return operation
  }

  /** Several commands that go out together. */
  batch(kind: "MULTI" | "PIPELINE", commands: ReadonlyArray<unknown>): Operation {
    return {
      ...this.operation(kind, [...this.attributes, ["db.operation.batch.size", commands.length]]),
      found: (answers) => {
        if (!Array.isArray(answers)) return undefined
        const all = answers.map((answer, i) => foundBy(String(commands[i]).toUpperCase())?.(answer)).filter((found) => found !== undefined)
        return all.length === 0 ? undefined : { hits: all.reduce((sum, { hits }) => sum + hits, 0), misses: all.reduce((sum, { misses }) => sum + misses, 0) }
      }
    }
  }

  private operation(name: string, attributes: Operation["attributes"]): Operation {
    // OpenTelemetry semantic conventions, Redis: keys and values stay out of the span's name, and out of the span.
    return { label: name === "_OTHER" ? name : name.toLowerCase(), spanName: name, attributes: [["db.system.name", "redis"], ["db.operation.name", name], ...attributes], found: foundBy(name) }
  }
}

const foundBy = (name: string): ((answer: unknown) => Found | undefined) | undefined => {
  if (single.has(name)) return one
  if (several.has(name)) return many
  return name === "HGETALL" ? whole : undefined
}

const one = (answer: unknown): Found => answer === null || answer === undefined ? { hits: 0, misses: 1 } : { hits: 1, misses: 0 }

const many = (answer: unknown): Found | undefined => {
  if (!Array.isArray(answer)) return undefined
  const hits = answer.filter((value) => value !== null && value !== undefined).length
  return { hits, misses: answer.length - hits }
}

/** A hash that is not there comes back empty. */
const whole = (answer: unknown): Found | undefined => {
  if (typeof answer !== "object" || answer === null) return undefined
  const size = Array.isArray(answer) ? answer.length : answer instanceof Map ? answer.size : Object.keys(answer).length
  return size === 0 ? { hits: 0, misses: 1 } : { hits: 1, misses: 0 }
}
