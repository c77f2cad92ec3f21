import { defineConfig } from "vitest/config"

// What `npm test` runs: everything that needs npm packages only (the database is embedded PostgreSQL).
export default defineConfig({
  resolve: { conditions: ["source"] },
  ssr: { resolve: { conditions: ["source"] } },
  test: {
    include: ["packages/*/test/**/*.test.ts", "test/**/*.test.ts", "examples/*/test/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/*.real.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000
  }
})
