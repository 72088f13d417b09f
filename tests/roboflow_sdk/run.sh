#!/bin/sh
# Runs Roboflow's own clients against the local server, from nothing, and compares what they ask with recorded.json.
#   tests/roboflow_sdk/run.sh [--record]      with --record, recorded.json is written anew instead
# PYTHON: the interpreter the virtual environment is made with (python3).
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r tests/roboflow_sdk/requirements.txt
"$work/venv/bin/python" -m tests.roboflow_sdk.record "$work/recorded.json"
if [ "${1:-}" = --record ]; then
    cp "$work/recorded.json" tests/roboflow_sdk/recorded.json
else
    diff -u tests/roboflow_sdk/recorded.json "$work/recorded.json"
    echo "the same as recorded"
fi
