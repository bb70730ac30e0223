package verify

import "errors"

// Refusal is a reason for which a delivery is refused. The texts are for the log and the metrics;
// they hold nothing that the sender chose.
type Refusal string

// Not authentic: nothing that the delivery says may be believed.
const (
	NoSignature         Refusal = "signature missing"
	ManySignatures      Refusal = "more than one signature header"
	MalformedSignature  Refusal = "signature undecodable"
	WrongSignature      Refusal = "signature wrong"
	OtherScheme         Refusal = "signature right, but over what the endpoint is not set to"
	UnsignableDataShape Refusal = "data is not an object or is empty"
)

// Authentic, but not to be published: the signature is right.
const (
	Unreadable    Refusal = "not readable as an event"
	Contradiction Refusal = "an unsigned field contradicts a signed one"
	Stale         Refusal = "too old"
	Future        Refusal = "too far in the future"
)

func (r Refusal) Error() string { return string(r) }

// IsAuthentic reports whether err is the refusal of a delivery that bears a right signature.
func IsAuthentic(err error) bool {
	switch r, _ := errors.AsType[Refusal](err); r {
	case Unreadable, Contradiction, Stale, Future:
		return true
	}
	return false
}
