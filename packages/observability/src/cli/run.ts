import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Process from "node:process"
import { doctor, saysItself } from "./doctor.ts"
import { CommandError, OutOfDate } from "./CommandError.ts"
import { generate } from "./generate.ts"

const command = Command.make("effect-observability").pipe(
  Command.withDescription("Tools around observability for Effect programs"),
  Command.withSubcommands([doctor, generate])
)

/** An unknown flag, subcommand or value. Usage and reason are told by then; 1 would say that something was found. */
class Usage extends Schema.TaggedError<Usage>()("Usage", {}) {
  override readonly [Runtime.errorReported] = false
  override readonly [Runtime.errorExitCode] = 2
}

Command.run(command, { version: "0.1.0" }).pipe(
  Effect.tapError((error) => error instanceof CommandError || error instanceof OutOfDate || saysItself(error) ? Console.error(error.message) : Effect.void),
  Effect.mapError((error) => CliError.isCliError(error) && error._tag === "ShowHelp" && error.errors.length > 0 ? new Usage() : error),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({
    // The modules of `--definitions` may have started something that would keep the process alive.
    teardown: (exit, onExit) => Runtime.defaultTeardown(exit, (code) => Process.stdout.write("", () => code === 0 ? Process.exit(0) : onExit(code)))
  })
)
