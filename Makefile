# Every target sets up what it needs: a fresh machine wants only Python 3.11+ with pip, and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
SPECS  := openapi.yaml mockserver/viralsync_mock/control/control.openapi.yaml
WORKERS ?= $(shell $(PYTHON) -c "import os; print(2 * (os.cpu_count() or 1))")

UV     := $(BIN)/uv

.PHONY: serve screenshots docs test typescript test-lowest test-newest test-with test-sdist contract check bench foreign mutants wheel constraints clean

serve: $(VENV)/.serve            ## the mock on http://127.0.0.1:4747
	$(BIN)/viralsync-mock serve $(ARGS)

docs: $(VENV)/.dev               ## the documentation as a site, in build/docs/site; fails for a link that leads nowhere
	$(BIN)/python docs/build_site.py
	@echo "open build/docs/site/index.html"

screenshots: $(VENV)/.dev        ## the pictures of docs/ui.md anew
	$(BIN)/python docs/screenshots.py

test: $(VENV)/.dev               ## every test, in random order, on all cores: two each, as many wait for sockets
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-lowest: $(VENV)/.dev        ## every test, with the oldest dependencies that pyproject.toml allows
	$(MAKE) test-with RESOLUTION=lowest-direct ARGS="$(ARGS)"

test-newest: $(VENV)/.dev        ## every test, with the newest; another Python: ARGS=... WITH=python3.13
	$(MAKE) test-with RESOLUTION=highest ARGS="$(ARGS)"

WITH ?= $(PYTHON)
test-with:
	$(UV) venv --quiet --clear --seed --python $(WITH) $(VENV)-$(RESOLUTION)
	$(UV) pip install --quiet --python $(VENV)-$(RESOLUTION)/bin/python --resolution $(RESOLUTION) -e '.[dev]'
	$(VENV)-$(RESOLUTION)/bin/python -m pytest -n $(WORKERS) --dist worksteal \
	  -W ignore::pytest.PytestUnraisableExceptionWarning $(ARGS) # what other versions of libraries leak is not ours

test-sdist: $(VENV)/.dev         ## the tests of the source distribution, with the oldest dependencies
	rm -rf build/sdist && mkdir -p build/sdist
	$(BIN)/python -m hatchling build -t sdist -d build/sdist
	tar -xzf build/sdist/*.tar.gz -C build/sdist --strip-components 1
	$(MAKE) -C build/sdist test-with UV=$(abspath $(UV)) RESOLUTION=lowest-direct WORKERS=$(WORKERS) ARGS="$(ARGS)"

contract: $(VENV)/.dev           ## the contract tests on the mock; on something else: ARGS="--target https://..."
	$(BIN)/python -m pytest contract_tests $(or $(ARGS),--target mock)

check: $(VENV)/.dev node_modules ## lint, format, types, the linters of the spec, of the workflows and of what is deployed
	$(BIN)/ruff check --output-format concise .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/openapi-spec-validator openapi.yaml
	$(BIN)/openapi-spec-validator mockserver/viralsync_mock/control/control.openapi.yaml
	npx --no-install redocly lint $(SPECS)
	npx --no-install spectral lint $(SPECS) --fail-severity hint
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml fixtures/starter/workflow.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions action.yml
	$(BIN)/zizmor --offline --quiet .github/workflows action.yml fixtures/starter/workflow.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml
	$(BIN)/hadolint Containerfile
	$(BIN)/kubernetes-validate --quiet --strict deploy/kubernetes.yaml

bench: $(VENV)/.dev node_modules ## the measured comparisons, written to benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks

foreign: $(VENV)/.dev            ## the contract tests against an independent server, in real time; ARGS="--sample 20"
	$(BIN)/python -m tests.foreign.measure $(ARGS)

mutants: $(VENV)/.dev            ## what the contract tests notice, on servers that are wrong on purpose
	$(BIN)/python -m viralsync_conform.mutants $(ARGS)

wheel: $(VENV)/.dev              ## build the wheel and run the mock from it, the source away
	$(BIN)/python -m pytest tests/project/test_wheel.py

constraints: $(VENV)/.dev        ## constraints.txt anew: the newest versions allowed, with their hashes
	$(UV) pip compile --quiet --universal --upgrade --all-extras --generate-hashes --no-annotate \
	  --custom-compile-command "make constraints" --output-file constraints.txt pyproject.toml

typescript: $(VENV)/.dev          ## the tests of examples/typescript, the client of the control API for vitest and Playwright
	cd examples/typescript && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund --loglevel=error
	cd examples/typescript && VIRALSYNC_MOCK_COMMAND=$(abspath $(BIN))/viralsync-mock npm test

node_modules: package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error && touch node_modules

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# pip takes versions from a constraints file, but wants a hash of the checkout too where the file has hashes
$(VENV)/constraints.txt: constraints.txt $(VENV)/bin/python
	sed -e '/^ *--hash/d' -e 's/ \\$$//' constraints.txt > $@

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(VENV)/constraints.txt

$(VENV)/.serve: $(VENV)/constraints.txt pyproject.toml
	$(PIP) -e . && touch $@

$(VENV)/.dev: $(VENV)/constraints.txt pyproject.toml
	$(PIP) -e '.[dev]' && touch $@ $(VENV)/.serve

clean:
	rm -rf $(VENV) $(VENV)-* node_modules build dist .pytest_cache .mypy_cache .ruff_cache
