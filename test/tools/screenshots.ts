// The pictures of docs/dashboard.md, of a dashboard that runs: `npm start -- --rate 20`, then
// `node --conditions=source test/tools/screenshots.ts http://127.0.0.1:3000/observability docs/images [page ...]`.
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { chromium } from "playwright-core"

const [url, folder, ...pages] = process.argv.slice(2)
if (url === undefined || folder === undefined) {
  console.error("screenshots: give the address of the dashboard and a folder")
  process.exit(2)
}
mkdirSync(folder, { recursive: true })
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"] })
for (const colorScheme of ["light", "dark"] as const) {
  const page = await browser.newPage({ colorScheme, viewport: { width: 1280, height: 860 } })
  for (const name of pages.length === 0 ? ["overview"] : pages) {
    await page.goto(`${url}?page=${name === "trace" ? "traces&operation=POST%20/orders&order=slowest" : name}`)
    if (name === "trace") await page.locator("tbody a").first().click()
    await page.waitForTimeout(1_500)
    await page.screenshot({ path: join(folder, `dashboard-${name}-${colorScheme}.png`) })
  }
}
await browser.close()
