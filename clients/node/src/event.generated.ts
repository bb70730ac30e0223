// Made from docs/event.schema.json: npm run generate.

/** An event of the bridge: a CloudEvent 1.0, with the whole body of the vendor as data. */
export interface Event {
  /** The version of CloudEvents. */ specversion: "1.0"
  /** The same for every delivery of the same event; also the message's Nats-Msg-Id. It is the first 16 bytes of a SHA-256 over the endpoint and what was signed. Remember it, so that you act once. */ id: string
  /** The path of the endpoint that received it: /webhooks/{endpoint}. */ source: string
  /** What happened: a prefix for the vendor (Flock: com.withflock.) and event. */ type: string
  /** What it is about: {entity}/{entityid}, if it has both. */ subject?: string
  /** When it happened, as the vendor says. Flock: timestamp, in UTC. Frigade: time, as sent, in any zone; not signed where signed is data. Other providers: what the endpoint's TIMESTAMP names. */ time?: string
  /** The type of data. */ datacontenttype: "application/json"
  /** The vendor. */ provider: "flock" | "frigade" | "standard-webhooks" | "github" | "stripe" | "slack" | "shopify" | "hmac" | (string & {})
  /** The vendor's name of the event, as sent. _ replaces characters that CloudEvents' strings can't hold. Vendors add names. */ event: string
  /** The kind of thing it is about. Flock: entity. Frigade: the first token of type. */ entity?: string
  /** That thing's id. Flock: entityId. Frigade: data.id. */ entityid?: string
  /** Your own id of the person it is about. Flock: data.invitee.id or data.referrer.id, as entity says. Frigade: data.foreignUserId, else data.userId. Other providers: what the endpoint's USER names. Always text, also if the vendor sent a number. */ userid?: string
  /** When the bridge received it: UTC, with milliseconds. */ receivedtime: string
  /** What the vendor's signature covers. payload: the whole body. timestamp-data: Flock's timestamp and data. data: Frigade's data. body: the whole body, but no time (other providers). An attacker who has the delivery can change the rest. */ signed: "payload" | "timestamp-data" | "data" | "body" | (string & {})
  /** CloudEvents' distributed tracing extension, if tracing is on. */ traceparent?: string
  /** CloudEvents' distributed tracing extension; only with traceparent. */ tracestate?: string
  /** The vendor's whole body, as JavaScript's JSON.stringify writes it. If the vendor signed other bytes, it is the body as it came, without the white space between tokens. Its members are the vendor's; most vendors have a member data of their own. */ data: Record<string, unknown>
}

/** What an event has beside its data. All are texts. */
export const attributes: readonly string[] = ["specversion","id","source","type","subject","time","datacontenttype","provider","event","entity","entityid","userid","receivedtime","signed","traceparent","tracestate"]

/** What every event has. */
export const required: readonly string[] = ["specversion","id","source","type","datacontenttype","provider","event","receivedtime","signed","data"]
