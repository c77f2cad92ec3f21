import { AlertRule, MetricDefinition } from "effect-observability"
import * as Yaml from "effect/encoding/Yaml"
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { Generate } from "../../src/generate/index.ts"
import { awkward, generatedFrom, goExpanded, grafanaExpanded, rendered } from "./texts.ts"

// What users write comes out literally the same in each artefact, after its reader's own expansion.

describe("text of users", () => {
  it("is no Grafana variable, no Markdown and no HTML in a description", () => {
    fc.assert(fc.property(awkward, (text) => {
      const files = generatedFrom(text)
      for (const path of ["grafana/prometheus.json", "grafana/postgres.json"]) {
        const panel = JSON.parse(files.get(path)!).panels.find(({ title }: { readonly title: string }) => title.startsWith("m_total"))
        assert.strictEqual(rendered(grafanaExpanded(panel.description)), text)
      }
    }), { numRuns: 200 })
  })

  it("ends no cell and no row of a table, and begins nothing", () => {
    fc.assert(fc.property(awkward, (text) => {
      const files = generatedFrom(text)
      const cells = (path: string, within: string) =>
        files.get(path)!.split("\n").find((line) => line.startsWith("|") && line.includes(within))!.split("|").slice(1, -1).map((cell) => cell.slice(1, -1))
      const row = cells("metrics.md", "`m_total`")
      assert.strictEqual(row.length, 5)
      assert.strictEqual(rendered(row[2]!), text)
      assert.isTrue(rendered(row[4]!).startsWith(text), row[4])
      assert.include(row[3]!, "<code>")
      assert.strictEqual(rendered(/<code>(.*)<\/code>/s.exec(row[3]!)![1]!), `${text}|\``)
      const [, what] = cells("runbooks/MTotalHigh.md", "`m_total`")
      assert.isTrue(rendered(what!).endsWith(text), what)
      const summary = files.get("runbooks/Own.md")!.split("\n").slice(4, 5)[0]!
      assert.isTrue(text === "" || rendered(summary.replace(/\.$/, "")) === text.replace(/\.$/, ""), summary)
    }), { numRuns: 200 })
  })

  it("is no template of Go in an annotation, and no YAML", () => {
    fc.assert(fc.property(awkward, (text) => {
      const files = generatedFrom(text)
      const alerts: any = Yaml.parse(files.get("prometheus/alerts.yml")!)
      const { annotations } = alerts.groups[0].rules.find(({ alert }: { readonly alert: string }) => alert === "Own")
      assert.strictEqual(goExpanded(annotations.summary), text === "" ? "Own" : text)
      const tests: any = Yaml.parse(files.get("prometheus/tests/Own.yml")!)
      const [fired] = tests.tests[0].alert_rule_test.flatMap(({ exp_alerts }: any) => exp_alerts)
      assert.strictEqual(fired.exp_annotations.summary, goExpanded(annotations.summary))
    }), { numRuns: 200 })
  })

  it("is no markup in a picture", () => {
    fc.assert(fc.property(awkward, (text) => {
      const svg = generatedFrom(text).get("grafana/prometheus.svg")!
      const label = /aria-label="([^"]*)"/.exec(svg)![1]!
      const back = label.replaceAll(/&#(\d+);/g, (_, point: string) => String.fromCharCode(Number(point)))
      // What XML has no characters for is replaced.
      assert.strictEqual(back, `${text.replaceAll(/(?![\t\n\r])\p{Cc}(?<![\u007f-\u009f])|[\ufffe\uffff]/gu, "\uFFFD")} (Prometheus)`)
      assert.notMatch(label, /[<>&](?!#)/)
      assert.deepStrictEqual(new Set([...svg.matchAll(/<\/?(\w+)/g)].map(([, tag]) => tag)), new Set(["svg", "style", "text", "rect"]))
    }), { numRuns: 200 })
  })

  it("that UTF-8 or PostgreSQL cannot hold is replaced, not refused", () => {
    const files = Generate.files({ definitions: [MetricDefinition.counter("m_total", { help: "a\0b\ud800c" })] })
    for (const { content, path } of files) {
      assert.isTrue(content.isWellFormed(), path)
      assert.isFalse(content.includes("\0"), path)
      assert.isFalse(/\\ud[89ab]/i.test(content), path)
    }
  })

  it("of a runbook's address and of labels keeps to its place too", () => {
    const rule = AlertRule.make({ name: "R", metric: "m_total", labels: { a: "```\n|`{{" }, increase: "5 minutes", above: 1 })
    const files = new Map(Generate.files({ definitions: [MetricDefinition.counter("m_total", { help: "", labelNames: ["a"] })], rules: [rule], runbooks: "https://x/{{ .Labels }}/" }).map(({ content, path }) => [path, content]))
    const alerts: any = Yaml.parse(files.get("prometheus/alerts.yml")!)
    assert.strictEqual(goExpanded(alerts.groups[0].rules.at(-1).annotations.runbook_url), "https://x/{{ .Labels }}/R.md")
    const page = files.get("runbooks/R.md")!
    const block = /^(`{4,})\n(.*)\n\1$/m.exec(page)
    assert.include(block?.[2], "a=\"```\\n|`{{\"")
  })
})
