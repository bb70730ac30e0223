// Package frigade verifies and makes the webhooks of Frigade.
package frigade

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// The schemes.
const (
	Data    = "data"         // S(data), as on the older page
	Payload = verify.Payload // S(body), in the header only, as in the code on the newer page
)

var (
	//go:embed samples/02-completedStep-v2-docs.json
	completedStep string
	//go:embed samples/03-completedFlow-nps-docs-flattened.json
	completedFlow string
	//go:embed samples/04-startedStep-unicode.json
	startedStep string
)

// Provider is Frigade, which sends events of product onboarding. A valid delivery has
//   - a signature: the HMAC-SHA256 in hexadecimal, as in the prose of Frigade's page, or in
//     base64, as in its code; in at most one X-Webhook-Signature header or in the body's member
//     signature; if in both, either may match;
//   - with the scheme data, a data object that isn't empty. The schemes are never tried in turn: a
//     user can write into data, so a signed data could be replayed as a payload;
//   - a type, and a time in RFC 3339 that isn't older than the tolerance;
//   - if type and time aren't signed: no contradiction with data.actionType, no member whose name
//     differs from theirs in case alone, and no data.createdAt that is older than the tolerance.
//
// Frigade retries five times, with growing pauses.
var Provider = verify.Provider{
	Name:       "frigade",
	Title:      "Frigade",
	TypePrefix: "com.frigade.",
	Events: []string{
		"flowResponse.completedStep", "flowResponse.completedFlow", "flowResponse.startedFlow", "flowResponse.startedStep",
		"flowResponse.skippedFlow", "flowResponse.skippedStep", "flowResponse.notStartedFlow", "flowResponse.notStartedStep",
		"flowResponse.abortedFlow",
	},
	Samples: []string{completedStep, completedFlow, startedStep},
	Colour:  [2]string{"#7434a3", "#d0a1f7"},
	Signature: verify.Signature{
		Header:  "X-Webhook-Signature",
		Format:  verify.Format{Encodings: []verify.Encoding{verify.Base64, verify.Hex}},
		Schemes: []verify.Scheme{{Name: Data, Members: []string{"data"}}, {Name: Payload}},
		Member:  "signature",
	},
	Read: read,
	Time: verify.Time{ // Ahead is the difference of two clocks
		Unit: verify.DateTime, Member: "time", SignedMember: signedTime, Tolerance: 24 * time.Hour, Ahead: 5 * time.Minute,
	},
	Compose: compose,
}

const (
	signedTime = "data.createdAt"
	actions    = "flowResponse" // first token of the type of an event with an actionType
)

const (
	aText    = verify.String | verify.Optional
	aBoolean = verify.Boolean | verify.Optional
	anObject = verify.Object | verify.Optional
)

// The members of a body, as Frigade's pages document them, in the older or the newer form; those of
// data for flow responses.
var (
	paths         verify.Paths
	kind          = paths.Add("type", verify.String)
	sentTime      = paths.Add("time", verify.String)
	_             = paths.Add("data", verify.Object)
	_             = paths.Add("signature", aText)
	_             = paths.Add("timeout", verify.Number|verify.Optional)
	_             = paths.Add("user", anObject)
	_             = paths.Add("flow", anObject)
	_             = paths.Add("data.flowSlug", verify.String)
	_             = paths.Add("data.stepId", verify.String)
	action        = paths.Add("data.actionType", verify.String)
	createdAt     = paths.Add(signedTime, verify.String)
	foreignUserID = paths.Add("data.foreignUserId", aText)
	userID        = paths.Add("data.userId", verify.Number|aText)
	id            = paths.Add("data.id", aText)
	_             = paths.Add("data.flowId", aText)
	_             = paths.Add("data.userSlug", aText)
	_             = paths.Add("data.data", verify.Object|aText)
	_             = paths.Add("data.blocked", aBoolean)
	_             = paths.Add("data.hidden", aBoolean)
)

// drift returns the first member that isn't as documented. A flow response has at least one of the
// two user ids.
func drift(body []stringify.Text) string {
	drifted := paths.Drift(body)
	isFlowResponse := bytes.HasPrefix(body[kind].Inside(), []byte(actions+"."))
	switch {
	case !isFlowResponse && strings.HasPrefix(drifted, "data."):
		return ""
	case isFlowResponse && drifted == "" && len(body[foreignUserID].Inside()) == 0 && !body[userID].IsString() && !body[userID].IsNumber():
		return "data.userId"
	}
	return drifted
}

func read(r verify.Request, c verify.Claims) (verify.Claims, error) {
	body, sent := paths.Both(r, c)
	c.Drift = drift(body)
	c.Name, c.EntityID = verify.TextOf(body[kind]), verify.TextOf(sent[id])
	c.UserID = cmp.Or(verify.TextOf(sent[foreignUserID]), verify.TextOf(sent[userID]))
	c.Entity, _, _ = strings.Cut(c.Name, ".")
	hasType := body[kind].IsString() && c.Name != ""
	isCreatedReadable := true
	if c.Scheme == Data {
		if !body[action].IsString() {
			c.IDName = body[kind].Inside()
		}
		// The holder of a captured delivery can renew time, but not createdAt, which comes from a
		// browser's clock and may lie in the future.
		if created := body[createdAt]; r.Freshness == verify.FreshnessSigned && created != nil && string(created) != "null" {
			c.Created, _, isCreatedReadable = verify.DateTime.Parse(created.Inside())
		}
		if err := agree(r.Body, body[kind], body[action]); err != nil {
			return c, err
		}
	}
	hasTime := false
	if hasType {
		c.Occurred, c.Time, hasTime = verify.DateTime.Parse(body[sentTime].Inside())
	}
	switch {
	case !hasType:
		return c, fmt.Errorf("%w: it has no type", verify.Unreadable)
	case !hasTime:
		return c, fmt.Errorf("%w: its time is not RFC 3339", verify.Unreadable)
	case !isCreatedReadable:
		return c, fmt.Errorf("%w: its %s is not RFC 3339", verify.Unreadable, signedTime)
	}
	return c, nil
}

// agree compares a type, which the scheme data doesn't sign, with data.actionType, which it does.
func agree(whole, kind, action stringify.Text) error {
	if err := verify.CheckNames(whole, "data", "type", "time"); err != nil {
		return err
	}
	if len(kind.Inside()) == 0 || !action.IsString() {
		return nil
	}
	first, event, ok := bytes.Cut(kind.Inside(), []byte{'.'})
	if !ok || string(first) != actions || !bytes.Equal(lowerCamel(action.Inside()), event) {
		return fmt.Errorf("%w: type and data.actionType", verify.Contradiction)
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

func compose(event, id string, data stringify.Text) []byte {
	if data == nil {
		member := ""
		if first, action, _ := strings.Cut(event, "."); first == actions {
			upperSnake := strings.ToUpper(capital.ReplaceAllString(action, "_$0")) // COMPLETED_STEP
			member = fmt.Sprintf(`"actionType":%s,`, verify.Quoted(upperSnake))
		}
		const template = `{"id":%s,"flowSlug":"flow_12345","stepId":"welcome",%s"data":"{}","createdAt":"","foreignUserId":"user_12345"}`
		data = fmt.Appendf(nil, template, verify.Quoted("flowResponse_"+id), member)
	}
	return fmt.Appendf(nil, `{"timeout":1000,"type":%s,"data":%s,"time":""}`, verify.Quoted(event), []byte(data))
}

var capital = regexp.MustCompile("[A-Z]")
