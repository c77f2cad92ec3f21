import { type ChildProcess, spawn } from "node:child_process"
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

// Debian's message brokers as children of a test: each on a free port of 127.0.0.1 with a directory of its own, stopped by the id that started it,
// and started again with the same port and data.

/**
 * A port nobody listens on, below those the system hands out by itself: a broker takes seconds to start, and by then somebody else may have been
 * given one of those.
 */
export const freePort = async (): Promise<number> => {
  for (;;) {
    const port = 18_000 + Math.floor(Math.random() * 14_000)
    const isFree = await new Promise<boolean>((resolve) => {
      const server = createServer().once("error", () => resolve(false)).listen(port, "127.0.0.1", () => server.close(() => resolve(true)))
    })
    if (isFree) return port
  }
}

const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

/** Waits until somebody listens; stops waiting when the process that should has ended. */
const listening = async (port: number, child: ChildProcess, what: string): Promise<void> => {
  for (let i = 0; i < 600; i++) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${what} ended before it listened: ${output.get(child)?.() ?? ""}`)
    if (await isOpen(port)) {
      // Whoever answers is ours only if ours is still there when it should have failed to bind.
      await pause(300)
      if (child.exitCode === null && child.signalCode === null) return
    } else await pause(100)
  }
  throw new Error(`${what} did not listen within a minute: ${output.get(child)?.() ?? ""}`)
}

const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => (socket.destroy(), resolve(true)))
    socket.once("error", () => resolve(false))
  })

/** The leader of a process group may be gone before those who hold its port. */
const silent = async (port: number): Promise<void> => {
  for (let i = 0; i < 100 && await isOpen(port); i++) await pause(50)
}

const output = new WeakMap<ChildProcess, () => string>()

/** As nobody when the test runs as root: brokers refuse root or should not have it. In a process group of its own, to be stopped as one. */
const start = (program: string, args: ReadonlyArray<string>, dir: string, env: Record<string, string> = {}): ChildProcess => {
  const child = spawn(program, args, {
    cwd: dir,
    detached: true,
    env: { PATH: process.env["PATH"], HOME: dir, LANG: "C.UTF-8", ...env },
    stdio: ["ignore", "pipe", "pipe"],
    ...(process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {})
  })
  let text = ""
  const keep = (chunk: Buffer) => void (text = (text + chunk.toString()).slice(-4_000))
  child.stdout!.on("data", keep)
  child.stderr!.on("data", keep)
  child.once("error", (error) => keep(Buffer.from(String(error))))
  output.set(child, () => text)
  running.add(child)
  child.once("exit", () => running.delete(child))
  return child
}

const nobody = 65_534

/** They are in groups of their own and would survive a test run that ends early. */
const running = new Set<ChildProcess>()
process.once("exit", () => {
  for (const { pid } of running) if (pid !== undefined) process.kill(-pid, "SIGKILL")
})

const stop = async (child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): Promise<void> => {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once("exit", resolve))
  process.kill(-child.pid, signal)
  await ended
}

const directory = (): string => {
  const dir = mkdtempSync(join(tmpdir(), "obs-broker-"))
  chmodSync(dir, 0o700)
  if (process.getuid?.() === 0) chownSync(dir, nobody, nobody)
  return dir
}

const needs = (path: string, debian: string): string => {
  if (!existsSync(path)) throw new Error(`${path} is missing: apt-get install ${debian}`)
  return path
}

/** A broker that can be stopped as by a crash, and started again. */
export interface Broker {
  readonly port: number
  readonly kill: () => Promise<void>
  readonly restart: () => Promise<void>
  readonly dispose: () => Promise<void>
}

const broker = async (dir: string, port: number, what: string, launch: () => ChildProcess, after: () => Promise<void> = async () => {}): Promise<Broker> => {
  let child = launch()
  const dispose = async () => {
    await stop(child, "SIGKILL")
    await after()
    rmSync(dir, { recursive: true, force: true })
  }
  try {
    await listening(port, child, what)
  } catch (error) {
    await dispose()
    throw error
  }
  return {
    port,
    dispose,
    kill: async () => {
      await stop(child, "SIGKILL")
      await silent(port)
    },
    restart: async () => {
      child = launch()
      await listening(port, child, what)
    }
  }
}

/** RabbitMQ with a port mapper of its own, which would outlive it. */
export const startRabbitMq = async (): Promise<Broker> => {
  const program = needs("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")
  const dir = directory()
  const [port, mapper, distribution] = [await freePort(), await freePort(), await freePort()]
  const file = (name: string, text: string) => {
    writeFileSync(join(dir, name), text, { mode: 0o644 })
    return join(dir, name)
  }
  const env = {
    ERL_EPMD_ADDRESS: "127.0.0.1",
    ERL_EPMD_PORT: String(mapper),
    RABBITMQ_NODENAME: `t${port}@localhost`,
    RABBITMQ_DIST_PORT: String(distribution),
    RABBITMQ_MNESIA_BASE: join(dir, "mnesia"),
    RABBITMQ_LOG_BASE: join(dir, "log"),
    RABBITMQ_CONFIG_FILE: file("rabbitmq.conf", `listeners.tcp.1 = 127.0.0.1:${port}\ndisk_free_limit.absolute = 1MB\n`),
    RABBITMQ_ENABLED_PLUGINS_FILE: file("enabled_plugins", "[].\n"),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1}"
  }
  for (const name of ["mnesia", "log"]) {
    mkdirSync(join(dir, name))
    if (process.getuid?.() === 0) chownSync(join(dir, name), nobody, nobody)
  }
  const epmd = start(needs("/usr/bin/epmd", "erlang-base"), ["-address", "127.0.0.1", "-port", String(mapper)], dir)
  await listening(mapper, epmd, "epmd")
  return broker(dir, port, "rabbitmq-server", () => start(program, [], dir, env), () => stop(epmd, "SIGTERM"))
}

/** NATS with JetStream. */
export const startNats = async (): Promise<Broker> => {
  const program = needs("/usr/sbin/nats-server", "nats-server")
  const dir = directory()
  const port = await freePort()
  return broker(dir, port, "nats-server", () => start(program, ["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", join(dir, "jetstream")], dir))
}

/** A cluster that speaks Kafka's protocol and forgets everything when it ends; every start has a port of its own. */
export interface KafkaCluster {
  readonly port: () => number
  readonly kill: () => Promise<void>
  readonly restart: () => Promise<void>
  readonly dispose: () => Promise<void>
}

/** librdkafka's mock cluster, in Debian's kcat. */
export const startKafka = async (): Promise<KafkaCluster> => {
  const program = needs("/usr/bin/kcat", "kafkacat")
  const dir = directory()
  const launch = async () => {
    const child = start(program, ["-X", "test.mock.num.brokers=1", "-b", "127.0.0.1:1", "-C", "-t", "unused"], dir)
    for (let i = 0; i < 100; i++) {
      const found = /127\.0\.0\.1:(\d{4,5})/.exec(output.get(child)!().replaceAll("127.0.0.1:1 ", ""))
      if (found !== null) {
        await listening(Number(found[1]), child, "kcat")
        return { child, port: Number(found[1]) }
      }
      await pause(50)
    }
    await stop(child, "SIGKILL")
    throw new Error(`kcat printed no address: ${output.get(child)!()}`)
  }
  let running = await launch()
  return {
    port: () => running.port,
    kill: async () => {
      await stop(running.child, "SIGKILL")
      await silent(running.port)
    },
    restart: async () => void (running = await launch()),
    dispose: async () => {
      await stop(running.child, "SIGKILL")
      rmSync(dir, { recursive: true, force: true })
    }
  }
}
