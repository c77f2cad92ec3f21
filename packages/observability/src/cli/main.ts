#!/usr/bin/env node
import * as Process from "node:process"

// The command line stands on an optional peer: without it the user reads what to install, not a stack.
try {
  await import("./run.ts")
} catch (error) {
  const missing = /Cannot find (?:package|module) '(effect|@effect\/platform-node)[/']/.exec((error as Error).message)
  if (missing === null) throw error
  Process.stderr.write(`npm install --save-dev @effect/platform-node@4.1.0 (${missing[1]} is not installed)\n`)
  Process.exit(2)
}
