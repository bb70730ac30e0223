// Package flock verifies and makes the webhooks of Flock.
package flock

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// The schemes.
const (
	Payload       = verify.Payload   // S(body), as in the code on Flock's page
	TimestampData = "timestamp-data" // S(timestamp) followed by S(data), as in its prose
)

var (
	//go:embed samples/01-invitee.accepted-docs.json
	accepted string
	//go:embed samples/04-referrer.visited-environment.json
	visited string
	//go:embed samples/06-referrer.reward_claimed.json
	claimed string
)

// Provider is Flock, which sends events of referral campaigns. A valid delivery has
//   - one X-Flock-Signature header with the HMAC-SHA256, in hexadecimal, of a scheme's signed text;
//   - a timestamp in seconds that differs from now by at most the tolerance;
//   - a name;
//   - if name and entity aren't signed: no contradiction between them and the signed data, and no
//     member whose name differs from theirs in case alone.
//
// Flock never retries.
var Provider = verify.Provider{
	Name:       "flock",
	Title:      "Flock",
	TypePrefix: "com.withflock.",
	Events: []string{
		"invitee.accepted", "invitee.reward_claimed", "invitee.rewarded", "invitee.visited",
		"referrer.reward_claimed", "referrer.rewarded", "referrer.visited", "campaign.ended", "campaign.launched",
	},
	Samples: []string{accepted, visited, claimed},
	Colour:  [2]string{"#0b6660", "#5ecfc3"},
	Signature: verify.Signature{
		Header:  "X-Flock-Signature",
		Format:  verify.Format{Encodings: []verify.Encoding{verify.Hex}},
		Schemes: []verify.Scheme{{Name: Payload}, {Name: TimestampData, Members: []string{"timestamp", "data"}}},
		Auto:    true, // the signed text of one scheme begins with {, and that of the other never does
	},
	Read:    read,
	Time:    verify.Time{Unit: verify.Seconds, Member: "timestamp", Tolerance: 5 * time.Minute},
	Compose: compose,
}

const (
	anID     = verify.String | verify.Number
	anObject = verify.Object | verify.Optional
)

// The members of a body, as Flock's page documents them for invitee.accepted.
var (
	paths      verify.Paths
	name       = paths.Add("name", verify.String)
	entity     = paths.Add("entity", verify.String)
	entityID   = paths.Add("entityId", anID)
	timestamp  = paths.Add("timestamp", verify.Number)
	data       = paths.Add("data", verify.Object)
	_          = paths.Add("data.campaignId", anID)
	invitee    = paths.Add("data.invitee", anObject)
	inviteeID  = paths.Add("data.invitee.id", anID)
	referrer   = paths.Add("data.referrer", anObject)
	referrerID = paths.Add("data.referrer.id", anID)
	_          = paths.Add("data.inviteeReward", anObject)
	_          = paths.Add("data.inviteeReward.id", anID)
	_          = paths.Add("data.referrerReward", anObject)
	_          = paths.Add("data.referrerReward.id", anID)
)

// people maps the entities that are persons to the paths of the person and its id. In every event, data
// has the person that entity names.
var people = map[string]struct{ person, id int }{"invitee": {invitee, inviteeID}, "referrer": {referrer, referrerID}}

func read(r verify.Request, c verify.Claims) (verify.Claims, error) {
	body, sent := paths.Both(r, c)
	c.Drift = paths.Drift(body)
	c.Name, c.Entity, c.EntityID = verify.TextOf(body[name]), verify.TextOf(sent[entity]), verify.TextOf(sent[entityID])
	if of, isPerson := people[c.Entity]; isPerson {
		c.UserID = verify.TextOf(sent[of.id])
		if c.Drift == "" && !body[of.person].IsObject() {
			c.Drift = "data." + c.Entity
		}
	}
	isNamed := body[name].IsString() && c.Name != ""
	isTimed := false
	if isNamed || c.Scheme == TimestampData { // removing the unsigned name must not turn a stale delivery into a 200
		c.Occurred, c.Time, isTimed = verify.Seconds.Parse(body[timestamp])
	}
	if c.Scheme == TimestampData {
		c.IDName = body[name].Inside()
		if err := agree(r.Body, body, sent); err != nil {
			return c, err
		}
	}
	switch {
	case !isNamed:
		return c, fmt.Errorf("%w: it has no name", verify.Unreadable)
	case !isTimed:
		return c, fmt.Errorf("%w: its timestamp is not a number of seconds", verify.Unreadable)
	}
	return c, nil
}

// agree compares the members that timestamp-data doesn't sign with those that it does: entityId must be
// the id in data's member for the entity, if there is one, and a name must begin with the entity.
// Canonical texts are equal if and only if the values are. But two different numbers may become one
// double: in a body that was signed as it was sent, ids that are numbers must also be equal as sent.
func agree(whole stringify.Text, body, sent []stringify.Text) error {
	if err := verify.CheckNames(whole, "timestamp", "data", "name", "entity", "entityId"); err != nil {
		return err
	}
	if text := body[name].Inside(); len(text) > 0 {
		first, _, _ := bytes.Cut(text, []byte{'.'})
		if !body[entity].IsString() || !bytes.Equal(first, body[entity].Inside()) {
			return fmt.Errorf("%w: name and entity", verify.Contradiction)
		}
	}
	idIn := func(of []stringify.Text) stringify.Text { return of[data].Member(body[entity].String()).Member("id") }
	id := idIn(body)
	if id != nil && (!bytes.Equal(id, body[entityID]) || !id.IsString() && !bytes.Equal(idIn(sent), sent[entityID])) {
		return fmt.Errorf("%w: entityId and data", verify.Contradiction)
	}
	return nil
}

func compose(event, id string, data stringify.Text) []byte {
	entity, _, _ := strings.Cut(event, ".")
	if data == nil {
		data = fmt.Appendf(nil, `{"campaignId":"campaign_12345",%s:{"id":%s}}`, verify.Quoted(entity), verify.Quoted(id))
	}
	entityID := data.Member(entity).Member("id")
	if entityID == nil {
		entityID = verify.Quoted(id)
	}
	return fmt.Appendf(nil, `{"name":%s,"entity":%s,"entityId":%s,"data":%s,"timestamp":0}`,
		verify.Quoted(event), verify.Quoted(entity), []byte(entityID), []byte(data))
}
