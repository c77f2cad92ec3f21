import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { labelsOf, type Synthetic } from "./synthetic.ts"

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
    const blocks = Path.join(dir, "blocks")
    const made = spawnSync("promtool", ["tsdb", "create-blocks-from", "openmetrics", text, blocks], { encoding: "utf8", maxBuffer: 1 << 28 })
    if (made.status !== 0) throw new Error(`promtool: ${made.stderr.slice(-500)}`)
    return sizeOf(blocks) / samples
  } finally {
    Fs.rmSync(dir, { recursive: true, force: true })
  }
}

const sizeOf = (dir: string): number =>
  Fs.readdirSync(dir, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + Fs.statSync(Path.join(entry.parentPath, entry.name)).size, 0)
