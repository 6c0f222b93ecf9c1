.DEFAULT_GOAL := help
SHELL := /bin/sh

# Where pinned tools (linters, other registries' clients) are built once; see
# .ci/tool. Nothing outside this folder and Go's own caches is written.
ifeq ($(HOME),)
export HOME := $(CURDIR)/.cache/home
endif
CLYDE_TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/clyde-tools/bin

# The race detector needs cgo and a C compiler; without them the tests run
# without it. It does not look into what computes by itself and would take most
# of the time: key derivations, the inside of SQLite (its locks are outside) and
# compressors.
UNRACED := golang.org/x/crypto/... modernc.org/sqlite/lib github.com/klauspost/compress/...
RACE := $(shell command -v cc >/dev/null 2>&1 && [ "$$(go env CGO_ENABLED)" = 1 ] && echo '-race $(UNRACED:%=-gcflags=%=-race=false)')

# The version of both programs is what the Go tool takes from git: the tag, or a
# pseudo-version of the commit, with +dirty where the tree differs.
BUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=auto -ldflags '-s -w'

# What make seed fills, with whose token, and from which file.
REGISTRY   ?= http://127.0.0.1:8080
TOKEN_FILE ?= data/admin-token
DATA       ?= $(firstword $(wildcard ../shared/data/packages.jsonl) examples/packages.jsonl)

.PHONY: help build run dev seed demo test test/clients test/toolchains test/postgres test/s3 test/deploy test/browser screenshots test/axe test/sigstore test/all chaos sigstore bench fmt lint verify tools clean

help: ## print this list
	@grep -hE '^[a-z0-9/-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "%-14s %s\n", $$1, $$2}'

build: ## put clyde and clyde-registry into bin/
	@mkdir -p bin
	$(BUILD) -o bin/ ./cmd/clyde ./cmd/clyde-registry

run: build ## build, then serve everything on 127.0.0.1:8080 with data under ./data
	./bin/clyde-registry serve

dev: ## serve from .cache/dev, seeded, and build and start again when a file changes
	go run ./internal/devtools/dev

seed: ## fill REGISTRY with the packages of DATA, with the token in TOKEN_FILE
	go run ./internal/devtools/seed -registry '$(REGISTRY)' -token-file '$(TOKEN_FILE)' -data '$(DATA)'

demo: build ## the main job step by step on a throw-away registry, which then stays up
	./deploy/demo.sh

test: ## every test that needs nothing but Go, git and make; with the race detector where there is a C compiler
	GOGC=200 GORACE=atexit_sleep_ms=0 CLYDE_TOOLS=/nonexistent CLYDE_TEST_BUILD='$(RACE)' go test -timeout 30m $(RACE) ./...

test/clients: ## oras, crane, regctl, cosign v2 and v3, conformance (builds them once; needs the network for that)
	.ci/tool '$(CLYDE_TOOLS)' oras crane regctl cosign-v2 cosign-v3 conformance
	CLYDE_TEST_TOOLS=1 CLYDE_TOOLS='$(CLYDE_TOOLS)' go test -count=1 -run '^TestClients' ./...

# Which browser the pages are tried in, and where pictures of them go, if anywhere.
BROWSER     ?= auto
SCREENSHOTS ?=

test/browser: ## the pages in Chromium, by mouse and by keyboard (needs chromium; SCREENSHOTS=dir keeps pictures)
	CLYDE_BROWSER='$(BROWSER)' CLYDE_SCREENSHOTS='$(if $(SCREENSHOTS),$(abspath $(SCREENSHOTS)))' go test -count=1 ./internal/browser

screenshots: ## a picture of every page at 390, 768 and 1280 pixels, light and dark, in SCREENSHOTS or .cache/screenshots (needs chromium)
	CLYDE_BROWSER='$(BROWSER)' CLYDE_SCREENSHOTS='$(abspath $(or $(SCREENSHOTS),.cache/screenshots))' go test -count=1 -timeout 30m -run '^TestPages$$/^look$$' ./internal/browser
	@echo 'pictures: $(or $(SCREENSHOTS),.cache/screenshots)'

test/axe: ## the same, and every page by the rules of axe-core too (needs npm and the network for that)
	npm install --no-audit --no-fund --silent --prefix '$(CLYDE_TOOLS)/axe' axe-core@4.14.1
	CLYDE_AXE='$(CLYDE_TOOLS)/axe/node_modules/axe-core/axe.min.js' CLYDE_BROWSER='$(BROWSER)' go test -count=1 -timeout 30m -run '^TestPages$$' ./internal/browser

test/sigstore: ## signing without a key against a real sigstore on this machine, with cosign v2 and v3 (builds them once)
	.ci/tool '$(CLYDE_TOOLS)' fulcio timestamp-server rekor-server cosign-v2 cosign-v3
	@# One package after the other: the timestamp server wants port 2112 for its own figures.
	CLYDE_TEST_TOOLS=1 CLYDE_TOOLS='$(CLYDE_TOOLS)' go test -count=1 -p 1 -run '^TestSigstore' ./pkg/signing/... ./cmd/clyde

sigstore: ## run a sigstore on this machine, for trying by hand
	.ci/tool '$(CLYDE_TOOLS)' fulcio timestamp-server rekor-server
	go run ./internal/devtools/sigstore -tools '$(CLYDE_TOOLS)'

test/toolchains: ## packages installed, built, linked and run with gcc, clang, CMake, Ninja, Meson, make and pkg-config
	CLYDE_TEST_TOOLCHAINS=1 go test -count=1 -timeout 30m -run '^TestToolchains' ./...

test/postgres: ## the same registry on Postgres, on private servers that initdb makes (needs postgresql)
	CLYDE_TEST_POSTGRES=1 go test -count=1 -timeout 10m -run '^TestPostgres' ./pkg/store ./pkg/server ./cmd/clyde-registry

test/deploy: ## deploy/ by the parsers of Kubernetes, kustomize, Compose, BuildKit, Prometheus and systemd (needs systemd-analyze)
	go test -count=1 -tags deploy -modfile .ci/deploy/tools.mod ./.ci/deploy

test/s3: ## blobs in a bucket of a real S3 server (builds it once; needs the network for that)
	.ci/tool '$(CLYDE_TOOLS)' versitygw
	CLYDE_TEST_TOOLS=1 CLYDE_TOOLS='$(CLYDE_TOOLS)' go test -count=1 -run '^TestS3' ./pkg/registry

test/all: test/clients test/toolchains test/postgres test/s3 test/deploy test/browser test/sigstore build ## what CI runs after make test
	DEMO_EXIT=1 ./deploy/demo.sh
	$(MAKE) chaos ROUNDS=5

# How often chaos kills the server, and the seed it printed, to repeat it.
ROUNDS ?= 100
SEED   ?= 0

chaos: build ## kill -9 the server ROUNDS times while it is used, and ask it for all it had promised
	go run ./internal/devtools/chaos -rounds '$(ROUNDS)' -seed '$(SEED)' -server '$(CURDIR)/bin/clyde-registry'

bench: ## side by side with plain distribution; one line a figure
	go run ./cmd/clyde-bench

fmt: ## format the code
	.ci/tool '$(CLYDE_TOOLS)' golangci-lint
	'$(CLYDE_TOOLS)/golangci-lint' fmt ./...

lint: ## golangci-lint and govulncheck, at pinned versions
	.ci/tool '$(CLYDE_TOOLS)' golangci-lint govulncheck
	'$(CLYDE_TOOLS)/golangci-lint' run ./...
	.ci/vulncheck '$(CLYDE_TOOLS)/govulncheck'

verify: ## generated files, builds for other systems, layering, words that must not land
	.ci/verify

tools: ## build every pinned tool into CLYDE_TOOLS
	.ci/tool '$(CLYDE_TOOLS)' oras crane regctl cosign-v2 cosign-v3 conformance fulcio timestamp-server rekor-server versitygw golangci-lint govulncheck

clean: ## remove what the other targets made, data/ excepted
	rm -rf bin dist .cache
