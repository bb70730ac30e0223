package event

import (
	"encoding/json"
	"strings"
)

// Frigade is the data of an event of Frigade, as its older and its newer page document it
// (https://frigade.com).
type Frigade struct {
	Type       string      // flowResponse.completedStep
	Time       string      // RFC 3339; not signed where the event's Signed is "data"
	Signature  string      // in the older form
	Timeout    json.Number // milliseconds; in the newer form, as are User and Flow
	User, Flow Rest
	Data       FrigadeData
	Rest       Rest // with flattening also data__…, user__… and flow__…
}

// FrigadeData is a flow response. All of it comes from a browser: see docs/consumers.md.
type FrigadeData struct {
	ID            string // flowResponse_…
	FlowID        string
	FlowSlug      string
	StepID        string
	UserID        Text // Frigade's number, or in the older form your own id
	UserSlug      string
	ForeignUserID string // your own id
	ActionType    string // COMPLETED_STEP
	Data          string // JSON: text in the newer form, an object in the older
	CreatedAt     string // by the browser's clock
	Blocked       bool
	Hidden        bool
	Rest          Rest // the answers of steps, by the ids that you gave the steps
}

// Frigade reads the event's data. The error names the first member that is missing or isn't of the
// documented kind; the others are read all the same. Members that aren't documented are in Rest. So
// is the data of an event that isn't a flow response.
func (e *Event) Frigade() (Frigade, error) {
	o := openPayload(e.Data)
	f := Frigade{
		Type: o.take("type", aString), Time: o.take("time", aString),
		Signature: o.take("signature", aString, missing, aNull), Timeout: json.Number(o.take("timeout", aNumber, missing, aNull)),
	}
	if data := o.open("data"); data.Rest != nil {
		if strings.HasPrefix(f.Type, "flowResponse.") {
			f.Data = data.flowResponse()
		}
		f.Data.Rest = data.Rest
	}
	f.User, f.Flow = o.open("user", missing, aNull).Rest, o.open("flow", missing, aNull).Rest
	f.Rest = o.Rest
	return f, *o.drift
}

func (o object) flowResponse() FrigadeData {
	d := FrigadeData{
		FlowSlug: o.take("flowSlug", aString), StepID: o.take("stepId", aString), ActionType: o.take("actionType", aString),
		CreatedAt: o.take("createdAt", aString), ForeignUserID: o.take("foreignUserId", aString, missing, aNull),
		ID: o.take("id", aString, missing, aNull), FlowID: o.take("flowId", aString, missing, aNull),
		UserSlug: o.take("userSlug", aString, missing, aNull), Data: o.take("data", aString, anObject, missing, aNull),
		Blocked: o.take("blocked", aBoolean, missing, aNull) == "true", Hidden: o.take("hidden", aBoolean, missing, aNull) == "true",
	}
	user := []string{aString, aNumber}
	if d.ForeignUserID != "" {
		user = append(user, missing, aNull)
	}
	d.UserID = Text(o.take("userId", user...))
	return d
}
