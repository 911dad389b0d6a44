#!/bin/bash
# What make lint runs: format, clang-tidy (one process a file), layering, shell, Python. Prints what is wrong, exits 1 if anything is.
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0
mapfile -t c < <(git ls-files '*.c')
mapfile -t ch < <(git ls-files '*.[ch]')
mapfile -t py < <(git ls-files '*.py')
mapfile -t sh < <(git ls-files '*.sh' .ci/run)
clang-format --dry-run -Werror "${ch[@]}" || bad=1

# Arrows run one way.
layer() { # layer FOLDER 'forbidden include prefixes (regex)'
  if grep -rnE "^#include \"($2)/" "$1" --include='*.[ch]' 2>/dev/null; then
    echo "lint: $1 must not include the above" >&2
    bad=1
  fi
}
layer common 'lb|scaler|lab'
layer common/base 'common/(doc|store|aws|http|config)'
layer common/doc 'common/(store|aws|http|config)'
layer common/store 'common/(aws|http|config)'
layer lb 'scaler|lab'
layer lb/routing 'lb/(proxy|control|observe|api)|common/(doc|store|aws|http|config)'
layer lb/observe 'lb/(proxy|control|api)|common/(store|aws|http|config)'
layer lb/proxy 'lb/(control|api)|common/(doc|store|aws|http|config)'
layer scaler 'lb|lab'
layer scaler/engine 'scaler/(api|cloud|metrics)|common/(store|aws|http|config)'
layer scaler/metrics 'scaler/(api|cloud|engine)|common/(store|aws|http|config)'
layer lab 'lb|scaler'

# shellcheck disable=SC2317 # called through xargs
tidy() {
  clang-tidy --quiet "$1" -- -I. -D_GNU_SOURCE -DHASH_NONFATAL_OOM=1 -std=gnu17 \
    -isystem /usr/include/libxml2 -isystem /usr/share/include/llhttp 2>/dev/null
}
export -f tidy
if [ -z "${NO_TIDY:-}" ]; then
  # shellcheck disable=SC2016 # expanded by the inner shell
  printf '%s\n' "${c[@]}" | xargs -P "$(nproc)" -I{} bash -c 'out=$(tidy {}) || { printf "%s\n" "$out"; exit 1; }' || bad=1
fi
[ ${#sh[@]} -eq 0 ] || shellcheck "${sh[@]}" || bad=1
[ ${#py[@]} -eq 0 ] || black -q --check "${py[@]}" || { black --check "${py[@]}" 2>&1 | grep would; bad=1; }
[ $bad -eq 0 ] && echo "lint: clean"
exit $bad
