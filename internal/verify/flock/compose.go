package flock

import (
	"fmt"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

func compose(event, id string, data stringify.Text) []byte {
	entity, _, _ := strings.Cut(event, ".")
	if data == nil {
		data = fmt.Appendf(nil, `{"campaignId":"campaign_12345",%s:{"id":%s}}`, verify.Quoted(entity), verify.Quoted(id))
	}
	entityID := data.Member(entity).Member("id")
	if entityID == nil {
		entityID = verify.Quoted(id)
	}
	return fmt.Appendf(nil, `{"name":%s,"entity":%s,"entityId":%s,"data":%s,"timestamp":0}`,
		verify.Quoted(event), verify.Quoted(entity), []byte(entityID), []byte(data))
}
