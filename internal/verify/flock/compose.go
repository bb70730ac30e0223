package flock

import (
	"fmt"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

func compose(event, id string, data stringify.Text) verify.Object {
	entity, _, _ := strings.Cut(event, ".")
	if data == nil {
		data = verify.Object{
			{Name: "campaignId", Value: verify.Quoted("campaign_12345")},
			{Name: entity, Value: verify.Object{{Name: "id", Value: verify.Quoted(id)}}.Text()},
		}.Text()
	}
	entityID := data.Member(entity).Member("id")
	if entityID == nil {
		entityID = verify.Quoted(id)
	}
	return verify.Object{
		{Name: "name", Value: verify.Quoted(event)},
		{Name: "entity", Value: verify.Quoted(entity)},
		{Name: "entityId", Value: entityID},
		{Name: "data", Value: data},
		{Name: "timestamp", Value: []byte("0")},
	}
}

func date(body verify.Object, t time.Time) (verify.Object, error) {
	return body.Set("timestamp", fmt.Append(nil, t.Unix())), nil
}
