//go:build linux

// Chaos runs the built bridge and real nats-servers, as processes of their own, under load and faults,
// and checks what the bridge promises: from outside, by what senders were answered, what the streams
// hold, and what the metrics say.
//
//	go run ./test/chaos -short                    # each scenario once, as CI does
//	go run ./test/chaos -duration 1h              # all of them by turns, in random order, until the hour is over
//	go run ./test/chaos -scenario NAME -seed N    # one run again
//	go run ./test/chaos -list
//
// It needs Linux, root (it mounts small file systems) and strace (it makes a disk slow). All traffic stays on
// loopback. A seed gives the same faults at the same moments and the same deliveries; how the processes are
// scheduled among them is the machine's.
package main
