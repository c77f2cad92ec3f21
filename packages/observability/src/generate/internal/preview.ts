import type { Dashboard, Panel } from "@grafana/grafana-foundation-sdk/dashboard"
import { wellFormed } from "./text.ts"

const columns = 24
const column = 40
/** Pixels of a row's title and of a unit of a panel's height: a sketch of the layout, not its size. */
const rowHeight = 26
const unitHeight = 5.5
const gap = 4

const style = `text{font:13px system-ui,sans-serif;fill:#1f2328}.unit{font-size:11px;fill:#656d76}.row{font-weight:600}rect{fill:#f6f8fa;stroke:#d0d7de}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.unit{fill:#8d96a0}rect{fill:#161b22;stroke:#30363d}}`

/** The layout of a dashboard as a picture, light and dark as its reader likes: rows, panels, their titles, units and how many lines each asks for. */
export const preview = ({ panels = [], title }: Dashboard): string => {
  const heading = 34
  let y = heading
  let bottom = heading
  const parts: Array<string> = []
  // Of each row of panels the first decides where it begins.
  let line = -1
  for (const panel of panels as ReadonlyArray<Panel>) {
    const { h = 1, w = columns, x = 0, y: at = 0 } = panel.gridPos ?? {}
    if (panel.type === "row") {
      y = bottom
      parts.push(`<text class="row" x="${gap}" y="${y + 18}">${xml(panel.title ?? "")}</text>`)
      bottom = y + rowHeight
      line = -1
      continue
    }
    if (at !== line) {
      y = bottom
      line = at
    }
    const height = h * unitHeight
    bottom = Math.max(bottom, y + height)
    const lines = panel.targets?.length ?? 0
    const unit = panel.fieldConfig?.defaults.unit ?? ""
    parts.push(
      `<rect x="${x * column + gap / 2}" y="${y + gap / 2}" width="${w * column - gap}" height="${height - gap}" rx="4"/>` +
        `<text x="${x * column + 12}" y="${y + 18}">${xml(panel.title ?? "")}</text>` +
        `<text class="unit" x="${x * column + 12}" y="${y + 34}">${xml(`${unit}${lines > 1 ? `, ${lines} queries` : ""}`)}</text>`
    )
  }
  const width = columns * column
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${bottom + gap}" role="img" aria-label="${xml(title ?? "")}">
<style>${style}</style>
<text class="row" x="${gap}" y="22" style="font-size:16px">${xml(title ?? "")}</text>
${parts.join("\n")}
</svg>
`
}

/** Text in XML 1.0, which has no characters for most controls (2.2). */
const xml = (text: string): string =>
  [...wellFormed(text)].map((one) => (one < " " && !"\t\n\r".includes(one)) || one === "\uFFFE" || one === "\uFFFF" ? "\uFFFD" : one).join("").replaceAll(/[&<>"'\n\r]/g, (one) => `&#${one.charCodeAt(0)};`)
