// `npm run build`: the page's script and style into dist/page, for those who install the package.
import { mkdir, writeFile } from "node:fs/promises"
import { resolve } from "node:path"
import { bundle } from "./bundle.ts"

const { script, style } = await bundle(resolve(import.meta.dirname, "../web"))
const folder = resolve(import.meta.dirname, "../dist/page")
await mkdir(folder, { recursive: true })
await writeFile(`${folder}/page.js`, script)
await writeFile(`${folder}/page.css`, style)
