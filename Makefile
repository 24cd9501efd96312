# keyward. The product is built without cgo, and on Linux with runtime/secret;
# tests and benchmarks run on what is built.

.PHONY: build run test check static bench fuzz long

VERSION := $(or $(shell git describe --tags --always --dirty 2>/dev/null),unknown)
FUZZTIME ?= 30s
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

export CGO_ENABLED = 0
ifneq ($(filter linux/amd64 linux/arm64,$(shell go env GOOS GOARCH | paste -s -d /)),)
export GOEXPERIMENT = runtimesecret
endif

build:
	go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION)" -o bin/keyward ./cmd/keyward

# The first time it makes an installation in ./var; its key file goes to
# ~/.config/keyward.
run: build
	@test -e var/keyward.db || bin/keyward init --dir ./var
	@exec bin/keyward server --dir ./var

test:
	@.ci/needs
	go vet ./...
	go test -timeout 15m ./...
	@if [ -f interop/go.mod ]; then cd interop && set -x && go vet ./... && go test -count=1 -timeout 15m ./...; fi

# Before a push: what reads the code, and the quick tests.
check: static
	go test -short ./...

static:
	@bad=$$(find . \( -name node_modules -o -name testdata \) -prune -o -name '*.go' -print | xargs gofmt -l) && \
		if [ -n "$$bad" ]; then echo "gofmt would change:"; echo "$$bad"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...
	go test -run TestHouse .

# BAO=/path/to/bao measures OpenBao's transit engine in the same run.
bench: build
	go run ./bench

fuzz:
	@set -e; for package in $$(go list ./...); do \
		for test in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$test"; \
			go test -run '^$$' -fuzz "^$$test\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

# The same tests, with hours instead of seconds: more kills, more keys, more rounds.
long:
	@.ci/needs
	KEYWARD_TEST_LONG=1 go test -timeout 6h ./...
	@if [ -f interop/go.mod ]; then cd interop && KEYWARD_TEST_LONG=1 go test -count=1 -timeout 2h ./...; fi
