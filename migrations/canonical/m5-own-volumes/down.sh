#!/bin/sh
# Takes away the volumes that `pre.sh` made, as long as nothing lies in them.
set -eu
[ -n "${HANDOVER:-}" ] || exit 0
project=${COMPOSE_PROJECT_NAME:-$(basename "${FORMULA_ROOT:-$PWD}" | tr 'A-Z' 'a-z' | tr -cd 'a-z0-9_-')}
for pair in $HANDOVER; do
  own=${project}_${pair#*:}
  [ -n "$(docker volume inspect -f '{{index .Labels "formula.handover"}}' "$own" 2>/dev/null)" ] || continue
  content=$(docker run --rm --network none --user 0:0 --label formula.migration="${FORMULA_MIGRATION:-m5}" --entrypoint ls -v "$own:/own:ro" \
    "${HANDOVER_IMAGE:?}" -A /own)
  if [ -n "$content" ]; then
    echo "$own has content and is kept"
  else
    docker volume rm "$own" >/dev/null
  fi
done
