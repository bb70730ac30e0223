package diagnosis

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/humanize"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// window is when a delivery must have been received to be accepted.
type window struct{ from, to time.Time }

func (w window) isSet() bool            { return !w.from.IsZero() }
func (w window) isEmpty() bool          { return w.to.Before(w.from) }
func (w window) holds(t time.Time) bool { return !t.Before(w.from) && !t.After(w.to) }
func (w window) String() string         { return moment(w.from) + " to " + moment(w.to) }

// windowOf returns the endpoint's window for an authentic delivery.
func (d *diagnosing) windowOf(c verify.Claims) window {
	if c.Occurred.IsZero() {
		return window{}
	}
	w := c.Window(d.at.Tolerance, d.at.Provider.AheadOf(d.at.Tolerance))
	return window{w.From, w.To}
}

// examineClaims describes a delivery whose signature is right: its time, what is unsigned, why it is refused.
func (d *diagnosing) examineClaims(a answer) {
	position := a.claims.Secret
	d.report.Scheme, d.report.Secret = a.claims.Scheme, &position
	asSent := ""
	if a.claims.AsSent {
		asSent = ", over what was sent and not over its canonical form"
	}
	d.step("verified", "by scheme %s with secret %d of %s%s", a.claims.Scheme, position, d.at.SecretsFrom, asSent)
	if d.at.Provider.Explain == nil {
		d.step("unsigned", "%s", d.unsigned(a.claims.Scheme))
	}
	d.examineTime(a)
	switch {
	case errors.Is(a.err, verify.Contradiction):
		d.cause(Cause{"contradiction", true, a.err.Error(), "unless QUARANTINE=false it is in quarantine. Either somebody has changed a captured delivery, or the vendor has a new kind of event: report that"})
	case errors.Is(a.err, verify.Unreadable):
		d.cause(Cause{"unreadable", true, a.err.Error(), "the vendor has changed something, or this is its dashboard's test: nothing is wrong with the secret"})
	case a.err == nil && d.at.Scheme == verify.Auto:
		d.step("advice", "%sSIGNATURE=%s allows no more than what this vendor sends", d.at.Prefix, a.claims.Scheme)
	}
}

// examineTime describes how old the delivery is, or when it must have been received.
func (d *diagnosing) examineTime(a answer) {
	w, occurred := a.window, a.claims.Occurred
	if !w.isSet() { // something else was wrong before it was looked at
		return
	}
	if w.isEmpty() {
		created, name := a.claims.Created, d.at.Provider.SignedTime
		d.step("time", "it says %s, and its signed %s %s: it is never accepted", moment(occurred), name, moment(created))
		d.cause(Cause{
			"stale", true, "its " + name + " is older than its time by " + long(occurred.Sub(created)) + ", more than " + d.at.Prefix + "TOLERANCE",
			"a browser's clock is behind, or somebody has renewed the time of a captured delivery. Where many are so, " + d.at.Prefix + "FRESHNESS=time trusts the unsigned time alone: docs/adr/0002-what-the-vendors-sign.md says the price",
		})
		return
	}
	switch {
	case !d.Received.IsZero():
		d.step("time", "it says %s, and was received at %s, %s; accepted is what is received from %s", moment(occurred), moment(d.Received), sooner(d.Received, occurred), w)
		if !w.holds(d.Received) {
			d.cause(d.timeCause(d.Received, occurred))
		}
	case w.holds(d.Now):
		d.step("time", "it says %s: it is accepted when it is received from %s, as now", moment(occurred), w)
	case d.Now.After(w.to):
		d.step("time", "it says %s: it is accepted when it is received from %s, which was over %s ago; give --at to say when it was received", moment(occurred), w, long(d.Now.Sub(w.to)))
	default:
		d.step("time", "it says %s, which is still to come", moment(occurred))
		d.cause(d.timeCause(d.Now, occurred))
	}
}

func sooner(received, occurred time.Time) string {
	if received.Before(occurred) {
		return long(occurred.Sub(received)) + " before"
	}
	return long(received.Sub(occurred)) + " after"
}

// timeCause returns the likely reason for a time that is off by so much.
func (d *diagnosing) timeCause(received, occurred time.Time) Cause {
	off := received.Sub(occurred).Abs()
	code := "stale"
	if received.Before(occurred) {
		code = "future"
	}
	switch nearest := off.Round(15 * time.Minute); { // zones differ by quarters of an hour, none by less than half of one
	case verify.IsMilliseconds(occurred):
		do := "the vendor has changed something: report it"
		if d.at.Provider.Explain != nil {
			do = d.settingsNamed("set TIMESTAMP_UNIT=ms")
		}
		return Cause{code, true, "its time is in milliseconds, and was read as seconds", do}
	case nearest >= 30*time.Minute && nearest <= 14*time.Hour && (off-nearest).Abs() <= 2*time.Minute:
		return Cause{
			code, false, "the two clocks differ by " + long(off) + ", about as two time zones do: one of them shows the time of another zone",
			"compare this machine's clock with another's: `date -u`. Unless QUARANTINE=false it is in quarantine: once the clock is right, `bridge quarantine release` publishes it",
		}
	}
	return Cause{
		code, false, "its time is off by " + long(off) + ", more than " + d.at.Prefix + "TOLERANCE",
		"look at this machine's clock first (`date -u`), then for something that holds deliveries back; a copy that somebody sends again is refused rightly. Unless QUARANTINE=false it is in quarantine: `bridge quarantine release` publishes it",
	}
}

// unsigned lists the body's members that the signature doesn't cover.
func (d *diagnosing) unsigned(scheme string) string {
	s, _ := d.at.Provider.Scheme(scheme)
	if s.Members == nil {
		return "nothing: the signature covers the whole body"
	}
	body, err := stringify.Parse(d.Delivery.Body)
	if err != nil {
		return ""
	}
	var names []string
	for _, m := range members(body) {
		if !slices.Contains(s.Members, m.Name) {
			names = append(names, humanize.Text(m.Name))
		}
	}
	if len(names) == 0 {
		return "nothing that the body has"
	}
	return strings.Join(names, ", ") + ": whoever holds this delivery may have written them"
}
