package diagnosis

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// explain adds the causes why a delivery isn't authentic.
func (d *diagnoser) explain(refusal error) {
	d.cause(d.settings.Causes...)
	if f, ok := d.search(); ok {
		if causes := d.causes(f); len(causes) > 0 {
			d.cause(causes...)
			d.nextCause(f)
		}
	}
	p, shape := d.endpoint.Provider, shapeOf(d.body.raw)
	switch {
	case len(d.body.raw) == 0:
		d.cause(proven("no_body", "there is no body", "curl -v shows none: put it below curl's output, or give it with --body"))
	case len(d.report.Causes) > 0:
	case d.body.text == nil:
		d.cause(d.body.unreadable())
	case shape != "" && shape != p.Name:
		d.cause(likely("other_provider", fmt.Sprintf("the body looks like one of %s's, but %s is an endpoint for %s", shape, d.endpoint.Name, p.Name), "correct the address at the vendor: each vendor has an endpoint of its own"))
	case errors.Is(refusal, verify.NoSignature):
		d.cause(d.noSignature())
	case errors.Is(refusal, verify.ManySignatures):
		d.cause(proven("signature_many", p.Header+" is there more than once, and no value is right", "find what adds the other, and have it pass on the vendor's alone"))
	case errors.Is(refusal, verify.MalformedSignature):
		d.cause(proven("signature_malformed", "the signature isn't 32 bytes in "+d.encodings()+"; other readings of it aren't right either", "compare it with the vendor's log: a proxy may have changed or cut it. The shorter signatures in the vendor's documentation are made up"))
	case errors.Is(refusal, verify.WrongSignature), errors.Is(refusal, verify.OtherScheme):
		d.wrongSignature()
	case errors.Is(refusal, verify.UnsignableDataShape):
		d.cause(proven("data_shape", "data is missing or empty, and nothing else is signed: such a delivery, usually a dashboard's test, can't be verified under scheme "+d.endpoint.Scheme, "cause a real event at the vendor and capture that"))
	}
}

// unreadable returns the cause of a body that can't be read.
func (b body) unreadable() Cause {
	switch err := b.err; {
	case err == nil:
		return proven("not_object", "the body isn't a JSON object", "this isn't a vendor's delivery, or only a part of one")
	case errors.Is(err, stringify.ErrDuplicate):
		return proven("duplicate_member", err.Error(), "no vendor writes such JSON: somebody has changed the delivery, or a proxy adds members")
	case errors.Is(err, stringify.ErrDepth):
		return proven("too_deep", err.Error(), "no vendor writes such JSON")
	case errors.Is(err, stringify.ErrUTF8):
		return proven("not_utf8", "the body is not UTF-8", "a proxy or the capture has converted or cut it")
	case len(slices.Collect(b.bodies())) > 1:
		return proven("not_json", "the body isn't JSON as it stands here. It is after unescaping, or without what is around it, but no secret signed that either", "capture the body as it was sent, byte for byte")
	default:
		return proven("not_json", "the body is "+err.Error(), "the capture is incomplete, or a proxy has changed the body: compare its length with Content-Length")
	}
}

func (d *diagnoser) encodings() string {
	var names []string
	for _, e := range d.endpoint.Provider.Encodings {
		names = append(names, string(e))
	}
	return strings.Join(names, " or ")
}

func (d *diagnoser) noSignature() Cause {
	var names []string
	for _, f := range d.Delivery.Header {
		names = append(names, f.Name)
	}
	there := "the capture has no headers"
	if len(names) > 0 {
		there = "the headers are " + strings.Join(names, ", ")
	}
	return proven(
		"signature_missing", "there is no signature: "+there,
		"if the capture is whole, a proxy drops "+d.endpoint.Provider.Header+", or the sender isn't the vendor: a few such requests are normal on the internet. If only the body was captured, give the header with -H",
	)
}

// wrongSignature adds the usual causes of a wrong signature that the search doesn't explain.
func (d *diagnoser) wrongSignature() {
	d.cause(d.suspectSecrets()...)
	if d.Delivery.ASCII && bytes.IndexByte(d.body.raw, '.') >= 0 {
		d.cause(likely("capture", "the capture shows a dot for each byte that isn't ASCII: if the body has such bytes, no signature can be right here", "give the body as it was sent: from tcpdump -w, say, or from the proxy's log"))
	}
	if !d.isDescribed() && sorted(d.body.text) {
		d.cause(likely("sorted", "the members of the body stand in alphabetical order, which is not the vendor's", "something on the way parses the body and writes it anew: have it pass the body on unchanged"))
	}
	settings := ""
	if d.isDescribed() {
		settings = d.prefixed("Compare SIGNED with the vendor's page, too. ")
	}
	d.cause(likely(
		"secret", fmt.Sprintf("no secret in %s or of another endpoint made this signature; other readings of the secrets, the signature and the body were tried, too", d.endpoint.SecretsFrom),
		fmt.Sprintf("compare %s with the secret that the vendor's page shows for this address now, and set both while in doubt, the new one first. "+settings+
			"`bridge send %s --url` with the public address shows whether a proxy changes bodies: 200 means that it doesn't", d.endpoint.SecretsFrom, d.endpoint.Name),
	))
}

// sorted reports whether the members of the body and of its data are in alphabetical order. With
// fewer than three that may be chance.
func sorted(text stringify.Text) bool {
	byName := func(a, b verify.Member) int { return cmp.Compare(a.Name, b.Name) }
	list := members(text)
	return len(list) >= 3 && slices.IsSortedFunc(list, byName) && slices.IsSortedFunc(members(text.Member("data")), byName)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
