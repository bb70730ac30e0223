import type { Event } from './event.generated.js'

type Known<T> = T & Record<string, unknown>

type Id = string | number | null // a number of more than 15 digits is rounded; event.userid and event.entityid aren't

/** A body of Flock's, as invitee.accepted is documented. Other events have other members in data. */
export type FlockBody = Known<{
  name: string
  entity?: string
  entityId?: Id
  timestamp: number // seconds since 1970
  data: Known<{ campaignId?: Id } & Partial<Record<'referrer' | 'invitee' | 'inviteeReward' | 'referrerReward', Known<{ id?: Id }> | null>>>
}>

/** A body of Frigade's flow responses, older or newer. `time` isn't signed where the event's `signed` is `data`. */
export type FrigadeBody = Known<{
  type: string
  time: string
  data: Known<Partial<Record<'id' | 'flowId' | 'flowSlug' | 'stepId' | 'userSlug' | 'foreignUserId' | 'actionType' | 'createdAt', string | null>> & {
    userId?: Id // Frigade's number of the user; in older bodies your own id
  }>
  user?: Known<{ id?: Id }> | null
  flow?: Known<{ id?: Id }> | null
}>

const isObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Reports whether the event is Flock's, with the members that each of its bodies has. */
export function isFlock(event: Event): event is Event & { data: FlockBody } {
  const { provider, data } = event
  return provider === 'flock' && typeof data?.name === 'string' && typeof data.timestamp === 'number' && isObject(data.data)
}

/** Reports whether the event is Frigade's, with the members that each of its bodies has. */
export function isFrigade(event: Event): event is Event & { data: FrigadeBody } {
  const { provider, data } = event
  return provider === 'frigade' && typeof data?.type === 'string' && typeof data.time === 'string' && isObject(data.data)
}
