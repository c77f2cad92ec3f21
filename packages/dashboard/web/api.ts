import { useEffect, useState } from "preact/hooks"
import { resourceOf, tick, timeOf } from "./state.ts"

const base = document.documentElement.dataset["base"] ?? ""

export class ApiError extends Error {}

export const ask = async (path: string, init: RequestInit = {}): Promise<any> => {
  let response: Response
  try {
    response = await fetch(`${base}/api/${path}`, { ...init, headers: { "x-observability": "1", ...init.headers } })
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error
    throw new ApiError("The program does not answer: is it still running? The page goes on asking.")
  }
  const body = await response.json().catch(() => undefined)
  if (!response.ok) throw new ApiError(body?.error ?? (response.status === 429 ? "Too many questions at once: wait a moment." : `The program answers ${response.status}.`))
  return body
}

export interface Answer<A = any> {
  readonly data: A | undefined
  readonly error: string | undefined
  readonly loading: boolean
}

/** The answer to a question, asked again whenever the page is brought up to date. With `timed` the time shown and the processes chosen go along. */
export const useAnswer = (path: string | undefined, timed = true): Answer => {
  const [answer, set] = useState<Answer & { readonly path?: string | undefined }>({ data: undefined, error: undefined, loading: true })
  const at = tick.value
  const { from, to } = timeOf()
  // A range that moves with the clock is a new question at the next tick only.
  const resource = timed ? resourceOf() : ""
  const key = path === undefined ? "" : `${path}|${resource}|${timed ? Math.round((to - from) / 1000) : ""}|${at}`
  useEffect(() => {
    if (path === undefined) return
    const stop = new AbortController()
    const question = timed ? `${path}${path.includes("?") ? "&" : "?"}from=${from}&to=${to}${resource}` : path
    ask(question, { signal: stop.signal }).then(
      (data) => set({ data, error: undefined, loading: false, path }),
      (error) => { if (!stop.signal.aborted) set((before) => ({ data: before.path === path ? before.data : undefined, error: error.message, loading: false, path })) }
    )
    return () => stop.abort()
  }, [key])
  return answer.path === path ? answer : { data: undefined, error: undefined, loading: true }
}

export const query = (fields: Readonly<Record<string, string | null | undefined>>): string => {
  const out = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) if (value !== undefined && value !== null && value !== "") out.append(name, value)
  return String(out)
}
