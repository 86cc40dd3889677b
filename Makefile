# Each target makes what it needs; a second run installs nothing.
PYTHON ?= python3
BACKENDS ?=
SLOW ?=
ARGS ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
REQUIREMENTS := setup.cfg pyproject.toml constraints.txt

BENCH := .venv-bench/bin
BENCH_PIP := $(BENCH)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

.PHONY: demo test test-newest test-oldest lint format notebooks bench battery clean

demo: .venv/demo.stamp  ## train the small CNN with the parts and plainly, and compare
	$(BIN)/keras-dcnn demo

# The suite on TensorFlow and JAX, and on PyTorch where it is installed. BACKENDS="… torch" installs
# it: from PyPI it comes with several GB of CUDA, so it is not installed unasked. SLOW=1 for all.
test: .venv/dev.stamp $(if $(filter torch,$(BACKENDS)),.venv/torch.stamp)
	$(BIN)/python tests/run_backends.py $(if $(SLOW),--slow) $(BACKENDS)

# What is quick, on the newest Keras that can be had, pre-releases too, with the newest of all else.
test-newest: .venv-newest/dev.stamp
	.venv-newest/bin/python tests/run_backends.py $(BACKENDS)

# The same on the oldest Keras that setup.cfg admits.
test-oldest: .venv-oldest/dev.stamp
	.venv-oldest/bin/python tests/run_backends.py $(BACKENDS)

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: .venv/dev.stamp  ## execute the notebooks and keep their outputs
	$(BIN)/python notebooks/execute.py

# Beside keras_cv, albumentations and others, and beside kornia where it is installed. BACKENDS=torch
# installs it, with PyTorch. ARGS="--rounds 3 --only hsv,adapt" for a quick look.
bench: .venv-bench/bench.stamp $(if $(filter torch,$(BACKENDS)),.venv-bench/torch.stamp)
	$(BENCH)/python benchmarks/run.py $(ARGS)

# Needs dieharder, of Debian's packages, and most of an hour. ELEMENTS=64 for the keys of the steps.
battery: .venv/dev.stamp  ## a public battery of tests on the raw bits of the noise
	KERAS_BACKEND=jax $(BIN)/python benchmarks/noise_stream.py $(or $(ELEMENTS),1048576) | dieharder -a -k 2 -Y 1 -g 200

clean:
	rm -rf .venv .venv-newest .venv-oldest .venv-bench .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

.venv/python.stamp .venv-newest/python.stamp .venv-oldest/python.stamp .venv-bench/python.stamp:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "keras_dcnn needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(@D)
	touch $@

.venv/demo.stamp: .venv/python.stamp $(REQUIREMENTS)
	@echo "installing keras_dcnn and TensorFlow into .venv, once"
	$(PIP) -e ".[demo]"
	touch $@

.venv/dev.stamp: .venv/python.stamp $(REQUIREMENTS)
	@echo "installing keras_dcnn, TensorFlow, JAX and the test tools into .venv, once"
	$(PIP) -e ".[dev,jax]"
	touch $@

.venv/torch.stamp: .venv/python.stamp $(REQUIREMENTS)
	@echo "installing PyTorch into .venv, once"
	$(PIP) torch
	touch $@

# Each is a Keras of its own: keras-nightly lies where keras lay.
.venv-newest/dev.stamp: .venv-newest/python.stamp $(REQUIREMENTS)
	.venv-newest/bin/python -m pip --disable-pip-version-check install --quiet --upgrade -e ".[dev,jax]"
	.venv-newest/bin/python -m pip --disable-pip-version-check uninstall --quiet --yes keras keras-nightly
	.venv-newest/bin/python -m pip --disable-pip-version-check install --quiet --pre --upgrade keras-nightly
	touch $@

.venv-oldest/dev.stamp: .venv-oldest/python.stamp $(REQUIREMENTS)
	sed "s/^keras==.*/$$(sed -n 's/^ *\(keras\)>=/\1==/p' setup.cfg)/" constraints.txt > .venv-oldest/constraints.txt
	.venv-oldest/bin/python -m pip --disable-pip-version-check install --quiet -c .venv-oldest/constraints.txt -e ".[dev,jax]"
	touch $@

.venv-bench/bench.stamp: .venv-bench/python.stamp $(REQUIREMENTS) benchmarks/requirements.txt
	@echo "installing keras_dcnn, TensorFlow, JAX and the peers into .venv-bench, once"
	$(BENCH_PIP) -e ".[jax]" -r benchmarks/requirements.txt
	touch $@

.venv-bench/torch.stamp: .venv-bench/bench.stamp benchmarks/requirements-torch.txt
	@echo "installing PyTorch and kornia into .venv-bench, once"
	$(BENCH_PIP) -r benchmarks/requirements-torch.txt
	touch $@
