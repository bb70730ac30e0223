package verify

import (
	"bytes"
	"fmt"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// Flock sends events of referral campaigns. A valid delivery has
//   - one X-Flock-Signature header, the HMAC-SHA256 in hexadecimal of S(body), as the code of
//     Flock's page computes it, or of S(timestamp) followed by S(data), as its prose says;
//   - a timestamp, a number of seconds, that is no further from now than the tolerance;
//   - a name;
//   - where name and entity are not signed, no contradiction with data, which is.
//
// Flock never retries.
var Flock = Provider{
	Name:       "flock",
	TypePrefix: "com.withflock.",
	Header:     "X-Flock-Signature",
	Schemes:    []string{Auto, Payload, TimestampData},
	Tolerance:  5 * time.Minute,
	Verify:     verifyFlock,
}

func verifyFlock(r Request) (Claims, error) {
	c, err := authenticateFlock(r)
	if err != nil {
		return Claims{}, err
	}
	data, name, entity := r.Body.Member("data"), r.Body.Member("name"), r.Body.Member("entity")
	c.Name = text(name)
	c.Entity = text(entity)
	c.EntityID = text(r.Body.Member("entityId"))
	if c.Entity == "invitee" || c.Entity == "referrer" {
		c.UserID = text(data.Member(c.Entity).Member("id"))
	}
	if c.Scheme == TimestampData {
		c.IDName = name.Inside()
	}

	if !name.IsString() || c.Name == "" {
		return c, fmt.Errorf("%w: it has no name", Unreadable)
	}
	if c.Scheme == TimestampData {
		if err := agreeFlock(r.Body, data, name, entity); err != nil {
			return c, err
		}
	}
	occurred, ok := unixTime(r.Body.Member("timestamp"))
	if !ok {
		return c, fmt.Errorf("%w: its timestamp is no number of seconds", Unreadable)
	}
	c.Occurred, c.Time = occurred, occurred.Format(time.RFC3339Nano)
	return c, r.within(occurred, r.Tolerance)
}

// authenticateFlock finds what was signed, and with which secret. To try both schemes is safe: the
// one signed text begins with { and the other never does, so neither can be passed off as the other.
func authenticateFlock(r Request) (Claims, error) {
	signature, err := single(r.Signatures)
	if err != nil {
		return Claims{}, err
	}
	if signature == "" {
		return Claims{}, NoSignature
	}
	mac := decodeHex(signature)
	if mac == nil {
		return Claims{}, MalformedSignature
	}
	possible := []Claims{{Scheme: Payload, SignedText: [][]byte{r.Body}}}
	timestamp, data := r.Body.Member("timestamp"), r.Body.Member("data")
	if timestamp != nil && !timestamp.IsObject() && data.IsObject() {
		possible = append(possible, Claims{Scheme: TimestampData, SignedText: [][]byte{timestamp, data}})
	}
	return authenticate(r, [][]byte{mac}, possible)
}

// agreeFlock holds what timestamp-data leaves unsigned against what it signs: entityId must be the
// id of data's member for the entity, where there is one, and the name must begin with the entity.
// Canonical texts are equal just when the values are.
func agreeFlock(body, data, name, entity stringify.Text) error {
	first, _, _ := bytes.Cut(name.Inside(), []byte{'.'})
	if !entity.IsString() || !bytes.Equal(first, entity.Inside()) {
		return fmt.Errorf("%w: name and entity", Contradiction)
	}
	id := data.Member(string(entity.Inside())).Member("id")
	if id != nil && !bytes.Equal(id, body.Member("entityId")) {
		return fmt.Errorf("%w: entityId and data", Contradiction)
	}
	return nil
}
