/** Milliseconds, as people say them. */
export const ms = (value: number | null | undefined): string => {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–"
  if (value < 0.001) return `${Math.round(value * 1e6)} ns`
  if (value < 1) return `${+(value * 1e3).toPrecision(3)} µs`
  if (value < 1_000) return `${+value.toPrecision(3)} ms`
  if (value < 60_000) return `${+(value / 1e3).toPrecision(3)} s`
  return `${+(value / 60_000).toPrecision(3)} min`
}
export const ns = (value: number | null | undefined): string => ms(value === null || value === undefined ? value : value / 1e6)

export const count = (value: number | null | undefined): string => {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–"
  const size = Math.abs(value)
  if (size >= 1e9) return `${+(value / 1e9).toPrecision(3)} G`
  if (size >= 1e6) return `${+(value / 1e6).toPrecision(3)} M`
  if (size >= 1e4) return `${+(value / 1e3).toPrecision(3)} k`
  return String(Number.isInteger(value) ? value : +value.toPrecision(3))
}
export const percent = (part: number, of: number): string => of === 0 ? "–" : part === 0 ? "0 %" : `${+(100 * part / of).toPrecision(2)} %`
export const bytes = (value: number | null | undefined): string => {
  if (value === null || value === undefined) return "–"
  const units = ["B", "kB", "MB", "GB", "TB"]
  let at = 0
  while (value >= 1000 && at < 4) { value /= 1000; at++ }
  return `${+value.toPrecision(3)} ${units[at]}`
}
export const clock = (at: number): string => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false })
export const moment = (at: number): string => new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "medium", hour12: false } as Intl.DateTimeFormatOptions)

/** A text that fits a page; the whole is in the detail. */
export const short = (text: unknown, most = 200): string => {
  const whole = typeof text === "string" ? text : JSON.stringify(text) ?? ""
  return whole.length <= most ? whole : `${whole.slice(0, most)}… (${whole.length.toLocaleString()} characters)`
}
