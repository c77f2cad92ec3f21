import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** Longest turn; a piece begun before its end is finished. */
const turnNanos = 2_000_000n
/** Most characters of a chunk: about what a socket takes at once. */
const chunkLength = 64 * 1024

/** Text made in short turns, each when the reader wants it; the event loop runs between them. Pieces should take well under a millisecond. */
export const paced = (pieces: Iterable<string>): Stream.Stream<string> =>
  Stream.suspend(() => {
    const iterator = pieces[Symbol.iterator]()
    const turn = Effect.map(Clock.Clock, (clock): readonly [string, boolean] | undefined => {
      const end = clock.monotonicTimeNanosUnsafe() + turnNanos
      let text = ""
      do {
        const next = iterator.next()
        if (next.done === true) break
        text += next.value
      } while (text.length < chunkLength && clock.monotonicTimeNanosUnsafe() < end)
      return text === "" ? undefined : [text, false]
    })
    return Stream.unfold(true, (first: boolean) => first ? turn : Effect.andThen(Effect.yieldNow, turn))
  })
