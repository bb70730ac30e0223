package diagnosis

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// toVerify returns the request to verify, except its time.
func (d *diagnoser) toVerify() verify.Request {
	now := d.Received
	if now.IsZero() {
		now = d.Now
	}
	r := d.endpoint.Request(d.Delivery.header(), d.body.raw, d.body.text, now)
	r.Header, _ = d.endpoint.Provider.Rename(r.Header) // Verify returns the error, too
	r.Untimed = true
	return r
}

// verify verifies the delivery. It also returns when the delivery was received. If that is unknown and
// the delivery is old, received is the last moment at which it would have been accepted.
func (d *diagnoser) verify() (c verify.Claims, received time.Time, refusal error) {
	r := d.toVerify()
	if d.body.text == nil {
		return c, r.Now, d.body.err
	}
	c, refusal = d.endpoint.Provider.Verify(r)
	if w := d.window(c); d.Received.IsZero() && !c.Occurred.IsZero() && !w.IsEmpty() && d.Now.After(w.To) && !d.isInSeconds(c.Occurred) {
		return c, w.To, refusal
	}
	return c, r.Now, refusal
}

// isInSeconds reports whether a time that was read as milliseconds must be one in seconds.
func (d *diagnoser) isInSeconds(occurred time.Time) bool {
	return d.endpoint.Provider.Time.Unit == verify.Milliseconds && occurred.Year() < 1980
}

// window returns the times at which an authentic delivery is accepted.
func (d *diagnoser) window(c verify.Claims) verify.Window {
	return c.Window(d.endpoint.Tolerance, d.endpoint.Provider.Time.AheadOf(d.endpoint.Tolerance))
}

// examineClaims describes a correctly signed delivery: its unsigned members, its time, its refusal.
func (d *diagnoser) examineClaims(c verify.Claims, received time.Time, refusal error) {
	asSent := ""
	if c.AsSent {
		asSent = ", over the body as it was sent, not over its canonical form"
	}
	d.step("verified", "by scheme %s with secret %d of %s%s", c.Scheme, c.Secret, d.endpoint.SecretsFrom, asSent)
	if !d.hasSettings() {
		d.step("unsigned", "%s", d.unsigned(c.Scheme))
	}
	if errors.Is(refusal, verify.Contradiction) {
		remedy := "Either somebody has changed a captured one, or the vendor has a new kind of event: report that"
		if p := d.endpoint.Prefix; d.hasSettings() {
			remedy = "Compare " + p + "SIGNED and " + p + "TIMESTAMP_UNIT with the vendor's page; if they are right, somebody has changed a captured one"
		}
		d.cause(proven(refusal.Error(), "unless QUARANTINE=false, such a delivery is in quarantine. "+remedy))
	}
	if !c.Occurred.IsZero() {
		d.examineTime(c, received, refusal)
	}
	if errors.Is(refusal, verify.Unreadable) {
		d.cause(proven(refusal.Error(), "nothing is wrong with the secret. If a setting is named, compare it with the vendor's page; "+
			"else the vendor has changed something, or this is its dashboard's test"))
	}
}

// examineTime compares the delivery's time with when it was received. refusal is another reason to
// refuse it; nil if there is none.
func (d *diagnoser) examineTime(c verify.Claims, received time.Time, refusal error) {
	w, occurred := d.window(c), c.Occurred
	if w.IsEmpty() {
		d.step("time", "it says %s, and its signed %s says %s: it is never accepted",
			rfc3339(occurred), d.endpoint.Provider.Time.SignedMember, rfc3339(c.Created))
		d.cause(d.createdCause("its time", occurred.Sub(c.Created)))
		return
	}
	seen, hint := "was received at "+rfc3339(received)+", "+offset(received, occurred), ""
	if d.Received.IsZero() {
		seen, hint = "now is "+offset(d.Now, occurred), "; give --at to say when it was received"
	}
	d.step("time", "it says %s, and %s; it is accepted if it is received from %s to %s%s",
		rfc3339(occurred), seen, rfc3339(w.From), rfc3339(w.To), hint)
	switch {
	case w.Holds(received):
	case received.After(w.To) && !received.After(occurred.Add(d.endpoint.Tolerance)):
		d.cause(d.createdCause("its receipt", received.Sub(c.Created)))
	default:
		d.cause(d.timeCause(received, occurred, refusal))
	}
}

// createdCause returns the cause if the signed time is older than another by more than the tolerance.
func (d *diagnoser) createdCause(than string, by time.Duration) Cause {
	prefix := d.endpoint.Prefix
	return proven(
		"its "+d.endpoint.Provider.Time.SignedMember+" is older than "+than+" by "+duration(by)+", more than "+prefix+"TOLERANCE",
		"a browser's clock is behind, or somebody has renewed the time of a captured delivery. If many are like that, "+
			prefix+"FRESHNESS=time judges the unsigned time alone: see docs/adr/0002-what-the-vendors-sign.md for the price",
	)
}

// timeCause returns the cause if the delivery's time is outside the window.
func (d *diagnoser) timeCause(received, occurred time.Time, refusal error) Cause {
	set := "set " + d.endpoint.Prefix + "TIMESTAMP_UNIT="
	switch isInMilliseconds := verify.IsMilliseconds(occurred); {
	case isInMilliseconds && d.hasSettings():
		return proven("its time is in milliseconds, and was read as seconds", set+"ms")
	case isInMilliseconds:
		return proven("its time is in milliseconds, and was read as seconds", "the vendor has changed something: report it")
	case d.isInSeconds(occurred):
		return proven("its time is in seconds, and was read as milliseconds", set+"s")
	}
	do := "check this machine's clock first (`date -u`), then look for something that delays deliveries; " +
		"an old delivery that somebody sends again is refused rightly"
	if refusal == nil {
		do += ". Unless QUARANTINE=false, such a delivery is in quarantine: `bridge quarantine release` publishes it"
	}
	limit := "more than " + d.endpoint.Prefix + "TOLERANCE"
	if ahead := d.endpoint.Provider.Time.Ahead; ahead > 0 && received.Before(occurred) {
		limit = "and it may be " + config.FormatDuration(ahead) + " ahead"
	}
	return likely("its time is off by "+duration(received.Sub(occurred).Abs())+", "+limit, do)
}

// offset returns how long before or after its own time the delivery was received.
func offset(received, occurred time.Time) string {
	if received.Before(occurred) {
		return duration(occurred.Sub(received)) + " earlier"
	}
	return duration(received.Sub(occurred)) + " later"
}

// unsigned names the body's members that the signature doesn't cover.
func (d *diagnoser) unsigned(scheme string) string {
	s := d.endpoint.Provider.Scheme(scheme)
	var names []string
	c := stringify.Cursor{Text: d.body.text}
	c.Object(func(name []byte) {
		if s.Members != nil && !slices.Contains(s.Members, string(name)) {
			names = append(names, string(name))
		}
	})
	if names == nil {
		return "nothing"
	}
	return strings.Join(names, ", ") + ": anyone who holds this delivery could have changed them"
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// duration writes a duration to the second, or in days if it is two days or more.
func duration(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 100*365*day { // a Duration holds up to 292 years
		return "more than 100 years"
	}
	if d >= 2*day {
		return config.Count(int(d/day), "day")
	}
	return config.FormatDuration(d.Round(time.Second))
}
