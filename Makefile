# Everything a developer does here. `make help` lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SOURCES := servers clients tests bench deploy proto setup.py migrations
TEST_PROCESSES ?= 3

# Where nothing that is compiled is kept, each process compiles all sources anew: a second of CPU for every server.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test test-unit test-long check format lint types contracts generated imports names gateway image compose chart chart-table proto monitoring released sdk lock bench bench-peak bench-profile bench-retention bench-eulas-import chaos ha docs-polling docs-api docs-scaling audit clean

help: ## Show what each target does.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## Make .venv with the pinned, hashed dependencies and this project in it.

$(INSTALLED): requirements.lock setup.cfg setup.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ridehail needs python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: setup ## Run the whole suite on this machine, with demo data. Ctrl-C stops it.
	@$(BIN)/ridehail up --demo

# The tests of a file share what is costly to start, so a file stays with one process. They wait more than they work: more
# processes than cores are faster. A process that dies ends the run: pytest-xdist waits for the rest of its file for ever.
PYTEST := $(BIN)/pytest -n $(TEST_PROCESSES) --dist loadfile --max-worker-restart=0 $(if $(SHUFFLE),-p randomly)
TEST_FOLDERS := $(filter-out support,$(notdir $(patsubst %/,%,$(wildcard tests/*/))))
TESTS_OF := $(subst -,_,$(SERVICE))

# By what the servers of the tests serve; tests/chassis/transport runs on both whatever it says. TLS needs grpcio always.
ifdef TRANSPORT
export RIDEHAIL_TRANSPORT := $(TRANSPORT:native=auto)
endif

test: setup ## Run every test, or with SERVICE=toll_roads (any folder of tests/) those of one service; TRANSPORT=native.
ifneq ($(filter-out $(TEST_FOLDERS),$(TESTS_OF)),)
	@echo "make test: there are no tests of '$(SERVICE)'. SERVICE is one of: $(TEST_FOLDERS)" >&2; exit 2
else
	$(PYTEST) $(addprefix tests/,$(TESTS_OF)) $(PYTEST_ARGS)
endif

test-unit: setup ## Run the tests that need no process and no socket, in a minute.
	$(PYTEST) -m unit $(PYTEST_ARGS)

test-long: setup ## Run the long forms: a crash at every step, 100 kills of a suite (KILLS), the page of production, every case of the bench.
	RIDEHAIL_TEST_KILLS=$(or $(KILLS),100) $(PYTEST) --long -m 'long or slow' $(PYTEST_ARGS)

check: lint types contracts generated imports names gateway image chart ## Format, lint, types, contracts, generated files, import rules, class names, gateway, image, chart.

format: setup ## Format the code and fix what can be fixed by itself.
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

lint: setup
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)

types: setup
	$(BIN)/mypy

contracts: setup
	@mkdir -p build
	$(BIN)/python proto/generate.py --output build/generated --image build/contracts.binpb
	$(BIN)/buf lint build/contracts.binpb --config proto/buf.yaml --path ridehail
	$(BIN)/buf breaking build/contracts.binpb --against proto/released.binpb --config proto/buf.yaml --path ridehail

generated: contracts
	diff --recursive --brief --exclude __pycache__ build/generated/ridehail generated/ridehail
	$(BIN)/python proto/generate_clients.py --check build/contracts.binpb
	$(BIN)/python clients/generate_sync.py --check
	$(BIN)/ridehail monitoring check

imports: setup
	$(BIN)/lint-imports

names: setup
	$(BIN)/pytest -n 0 tests/test_class_names.py

gateway: setup
	$(BIN)/ridehail gateway check

image: setup
	$(BIN)/hadolint Dockerfile
	$(BIN)/python deploy/image/generate_compose.py --check

compose: setup ## Write compose.yaml again, from the definitions of the services.
	$(BIN)/python deploy/image/generate_compose.py

# Helm's own lint and rendering with every file of values, Kubernetes' schemas, and what the chart promises.
chart: setup
	$(BIN)/python deploy/helm/generate.py --check
	$(BIN)/pytest -n 0 tests/deploy/test_chart.py tests/deploy/test_chart_values.py

chart-table: setup ## Write again what the Helm chart knows of the services, and the schema of its values.
	$(BIN)/python deploy/helm/generate.py

proto: setup ## Generate the stubs and the client library again.
	@mkdir -p build
	$(BIN)/python proto/generate.py --image build/contracts.binpb
	$(BIN)/python proto/generate_clients.py build/contracts.binpb
	$(BIN)/python clients/generate_sync.py
	$(MAKE) monitoring

monitoring: setup ## Write Prometheus' rules and Grafana's dashboards again, from the contracts and definitions.
	$(BIN)/ridehail monitoring write deploy

released: setup ## Remember the contracts as released: `make check` refuses changes that break them.
	@mkdir -p build
	$(BIN)/python proto/generate.py --output build/generated --image proto/released.binpb

# Tools are built from the checksums of go.sum, and installed by those of package-lock.json.
SDK_TOOLS := $(CURDIR)/build/tools:$(CURDIR)/build/sdk/typescript/node_modules/.bin
GENERATE_SDK := PATH="$(SDK_TOOLS):$$PATH" $(BIN)/buf generate build/contracts.binpb --output build/sdk

sdk: setup ## Generate clients in Go and TypeScript, with an example of each, in build/sdk. Needs Go and Node.
	@mkdir -p build/sdk
	$(BIN)/python proto/generate.py --output build/generated --image build/contracts.binpb
	cp -R proto/sdk/. build/sdk
	cd build/sdk/go && GOBIN=$(CURDIR)/build/tools go install tool
	npm --prefix build/sdk/typescript ci --silent --no-audit --no-fund
	$(GENERATE_SDK) --template proto/buf.gen.yaml --path ridehail
	$(GENERATE_SDK) --template '{"version": "v2", "plugins": [{"local": "protoc-gen-es", "out": "typescript", "opt": ["target=js+dts", "import_extension=js"]}]}' \
		--path google/rpc/error_details.proto
	cd build/sdk/go && go build -o bin/example ./example
	cd build/sdk/typescript && node_modules/.bin/tsc

lock: setup ## Upgrade every dependency to its newest version, pinned and hashed.
	$(BIN)/uv pip compile --quiet --upgrade --all-extras --generate-hashes --universal --python-version 3.11 \
		--no-emit-index-url --no-header setup.cfg --output-file requirements.lock

bench: setup ## Measure the servers against a null handler and FastAPI; BENCH_ARGS as in docs/performance.md.
	$(BIN)/python -m bench $(BENCH_ARGS)

bench-peak: setup ## Load the whole suite with its peak for a minute, as an open loop, and with more until it is too much.
	$(BIN)/python -m bench.peak $(BENCH_ARGS)

bench-profile: setup ## Show where the time of a call goes, by package and line, sampled while the servers are loaded.
	$(BIN)/python -m bench.profile --py-spy "$(BIN)/uv tool run --quiet py-spy@0.4.3" $(BENCH_ARGS)

bench-retention: setup ## Measure the retention jobs of toll roads at full size, and check that they lose nothing.
	$(BIN)/python -m bench.retention

bench-eulas-import: setup ## Measure the import of a million decisions, and check that a rerun and kill -9 change nothing.
	$(BIN)/python -m bench.eulas_import $(BENCH_ARGS)

chaos: setup ## Break the suite on purpose for an hour and check its promises; CHAOS_ARGS as in docs/reliability.md.
	$(BIN)/python -m bench.chaos $(CHAOS_ARGS)

ha: setup ## Let Postgres fail over by Patroni under the suite for 40 minutes; HA_ARGS as in docs/reliability.md.
	$(BIN)/python -m bench.ha $(if $(HA_ARGS),$(HA_ARGS),--page docs/reliability.md)

# The browser is Debian's (`apt-get install chromium`); what drives it and what judges the page stay out of .venv.
docs-api: setup ## Try the page at /docs in Chromium, by axe-core too, and keep its pictures in docs/. Needs chromium and npm.
	$(BIN)/uv pip install --quiet --python $(BIN)/python --target build/playwright playwright==1.65.2
	npm --prefix build/axe install --silent --no-audit --no-fund axe-core@4.14.1
	PYTHONPATH=build/playwright RIDEHAIL_AXE=$(CURDIR)/build/axe/node_modules/axe-core/axe.min.js RIDEHAIL_PICTURES=docs \
		$(BIN)/pytest -n 0 --long tests/e2e/test_api_page.py

docs-polling: setup ## Simulate a million apps that come back after an outage: docs/polling.svg, and the table beside it.
	$(BIN)/python -m bench.polling

docs-scaling: setup ## Write what docs/scaling.md and deploy/citus have of the schemas and of measured costs.
	$(BIN)/python -m tests.scaling

# What cannot be looked up counts as a failure: an audit that saw nothing is none.
audit: setup ## List licences and the parts of a release (SBOM) in build/, then look for known vulnerabilities.
	@mkdir -p build
	$(BIN)/uv tool run pip-licenses --python $(BIN)/python --format=markdown --output-file build/licences.md
	$(BIN)/uv tool run --from cyclonedx-bom cyclonedx-py requirements requirements.lock --output-file build/sbom.json
	@$(BIN)/uv tool run pip-audit --strict --disable-pip --require-hashes --requirement requirements.lock || \
		{ echo "make audit: vulnerabilities were found, or the database (pypi.org) cannot be reached: see above" >&2; exit 1; }

clean: ## Remove what builds and checks leave behind; keeps .venv and .ridehail.
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
