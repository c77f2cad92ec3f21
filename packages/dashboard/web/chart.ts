import { h, type VNode } from "preact"
import { useEffect, useRef, useState } from "preact/hooks"
import uPlot from "uplot"
import { clock } from "./format.ts"

export interface Line {
  readonly name: string
  readonly values: ReadonlyArray<number | null>
}

const dark = matchMedia("(prefers-color-scheme: dark)")
const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

/** Lines over time, with a legend that tells the values under the pointer. `times` are milliseconds. */
export const Chart = ({ format, label, lines, times }: { label: string; times: ReadonlyArray<number>; lines: ReadonlyArray<Line>; format: (value: number) => string }): VNode<any> => {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const [at, setAt] = useState<number | null>(null)
  const [isDark, setDark] = useState(dark.matches)
  const shape = `${lines.map(({ name }) => name).join("\n")}|${isDark}`
  const data = [times.map((time) => time / 1000), ...lines.map(({ values }) => values)] as unknown as uPlot.AlignedData
  useEffect(() => {
    const listen = () => setDark(dark.matches)
    dark.addEventListener("change", listen)
    return () => dark.removeEventListener("change", listen)
  }, [])
  useEffect(() => {
    const root = place.current!
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } }
    const made = new uPlot({
      width: Math.max(200, root.clientWidth),
      height: 190,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false } },
      scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), (high ?? 0) > 0 ? high * 1.1 : 1] } },
      axes: [{ ...axis, size: 28, values: (_, ticks) => ticks.map((tick) => clock(tick * 1000).slice(0, 5)) }, { ...axis, size: 70, values: (_, ticks) => ticks.map(format) }],
      series: [{}, ...lines.map((_, i) => ({ stroke: colour(`--hue${i % 8}`), width: 2, points: { show: times.length < 3 }, ...(lines.length === 1 ? { fill: colour("--wash") } : {}) }))],
      hooks: { setCursor: [(self) => setAt(self.cursor.idx ?? null)] }
    }, data, root)
    plot.current = made
    const watch = new ResizeObserver(() => made.setSize({ width: Math.max(200, root.clientWidth), height: 190 }))
    watch.observe(root)
    return () => { watch.disconnect(); made.destroy() }
  }, [shape])
  useEffect(() => plot.current?.setData(data), [times, lines])
  const last = times.length - 1
  const shown = at === null || at > last ? last : at
  return h("div", { class: "chart" },
    h("div", { ref: place, role: "img", "aria-label": label }),
    h("ul", { class: "legend" },
      h("li", null, last < 0 ? "" : clock(times[shown]!)),
      lines.slice(0, 12).map(({ name, values }, i) => {
        const value = values[shown]
        return h("li", { key: i }, h("i", { class: `dot hue${i % 8}` }), h("bdi", null, name), " ", h("b", null, typeof value === "number" ? format(value) : "–"))
      }),
      lines.length > 12 ? h("li", null, `and ${lines.length - 12} more`) : null))
}
