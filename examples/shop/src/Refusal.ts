import { Data } from "effect"

/** Something to put right before the shop can open; the message says what. */
export class Refusal extends Data.TaggedError("Refusal")<{ readonly message: string }> {}
