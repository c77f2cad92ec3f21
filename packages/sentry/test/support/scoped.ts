import { Effect } from "effect"
import { startReceiver } from "./receiver.ts"

export const receiver = Effect.acquireRelease(Effect.promise(startReceiver), (one) => Effect.promise(one.stop))
