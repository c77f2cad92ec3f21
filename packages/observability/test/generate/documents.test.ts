import { assert, it } from "vitest"
import { Generate } from "../../src/generate/index.ts"

it("no unit, help or label value ends a cell or a row of a table", () => {
  const hostile = "a | b\n| c | ` d"
  const found = Generate.files({ definitions: [{ name: "m_total", type: "counter", help: hostile, unit: hostile, labelNames: ["a"], labelValues: { a: [hostile] }, alertThreshold: 10 }] })
  for (const [path, columns] of [["metrics.md", 5], ["runbooks/MTotalHigh.md", 2]] as const) {
    const row = found.find((one) => one.path === path)!.content.split("\n").find((line) => line.startsWith("|") && line.includes("`m_total`"))!
    assert.strictEqual(row.split(/(?<!\\)\|/).length - 2, columns, row)
  }
})
