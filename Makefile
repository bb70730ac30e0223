# Each target is one command. CI needs no make: it runs .ci/run and .ci/snapshot.

.PHONY: help test lint fmt tidy docs image k8s e2e-k8s fuzz vuln bench chaos hostile alerts servers snapshot ci

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST)
test: ## run the tests, or with the race detector: make test ARGS=-race
	go test $(ARGS) ./... ./event/...
lint: ## lint, import rules included
	.ci/tool golangci-lint run ./... ./event/...
fmt: ## format the code
	.ci/tool golangci-lint fmt
tidy: ## check the modules as an importer has them: tidy, installed, imported
	.ci/outside
docs: ## regenerate the parts of documents that come from the code
	go generate ./...
image: ## build the container image, of this commit
	docker build -t webhook-bridge:dev --build-arg REVISION=$$(git rev-parse HEAD) --build-arg SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) .
k8s: ## check the Kubernetes manifests against schemas and policies
	go -C test/k8s test -vet=off .
e2e-k8s: ## try the manifests on the cluster of the current context: make e2e-k8s LOAD='kind load docker-image'
	go run ./test/e2e-k8s -load '$(LOAD)' $(ARGS)
fuzz: ## run every fuzz target for two minutes, or: make fuzz TIME=1h
	.ci/fuzz $(or $(TIME),2m)
vuln: ## list known vulnerabilities that our code reaches
	.ci/vuln
bench: ## measure against the floor: make bench ARGS='-pairs 21 -only closed'
	go run ./bench $(ARGS)
chaos: ## faults under load: make chaos ARGS='-duration 1h -seed 7'
	go run ./test/chaos $(ARGS)
hostile: ## attacks beside good senders: make hostile ARGS='-attack worst'
	go run ./test/hostile $(ARGS)
servers: ## the main faults against nats-server 2.10, 2.11, 2.12 and the newest; as root
	go run ./test/servers $(ARGS)
alerts: ## cause every alert, with a real Prometheus; as root
	go test -tags alerts -v -timeout 30m ./test/alerts
snapshot: ## build and try a release without publishing it; up to a quarter of an hour
	.ci/snapshot
ci: ## run the main job of CI
	.ci/run
