import { Exporter } from "@effect-observability/core"
import type * as Duration from "effect/Duration"

/** What came back, or did not. */
export type Answer =
  | { readonly _tag: "Unreached"; readonly reason: string; /** Surely never sent. */ readonly unsent: boolean }
  | {
    readonly _tag: "Answered"
    readonly status: number
    /** ClickHouse's own error code; `undefined` when something else answered. */
    readonly code: number | undefined
    /** At most a line. */
    readonly said: string
    readonly retryAfter: Duration.Duration | undefined
  }

/** A statement that was not answered as hoped. Its message holds nothing of the statement, its values or the credentials. */
export class ClickHouseFailure {
  readonly _tag = "ClickHouseFailure"
  readonly answer: Answer
  constructor(answer: Answer) {
    this.answer = answer
  }
  get message(): string {
    return describe(this.answer)
  }
}

export const describe = (answer: Answer): string => {
  if (answer._tag === "Unreached") return answer.reason
  const { code, said, status } = answer
  if (status >= 300 && status < 400) return `answered ${status}: redirects are not followed, give the address it leads to`
  return code === undefined ? `answered ${status}${said === "" ? "" : `: ${said}`}` : `${said} (code ${code})`
}

/**
 * Codes that say something about the server and may pass (`src/Common/ErrorCodes.cpp`): files, timeouts, memory, quotas, connections, Keeper,
 * replicas, too many parts, cancelled, overloaded.
 */
const passing: ReadonlySet<number> = new Set([
  74, 75, 76, 159, 160, 173, 198, 201, 202, 203, 209, 210, 225, 236, 241, 242, 243, 252, 254, 265, 279, 285, 286, 289, 319, 364, 373, 384, 394, 425, 439, 473,
  499, 500, 519, 574, 677, 692, 700, 733, 735, 738, 745, 749, 762, 776, 777, 778, 904, 999, 1000
])

/** Codes that condemn the rows: they were not understood, or do not fit. A smaller batch can get round the guilty one. */
const poisoned: ReadonlySet<number> = new Set([6, 26, 27, 32, 33, 38, 41, 53, 69, 70, 72, 117, 128, 130, 131, 158, 190, 307, 321, 349, 469, 632])

/** Codes that condemn every batch: rights, settings, names, statements. */
const forbidden: ReadonlySet<number> = new Set([8, 10, 16, 20, 36, 42, 43, 44, 47, 50, 62, 73, 115, 164, 192, 193, 194, 195, 291, 452, 497, 516, 720])

/** The server recognised a repeat: it has the rows. */
export const isRepeat = (answer: Answer): boolean => answer._tag === "Answered" && answer.code === 389

/** A table or the database is gone. */
export const isMissing = ({ answer }: ClickHouseFailure): boolean => answer._tag === "Answered" && (answer.code === 60 || answer.code === 81)

/** A setting that the user's profile does not let through. */
export const isReadonly = ({ answer }: ClickHouseFailure): boolean => answer._tag === "Answered" && (answer.code === 164 || answer.code === 452)

/** Whether what was asked for may have happened all the same. */
export const isDoubtful = ({ answer }: ClickHouseFailure): boolean =>
  answer._tag === "Unreached" ? !answer.unsent : answer.status < 400 || answer.status >= 500

export const toExportError = (failure: ClickHouseFailure): Exporter.ExportError => {
  const { answer } = failure
  if (answer._tag === "Unreached" || isMissing(failure)) return Exporter.unavailable(failure.message)
  const { code, retryAfter, status } = answer
  if (code !== undefined && passing.has(code)) return Exporter.unavailable(failure.message, retryAfter)
  if (code !== undefined && poisoned.has(code)) return Exporter.refused(failure.message, `rejected:${code}`)
  if (code !== undefined && forbidden.has(code)) return Exporter.refused(failure.message, `rejected:${code}`, false)
  if (status >= 400 && status < 500 && status !== 408 && status !== 425 && status !== 429) {
    return Exporter.refused(failure.message, `rejected:${code ?? status}`, status === 400 || status === 413)
  }
  return Exporter.unavailable(failure.message, retryAfter)
}
