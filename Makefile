# Everything runs in .venv; `pip` reads constraints.txt, so that the same versions come next year.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-install serve models check clean

demo: models ## Ingest examples/, ask three questions, print cited and verified answers
	examples/demo.sh $(BIN)/ragstone

test: models ## All tests, those of the embedded models too; two files at a time
	$(BIN)/pytest -n 2 --dist loadfile

test-install: .venv/.installed ## Both extras, `cpu` and `gpu`, in environments of their own (some GB, needs the network)
	$(BIN)/pytest -m network

serve: models ## The service on this machine, with the console at /
	$(BIN)/ragstone serve

models: .venv/.installed ## Assemble the embedded models; complete ones are only checked
	$(BIN)/ragstone models fetch

check: .venv/.installed ## Lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean: ## Remove what make has made (models and data stay)
	rm -rf .venv build *.egg-info

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Ragstone needs Python 3.11 or newer: make PYTHON=python3.12"'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[cpu,dev]'
	touch $@
