#!/bin/bash
# usage: tests/js/install.sh    make test calls it. Installs the AWS SDK for JavaScript into build/js as the lock file
# says. Without npm, or when its registry cannot be reached, it says so and the tests that need the SDK are skipped.
set -u
cd "$(dirname "$0")/../.." || exit 1
into=build/js
if [ -e $into/.installed ] && cmp -s tests/js/package-lock.json $into/package-lock.json; then
  exit 0
fi
skip() {
  echo "SKIPPED: the tests with the AWS SDK for JavaScript: $*" >&2
  exit 0
}
command -v npm >/dev/null || skip "npm is not installed"
mkdir -p $into
rm -f $into/.installed
cp tests/js/package.json tests/js/package-lock.json $into/
timeout 300 npm ci --prefix $into --no-audit --no-fund --ignore-scripts --loglevel=error >&2 ||
  skip "npm could not install it (is the registry reachable?)"
touch $into/.installed
