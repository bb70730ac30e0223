package verify

import "errors"

// Refusal is a reason to refuse a delivery. Its text is for the log and the metrics, and holds
// nothing that the sender chose.
type Refusal string

// The refusals of deliveries that aren't authentic: nothing in them may be believed.
const (
	NoSignature         Refusal = "signature missing"
	ManySignatures      Refusal = "more than one signature header"
	MalformedSignature  Refusal = "signature undecodable"
	WrongSignature      Refusal = "signature wrong"
	OtherScheme         Refusal = "signature correct, but by a scheme that the endpoint does not accept"
	UnsignableDataShape Refusal = "the signed member is not an object or is empty"
)

// The refusals of authentic deliveries: the signature is correct.
const (
	Unreadable    Refusal = "not readable as an event"
	Contradiction Refusal = "an unsigned field contradicts a signed one"
	Stale         Refusal = "too old"
	Future        Refusal = "too far in the future"
)

func (r Refusal) Error() string { return string(r) }

// IsAuthentic reports whether err refuses a delivery with a correct signature.
func IsAuthentic(err error) bool {
	switch r, _ := errors.AsType[Refusal](err); r {
	case Unreadable, Contradiction, Stale, Future:
		return true
	}
	return false
}
