package verify

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// Flock sends events of referral campaigns. A valid delivery has
//   - one X-Flock-Signature header, the HMAC-SHA256 in hexadecimal of S(body), as the code of
//     Flock's page computes it, or of S(timestamp) followed by S(data), as its prose says;
//   - a timestamp, a number of seconds, that is no further from now than the tolerance;
//   - a name;
//   - where name and entity are not signed, no contradiction with data, which is, and no member whose
//     name differs from one of those in case alone.
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

// flockMembers holds the members of a body that count, and of its data the ids of the two people.
type flockMembers struct {
	name, entity, entityID, timestamp, data, inviteeID, referrerID stringify.Text

	hasVariant bool // of the name of one of the body's members above
}

var flockNames = [][]byte{[]byte("timestamp"), []byte("data"), []byte("name"), []byte("entity"), []byte("entityId")}

func readFlock(body stringify.Text) (b flockMembers) {
	c := stringify.Cursor{Text: body}
	c.Object(func(name []byte) {
		switch string(name) {
		case "name":
			b.name = c.Value()
		case "entity":
			b.entity = c.Value()
		case "entityId":
			b.entityID = c.Value()
		case "timestamp":
			b.timestamp = c.Value()
		case "data":
			b.data = c.Object(func(name []byte) {
				switch string(name) {
				case "invitee":
					b.inviteeID = readID(&c)
				case "referrer":
					b.referrerID = readID(&c)
				}
			})
		default:
			b.hasVariant = b.hasVariant || isCaseVariant(name, flockNames)
		}
	})
	return b
}

// readID reads a value and returns its id.
func readID(c *stringify.Cursor) (id stringify.Text) {
	c.Object(func(name []byte) {
		if string(name) == "id" {
			id = c.Value()
		}
	})
	return id
}

// user is the id of the person whom the event is about.
func (b flockMembers) user() stringify.Text {
	switch string(b.entity.Inside()) {
	case "invitee":
		return b.inviteeID
	case "referrer":
		return b.referrerID
	}
	return nil
}

func verifyFlock(r Request) (Claims, error) {
	b := readFlock(r.Body)
	c, err := authenticateFlock(r, b)
	if err != nil {
		return Claims{}, err
	}
	var written string
	var room [40]byte
	occurred, ok := unixTime(b.timestamp)
	c.Name, c.Entity, c.EntityID, c.UserID, written = texts(b.name, b.entity, b.entityID, b.user(), occurred.AppendFormat(room[:0], time.RFC3339Nano))
	if c.Scheme == TimestampData {
		c.IDName = b.name.Inside()
	}

	untimely := error(nil)
	if ok {
		untimely = r.within(occurred, r.Tolerance)
	}
	if !b.name.IsString() || c.Name == "" {
		// The time is signed and the name may not be: to take it away doesn't make a stale delivery
		// into one that is answered 200.
		return c, cmp.Or(untimely, fmt.Errorf("%w: it has no name", Unreadable))
	}
	if c.Scheme == TimestampData {
		if err := b.agree(); err != nil {
			return c, err
		}
	}
	if !ok {
		return c, fmt.Errorf("%w: its timestamp is no number of seconds", Unreadable)
	}
	c.Occurred, c.Time = occurred, written
	return c, untimely
}

// authenticateFlock finds what was signed, and with which secret. To try both schemes is safe: the
// one signed text begins with { and the other never does, so neither can be passed off as the other.
func authenticateFlock(r Request, b flockMembers) (Claims, error) {
	signature, err := single(r.Signatures)
	if err != nil {
		return Claims{}, err
	}
	if signature == "" {
		return Claims{}, NoSignature
	}
	mac, ok := decodeHex(signature)
	if !ok {
		return Claims{}, MalformedSignature
	}
	macs := []mac256{mac}
	c, err := authenticate(r, macs, Payload, r.Body)
	if errors.Is(err, WrongSignature) && b.timestamp != nil && !b.timestamp.IsObject() && b.data.IsObject() {
		return authenticate(r, macs, TimestampData, b.timestamp, b.data)
	}
	return c, err
}

// agree holds what timestamp-data leaves unsigned against what it signs: entityId must be the
// id of data's member for the entity, where there is one, and the name must begin with the entity.
// Canonical texts are equal just when the values are.
func (b flockMembers) agree() error {
	if b.hasVariant {
		return errCaseVariant
	}
	first, _, _ := bytes.Cut(b.name.Inside(), []byte{'.'})
	if !b.entity.IsString() || !bytes.Equal(first, b.entity.Inside()) {
		return fmt.Errorf("%w: name and entity", Contradiction)
	}
	id := b.data.Member(string(b.entity.Inside())).Member("id")
	if id != nil && !bytes.Equal(id, b.entityID) {
		return fmt.Errorf("%w: entityId and data", Contradiction)
	}
	return nil
}
