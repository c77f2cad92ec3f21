import * as Context from "effect/Context"
import * as Result from "effect/Result"

/** Why a successful value counts as an error: `type` becomes `error.type`, `message` the status message (default: the type). */
export interface ErrorVerdict {
  /** Of low cardinality: a status, a class, a code. */
  readonly type: string
  readonly message?: string
}

/** Judges the value with which a span's effect succeeds; `undefined` means that all is well. What it throws counts as well. */
export type Classify = (value: unknown) => ErrorVerdict | undefined

/** The judge of a span, among its annotations. */
export const Classify: Context.Reference<Classify | undefined> = Context.Reference<Classify | undefined>(
  "@effect-observability/core/Classify",
  { defaultValue: () => undefined }
)

/**
 * Span options that make some successful values errors of the span, for `Effect.withSpan` as well as for ours.
 *
 * @example
 * ```ts
 * callPartner(order).pipe(
 *   Effect.withSpan("partner", Spans.classify((answer: Answer) => answer.code === 0 ? undefined : { type: `code_${answer.code}` }))
 * )
 * ```
 */
export const classify = <A>(judge: (value: A) => ErrorVerdict | undefined): { readonly annotations: Context.Context<never> } => ({
  annotations: Context.make(Classify, judge as Classify)
})

/** A success whose value is a `Result.fail` is an error: its type is the failure's tag. */
export const failedResults = classify((value: unknown): ErrorVerdict | undefined => {
  if (!Result.isResult(value) || Result.isSuccess(value)) return undefined
  const { failure } = value
  const tag = typeof failure === "object" && failure !== null && "_tag" in failure ? failure._tag : undefined
  return { type: typeof tag === "string" ? tag : "failure", ...(failure instanceof Error ? { message: failure.message } : {}) }
})
