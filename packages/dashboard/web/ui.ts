import { type ComponentChildren, h, type VNode } from "preact"
import { useState } from "preact/hooks"
import type { Answer } from "./api.ts"
import { go } from "./state.ts"

type Kids = ComponentChildren

/** A link within the page; a click with a modifier is the browser's. */
export const link = (href: string, kids: Kids, more: Record<string, unknown> = {}): VNode<any> =>
  h("a", {
    href,
    onClick: (event: MouseEvent) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return
      event.preventDefault()
      go(href)
      scrollTo(0, 0)
    },
    ...more
  }, kids)

/** Text of the recorded, kept apart from the text around it (right-to-left names turn nothing else around). */
export const told = (text: unknown): VNode<any> => h("bdi", null, String(text))

export const Panel = ({ children, question, title }: { title: string; question?: unknown; children?: Kids }): VNode<any> => {
  const [open, setOpen] = useState(false)
  return h("section", { class: "panel", "aria-label": title },
    h("header", null,
      h("h2", null, title),
      question === undefined ? null : h("button", { type: "button", class: "quiet", "aria-expanded": open, onClick: () => setOpen(!open) }, open ? "Hide query" : "Show query")),
    open ? h("pre", { class: "query", tabIndex: 0 }, JSON.stringify(question, null, 2)) : null,
    children)
}

/** What is there while an answer is not: a line that says what to do. */
export const waiting = (answer: Answer, isEmpty: boolean, empty: Kids): VNode<any> | null => {
  if (answer.error !== undefined && answer.data === undefined) return h("p", { class: "note bad", role: "alert" }, answer.error)
  if (answer.data === undefined) return h("p", { class: "note", role: "status" }, "Loading …")
  return isEmpty ? h("p", { class: "note" }, empty) : null
}

export const stale = (answer: Answer): VNode<any> | null =>
  answer.error !== undefined && answer.data !== undefined ? h("p", { class: "note bad", role: "alert" }, `${answer.error} What is shown is older.`) : null

export interface Column<A> {
  readonly name: string
  readonly number?: boolean
  readonly cell: (row: A) => Kids
}

export const table = <A>(label: string, columns: ReadonlyArray<Column<A>>, rows: ReadonlyArray<A>): VNode<any> =>
  h("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": `${label}, table` },
    h("table", null,
      h("thead", null, h("tr", null, columns.map(({ name, number }) => h("th", { scope: "col", class: number ? "number" : "" }, name)))),
      h("tbody", null, rows.map((row, i) => h("tr", { key: i }, columns.map(({ cell, number }) => h("td", { class: number ? "number" : "" }, cell(row))))))))

export const badge = (kind: "good" | "warn" | "bad" | "plain", text: string): VNode<any> => h("span", { class: `badge ${kind}` }, text)

export const stat = (name: string, value: Kids, kind = ""): VNode<any> => h("div", { class: `stat ${kind}` }, h("span", null, name), h("strong", null, value))

export const select = (label: string, value: string, choices: ReadonlyArray<readonly [string, string]>, onChange: (value: string) => void): VNode<any> =>
  h("label", { class: "field" }, h("span", null, label),
    h("select", { value, onChange: (event: Event) => onChange((event.target as HTMLSelectElement).value) },
      choices.map(([key, text]) => h("option", { value: key, selected: key === value }, text))))

/** A text that is asked for when it is finished: by Enter, or by leaving it. What is half typed stays while answers come in. */
const Field = ({ label, more, onChange, value }: { label: string; value: string; onChange: (value: string) => void; more: Record<string, unknown> }): VNode<any> => {
  const [draft, setDraft] = useState<string | undefined>(undefined)
  const done = () => {
    if (draft !== undefined && draft !== value) onChange(draft.trim())
    setDraft(undefined)
  }
  return h("label", { class: "field" }, h("span", null, label),
    h("input", {
      type: "text", value: draft ?? value, onBlur: done,
      onInput: (event: Event) => setDraft((event.target as HTMLInputElement).value),
      onKeyDown: (event: KeyboardEvent) => { if (event.key === "Enter") done() },
      ...more
    }))
}

export const field = (label: string, value: string, onChange: (value: string) => void, more: Record<string, unknown> = {}): VNode<any> =>
  h(Field, { label, value, onChange, more })
