import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { signature } from "./sources.ts"

export interface WatchOptions {
  /** How often files are looked at where no event told of a change (network disks, mounted maps). Default 2 seconds. */
  readonly interval?: Duration.Input
  /** How long a file must have been left alone. Default 100 milliseconds. */
  readonly settle?: Duration.Input
}

/** Runs `changed` whenever one of the files did; never ends. */
export const watching = (
  file: string,
  files: () => ReadonlyArray<string>,
  seen: { signature: string },
  changed: Effect.Effect<void>,
  { interval = "2 seconds", settle = "100 millis" }: WatchOptions
): Effect.Effect<never> =>
  Effect.gen(function*() {
    const bell = yield* Queue.sliding<void>(1)
    const fs = yield* Effect.serviceOption(FileSystem.FileSystem)
    if (fs._tag === "Some") {
      // The folder: a file that is replaced by renaming is another file.
      const folder = file.includes("/") ? file.slice(0, Math.max(1, file.lastIndexOf("/"))) : "."
      yield* Effect.forkScoped(Stream.runForEach(fs.value.watch(folder), () => Queue.offer(bell, undefined)).pipe(
        // Without events the interval serves.
        Effect.catchCause(() => Effect.void)
      ))
    }
    const quiet: Effect.Effect<string> = Effect.gen(function*() {
      let before = yield* signature(files())
      // Somebody who writes without end must not keep us from reading for ever.
      for (let i = 0; i < 50; i++) {
        yield* Effect.sleep(settle)
        const now = yield* signature(files())
        if (now === before) break
        before = now
      }
      return before
    })
    const look = Effect.gen(function*() {
      yield* Effect.timeoutOption(Queue.take(bell), interval)
      if ((yield* signature(files())) === seen.signature) return
      const settled = yield* quiet
      if (settled === seen.signature) return
      seen.signature = settled
      yield* changed
      // Another file may have been named now.
      seen.signature = yield* signature(files()).pipe(Effect.map((now) => now.split("\n").length === settled.split("\n").length ? settled : now))
    })
    return yield* Effect.forever(Effect.catchCause(look, () => Effect.void))
  }).pipe(Effect.scoped)
