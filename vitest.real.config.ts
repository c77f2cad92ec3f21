import { defineConfig } from "vitest/config"

// What `npm run test:real` runs: tests against servers that npm cannot install (Debian's Prometheus and friends).
export default defineConfig({
  resolve: { conditions: ["source"] },
  ssr: { resolve: { conditions: ["source"] } },
  test: {
    include: ["packages/*/test/**/*.real.test.ts", "test/**/*.real.test.ts"],
    testTimeout: 300_000,
    hookTimeout: 120_000,
    fileParallelism: false
  }
})
