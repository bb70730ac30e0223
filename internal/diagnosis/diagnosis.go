// Package diagnosis explains, step by step, how the bridge answers a captured delivery. Where the signature is
// refused it searches for what would make it right: another secret, scheme or endpoint, a body or a signature
// that was changed on the way.
//
// The answer is the bridge's own: the delivery goes through the very handler that serves the public listener, with
// a publisher that publishes nothing. All of it is a function of its arguments. What it returns holds no secret,
// no whole MAC and of the body only where it begins and ends, and where it differs from its canonical form.
package diagnosis

import (
	"fmt"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/humanize"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// Endpoint is an endpoint and what its variables are called.
type Endpoint struct {
	verify.Endpoint
	Prefix      string // begins the names of its variables
	SecretsFrom string // the variable that has its secrets, or names their file
}

// Case is what is to be judged.
type Case struct {
	Delivery     Delivery
	Endpoints    []Endpoint // all that there are
	At           string     // the endpoint's name; "" to go by the request's path, or the body's shape
	Received     time.Time  // when the bridge had it; zero where that isn't known
	Now          time.Time
	MaxBodyBytes int64
	Quarantine   bool // as the bridge is set
}

// Report is what was found.
type Report struct {
	Accepted bool   `json:"accepted"` // it is published
	Status   int    `json:"status"`   // the answer's
	Code     string `json:"code,omitempty"`
	Outcome  string `json:"outcome"` // as the log and the metrics have it; of a 200 the answer's status
	Endpoint string `json:"endpoint"`
	Provider string `json:"provider"`
	// Scheme is what the signature covers, and Secret which of the endpoint's verified it, by position; only
	// where the signature is right as it came.
	Scheme string  `json:"scheme,omitempty"`
	Secret *int    `json:"secret,omitempty"`
	Steps  []Step  `json:"steps"`
	Causes []Cause `json:"causes"`
}

// Step is one thing that was looked at, in the order in which the bridge does.
type Step struct {
	Name string `json:"name"`
	Says string `json:"says"`
}

// Cause is why it is refused, or may be.
type Cause struct {
	Code   string `json:"code"`
	Proven bool   `json:"proven"` // else it is what usually makes it so
	Says   string `json:"says"`
	Do     string `json:"do"`
}

// diagnosing is one run of Diagnose.
type diagnosing struct {
	Case
	at     Endpoint
	report Report
}

func (d *diagnosing) step(name, format string, args ...any) {
	d.report.Steps = append(d.report.Steps, Step{name, fmt.Sprintf(format, args...)})
}

func (d *diagnosing) cause(causes ...Cause) { d.report.Causes = append(d.report.Causes, causes...) }

// Diagnose judges the delivery. Its error is that it can't be told which endpoint it is for.
func Diagnose(c Case) (Report, error) {
	d := diagnosing{Case: c}
	if err := d.findEndpoint(); err != nil {
		return Report{}, err
	}
	d.report.Causes = []Cause{} // for JSON
	d.report.Endpoint, d.report.Provider = d.at.Name, d.at.Provider.Name
	d.describe()
	if d.at.Provider.Explain != nil {
		d.examineDescribed()
		return d.report, nil
	}
	body := d.examineBody()
	signatures := d.examineSignatures(body)
	d.examineTexts(body)
	answer := d.examineAnswer()
	if verify.IsAuthentic(answer.err) || answer.claims.Scheme != "" {
		d.examineClaims(answer)
	} else if answer.err != nil {
		d.explain(answer.err, body, signatures)
	}
	return d.report, nil
}

// describe lists what was captured, and the endpoint's settings.
func (d *diagnosing) describe() {
	delivery := d.Delivery
	switch {
	case delivery.Method == "":
		d.step("request", "no request line, %s, %d bytes of body", count(len(delivery.Header), "header"), len(delivery.Body))
	default:
		d.step("request", "%s %s, %s, %d bytes of body", delivery.Method, humanize.Text(delivery.Target), count(len(delivery.Header), "header"), len(delivery.Body))
	}
	for _, note := range delivery.Notes {
		d.step("note", "%s", note)
	}
	if d.at.Provider.Explain != nil {
		d.step("endpoint", "%s, of provider %s; %s in %s", d.at.Name, d.at.Provider.Name, count(len(d.at.Secrets()), "secret"), d.at.SecretsFrom)
		return
	}
	settings := fmt.Sprintf("%sSIGNATURE=%s, %sTOLERANCE=%s", d.at.Prefix, d.at.Scheme, d.at.Prefix, humanize.Duration(d.at.Tolerance))
	if d.at.Freshness != "" {
		settings += fmt.Sprintf(", %sFRESHNESS=%s", d.at.Prefix, d.at.Freshness)
	}
	d.step("endpoint", "%s, of provider %s, with %s; %s in %s", d.at.Name, d.at.Provider.Name, settings, count(len(d.at.Secrets()), "secret"), d.at.SecretsFrom)
}
