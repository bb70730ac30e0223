package flock

import (
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// The members of a body, as Flock's page documents them for invitee.accepted.
const (
	name = iota
	entity
	entityID
	timestamp
	data
	campaignID
	invitee
	inviteeID
	referrer
	referrerID
)

const (
	anID     = verify.String | verify.Number
	anObject = verify.Composite | verify.Optional
)

var shape = verify.Shape{
	name:       {Path: "name", MayBe: verify.String},
	entity:     {Path: "entity", MayBe: verify.String},
	entityID:   {Path: "entityId", MayBe: anID},
	timestamp:  {Path: "timestamp", MayBe: verify.Number},
	data:       {Path: "data", MayBe: verify.Composite},
	campaignID: {Path: "data.campaignId", MayBe: anID},
	invitee:    {Path: "data.invitee", MayBe: anObject},
	inviteeID:  {Path: "data.invitee.id", MayBe: anID},
	referrer:   {Path: "data.referrer", MayBe: anObject},
	referrerID: {Path: "data.referrer.id", MayBe: anID},
	{Path: "data.inviteeReward", MayBe: anObject},
	{Path: "data.inviteeReward.id", MayBe: anID},
	{Path: "data.referrerReward", MayBe: anObject},
	{Path: "data.referrerReward.id", MayBe: anID},
}

// drift returns the first member that isn't as documented. In every event, data has the person that
// entity names.
func drift(m []stringify.Text) string {
	if drifted := shape.Drift(m); drifted != "" {
		return drifted
	}
	for _, person := range []int{invitee, referrer} {
		path := shape[person].Path
		if path[len("data."):] == string(m[entity].Inside()) && !m[person].IsObject() {
			return path
		}
	}
	return ""
}
