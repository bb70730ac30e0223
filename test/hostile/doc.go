//go:build linux

// Hostile runs the built bridge and a real nats-server, as processes of their own, and attacks the public port as
// anybody on the internet can, while good senders go on delivering beside it. For each attack it prints what became
// of the good deliveries and how long they took, the bridge's greatest memory and its use of the processor, and counts
// that show that the attack was one.
//
//	go run ./test/hostile -short         # each attack for some seconds, as CI does
//	go run ./test/hostile                # each for half a minute
//	go run ./test/hostile -attack NAME   # one of them
//	go run ./test/hostile -list
//
// It fails where a good delivery is refused or lost that shouldn't be, where the bridge takes more than 256 MB
// (against the attacks with heads it runs in a memory cgroup of 512 MB, or under RLIMIT_DATA where none can be made, and
// is killed past that), where the admin listener doesn't answer, where
// something is stored that no good sender sent, or where an attack didn't do what it came for. Times are printed and
// not judged: senders, attackers and the bridge share the machine. It needs Linux, and 10,000 open files.
package main
