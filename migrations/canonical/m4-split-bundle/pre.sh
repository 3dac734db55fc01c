#!/bin/sh
# Splits the bundle: one encrypted file per key, each read back and compared before it gets its name. The bundle stays until `post.sh`.
. "${0%/*}/lib.sh"

one() {
  file=$dir/$1.enc
  if [ -e "$file" ]; then
    [ "$(secret "$file")" = "$2" ] || fail "$file is there and holds another value than $bundle; keep one of the two, then go on"
    grep -q "^[+=]$1\$" "$list" || echo "=$1" >>"$list"
    return
  fi
  printf %s "$2" | sh -c "$SECRET_ENCRYPT" >"$file.migrating" || fail "$1 cannot be encrypted"
  [ "$(secret "$file.migrating")" = "$2" ] || fail "$1 does not come back as it was; nothing was deleted"
  echo "+$1" >>"$list"
  mv "$file.migrating" "$file"
}

[ -e "$bundle" ] || { echo "there is no $bundle"; exit 0; }
mkdir -p "$dir"
touch "$list"
each one
echo "split: $(sort -u "$list" | wc -l) secrets in $dir"
