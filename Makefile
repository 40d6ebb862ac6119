PYTHON ?= python3
RUN = .venv/bin/python
DEMO = demo

.PHONY: demo test check lock

# Train and evaluate the CNN on the built-in corpus: no download, a few minutes.
demo: .venv/installed
	rm -rf $(DEMO)
	$(RUN) train.py data=synthetic model=cnn trainer.max_epochs=10 hydra.run.dir=$(DEMO)
	$(RUN) evaluate.py ckpt=$(DEMO)/checkpoints/best.ckpt
	@echo
	@echo "A demonstration on generated speech, not evidence. Look at:"
	@ls $(DEMO)/*.png $(DEMO)/*.csv $(DEMO)/summary.json $(DEMO)/evaluation/best-test/*.png $(DEMO)/evaluation/best-test/*.csv $(DEMO)/evaluation/best-test/metrics.json

# All tests; those on real recordings where SER_RAVDESS_ROOT says where they are.
test: .venv/developer
	$(RUN) -m pytest -n 2

# Format, lint, types, import walls, and the tests that are quick.
check: .venv/developer
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(RUN) -m pytest -n 2 -m "not slow"

lock: .venv/developer
	{ head -2 requirements.lock; .venv/bin/pip freeze --exclude-editable | sed 's/$$/ ; python_version >= "3.11"/'; } > .venv/lock
	mv .venv/lock requirements.lock

.venv/installed: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v < (3, 14) else f"Python {v[0]}.{v[1]} is not supported: torch 2.11 runs on 3.10 to 3.13. Give another: make PYTHON=python3.13")'
	test -x $(RUN) || $(PYTHON) -m venv .venv
	$(RUN) -m pip install --quiet --no-compile --disable-pip-version-check -c requirements.lock -e .
	touch $@

.venv/developer: .venv/installed
	$(RUN) -m pip install --quiet --no-compile --disable-pip-version-check -c requirements.lock -e ".[dev,opensmile,encoders]"
	touch $@
