# Shared by tests/run and examples/run, which source it: installs what is missing, configures and builds quietly.
# DISTWORK_CMAKE_ARGS, from the environment, goes to cmake: e.g. DISTWORK_CMAKE_ARGS=-DDISTWORK_FETCH_DEPS=ON

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }

# install_missing PACKAGE…: with apt, on Debian and Ubuntu; elsewhere they are up to the user, and CMake says what lacks.
install_missing() {
    local package missing=() as_root=()
    if ! command -v dpkg apt-get >/dev/null; then
        local tool
        for tool in cmake ninja; do
            command -v $tool >/dev/null && continue
            say "$tool is missing. Needed: a C++20 compiler, cmake (3.25), ninja, Asio (standalone), cereal, and for the tests"
            say "Catch2. Libraries that are not installed are downloaded with DISTWORK_CMAKE_ARGS=-DDISTWORK_FETCH_DEPS=ON."
            exit 1
        done
        return
    fi
    for package in "$@"; do
        dpkg -s "$package" 2>/dev/null | grep -q '^Status: .* installed' || missing+=("$package")
    done
    ((${#missing[@]})) || return 0

    ((EUID == 0)) || as_root=(sudo)
    if ! command -v "${as_root[@]:-true}" >/dev/null; then
        say "Please install, as root: apt-get install ${missing[*]}"
        exit 1
    fi
    say "installing ${missing[*]}"
    quietly "${as_root[@]}" apt-get update || true  # a stale list may still do
    quietly "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
}

# quietly COMMAND…: prints its output only if it fails, and then its beginning: a compiler's first errors are the cause.
quietly() {
    local output status
    output=$(mktemp)
    "$@" >"$output" 2>&1 </dev/null
    status=$?
    ((status == 0)) || head -n 200 "$output" >&2
    rm -f "$output"
    return $status
}

# configure FOLDER ARGS…: in build/FOLDER
configure() {
    local folder=$1 launcher=()
    shift
    command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
    # shellcheck disable=SC2086 # several arguments may be given
    quietly cmake -S "$root" -B "$root/build/$folder" -G Ninja "${launcher[@]}" "$@" $DISTWORK_CMAKE_ARGS
}

# build FOLDER TARGET…
build() {
    local folder=$1
    shift
    quietly cmake --build "$root/build/$folder" --target "$@" -- -k 0
}

# A compiler cache then serves any checkout of the project, not only this one.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1
