#!/bin/sh
# Measures child training on one GPU, in 8 minutes at most; needs the checkout and what
# `pip install -e .` installs. Without pytest, the tests that need a GPU are left out.
#
#     sh examples/benchmarks/gpu.sh [--dry] [OUT.json]
#
# --dry runs every line on the CPU with the smallest sizes, to see that it would run.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-python}
[ -x .venv/bin/python ] && python=${PYTHON:-.venv/bin/python}
export PYTHONPATH="$PWD:$PWD/agents${PYTHONPATH:+:$PYTHONPATH}"
"$python" -c "import nas_gym.training, torch" || { echo "gpu.sh: first: $python -m pip install -e ."; exit 1; }
# First the tests that need a GPU, in at most two minutes; what fails is said, and the rest goes on.
if "$python" -c "import pytest" 2>/dev/null; then
    timeout 120 "$python" -m pytest -q -m gpu tests/training tests/weight_sharing tests/networks \
        tests/workers || echo "tests marked gpu: failed"
fi
exec timeout 360 "$python" examples/benchmarks/gpu.py "$@"
