import type { MetricFamily, MetricStore } from "@effect-observability/core"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { Aggregate, type AggregateOptions, type Source } from "./Aggregate.ts"
import type { Port } from "./ports.ts"
import { envelope, opened, type Report } from "./protocol.ts"
import { Reporter } from "./Reporter.ts"

interface Member {
  readonly port: Port
  /** The lowest number that was free when it came: few values, however often workers are started anew. */
  readonly slot: number
  /** By session: what each layer of the worker contributes, from its first word to its last. */
  readonly sources: Map<string, Source>
  /** The sessions that said their last word lately: nothing of them counts any more. */
  readonly ended: Set<string>
  /** The question it has not answered in full. */
  asked: number | undefined
  /** Whether it missed the last deadline. */
  late: boolean
  readonly leave: () => void
}

export interface PrimaryOptions extends AggregateOptions {
  readonly id: string
  /** Milliseconds a page waits for workers. */
  readonly deadline: number
  /** Milliseconds between two questions while nobody asks for a page. */
  readonly interval: number
}

/** Most layers of one worker: usually there is one. */
const maxSessions = 8

/** Asks all workers for what changed, adds it up, and does not wait long for any of them. */
export class Primary {
  private readonly options: PrimaryOptions
  private readonly aggregate: Aggregate
  private readonly own: Source
  private readonly reporter: Reporter
  private readonly members = new Set<Member>()
  private readonly bell: Queue.Queue<void>
  private waiting: Array<Deferred.Deferred<void>> = []
  private answered: Deferred.Deferred<void> | undefined
  private questions = 0

  private constructor(store: MetricStore, options: PrimaryOptions, bell: Queue.Queue<void>) {
    this.options = options
    this.aggregate = new Aggregate(options)
    this.own = this.aggregate.source("primary")
    this.reporter = new Reporter(store)
    this.bell = bell
  }

  static make(store: MetricStore, options: PrimaryOptions): Effect.Effect<Primary, never, Scope.Scope> {
    return Effect.gen(function*() {
      const primary = new Primary(store, options, yield* Queue.sliding<void>(1))
      yield* Effect.addFinalizer(() => Effect.sync(() => primary.members.forEach(({ leave }) => leave())))
      yield* Effect.forkScoped(primary.work)
      return primary
    })
  }

  /** Everything the workers have at this moment; of those that do not answer in time, what they said last. */
  readonly families: Effect.Effect<ReadonlyArray<MetricFamily>> = Effect.suspend(() => {
    const done = Deferred.makeUnsafe<void>()
    this.waiting.push(done)
    Queue.offerUnsafe(this.bell, undefined)
    // The round under way may have to end first; whatever happens to the loop, the page does not wait for ever.
    return Effect.as(Effect.timeoutOption(Deferred.await(done), 2 * this.options.deadline + 1_000), this.aggregate)
  }).pipe(Effect.map((aggregate) => aggregate.families()))

  /** Counts a worker in until the scope closes or its channel does. */
  attach(port: Port): Effect.Effect<void, never, Scope.Scope> {
    return Effect.asVoid(Effect.acquireRelease(Effect.sync(() => this.join(port)), ({ leave }) => Effect.sync(leave)))
  }

  /** Counts a worker in until its channel closes; one that is counted already is not counted twice. */
  join(port: Port): { readonly leave: () => void } {
    if ([...this.members].some((member) => member.port.of === port.of)) return { leave: () => {} }
    const leave = () => {
      for (const stop of stops) stop()
      this.members.delete(member)
      for (const session of member.sources.keys()) this.end(member, session)
      this.ring()
    }
    const member: Member = { port, slot: this.freeSlot(), sources: new Map(), ended: new Set(), asked: undefined, late: false, leave }
    this.members.add(member)
    const stops = [port.onMessage((message) => this.receive(member, message)), port.onClose(leave)]
    // It may have been there before us; one that comes later says so itself, and is asked again.
    this.ask(member, ++this.questions)
    return member
  }

  private freeSlot(): number {
    const taken = new Set([...this.members].map(({ slot }) => slot))
    let slot = 0
    while (taken.has(slot)) slot++
    return slot
  }

  /** In words what is wrong, if anything. */
  problem(): string | undefined {
    // One that never said a word may just not have our layer.
    const late = [...this.members].filter(({ late, sources }) => late && sources.size > 0).map(({ slot }) => slot)
    const problems = [
      ...late.length === 0 ? [] : [`no answer within ${this.options.deadline} ms from worker ${late.join(", ")}: what it said last is shown`],
      ...this.aggregate.problems()
    ]
    return problems.length === 0 ? undefined : problems.join("; ")
  }

  private receive(member: Member, message: unknown): void {
    const report = opened(message) as Report | undefined
    if (report === undefined || typeof report.session !== "string") return
    const { answers, final, session, to } = report
    if ((to !== undefined && to !== this.options.id) || member.ended.has(session)) return
    const source = member.sources.get(session) ?? this.begin(member, session)
    source.accept(report)
    if (final === true) {
      this.end(member, session)
      if (member.sources.size === 0) this.settle(member)
      member.port.post(envelope({ primary: this.options.id, received: session }))
    } else if (answers !== undefined && answers === member.asked) this.settle(member)
  }

  private begin(member: Member, session: string): Source {
    for (const oldest of member.sources.keys()) {
      if (member.sources.size < maxSessions) break
      this.end(member, oldest)
    }
    const source = this.aggregate.source(String(member.slot))
    member.sources.set(session, source)
    this.settle(member)
    this.ask(member, ++this.questions)
    return source
  }

  private end(member: Member, session: string): void {
    member.sources.get(session)?.end()
    member.sources.delete(session)
    member.ended.add(session)
    for (const oldest of member.ended) {
      if (member.ended.size <= maxSessions) break
      member.ended.delete(oldest)
    }
  }

  /** It owes no answer. */
  private settle(member: Member): void {
    member.asked = undefined
    member.late = false
    this.ring()
  }

  private ring(): void {
    if (this.answered !== undefined) Deferred.doneUnsafe(this.answered, Exit.void)
  }

  private readonly work: Effect.Effect<void> = Effect.suspend(() =>
    Effect.raceFirst(Queue.take(this.bell), Effect.sleep(this.options.interval)).pipe(
      Effect.andThen(Effect.suspend(() => this.round())),
      // An interruption of something in it too: when this fiber is interrupted, no handler runs.
      Effect.catchCause(() => Effect.void)
    )
  ).pipe(Effect.forever)

  /** One question to every worker, and the answers that come in time. */
  private round(): Effect.Effect<void> {
    const waiting = this.waiting
    this.waiting = []
    return Effect.gen({ self: this }, function*() {
      const question = ++this.questions
      yield* this.reporter.report((body) => Effect.sync(() => this.own.accept({ ...body, session: "" })), {})
      yield* Effect.timeoutOption(this.settled(question), this.options.deadline)
      for (const member of this.members) member.late = member.asked !== undefined
    }).pipe(Effect.ensuring(Effect.sync(() => {
      for (const done of waiting) Deferred.doneUnsafe(done, Exit.void)
    })))
  }

  /** Asks everybody; who still works on an older question may have looked at its store too early and is asked again. */
  private settled(question: number, known: ReadonlySet<Member> = new Set()): Effect.Effect<void> {
    return Effect.suspend(() => {
      const asked = new Set(known)
      for (const member of this.members) {
        if (member.asked !== undefined || asked.has(member)) continue
        asked.add(member)
        this.ask(member, question)
      }
      // Who was late before is not waited for: what it says counts when it comes.
      if ([...this.members].every((member) => member.asked === undefined || member.late)) return Effect.void
      const answered = this.answered = Deferred.makeUnsafe<void>()
      return Effect.andThen(Deferred.await(answered), this.settled(question, asked))
    })
  }

  private ask(member: Member, question: number): void {
    member.asked = question
    member.port.post(envelope({ primary: this.options.id, ask: question }))
  }
}
