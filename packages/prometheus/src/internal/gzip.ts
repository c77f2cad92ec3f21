import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { constants, createGzip, type Gzip } from "node:zlib"

/** Pages below this are sent as they are: the saving is not worth the work. */
const smallest = 1024

/**
 * A body compressed by gzip, chunk by chunk on Node's own threads: nothing is read before what came before it is compressed, and
 * nothing piles up. Level 1: a page is repetitive, higher levels cost three times as much for a tenth less.
 */
export const gzipped = (body: Stream.Stream<Uint8Array>): Stream.Stream<Uint8Array> =>
  Stream.unwrap(Effect.map(
    Effect.acquireRelease(Effect.sync(() => new Compressor()), (gzip) => Effect.sync(() => gzip.close())),
    (gzip) =>
      Stream.concat(Stream.mapEffect(body, (chunk) => gzip.write(chunk)), Stream.fromEffect(gzip.end)).pipe(
        Stream.filter((chunk) => chunk.length > 0)
      )
  ))

class Compressor {
  private readonly gzip: Gzip = createGzip({ level: constants.Z_BEST_SPEED })
  private out: Array<Buffer> = []

  constructor() {
    this.gzip.on("data", (chunk: Buffer) => this.out.push(chunk))
    // A closed stream may still report it; who waits learns by its callback.
    this.gzip.on("error", () => {})
  }

  /** Compresses a chunk and gives what is ready so far, which may be nothing. */
  write(chunk: Uint8Array): Effect.Effect<Uint8Array> {
    return Effect.callback<Uint8Array>((resume) => {
      this.gzip.write(chunk, (error) => resume(error ? Effect.die(error) : Effect.succeed(this.take())))
    })
  }

  /** The rest. */
  readonly end: Effect.Effect<Uint8Array> = Effect.callback<Uint8Array>((resume) => {
    this.gzip.once("end", () => resume(Effect.succeed(this.take())))
    this.gzip.once("error", (error) => resume(Effect.die(error)))
    this.gzip.end()
  })

  close(): void {
    this.gzip.destroy()
  }

  private take(): Uint8Array {
    const { out } = this
    this.out = []
    return out.length === 1 ? out[0]! : Buffer.concat(out)
  }
}

/** Whether a body is worth compressing, judged by its first chunk. */
export const isWorthIt = (first: Uint8Array | undefined): boolean => first !== undefined && first.length >= smallest
