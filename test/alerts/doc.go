// Package alerts tests the alert rules with the running program: a real Prometheus scrapes the
// built bridge, each alert is caused, fires, and is resolved once its cause is gone. Only the
// rules' times are shortened. It takes some minutes: go test -tags alerts ./test/alerts, with the
// command prometheus (Debian's package of that name), and root for one alert's file system.
package alerts
