import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { labelsOf, type Synthetic } from "./synthetic.ts"

/** The samples of one column of one series, as the store numbers its columns (migration 0002): increases, not totals. */
export interface SeriesColumn {
  readonly series: number
  readonly name: string
  readonly type: string
  readonly labels: Readonly<Record<string, string>>
  readonly bounds: ReadonlyArray<number>
  readonly col: number
  readonly times: ReadonlyArray<number>
  readonly values: ReadonlyArray<number>
}

/** Bytes of the TSDB blocks of these columns: counters and histograms as running totals, every bucket with its `le`. */
export const blocksOf = (columns: ReadonlyArray<SeriesColumn>): number => {
  let text = ""
  for (const [name, all] of Map.groupBy(columns, (column) => column.name)) {
    const type = all[0]!.type === "upDownCounter" ? "gauge" : all[0]!.type
    text += `# TYPE ${type === "counter" ? name.replace(/_total$/, "") : name} ${type}\n`
    for (const parts of Map.groupBy(all, (column) => column.series).values()) text += linesOf(type, parts)
  }
  return inBlocks(`${text}# EOF\n`)
}

const linesOf = (type: string, parts: ReadonlyArray<SeriesColumn>): string => {
  const main = parts.find(({ col }) => col === 0)!
  const line = (suffix: string, more: Readonly<Record<string, string>>, values: ReadonlyArray<number>) => {
    const labels = Object.entries({ ...main.labels, ...more }).map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(",")
    return main.times.map((time, i) => `${main.name}${suffix}{${labels}} ${values[i]} ${time / 1_000}\n`).join("")
  }
  const running = (values: ReadonlyArray<number>) => {
    let total = 0
    return values.map((value) => (total += value))
  }
  if (type === "gauge") return line("", {}, main.values)
  if (type === "counter") return line("", {}, running(main.values))
  if (type !== "histogram") return ""
  // Running over time, and over the buckets.
  const counts = main.times.map(() => 0)
  let text = ""
  for (let i = 0; i <= main.bounds.length; i++) {
    const bucket = parts.find(({ col }) => col === 16 + i)
    const at = new Map(bucket?.times.map((time, k) => [time, bucket.values[k]!]))
    main.times.forEach((time, k) => void (counts[k]! += at.get(time) ?? 0))
    text += line("_bucket", { le: i === main.bounds.length ? "+Inf" : String(main.bounds[i]) }, running(counts))
  }
  return text + line("_count", {}, running(counts)) + line("_sum", {}, running(main.values))
}

const inBlocks = (text: string): number => {
  const dir = Fs.mkdtempSync(Path.join(tmpdir(), "obs-promtool-"))
  try {
    Fs.writeFileSync(Path.join(dir, "samples.txt"), text)
    return create(Path.join(dir, "samples.txt"), Path.join(dir, "blocks"))
  } finally {
    Fs.rmSync(dir, { recursive: true, force: true })
  }
}

const create = (text: string, blocks: string): number => {
  const made = spawnSync("promtool", ["tsdb", "create-blocks-from", "openmetrics", text, blocks], { encoding: "utf8", maxBuffer: 1 << 28 })
  if (made.status !== 0) throw new Error(`promtool: ${made.stderr.slice(-500)}`)
  return sizeOf(blocks)
}

/** Bytes per sample of the TSDB blocks that promtool makes of the same samples (counters as their running totals). */
export const blockBytes = (synthetic: Synthetic, start: number, step: number, frames: number, samples: number): number => {
  const dir = Fs.mkdtempSync(Path.join(tmpdir(), "obs-promtool-"))
  try {
    const all = [...synthetic.counters, ...synthetic.gauges]
    const columns = all.map(() => new Float64Array(frames))
    for (let i = 0; i < frames; i++) {
      const frame = synthetic.frame(start + (i + 1) * step, step)
      const values = [...frame.counters.values, ...frame.gauges.values]
      values.forEach((value, j) => {
        columns[j]![i] = j < synthetic.counters.length ? value + (i === 0 ? 0 : columns[j]![i - 1]!) : value
      })
    }
    const text = Path.join(dir, "samples.txt")
    const out = Fs.openSync(text, "w")
    const byName = Map.groupBy(all.map((one, j) => ({ one, j })), ({ one }) => one.definition.name)
    for (const [name, members] of byName) {
      const type = members[0]!.one.definition.type
      Fs.writeSync(out, `# TYPE ${type === "counter" ? name.replace(/_total$/, "") : name} ${type}\n`)
      for (const { j, one } of members) {
        const labels = Object.entries(labelsOf(one)).map(([key, value]) => `${key}="${value}"`).join(",")
        let lines = ""
        for (let i = 0; i < frames; i++) lines += `${name}{${labels}} ${columns[j]![i]} ${(start + (i + 1) * step) / 1_000}\n`
        Fs.writeSync(out, lines)
      }
    }
    Fs.writeSync(out, "# EOF\n")
    Fs.closeSync(out)
    return create(text, Path.join(dir, "blocks")) / samples
  } finally {
    Fs.rmSync(dir, { recursive: true, force: true })
  }
}

const sizeOf = (dir: string): number =>
  Fs.readdirSync(dir, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + Fs.statSync(Path.join(entry.parentPath, entry.name)).size, 0)
