import * as Units from "@grafana/grafana-foundation-sdk/units"

/** The keys of Grafana's dashboard model that the generator may use; another one is a typing error. */
const keys: Readonly<Record<string, ReadonlyArray<string>>> = {
  dashboard: ["annotations", "editable", "fiscalYearStartMonth", "graphTooltip", "panels", "refresh", "schemaVersion", "tags", "templating", "time", "timezone", "title", "uid"],
  row: ["collapsed", "gridPos", "id", "panels", "title", "type"],
  panel: ["datasource", "description", "fieldConfig", "gridPos", "id", "options", "repeatDirection", "targets", "title", "transparent", "type"],
  prometheus: ["datasource", "expr", "instant", "legendFormat", "range", "refId"],
  sql: ["datasource", "editorMode", "format", "rawQuery", "rawSql", "refId"]
}

const units: ReadonlySet<unknown> = new Set(Object.values(Units))

/** What is wrong with a dashboard, in Grafana's model of it. */
export const structuralProblems = (dashboard: any): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const check = (kind: string, value: object, at: string) => {
    for (const key of Object.keys(value)) if (!keys[kind]!.includes(key)) problems.push(`${at}: unknown key ${key}`)
  }
  check("dashboard", dashboard, "dashboard")
  const variables = new Map<string, any>((dashboard.templating?.list ?? []).map((one: any) => [one.name, one]))
  const type = variables.get("datasource")?.query
  if (type === undefined) problems.push("no variable datasource")
  const ids = new Set<number>()
  const taken = new Map<string, string>()
  for (const panel of dashboard.panels) {
    const at = `panel "${panel.title}"`
    if (!Number.isInteger(panel.id) || panel.id < 1) problems.push(`${at}: id ${panel.id}`)
    if (ids.has(panel.id)) problems.push(`${at}: id ${panel.id} is there twice`)
    ids.add(panel.id)
    const { h, w, x, y } = panel.gridPos ?? {}
    if (![h, w, x, y].every(Number.isInteger) || x < 0 || y < 0 || w < 1 || h < 1 || x + w > 24) problems.push(`${at}: does not fit the grid`)
    else {
      for (let i = x; i < x + w; i++) {
        for (let j = y; j < y + h; j++) {
          const other = taken.get(`${i},${j}`)
          if (other !== undefined && other !== at) problems.push(`${at}: overlaps ${other}`)
          taken.set(`${i},${j}`, at)
        }
      }
    }
    if (panel.type === "row") {
      check("row", panel, at)
      continue
    }
    check("panel", panel, at)
    if (panel.title === "" || panel.description === undefined) problems.push(`${at}: needs a title and a description`)
    const unit = panel.fieldConfig?.defaults?.unit
    if (!units.has(unit)) problems.push(`${at}: Grafana has no unit ${unit}`)
    if (!Array.isArray(panel.targets) || panel.targets.length === 0) {
      problems.push(`${at}: no targets`)
      continue
    }
    const refs = new Set<string>()
    for (const target of [panel, ...panel.targets]) {
      if (target.datasource?.uid !== "${datasource}" || target.datasource?.type !== type) problems.push(`${at}: its datasource is not the variable's`)
    }
    for (const target of panel.targets) {
      check(type === "prometheus" ? "prometheus" : "sql", target, at)
      if (!/^[A-Z]$/.test(target.refId) || refs.has(target.refId)) problems.push(`${at}: refId ${target.refId}`)
      refs.add(target.refId)
      for (const [, name] of String(target.expr ?? target.rawSql).matchAll(/\$\{?([a-z]+)\}?/g)) {
        if (!variables.has(name!)) problems.push(`${at}: no variable ${name}`)
      }
    }
  }
  return [...new Set(problems)]
}
