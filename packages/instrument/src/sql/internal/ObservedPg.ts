import * as Exit from "effect/Exit"
import type { Calling } from "../../internal/Calling.ts"
import type { PgPool } from "../PgPoolInstrumentation.ts"
import { Call, type Observer } from "./Observer.ts"

type Callback = (error: unknown, ...results: Array<any>) => unknown
type AnyFunction = (...args: Array<any>) => any
interface Client {
  readonly query: AnyFunction
}

const observed = new WeakSet<object>()

/** Views of pools and clients: proxies, so that the objects below stay as they are and nothing is measured twice. */
export class ObservedPg {
  private readonly observer: Observer
  private readonly calling: Calling
  private readonly clients = new WeakMap<object, object>()

  constructor(observer: Observer, calling: Calling) {
    this.observer = observer
    this.calling = calling
  }

  static isObserved(value: object): boolean {
    return observed.has(value)
  }

  pool<P extends PgPool>(pool: P): P {
    const measured = this.query((call, args) => {
      // `Pool.query` asks for its connection through `this.connect`: the wait is measured there, the query itself here.
      const receiver = Object.create(pool, {
        connect: {
          value: (given: Callback) =>
            pool.connect((error: unknown, ...rest: Array<unknown>) => {
              if (!error) call.acquired()
              return given(error, ...rest)
            })
        }
      }) as P
      return receiver.query(...args)
    }, true)
    return this.view(pool, { query: measured, connect: this.connect(pool) })
  }

  private connect(pool: PgPool): AnyFunction {
    return (given?: Callback) => {
      const call = this.begin()
      const done = (): void => call.acquiredOutside()
      if (typeof given === "function") {
        return pool.connect((error: unknown, client?: Client, release?: unknown) => {
          if (!error) done()
          return given(error, client === undefined ? undefined : this.client(client), release)
        })
      }
      return pool.connect().then((client: Client) => {
        done()
        return this.client(client)
      })
    }
  }

  private client<C extends Client>(client: C): C {
    const known = this.clients.get(client) as C | undefined
    if (known !== undefined) return known
    const view = this.view(client, { query: this.query((_, args) => client.query(...args), false) })
    this.clients.set(client, view)
    return view
  }

  /** `query(text, values?, callback?)`, `query(config, values?, callback?)`, `query(submittable)` */
  private query(send: (call: Call, args: Array<any>) => any, pooled: boolean): AnyFunction {
    return (...args: Array<any>) => {
      const text = textOf(args[0])
      // What is wrong with the call is for `pg` to say.
      if (text === undefined) return send(this.begin(), args)
      const call = this.begin()
      const sent = this.calling.within((fiber) => call.begin(fiber, text, pooled))
      if (sent !== text) args = [withText(args[0], sent), ...args.slice(1)]
      return this.follow(call, args, () => send(call, args))
    }
  }

  /** Ends the call when the answer is there, in whichever way it comes. */
  private follow(call: Call, args: Array<any>, send: () => any): any {
    const end = (error: unknown, result?: unknown): void => this.finish(call, error ? Exit.fail(error) : Exit.succeed(result))
    const at = args.findLastIndex((one) => typeof one === "function")
    const { callback } = (args[0] ?? {}) as { readonly callback?: unknown }
    if (at > 0) {
      const given = args[at] as Callback
      args[at] = (error: unknown, ...rest: Array<unknown>) => {
        end(error, rest[0])
        return given(error, ...rest)
      }
    } else if (typeof callback === "function" && typeof args[0].submit !== "function") {
      args[0] = {
        ...args[0],
        callback: (error: unknown, ...rest: Array<unknown>) => {
          end(error, rest[0])
          return callback(error, ...rest)
        }
      }
    }
    const waiting = at <= 0 && typeof callback !== "function"
    let answer: any
    try {
      answer = send()
    } catch (error) {
      end(error)
      throw error
    }
    if (!waiting) return answer
    if (typeof answer?.then === "function") {
      return answer.then(
        (result: unknown) => {
          end(undefined, result)
          return result
        },
        (error: unknown) => {
          end(error ?? new Error("the query failed without an error"))
          throw error
        }
      )
    }
    if (typeof answer?.once === "function") {
      // A cursor or a query stream: it lasts until it was read, or was left.
      for (const event of ["end", "close"]) answer.once(event, () => end(undefined))
      answer.once("error", (error: unknown) => end(error))
    } else end(undefined)
    return answer
  }

  private readonly finished = new WeakSet<Call>()

  private finish(call: Call, exit: Exit.Exit<unknown, unknown>): void {
    if (this.finished.has(call)) return
    this.finished.add(call)
    if (exit._tag === "Success") call.rows = rowsOf(exit.value)
    const line = call.end(exit)
    if (line !== undefined) this.calling.run(line)
  }

  private begin(): Call {
    return this.calling.within((fiber) => new Call(this.observer, fiber))
  }

  /** All that is not replaced is the object's own, called on itself. */
  private view<T extends object>(target: T, replaced: Readonly<Record<string, AnyFunction>>): T {
    const bound = new Map<string | symbol, readonly [from: AnyFunction, to: AnyFunction]>()
    const proxy = new Proxy(target, {
      get: (_, name) => {
        if (typeof name === "string" && Object.hasOwn(replaced, name)) return replaced[name]
        const value = Reflect.get(target, name, target)
        if (typeof value !== "function" || name === "constructor") return value
        const known = bound.get(name)
        if (known !== undefined && known[0] === value) return known[1]
        const to = (...args: Array<any>) => {
          const result = (value as AnyFunction).apply(target, args)
          return result === target ? proxy : result
        }
        bound.set(name, [value as AnyFunction, to])
        return to
      },
      set: (_, name, value) => Reflect.set(target, name, value, target)
    })
    observed.add(proxy)
    return proxy
  }
}

/** One result, or one for each statement of a text that has several. */
const rowsOf = (result: any): number | undefined =>
  Array.isArray(result) ? result.reduce((sum: number, one) => sum + (rowsOf(one) ?? 0), 0) : Array.isArray(result?.rows) ? result.rows.length : undefined

/** `Submittable`s (cursors, query streams) keep theirs in `text` or in the cursor inside. */
const textOf = (query: any): string | undefined => {
  if (typeof query === "string") return query
  if (typeof query !== "object" || query === null) return undefined
  const text = query.text ?? query.cursor?.text
  return typeof text === "string" ? text : undefined
}

/** A prepared statement keeps the text it was prepared with, and a submittable its own. */
const withText = (query: any, text: string): any =>
  typeof query === "string" ? text : typeof query.submit === "function" || query.name !== undefined ? query : { ...query, text }
