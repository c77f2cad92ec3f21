import { spawnSync } from "node:child_process"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import type { Bench } from "../../../test/bench/Bench.ts"
import * as EmbeddedServer from "../src/embedded/EmbeddedServer.ts"
import { ask, freshNames, targetOf } from "../test/support/database.ts"
import { packAt, samples } from "../test/support/packed.ts"
import { blocksOf } from "./support/promtool.ts"

// Packed bytes of what the demo records (`docs/postgres.md`), against chapter 9's rows and promtool's blocks of the same samples. The
// demo runs for five minutes at one flush a second; DEMO_DIR=<its --dir> takes a longer recording that is already there.

const names = { ...freshNames(), schema: "observability" }

interface Found {
  readonly ours: number
  /** At 240 bytes for each series and flush, as chapter 9's rows were measured (`pg.bytes.packed`). */
  readonly document: number
  readonly blocks: number
}

const rowBytes = 240

const record = (): string => {
  const dir = Fs.mkdtempSync(Path.join(tmpdir(), "obs-demo-"))
  const main = Path.resolve(import.meta.dirname, "../../../examples/shop/src/main.ts")
  const args = ["--conditions=source", main, "--requests", "18000", "--rate", "60", "--port", "0", "--dir", dir]
  const demo = spawnSync(process.execPath, args, { encoding: "utf8" })
  if (demo.status !== 0) throw new Error(`the demo ended with ${demo.status}: ${demo.stderr.slice(-500)}`)
  return dir
}

const measure = (dir: string, promtool: boolean) =>
  Effect.gen(function*() {
    const { url } = yield* EmbeddedServer.start({ dir })
    const target = targetOf(url)
    yield* packAt(target, names, Date.now() + 2 * 86_400_000)
    yield* ask(target, "vacuum observability.obs_metric_pack")
    // Its rows alone: on a day that has only begun, empty partitions would weigh more than they.
    const [bytes] = yield* ask(target, "select (select sum(pg_column_size(p) + 40) from observability.obs_metric_pack p) + (select sum(pg_column_size(s) + 40) from observability.obs_metric_segment s) as n")
    const rows = yield* ask(
      target,
      `select s.id, f.name, f.type, s.labels::text as labels, f.bounds, x.col, array_agg((extract(epoch from x.ts) * 1000)::float8 order by x.ts) as times, array_agg(x.value order by x.ts) as values
        from ${samples("observability")} join observability.obs_series s on s.id = x.series join observability.obs_family f on f.id = s.family
        where value <> 'NaN' group by 1, 2, 3, 4, 5, 6`
    )
    const columns = rows.map((row) => ({
      series: row["id"] as number,
      name: String(row["name"]),
      type: String(row["type"]),
      labels: JSON.parse(String(row["labels"])) as Record<string, string>,
      bounds: row["bounds"] as ReadonlyArray<number>,
      col: Number(row["col"]),
      times: row["times"] as ReadonlyArray<number>,
      values: row["values"] as ReadonlyArray<number>
    }))
    const flushes = columns.filter(({ col }) => col === 0).reduce((sum, column) => sum + column.times.length, 0)
    return { ours: Number(bytes!["n"]), document: flushes * rowBytes, blocks: promtool ? blocksOf(columns) : NaN }
  })

export default (bench: Bench): void => {
  const promtool = spawnSync("promtool", ["--version"]).status === 0
  let found: Found | undefined
  const setup = async (): Promise<void> => {
    if (found !== undefined) return
    const given = process.env["DEMO_DIR"]
    const dir = given ?? record()
    const scope = Effect.runSync(Scope.make())
    try {
      found = await Effect.runPromise(Scope.provide(measure(dir, promtool), scope))
    } finally {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      if (given === undefined) Fs.rmSync(dir, { recursive: true, force: true })
    }
  }
  bench.measure({
    name: "pg.bytes.demo",
    unit: "B",
    setup,
    run: () => found!.ours,
    baseline: { name: "document, a row per series and flush", run: () => found!.document },
    samples: 1,
    must: 1 / 80
  })
  bench.measure({
    name: "pg.bytes.demo.promtool",
    unit: "B",
    setup,
    run: () => found!.ours,
    baseline: promtool
      ? { name: "blocks of promtool tsdb create-blocks-from", run: () => found!.blocks }
      : { name: "promtool is not installed: nothing to compare with", run: () => NaN },
    samples: 1,
    must: 1 / 2
  })
}
