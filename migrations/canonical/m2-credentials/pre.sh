#!/bin/sh
# Takes credentials out of the remotes of every clone, here and in volumes; git asks the environment for them from then on.
#
#   CREDENTIALS_DIRS     folders whose clones are cleaned; default the box itself
#   CREDENTIALS_VOLUMES  volumes whose clones are cleaned, too
#   CREDENTIALS_IMAGE    an image of the box's own with sh, find, stat and awk, for volumes
#
# What lies in a volume is touched by a helper container as the owner of each clone, never as root: git refuses a clone whose files
# belong to somebody else. Nothing secret is written, printed or handed over.
set -eu
here=${0%/*}
cleaned=$(mktemp)
trap 'cat "$cleaned"; rm -f "$cleaned" "$cleaned.one"' EXIT

# shellcheck disable=SC2086 # a list of folders
sh "$here/clean.sh" ${CREDENTIALS_DIRS:-"${FORMULA_ROOT:-.}"} >>"$cleaned"

helper() {
  docker run --rm -i --network none --label formula.migration="${FORMULA_MIGRATION:-m2}" --entrypoint sh \
    -e CREDENTIALS_USER_VAR -e CREDENTIALS_PASSWORD_VAR "$@"
}

for volume in ${CREDENTIALS_VOLUMES:-}; do
  # `docker run` would make it.
  if ! docker volume inspect "$volume" >/dev/null 2>&1; then
    echo "there is no volume $volume"
    continue
  fi
  image=${CREDENTIALS_IMAGE:?says which image the helper container is made of}
  owners=$(helper --user 0:0 -v "$volume:/v:ro" "$image" -c \
    'find /v -maxdepth 5 -path "*/.git/config" -type f -exec stat -c %u:%g {} \; | sort -u' </dev/null)
  for owner in $owners; do
    # No pipe: a helper that fails must fail the migration.
    helper --user "$owner" -v "$volume:/v" "$image" -s /v <"$here/clean.sh" >"$cleaned.one"
    sed "s/^cleaned/cleaned $volume:/" "$cleaned.one" >>"$cleaned"
  done
done

if [ -s "$cleaned" ]; then
  echo "these credentials lay in the open: rotate them" >>"$cleaned"
fi
