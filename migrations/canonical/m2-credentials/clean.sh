#!/bin/sh
# clean.sh FOLDER…: takes user and password out of the http addresses in each .git/config below, and has git ask the environment for
# them instead. Only files of the calling user are touched, each replaced in one step. Also runs inside a container, from standard input.
#
#   CREDENTIALS_USER_VAR      variable with the user's name; default FORGE_USER, and `git` where it is empty
#   CREDENTIALS_PASSWORD_VAR  variable with the password or token; default FORGE_TOKEN
set -eu
me=$(id -u)
for folder in "$@"; do
  [ -d "$folder" ] || { echo "there is no folder $folder" >&2; exit 1; }
done
find "$@" -maxdepth 5 -path '*/.git/config' -type f | while IFS= read -r file; do
  [ "$(stat -c %u "$file")" = "$me" ] || continue
  new=$file.migrating
  cp -p "$file" "$new"
  awk -v user="${CREDENTIALS_USER_VAR:-FORGE_USER}" -v password="${CREDENTIALS_PASSWORD_VAR:-FORGE_TOKEN}" '
    # The address without what stands before the host. ssh keeps its user: that is no secret.
    function bare(url,   start, rest, before, host) {
      if (url !~ /^[Hh][Tt][Tt][Pp][Ss]?:\/\//) return url
      start = index(url, "://") + 3
      rest = substr(url, start)
      before = rest
      sub(/[\/?#].*$/, "", before)
      if (index(before, "@") == 0) return url
      host = before
      sub(/^.*@/, "", host)
      hosts[substr(url, 1, start - 1) host] = 1
      return substr(url, 1, start - 1) host substr(rest, length(before) + 1)
    }
    {
      line = $0
      if (match(line, /^[ \t]*([Pp][Uu][Ss][Hh])?[Uu][Rr][Ll][ \t]*=[ \t]*"?/) || match(line, /^[ \t]*\[[Uu][Rr][Ll][ \t]+"/)) {
        head = substr(line, 1, RLENGTH)
        line = head bare(substr(line, RLENGTH + 1))
      }
      if (line ~ /^[ \t]*\[credential "/) {
        known = line
        sub(/^[^"]*"/, "", known)
        sub(/".*$/, "", known)
        have[known] = 1
      }
      print line
    }
    END {
      ask = "!f() { test \\\"$1\\\" = get || exit 0; echo \\\"username=${" user ":-git}\\\"; echo \\\"password=$" password "\\\"; }; f"
      for (host in hosts) if (!(host in have)) printf "[credential \"%s\"]\n\thelper = \"%s\"\n", host, ask
    }
  ' "$file" >"$new"
  if cmp -s "$file" "$new"; then
    rm -f "$new"
  else
    mv -f "$new" "$file"
    echo "cleaned $file"
  fi
done
