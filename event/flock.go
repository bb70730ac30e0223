package event

import "encoding/json"

// Flock is the data of an event of Flock, as its page documents it for invitee.accepted
// (https://withflock.com). Other events have the same members, as far as they are known.
type Flock struct {
	Name      string // invitee.accepted
	Entity    string // invitee
	EntityID  Text
	Timestamp json.Number // seconds since 1970
	Data      FlockData
	Rest      Rest
}

// FlockData is the member data. A pointer is nil if its member is missing or null.
type FlockData struct {
	CampaignID                    Text
	Referrer, Invitee             *FlockID
	ReferrerReward, InviteeReward *FlockID
	Rest                          Rest
}

// FlockID is a person, by the id that you gave it, or a reward.
type FlockID struct {
	ID   Text
	Rest Rest
}

// Flock reads the event's data. The error names the first member that is missing or isn't of the
// documented kind; the others are read all the same. Members that aren't documented are in Rest.
func (e *Event) Flock() (Flock, error) {
	o := openPayload(e.Data)
	f := Flock{
		Name:     o.take("name", aString),
		Entity:   o.take("entity", aString),
		EntityID: Text(o.take("entityId", aString, aNumber)), Timestamp: json.Number(o.take("timestamp", aNumber)),
	}
	if data := o.open("data"); data.Rest != nil {
		f.Data.CampaignID = Text(data.take("campaignId", aString, aNumber))
		f.Data.Invitee = data.flockID("invitee", f.Entity == "invitee")
		f.Data.Referrer = data.flockID("referrer", f.Entity == "referrer")
		f.Data.InviteeReward = data.flockID("inviteeReward", false)
		f.Data.ReferrerReward = data.flockID("referrerReward", false)
		f.Data.Rest = data.Rest
	}
	f.Rest = o.Rest
	return f, *o.drift
}

func (o object) flockID(name string, required bool) *FlockID {
	kinds := []string{missing, aNull}
	if required { // the event is about this person
		kinds = nil
	}
	inner := o.open(name, kinds...)
	if inner.Rest == nil {
		return nil
	}
	return &FlockID{Text(inner.take("id", aString, aNumber)), inner.Rest}
}
