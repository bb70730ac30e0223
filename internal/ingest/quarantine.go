package ingest

import (
	"errors"
	"fmt"

	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/internal/quarantine"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// quarantine keeps a delivery that is signed correctly and can't be published: one vendor never
// sends it again. One that can't be read as an event is answered 200, because sending it again
// would change nothing. One that is stale, from the future or contradicts itself is still refused.
// Nothing unsigned is ever kept.
//
// The id depends on the signed text alone, so that a copy with other unsigned parts is kept only once.
func (d *delivery) quarantine(body []byte, refusal error) (publish.Status, error) {
	if !d.Quarantine || !verify.IsAuthentic(refusal) {
		return "", refusal
	}
	d.ID = event.ID(d.at.Name, d.Claims.IDText, nil)
	kept := quarantine.Delivery{
		ID: d.ID, Endpoint: d.at.Name, Provider: d.at.Provider.Name, Reason: refusalOf(refusal).Outcome,
		Received: d.Received, Seal: d.at.Seal(d.Claims, d.Secrets[d.Claims.Secret], body), Body: body,
		Headers: d.at.Provider.Keep(d.r.Header),
	}
	d.body.block = nil // the message has the body
	unreadable := errors.Is(refusal, verify.Unreadable)
	_, err := d.publish(kept.Message(d.SubjectPrefix))
	switch {
	case !unreadable && (errors.Is(err, publish.ErrTooLarge) || errors.Is(err, publish.ErrNoRoom)):
		return "", fmt.Errorf("%w; it could not be put into quarantine: %w", refusal, err)
	case err != nil:
		return "", err // the sender may try again
	}
	d.Kept = kept.Reason
	if unreadable {
		return publish.Kept, nil
	}
	return "", refusal
}

// Reasons lists the reasons for quarantine.
func Reasons() []string {
	var all []string
	for _, r := range Refusals {
		if verify.IsAuthentic(r.err) {
			all = append(all, r.Outcome)
		}
	}
	return all
}
