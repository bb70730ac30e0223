package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// keep makes a body durable under an id.
type keep func(r *http.Request, id string, body []byte) error

// floor is what the bridge is measured against: it receives a delivery of Flock's, checks the HMAC
// of its body, keeps the body and answers. It parses nothing, wraps nothing, counts nothing, limits
// nothing.
type floor struct {
	secret []byte
	keep   keep
}

func (f floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "reading", http.StatusBadRequest)
		return
	}
	mac := hmac.New(sha256.New, f.secret)
	mac.Write(body)
	sum := mac.Sum(nil)
	signature, err := hex.DecodeString(r.Header.Get("X-Flock-Signature"))
	if err != nil || !hmac.Equal(sum, signature) {
		http.Error(w, "signature", http.StatusUnauthorized)
		return
	}
	if err := f.keep(r, hex.EncodeToString(sum[:16]), body); err != nil {
		http.Error(w, "keeping", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// inJetStream waits for the stream's acknowledgement.
func inJetStream(js jetstream.JetStream) keep {
	return func(r *http.Request, id string, body []byte) error {
		message := nats.NewMsg("webhooks.flock.floor")
		message.Data = body
		_, err := js.PublishMsg(r.Context(), message, jetstream.WithMsgID(id))
		return err
	}
}
