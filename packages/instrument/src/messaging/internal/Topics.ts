import type { ObservabilitySettings } from "@effect-observability/core"
import { Destinations } from "./Destinations.ts"
import { type Recorder, type Subscription, Topic } from "./Topic.ts"

/** Topics and their subscriptions, bounded by the budget of names. */
export class Topics {
  private readonly recorder: Recorder
  private readonly settings: () => ObservabilitySettings
  private readonly destinations: Destinations
  private readonly topics = new Map<string, Topic>()
  private readonly subscriptions = new Map<string, Subscription>()
  private readonly groups: Destinations
  private lastTopic: Topic | undefined
  private last: Subscription | undefined

  constructor(recorder: Recorder, settings: () => ObservabilitySettings, templates: ReadonlyArray<string>, budget: number, isTemporary: (topic: string) => boolean) {
    this.recorder = recorder
    this.settings = settings
    this.destinations = new Destinations(templates, isTemporary, budget)
    this.groups = new Destinations([], isTemporary, budget)
  }

  topic(name: unknown): Topic {
    const { lastTopic } = this
    if (lastTopic !== undefined && lastTopic.label === name) return lastTopic
    const destination = this.destinations.of(name)
    let topic = this.topics.get(destination.label)
    if (topic === undefined) this.topics.set(destination.label, topic = new Topic(this.recorder, this.settings().metrics.conventions, destination))
    return this.lastTopic = topic
  }

  subscription(name: unknown, group: string): Subscription {
    const topic = this.topic(name)
    const label = group === "" ? "" : this.groups.of(group).label
    const { last } = this
    if (last !== undefined && last.topic === topic && last.group === label) return last
    const key = JSON.stringify([topic.label, label])
    let subscription = this.subscriptions.get(key)
    if (subscription === undefined) this.subscriptions.set(key, subscription = topic.subscription(label))
    return this.last = subscription
  }
}
