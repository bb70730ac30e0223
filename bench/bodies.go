package main

import (
	"bytes"
	"fmt"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

const secretText = "benchmark"

var key = secret.New(secretText)

// body is a usual body of Flock's, 700 bytes and canonical; each n is another event.
func body(n int64) []byte {
	return appendBody(nil, n, time.Now().Unix(), nil)
}

func appendBody(dst []byte, n, timestamp int64, padding []byte) []byte {
	return fmt.Appendf(dst, `{"name":"invitee.rewarded","entity":"invitee","entityId":"4463c78d-9b08-48a4-af38-e90aa6ca4cf7","data":{"campaignId":"a4afaa2e-bdb5-4393-acdd-17b545ed66d2",`+
		`"referrer":{"id":"2568f7c3-6dd4-4db1-a1b6-b4666f6042a0","email":"jane.doe+flock@example.co.uk","name":"Jane Doe"},"invitee":{"id":"4463c78d-9b08-48a4-af38-e90aa6ca4cf7","email":"m@example.com"},`+
		`"inviteeReward":{"id":"c_reward_%012d","name":null,"type":"payout","party":"referrer","method":"paypal","payoutAmount":12.5,"discountAmount":null,"discountPercentage":0.1,`+
		`"currency":"usd","limit":1000000,"limitUnit":null,"limitInterval":null,"createdAt":"2025-11-22T00:00:00.000Z","updatedAt":"2025-11-22T00:00:00.007Z"}%s},"timestamp":%d}`, n, noted(padding), timestamp)
}

// noted is padding as one more member of a body's data.
func noted(padding []byte) []byte {
	if len(padding) == 0 {
		return nil
	}
	return append(append([]byte(`,"note":"`), padding...), '"')
}

// largeBody is a canonical body of about that size, made of many small things, as a large body is.
func largeBody(size int) []byte {
	b := []byte(`{"name":"invitee.rewarded","entity":"invitee","entityId":"x","data":{"rewards":[`)
	for i := 0; len(b) < size-200; i++ {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"id":"c_reward_%012d","name":null,"type":"payout","note":"for Zoë, “thanks”","payoutAmount":12.5,"discountPercentage":0.1,"limit":1000000,"active":true}`, i)
	}
	return fmt.Appendf(b, `],"invitee":{"id":"x"}},"timestamp":%d}`, time.Now().Unix())
}

// spaced is the same body, nowhere canonical: it has a space behind each comma and colon, and
// needless escapes.
func spaced(canonical []byte) []byte {
	b := make([]byte, 0, len(canonical)*5/4)
	inside := false
	for _, c := range canonical {
		b = append(b, c)
		if c == '"' {
			inside = !inside
		}
		if !inside && (c == ',' || c == ':') {
			b = append(b, ' ')
		}
	}
	return bytes.ReplaceAll(b, []byte("12.5"), []byte("12.50"))
}

func sign(body []byte) string { return verify.Hex.Encode(key.MAC(body)) }
