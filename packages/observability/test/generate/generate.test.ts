import * as Yaml from "effect/encoding/Yaml"
import { AlertRule, MetricDefinition } from "effect-observability"
import { Generate, type GenerateOptions } from "effect-observability/generate"
import { assert, describe, it } from "vitest"
import { structuralProblems } from "./dashboards.ts"
import { promqlProblems } from "./promql.ts"
import { definitions, own, rules } from "./support.ts"

const options: GenerateOptions = { definitions: own, rules, prefix: "shop" }
const files = new Map(Generate.files(options).map(({ content, path }) => [path, content]))
const known = { definitions, prefix: "shop_" }

const parsed = (path: string): any => Yaml.parse(files.get(path)!)

describe("what is generated", () => {
  it("is the same every time", () => {
    assert.deepStrictEqual(Generate.files(options), [...files].map(([path, content]) => ({ path, content })))
  })

  it("has a runbook for each alert, and an alert for each runbook", () => {
    const alerts = parsed("prometheus/alerts.yml").groups[0].rules
    assert.sameMembers(alerts.map(({ alert }: any) => `runbooks/${alert}.md`), [...files.keys()].filter((path) => path.startsWith("runbooks/")))
    for (const { annotations } of alerts) assert.isTrue(files.has(annotations.runbook_url), annotations.runbook_url)
  })

  it("asks only for metrics and labels that exist, in expressions that parse", () => {
    const expressions = [
      ...["prometheus/alerts.yml", "prometheus/figures.yml", "prometheus/standard-names.yml"].flatMap((path) =>
        parsed(path).groups.flatMap((group: any) => group.rules.map(({ expr }: any) => expr as string))
      ),
      ...JSON.parse(files.get("grafana/prometheus.json")!).panels.flatMap((panel: any) => (panel.targets ?? []).map(({ expr }: any) => expr as string))
    ]
    assert.isAbove(expressions.length, 100)
    assert.deepStrictEqual(expressions.flatMap((expr) => promqlProblems(expr, known)), [])
  })

  it("has dashboards whose every key, id, place, unit and data source is right", () => {
    for (const path of ["grafana/prometheus.json", "grafana/postgres.json"]) {
      assert.deepStrictEqual(structuralProblems(JSON.parse(files.get(path)!)), [], path)
      const titles = JSON.parse(files.get(path)!).panels.map(({ title }: any) => title as string)
      for (const { name } of definitions) assert.isTrue(titles.some((title: string) => title.startsWith(name)), `${path}: no panel of ${name}`)
    }
  })

  it("lists every metric once, in tables that hold", () => {
    const lines = files.get("metrics.md")!.split("\n").filter((line) => line.startsWith("| `"))
    assert.strictEqual(lines.length, definitions.length)
    for (const line of lines) assert.strictEqual(line.replaceAll(String.raw`\|`, "").split("|").length, 7, line)
  })
})

describe("the checks bite", () => {
  it("on expressions", () => {
    for (const [expr, says] of [
      ["sum(rate(shop_orders_placed[5m]))", /shop_orders_placed/],
      ["sum by (chanel) (rate(shop_orders_placed_total[5m]))", /chanel/],
      ["shop_queue_depth{qeue=\"x\"}", /qeue/],
      ["sum(rate(shop_orders_placed_total[5m])", /parse/],
      ["histogram_quantile(0.9, rate(shop_queue_depth_bucket[5m]))", /shop_queue_depth_bucket/],
      ["obs_series > 1 ad obs_series", /parse/]
    ] as const) assert.match(promqlProblems(expr, known).join("\n"), says)
  })

  it("on dashboards", () => {
    const dashboard = JSON.parse(files.get("grafana/prometheus.json")!)
    const panel = () => structuredClone(dashboard.panels[1])
    const targets = (d: any) => d.panels.find(({ targets }: any) => targets?.length > 1).targets
    const variable = (d: any) => d.templating.list.find(({ type }: any) => type === "query")
    for (const [change, says] of [
      [(d: any) => (d.pannels = []), /dashboard: unknown key pannels/],
      [(d: any) => d.panels.push(panel()), /id 2 is there twice/],
      [(d: any) => (d.panels[1].id = 0), /id 0/],
      [(d: any) => (d.panels[1].gridPos.x = 20), /does not fit the grid/],
      [(d: any) => (d.panels[1].gridPos.h = 0.5), /does not fit the grid/],
      [(d: any) => (d.panels[1].gridPos.y = 0), /overlaps/],
      [(d: any) => (d.panels[2].gridPos.x -= 1), /overlaps/],
      [(d: any) => (d.panels[0].height = 8), /unknown key height/],
      [(d: any) => (d.panels[1].title = ""), /needs a title/],
      [(d: any) => delete d.panels[1].description, /and a description/],
      [(d: any) => (d.panels[1].type = "graph"), /its type is graph/],
      [(d: any) => (d.panels[1].fieldConfig.defaults.unit = "furlong"), /no unit furlong/],
      [(d: any) => delete d.panels[1].fieldConfig.defaults.unit, /has no unit/],
      [(d: any) => (d.panels[1].datasource = { type: "grafana-postgresql-datasource", uid: "${datasource}" }), /datasource/],
      [(d: any) => (d.panels[1].datasource = { type: "mixed", uid: "-- Mixed --" }), /datasource/],
      [(d: any) => (d.panels[1].targets[0].datasource.uid = "abc"), /datasource/],
      [(d: any) => (d.panels[1].tittle = "x"), /unknown key tittle/],
      [(d: any) => (d.panels[1].targets[0].rawSql = "select 1"), /unknown key rawSql/],
      [(d: any) => delete d.panels[1].targets, /no targets/],
      [(d: any) => (d.panels[1].targets = []), /no targets/],
      [(d: any) => (targets(d)[1].refId = "A"), /refId A is there twice/],
      [(d: any) => (targets(d)[1].refId = "b"), /refId b/],
      [(d: any) => (targets(d)[1].hide = true), /query B is hidden/],
      [(d: any) => (d.panels[1].targets[0].expr = " "), /asks nothing/],
      [(d: any) => (d.panels[1].targets[0].expr = "up{job=~\"$jobs\"}"), /no variable jobs/],
      [(d: any) => (d.panels[1].targets[0].expr = "up{job=~\"${Jobs:regex}\"}"), /no variable Jobs/],
      [(d: any) => (d.templating.list = []), /no variable datasource/],
      [(d: any) => d.templating.list.push({ ...variable(d), name: "unused" }), /variable "unused": no query uses it/],
      [(d: any) => d.templating.list.push(variable(d)), /a variable is there twice/],
      [(d: any) => (variable(d).querry = ""), /unknown key querry/],
      [(d: any) => (variable(d).type = "textbox"), /its type is textbox/],
      [(d: any) => (variable(d).query = "label_values(up{a=~\"$nowhere\"}, job)"), /no variable nowhere/],
      [(d: any) => (variable(d).datasource.uid = "abc"), /variable ".*": its datasource/]
    ] as const) {
      const changed = structuredClone(dashboard)
      change(changed)
      assert.match(structuralProblems(changed).join("\n"), says)
    }
  })
})

describe("runbooks", () => {
  it("are where alerts and other runbooks link to, each under its heading", () => {
    for (const { annotations, alert } of parsed("prometheus/alerts.yml").groups[0].rules) {
      assert.match(files.get(annotations.runbook_url)!, new RegExp(`^# ${alert}\n`))
    }
    for (const [path, content] of files) {
      if (!path.startsWith("runbooks/")) continue
      for (const [, link] of content.matchAll(/\]\(([^)]+)\)/g)) assert.isTrue(files.has(`runbooks/${link}`), `${path}: ${link}`)
    }
    assert.include(files.get("runbooks/DepthLow.md"), "[DepthGone](DepthGone.md)")
  })
})

describe("what cannot be generated is said", () => {
  const gauge = MetricDefinition.gauge("depth", { help: "", labelNames: ["queue"] })
  const histogram = MetricDefinition.histogram("took_seconds", { help: "", buckets: [1, 2] })
  const rule = (input: Omit<AlertRule.AlertRuleInput, "name">) => ({ definitions: [gauge, histogram], rules: [AlertRule.make({ name: "R", ...input })] })
  const cases: ReadonlyArray<readonly [GenerateOptions, RegExp]> = [
    [rule({ metric: "dept", last: true, above: 1 }), /rule "R": metric "dept" is not defined/],
    [rule({ metric: "depth", groupBy: ["que"], last: true, above: 1 }), /no label "que": it has queue/],
    [rule({ metric: "depth", labels: { x: "1" }, last: true, above: 1 }), /no label "x"/],
    [rule({ metric: "depth", increase: "5 minutes", above: 1 }), /a gauge has no increase: use one of last, absent/],
    [rule({ metric: "took_seconds", last: true, above: 1 }), /a histogram has no last/],
    [rule({ metric: "took_seconds", quantile: 0.99, above: 2 }), /no bucket above 2/],
    [rule({ metric: "took_seconds", burnRate: { objective: 0.9, bad: { above: 1.5 } } }), /no bucket bound 1\.5: use one of 1, 2/],
    [rule({ metric: "depth", last: true, above: 1, inhibitedBy: ["Nobody"] }), /inhibitedBy names "Nobody"/],
    [{ rules: [rules[0]!, rules[0]!], definitions: own }, /rule "OrdersStopped" is there twice/],
    [{ definitions: [gauge, MetricDefinition.counter("depth", { help: "" })] }, /"depth" is there twice, as gauge and as counter/],
    [{ definitions: [gauge, MetricDefinition.gauge("depth", { help: "other", labelNames: ["queue"] })] }, /"depth" is there twice, and they differ/],
    [{ definitions: [MetricDefinition.counter("a_b_total", { help: "", alertThreshold: 1 }), MetricDefinition.counter("a__b_total", { help: "", alertThreshold: 2 })] }, /"a_b_total" and "a__b_total" both give the alert ABTotalHigh/],
    [{ definitions: [MetricDefinition.counter("a_total", { help: "", alertThreshold: NaN })] }, /"a_total" has alertThreshold NaN: use a finite number/],
    [{ schema: "x\"; drop schema public" }, /schema: /],
    [{ metadataTable: "pg_x" }, /metadataTable: /],
    [{ prefix: "1a" }, /prefix: /]
  ]
  for (const [given, says] of cases) it(String(says), () => assert.throws(() => Generate.files(given), says))
})
