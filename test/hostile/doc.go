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
// It fails if a good delivery is refused or lost that shouldn't be, if the bridge takes more than
// 256 MB (against attacks with heads it runs in a memory cgroup of 512 MB, or under RLIMIT_DATA,
// and is killed above that), if the admin listener doesn't answer, if something is stored that no
// good sender sent, or if the attack didn't take place. Times are printed and not judged: senders,
// attackers and the bridge share the machine. It needs Linux, and 10,000 open files.
package main
