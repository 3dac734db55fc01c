#!/bin/sh
# Renames keys of the env file and takes legacy ones out, as the file `renames` beside this script and the variable RENAMES say.
#
# The old line stays as a comment (`#m3+ ` where the line below took its place, `#m3- ` where it is gone), which is what `down.sh` reads.
# All other lines keep their bytes. Where old and new key are both set, to different values, nothing is touched.
set -eu
here=${0%/*}
file=${FORMULA_ENV_FILE:?the env file}
[ -e "$file" ] || { echo "there is no $file"; exit 0; }
file=$(readlink -f "$file")
table="$(grep -v '^[[:space:]]*\(#\|$\)' "$here/renames" || :) ${RENAMES:-}"
new=$file.migrating
trap 'rm -f "$new"' EXIT
cp -p "$file" "$new"

awk -v table="$(printf %s "$table" | tr '\n' ' ')" '
  BEGIN {
    count = split(table, rows, " ")
    for (i = 1; i <= count; i++) {
      split(rows[i], pair, "=")
      to[pair[1]] = pair[2]
      if (pair[2] != "-") from[pair[2]] = pair[1]
    }
  }
  function key_of(line) {
    if (!match(line, /^[ \t]*(export[ \t]+)?[A-Za-z_][A-Za-z0-9_]*=/)) return ""
    line = substr(line, 1, RLENGTH - 1)
    sub(/^[ \t]*(export[ \t]+)?/, "", line)
    return line
  }
  function value_of(line) {
    sub(/^[^=]*=/, "", line)
    sub(/\r$/, "", line)
    return line
  }
  function refuse(why) {
    print why > "/dev/stderr"
    refused = 1
    exit 1
  }
  FNR == NR {
    key = key_of($0)
    if (key in to || key in from) {
      last[key] = FNR
      value[key] = value_of($0)
      quote = substr(value[key], 1, 1)
      if ((quote == "\"" || quote == "\047") && index(substr(value[key], 2), quote) == 0)
        refuse("the value of " key " goes over several lines; rename it by hand, then go on")
    }
    next
  }
  FNR == 1 {
    for (key in from) if (key in last && from[key] in last && value[key] != "" && value[key] != value[from[key]])
      refuse("both " from[key] " and " key " are set, to different values; take one of them out, then go on")
  }
  {
    key = key_of($0)
    if (key in to && to[key] == "-") print "#m3- " $0
    else if (key in to && (FNR != last[key] || to[key] in last && value[to[key]] != "")) print "#m3- " $0
    else if (key in to) {
      print "#m3+ " $0
      line = $0
      sub(key "=", to[key] "=", line)
      print line
    }
    else if (key in from && from[key] in last && value_of($0) == "") print "#m3- " $0
    else print
  }
  END { if (refused) exit 1 }
' "$file" "$file" >"$new"

if [ "$(grep -c '^#m3[+-] ' "$new" || :)" = "$(grep -c '^#m3[+-] ' "$file" || :)" ]; then
  echo "there is nothing to rename"
  exit 0
fi
# A file whose last line had no end has one now; `down.sh` takes it away again.
[ -z "$(tail -c 1 "$file")" ] || echo '#m3~' >>"$new"
mv "$new" "$file"
echo "renamed: $(grep -c '^#m3+ ' "$file" || :); taken out: $(grep -c '^#m3- ' "$file" || :)"
