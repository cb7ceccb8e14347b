# `make help` lists the targets. Both `make book` and `make test` create .venv when it is missing or stale.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/stamp
# Processes of the tests: one for each core, at most 8, or as many as given (`make test WORKERS=1`). Each has one thread.
# All tests of a file stay in one process: notebooks are one after the other, and what a file prepares is made once.
WORKERS ?= logical
PARALLEL := --numprocesses=$(WORKERS) --maxprocesses=8 --dist=loadfile
test: export OMP_NUM_THREADS := 1

.PHONY: help book pdf slides test colab lowest frameworks assignments lab execute seeds gpu clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  make \1\t/'

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

# What only assignments need: otter-grader, and pandas with it.
.venv/assignments: requirements-assignments.txt $(STAMP)
	$(BIN)/python -m pip install --quiet --requirement requirements-assignments.txt
	@touch $@

book: $(STAMP)  ## build the HTML book from the stored outputs, and a zip of it
	$(BIN)/jupyter-book build .
	@echo "The book is at $(CURDIR)/_build/html/index.html"
	@$(BIN)/python tools/package.py

pdf: book  ## print the whole book as one PDF (needs a Chromium)
	$(BIN)/python tools/pdf.py

slides: $(STAMP)  ## make slides of all chapters, each deck a file that opens without a network
	$(BIN)/python tools/slides.py

test: .venv/assignments  ## build the book without a warning, then test package, tools, pages and notebooks
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/jupyter-book build . -W --keep-going --all
	$(BIN)/python -m pytest $(PARALLEL) --no-loadscope-reorder tests --cov=gan_course --cov-report=term:skip-covered --cov-fail-under=95
	GAN_COURSE_PROFILE=quick $(BIN)/python -m pytest $(PARALLEL) --nbval-lax --nbval-cell-timeout=300 -p no:cacheprovider book
	@echo "All tests passed."

colab: $(STAMP)  ## run all notebooks in the `quick` profile with the versions that Colab has
	OMP_NUM_THREADS=1 $(BIN)/python tools/colab.py

# What is about the book's pages, the tools and the speed needs more than the package, in versions of its own.
OTHER_TESTS := assignments benchmarks book_html book_links book_pdf book_zip chapters clinic colab execute exercises grading instructors intro light_pages repository_url results slides standin unpack vendor
lowest: .venv-lowest/stamp  ## test the package with the lowest versions that pyproject.toml allows
	OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest $(PARALLEL) -p no:cacheprovider tests $(OTHER_TESTS:%=--ignore=tests/test_%.py)

.venv-lowest/stamp: pyproject.toml
	$(PYTHON) -m venv --clear .venv-lowest
	sed -n '/^dependencies = /,/^]/p; /^test = /,/^]/p' pyproject.toml | grep -oE '[a-z-]+>=[0-9.]+' | sed 's/>=/==/' > .venv-lowest/versions.txt
	.venv-lowest/bin/python -m pip install --quiet --requirement .venv-lowest/versions.txt
	.venv-lowest/bin/python -m pip install --quiet --no-deps --editable .
	@touch $@

# TensorFlow and JAX in an environment of their own, which borrows all the rest from .venv.
frameworks: export OMP_NUM_THREADS := 1
frameworks: .venv-frameworks/stamp  ## compare PyTorch with TensorFlow and JAX: the tests that need them, and the chapter
	.venv-frameworks/bin/python -m pytest -p no:cacheprovider tests/test_frameworks.py
	GAN_COURSE_PROFILE=quick .venv-frameworks/bin/python -m pytest --nbval-lax --nbval-cell-timeout=600 -p no:cacheprovider book/beyond/frameworks.ipynb

.venv-frameworks/stamp: requirements-frameworks.txt $(STAMP)
	$(PYTHON) -m venv --clear .venv-frameworks
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > \
		$$(.venv-frameworks/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/borrowed.pth
	.venv-frameworks/bin/python -m pip install --quiet --requirement requirements-frameworks.txt
	@touch $@

assignments: .venv/assignments  ## write the students' notebooks, and check them
	$(BIN)/python tools/assignments.py build
	OMP_NUM_THREADS=1 $(BIN)/python tools/assignments.py check

lab: $(STAMP)  ## open JupyterLab in the folder of chapters
	$(BIN)/jupyter lab book

execute: $(STAMP)  ## run the notebooks whose code has changed in the book profile and store their outputs
	$(BIN)/python tools/execute.py

seeds: $(STAMP)  ## repeat the experiments over many seeds and rewrite the stale tables in book/results
	$(BIN)/python tools/results.py run

gpu: export PYTHONPATH := .
gpu:  ## with the python3 at hand, never .venv: GPU tests, the benchmarks, the full-scale results that are missing
	@status=0; \
	python3 -m pytest -m gpu $$(grep -l 'mark.gpu' tests/test_*.py) || status=1; \
	for name in data_path training profiling; do python3 benchmarks/$$name.py --device cuda || status=1; done; \
	python3 tools/results.py run --full || status=1; \
	exit $$status

clean:  ## remove what was built, not the environments
	rm -rf _build build .pytest_cache .hypothesis .ruff_cache
