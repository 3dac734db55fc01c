#!/usr/bin/env bash
# Makes a bare Debian 12 ready for the whole test suite: packages, the two Docker plugins, a running engine.
# Run it as often as you like; what is there is left alone.
#
#   tests/provision.sh          make ready
#   tests/provision.sh --stop   end the engine that an earlier call started (no other)
#
# Needs root only for what is missing. Packages come from the address in this machine's own apt sources.
set -euo pipefail
exec </dev/null

readonly PLUGINS=(docker-compose docker-buildx)
readonly PLUGIN_SUITE=trixie
readonly STATE="${TMPDIR:-/tmp}/formula-provision-$UID"
readonly PID_FILE="$STATE/dockerd.pid"
WORK=

say() { printf 'provision: %s\n' "$*"; }
die() {
  printf 'provision: %s\n' "$*" >&2
  exit 1
}

# A folder in a shared temp directory is only trusted when it is ours alone.
state_dir() {
  (umask 077 && mkdir -p "$STATE")
  [[ ! -L $STATE && -O $STATE ]] || die "\`$STATE\` belongs to somebody else: remove it, or set TMPDIR to a folder of your own"
}

# --- packages ---------------------------------------------------------------------------------------------------------

has() { command -v "$1" >/dev/null 2>&1; }
# Images are built FROM scratch around this file, so it must not need a loader.
has_static_busybox() { [[ -x /bin/busybox ]] && ! ldd /bin/busybox >/dev/null 2>&1; }

install_packages() {
  local missing=()
  # Programs, not packages, decide: an engine installed in another way serves as well and must not be replaced.
  { has dockerd && has docker; } || missing+=(docker.io)
  has docker-registry || missing+=(docker-registry)
  has_static_busybox || missing+=(busybox-static)
  has htpasswd || missing+=(apache2-utils)
  has git || missing+=(git)
  # Signed tags.
  has ssh-keygen || missing+=(openssh-client)
  # Power cuts and faults of the disk: it records the calls of a run, and makes them fail.
  has strace || missing+=(strace)
  if ((${#missing[@]} == 0)); then
    say "packages are there"
    return
  fi
  ((UID == 0)) || die "\`${missing[*]}\` missing, and only root can install: run \`apt-get install ${missing[*]}\` as root"
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a
  apt-get -q update
  apt-get -q -y install "${missing[@]}"
}

# --- plugins ----------------------------------------------------------------------------------------------------------

# Prints `URI<TAB>KEYRING` for each source of this release with the component `main`, from both formats that apt reads.
# The keyring is empty where the source names none (apt then uses its trusted keys).
debian_sources() {
  local codename="$1" root="$2" file
  for file in "$root"/sources.list "$root"/sources.list.d/*.list; do
    [[ -f $file ]] || continue
    # One line each: deb [options] uri suite component…
    awk -v want="$codename" '
      $1 != "deb" { next }
      {
        sub(/#.*/, ""); key = ""
        if (match($0, /\[[^]]*\]/)) {
          options = substr($0, RSTART + 1, RLENGTH - 2)
          $0 = substr($0, 1, RSTART - 1) " " substr($0, RSTART + RLENGTH)
          n = split(options, option, /[ \t]+/)
          for (i = 1; i <= n; i++) if (tolower(option[i]) ~ /^signed-by=/) key = substr(option[i], 11)
        }
        if ($3 != want) next
        for (i = 4; i <= NF; i++) if ($i == "main") { print $2 "\t" key; next }
      }' "$file"
  done
  for file in "$root"/sources.list.d/*.sources; do
    [[ -f $file ]] || continue
    # Paragraphs of fields; a field goes on in lines that begin with a blank.
    awk -v want="$codename" '
      function has_word(text, word,    words, n, i) {
        n = split(text, words, /[ \t]+/)
        for (i = 1; i <= n; i++) if (words[i] == word) return 1
        return 0
      }
      function flush(    uri) {
        if (has_word(field["types"], "deb") && has_word(field["suites"], want) && has_word(field["components"], "main") &&
            tolower(field["enabled"]) !~ /^(no|false|off|0)$/ && split(field["uris"], uri, /[ \t]+/) > 0)
          # A key written into the file itself is no path: leave it to the trusted keys.
          print uri[1] "\t" (field["signed-by"] ~ /^\// ? field["signed-by"] : "")
        split("", field); name = ""
      }
      /^#/ { next }
      /^[ \t]*$/ { flush(); next }
      /^[ \t]/ { sub(/^[ \t]+/, ""); field[name] = field[name] (field[name] == "" ? "" : " ") $0; next }
      { at = index($0, ":"); name = tolower(substr($0, 1, at - 1)); value = substr($0, at + 1)
        gsub(/^[ \t]+|[ \t]+$/, "", value); field[name] = value }
      END { flush() }' "$file"
  done
}

# Compose and buildx as Debian's next release packs them: they run on this one, and this one has none. A separate set of
# apt folders, so that the machine's own package lists never hear of the other release.
fetch_plugins() {
  local want=("$@") codename uri key option='' arch plugin
  has apt-get || die "no \`apt-get\`: install the Docker plugins \`compose\` and \`buildx\` yourself, then run this again"
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  IFS=$'\t' read -r uri key < <(debian_sources "$codename" /etc/apt) ||
    die "no source for \`$codename main\` in \`/etc/apt/sources.list\` or \`/etc/apt/sources.list.d\`: nowhere to take the plugins from"
  arch=$(dpkg --print-architecture)
  [[ -z $key ]] || option=" signed-by=${key// /,}"

  WORK=$(mktemp -d)
  mkdir -p "$WORK"/{lists/partial,cache/archives/partial,debs,tree}
  printf 'deb [arch=%s%s] %s %s main\n' "$arch" "$option" "$uri" "$PLUGIN_SUITE" >"$WORK/sources.list"
  local apt=(apt-get -q
    -o "Dir::Etc::sourcelist=$WORK/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$WORK/lists" -o "Dir::Cache=$WORK/cache"
    -o APT::Sandbox::User= -o Acquire::Languages=none)
  say "fetching ${want[*]} of $PLUGIN_SUITE"
  "${apt[@]}" update
  (cd "$WORK/debs" && "${apt[@]}" download "${want[@]/%//$PLUGIN_SUITE}")

  local folder="${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins"
  mkdir -p "$folder"
  for plugin in "${want[@]}"; do
    dpkg -x "$WORK/debs/${plugin}"_*.deb "$WORK/tree"
    # Under another name first: a program that is being run cannot be written over.
    cp "$WORK/tree/usr/libexec/docker/cli-plugins/$plugin" "$folder/.$plugin.new"
    chmod 755 "$folder/.$plugin.new"
    mv -f "$folder/.$plugin.new" "$folder/$plugin"
  done
  rm -rf "$WORK"
  WORK=
}

install_plugins() {
  local missing=() plugin
  for plugin in "${PLUGINS[@]}"; do
    docker "${plugin#docker-}" version >/dev/null 2>&1 || missing+=("$plugin")
  done
  if ((${#missing[@]} == 0)); then
    say "plugins are there"
    return
  fi
  fetch_plugins "${missing[@]}"
  for plugin in "${missing[@]}"; do
    docker "${plugin#docker-}" version >/dev/null || die "\`docker ${plugin#docker-}\` does not start after it was installed"
  done
}

# --- engine -----------------------------------------------------------------------------------------------------------

answers() { docker info >/dev/null 2>&1; }
# A pid alone may long belong to another process; with the time it started it names one process for good. Prints nothing
# for one that has ended, also where nobody has collected it yet.
started_at() { awk '$3 != "Z" { print $22 }' "/proc/$1/stat" 2>/dev/null || true; }

wait_for_engine() {
  local pid="$1" log="$2" deadline=$((SECONDS + 90))
  until answers; do
    [[ -n $(started_at "$pid") ]] || {
      tail -n 30 "$log" >&2
      die "\`dockerd\` ended while it was starting, its log is above"
    }
    ((SECONDS < deadline)) || {
      tail -n 30 "$log" >&2
      die "\`dockerd\` (pid $pid) does not answer after 90 s"
    }
    sleep 0.2
  done
}

start_engine() {
  if answers; then
    say "engine answers"
    return
  fi
  [[ -z ${DOCKER_HOST:-} ]] || die "the engine at DOCKER_HOST does not answer: start it, or unset DOCKER_HOST to have one started here"
  # One that the service manager is just starting only needs a moment.
  local other
  if other=$(cat /var/run/docker.pid 2>/dev/null) && [[ $(cat "/proc/$other/comm" 2>/dev/null) == dockerd ]]; then
    say "engine with pid $other is starting"
    wait_for_engine "$other" /dev/null
    return
  fi
  ((UID == 0)) || die "no Docker engine answers, and only root can start one: start it, or run this as root"
  local log="$STATE/dockerd.log" pid
  # In a session of its own, so that a Ctrl-C meant for the tests does not end it.
  setsid dockerd >"$log" 2>&1 9>&- &
  pid=$!
  printf '%s %s\n' "$pid" "$(started_at "$pid")" >"$PID_FILE"
  wait_for_engine "$pid" "$log"
  say "engine started: pid $pid, log $log"
}

stop_engine() {
  local pid='' born='' deadline=$((SECONDS + 60))
  if [[ -f $PID_FILE ]]; then read -r pid born <"$PID_FILE" || true; fi
  if [[ -z $pid || -z $born || $(started_at "$pid") != "$born" ]]; then
    rm -f "$PID_FILE"
    say "no engine of ours is running"
    return
  fi
  kill -TERM "$pid"
  while [[ $(started_at "$pid") == "$born" ]]; do
    ((SECONDS < deadline)) || die "\`dockerd\` (pid $pid) has not ended after 60 s: look into \`$STATE/dockerd.log\`"
    sleep 0.1
  done
  rm -f "$PID_FILE"
  say "engine with pid $pid ended"
}

# ----------------------------------------------------------------------------------------------------------------------

main() {
  trap '[[ -z $WORK ]] || rm -rf "$WORK"' EXIT
  # One at a time: two callers would start two engines. The engine itself must not inherit the lock.
  state_dir
  exec 9>"$STATE/lock"
  flock 9
  case "${1:-}" in
    '')
      install_packages
      install_plugins
      start_engine
      say "ready: engine $(docker version --format '{{.Server.Version}}'), compose $(docker compose version --short)"
      ;;
    --stop) stop_engine ;;
    *) die "unknown argument \`$1\`: it takes none, or \`--stop\`" ;;
  esac
}

main "$@"
