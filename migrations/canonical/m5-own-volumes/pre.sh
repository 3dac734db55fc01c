#!/bin/sh
# Makes the volumes that agents get of their own instead of shared ones. Fresh: nothing is copied, because two agents in one worktree is
# what this ends; they clone anew. The shared volumes are kept as they are.
#
#   HANDOVER        pairs SHARED:OWN of volume names as compose knows them, such as "project-repos:project-repos-dev-qwen"
#   HANDOVER_IMAGE  an image of the box's own with sh, stat, chown and chmod
#   COMPOSE_PROJECT_NAME  the compose project; default the folder's name, as compose has it
#
# A new volume belongs to whom the shared one belongs to, else the agent could not write to it. One that is there and is not made by
# this migration is left alone when it belongs to the project, and refused when it does not.
set -eu
fail() {
  echo "$*" >&2
  exit 1
}

[ -n "${HANDOVER:-}" ] || { echo "HANDOVER names no volumes"; exit 0; }
project=${COMPOSE_PROJECT_NAME:-$(basename "${FORMULA_ROOT:-$PWD}" | tr 'A-Z' 'a-z' | tr -cd 'a-z0-9_-')}
image=${HANDOVER_IMAGE:?says which image the helper container is made of}

helper() {
  docker run --rm --network none --user 0:0 --label formula.migration="${FORMULA_MIGRATION:-m5}" --entrypoint sh "$@"
}

for pair in $HANDOVER; do
  shared=${project}_${pair%%:*}
  own=${project}_${pair#*:}
  if docker volume inspect "$own" >/dev/null 2>&1; then
    owner=$(docker volume inspect -f '{{index .Labels "com.docker.compose.project"}}' "$own")
    [ "$owner" = "$project" ] || fail "volume $own is there and is not of project $project; give it another name, then go on"
  else
    docker volume create --label com.docker.compose.project="$project" --label com.docker.compose.volume="${pair#*:}" \
      --label formula.handover="$shared" "$own" >/dev/null
  fi
  if docker volume inspect "$shared" >/dev/null 2>&1; then
    # shellcheck disable=SC2016 # for the shell in the container
    helper -v "$shared:/shared:ro" -v "$own:/own" "$image" -c \
      'chown "$(stat -c %u:%g /shared)" /own && chmod "$(stat -c %a /shared)" /own'
  fi
  echo "$own instead of $shared, which is kept"
done
