package verify

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
)

// Frigade sends events of product onboarding. A valid delivery has
//   - a signature, the HMAC-SHA256 in hexadecimal, as the prose of Frigade's page says, or in base64,
//     as its code has it; in at most one X-Webhook-Signature header or in the body's member
//     signature, or in both, of which either may match;
//   - a data object that isn't empty. The signature is over S(data), or over S(body), in the header
//     only, where the endpoint is set to that. The two are never guessed: a user can write into
//     data, so a signed data could be replayed as a payload;
//   - a type, and a time in RFC 3339 that is not older than the tolerance;
//   - where type and time are not signed, no contradiction with data.actionType, no member whose
//     name differs from one of those in case alone, and a data.createdAt, if any, that is not older
//     than the tolerance either.
//
// Frigade retries five times, with growing pauses.
var Frigade = Provider{
	Name:       "frigade",
	TypePrefix: "com.frigade.",
	Header:     "X-Webhook-Signature",
	Schemes:    []string{Data, Payload},
	Freshness:  []string{FreshnessSigned, FreshnessTime},
	Tolerance:  24 * time.Hour,
	Ahead:      frigadeAhead,
	Verify:     verifyFrigade,
}

// frigadeAhead is how far Frigade's time may lie in the future: two clocks' difference.
const frigadeAhead = 5 * time.Minute

// frigadeActions is the first token of the type of what has an actionType.
const frigadeActions = "flowResponse"

// frigadeMembers holds the members of a body that count, and of its data.
type frigadeMembers struct {
	data, kind, time, signature stringify.Text

	action, id, foreignUserID, userID, createdAt stringify.Text

	hasVariant bool // of the name of data, type or time
}

var frigadeNames = [][]byte{[]byte("data"), []byte("type"), []byte("time")}

func readFrigade(body stringify.Text) (b frigadeMembers) {
	c := stringify.Cursor{Text: body}
	c.Object(func(name []byte) {
		switch string(name) {
		case "type":
			b.kind = c.Value()
		case "time":
			b.time = c.Value()
		case "signature":
			b.signature = c.Value()
		case "data":
			b.data = c.Object(func(name []byte) {
				switch string(name) {
				case "actionType":
					b.action = c.Value()
				case "id":
					b.id = c.Value()
				case "foreignUserId":
					b.foreignUserID = c.Value()
				case "userId":
					b.userID = c.Value()
				case "createdAt":
					b.createdAt = c.Value()
				}
			})
		default:
			b.hasVariant = b.hasVariant || isCaseVariant(name, frigadeNames)
		}
	})
	return b
}

func verifyFrigade(r Request) (Claims, error) {
	b := readFrigade(r.Body)
	c, err := authenticateFrigade(r, b)
	if err != nil {
		return Claims{}, err
	}
	user := b.foreignUserID
	if text(user) == "" {
		user = b.userID
	}
	c.Name, c.EntityID, c.UserID, _, _ = texts(b.kind, b.id, user, nil, nil)
	c.Entity, _, _ = strings.Cut(c.Name, ".")
	if c.Scheme == Data && !b.action.IsString() {
		c.IDName = b.kind.Inside()
	}

	var fresh error // as far as signed data says
	if c.Scheme == Data && r.Freshness == FreshnessSigned {
		fresh = freshFrigade(b.createdAt, r)
	}
	// type and time may be unsigned: to take one away doesn't make a stale delivery into one that is
	// answered 200.
	if !b.kind.IsString() || c.Name == "" {
		return c, cmp.Or(fresh, fmt.Errorf("%w: it has no type", Unreadable))
	}
	if c.Scheme == Data {
		if err := b.agree(); err != nil {
			return c, err
		}
	}
	occurred, written, ok := rfc3339(b.time)
	if !ok {
		return c, cmp.Or(fresh, fmt.Errorf("%w: its time is not RFC 3339", Unreadable))
	}
	c.Occurred, c.Time = occurred, written
	return c, cmp.Or(r.within(occurred, frigadeAhead), fresh)
}

// agree compares the type, which data leaves unsigned, with data.actionType, which it signs.
func (b frigadeMembers) agree() error {
	if b.hasVariant {
		return errCaseVariant
	}
	if !b.action.IsString() {
		return nil
	}
	first, event, ok := bytes.Cut(b.kind.Inside(), []byte{'.'})
	if !ok || string(first) != frigadeActions || !bytes.Equal(lowerCamel(b.action.Inside()), event) {
		return fmt.Errorf("%w: type and data.actionType", Contradiction)
	}
	return nil
}

// authenticateFrigade finds which secret signed what the endpoint's scheme says is signed.
func authenticateFrigade(r Request, b frigadeMembers) (Claims, error) {
	if !b.data.IsObject() || len(b.data) == len("{}") {
		return Claims{}, UnsignableDataShape
	}
	header, err := single(r.Signatures)
	if err != nil {
		return Claims{}, err
	}
	candidates := []string{header}
	if r.Scheme == Data {
		candidates = append(candidates, text(b.signature))
	}
	present, macs := false, make([]mac256, 0, 2)
	for _, candidate := range candidates {
		present = present || candidate != ""
		if mac, ok := decodeHexOrBase64(candidate); ok {
			macs = append(macs, mac)
		}
	}
	switch {
	case !present:
		return Claims{}, NoSignature
	case len(macs) == 0:
		return Claims{}, MalformedSignature
	}
	c, err := authenticate(r, macs, Data, b.data)
	if errors.Is(err, WrongSignature) {
		return authenticate(r, macs, Payload, r.Body)
	}
	return c, err
}

// freshFrigade refuses an old createdAt. time is not signed, so whoever has captured a delivery can
// renew it; createdAt is. It is a browser's clock: how far ahead it is says nothing.
func freshFrigade(createdAt stringify.Text, r Request) error {
	if createdAt == nil || string(createdAt) == "null" {
		return nil
	}
	created, _, ok := rfc3339(createdAt)
	if !ok {
		return fmt.Errorf("%w: its data.createdAt is not RFC 3339", Unreadable)
	}
	if !r.Untimed && created.Before(r.Now.Add(-r.Tolerance)) {
		return fmt.Errorf("%w: data.createdAt", Stale)
	}
	return nil
}

// lowerCamel turns COMPLETED_STEP into completedStep.
func lowerCamel(upper []byte) []byte {
	camel := make([]byte, 0, len(upper))
	for word := range bytes.SplitSeq(upper, []byte{'_'}) {
		for i, c := range word {
			switch {
			case i == 0 && len(camel) > 0 && 'a' <= c && c <= 'z':
				c -= 'a' - 'A'
			case (i > 0 || len(camel) == 0) && 'A' <= c && c <= 'Z':
				c += 'a' - 'A'
			}
			camel = append(camel, c)
		}
	}
	return camel
}
