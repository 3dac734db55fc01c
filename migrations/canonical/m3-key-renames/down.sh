#!/bin/sh
# Puts the old lines back, from the comments that `pre.sh` left.
set -eu
file=${FORMULA_ENV_FILE:?the env file}
[ -e "$file" ] || exit 0
file=$(readlink -f "$file")
grep -q '^#m3[+-] ' "$file" || exit 0
new=$file.migrating
trap 'rm -f "$new"' EXIT
cp -p "$file" "$new"
awk '
  skip { skip = 0; next }
  /^#m3~$/ { cut = NR; next }
  /^#m3\+ / { skip = 1 }
  { sub(/^#m3[+-] /, ""); if (any) printf "\n"; printf "%s", $0; any = 1 }
  END { if (any && cut != NR) printf "\n" }
' "$file" >"$new"
mv "$new" "$file"
