import * as Units from "@grafana/grafana-foundation-sdk/units"

/** The keys of Grafana's dashboard model that the generator may use; another one is a typing error. */
const keys: Readonly<Record<string, ReadonlyArray<string>>> = {
  dashboard: ["annotations", "editable", "fiscalYearStartMonth", "graphTooltip", "panels", "refresh", "schemaVersion", "tags", "templating", "time", "timezone", "title", "uid"],
  variable: ["allValue", "allowCustomValue", "auto", "auto_count", "auto_min", "current", "datasource", "hide", "includeAll", "label", "multi", "name", "options", "query", "refresh", "regex", "skipUrlSync", "sort", "type"],
  row: ["collapsed", "gridPos", "id", "panels", "title", "type"],
  panel: ["datasource", "description", "fieldConfig", "gridPos", "id", "options", "repeatDirection", "targets", "title", "transparent", "type"],
  prometheus: ["datasource", "expr", "instant", "legendFormat", "range", "refId"],
  sql: ["datasource", "editorMode", "format", "rawQuery", "rawSql", "refId"]
}

/** Variables of a query; those that begin with two underscores are Grafana's own. */
const namesIn = (query: string): ReadonlyArray<string> =>
  [...query.matchAll(/\$(\w+)|\$\{(\w+)[^}]*\}|\[\[(\w+)[^\]]*\]\]/g)].map(([, a, b, c]) => (a ?? b ?? c)!).filter((name) => !name.startsWith("__"))

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
  const asked: Array<string> = []
  for (const variable of variables.values()) {
    const at = `variable "${variable.name}"`
    if (!/^\w+$/.test(variable.name)) problems.push(`${at}: its name is no word`)
    if (variable.type === "datasource") continue
    check("variable", variable, at)
    if (variable.type !== "query") problems.push(`${at}: its type is ${variable.type}`)
    if (variable.datasource?.uid !== "${datasource}" || variable.datasource?.type !== type) problems.push(`${at}: its datasource is not the variable's`)
    const query = String(variable.query?.query ?? variable.query)
    asked.push(query)
    for (const name of namesIn(query)) if (!variables.has(name)) problems.push(`${at}: no variable ${name}`)
  }
  if (new Set(variables.keys()).size !== (dashboard.templating?.list ?? []).length) problems.push("a variable is there twice")
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
    if (panel.type !== "timeseries") problems.push(`${at}: its type is ${panel.type}`)
    const unit = panel.fieldConfig?.defaults?.unit
    if (unit === undefined) problems.push(`${at}: has no unit`)
    else if (!units.has(unit)) problems.push(`${at}: Grafana has no unit ${unit}`)
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
      if (target.hide === true) problems.push(`${at}: query ${target.refId} is hidden`)
      if (!/^[A-Z]$/.test(target.refId)) problems.push(`${at}: refId ${target.refId}`)
      if (refs.has(target.refId)) problems.push(`${at}: refId ${target.refId} is there twice`)
      refs.add(target.refId)
      const query = String(target.expr ?? target.rawSql ?? "")
      if (query.trim() === "") problems.push(`${at}: query ${target.refId} asks nothing`)
      asked.push(query)
      for (const name of namesIn(query)) if (!variables.has(name)) problems.push(`${at}: no variable ${name}`)
    }
  }
  for (const [name, { type }] of variables) {
    if (type === "query" && !asked.some((query) => namesIn(query).includes(name))) problems.push(`variable "${name}": no query uses it`)
  }
  return [...new Set(problems)]
}
