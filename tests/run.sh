#!/usr/bin/env bash
# All tests, on a machine made ready for them. Arguments go to `cargo test`.
#
# Where no Docker engine can be had, or no process may be traced (`strace`), tests that need that are skipped by name and
# counted; FORMULA_TEST_REQUIRE_DOCKER=1 makes it a failure. An engine that this call started is ended again.
set -euo pipefail
cd "$(dirname "$0")/.."

docker info >/dev/null 2>&1 </dev/null || trap 'tests/provision.sh --stop >/dev/null' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if ! tests/provision.sh; then
  [[ ${FORMULA_TEST_REQUIRE_DOCKER:-} != 1 ]] || exit 1
  echo "tests: the machine could not be made ready; tests that need Docker will be skipped"
fi

# Says before each summary how many of its tests were skipped, so that the runner's own words stay the last.
count_skips() {
  local line skips=0 untraced=0
  while IFS= read -r line || [[ -n $line ]]; do
    case $line in
      *'skipped: '*': no Docker engine'*) skips=$((skips + 1)) ;;
      *'skipped: '*': no strace'*) untraced=$((untraced + 1)) ;;
      'test result: '*)
        printf 'skipped for want of a Docker engine: %d\n' "$skips"
        ((untraced == 0)) || printf 'skipped for want of strace: %d\n' "$untraced"
        skips=0
        untraced=0
        ;;
    esac
    printf '%s\n' "$line"
  done
}

cargo test --workspace --locked "$@" 2>&1 </dev/null | count_skips
