#!/bin/sh
# Deletes the bundle, once every key of it is proven to be in a file of its own.
. "${0%/*}/lib.sh"

proven() {
  [ -e "$dir/$1.enc" ] || fail "$1 of $bundle has no file in $dir; nothing was deleted"
  [ "$(secret "$dir/$1.enc")" = "$2" ] || fail "$dir/$1.enc holds another value than $bundle; nothing was deleted"
}

[ -e "$bundle" ] || exit 0
each proven
rm "$bundle"
echo "deleted $bundle"
