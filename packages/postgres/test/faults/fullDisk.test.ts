import { assert, describe, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { execFileSync, spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { survives } from "./load.ts"
import { controlledServerIn } from "./support.ts"

/**
 * P08 and P09: the disk under data and log is full, at random moments, and has room again. The disk is a tmpfs that only the
 * processes of this test see: the file runs itself a second time in a mount namespace of its own (Linux; no root needed where
 * user namespaces are allowed).
 */
const disk = process.env["FULL_DISK_DIR"]
const rounds = Number(process.env["FAULT_ROUNDS"] ?? 3)
const seed = Number(process.env["FAULT_SEED"] ?? Date.now() % 1_000_000)
const timeout = Math.max(120_000, rounds * 10_000)

describe("a full disk", () => {
  if (disk === undefined) {
    it("loses nothing and doubles nothing", { timeout }, () => {
      const dir = Fs.mkdtempSync(Path.join(tmpdir(), "full-disk-"))
      try {
        const root = Path.resolve(import.meta.dirname, "../../../..")
        const vitest = [process.execPath, Path.join(root, "node_modules/vitest/vitest.mjs"), "run", import.meta.filename]
        const namespace = process.getuid?.() === 0 ? ["--mount"] : ["--user", "--map-root-user", "--mount"]
        const inside = spawnSync("unshare", [...namespace, "--", ...vitest], {
          cwd: root,
          env: { ...process.env, FULL_DISK_DIR: dir, FAULT_SEED: String(seed) },
          encoding: "utf8"
        })
        assert.strictEqual(inside.status, 0, `${inside.stdout}\n${inside.stderr}\n${inside.error ?? ""}`)
      } finally {
        Fs.rmSync(dir, { recursive: true, force: true })
      }
    })
  } else {
    it.live(`${rounds} times`, () =>
      Effect.gen(function*() {
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=160m", "tmpfs", disk])
        const filler = Path.join(disk, "filler")
        // Little log that is made in advance: it is wanted, and not had, while the disk is full.
        const server = yield* controlledServerIn(Path.join(disk, "server"), { wal_recycle: "off", min_wal_size: "32MB", max_wal_size: "48MB" })
        yield* survives({
          url: server.url,
          direct: server.url,
          seed,
          noticed: /No space left on device/,
          faults: (random, well) =>
            Effect.gen(function*() {
              for (let round = 0; round < rounds; round++) {
                yield* Effect.sleep(Duration.millis(random.between(200, 1_000)))
                yield* Effect.sync(() => fill(filler))
                yield* Effect.sleep(Duration.millis(random.between(1_500, 3_000)))
                // Out of room for its log the server may have given up, or may be unable to come back.
                if (random.below(3) === 0) yield* server.kill9
                yield* Effect.sync(() => Fs.rmSync(filler))
                yield* Effect.sleep("500 millis")
                if (!isAlive(server.pid())) yield* server.kill9
                yield* server.restart
                yield* well
              }
            })
        })
      }).pipe(Effect.tapCause((cause) => Console.error(`again with FAULT_SEED=${seed}`, cause))), timeout)
  }
})

/** Writes until nothing more goes in, down to the last block. */
const fill = (path: string): void => {
  const file = Fs.openSync(path, "w")
  for (let size = 1 << 20; size >= 4_096;) {
    try {
      if (Fs.writeSync(file, Buffer.alloc(size)) < size) size >>= 1
    } catch {
      size >>= 1
    }
  }
  Fs.closeSync(file)
}

const isAlive = (pid: number | undefined): boolean => {
  if (pid === undefined) return false
  try {
    return !/^State:\s+Z/m.test(Fs.readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return false
  }
}
