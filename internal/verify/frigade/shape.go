package frigade

import (
	"bytes"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// The members of a body, as Frigade's pages document them, in the older or the newer form.
const (
	kind = iota // type
	sentTime
	data
	signature
	timeout
	user
	flow
	flowSlug // the first of flow responses
	stepID
	action
	createdAt
	foreignUserID
	userID
	id
)

const (
	aText    = verify.String | verify.Optional
	aBoolean = verify.Boolean | verify.Optional
	anObject = verify.Composite | verify.Optional
)

var shape = verify.Shape{
	kind:          {Path: "type", MayBe: verify.String},
	sentTime:      {Path: "time", MayBe: verify.String},
	data:          {Path: "data", MayBe: verify.Composite},
	signature:     {Path: "signature", MayBe: aText},
	timeout:       {Path: "timeout", MayBe: verify.Number | verify.Optional},
	user:          {Path: "user", MayBe: anObject},
	flow:          {Path: "flow", MayBe: anObject},
	flowSlug:      {Path: "data.flowSlug", MayBe: verify.String},
	stepID:        {Path: "data.stepId", MayBe: verify.String},
	action:        {Path: "data.actionType", MayBe: verify.String},
	createdAt:     {Path: "data.createdAt", MayBe: verify.String},
	foreignUserID: {Path: "data.foreignUserId", MayBe: aText},
	userID:        {Path: "data.userId", MayBe: verify.Number | aText},
	id:            {Path: "data.id", MayBe: aText},
	{Path: "data.flowId", MayBe: aText},
	{Path: "data.userSlug", MayBe: aText},
	{Path: "data.data", MayBe: verify.Composite | aText},
	{Path: "data.blocked", MayBe: aBoolean},
	{Path: "data.hidden", MayBe: aBoolean},
}

// drift returns the first member that isn't as documented. Only of flow responses the data is
// documented: it has at least one of the two user ids.
func drift(m []stringify.Text) string {
	if !bytes.HasPrefix(m[kind].Inside(), []byte(actions+".")) {
		return shape[:flowSlug].Drift(m)
	}
	drifted := shape.Drift(m)
	hasUser := len(m[foreignUserID].Inside()) > 0 || m[userID].IsString() || m[userID].IsNumber()
	if drifted == "" && !hasUser {
		return shape[userID].Path
	}
	return drifted
}
