#!/usr/bin/env bash
# Makes the environment of the interop suite: a Python venv with the engines in
# .venv/, Spark's Iceberg runtime and S3 client in .jars/, and Arrow for JavaScript in
# ../clients/js/node_modules. All are pinned, by requirements.lock, pom.xml and
# package-lock.json, and made again only when these change.
#
# Every piece is required: what cannot be had fails the setup.
set -euo pipefail
cd "$(dirname "$0")"

PYTHON=${PYTHON:-python3}

die() {
	echo "interop: $*" >&2
	exit 1
}

need() {
	command -v "$1" >/dev/null || die "$1 is not installed: $2"
}

need "$PYTHON" "Python 3.11 or later runs the suite"
need java "Spark needs Java 17"
need go "the suite builds the server, and versitygw"
need npm "the readers of JavaScript need Node 20 and npm"
need mvn "Maven fetches Spark's Iceberg runtime"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
	die "$("$PYTHON" --version) is too old: set PYTHON to 3.11 or later"

# The environment's name: what it is made from, the Python too.
stamp=$(cat setup.sh requirements.lock pom.xml ../clients/js/package-lock.json | "$PYTHON" -c '
import hashlib, sys
print(hashlib.sha256(sys.version.encode() + sys.stdin.buffer.read()).hexdigest())')

if [[ -f .venv/stamp && $(<.venv/stamp) == "$stamp" ]]; then
	echo "interop: environment is up to date"
	exit 0
fi

echo "interop: installing the engines (about 2 GB, a minute or so)"
rm -rf .venv .jars ../clients/js/node_modules
"$PYTHON" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
	--require-hashes --requirement requirements.lock </dev/null ||
	die "cannot install requirements.lock"
mvn --quiet --batch-mode --file pom.xml dependency:copy-dependencies \
	-DoutputDirectory="$PWD/.jars" </dev/null ||
	die "cannot fetch the dependencies of pom.xml"

npm --prefix ../clients/js ci --silent --ignore-scripts --no-audit --no-fund </dev/null ||
	die "cannot install clients/js/package-lock.json"

# Proves that each engine can start here before any test relies on it.
.venv/bin/python engines.py || die "an engine does not start"

echo "$stamp" >.venv/stamp
