package natsdtest

import (
	"fmt"
	"strings"
	"testing"
)

// StartCluster starts a cluster of that many servers, named n0, n1 and so on, each in a process of
// its own if separate is set. Each has the configuration besides that of the cluster.
func StartCluster(t testing.TB, size int, processes bool, conf string) []*Server {
	t.Helper()
	listen, routes := make([]string, size), make([]string, size)
	for i := range size {
		listen[i] = FreeAddr(t)
		routes[i] = "nats://" + listen[i]
	}
	servers := make([]*Server, size)
	for i := range servers {
		servers[i] = New(t, fmt.Sprintf("server_name: n%d, cluster { name: c, listen: %q, routes: [ %s ] }\n%s",
			i, listen[i], strings.Join(routes, ", "), conf))
		if processes {
			servers[i].child = &child{}
		}
	}
	for _, s := range servers {
		s.Start()
	}
	return servers
}

// URLs are where clients connect to any of the servers.
func URLs(servers []*Server) string {
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.URL())
	}
	return strings.Join(urls, ",")
}
