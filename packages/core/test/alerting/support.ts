import { type AlertNotification, type AlertSink } from "../../src/alerting/sinks.ts"
import type { ExportError } from "../../src/pipe/Exporter.ts"
import * as Effect from "effect/Effect"

export interface Recorded extends AlertSink {
  readonly sent: Array<AlertNotification>
}

/** A sink that remembers; `send` may fail instead. */
export const recording = (name = "test", fails: () => ExportError | undefined = () => undefined): Recorded => {
  const sent: Array<AlertNotification> = []
  return {
    name,
    sent,
    send: (notification) =>
      Effect.suspend(() => {
        const error = fails()
        if (error !== undefined) return Effect.fail(error)
        sent.push(notification)
        return Effect.void
      })
  }
}
