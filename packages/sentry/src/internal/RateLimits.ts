/** Sentry's names of what it counts (Sentry SDK docs, "Rate limiting"). */
export type Category = "error" | "transaction" | "span" | "log_item"

const longestHeader = 4_096
/** A day: no answer may silence a process for longer. */
const longest = 86_400
const usual = 60

/** Until when each category must be quiet, in monotonic milliseconds. */
export class RateLimits {
  private readonly until = new Map<string, number>()

  /** Milliseconds that a category has to wait; 0 for none. */
  wait(category: Category, now: number): number {
    return Math.max(0, (this.until.get(category) ?? 0) - now, (this.until.get("") ?? 0) - now)
  }

  /** Reads `X-Sentry-Rate-Limits: 60:error;span:organization, 2700::key`, else `Retry-After` (in seconds from now), else what a 429 means by itself. */
  learn(answer: { readonly status: number; readonly limits: string | undefined; readonly retryAfter: number | undefined }, now: number): void {
    const { limits, retryAfter, status } = answer
    if (limits !== undefined && limits.trim() !== "") {
      for (const one of limits.slice(0, longestHeader).split(",")) {
        const [seconds = "", categories = ""] = one.trim().split(":")
        const asked = /^\d{1,9}(\.\d{1,9})?$/.test(seconds.trim()) ? Number(seconds) : usual
        for (const category of categories.split(";")) this.hold(category.trim().toLowerCase(), asked, now)
      }
    } else if (status === 429) this.hold("", retryAfter ?? usual, now)
  }

  /** Categories nobody here sends are left out: the table stays small. */
  private hold(category: string, seconds: number, now: number): void {
    if (!["", "error", "transaction", "span", "log_item"].includes(category)) return
    this.until.set(category, Math.max(this.until.get(category) ?? 0, now + Math.min(seconds, longest) * 1_000))
  }
}
