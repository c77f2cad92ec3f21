// What Grafana does to the queries of a dashboard before it sends them, after its own sources: `templateSrv`, the data sources of Prometheus
// (`interpolateQueryExpr`, `$__rate_interval`) and PostgreSQL (`quoteLiteral`, the macros of its backend).

export interface Shown {
  /** Milliseconds since the epoch. */
  readonly from: number
  readonly to: number
  /** Seconds; Grafana chooses it by the width of the panel, and never below the data source's own. */
  readonly interval: number
  /** Seconds: "Scrape interval" of the data source. */
  readonly scrapeInterval: number
}

/** What is chosen in each variable: values, or everything. */
export type Selection = Readonly<Record<string, "all" | ReadonlyArray<string>>>

interface Variable {
  readonly name: string
  readonly type: string
  readonly query: string | { readonly query: string }
  readonly multi?: boolean
  readonly includeAll?: boolean
  readonly allValue?: string
  readonly hide?: unknown
}

export type Ask = (query: string) => Promise<ReadonlyArray<string>>

export class Dashboard {
  readonly panels: ReadonlyArray<any>
  readonly variables: ReadonlyArray<Variable>
  readonly shown: Shown
  /** Values each variable offers. */
  readonly values = new Map<string, ReadonlyArray<string>>()

  constructor(json: string, shown: Shown) {
    const { panels, templating } = JSON.parse(json)
    this.panels = panels.filter(({ type }: { readonly type: string }) => type !== "row")
    this.variables = templating.list
    this.shown = shown
  }

  /** Asks for the values of the variables one after the other, with their own variables put in: a later one may depend on an earlier one. */
  async load(ask: Ask): Promise<void> {
    for (const { name, query, type } of this.variables) {
      if (type === "query") this.values.set(name, await ask(typeof query === "string" ? query : query.query))
    }
  }

  /** The variables one can choose in, the data source aside. */
  get choices(): ReadonlyArray<Variable> {
    return this.variables.filter(({ type }) => type === "query")
  }

  promql(expr: string, selection: Selection = {}): string {
    return this.expand(expr, selection, "prometheus")
  }

  sql(raw: string, selection: Selection = {}): string {
    const { from, interval, to } = this.shown
    const at = (millis: number) => `'${new Date(millis).toISOString().replace(/(\.\d*?)0*Z$/, "$1Z").replace(".Z", "Z")}'`
    return this.expand(raw, selection, "sql")
      .replaceAll(/\$__timeFilter\(([^)]*)\)/g, (_, column: string) => `${column} BETWEEN ${at(from)} AND ${at(to)}`)
      .replaceAll("$__timeFrom()", at(from)).replaceAll("$__timeTo()", at(to)).replaceAll("$__interval_ms", String(interval * 1_000)).replaceAll("$__interval", `${interval}s`)
  }

  private expand(query: string, selection: Selection, format: "prometheus" | "sql"): string {
    const { interval, scrapeInterval, from, to } = this.shown
    const built: Readonly<Record<string, string>> = format === "sql" ? {} : {
      __rate_interval: `${Math.max(interval + scrapeInterval, 4 * scrapeInterval)}s`,
      __interval: `${interval}s`,
      __interval_ms: String(interval * 1_000),
      __range: `${Math.round((to - from) / 1_000)}s`,
      __range_s: String(Math.round((to - from) / 1_000))
    }
    return query.replaceAll(/\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}/g, (whole, a?: string, b?: string, _?: string, c?: string) => {
      const name = (a ?? b ?? c)!
      if (built[name] !== undefined) return built[name]
      const variable = this.variables.find((one) => one.name === name)
      return variable === undefined || variable.type !== "query" ? whole : this.valueOf(variable, selection[name] ?? "all", format)
    })
  }

  private valueOf(variable: Variable, chosen: "all" | ReadonlyArray<string>, format: "prometheus" | "sql"): string {
    const { allValue, includeAll, multi, name } = variable
    // What stands for everything is put in as it is.
    if (chosen === "all" && allValue !== undefined && allValue !== null) return allValue
    const values = chosen === "all" ? this.values.get(name) ?? [] : chosen
    const many = multi === true || includeAll === true
    if (format === "sql") return many ? values.map((value) => `'${value.replaceAll("'", "''")}'`).join(",") : values[0]!.replaceAll("'", "''")
    if (!many) return values[0]!.replaceAll(/["\\]/g, String.raw`\$&`)
    const escaped = values.map((value) => value.replaceAll("\\", String.raw`\\\\`).replaceAll(/[$^*{}[\]'+?.()|]/g, String.raw`\\$&`))
    return escaped.length === 1 ? escaped[0]! : `(${escaped.join("|")})`
  }
}
