import { computed, signal } from "@preact/signals"

// All state of the page is in the URL: a link shows the same to somebody else, and reload and back button work.

export const params = signal(new URLSearchParams(location.search))
addEventListener("popstate", () => { params.value = new URLSearchParams(location.search) })

export type Changes = Readonly<Record<string, string | undefined>>

const kept = ["range", "from", "to", "live", "resource"]

/** `resource=cluster=east&resource=env=live` of what stands in the URL as `cluster=east, env=live`. */
export const resourceOf = (): string =>
  (params.value.get("resource") ?? "").split(",").map((one) => one.trim()).filter((one) => one !== "").map((one) => `&resource=${encodeURIComponent(one)}`).join("")

/** The URL of a page: time and processes are kept, everything else is what is named. */
export const hrefTo = (page: string, changes: Changes = {}): string => {
  const next = new URLSearchParams({ page })
  for (const name of kept) if (params.value.has(name)) next.set(name, params.value.get(name)!)
  return hrefOf(next, changes)
}

/** The URL of this page with something changed. */
export const hrefWith = (changes: Changes): string => hrefOf(new URLSearchParams(params.value), changes)

const hrefOf = (next: URLSearchParams, changes: Changes) => {
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === "") next.delete(name)
    else next.set(name, value)
  }
  return `?${next}`
}

export const go = (href: string, replace = false): void => {
  history[replace ? "replaceState" : "pushState"](null, "", href)
  params.value = new URLSearchParams(location.search)
}

export const ranges: ReadonlyArray<readonly [string, string, number]> = [
  ["15m", "15 minutes", 900_000], ["1h", "hour", 3_600_000], ["6h", "6 hours", 21_600_000], ["24h", "day", 86_400_000], ["7d", "week", 604_800_000]
]

/** Counts up while the page is live and seen. */
export const tick = signal(0)
export const isFixed = computed(() => params.value.has("from") && params.value.has("to"))
export const isLive = computed(() => !isFixed.value && params.value.get("live") !== "0")
const length = computed(() => (ranges.find(([name]) => name === params.value.get("range")) ?? ranges[0]!)[2])

setInterval(() => {
  if (!document.hidden && isLive.value && (length.value <= 3_600_000 || Date.now() % 30_000 < 5_000)) tick.value++
}, 5_000)
document.addEventListener("visibilitychange", () => { if (!document.hidden && isLive.value) tick.value++ })

/** `from=…&to=…` of a question asked now. */
export const timeOf = (): { readonly from: number; readonly to: number } => {
  if (isFixed.value) return { from: Number(params.value.get("from")), to: Number(params.value.get("to")) }
  const to = Date.now()
  return { from: to - length.value, to }
}
