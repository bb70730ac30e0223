package config

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

var (
	number = regexp.MustCompile(`_[0-9]+_`)
	digits = regexp.MustCompile(`[0-9]+`)
)

// documentedName returns the name under which a variable is documented.
func documentedName(variable string) string { return number.ReplaceAllString(variable, "_<i>_") }

// ourPrefixes are prefixes of variables that no other program is likely to use.
var ourPrefixes = []string{
	"ENDPOINTS", "STREAM_", "SPOOL_", "QUARANTINE_", "EMBEDDED_NATS_", "PUBLISH_", "SHUTDOWN_", "MAX_BODY_", "MAX_IN_FLIGHT_", "SUBJECT_PREFIX",
}

// clusterLink matches the variables that Kubernetes and Docker set for a service with such a name.
var clusterLink = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT.*|PORT|PORT_[0-9]+_(TCP|UDP|SCTP).*)$`)

// programName matches a prefix that somebody may expect our variables to have.
var programName = regexp.MustCompile(`^(WEBHOOK_)?BRIDGE_`)

// looksLikeOurs reports whether a variable is probably meant for the bridge. others has the prefixes of
// variables that people use for other vendors and for further endpoints, such as ACME_.
func looksLikeOurs(variable string, known, others []string) bool {
	if clusterLink.MatchString(variable) {
		return false
	}
	variable = programName.ReplaceAllString(variable, "")
	beginsWith := func(prefixes []string) bool {
		return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(variable, prefix) })
	}
	prefixes := slices.Clone(ourPrefixes)
	for _, p := range providers.All {
		prefixes = append(prefixes, p.Variable(""))
	}
	name := documentedName(variable)
	isSpelled := func(ours string) bool { return bare(ours) == bare(name) }
	// One may begin with the other: TLS_CERT, NATS_KEY_FILE. PPROF is too short to tell.
	isPart := func(ours string) bool {
		return strings.HasPrefix(ours, name) || len(ours) >= 7 && strings.HasPrefix(name, ours)
	}
	switch {
	case beginsWith(prefixes), slices.ContainsFunc(known, isSpelled):
		return true
	case beginsWith(others), len(variable) < 7:
		return false
	}
	return Similar(name, known) != "" || slices.ContainsFunc(known, isPart)
}

var separators = strings.NewReplacer("_", "", "-", "", ".", "")

// bare returns a name in upper case without separators.
func bare(name string) string { return separators.Replace(strings.ToUpper(name)) }

// nearestVariable returns the nearest of the known variables that begin with the variable's name; if there are
// none, of those that begin with its first word; else of all.
func nearestVariable(variable string, known []string) string {
	name := strings.ToUpper(documentedName(programName.ReplaceAllString(variable, "")))
	word, _, _ := strings.Cut(name, "_")
	for _, start := range []string{name, word + "_"} {
		related := slices.DeleteFunc(slices.Clone(known), func(ours string) bool { return !strings.HasPrefix(ours, start) })
		if len(related) > 0 {
			return nearest(name, related)
		}
	}
	return nearest(name, known)
}

// nearest returns the known name that differs least; of several, the one that differs least without
// underscores.
func nearest(name string, known []string) string {
	return slices.MinFunc(known, func(a, b string) int {
		return cmp.Or(distance(name, a)-distance(name, b), distance(bare(name), bare(a))-distance(bare(name), bare(b)))
	})
}

// Similar returns the known name that a name is probably meant to be: it differs by one or two
// characters. Otherwise, and for a known name, it returns "".
func Similar(name string, known []string) string {
	if len(known) == 0 || slices.Contains(known, name) {
		return ""
	}
	if best := nearest(name, known); distance(name, best) <= 2 {
		return best
	}
	return ""
}

// distance returns the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
