#!/bin/sh
# After `post`: makes the bundle again from the files. After `pre`: takes away the files that were made.
. "${0%/*}/lib.sh"

[ -e "$list" ] || exit 0
keys=$(sort -u "$list")
if [ "${FORMULA_PHASE:?}" = post ]; then
  [ ! -e "$bundle" ] || exit 0
  plain=$(for key in $keys; do
    key=${key#?}
    value=$(secret "$dir/$key.enc") || exit 1
    printf '%s=%s\n' "$key" "$value"
  done)
  printf '%s\n' "$plain" | sh -c "$BUNDLE_ENCRYPT" >"$bundle.migrating" || fail "$bundle cannot be encrypted"
  [ "$(sh -c "$BUNDLE_DECRYPT" <"$bundle.migrating")" = "$plain" ] || fail "$bundle does not come back as it was"
  mv "$bundle.migrating" "$bundle"
  exit 0
fi
[ -e "$bundle" ] || fail "$bundle is not there, so the files in $dir stay"
for key in $keys; do
  case $key in +*) rm -f "$dir/${key#+}.enc" ;; esac
done
rm -f "$list"
