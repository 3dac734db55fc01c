#!/usr/bin/env bash
# Builds formula and releases a throwaway repository with it: annotated tag, origin, two mirrors, a record. One mirror is down at first, so that the
# release stops half-way; the same command carries on. Needs cargo and git. Nothing outside a temporary folder is touched.
set -euo pipefail
cd "$(dirname "$0")"
# Not optimised: it is built in half the time, and a demonstration waits for nothing else.
export CARGO_PROFILE_DEV_DEBUG=0
formula=${FORMULA:-}; [ -n "$formula" ] || { cargo build --locked --quiet --bin formula; formula=$(realpath "${CARGO_TARGET_DIR:-target}")/debug/formula; }

demo=$(mktemp -d)
trap 'rm -rf "$demo"' EXIT
export HOME=$demo GIT_CONFIG_NOSYSTEM=1 XDG_CONFIG_HOME=$demo/.config
git config --global user.name Demo
git config --global user.email demo@example.org
git config --global init.defaultBranch main
git config --global advice.detachedHead false

for name in origin codeberg github; do git init -q --bare "$demo/$name.git"; done
git init -q "$demo/shop" && cd "$demo/shop"
for name in origin codeberg github; do git remote add "$name" "$demo/$name.git"; done
echo 0.3.0 >VERSION && git add VERSION && git commit -qm "Release 0.3.0" && git push -q origin main

say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
typed() { printf '$ formula %s\n' "$*"; "$formula" "$@" || printf '(exit %s)\n' "$?"; }

say "What would happen? Nothing is touched."
typed plan release --version v0.3.0 --mirrors codeberg --mirrors github

say "Release it, while one mirror is down."
mv "$demo/github.git" "$demo/github.down"
typed run release --version v0.3.0 --mirrors codeberg --mirrors github

say "The mirror is back. The same command carries on from the step that failed."
mv "$demo/github.down" "$demo/github.git"
typed run release --version v0.3.0 --mirrors codeberg --mirrors github

say "And once more: everything is asked, nothing is done twice."
typed run release --version v0.3.0 --mirrors codeberg --mirrors github

say "What is so now:"
for name in origin codeberg github; do printf '%-9s %s\n' "$name" "$(git ls-remote --tags "$name" v0.3.0)"; done
cat release/v0.3.0.json
