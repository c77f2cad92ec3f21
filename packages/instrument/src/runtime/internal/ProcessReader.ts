import type { MetricsRecorder } from "@effect-observability/core"
import * as process from "node:process"
import * as v8 from "node:v8"
import { otel, standard, type Statistic, statistics, Uptime } from "./definitions.ts"
import type { LoopDelay, LoopFigures } from "./LoopDelay.ts"

/** Reads the process and writes what it finds under the names that were asked for. */
export class ProcessReader {
  private readonly recorder: MetricsRecorder["Service"]
  private readonly writesStandard: boolean
  private readonly writesOtel: boolean
  private readonly loop: LoopDelay
  private userSeconds = 0
  private systemSeconds = 0
  private activeSeconds = 0
  private idleSeconds = 0
  /** When the process began, in seconds since the epoch. */
  private readonly startedAt: number

  /** `now` is wall time in milliseconds since the epoch. */
  constructor(recorder: MetricsRecorder["Service"], conventions: "standard" | "otel" | "both", loop: LoopDelay, now: number) {
    this.recorder = recorder
    this.startedAt = Math.round(now / 1000 - process.uptime())
    this.writesStandard = conventions !== "otel"
    this.writesOtel = conventions !== "standard"
    this.loop = loop
  }

  read(): void {
    this.recorder.setGaugeUnsafe(Uptime, process.uptime())
    this.cpu()
    this.memory()
    this.eventLoop(this.loop.read())
    if (!this.writesStandard) return
    const { recorder } = this
    const [major = "", minor = "", patch = ""] = process.versions.node.split(".")
    recorder.setGaugeUnsafe(standard.version, 1, { version: process.version, major, minor, patch })
    const resources = new Map<string, number>()
    for (const type of process.getActiveResourcesInfo()) resources.set(type, (resources.get(type) ?? 0) + 1)
    for (const type of this.types) if (!resources.has(type)) resources.set(type, 0)
    for (const [type, count] of resources) {
      this.types.add(type)
      recorder.setGaugeUnsafe(standard.resources, count, { type })
    }
  }

  /** Types of resources seen so far: those that are gone count 0. */
  private readonly types = new Set<string>()

  private cpu(): void {
    const { recorder } = this
    const { system, user } = process.cpuUsage()
    const userSeconds = user / 1e6
    const systemSeconds = system / 1e6
    const addedUser = Math.max(0, userSeconds - this.userSeconds)
    const addedSystem = Math.max(0, systemSeconds - this.systemSeconds)
    this.userSeconds = userSeconds
    this.systemSeconds = systemSeconds
    if (this.writesStandard) {
      recorder.incrementCounterUnsafe(standard.cpuUser, addedUser)
      recorder.incrementCounterUnsafe(standard.cpuSystem, addedSystem)
      recorder.incrementCounterUnsafe(standard.cpu, addedUser + addedSystem)
    }
    if (this.writesOtel) {
      recorder.incrementCounterUnsafe(otel.cpu, addedUser, { cpu_mode: "user" })
      recorder.incrementCounterUnsafe(otel.cpu, addedSystem, { cpu_mode: "system" })
    }
  }

  private memory(): void {
    const { recorder } = this
    const { external, heapTotal, heapUsed, rss } = process.memoryUsage()
    const spaces = v8.getHeapSpaceStatistics()
    if (this.writesStandard) {
      recorder.setGaugeUnsafe(standard.startTime, this.startedAt)
      recorder.setGaugeUnsafe(standard.residentMemory, rss)
      recorder.setGaugeUnsafe(standard.heapSize, heapTotal)
      recorder.setGaugeUnsafe(standard.heapUsed, heapUsed)
      recorder.setGaugeUnsafe(standard.heapLimit, v8.getHeapStatistics().heap_size_limit)
      recorder.setGaugeUnsafe(standard.external, external)
      for (const { space_available_size, space_name, space_size, space_used_size } of spaces) {
        const labels = { space: space_name.replace(/_space$/, "") }
        recorder.setGaugeUnsafe(standard.spaceSize, space_size, labels)
        recorder.setGaugeUnsafe(standard.spaceUsed, space_used_size, labels)
        recorder.setGaugeUnsafe(standard.spaceAvailable, space_available_size, labels)
      }
    }
    if (this.writesOtel) {
      recorder.setGaugeUnsafe(otel.memory, rss)
      for (const { physical_space_size, space_available_size, space_name, space_size, space_used_size } of spaces) {
        const labels = { v8js_heap_space_name: space_name }
        recorder.setGaugeUnsafe(otel.heapLimit, space_size, labels)
        recorder.setGaugeUnsafe(otel.heapUsed, space_used_size, labels)
        recorder.setGaugeUnsafe(otel.spaceAvailable, space_available_size, labels)
        recorder.setGaugeUnsafe(otel.spacePhysical, physical_space_size, labels)
      }
    }
  }

  private eventLoop({ active, delays, idle, utilization }: LoopFigures): void {
    const { recorder } = this
    const show = (definitions: typeof standard.delays, values: Readonly<Record<Statistic, number>>) => {
      for (const statistic of statistics) recorder.setGaugeUnsafe(definitions[statistic], values[statistic])
    }
    recorder.setGaugeUnsafe(standard.utilization, utilization)
    if (this.writesStandard && delays !== undefined) {
      recorder.setGaugeUnsafe(standard.lag, delays.mean)
      show(standard.delays, delays)
    }
    if (!this.writesOtel) return
    if (delays !== undefined) show(otel.delays, delays)
    recorder.incrementCounterUnsafe(otel.time, Math.max(0, active - this.activeSeconds), { nodejs_eventloop_state: "active" })
    recorder.incrementCounterUnsafe(otel.time, Math.max(0, idle - this.idleSeconds), { nodejs_eventloop_state: "idle" })
    this.activeSeconds = active
    this.idleSeconds = idle
  }
}
