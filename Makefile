# make check is what CI runs on the Go code; make interop proves the engines.

STATICCHECK ?= honnef.co/go/tools/cmd/staticcheck@v0.8.2
KILLS       ?= 200
SCHEDULES   ?= 5000000
SEEDS       ?= 10000
FIRST_SEED  ?= 0
ROUNDS      ?= 10
FUZZTIME    ?= 10s
BENCHTIME   ?= 1s
PYTHON      ?= python3
PEERS       ?= --rows 3000000 --rounds 9

.DEFAULT_GOAL := help

.PHONY: help
help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/trine
	go build -o bin/trine ./cmd/trine

.PHONY: test
test: ## test all packages; needs Go and nothing else
	go test ./...

.PHONY: check
check: format vet staticcheck importrules race ## format, vet, staticcheck, import rules, race tests

.PHONY: format
format: ## fail when a file is not as gofmt would have it
	@files=$$(gofmt -l .); \
	if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi

.PHONY: vet
vet: ## go vet
	go vet ./...

.PHONY: staticcheck
staticcheck: ## staticcheck, at the version pinned above
	go run $(STATICCHECK) ./...

.PHONY: importrules
importrules: ## fail on an import that a room may not have
	go test -count=1 ./internal/importrules

.PHONY: race
race: ## test all packages with the race detector, long ones shortened; needs a C compiler
	GORACE=atexit_sleep_ms=0 CGO_ENABLED=1 go test -timeout 30m -race -short ./...

.PHONY: s3
s3: ## test the S3 store against versitygw, which is built by Go
	go test -count=1 -tags s3 ./internal/blob/s3

.PHONY: torture
torture: ## kill a server KILLS times under writers, and fill real disks; Linux, needs the right to mount
	go test -count=1 -timeout 30m -tags torture -run 'TestKill|Disk' ./cmd/trine -kills $(KILLS) -v

.PHONY: seeds
seeds: ## run the index against a map, with crashes and loss, by SEEDS seeds from FIRST_SEED on; TMPDIR in memory is quicker
	go test -count=1 -timeout 24h -run '^(TestSimulation|TestSecondaries)$$' ./kvindex -seeds $(SEEDS) -first-seed $(FIRST_SEED)

.PHONY: fresh-seeds
fresh-seeds: ## run the tests that draw at random ROUNDS times with new seeds; TRINE_SEED=n sets one for any test
	@for i in $$(seq $(ROUNDS)); do TRINE_SEED=new go test -count=1 $$(grep -rl 'seedtest[.]' --include='*_test.go' . | xargs -n1 dirname | sort -u); done

.PHONY: model
model: ## check the ownership protocol by SCHEDULES random schedules for each setting
	go test -count=1 -timeout 60m -v -run AllRulesHold ./log/model ./log/model/zones -schedules $(SCHEDULES)

.PHONY: model-spec
model-spec: ## check it exhaustively at small bounds; needs spin and a C compiler
	log/model/spec/run.sh

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME
	@set -e; for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

.PHONY: bench
bench: ## run the benchmarks, BENCHTIME each
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...

.PHONY: bench-peers
bench-peers: interop-setup ## read one table from Trine, Arrow Flight and ClickHouse, in turns
	interop/.venv/bin/python interop/bench_peers.py $(PEERS)

.PHONY: interop-setup
interop-setup:
	PYTHON=$(PYTHON) interop/setup.sh

.PHONY: interop
interop: interop-setup python-test ## prove that pyarrow, polars, PyIceberg, DuckDB, ClickHouse and Spark read what was written
	cd interop && .venv/bin/python -m pytest

.PHONY: python-test
python-test: interop-setup ## test the Python client against a server, with its types, style and documentation
	cd clients/python && ../../interop/.venv/bin/python -m pytest

.PHONY: rck
rck: ## run Apache Iceberg's compatibility kit for REST catalogs; needs Java, Maven and Python
	$(PYTHON) interop/rck/run.py

.PHONY: interop-lock
interop-lock: ## make interop/requirements.lock anew from requirements.in; needs uv
	cd interop && uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate requirements.in -o requirements.lock

.PHONY: clean
clean: ## remove what the targets above made
	rm -rf bin clients/js/node_modules interop/.venv interop/.jars interop/.bin
	find interop clients -name __pycache__ -prune -exec rm -rf {} +
