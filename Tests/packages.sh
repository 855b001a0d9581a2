# Sourced by Tests/run, cluster/demo and bench/run: installs the Debian packages that the build needs, only those that are missing.

debian_packages() {
    local missing=() package
    command -v dpkg-query >/dev/null || return 0 # not Debian: the build itself says what it misses
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0

    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
            root=(sudo -n)
        else
            echo "Missing Debian packages, and no right to install them here. As root: apt-get install ${missing[*]}" >&2
            return 1
        fi
    fi
    echo "Installing ${missing[*]}" >&2
    if ! { "${root[@]}" apt-get update -qq && "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}"; } >&2; then
        echo "Could not install ${missing[*]}. As root: apt-get install ${missing[*]}" >&2
        return 1
    fi
}

# A Swift toolchain of at least 6.3, or a clear message.
swift_toolchain() {
    if ! command -v swift >/dev/null; then
        echo "No swift on the PATH: llmgine needs Swift 6.3 or later, see https://www.swift.org/install/linux/" >&2
        return 1
    fi
    local version major minor
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
    major=${version%%.*}
    minor=${version#*.}
    if [ -z "$version" ] || [ "$major" -lt 6 ] || { [ "$major" -eq 6 ] && [ "$minor" -lt 3 ]; }; then
        echo "Swift ${version:-of unknown version} is too old: llmgine needs Swift 6.3 or later" >&2
        return 1
    fi
}

build_packages=(libssl-dev zlib1g-dev libsqlite3-dev)
