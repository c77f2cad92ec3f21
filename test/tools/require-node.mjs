// Runs on any Node: says in one line what is missing when neither the machine's Node nor a bundled one is new enough.
const floor = [22, 19]
const [major, minor] = process.versions.node.split(".").map(Number)
if (major < floor[0] || (major === floor[0] && minor < floor[1])) {
  console.error(
    `effect-observability needs Node ${floor.join(".")} or newer, this is ${process.versions.node} and no bundled Node was installed: ` +
      "install Node 24, or run `npm ci` without --omit=optional on Linux (it brings Node 24 along)."
  )
  process.exit(1)
}
