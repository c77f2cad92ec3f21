import * as Fs from "node:fs"
import * as Path from "node:path"
import { messageOf } from "./EmbeddedServerError.ts"

/** What `postmaster.pid` says (its lines: pid, data directory, start, port, socket folder, address, shared memory, status). */
export interface PidFile {
  readonly pid: number
  readonly port: number
  readonly status: string
}

const pathIn = (data: string): string => Path.join(data, "postmaster.pid")

const readText = (path: string): string | undefined => {
  try {
    return Fs.readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}

const parse = (text: string): PidFile => {
  const lines = text.split("\n")
  // A server in single-user mode writes its pid negated.
  return { pid: Math.abs(Number.parseInt(lines[0] ?? "", 10)), port: Number(lines[3]), status: (lines[7] ?? "").trim() }
}

export const read = (data: string): PidFile | undefined => {
  const text = readText(pathIn(data))
  return text === undefined ? undefined : parse(text)
}

/** The server that uses the data directory. A file left by a dead one is no obstacle, even if its pid lives on elsewhere. */
export const holder = (data: string): { readonly pid: number; readonly stopping: boolean } | undefined => {
  const text = readText(pathIn(data))
  if (text === undefined) return undefined
  const { pid, status } = parse(text)
  if (!Number.isInteger(pid) || !alive(pid)) return undefined
  if (isServerOf(pid, data)) return { pid, stopping: status === "stopping" }
  // PostgreSQL itself would take any live process for the owner, so the file has to go, unless it has changed hands meanwhile.
  if (readText(pathIn(data)) === text) Fs.rmSync(pathIn(data), { force: true })
  return undefined
}

export const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return messageOf(cause).includes("EPERM")
  }
}

/** On Linux `/proc` tells; elsewhere, and where it may not be read, a live process is taken at its word. */
const isServerOf = (pid: number, data: string): boolean => {
  const program = readText(`/proc/${pid}/comm`)
  if (program === undefined) return process.platform !== "linux" || alive(pid)
  if (program.trim() !== "postgres") return false
  try {
    return Fs.readlinkSync(`/proc/${pid}/cwd`) === Fs.realpathSync(data)
  } catch {
    return true
  }
}
