# The two commands of a newcomer are `make demo` and `make test`; each makes the environment first.

PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .tools/bin/uv
BIN := .venv/bin
KUBERNETES = .tools/kubernetes/$(shell cat $(PROGRAMS)/go.sum $(PROGRAMS)/build.sh | sha256sum | cut -c 1-16)
PROGRAMS := tests/kubernetes/programs
PACKAGES := etcd-server runc containernetworking-plugins nftables buildah debootstrap iproute2

.DEFAULT_GOAL := help
.PHONY: help env promtool demo test kubernetes test-kubernetes packages root lint format figures clean

help:
	@echo "make demo     two institutions share a center on this machine: quotas, clusters, bills (ends by itself)"
	@echo "make test     every test that needs no cluster"
	@echo "make test-kubernetes  those that need one, on a real control plane in a network of its own; as root"
	@echo "make kubernetes       only its programs, built from Go modules (takes long once)"
	@echo "make lint     ruff, mypy and the import contracts"
	@echo "make format   rewrite what ruff can rewrite by itself"
	@echo "make figures  largest functions and files; who imports each outside package"
	@echo "make env      only the environment, in .venv"

env: .venv/.made

demo: env
	$(BIN)/python examples/two_institutions.py

test: env
	PATH="$(CURDIR)/.tools/bin:$$PATH" $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile

# What of Debian the tests on Kubernetes need, for whoever installs it.
packages:
	@echo $(PACKAGES)

# After a change of what is built, nothing of what was built before is taken for it.
kubernetes:
	@[ "$$(dpkg --status $(PACKAGES) 2>/dev/null | grep -c '^Status: install ok installed')" = $(words $(PACKAGES)) ] || \
	  { echo "Packages are missing: sudo apt install --no-install-recommends $(PACKAGES)" >&2; exit 1; }
	$(PROGRAMS)/build.sh $(KUBERNETES) node helm

# The images before the network in which the tests run: it leads nowhere.
test-kubernetes: root env kubernetes
	$(BIN)/python -m tests.kubernetes.images
	PATH="$(CURDIR)/$(KUBERNETES):$(CURDIR)/.tools/bin:$$PATH" tests/kubernetes/run.sh $(BIN)/python -m pytest tests/kubernetes

# Before anything is built in vain.
root:
	@[ "$$(id -u)" = 0 ] || { echo "This needs root, for a network of its own: sudo make test-kubernetes" >&2; exit 1; }

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(UV) lock --check --offline --quiet || $(UV) lock --check --quiet

format: env
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

figures: env
	$(BIN)/python -m tests.house

# Prometheus' own check of metrics, taken out of Debian's package: nothing is installed and no service starts.
promtool: .tools/bin/promtool

.tools/bin/promtool: .tools/uv-$(UV_VERSION)
	rm -rf .tools/prometheus && mkdir -p .tools/prometheus
	cd .tools/prometheus && apt-get -qq -o APT::Sandbox::User=root download prometheus && dpkg -x prometheus_*.deb .
	ln -sf ../prometheus/usr/bin/promtool $@

clean:
	rm -rf .venv .tools

# --frozen: what was locked and tested is what is installed. The system's Python is used as it is, none is downloaded.
.venv/.made: .tools/uv-$(UV_VERSION) uv.lock pyproject.toml client/pyproject.toml
	UV_PYTHON_DOWNLOADS=never $(UV) sync --frozen --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')"
	@touch $@

.tools/uv-$(UV_VERSION):
	@command -v $(PYTHON) >/dev/null || { echo "Python is missing: sudo apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Haidang needs Python 3.11 or newer, this is $$($(PYTHON) --version); name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "venv is missing: sudo apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@
