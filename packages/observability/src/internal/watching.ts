import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { signature } from "./sources.ts"

export interface WatchOptions {
  /** How often files are looked at where no event told of a change (network disks, mounted maps). Default 2 seconds. */
  readonly interval?: Duration.Input
  /** How long a file must have been left alone. Default 500 milliseconds: what is written in parts is not read half. */
  readonly settle?: Duration.Input
}

/** What was read last. */
export interface Known {
  files: ReadonlyArray<string>
  signature: string
}

/** Runs `changed`, which brings `known` up to date, whenever one of the files did change; never ends. */
export const watching = (
  file: string,
  known: Readonly<Known>,
  changed: Effect.Effect<void>,
  { interval = "2 seconds", settle = "500 millis" }: WatchOptions
): Effect.Effect<never> =>
  Effect.gen(function*() {
    const bell = yield* Queue.sliding<void>(1)
    const fs = yield* Effect.serviceOption(FileSystem.FileSystem)
    if (fs._tag === "Some") {
      // The folder: a file that is replaced by renaming is another file, and a mounted map is exchanged by a link beside it.
      const folder = file.includes("/") ? file.slice(0, Math.max(1, file.lastIndexOf("/"))) : "."
      const listen = Stream.runForEach(fs.value.watch(folder), () => Queue.offer(bell, undefined))
      // Without events the interval serves; a folder that comes back is listened to again.
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.catchCause(listen, () => Effect.void), Effect.sleep(listenAgain))))
    }
    const now = Effect.suspend(() => signature(known.files))
    const quiet: Effect.Effect<string> = Effect.gen(function*() {
      let before = yield* now
      // Somebody who writes without end must not keep us from reading for ever.
      for (let i = 0; i < 50; i++) {
        yield* Effect.sleep(settle)
        const after = yield* now
        if (after === before) break
        before = after
      }
      return before
    })
    const look = Effect.gen(function*() {
      yield* Effect.timeoutOption(Queue.take(bell), interval)
      // A folder in which much else is written must not keep us reading.
      if ((yield* now) === known.signature) return yield* Effect.sleep(pause)
      if ((yield* quiet) === known.signature) return
      yield* changed
    })
    return yield* Effect.forever(Effect.catchCause(look, () => Effect.void))
  }).pipe(Effect.scoped)

const pause = "50 millis"
const listenAgain = "10 seconds"
