# Sets a checkout up; sourced by tools/demo, tools/test and tools/install-jetson, which hold what
# differs.
#
# The machine itself is asked what it has (is the command, the library, the header there?) and not
# the package manager: what came another way is not installed twice, and a second run needs neither
# root nor the network.
# shellcheck shell=bash

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
venv=$root/.venv
export PATH=$PATH:/usr/sbin:/sbin # where Debian keeps ldconfig and mosquitto

say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 1; }
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

packages=()

# need PACKAGE REASON COMMAND...: the package is missing where the command fails. PACKAGE may be
# "NEW|OLD" where releases disagree on its name.
need() {
    local package=$1 reason=$2
    shift 2
    "$@" >/dev/null 2>&1 && return
    [ ${#packages[@]} -gt 0 ] || say "These system packages are missing:"
    say "  ${package#*|}: $reason"
    packages+=("$package")
}

install_packages() {
    [ ${#packages[@]} -gt 0 ] || return 0
    local by_hand="apt-get install ${packages[*]#*|}"
    command -v apt-get >/dev/null || die "there is no apt-get here; install them with this" \
        "system's own package manager, then run this again"
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null \
            || die "installing them needs root, and there is no sudo; as root, run: $by_hand"
        say "Installing them needs root: sudo may ask for your password."
    fi
    as_root apt-get -qq update || die "apt-get could not fetch its lists; as root, try: apt-get update"
    local package names=()
    for package in "${packages[@]}"; do
        apt-cache show "${package%|*}" >/dev/null 2>&1 || package=${package#*|}
        names+=("${package%|*}")
    done
    say "Installing ${names[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 \
        install --no-install-recommends --yes "${names[@]}" \
        | sed --unbuffered --quiet --regexp-extended 's/^Setting up (\S+) .*/  \1/p' >&2 \
        || die "apt-get could not install them; as root, try: $by_hand"
    packages=()
}

has_library() { ldconfig -p | grep --fixed-strings "$1"; }

# The Pythons that the doorbell runs on, the oldest first; tools/lock chooses versions for each.
pythons=(3.10 3.11 3.12 3.13 3.14)
pythons_in_words="Python ${pythons[0]} to ${pythons[-1]}"
# Those of JetPack 6 and 7.
# shellcheck disable=SC2034
jetson_pythons=(3.10 3.12)

suits() { [[ " ${pythons[*]} " == *" $(version_of "$1" 2>/dev/null) "* ]]; }

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }

# Sets $python to the first one that the doorbell runs on, the virtual environment's own before all.
find_python() {
    local each newest_first=''
    for each in "${pythons[@]}"; do
        newest_first="python$each $newest_first"
    done
    for python in "$venv/bin/python" python3 $newest_first; do
        ! suits "$python" || return 0
    done
    return 1
}

# What the doorbell needs of the system, wherever it is installed.
need_python_and_libraries() {
    need_python
    need_libraries
    need_what_builds_the_sound_player
}

need_python() {
    command -v python3 >/dev/null || { need python3 "Python" false; install_packages; }
    find_python || die "the doorbell needs $pythons_in_words, and this is $(python3 --version);" \
        "install one of these and its venv module beside it"

    [ "$python" = "$venv/bin/python" ] || need "python$(version_of "$python")-venv" \
        "virtual environments" "$python" -c 'import venv, ensurepip'
}

# What the doorbell loads and calls while it runs.
need_libraries() {
    need "libasound2t64|libasound2" "plays the chimes (ALSA)" has_library libasound.so.2
    need alsa-utils "plays on a sound device of your choice" command -v aplay
    need espeak-ng "says who is at the door, and speaks replies" command -v espeak-ng
    # OpenCV's wheel was built with windows, and does not load without their libraries.
    need libgl1 "OpenCV" has_library libGL.so.1
    need "libglib2.0-0t64|libglib2.0-0" "OpenCV" has_library libgthread-2.0.so.0
    need "libseccomp2" "confines what decodes photos" has_library libseccomp.so.2
}

need_what_builds_the_sound_player() {
    # simpleaudio comes as source, and miniaudio for x86-64 only as a wheel.
    case "$(version_of "$python") $(uname -m)" in
        3.10\ * | 3.11\ *)
            need_compiler "builds the sound player"
            need libasound2-dev "builds the sound player" test -e /usr/include/alsa/asoundlib.h
            ;;
        *\ x86_64) ;;
        *) need_compiler "builds the sound player" ;;
    esac
}

# need_compiler REASON: what Python packages that come as source are built with.
need_compiler() {
    local header
    header=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
    need gcc "$1" command -v gcc
    need "python$(version_of "$python")-dev" "$1" test -e "$header"
}

# install_doorbell NAME...: the packages of tools/requirements/NAME.txt and the doorbell into .venv, as
# far as something changed. A later one's version of a package takes the place of an earlier one's.
install_doorbell() {
    local name stamp wanted files=("${@/#/tools/requirements/}")
    stamp=$venv/doorbell-${*: -1}.stamp
    wanted="$(cat pyproject.toml tools/requirements/build.txt "${files[@]/%/.txt}" | sha256sum)"
    wanted+=" $("$python" --version) $root"
    if ! suits "$venv/bin/python" || [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        make_venv
        say "Installing the doorbell and the Python packages it needs:"
        for name in "$@"; do
            install_locked "$name"
        done
        pip_install --no-deps --no-build-isolation --editable .
        printf '%s' "$wanted" >"$stamp"
    fi
    # pip does it for what it copies; without, the daemon starts a sixth later.
    "$venv/bin/python" -m compileall -q "$root/doorbell"
}

# install_locked NAME: exactly the versions of tools/requirements/NAME.txt. What comes as source is
# hashed as well, and built with packages that are.
install_locked() {
    pip_install --require-hashes --requirement tools/requirements/build.txt
    pip_install --require-hashes --no-build-isolation --requirement "tools/requirements/$1.txt"
}

make_venv() {
    if ! suits "$venv/bin/python"; then
        say "Making a virtual environment in $venv"
        "$python" -m venv --clear "$venv"
    fi
    # An interrupted run may have left the environment without it.
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null
}

# pip_install ARGUMENT...: one line a package and every error; the rest of what pip says helps nobody
# here.
pip_install() {
    "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off \
        --use-pep517 "$@" \
        | sed --unbuffered --quiet --regexp-extended \
            -e 's/^ *(Downloading|Using cached|Processing) (\S*\/)?([^- ]+)-([0-9][^- ]*)(-\S+\.whl|\.tar\.gz|\.zip)( \([0-9.]+ [kMG]B\))?( .*)?$/  \3 \4\6/p' \
            -e 's/^ *Building (wheel|editable) for (\S+) .*started$/  building \2/p' \
            -e 's/^ *Installing collected packages.*/  installing/p' >&2
}
