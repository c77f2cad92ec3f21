import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

/** A ClickHouse engine in a process of its own, with an HTTP interface. */
export interface Engine {
  readonly port: number
  /** Without a path. */
  readonly url: string
  /** Runs a statement past everything under test. */
  readonly query: (sql: string) => Promise<string>
  /** So many answers to inserts are lost from now on, after the rows were stored. */
  readonly loseAnswers: (count: number) => Promise<void>
  readonly inserts: () => Promise<ReadonlyArray<{ readonly token: string; readonly bytes: number; readonly encoding: string }>>
  readonly kill: () => Promise<void>
  readonly start: () => Promise<void>
}

const script = fileURLToPath(new URL("./engine.mjs", import.meta.url))

export const startEngine = (options: { readonly password?: string } = {}): Effect.Effect<Engine, never, Scope.Scope> =>
  Effect.map(Effect.acquireRelease(Effect.promise(() => launch(options.password ?? "")), ({ stop }) => Effect.promise(stop)), ({ engine }) => engine)

const launch = async (password: string): Promise<{ readonly engine: Engine; readonly stop: () => Promise<void> }> => {
  const modules = process.env["OUTSIDE_MODULES"]
  if (modules === undefined || !existsSync(join(modules, "node_modules", "chdb"))) {
    throw new Error("the ClickHouse engine is missing: run `npm install chdb@3.4.0` in a folder of its own and name that folder in OUTSIDE_MODULES")
  }
  const directory = mkdtempSync(join(tmpdir(), "obs-clickhouse-"))
  let child: ChildProcess | undefined
  let port = 0
  const start = async () => {
    const fresh = child = spawn(process.execPath, [script, directory, String(port)], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ENGINE_PASSWORD: password }
    })
    let errors = ""
    if (process.env["ENGINE_LOG"]) fresh.once("exit", (code, signal) => console.log("engine ended", code, signal, errors))
    fresh.stderr!.on("data", (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-2_000)
    })
    port = await new Promise<number>((resolve, reject) => {
      fresh.stdout!.on("data", (chunk: Buffer) => {
        const found = /listening (\d+)/.exec(chunk.toString())
        if (found !== null) resolve(Number(found[1]))
      })
      fresh.once("exit", (code) => reject(new Error(`the engine ended with ${code}: ${errors}`)))
    })
  }
  const end = async (signal: "SIGKILL" | "SIGTERM") => {
    const running = child
    child = undefined
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
    const gone = new Promise((resolve) => running.once("exit", resolve))
    running.kill(signal)
    await gone
  }
  await start()
  const url = () => `http://127.0.0.1:${port}`
  const engine: Engine = {
    get port() {
      return port
    },
    get url() {
      return url()
    },
    query: async (sql) => {
      const answer = await fetch(url(), { method: "POST", body: sql, headers: { authorization: `Basic ${Buffer.from(`default:${password}`).toString("base64")}` } })
      const text = await answer.text()
      if (!answer.ok) throw new Error(text)
      return text.trim()
    },
    loseAnswers: async (count) => void await fetch(`${url()}/lose?answers=${count}`),
    inserts: async () => (await fetch(`${url()}/inserts`)).json() as Promise<ReadonlyArray<{ readonly token: string; readonly bytes: number; readonly encoding: string }>>,
    kill: () => end("SIGKILL"),
    start
  }
  return {
    engine,
    stop: async () => {
      await end("SIGKILL")
      rmSync(directory, { recursive: true, force: true })
    }
  }
}
