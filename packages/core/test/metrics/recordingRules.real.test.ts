import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NamingConventions } from "../../src/index.ts"

// Debian's promtool reads the rules and evaluates them. `.ci/run` installs it; here it must be there.

const promtool = (...args: ReadonlyArray<string>) => spawnSync("promtool", args, { encoding: "utf8" })

const inFolder = (files: Readonly<Record<string, string>>, use: (path: (name: string) => string) => void): void => {
  const folder = mkdtempSync(join(tmpdir(), "obs-rules-"))
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    use((name) => join(folder, name))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const series = (name: string, labels: Readonly<Record<string, string>>): string =>
  `${name}{${Object.entries({ instance: "a", job: "shop", ...labels }).map(([label, value]) => `${label}="${value}"`).join(",")}}`

interface Case {
  readonly given: ReadonlyArray<readonly [series: string, values: string]>
  /** Query, and the samples it must give at minute 3. */
  readonly expected: ReadonlyArray<readonly [query: string, samples: ReadonlyArray<readonly [series: string, value: number]>]>
}

/** A test of `promtool test rules`: one value a minute, looked at in minute 3. */
const test = ({ given, expected }: Case): string =>
  JSON.stringify({
    rule_files: ["rules.yml"],
    evaluation_interval: "1m",
    tests: [{
      interval: "1m",
      input_series: given.map(([series, values]) => ({ series, values })),
      promql_expr_test: expected.map(([expr, samples]) => ({ expr, eval_time: "3m", exp_samples: samples.map(([labels, value]) => ({ labels, value })) }))
    }]
  })

const get = { http_request_method: "GET", http_route: "/users/:id" }
const cases: Readonly<Record<"standard" | "otel", Case>> = {
  standard: {
    given: [
      [series("http_server_request_duration_seconds_bucket", { ...get, http_response_status_code: "200", le: "0.1" }), "0 1 2 3"],
      [series("http_server_request_duration_seconds_bucket", { ...get, http_response_status_code: "500", le: "0.1" }), "0 0 0 1"],
      [series("http_server_request_duration_seconds_bucket", { ...get, http_response_status_code: "200", le: "+Inf" }), "0 2 4 6"],
      [series("http_server_request_duration_seconds_count", { ...get, http_response_status_code: "200" }), "0 2 4 6"],
      [series("http_server_request_duration_seconds_count", { ...get, http_response_status_code: "500" }), "0 0 0 1"],
      [series("db_client_operation_duration_seconds_count", { db_operation_name: "SELECT", db_collection_name: "orders", error_type: "" }), "0 5 9 9"],
      [series("db_client_operation_duration_seconds_count", { db_operation_name: "SELECT", db_collection_name: "orders", error_type: "timeout" }), "0 1 1 2"],
      [series("db_client_connection_count", { db_client_connection_pool_name: "main", db_client_connection_state: "idle" }), "3 3 3 4"],
      [series("messaging_client_sent_messages_total", { messaging_destination_name: "orders" }), "0 1 2 3"]
    ],
    expected: [
      ["http_requests_total", [
        [series("http_requests_total", { method: "GET", path: "/users/:id", status: "200" }), 6],
        [series("http_requests_total", { method: "GET", path: "/users/:id", status: "500" }), 1]
      ]],
      ["http_request_duration_seconds_bucket", [
        [series("http_request_duration_seconds_bucket", { method: "GET", path: "/users/:id", le: "0.1" }), 4],
        [series("http_request_duration_seconds_bucket", { method: "GET", path: "/users/:id", le: "+Inf" }), 6]
      ]],
      ["db_errors_total", [[series("db_errors_total", { operation: "SELECT", error_type: "timeout" }), 2]]],
      ["db_operation_duration_seconds_count", [[series("db_operation_duration_seconds_count", { operation: "SELECT", table: "orders" }), 11]]],
      ["db_connections", [[series("db_connections", { pool_name: "main", state: "idle" }), 4]]],
      ["message_published_total", [[series("message_published_total", { topic: "orders" }), 3]]]
    ]
  },
  otel: {
    given: [
      [series("http_request_duration_seconds_bucket", { method: "GET", path: "/users/:id", le: "0.1" }), "0 1 2 3"],
      [series("http_request_duration_seconds_sum", { method: "GET", path: "/users/:id" }), "0 1 2 3.5"],
      [series("message_consumed_total", { topic: "orders", consumer_group: "billing" }), "0 1 2 3"]
    ],
    expected: [
      ["http_server_request_duration_seconds_bucket", [[series("http_server_request_duration_seconds_bucket", { ...get, le: "0.1" }), 3]]],
      ["http_server_request_duration_seconds_sum", [[series("http_server_request_duration_seconds_sum", get), 3.5]]],
      ["messaging_client_consumed_messages_total", [
        [series("messaging_client_consumed_messages_total", { messaging_destination_name: "orders", messaging_consumer_group_name: "billing" }), 3]
      ]]
    ]
  }
}

describe("recording rules", () => {
  for (const target of ["standard", "otel"] as const) {
    it(`for ${target} names are accepted by promtool`, () => {
      for (const options of [{}, { prefix: "shop", interval: "30s" }]) {
        inFolder({ "rules.yml": NamingConventions.recordingRules(target, options) }, (path) => {
          const { status, stderr, stdout } = promtool("check", "rules", path("rules.yml"))
          assert.strictEqual(status, 0, stdout + stderr)
          assert.match(stdout, target === "standard" ? /SUCCESS: 21 rules found/ : /SUCCESS: 18 rules found/)
        })
      }
    })

    it(`for ${target} names give the values of the other convention`, () => {
      inFolder({ "rules.yml": NamingConventions.recordingRules(target), "test.yml": test(cases[target]) }, (path) => {
        const { status, stderr, stdout } = promtool("test", "rules", path("test.yml"))
        assert.strictEqual(status, 0, stdout + stderr)
      })
    })
  }

  it("the test would notice a wrong value", () => {
    const [query, samples] = cases.otel.expected[0]!
    const wrong = { ...cases.otel, expected: [[query, samples.map(([labels, value]) => [labels, value + 1] as const)] as const] }
    inFolder({ "rules.yml": NamingConventions.recordingRules("otel"), "test.yml": test(wrong) }, (path) => {
      assert.notStrictEqual(promtool("test", "rules", path("test.yml")).status, 0)
    })
  })
})
