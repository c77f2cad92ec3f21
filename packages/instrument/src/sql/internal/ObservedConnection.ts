import * as Effect from "effect/Effect"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import { Call, type Observer } from "./Observer.ts"
import type { Rows } from "./methods.ts"

type Params = ReadonlyArray<unknown>

/** A connection that the program has reserved: what runs on it directly is observed as statements are. */
export class ObservedConnection implements Connection {
  private readonly inner: Connection
  private readonly observer: Observer

  constructor(inner: Connection, observer: Observer) {
    this.inner = inner
    this.observer = observer
  }

  /** Statements observe themselves and run on the connection below. */
  static innermost(connection: Connection): Connection {
    return connection instanceof ObservedConnection ? connection.inner : connection
  }

  execute(sql: string, params: Params, transformRows: Rows) {
    return this.run(sql, (text) => text === sql ? this.inner.execute(text, params, transformRows) : this.inner.executeUnprepared(text, params, transformRows))
  }
  executeRaw(sql: string, params: Params) {
    return this.run(sql, (text) => this.inner.executeRaw(text, params))
  }
  executeValues(sql: string, params: Params) {
    return this.run(sql, (text) => text === sql ? this.inner.executeValues(text, params) : this.inner.executeValuesUnprepared(text, params))
  }
  executeValuesUnprepared(sql: string, params: Params) {
    return this.run(sql, (text) => this.inner.executeValuesUnprepared(text, params))
  }
  executeUnprepared(sql: string, params: Params, transformRows: Rows) {
    return this.run(sql, (text) => this.inner.executeUnprepared(text, params, transformRows))
  }
  executeStream(sql: string, params: Params, transformRows: Rows): Stream.Stream<any, SqlError> {
    return Stream.unwrap(Effect.withFiber((fiber) => {
      const call = new Call(this.observer, fiber)
      call.rows = 0
      return Effect.map(Effect.acquireRelease(Effect.succeed(call), (call, exit) => call.end(exit) ?? Effect.void), () =>
        Stream.mapArray(this.inner.executeStream(call.begin(fiber, sql, false), params, transformRows), (some) => {
          call.rows! += some.length
          return some
        }))
    }))
  }

  private run<A>(sql: string, send: (text: string) => Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> {
    return Effect.withFiber((fiber) => {
      const call = new Call(this.observer, fiber)
      return Effect.onExitPrimitive(Effect.suspend(() => send(call.begin(fiber, sql, false))), (exit) => call.end(exit))
    })
  }
}
