// Poison is an event that no later try can handle.
export class Poison extends Error {}

// reward gives a point to the person that an accepted invitation is about: an effect that must not
// happen twice.
export function reward(db, event) {
  // With any other scheme the event's name is not signed: whoever holds an old delivery can say that
  // something else happened.
  if (event.signed !== 'payload') throw new Poison(`can't be handled: what happened isn't signed, only ${event.signed}`)
  const user = event.data?.data?.invitee?.id
  if (!user) throw new Error("it doesn't say whom it is about")
  db.prepare(`INSERT INTO points (userid, points) VALUES (?, 1)
    ON CONFLICT (userid) DO UPDATE SET points = points.points + 1`).run(user)
}
