package frigade

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

func compose(event, id string, data stringify.Text) []byte {
	if data == nil {
		member := ""
		if first, action, _ := strings.Cut(event, "."); first == actions {
			member = fmt.Sprintf(`"actionType":%s,`, verify.Quoted(upperSnake(action)))
		}
		data = fmt.Appendf(nil, `{"id":%s,"flowSlug":"flow_12345","stepId":"welcome",%s"data":"{}","createdAt":"","foreignUserId":"user_12345"}`,
			verify.Quoted("flowResponse_"+id), member)
	}
	return fmt.Appendf(nil, `{"timeout":1000,"type":%s,"data":%s,"time":""}`, verify.Quoted(event), []byte(data))
}

// upperSnake turns completedStep into COMPLETED_STEP.
func upperSnake(camel string) string {
	return strings.ToUpper(capital.ReplaceAllString(camel, "_$0"))
}

var capital = regexp.MustCompile("[A-Z]")
