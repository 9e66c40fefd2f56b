# make help says what there is.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo browser docs test test-slow test-faults test-torch test-view test-lowest test-newest soak audit lint clean distclean

# The interpreter to build on; without it a suitable one is looked for.
PYTHON ?=
export PYTHON

# Arguments for make demo and for pytest in make test.
ARGS ?=

ENTER := . ./env.sh
# Tests and demo must not meet other ROS 2 programs on this machine or its network.
LOCAL := ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST $(if $(filter humble,$(ROS_DISTRO)),ROS_LOCALHOST_ONLY=1)
ISOLATE := export $(LOCAL) ROS_DOMAIN_ID=$$((RANDOM % 100 + 1))

help: ## show this list
	@echo "usage: make TARGET [PYTHON=/path/to/python3] [ARGS='...']"; echo
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | while IFS='|' read -r target text; do \
		printf '  %-11s %s\n' "$$target" "$$text"; done

setup: ## make the environment and build the package; quick if nothing has changed
	@for python in python3 /usr/bin/python3 python3.13 python3.12 python3.11 python3.10 "$$PYTHON"; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2> /dev/null; then \
			exec "$$python" scripts/setup_environment.py; \
		fi; \
	done; \
	echo "[setup] error: there is no Python 3.10 or newer; install one, or name it: PYTHON=..." >&2; exit 1

demo: setup ## simulated auto-focus camera and depth node at work; leaves pictures in demo_output
	@$(ENTER) && python3 -m focdepth_ros.ros.demo $(ARGS)

lint: setup ## ruff and mypy
	@$(ENTER) && ruff check . && ruff format --check . && \
	if python3 -c 'import numpy, sys; sys.exit(numpy.lib.NumpyVersion(numpy.__version__) < "2.3.0")'; \
	then mypy; else echo "mypy is left out: it needs the annotations of NumPy 2.3 or newer"; fi

browser: setup
	@$(ENTER) && python3 scripts/ensure_browser.py

# Unit tests share two processes. Those of nodes come one after the other: they talk in real time.
ALL_TESTS := { python3 -m pytest --numprocesses 2 --dist loadfile test/unit; unit=$$?; \
	python3 -m pytest test/ros test/system && exit $$unit; }

test: lint browser ## ruff, mypy and all tests but the slow ones
	@$(ENTER) && $(ISOLATE) && $(if $(ARGS),python3 -m pytest $(ARGS),$(ALL_TESTS))

test-slow: setup ## the slow tests
	@$(ENTER) && $(ISOLATE) && python3 -m pytest -m slow $(ARGS)

FAULT_TESTS := $(patsubst %,test/ros/test_%.py,clock depth_node_backend_faults depth_node_disturbed \
	depth_node_end depth_node_fallback depth_node_faults depth_node_hostile driver_faults \
	evaluator_full_disk qos sweep_node_faults) \
	test/ros/node_support/test_surroundings.py test/system/test_soak.py

test-faults: setup ## the tests that disturb running nodes, also the long ones of them
	@$(ENTER) && $(ISOLATE) && python3 -m pytest -m "faults or not slow" $(FAULT_TESTS) $(ARGS)

soak: setup ## 5,000 sweeps through the nodes: nothing may grow, get lost or slow down
	@$(ENTER) && $(ISOLATE) && python3 benchmarks/soak.py $(ARGS)

audit: setup ## known vulnerabilities of the packages in use; asks https://osv.dev
	@$(ENTER) && python3 scripts/audit.py $(ARGS)

# All that requirements/torch-test.txt brings.
TORCH_PACKAGES := torch, torchvision, timm, safetensors, lightning_fabric, tensorboard, onnx, onnxscript, onnxruntime

TORCH_NODE_TESTS := $(patsubst %,test/ros/test_depth_node_%.py,network defocus defocus_end)
ALL_TORCH_TESTS := { OMP_NUM_THREADS=1 python3 -m pytest --numprocesses 2 --dist loadfile test/torch; unit=$$?; \
	python3 -m pytest $(TORCH_NODE_TESTS) && exit $$unit; }

test-torch: setup ## the tests of what runs on torch; installs what they need where it is missing
	@$(ENTER) && { python3 -c 'import $(TORCH_PACKAGES)' 2> /dev/null || \
		python3 -m pip install --disable-pip-version-check --progress-bar off -r requirements/torch-test.txt; } && \
	$(ISOLATE) && $(if $(ARGS),python3 -m pytest test/torch $(TORCH_NODE_TESTS) $(ARGS),$(ALL_TORCH_TESTS))

test-view: setup ## the tests of focdepth view; installs what they need where it is missing
	@$(ENTER) && { python3 -c 'import rerun, playwright' 2> /dev/null || \
		python3 -m pip install --disable-pip-version-check --progress-bar off -r requirements/view-test.txt; } && \
	$(ISOLATE) && python3 -m pytest -m "slow or not slow" -k "view or simulate or estimate" \
		test/unit/viewer test/ros/test_view_node.py test/ros/test_security_policy.py test/system/test_readme.py $(ARGS)

docs: setup ## the documentation as a site in site/, its reference made anew from the code
	@$(ENTER) && python3 docs/make_reference.py && NO_MKDOCS_2_WARNING=1 python3 -m mkdocs build --strict --quiet && \
	echo "open site/index.html, or with search: python3 -m http.server --bind 127.0.0.1 --directory site"

# In an environment of its own without ROS, whatever .venv has: $(1) is what uv calls lowest or
# newest. The other bounds, of torch and of the ROS 2 wheels, are pins in requirements/.
TRIED := $(patsubst %,-r requirements/%.txt,base bags cluster datasets evaluation simulation test)
define test_with
	@"$${PYTHON:-python3}" -m venv --clear .venv-$(1) && \
	.venv-$(1)/bin/python -m pip install --quiet --disable-pip-version-check uv && \
	export VIRTUAL_ENV="$$PWD/.venv-$(1)" && unset PYTHONPATH && \
	.venv-$(1)/bin/uv pip install --quiet --resolution $(1) $(TRIED) && \
	FOCDEPTH_MESSAGES=0 .venv-$(1)/bin/uv pip install --quiet --no-deps . && \
	.venv-$(1)/bin/python -m pytest test/unit $(ARGS)
endef

test-lowest: ## the unit tests, without ROS, on the lowest versions that requirements/ allow
	$(call test_with,lowest-direct)

test-newest: ## the same on the newest
	$(call test_with,highest)

clean: ## delete what was built and written; keeps .venv
	rm -rf build install log dist site demo_output .hypothesis .pytest_cache .mypy_cache .ruff_cache *.egg-info

distclean: clean ## delete .venv and the environments of test-lowest and test-newest, too
	rm -rf .venv .venv-lowest-direct .venv-highest .audit
