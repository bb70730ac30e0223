// Package bench measures the bridge against a floor: the least Go that does the job without being
// it. What is measured is a ratio in one run, never a time.
package bench

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Floor receives a delivery of Flock's, checks the HMAC of its body, publishes the body, waits for
// the acknowledgement and answers. It parses nothing, wraps nothing, counts nothing, limits nothing.
type Floor struct {
	Secret  []byte
	Subject string
	JS      jetstream.JetStream
}

func (f Floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "reading", http.StatusBadRequest)
		return
	}
	mac := hmac.New(sha256.New, f.Secret)
	mac.Write(body)
	sum := mac.Sum(nil)
	signature, err := hex.DecodeString(r.Header.Get("X-Flock-Signature"))
	if err != nil || !hmac.Equal(sum, signature) {
		http.Error(w, "signature", http.StatusUnauthorized)
		return
	}
	message := nats.NewMsg(f.Subject)
	message.Data = body
	if _, err := f.JS.PublishMsg(r.Context(), message, jetstream.WithMsgID(hex.EncodeToString(sum[:16]))); err != nil {
		http.Error(w, "publishing", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}
