import type * as Duration from "effect/Duration"

/** What a receiver made of one request. */
export type Verdict =
  | { readonly _tag: "Accepted"; readonly rejected: number; readonly message: string }
  /** It asked to be tried again. */
  | { readonly _tag: "Later"; readonly message: string; readonly retryAfter: Duration.Duration | undefined }
  /** It failed, and does not say whether the items or itself are to blame. */
  | { readonly _tag: "Ill"; readonly message: string; readonly reason: string }
  | { readonly _tag: "Refused"; readonly message: string; readonly reason: string; readonly divisible: boolean }

/** How much of an answer is read: all that OTLP has to say fits in a line. */
export const maxReplyBytes = 64 * 1024
