import { readFileSync } from "node:fs"
import * as Path from "node:path"
import { isNode, type Node, statements } from "../architecture/sourceFacts.ts"

/** A name a module exports: a value, a type, or both (`value` wins); `members` when it is a namespace of another module. */
interface Export {
  readonly kind: "value" | "type"
  readonly members?: ReadonlyMap<string, Export>
}

type Exports = Map<string, Export>

/** Every public name behind an entry file, one per line, sorted: `MetricDefinition.counter`, `type MetricFrame`. */
export const publicNames = (entry: string): ReadonlyArray<string> => render(exportsOf(entry, new Map()), "").toSorted()

const render = (exports: ReadonlyMap<string, Export>, prefix: string): ReadonlyArray<string> =>
  [...exports].flatMap(([name, { kind, members }]) =>
    members === undefined ? [`${kind === "type" ? "type " : ""}${prefix}${name}`] : render(members, `${prefix}${name}.`)
  )

const exportsOf = (file: string, seen: Map<string, Exports>): Exports => {
  const known = seen.get(file)
  if (known !== undefined) return known
  const out: Exports = new Map()
  seen.set(file, out)
  const add = (name: string, found: Export) => {
    if (out.get(name)?.kind !== "value") out.set(name, found)
  }
  const body = statements(readFileSync(file, "utf8"))
  const imported = importedNames(body)
  const target = (source: string): Exports =>
    source.startsWith(".") ? exportsOf(Path.resolve(Path.dirname(file), source), seen) : new Map([[`* from ${source}`, { kind: "value" }]])

  for (const node of body) {
    const typeOnly = node["exportKind"] === "type"
    const as = (found: Export): Export => (typeOnly ? { ...found, kind: "type" } : found)
    if (node.type === "ExportAllDeclaration") {
      const from = target(sourceOf(node))
      if (isNode(node["exported"])) {
        add(text(node["exported"]), as({ kind: "value", members: from }))
      } else {
        for (const [name, found] of from) if (name !== "default") add(name, as(found))
      }
    } else if (node.type === "ExportDefaultDeclaration") {
      add("default", { kind: "value" })
    } else if (node.type === "ExportNamedDeclaration" && isNode(node["declaration"])) {
      for (const name of declaredNames(node["declaration"])) add(name, { kind: isType(node["declaration"]) ? "type" : "value" })
    } else if (node.type === "ExportNamedDeclaration") {
      for (const specifier of node["specifiers"] as ReadonlyArray<Node>) {
        const local = text(specifier["local"])
        const from = isNode(node["source"]) ? target(sourceOf(node)).get(local) : (localExport(body, local) ?? imported.get(local))
        const found = as(from ?? { kind: "value" })
        add(text(specifier["exported"]), specifier["exportKind"] === "type" ? { ...found, kind: "type" } : found)
      }
    }
  }
  return out
}

const sourceOf = (node: Node): string => (node["source"] as Node)["value"] as string

const text = (node: unknown): string => {
  if (!isNode(node)) return ""
  return String(node["name"] ?? node["value"])
}

const isType = (declaration: Node): boolean =>
  declaration.type === "TSInterfaceDeclaration" || declaration.type === "TSTypeAliasDeclaration" ||
  (declaration.type === "TSModuleDeclaration" && declaration["declare"] === true)

const declaredNames = (declaration: Node): ReadonlyArray<string> =>
  declaration.type === "VariableDeclaration"
    ? (declaration["declarations"] as ReadonlyArray<Node>).flatMap((one) => patternNames(one["id"]))
    : [text(declaration["id"])]

const patternNames = (pattern: unknown): ReadonlyArray<string> => {
  if (!isNode(pattern)) return []
  if (pattern.type === "ObjectPattern") return (pattern["properties"] as ReadonlyArray<Node>).flatMap((p) => patternNames(p["value"]))
  if (pattern.type === "ArrayPattern") return (pattern["elements"] as ReadonlyArray<unknown>).flatMap(patternNames)
  return [text(pattern)]
}

const localExport = (body: ReadonlyArray<Node>, name: string): Export | undefined => {
  const declaring = body.filter((node) => node["id"] !== undefined || node.type === "VariableDeclaration").filter((node) => declaredNames(node).includes(name))
  if (declaring.length === 0) return undefined
  return { kind: declaring.every(isType) ? "type" : "value" }
}

/** Names that came in by an import and may be exported again. */
const importedNames = (body: ReadonlyArray<Node>): Exports =>
  new Map(body.filter((node) => node.type === "ImportDeclaration").flatMap((node) =>
    (node["specifiers"] as ReadonlyArray<Node>).map((specifier) => {
      const typeOnly = node["importKind"] === "type" || specifier["importKind"] === "type"
      return [text(specifier["local"]), { kind: typeOnly ? "type" : "value" }] as const
    })
  ))
