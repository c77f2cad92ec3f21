import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** The demo as a child process, the way `npm start` runs it. */
export class Shop {
  readonly dir = mkdtempSync(join(tmpdir(), "obs-shop-"))
  output = ""
  private readonly child: ChildProcess
  private readonly ended: Promise<number | null>

  constructor(options: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) {
    this.child = spawn(
      process.execPath,
      ["--conditions=source", "examples/shop/src/main.ts", "--port", "0", "--dir", join(this.dir, "data"), ...options],
      { cwd: root, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] }
    )
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.output += text
      })
    }
    this.ended = new Promise((resolve) => this.child.once("close", resolve))
  }

  /** Waits until the output matches. */
  async until(pattern: RegExp, seconds = 60): Promise<RegExpExecArray> {
    const end = Date.now() + seconds * 1000
    for (;;) {
      const found = pattern.exec(this.output)
      if (found !== null) return found
      if (Date.now() > end || this.child.exitCode !== null) throw new Error(`waited for ${pattern} in:\n${this.output}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  async url(): Promise<string> {
    return (await this.until(/shop +(http:\/\/127\.0\.0\.1:\d+)\//))[1]!
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name)
  }

  exit(): Promise<number | null> {
    return this.ended
  }

  async dispose(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGTERM")
    await this.ended
    rmSync(this.dir, { recursive: true, force: true })
  }
}
