package stream

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
)

// An account may have limits for streams with three replicas, and none for consumers with one.
func TestTieredAccount(t *testing.T) {
	t.Parallel()
	key := func(create func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
		pair, err := create()
		expect.NoError(t, err)
		public, err := pair.PublicKey()
		expect.NoError(t, err)
		return pair, public
	}
	operator, operatorID := key(nkeys.CreateOperator)
	_, systemID := key(nkeys.CreateAccount)
	account, accountID := key(nkeys.CreateAccount)
	user, userID := key(nkeys.CreateUser)
	sign := func(claims jwt.Claims, by nkeys.KeyPair) string {
		token, err := claims.Encode(by)
		expect.NoError(t, err)
		return token
	}
	trusted := jwt.NewOperatorClaims(operatorID)
	trusted.SystemAccount = systemID
	tiered := jwt.NewAccountClaims(accountID)
	tiered.Limits.JetStreamTieredLimits = jwt.JetStreamTieredLimits{"R3": {DiskStorage: 1 << 30, Streams: 1, Consumer: 10}}
	servers := natsdtest.StartCluster(t, 3, false, fmt.Sprintf("operator: %s, resolver: MEMORY, resolver_preload: { %s: %s, %s: %s }",
		sign(trusted, operator), systemID, sign(jwt.NewAccountClaims(systemID), operator), accountID, sign(tiered, operator)))
	seed, err := user.Seed()
	expect.NoError(t, err)
	nc := natsdtest.Connect(t, natsdtest.URLs(servers), nats.UserJWTAndSeed(sign(jwt.NewUserClaims(userID), account), string(seed))).Conn()
	js, err := jetstream.New(nc)
	expect.NoError(t, err)
	natsdtest.CreateStream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, Replicas: 3})
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "R1", Subjects: []string{"r.>"}})
	expect.ErrorIs(t, errNoTier, err, "a stream with one replica")
	expect.NoError(t, expect.Err(js.Publish(t.Context(), "s.a", nil, jetstream.WithMsgID("a"))))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r := Reader{JetStream: js, Names: LookupNames}
	found, err := r.Find(ctx, "S", time.Time{}, func(string) bool { return true })
	expect.NoError(t, err)
	expect.Equal(t, map[string]uint64{"a": 1}, found.IDs, "found")
}
