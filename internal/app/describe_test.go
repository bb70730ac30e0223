package app

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ade15e70/webhook-bridge/internal/telemetry"
)

// description is a metric as docs/metrics.md shows it.
type description struct {
	Name, Type, Help string
	Labels           []string // names; with the values if they are fixed: state=closed|half-open|open
}

// describe lists the bridge's own metrics, without those of Go's runtime and the process, in the
// order in which they were added.
func describe(m *telemetry.Metrics) []description {
	var all []description
	for _, c := range m.Ours {
		descs := make(chan *prometheus.Desc, 2) // none of our collectors has more
		c.Describe(descs)
		close(descs)
		for desc := range descs {
			d := parseDesc(desc.String())
			d.Type = typeOf(c, d.Name)
			if i := slices.IndexFunc(all, func(o description) bool { return o.Name == d.Name }); i >= 0 {
				all[i].Labels = merge(all[i].Labels, d.Labels)
				continue
			}
			all = append(all, d)
		}
	}
	return all
}

// A Desc has no accessors, but its String shows all its parts.
var desc = regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*"), unit: "[^"]*", constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

func parseDesc(text string) description {
	m := desc.FindStringSubmatch(text)
	if m == nil {
		panic(fmt.Sprintf("a metric's description has another form than prometheus.Desc had: %s", text)) // only tests and `go generate` come here
	}
	d := description{}
	d.Name, _ = strconv.Unquote(m[1])
	d.Help, _ = strconv.Unquote(m[2])
	for label := range strings.SplitSeq(m[3], ",") {
		if name, value, ok := strings.Cut(label, "="); ok {
			d.Labels = append(d.Labels, name+"="+strings.Trim(value, `"`))
		}
	}
	for label := range strings.SplitSeq(m[4], ",") {
		if label != "" {
			d.Labels = append(d.Labels, label)
		}
	}
	return d
}

// merge adds the values of labels that another series of the same metric has.
func merge(labels, more []string) []string {
	for i, label := range more {
		_, value, fixed := strings.Cut(label, "=")
		if fixed && !slices.Contains(strings.Split(strings.SplitN(labels[i], "=", 2)[1], "|"), value) {
			labels[i] += "|" + value
		}
	}
	return labels
}

func typeOf(c prometheus.Collector, name string) string {
	if _, ok := c.(*prometheus.HistogramVec); ok {
		return "histogram"
	}
	if strings.HasSuffix(name, "_total") { // promtool checks that counters, and only they, end so
		return "counter"
	}
	return "gauge"
}
