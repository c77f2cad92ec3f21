import type { AlertEvent } from "../../alerting/Alert.ts"
import type { ErrorData } from "../../errors/ErrorData.ts"
import type { LogData } from "../../logs/LogData.ts"
import type { SpanData } from "../../tracing/SpanData.ts"
import type { Listener, LoadGate, Signal } from "../Telemetry.ts"

/** The backends at hand, and who of them takes what. What a listener throws is counted and harms nobody. */
export class Listeners {
  private readonly byName = new Map<string, Listener>()
  private readonly onDefect: (backend: string, signal: Signal) => void
  spans: ReadonlyArray<Listener> = []
  errors: ReadonlyArray<Listener> = []
  logs: ReadonlyArray<Listener> = []
  /** Decides what the backends are spared while the program is short of memory. */
  gate: LoadGate | undefined

  constructor(onDefect: (backend: string, signal: Signal) => void) {
    this.onDefect = onDefect
  }

  get size(): number {
    return this.byName.size
  }

  get all(): ReadonlyArray<Listener> {
    return [...this.byName.values()]
  }

  has(name: string): boolean {
    return this.byName.has(name)
  }

  /** Whether it is this one, and not a successor of its name, that listens. */
  holds(listener: Listener): boolean {
    return this.byName.get(listener.name) === listener
  }

  /** Takes the place of a former one of its name in the same step: nothing passes between them, and nothing reaches both. */
  add(listener: Listener): void {
    this.byName.set(listener.name, listener)
    this.sort()
  }

  remove(listener: Listener): void {
    if (!this.holds(listener)) return
    this.byName.delete(listener.name)
    this.sort()
  }

  private sort(): void {
    const { all } = this
    this.spans = all.filter((one) => one.onSpan !== undefined)
    this.errors = all.filter((one) => one.onError !== undefined)
    this.logs = all.filter((one) => one.onLog !== undefined)
  }

  span(listener: Listener, span: SpanData): void {
    try {
      listener.onSpan!(span)
    } catch {
      this.onDefect(listener.name, "spans")
    }
  }

  error(error: ErrorData): void {
    if (this.gate?.error(error) === false) return
    for (const listener of this.errors) {
      try {
        listener.onError!(error)
      } catch {
        this.onDefect(listener.name, "errors")
      }
    }
  }

  alert(event: AlertEvent): void {
    for (const listener of this.all) {
      try {
        listener.onAlert?.(event)
      } catch {
        this.onDefect(listener.name, "alerts")
      }
    }
  }

  log(line: LogData): void {
    if (this.gate?.log(line) === false) return
    for (const listener of this.logs) {
      try {
        listener.onLog!(line)
      } catch {
        this.onDefect(listener.name, "logs")
      }
    }
  }
}
