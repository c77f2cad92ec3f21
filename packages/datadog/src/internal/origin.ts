import { readFileSync, statSync } from "node:fs"

// Container ids as Datadog's clients find them ("Origin detection over UDP", protocol 1.2 and 1.4).

const hostNamespace = 0xeffffffb
const id = /[0-9a-f]{64}|[0-9a-f]{32}-\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g

/** How the files of a system are read; what is missing throws. */
export interface Files {
  readonly text: (path: string) => string
  readonly inode: (path: string) => number
}

const real: Files = { text: (path) => readFileSync(path, "utf8"), inode: (path) => statSync(path).ino }

/** The id of the container this process runs in, or `in-<inode>` of its cgroup; `undefined` outside of one or where it is not told. */
export const detect = (files: Files = real): string | undefined => {
  const text = (path: string) => attempt(() => files.text(path)) ?? ""
  const inode = (path: string) => attempt(() => files.inode(path)) ?? 0
  const cgroup = text("/proc/self/cgroup")
  if (cgroup === "") return undefined
  if (inode("/proc/self/ns/cgroup") === hostNamespace) {
    const found = containerIn(cgroup) ?? containerIn(text("/proc/self/mountinfo"))
    if (found !== undefined) return found
  }
  for (const line of cgroup.split("\n")) {
    const [, controllers, ...path] = line.split(":")
    if (controllers === undefined || path.length === 0) continue
    const controller = controllers === "" ? "" : controllers.split(",").includes("memory") ? "/memory" : undefined
    if (controller === undefined) continue
    const found = inode(`/sys/fs/cgroup${controller}${path.join(":")}`)
    // 1 and 2 are the root of a file system: no container.
    if (found > 2) return `in-${found}`
  }
  return undefined
}

/** The last id of the first line that has one: pod and task ids stand before the container's. */
const containerIn = (text: string): string | undefined => {
  for (const line of text.split("\n")) {
    if (line.includes("sandboxes")) continue
    const found = line.match(id)?.at(-1)
    if (found !== undefined) return found
  }
  return undefined
}

const attempt = <A>(read: () => A): A | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}
