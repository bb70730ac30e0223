package flock

import (
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

const (
	anID     = verify.String | verify.Number
	anObject = verify.Composite | verify.Optional
)

// drift returns the first member that isn't as Flock's page documents it for invitee.accepted. Of
// any event it is known that data has the person whom the entity names.
func (b *members) drift() string {
	invitee, referrer := anObject, anObject
	switch string(b.entity.Inside()) {
	case "invitee":
		invitee = verify.Composite
	case "referrer":
		referrer = verify.Composite
	}
	return verify.Drift(
		verify.Expected{Name: "name", Is: verify.KindOf(b.name), MayBe: verify.String},
		verify.Expected{Name: "entity", Is: verify.KindOf(b.entity), MayBe: verify.String},
		verify.Expected{Name: "entityId", Is: verify.KindOf(b.entityID), MayBe: anID},
		verify.Expected{Name: "timestamp", Is: verify.KindOf(b.timestamp), MayBe: verify.Number},
		verify.Expected{Name: "data", Is: verify.KindOf(b.data), MayBe: verify.Composite},
		verify.Expected{Name: "data.campaignId", Is: b.campaignID, MayBe: anID},
		verify.Expected{Name: "data.invitee", Is: b.invitee, MayBe: invitee},
		verify.Expected{Name: "data.invitee.id", Is: verify.KindOf(b.inviteeID), MayBe: idIn(b.invitee)},
		verify.Expected{Name: "data.referrer", Is: b.referrer, MayBe: referrer},
		verify.Expected{Name: "data.referrer.id", Is: verify.KindOf(b.referrerID), MayBe: idIn(b.referrer)},
		verify.Expected{Name: "data.inviteeReward", Is: b.inviteeReward, MayBe: anObject},
		verify.Expected{Name: "data.inviteeReward.id", Is: b.inviteeRewardID, MayBe: idIn(b.inviteeReward)},
		verify.Expected{Name: "data.referrerReward", Is: b.referrerReward, MayBe: anObject},
		verify.Expected{Name: "data.referrerReward.id", Is: b.referrerRewardID, MayBe: idIn(b.referrerReward)},
	)
}

// idIn returns what the id in a value of that kind may be: an object has one.
func idIn(parent verify.Kinds) verify.Kinds {
	if parent == verify.Composite {
		return anID
	}
	return anID | verify.Optional
}

func kindsOf(id stringify.Text, is verify.Kinds) (ofID, of verify.Kinds) {
	return verify.KindOf(id), is
}
