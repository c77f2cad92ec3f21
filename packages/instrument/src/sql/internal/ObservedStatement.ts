import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Option from "effect/Option"
import * as References from "effect/References"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Acquirer, Borrower, Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import * as EffectTracer from "effect/Tracer"
import { ObservedConnection } from "./ObservedConnection.ts"
import { Call, type Observer } from "./Observer.ts"
import { methods, type Method, type Rows } from "./methods.ts"

/** What Effect's statements carry along: enough to run them without the span they would open. */
interface Access {
  readonly acquirer: Acquirer
  readonly borrower: Borrower | undefined
  readonly transformRows: Rows
}

/** A client and how its statements run. */
export interface Wiring {
  readonly observer: Observer
  readonly client: SqlClient
  /** What `Statement.CurrentTransformer` is given. */
  readonly self: () => Statement.Constructor
  /** `undefined` for a client that `SqlClient.make` did not make: its statements are run whole, with Effect's spans switched off. */
  readonly access: Access | undefined
}

type Inner = Statement.Statement<any>
type AnyEffect = Effect.Effect<any, SqlError>

/** `effect/sql` 4.1 keeps these on a statement, undocumented; a client without them is served the other way. */
export const accessOf = (statement: Inner): Access | undefined => {
  const { acquirer, borrower, transformRows } = statement as unknown as { readonly [K in keyof Access]?: unknown }
  const usable = Effect.isEffect(acquirer) && (borrower === undefined || typeof borrower === "function") && (transformRows === undefined || typeof transformRows === "function")
  return usable ? { acquirer, borrower, transformRows } as Access : undefined
}

const Base = function() {} as unknown as new() => Effect.Effect<ReadonlyArray<any>, SqlError>
Base.prototype = Effectable.Prototype<ObservedStatement>({
  label: "ObservedStatement",
  evaluate() {
    return run(this, methods.execute)
  }
})

/** A statement of an observed client: the same in all that it is and does, with one span, ours. */
export class ObservedStatement extends Base implements Statement.Statement<any> {
  readonly segments: ReadonlyArray<Statement.Segment>
  readonly inner: Inner
  readonly wiring: Wiring

  constructor(inner: Inner, wiring: Wiring) {
    super()
    this.segments = inner.segments
    this.inner = inner
    this.wiring = wiring
  }

  /** What tells a fragment from other values (`Statement.isFragment`). */
  get "~effect/sql/Statement/Fragment"(): "~effect/sql/Statement/Fragment" {
    return "~effect/sql/Statement/Fragment"
  }

  compile(withoutTransform?: boolean): readonly [sql: string, params: ReadonlyArray<unknown>] {
    return this.inner.compile(withoutTransform)
  }

  get raw(): Effect.Effect<unknown, SqlError> {
    return run(this, methods.raw)
  }
  get withoutTransform(): AnyEffect {
    return run(this, methods.withoutTransform)
  }
  get values(): AnyEffect {
    return run(this, methods.values)
  }
  get valuesUnprepared(): AnyEffect {
    return run(this, methods.valuesUnprepared)
  }
  get unprepared(): AnyEffect {
    return run(this, methods.unprepared)
  }
  get stream(): Stream.Stream<any, SqlError> {
    return streamed(this)
  }

  override toJSON(): unknown {
    return (this.inner as unknown as { readonly toJSON: () => unknown }).toJSON()
  }
}

/** The exit hook stands before anything is opened: a fiber can be interrupted between any two steps. */
const run = (statement: ObservedStatement, method: Method): AnyEffect =>
  Effect.withFiber((fiber) => {
    const { wiring } = statement
    const call = new Call(wiring.observer, fiber)
    return Effect.onExitPrimitive(
      Effect.withFiber((fiber) => transformed(statement, call, fiber, (final) => execute(wiring, final, method, call, fiber))),
      (exit) => call.end(exit)
    )
  })

type AnyFiber = Parameters<Parameters<typeof Effect.withFiber>[0]>[0]

/** What a `Statement.CurrentTransformer` of the program makes of the statement. */
const transformed = <A, R>(
  statement: ObservedStatement,
  call: Call,
  fiber: AnyFiber,
  then: (final: Inner) => Effect.Effect<A, SqlError, R>
): Effect.Effect<A, SqlError, R> => {
  const transform = fiber.getRef(Statement.CurrentTransformer)
  if (transform === undefined) return then(statement)
  const span = call.open(fiber, "SQL") ?? noSpan
  return Effect.flatMap(transform(statement, statement.wiring.self(), fiber, span), then)
}

const noSpan: EffectTracer.Span = new EffectTracer.NativeSpan({
  name: "SQL",
  parent: Option.none(),
  annotations: Context.empty(),
  links: [],
  startTime: 0n,
  kind: "client",
  sampled: false
})

const execute = (wiring: Wiring, statement: Inner, method: Method, call: Call, fiber: AnyFiber): AnyEffect => {
  const [sql, params] = statement.compile(method.withoutTransform)
  const inTransaction = Context.getOrUndefined(fiber.context, wiring.client.transactionService)
  const text = call.begin(fiber, sql, inTransaction === undefined)
  const { access } = wiring
  if (access === undefined) {
    call.acquired()
    return Effect.provideService(method.whole(innermost(statement)), References.TracerEnabled, false)
  }
  // A text that is sent once is not worth preparing.
  const send = text === sql ? method.run : method.runOnce
  const send1 = (connection: Connection) => {
    call.acquired()
    return send(ObservedConnection.innermost(connection), text, params, access.transformRows)
  }
  const sent = inTransaction !== undefined
    ? send1(inTransaction[0])
    : access.borrower === undefined
    ? Effect.scoped(Effect.flatMap(access.acquirer, send1))
    : access.borrower(send1)
  return asParent(call, fiber, sent)
}

/** Spans of a driver belong to the statement's, if the program wants them. */
const asParent = (call: Call, fiber: AnyFiber, self: AnyEffect): AnyEffect => {
  const span = call.current
  return span !== undefined && fiber.getRef(Statement.SpanPropagationEnabled) ? Effect.provideService(self, EffectTracer.ParentSpan, span) : self
}

const innermost = (statement: Inner): Inner => statement instanceof ObservedStatement ? statement.inner : statement

/** Lasts until the last row was taken, or the reader has had enough. */
const streamed = (statement: ObservedStatement): Stream.Stream<any, SqlError> => {
  const { wiring } = statement
  return Stream.unwrap(Effect.withFiber((fiber) => {
    const call = new Call(wiring.observer, fiber)
    call.rows = 0
    const opened = Effect.acquireRelease(Effect.succeed(call), (call, exit) => call.end(exit) ?? Effect.void)
    return Effect.flatMap(opened, () => transformed(statement, call, fiber, (final) => open(wiring, final, call, fiber)))
  }))
}

const open = (wiring: Wiring, statement: Inner, call: Call, fiber: AnyFiber) => {
  const [sql, params] = statement.compile()
  const inTransaction = Context.getOrUndefined(fiber.context, wiring.client.transactionService)
  const text = call.begin(fiber, sql, inTransaction === undefined)
  const counted = (rows: Stream.Stream<any, SqlError>) =>
    Stream.mapArray(rows, (some) => {
      call.rows! += some.length
      return some
    })
  const { access } = wiring
  if (access === undefined) {
    call.acquired()
    return Effect.succeed(Stream.provideService(counted(innermost(statement).stream), References.TracerEnabled, false))
  }
  return Effect.map(inTransaction === undefined ? access.acquirer : Effect.succeed(inTransaction[0]), (connection) => {
    call.acquired()
    const rows = counted(ObservedConnection.innermost(connection).executeStream(text, params, access.transformRows))
    const span = call.current
    return span !== undefined && fiber.getRef(Statement.SpanPropagationEnabled) ? Stream.provideService(rows, EffectTracer.ParentSpan, span) : rows
  })
}
