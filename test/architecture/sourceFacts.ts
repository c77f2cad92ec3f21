import { parseAst } from "vitest/node"

/** One module named by a file, with the way it is named. */
export interface ImportFact {
  readonly specifier: string
  readonly line: number
  /** `type` is erased before running, `dynamic` is loaded only when reached. */
  readonly kind: "value" | "type" | "dynamic"
}

/** A use of time, chance, environment or terminal that goes past Effect's services. */
export interface GlobalFact {
  readonly name: string
  readonly line: number
}

export interface SourceFacts {
  readonly imports: ReadonlyArray<ImportFact>
  readonly globals: ReadonlyArray<GlobalFact>
}

export interface Node {
  readonly type: string
  readonly start: number
  readonly [key: string]: unknown
}

export const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && typeof (value as Node).type === "string"

/** The statements of a TypeScript module. */
export const statements = (text: string): ReadonlyArray<Node> =>
  parseAst(text, { lang: "ts" }).body as unknown as ReadonlyArray<Node>

const always: ReadonlySet<string> = new Set(["setTimeout", "setInterval", "setImmediate", "performance", "console"])

/** Expressions that only wear a type; everything else whose node type begins with TS holds no running code. */
const typedExpressions: ReadonlySet<string> = new Set([
  "TSAsExpression",
  "TSNonNullExpression",
  "TSSatisfiesExpression",
  "TSInstantiationExpression",
  "TSTypeAssertion",
  "TSExportAssignment",
  "TSParameterProperty",
  "TSModuleDeclaration",
  "TSModuleBlock"
])

/** What a file imports and which globals it touches; comments and strings do not count. */
export const sourceFacts = (text: string): SourceFacts => {
  const imports: Array<ImportFact> = []
  const globals: Array<GlobalFact> = []
  const lineOf = (node: Node) => text.slice(0, node.start).split("\n").length
  const found = (name: string, node: Node) => globals.push({ name, line: lineOf(node) })

  const addImport = (source: unknown, kind: ImportFact["kind"], node: Node) => {
    if (isNode(source) && typeof source["value"] === "string") imports.push({ specifier: source["value"], line: lineOf(node), kind })
  }

  const visit = (node: Node, parent: Node | undefined): void => {
    switch (node.type) {
      case "ImportDeclaration": {
        addImport(node["source"], isTypeOnly(node, "importKind") ? "type" : "value", node)
        if (/^(node:)?process$/.test(String((node["source"] as Node)["value"])) && importedNames(node).includes("env")) found("process.env", node)
        return
      }
      case "ExportNamedDeclaration":
      case "ExportAllDeclaration":
        addImport(node["source"], isTypeOnly(node, "exportKind") ? "type" : "value", node)
        break
      case "ImportExpression":
        addImport(node["source"], "dynamic", node)
        break
      case "TSImportType":
        addImport(node["source"], "type", node)
        return
      case "TSImportEqualsDeclaration":
        addImport((node["moduleReference"] as Node)["expression"], "value", node)
        return
      case "CallExpression":
        if (nameOf(node["callee"]) === "require") addImport((node["arguments"] as ReadonlyArray<unknown>)[0], "value", node)
        break
      case "MemberExpression": {
        const object = nameOf(node["object"])
        const property = propertyOf(node)
        if (object === "globalThis" && property !== undefined && (always.has(property) || property === "Date")) found(property, node)
        if (object === "Math" && property === "random") found("Math.random", node)
        if (object === "process" && property === "env") found("process.env", node)
        if (node["computed"] !== true) {
          visit(node["object"] as Node, node)
          return
        }
        break
      }
      case "VariableDeclarator": {
        const init = nameOf(node["init"])
        for (const key of patternKeys(node["id"])) {
          if (init === "process" && key === "env") found("process.env", node)
          if (init === "Math" && key === "random") found("Math.random", node)
        }
        break
      }
      case "Property":
      case "PropertyDefinition":
      case "MethodDefinition":
        if (node["computed"] !== true) {
          if (isNode(node["value"])) visit(node["value"], node)
          return
        }
        break
      case "Identifier": {
        const name = node["name"] as string
        if (always.has(name)) found(name, node)
        if (name === "Date" && !harmlessDate(node, parent)) found("Date", node)
        typeImports(node["typeAnnotation"])
        return
      }
    }
    for (const value of Object.values(node)) {
      for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) enter(child, node)
    }
  }

  const enter = (node: Node, parent: Node): void => {
    if (node.type.startsWith("TS") && node.type !== "TSImportType" && node.type !== "TSImportEqualsDeclaration" && !typedExpressions.has(node.type)) {
      typeImports(node)
    } else {
      visit(node, parent)
    }
  }

  /** Inside a type only `import("…")` matters. */
  const typeImports = (value: unknown): void => {
    if (Array.isArray(value)) return value.forEach(typeImports)
    if (!isNode(value)) return
    if (value.type === "TSImportType") addImport(value["source"], "type", value)
    for (const child of Object.values(value)) typeImports(child)
  }

  for (const statement of statements(text)) enter(statement, statement)
  return { imports, globals }
}

const nameOf = (node: unknown): string | undefined =>
  isNode(node) && node.type === "Identifier" ? (node["name"] as string) : undefined

const propertyOf = (node: Node): string | undefined => {
  const property = node["property"]
  if (!isNode(property)) return undefined
  return node["computed"] === true ? (typeof property["value"] === "string" ? property["value"] : undefined) : nameOf(property)
}

const patternKeys = (pattern: unknown): ReadonlyArray<string> =>
  isNode(pattern) && pattern.type === "ObjectPattern"
    ? (pattern["properties"] as ReadonlyArray<Node>).flatMap((property) => nameOf(property["key"]) ?? [])
    : []

const importedNames = (node: Node): ReadonlyArray<string> =>
  (node["specifiers"] as ReadonlyArray<Node>).flatMap((specifier) => nameOf(specifier["imported"]) ?? [])

/** `import type …`, or every name in the braces marked `type`. */
const isTypeOnly = (node: Node, key: "importKind" | "exportKind"): boolean => {
  if (node[key] === "type") return true
  const specifiers = (node["specifiers"] ?? []) as ReadonlyArray<Node>
  return specifiers.length > 0 && specifiers.every((specifier) => specifier[key] === "type")
}

/** `new Date(value)`, `Date.UTC`, `Date.parse` and `instanceof Date` compute; only `Date.now` and `new Date()` read the clock. */
const harmlessDate = (node: Node, parent: Node | undefined): boolean => {
  if (parent === undefined) return false
  if (parent.type === "NewExpression") return parent["callee"] === node && (parent["arguments"] as ReadonlyArray<unknown>).length > 0
  if (parent.type === "MemberExpression") return ["UTC", "parse", "prototype"].includes(propertyOf(parent) ?? "")
  return parent.type === "BinaryExpression" && parent["operator"] === "instanceof"
}
