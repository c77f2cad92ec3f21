import type { MetricDefinition } from "@effect-observability/core"
import type { Builder, Dataquery } from "@grafana/grafana-foundation-sdk/cog"
import { type Dashboard, DatasourceVariableBuilder, QueryVariableBuilder, VariableRefresh } from "@grafana/grafana-foundation-sdk/dashboard"
import { areasOf, dashboard, type Figure, fromZero, leadingLabel, type Target, unitOf, zeroIsGood } from "./panels.ts"
import type { Vocabulary } from "./promql.ts"
import { markdown } from "./text.ts"

type Definition = MetricDefinition.MetricDefinition

/** Grafana's own PostgreSQL data source; its query model is not part of the Foundation SDK. */
export const postgresType = "grafana-postgresql-datasource"

interface SqlQuery extends Dataquery {
  readonly refId: string
  readonly datasource: { readonly type: string; readonly uid: string }
  readonly editorMode: "code"
  readonly format: "time_series" | "table"
  readonly rawQuery: true
  readonly rawSql: string
}

/** A `Dataquery` of the PostgreSQL data source, in the shape the SDK's builders take. */
class SqlTarget implements Builder<Dataquery> {
  private readonly refId: string
  private readonly sql: string

  constructor(refId: string, sql: string) {
    this.refId = refId
    this.sql = sql
  }

  build(): Dataquery {
    const query: Omit<SqlQuery, "_implementsDataqueryVariant"> = {
      refId: this.refId,
      datasource: { type: postgresType, uid: "${datasource}" },
      editorMode: "code",
      format: "time_series",
      rawQuery: true,
      rawSql: this.sql
    }
    return query as SqlQuery
  }
}

export const postgresDashboard = (words: Vocabulary, title: string, schema: string): Dashboard =>
  dashboard({
    title: `${title} (PostgreSQL)`,
    uid: "effect-observability-postgres",
    tags: ["effect-observability", "generated"],
    datasource: postgresType,
    variables: [new DatasourceVariableBuilder("datasource").label("Data source").type(postgresType), ...chosen.map((name, i) => choice(name, i, schema))],
    rows: areasOf(words.definitions.values()).map(([area, definitions]) => [area, definitions.map((one) => figureOf(one, schema))])
  })

/** Who recorded it, each narrowing the choices of those after it. */
const chosen = ["service", "cluster", "env", "instance"] as const

const choice = (name: string, i: number, schema: string): QueryVariableBuilder =>
  new QueryVariableBuilder(name).label(name).datasource({ type: postgresType, uid: "${datasource}" })
    .query(`select distinct ${name} from "${schema}".metrics_by_process('obs_series', $__timeFrom(), $__timeTo()) where ${[`${name} <> ''`, ...chosen.slice(0, i).map(isChosen)].join(" and ")} order by 1`)
    // The value of "All" is put in as it is; one chosen value, or several, each in quotes.
    .refresh(VariableRefresh.OnTimeRangeChanged).multi(true).includeAll(true).allValue("'*'")

const isChosen = (name: string): string => `('*' in ($${name}) or ${name} in ($${name}))`

const figureOf = (definition: Definition, schema: string): Figure => {
  const of = (sql: string, perSecond = false, what = ""): Figure => ({
    title: `${definition.name}${what}`,
    description: markdown(definition.help),
    unit: unitOf(definition, perSecond),
    fromZero: fromZero(definition),
    targets: [new SqlTarget("A", zeroIsGood(definition) ? orZero(sql, definition, schema) : sql)] satisfies ReadonlyArray<Target>
  })
  switch (definition.type) {
    case "counter":
      return of(scalarSql(definition, schema, "sum(value) / extract(epoch from interval '$__interval')"), true, " per second")
    case "gauge":
      return of(scalarSql(definition, schema, "max(value)"))
    case "upDownCounter":
      return of(lastSql(definition, schema))
    case "histogram":
      return of(quantileSql(definition, schema))
    case "summary":
      return of(scalarSql(definition, schema, "sum(value) / extract(epoch from interval '$__interval')"), true, ": sum per second")
  }
}

/** A zero at both ends of the shown time when there is nothing, and the store has other metrics of it. */
const orZero = (sql: string, definition: Definition, schema: string): string =>
  `with shown as (
${sql}
)
select time, metric, value from shown
union all
select edge, ${text(definition.name)}, 0 from unnest(array[$__timeFrom()::timestamptz, $__timeTo()::timestamptz]) as edge
where not exists (select from shown) and exists (select from "${schema}".metrics_by_process('obs_series', $__timeFrom(), $__timeTo()) where ${scope})
order by 1`

const bin = "date_bin(interval '$__interval', timestamp, 'epoch')"
const text = (value: string): string => `'${value.replaceAll("'", "''")}'`

const owner = "service, version, instance, cluster, env"
const scope = chosen.map(isChosen).join(" and ")

/** Rows of one metric within the shown time, of the chosen processes: a function, so that only the days it must are read. */
const rows = (definition: Definition, schema: string, of: "metrics" | "histograms"): string =>
  `(select * from "${schema}".${of}_by_process(${text(definition.name)}, $__timeFrom(), $__timeTo()) where ${scope}) shown_rows`

const legendSql = (definition: Definition): string => {
  const label = leadingLabel(definition)
  return label === undefined ? text(definition.name) : `coalesce(labels ->> ${text(label)}, '')`
}

const scalarSql = (definition: Definition, schema: string, figure: string): string =>
  `select ${bin} as time, ${legendSql(definition)} as metric, ${figure} as value
from ${rows(definition, schema, "metrics")}
group by 1, 2
order by 1`

/** The newest value of each series of each process in a bin, then added up. */
const lastSql = (definition: Definition, schema: string): string =>
  `select time, metric, sum(value) as value
from (
  select distinct on (1, 2, labels, ${owner}) ${bin} as time, ${legendSql(definition)} as metric, value
  from ${rows(definition, schema, "metrics")}
  order by 1, 2, labels, ${owner}, timestamp desc) newest
group by 1, 2
order by 1`

/** Quantiles as Prometheus computes them: linear within the bucket that holds the rank. */
const quantileSql = (definition: Definition, schema: string): string =>
  `with counted as (
  select ${bin} as time, u.i::int as i, u.bound, sum(u.n)::float8 as n
  from ${rows(definition, schema, "histograms")}
  cross join lateral unnest(buckets, bounds || 'Infinity'::float8) with ordinality as u(n, bound, i)
  group by 1, 2, 3
), ranked as (
  select time, i, bound, n, coalesce(lag(bound) over w, least(0, bound)) as lower,
    sum(n) over w as upto, sum(n) over (partition by time) as total
  from counted window w as (partition by time order by i)
)
select distinct on (time, q) time, 'p' || (q * 100)::float8 as metric,
  case when bound = 'Infinity' then lower else lower + (bound - lower) * (q * total - (upto - n)) / n end as value
from ranked cross join (values (0.5), (0.95), (0.99)) as asked(q)
where n > 0 and upto >= q * total
order by time, q, i`
