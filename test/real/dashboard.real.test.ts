import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import axe from "axe-core"
import { existsSync } from "node:fs"
import { type Browser, chromium, type Page } from "playwright-core"
import { api, balanced, base, hostile, memory, program, record } from "../../packages/dashboard/test/support/program.ts"

// The page in a real browser: it shows what was recorded, as text, to anyone, and asks nobody else.

const executablePath = "/usr/bin/chromium"
const pages = ["overview", "traces", "metrics", "errors", "alerts", "health"] as const

let browser: Browser
beforeAll(async () => {
  assert.isTrue(existsSync(executablePath), `${executablePath} is missing: install the Debian package chromium`)
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"] })
})
afterAll(() => browser?.close())

/** A page that writes down whatever should not happen. */
const opened = (colorScheme: "light" | "dark" = "light") =>
  Effect.gen(function*() {
    const origin = yield* base
    const wrong: Array<string> = []
    const context = yield* Effect.acquireRelease(Effect.promise(() => browser.newContext({ colorScheme, viewport: { width: 1280, height: 900 } })), (one) => Effect.promise(() => one.close()))
    const page = yield* Effect.promise(() => context.newPage())
    page.on("console", (message) => { if (message.type() === "error" || message.type() === "warning") wrong.push(`console: ${message.text()}`) })
    page.on("pageerror", (error) => wrong.push(`error: ${error.message}`))
    page.on("request", (request) => { if (!request.url().startsWith(origin)) wrong.push(`foreign: ${request.url()}`) })
    yield* Effect.promise(() => page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`))
    }))
    const show = (search: string) => Effect.promise(async () => {
      await page.goto(`${origin}/observability${search}`)
      await settled(page)
    })
    return { page, wrong, show, origin }
  })

const settled = async (page: Page) => {
  await page.waitForSelector("h1")
  await page.waitForFunction(() => !document.body.innerText.includes("Loading …"))
}

const text = (page: Page) => Effect.promise(() => page.innerText("body"))

describe("the dashboard in Chromium", () => {
  it.live("shows the figures the histories give, and hostile names as text", () =>
    Effect.gen(function*() {
      yield* record
      const { page, show, wrong } = yield* opened()
      yield* show("")
      const { operations } = yield* api("operations")
      const row = yield* Effect.promise(() => page.locator("tr", { hasText: "POST /orders" }).first().innerText())
      const orders = operations.find((one: any) => one.name === "POST /orders")
      assert.include(row.split(/\s*\t\s*/), String(orders.count))
      assert.include(row, "10 %")
      assert.include(yield* text(page), "<img src=x onerror=\"window.hacked=1\">")

      yield* show("?page=traces&status=ERROR")
      assert.strictEqual(yield* Effect.promise(() => page.locator("tbody tr").count()), 3)
      yield* Effect.promise(() => page.locator("tbody tr a").first().click())
      yield* Effect.promise(() => page.waitForSelector("[role=option]"))
      assert.strictEqual(yield* Effect.promise(() => page.locator("[role=option]").count()), 2)
      yield* Effect.promise(async () => {
        await page.locator(".waterfall").focus()
        await page.keyboard.press("ArrowDown")
        await page.waitForSelector("dd:has-text(\"javascript:alert(1)\")")
      })
      assert.include(yield* text(page), hostile.slice(0, 20))
      const url = page.url()
      yield* Effect.promise(async () => { await page.reload(); await settled(page); await page.waitForSelector("dd:has-text(\"javascript:alert(1)\")") })
      assert.strictEqual(page.url(), url)

      yield* show("?page=metrics&metric=orders_total&function=increase&by=kind")
      yield* Effect.promise(() => page.waitForSelector(".legend li:nth-child(3)"))
      assert.include(yield* text(page), "kind=book")
      yield* show("?page=errors")
      assert.include(yield* text(page), "no stock")

      // The processes chosen go along from page to page.
      yield* show("")
      yield* Effect.promise(async () => {
        await page.getByLabel("Processes").fill("cluster=nowhere")
        await page.keyboard.press("Enter")
        await page.waitForFunction(() => document.body.innerText.includes("No spans in this time"))
        await page.locator("nav a", { hasText: "Errors" }).click()
        await page.waitForFunction(() => new URLSearchParams(location.search).get("resource") === "cluster=nowhere" && !document.body.innerText.includes("no stock"))
        await page.getByLabel("Processes").fill("service=shop, cluster=")
        await page.keyboard.press("Enter")
        await page.waitForFunction(() => document.body.innerText.includes("no stock"))
      })

      assert.strictEqual(yield* Effect.promise(() => page.evaluate(() => document.querySelectorAll("img, a[href^='javascript']").length + Number("hacked" in window))), 0)
      assert.deepStrictEqual(wrong, [])
      yield* balanced
    }).pipe(Effect.scoped, Effect.provide(program(memory))))

  for (const mode of ["light", "dark"] as const) {
    it.live(`has nothing that axe objects to, ${mode}`, () =>
      Effect.gen(function*() {
        yield* record
        const { page, show, wrong } = yield* opened(mode)
        const { traces } = yield* api("traces?status=ERROR")
        for (const search of ["", ...pages.map((name) => `?page=${name}`), `?page=trace&id=${traces[0].traceId}`, "?page=operation&service=shop&operation=POST%20%2Forders&kind=server", "?page=traces&service=nobody", "?page=trace&id=zz"]) {
          yield* show(search)
          const violations = yield* Effect.promise(async () => {
            await page.evaluate(axe.source)
            return page.evaluate(async () => (await (globalThis as any).axe.run()).violations.map((one: any) => `${one.id}: ${one.nodes.map((node: any) => node.html.slice(0, 120) + " " + node.failureSummary.slice(0, 200)).join(" | ").slice(0, 600)}`))
          })
          assert.deepStrictEqual(violations, [], search)
        }
        // A trace that cannot be is an answer of 400, which Chromium writes into its console.
        assert.deepStrictEqual(wrong.filter((one) => !one.includes("400 (Bad Request)")), [])
        yield* balanced
      }).pipe(Effect.scoped, Effect.provide(program(memory))))
  }

  it.live("can be used by keyboard alone", () =>
    Effect.gen(function*() {
      yield* record
      const { page, show, wrong } = yield* opened()
      yield* show("")
      const press = (key: string) => Effect.promise(() => page.keyboard.press(key))
      const here = () => new URL(page.url()).searchParams.get("page")
      yield* press("Tab")
      assert.strictEqual(yield* Effect.promise(() => page.evaluate(() => document.activeElement?.textContent)), "Skip to the content")
      yield* press("Tab")
      yield* press("Tab")
      yield* press("Enter")
      assert.strictEqual(here(), "traces")
      yield* press("/")
      yield* Effect.promise(() => page.keyboard.type("charge"))
      yield* press("Enter")
      yield* Effect.promise(() => page.waitForURL(/text=charge/))
      yield* Effect.promise(() => page.goBack())
      assert.strictEqual(new URL(page.url()).searchParams.get("text"), null)
      yield* Effect.promise(() => page.evaluate(() => (document.activeElement as HTMLElement).blur()))
      for (const [i, name] of pages.entries()) {
        yield* press(String(i + 1))
        assert.strictEqual(here(), name)
      }
      assert.deepStrictEqual(wrong, [])
      yield* balanced
    }).pipe(Effect.scoped, Effect.provide(program(memory))))

  it.live("scrolls a trace of ten thousand spans, with few of them in the document", () =>
    Effect.gen(function*() {
      yield* Effect.forEach(Array.from({ length: 9_000 }, (_, i) => i), (i) => Effect.withSpan(Effect.void, `step ${i}`), { discard: true }).pipe(Effect.withSpan("big", { kind: "server" }))
      yield* record
      const { page, show, wrong } = yield* opened()
      const { traces } = yield* api("traces?operation=big")
      yield* show(`?page=trace&id=${traces[0].traceId}`)
      yield* Effect.promise(() => page.evaluate(async () => {
        const list = document.querySelector(".waterfall")!
        for (let i = 0; i < 20; i++) {
          list.scrollTop += 3_000
          await new Promise((done) => requestAnimationFrame(done))
        }
      }))
      assert.isAtMost(yield* Effect.promise(() => page.locator("[role=option]").count()), 60)
      yield* Effect.promise(async () => { await page.locator(".waterfall").focus(); await page.keyboard.press("End"); await page.waitForSelector("[role=option]:has-text(\"step 8999\")") })
      assert.deepStrictEqual(wrong, [])
      yield* balanced
    }).pipe(Effect.scoped, Effect.provide(program(memory))))
})
