import { PermanentError } from '@webhook-bridge/consumer'

// reward gives a point to the person who accepted an invitation: an effect that must not happen twice.
export function reward(db, event) {
  // With any other scheme the event's name is not signed: with an old delivery anybody can say that
  // something else happened.
  if (event.signed !== 'payload') throw new PermanentError(`what happened isn't signed, only ${event.signed}`)
  if (!event.userid) throw new PermanentError("it doesn't say whom it is about")
  db.prepare(`INSERT INTO points (userid, points) VALUES (?, 1)
    ON CONFLICT (userid) DO UPDATE SET points = points.points + 1`).run(event.userid)
}
