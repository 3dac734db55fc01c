#!/bin/sh
# Puts the configuration directory of the agents into one shared place, and a link where it was.
#
#   CONFIG_HOME     where it was, and where the link goes; default ~/.claude
#   CONFIG_TARGET   the shared place; default CLAUDE_CONFIG_DIR of the env file, else /var/lib/disinto/claude-shared/config
#   CONFIG_MOVE=no  leaves everything as it is, with a warning
#
# Already linked: nothing happens. Content on one side: it ends up in the shared place. Content on both sides: nothing is touched, a
# person has to say which counts. Cut off anywhere, it goes on from there: the old directory is renamed, never emptied, until the link is.
set -eu

# The last assignment of a key in the env file, without quotes and comment.
env_value() {
  [ -f "${FORMULA_ENV_FILE:-}" ] || return 0
  sed -n "s/^[[:space:]]*\(export[[:space:]]\{1,\}\)\{0,1\}$1=//p" "$FORMULA_ENV_FILE" | tail -n 1 | tr -d '\r' |
    sed "s/^'\([^']*\)'.*/\1/; t
         s/^\"\([^\"]*\)\".*/\1/; t
         s/[[:space:]]\{1,\}#.*//"
}

fail() {
  echo "$*" >&2
  exit 1
}

has_content() {
  [ -d "$1" ] && [ -n "$(ls -A "$1")" ]
}

link=${CONFIG_HOME:-$HOME/.claude}
target=${CONFIG_TARGET:-$(env_value CLAUDE_CONFIG_DIR)}
target=${target:-/var/lib/disinto/claude-shared/config}
old=$link.before-migration
new=$target.migrating

if [ -L "$link" ]; then
  [ "$(readlink "$link")" = "$target" ] || fail "$link leads to $(readlink "$link"), not to $target; put it right by hand, then go on"
elif [ -e "$link" ] && [ ! -d "$link" ]; then
  fail "$link is neither a directory nor a link"
elif [ "${CONFIG_MOVE:-yes}" = no ]; then
  echo "warning: $link is not a link to $target and is left as it is, because CONFIG_MOVE=no" >&2
  exit 0
elif has_content "$link" && has_content "$target"; then
  fail "both $link and $target hold files; nothing was changed. Compare them (diff -r $link $target), keep one and empty the other, then go on"
elif has_content "$link" && [ -e "$old" ]; then
  fail "both $link and $old hold files; the second is of an earlier attempt. Keep one, then go on"
fi

if [ ! -L "$link" ]; then
  mkdir -p "$(dirname "$target")" "$(dirname "$link")"
  if has_content "$link"; then
    rm -rf "$new"
    cp -a "$link" "$new"
    mv "$link" "$old"
  fi
  if [ -e "$old" ] && [ -e "$new" ]; then
    # From here on the copy is whole.
    [ ! -d "$target" ] || rmdir "$target"
    mv "$new" "$target"
  fi
  [ ! -d "$link" ] || rmdir "$link"
  [ -d "$target" ] || mkdir "$target"
  chmod 700 "$target"
  ln -s "$target" "$link"
fi
chmod 700 "$target"
rm -rf "$old" "$new"
echo "$link leads to $target"
