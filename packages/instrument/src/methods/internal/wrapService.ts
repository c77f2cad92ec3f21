import * as Effect from "effect/Effect"
import { Method, type SpanOptions } from "./Method.ts"
import { kindOf } from "./kinds.ts"

export interface WrapOptions {
  /** What precedes the methods' names, without the dot. */
  readonly name: string
  readonly observes: (method: string) => boolean
  readonly attributes: ((method: string, args: ReadonlyArray<unknown>) => Readonly<Record<string, unknown>>) | undefined
}

/**
 * An object that stands for a service: of the same prototype, with the same members, of which the functions, Effects and Streams are
 * measured. Methods run on the service itself, so that private fields work; members that are neither are read from it and written to it.
 * The service is not touched: it may be frozen, and whoever holds it sees no difference.
 */
export const wrapService = (target: object, options: WrapOptions): object => {
  if (typeof target === "function") return wrapFunction(target as AnyFunction, undefined, new Method(options.name), options, options.name)
  const out: object = Object.create(Object.getPrototypeOf(target))
  for (const key of keysOf(target)) {
    const { descriptor, own } = key
    if (typeof key.name === "string" && options.observes(key.name)) {
      Object.defineProperty(out, key.name, observedProperty(target, key.name, descriptor, options))
    } else if (own || descriptor.get !== undefined || descriptor.set !== undefined || typeof descriptor.value === "function") {
      Object.defineProperty(out, key.name, forwarded(target, key.name, descriptor, own))
    }
  }
  return out
}

type AnyFunction = (...args: ReadonlyArray<unknown>) => unknown

interface Member {
  readonly name: string | symbol
  readonly descriptor: PropertyDescriptor
  readonly own: boolean
}

/** The members of an object and of its classes, the nearest of each name; `Object.prototype` and constructors left out. */
const keysOf = (target: object): ReadonlyArray<Member> => {
  const found = new Map<string | symbol, Member>()
  for (let at: object | null = target; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    const descriptors = Object.getOwnPropertyDescriptors(at) as Record<string | symbol, PropertyDescriptor>
    for (const name of Reflect.ownKeys(descriptors)) {
      if (name !== "constructor" && !found.has(name)) found.set(name, { name, descriptor: descriptors[name]!, own: at === target })
    }
  }
  return [...found.values()]
}

/** A member that is read where it is, each time: what a getter gives, or a field that is assigned later, is measured as well. */
const observedProperty = (target: object, name: string, descriptor: PropertyDescriptor, options: WrapOptions): PropertyDescriptor => {
  const method = new Method(`${options.name}.${name}`)
  let seen: unknown
  let shown: unknown
  return {
    configurable: true,
    enumerable: descriptor.enumerable ?? false,
    get: () => {
      const value = (target as Record<string, unknown>)[name]
      if (value !== seen || shown === undefined) {
        seen = value
        shown = observed(value, target, method, options, name)
      }
      return shown
    },
    ...(isWritable(descriptor) ? { set: (value: unknown) => void ((target as Record<string, unknown>)[name] = value) } : {})
  }
}

const forwarded = (target: object, name: string | symbol, descriptor: PropertyDescriptor, own: boolean): PropertyDescriptor => ({
  configurable: true,
  enumerable: descriptor.enumerable ?? false,
  get: () => {
    const value = (target as Record<string | symbol, unknown>)[name]
    // A method of a class runs on the service, whose private fields the wrapper does not have.
    return !own && typeof value === "function" && descriptor.value === value ? value.bind(target) : value
  },
  ...(isWritable(descriptor) ? { set: (value: unknown) => void ((target as Record<string | symbol, unknown>)[name] = value) } : {})
})

const isWritable = (descriptor: PropertyDescriptor): boolean => descriptor.set !== undefined || descriptor.writable === true

const observed = (value: unknown, target: object, method: Method, options: WrapOptions, name: string): unknown => {
  if (typeof value === "function") return isClass(value) ? value : wrapFunction(value as AnyFunction, target, method, options, name)
  return observeValue(value, method, undefined)
}

const observeValue = (value: unknown, method: Method, options: SpanOptions | undefined): unknown => {
  switch (kindOf(value)) {
    case "effect":
      return method.effect(value as never, options)
    case "stream":
      return method.stream(value as never, options)
    default:
      return value
  }
}

/**
 * A function whose Effects and Streams are measured; what else it returns, or throws, is passed on. As a proxy it keeps its name, length
 * and properties, and may still be called with `new`.
 */
const wrapFunction = (call: AnyFunction, target: object | undefined, method: Method, options: WrapOptions, name: string): AnyFunction =>
  new Proxy(call, {
    apply: (_, self, args: ReadonlyArray<unknown>) => {
      const { attributes } = options
      const result: unknown = Reflect.apply(call, target ?? self, args)
      return observeValue(result, method, attributes === undefined ? undefined : { attributes: () => attributes(name, args) })
    }
  })

/** A class, a tag or a schema that is a member: calling it is not what it is there for. */
const isClass = (value: Function): boolean =>
  Effect.isEffect(value) || Object.getOwnPropertyDescriptor(value, "prototype")?.writable === false
