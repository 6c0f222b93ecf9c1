.DEFAULT_GOAL := help

# Where `make test/clients` builds oras, crane, regctl, cosign and the OCI
# conformance suite, once, at the versions pinned in tools.txt.
CLYDE_TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/clyde-tools/bin
export CLYDE_TOOLS

# The race detector needs a C compiler; without one the tests run without it.
RACE := $(shell command -v cc >/dev/null 2>&1 && [ "$$(go env CGO_ENABLED)" = 1 ] && echo -race)

.PHONY: help build run test test/clients test/all verify lint bench fmt

help: ## print this list
	@grep -hE '^[a-z/-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "%-14s %s\n", $$1, $$2}'

build: ## put clyde and clyde-registry into bin/
	go build -trimpath -o bin/ ./cmd/clyde ./cmd/clyde-registry

run: build ## build, then serve everything on 127.0.0.1:8080 with data under ./data
	./bin/clyde-registry serve

test: ## every test that needs nothing but Go; with the race detector where there is a C compiler
	go test $(RACE) ./...

fmt: ## format the code
	gofmt -w cmd config pkg

lint: ## what the compiler does not see
	@test -z "$$(gofmt -l cmd config pkg *.go)" || { gofmt -l cmd config pkg *.go; echo "run make fmt"; exit 1; }
	go vet ./...

verify: ## regenerate everything and fail if the tree changes
	git diff --exit-code
