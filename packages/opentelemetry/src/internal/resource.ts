import type { ServiceResource } from "@effect-observability/core"
import * as Os from "node:os"
import * as Process from "node:process"
import { version } from "./version.ts"

/**
 * Who speaks, in OpenTelemetry's words (semantic conventions: service, deployment, host, process, telemetry). No command line and no user
 * name: they may hold secrets. What is empty is left out; `more` has the last word.
 */
export const resourceAttributes = (who: ServiceResource, more: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => {
  const all: Record<string, unknown> = {
    "service.name": who.service,
    "service.version": who.version,
    "service.instance.id": who.instance,
    "deployment.environment.name": who.env,
    "k8s.cluster.name": who.cluster,
    "host.name": hostname(),
    "host.arch": arches[Process.arch] ?? Process.arch,
    "os.type": Process.platform === "win32" ? "windows" : Process.platform,
    "process.pid": Process.pid,
    "process.runtime.name": "nodejs",
    "process.runtime.version": Process.versions.node,
    "telemetry.sdk.name": "effect-observability",
    "telemetry.sdk.language": "nodejs",
    "telemetry.sdk.version": version,
    ...more
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== "" && value !== undefined))
}

const arches: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64", arm: "arm32", ia32: "x86", ppc64: "ppc64", s390x: "s390x" }

const hostname = (): string => {
  try {
    return Os.hostname()
  } catch {
    return ""
  }
}
