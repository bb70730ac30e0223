// Package alerts holds the alert rules to the running program: a real Prometheus asks the built bridge, each
// alert is caused, seen to fire, and seen to resolve once its cause is gone. Only the rules' times are
// shortened. It takes some minutes: go test -tags alerts ./test/alerts, with the command prometheus (Debian's
// package of that name), and root for one alert's file system.
package alerts
