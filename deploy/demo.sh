#!/bin/sh
# demo.sh: the main job, step by step, on a registry that is thrown away: from a
# directory to a verified install, and what happens when somebody tampers.
# Every command is printed as you would type it. Then the registry stays up
# until Ctrl-C; with DEMO_EXIT=1 it ends.
#
# Run it by `make demo`, which builds bin/clyde and bin/clyde-registry first.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/bin:$PATH"
sources=${DEMO_SOURCES:-../shared/data/sources}

tmp=$(mktemp -d "${TMPDIR:-/tmp}/clyde-demo.XXXXXX")
server=
cleanup() {
	status=$?
	trap - EXIT INT TERM
	[ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null || :; }
	rm -rf "$tmp"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Nothing of yours is read or written.
for v in $(env | sed -n 's/^\(CLYDE_[A-Z0-9_]*\)=.*/\1/p'); do unset "$v"; done
HOME="$tmp/home" XDG_CONFIG_HOME="$tmp/home/.config" DOCKER_CONFIG="$tmp/home/.docker"
export HOME XDG_CONFIG_HOME DOCKER_CONFIG
mkdir -p "$HOME"

bold='' dim='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m')
fi

step() { printf '\n%s# %s%s\n' "$dim" "$*" "$plain"; }

# words prints a command so that it can be typed again.
words() {
	printf '%s$' "$bold"
	for w; do
		case $w in
		*[!A-Za-z0-9_@%+=:,./-]* | '') printf " '%s'" "$w" ;;
		*) printf ' %s' "$w" ;;
		esac
	done
	printf '%s\n' "$plain"
}

# show runs a command, which has to succeed.
show() {
	words "$@"
	"$@" 2>&1
}

# refused STATUS COMMAND... runs a command, which has to fail with that status.
refused() {
	want=$1
	shift
	words "$@"
	got=0
	"$@" 2>&1 || got=$?
	if [ "$got" != "$want" ]; then
		printf 'demo: exit status %s; it should have been refused with %s\n' "$got" "$want" >&2
		exit 1
	fi
	printf '%s(refused: exit status %s)%s\n' "$dim" "$got" "$plain"
}

# serve ADDR starts the server and waits until it says where it is; it fails
# where the address is taken.
serve() {
	clyde-registry serve --addr "$1" --data "$tmp/data" >"$tmp/out" 2>"$tmp/log" &
	server=$!
	i=0
	while [ $i -lt 300 ]; do
		address=$(sed -n 's/^Clyde Registry serves //p' "$tmp/out")
		[ -z "$address" ] || return 0
		kill -0 "$server" 2>/dev/null || break
		i=$((i + 1))
		sleep 0.1
	done
	server=
	return 1
}

step "a registry on a directory that is thrown away at the end"
words clyde-registry serve
serve 127.0.0.1:8080 || serve 127.0.0.1:0 || {
	cat "$tmp/log" >&2
	exit 1
}
CLYDE_REGISTRY=$address CLYDE_TOKEN=$(cat "$tmp/data/admin-token")
CLYDE_KEY_PASSWORD=demo
export CLYDE_REGISTRY CLYDE_TOKEN CLYDE_KEY_PASSWORD
cat "$tmp/out"

step "a key pair to sign with, and the registry told that it counts for @demo"
work=$tmp/work
mkdir "$work"
here=$PWD
ln -s "$here/examples" "$work/examples"
cd "$work"
show clyde keygen
show clyde-registry key add demo cosign.pub --name 'demo key' --data "$tmp/data"

step "three libraries of our own: C, header-only C++, and C++ that needs the first"
show clyde publish examples/tally --key cosign.key
show clyde publish examples/ward --key cosign.key
show clyde publish examples/ribbon --key cosign.key

if [ -d "$here/$sources" ] || [ -d "$sources" ]; then
	case $sources in /*) ;; *) sources=$here/$sources ;; esac
	step "real releases, each with a package.yaml beside its source"
	for yaml in zlib fmt cjson lz4 tinyxml2 spdlog; do
		for archive in "$sources/$yaml"-*.tar.*; do
			[ -f "$archive" ] || continue
			rm -rf "$yaml"
			mkdir "$yaml"
			if ! tar -xf "$archive" -C "$yaml" --strip-components=1 2>"$tmp/tar"; then
				printf '%s(%s is left out: %s)%s\n' "$dim" "${archive##*/}" "$(tail -n 1 "$tmp/tar")" "$plain"
				continue
			fi
			cp "examples/upstream/$yaml.yaml" "$yaml/package.yaml"
			show clyde publish "$yaml"
		done
	done
fi

step "found: by what it does, by a header somebody remembers, in spite of a typing mistake"
show clyde search histogram
show clyde search ward/ward.hpp
show clyde search ribon
show clyde info @demo/ribbon

step "fetched by a range, checked against its digest, unpacked"
show clyde pull '@demo/ribbon@^2' --output ribbon
show ls ribbon

step "verified: by the key, not by the word of the registry"
show clyde verify @demo/ribbon --key cosign.pub
show clyde pull @demo/tally --key cosign.pub --output tally

step "somebody else's key has signed nothing here"
show clyde keygen --output-key-prefix stranger
refused 8 clyde verify @demo/ribbon --key stranger.pub
refused 8 clyde pull @demo/ribbon --key stranger.pub --output never

step "a version never changes: other content under it is refused"
cp -R "$here/examples/ward" ward
printf '\n/* one more line */\n' >>ward/include/ward/ward.hpp
refused 10 clyde publish ward

step "one byte changed in the registry's own storage: the client notices"
digest=$(clyde info @demo/ward --json | sed -n 's/.*"source_digest": *"sha256:\([0-9a-f]*\)".*/\1/p')
blob= i=0
while [ -z "$blob" ]; do # what was pushed lies in the journal until the registry is idle
	[ $i -lt 300 ] || { echo "demo: the registry has not written $digest out" >&2; exit 1; }
	i=$((i + 1))
	sleep 0.1
	blob=$(find "$tmp/data/registry" -path "*$digest/data")
done
cp "$blob" "$tmp/good"
printf '%s$ printf X | dd of=data/registry/…/%s/data bs=1 seek=100 conv=notrunc%s\n' "$bold" "$digest" "$plain"
printf X | dd "of=$blob" bs=1 seek=100 conv=notrunc 2>/dev/null
refused 8 clyde pull @demo/ward --output tampered
cp "$tmp/good" "$blob"
show clyde pull @demo/ward --output whole

step "what is wrong with a package is said before anything is stored, all at once"
mkdir broken
cat >broken/package.yaml <<'YAML'
name: "@demo/Broken"
version: 1.10
desciption: a typing mistake
license: Apache 2
YAML
refused 12 clyde publish broken

printf '\n%sThat was the main job. The registry is at %s%s\n' "$bold" "$address" "$plain"
if [ "${DEMO_EXIT:-}" = 1 ]; then
	exit 0
fi
printf 'Press Ctrl-C to throw it away. Its token: %s\n' "$CLYDE_TOKEN"
wait "$server"
