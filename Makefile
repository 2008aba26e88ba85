# Half a dozen targets; `.ci/run` calls `make setup test` on a clean checkout.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2

.PHONY: suggest setup test test-extras test-pythons wheel-test docs test-swift test-web web lint format bench golden ios-model wheel clean

suggest: $(BIN)/keyboard-lm
	$(BIN)/keyboard-lm suggest "I am going"

$(BIN)/keyboard-lm: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable .

setup: $(BIN)/.installed

$(BIN)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

test: setup lint
	$(BIN)/pytest -n $(JOBS)

# What `make test` skips: MLX, GGUF, tokenizers, transformers and kebbie, beside each other where pip can bring them.
# In an environment of their own: transformers reads a SentencePiece model with a newer protobuf than flwr allows.
test-extras:
	$(PYTHON) -m venv $(VENV)-extras
	$(VENV)-extras/bin/pip install --quiet --editable '.[test,mlx,gguf,peers]'
	$(VENV)-extras/bin/pytest -n $(JOBS) tests/interop tests/runtime/backends tests/runtime/evaluation

# The runtime alone, without torch, under each Python that the machine has.
test-pythons:
	tests/pythons.sh

wheel-test: wheel
	tests/wheel.sh dist/*.whl

docs: setup
	$(BIN)/cog -r README.md

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/keyboard-lm bench

# What the app of ios_demo/ needs and cannot read of the package's data, written anew.
ios-model: setup
	$(BIN)/python -m tests.ios.make_model

golden: setup
	$(BIN)/python -m tests.golden.make

wheel: setup
	rm -rf dist
	$(BIN)/python -m build --quiet

clean:
	rm -rf $(VENV) $(VENV)-extras dist build *.egg-info

# Swift from the path, from Debian, or in a Debian root of its own: see ios_demo/tools/swift.sh.
test-swift: setup
	ios_demo/tools/swift.sh test -c release --disable-xctest
	ios_demo/tools/swift.sh build -c release --static-swift-stdlib
	ios_demo/tools/typecheck.sh
	$(BIN)/pytest tests/ios

# The page that the wheel carries, from web/; esbuild is the only build tool.
web:
	npm --prefix web ci --ignore-scripts --no-audit --no-fund --silent
	node web/build.mjs

# The same page in Chromium: see .ci/web.
test-web: setup
	.ci/web
