// Package diagnosis explains, step by step, how the bridge answers a captured delivery. If the
// signature is wrong, it searches for another secret, signed text, body or place of the signature
// with which it would be right.
//
// The answer is the bridge's own: the delivery passes through the handler that serves the public
// listener, with a publisher that publishes nothing. The report depends on the [Case] alone. It holds
// no secret and no whole MAC. Of the body it shows only the beginning, the end and the first place
// that differs from the canonical form.
package diagnosis

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// Endpoint is an endpoint and the names of its variables.
type Endpoint struct {
	verify.Endpoint
	Prefix      string // of the names of its variables
	SecretsFrom string // the variable that holds its secrets or the name of their file
}

// takes reports whether the endpoint is set to the scheme.
func (e Endpoint) takes(scheme string) bool {
	return scheme == e.Scheme || e.Scheme == verify.Auto && e.knows(scheme)
}

// knows reports whether the endpoint's vendor has the scheme.
func (e Endpoint) knows(scheme string) bool { return slices.Contains(e.Provider.SchemeNames(), scheme) }

// Case is a delivery and the bridge that receives it.
type Case struct {
	Delivery     Delivery
	Endpoints    []Endpoint // all that the bridge has
	EndpointName string     // one of Endpoints; "": chosen by the path
	Received     time.Time  // zero: unknown
	Now          time.Time
	MaxBodyBytes int64
	Quarantine   bool
}

// Report is the result of [Diagnose].
type Report struct {
	Accepted bool   // it is published
	Status   int    // of the answer
	Outcome  string // as in the log and the metrics
	Steps    []Step
	Causes   []Cause
}

// Step is one thing that the bridge looks at. A report has them in the bridge's order.
type Step struct {
	Name string
	Text string
}

// Cause is a cause of the refusal.
type Cause struct {
	Proven  bool   // otherwise it is only likely
	Problem string // what is wrong
	Remedy  string // what to do about it
}

func proven(problem, remedy string) Cause {
	return Cause{Proven: true, Problem: problem, Remedy: remedy}
}
func likely(problem, remedy string) Cause { return Cause{Problem: problem, Remedy: remedy} }

// diagnoser is one run of Diagnose.
type diagnoser struct {
	Case
	endpoint  Endpoint
	body      body
	hasHeader bool // the delivery has the header for the signature
	report    Report

	// signatures has the MACs of the delivery, each with one cause if the endpoint doesn't look there or
	// expects another form.
	signatures    map[verify.MAC][]Cause
	shown, hidden int // how many of them are in the steps, and how many aren't
}

func (d *diagnoser) step(name, format string, args ...any) {
	d.report.Steps = append(d.report.Steps, Step{name, fmt.Sprintf(format, args...)})
}

func (d *diagnoser) cause(causes ...Cause) { d.report.Causes = append(d.report.Causes, causes...) }

// hasSettings reports whether settings describe what is signed.
func (d *diagnoser) hasSettings() bool { return d.endpoint.Provider.HasSettings() }

// Diagnose explains how the bridge answers the delivery. It returns an error if it can't tell the endpoint.
func Diagnose(c Case) (Report, error) {
	d := diagnoser{Case: c}
	d.describeRequest()
	switch isFound := d.findEndpoint(); {
	case !isFound && d.path() == "":
		return Report{}, errors.New("the endpoint is unknown, because the capture has no path")
	case !isFound:
		d.examineAnswer(d.Received)
		return d.report, nil
	}
	d.describeEndpoint()
	d.examineBody()
	d.examineSignatures()
	d.examineTexts()
	claims, received, refusal := d.verify()
	d.examineAnswer(received)
	if claims.Scheme == "" {
		d.explain(refusal)
	} else {
		d.examineClaims(claims, received, refusal)
	}
	if !d.report.Accepted && len(d.report.Causes) == 0 {
		d.cause(proven("the outcome is "+d.report.Outcome, "see docs/operations.md for what each outcome means"))
	}
	return d.report, nil
}

// findEndpoint chooses the endpoint: the one that is asked for, else the last one in the path, as the
// bridge's warning of a wrong path does, else the only one.
func (d *diagnoser) findEndpoint() bool {
	names := []string{d.EndpointName}
	if d.EndpointName == "" {
		plain, _ := url.PathUnescape(d.path()) // "" if it can't be unescaped
		names = strings.Split(strings.ToLower(cmp.Or(plain, d.path())), "/")
	}
	for _, name := range slices.Backward(names) {
		if i := slices.IndexFunc(d.Endpoints, func(e Endpoint) bool { return e.Name == name }); i >= 0 {
			d.endpoint = d.Endpoints[i]
			return true
		}
	}
	if len(d.Endpoints) == 1 {
		d.endpoint = d.Endpoints[0]
	}
	return len(d.Endpoints) == 1
}

// path returns the request's path; "" if the capture has none.
func (d *diagnoser) path() string {
	path, _, _ := strings.Cut(d.Delivery.Target, "?")
	return path
}

func (d *diagnoser) describeRequest() {
	line := "no request line"
	if d.Delivery.Method != "" {
		line = d.Delivery.Method + " " + d.Delivery.Target
	}
	d.step("request", "%s, %s, %s of body", line,
		config.Count(len(d.Delivery.Header), "header"), config.Count(len(d.Delivery.Body), "byte"))
	for _, note := range d.Delivery.Notes {
		d.step("note", "%s", note)
	}
}

func (d *diagnoser) describeEndpoint() {
	e, settings := d.endpoint, ""
	if !d.hasSettings() {
		settings = fmt.Sprintf(", with %sSIGNATURE=%s, %[1]sTOLERANCE=%[3]s", e.Prefix, e.Scheme, config.FormatDuration(e.Tolerance))
	}
	if e.Freshness != "" {
		settings += fmt.Sprintf(", %sFRESHNESS=%s", e.Prefix, e.Freshness)
	}
	d.step("endpoint", "%s, of provider %s%s; %s in %s",
		e.Name, e.Provider.Name, settings, config.Count(len(e.Secrets()), "secret"), e.SecretsFrom)
}
