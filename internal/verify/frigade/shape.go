package frigade

import (
	"bytes"

	"github.com/ade15e70/webhook-bridge/internal/verify"
)

const aText = verify.String | verify.Optional

// shape holds the kinds of the members that nothing is made of.
type shape struct {
	timeout, user, flow verify.Kinds

	flowID, flowSlug, stepID, userSlug, inner, blocked, hidden verify.Kinds // of data
}

// drift returns the first member that isn't as Frigade's pages document it, in the older or the
// newer form. Of other events than those of flow responses they document no data.
func (b *members) drift() string {
	top := verify.Drift(
		verify.Expected{Name: "type", Is: verify.KindOf(b.kind), MayBe: verify.String},
		verify.Expected{Name: "time", Is: verify.KindOf(b.time), MayBe: verify.String},
		verify.Expected{Name: "data", Is: verify.KindOf(b.data), MayBe: verify.Composite},
		verify.Expected{Name: "signature", Is: verify.KindOf(b.signature), MayBe: aText},
		verify.Expected{Name: "timeout", Is: b.timeout, MayBe: verify.Number | verify.Optional},
		verify.Expected{Name: "user", Is: b.user, MayBe: verify.Composite | verify.Optional},
		verify.Expected{Name: "flow", Is: b.flow, MayBe: verify.Composite | verify.Optional},
	)
	if top != "" || !bytes.HasPrefix(b.kind.Inside(), []byte(actions+".")) {
		return top
	}
	user := verify.String | verify.Number
	if len(b.foreignUserID.Inside()) > 0 {
		user |= verify.Optional
	}
	return verify.Drift(
		verify.Expected{Name: "data.flowSlug", Is: b.flowSlug, MayBe: verify.String},
		verify.Expected{Name: "data.stepId", Is: b.stepID, MayBe: verify.String},
		verify.Expected{Name: "data.actionType", Is: verify.KindOf(b.action), MayBe: verify.String},
		verify.Expected{Name: "data.createdAt", Is: verify.KindOf(b.createdAt), MayBe: verify.String},
		verify.Expected{Name: "data.foreignUserId", Is: verify.KindOf(b.foreignUserID), MayBe: aText},
		verify.Expected{Name: "data.userId", Is: verify.KindOf(b.userID), MayBe: user},
		verify.Expected{Name: "data.id", Is: verify.KindOf(b.id), MayBe: aText},
		verify.Expected{Name: "data.flowId", Is: b.flowID, MayBe: aText},
		verify.Expected{Name: "data.userSlug", Is: b.userSlug, MayBe: aText},
		verify.Expected{Name: "data.data", Is: b.inner, MayBe: verify.Composite | aText},
		verify.Expected{Name: "data.blocked", Is: b.blocked, MayBe: verify.Boolean | verify.Optional},
		verify.Expected{Name: "data.hidden", Is: b.hidden, MayBe: verify.Boolean | verify.Optional},
	)
}
