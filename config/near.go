package config

import (
	"regexp"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

var endpointNumber = regexp.MustCompile(`^ENDPOINTS_([0-9]+)_`)

// generic returns the name under which a variable is documented.
func generic(variable string) string {
	return endpointNumber.ReplaceAllString(variable, "ENDPOINTS_<i>_")
}

// ourPrefixes are prefixes of variables that no other program is likely to use.
var ourPrefixes = []string{"ENDPOINTS_", "STREAM_", "SPOOL_", "QUARANTINE_", "EMBEDDED_NATS_", "PUBLISH_", "SHUTDOWN_", "MAX_BODY_", "MAX_IN_FLIGHT_", "SUBJECT_PREFIX"}

// clusterLink matches the variables that Kubernetes and Docker set for a service with such a name.
var clusterLink = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT.*|PORT|PORT_[0-9]+_(TCP|UDP).*)$`)

// looksLikeOurs reports whether somebody may have meant one of our variables.
func looksLikeOurs(variable string, known []string) bool {
	if clusterLink.MatchString(variable) {
		return false
	}
	prefixes := ourPrefixes
	for _, p := range providers.All {
		prefixes = append(prefixes, p.Variable(""))
	}
	for _, prefix := range prefixes {
		if strings.HasPrefix(variable, prefix) {
			return true
		}
	}
	return len(variable) >= 7 && distance(generic(variable), nearest(variable, known)) <= 2
}

// nearest returns the known name with the smallest distance.
func nearest(variable string, known []string) string {
	best, least := "", -1
	for _, name := range known {
		if d := distance(generic(variable), name); least < 0 || d < least {
			best, least = name, d
		}
	}
	return best
}

// Similar returns the known name that a name is probably meant to be: it differs by one or two
// characters. Otherwise, and for a known name, it returns "".
func Similar(name string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		switch d := distance(name, k); {
		case d == 0:
			return ""
		case d < least:
			best, least = k, d
		}
	}
	return best
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
