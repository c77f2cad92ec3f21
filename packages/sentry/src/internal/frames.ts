/** A frame of Sentry's stack trace interface; the oldest call comes first. */
export interface Frame {
  readonly function: string
  readonly filename: string
  readonly lineno?: number
  readonly colno?: number
  readonly in_app: boolean
}

const maxLines = 200
const maxLine = 2_000
const maxFrames = 50

/** V8's stack as frames. Lines that are no frames are left out; of a deep stack the newest calls stay. */
export const framesOf = (stack: string): ReadonlyArray<Frame> => {
  const frames: Array<Frame> = []
  for (const line of stack.split("\n", maxLines)) {
    if (line.length > maxLine) continue
    const frame = frameOf(line.trim())
    if (frame !== undefined && frames.push(frame) === maxFrames) break
  }
  return frames.toReversed()
}

const frameOf = (line: string): Frame | undefined => {
  if (!line.startsWith("at ")) return undefined
  const call = line.slice(3)
  const open = call.endsWith(")") ? call.indexOf(" (") : -1
  const name = open < 0 ? "" : call.slice(0, open)
  const place = open < 0 ? call : call.slice(open + 2, -1)
  const found = /^(.{1,1500}?):(\d{1,9})(?::(\d{1,9}))?$/.exec(place)
  if (found === null) return open < 0 ? undefined : { function: named(name), filename: place, in_app: false }
  const filename = found[1]!.replace(/^async /, "").replace(/^file:\/\//, "")
  return {
    function: named(name),
    filename,
    lineno: Number(found[2]),
    ...(found[3] === undefined ? {} : { colno: Number(found[3]) }),
    in_app: !filename.startsWith("node:") && !filename.includes("/node_modules/") && filename !== "native" && filename !== "<anonymous>"
  }
}

const named = (name: string): string => name.replace(/^async /, "") || "?"

/** Spans are the calls of an Effect program: those that the stack does not show come before its oldest call. */
export const withSpans = (frames: ReadonlyArray<Frame>, spanNames: ReadonlyArray<string>): ReadonlyArray<Frame> => {
  const shown = new Set(frames.map((frame) => frame.function))
  const spans = spanNames.filter((name) => !shown.has(name)).toReversed()
  return [...spans.map((name): Frame => ({ function: name, filename: "span", in_app: true })), ...frames]
}
