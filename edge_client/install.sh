#!/bin/sh
# Installs the Slimcast camera client as a service: Raspberry Pi OS (64-bit Bookworm, Trixie) and other Debian-like
# systems. Can be run again at any time: what is as it should be stays as it is. See docs/camera.md.
set -eu

USAGE="Usage: sudo sh install.sh [OPTION ...]
  --package SPEC   what pip installs: a name, a wheel or a folder (default: this checkout, else slimcast)
  --camera KIND    kind of camera (default: picamera2 where it can be had, else video)
  --broker URL     broker that studio and camera meet at, such as mqtts://broker.local:8883
  --site NAME      name of the place (default: lab)
  --device NAME    name of this camera (default: the host's name)
  --studio URL --code CODE   enrol with a one-time code, which brings name, key and broker
  --key KEY        or pin the studio's key, as \`slimcast key\` prints it
  --upgrade        take the newest version, though one is there
  --no-start       do not start the service
  --dry-run        say what would be done, and change nothing
  --root DIR       install below DIR, and leave packages, users and services alone: a trial
  --uninstall      remove client and service; settings and state stay
  --purge          with --uninstall: remove settings, state and user as well"

package="" camera="" broker="" site="" device="" key="" studio="" code=""
start=yes upgrade="" dry="" root="" uninstall="" purge=""

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

while [ $# -gt 0 ]; do
  case $1 in
    --package | --camera | --broker | --site | --device | --key | --studio | --code | --root)
      [ $# -ge 2 ] || fail "$1 needs a value."
      case $1 in
        --package) package=$2 ;;
        --camera) camera=$2 ;;
        --broker) broker=$2 ;;
        --site) site=$2 ;;
        --device) device=$2 ;;
        --key) key=$2 ;;
        --studio) studio=$2 ;;
        --code) code=$2 ;;
        --root) root=${2%/} ;;
      esac
      shift
      ;;
    --upgrade) upgrade=yes ;;
    --no-start) start="" ;;
    --dry-run) dry=yes ;;
    --uninstall) uninstall=yes ;;
    --purge) purge=yes ;;
    -h | --help)
      echo "$USAGE"
      exit 0
      ;;
    *) fail "unknown option $1. See: sh install.sh --help" ;;
  esac
  shift
done

here=$(cd "$(dirname "$0")" && pwd)
NAME=slimcast-edge
ACCOUNT=slimcast
STATE=/var/lib/slimcast-edge # as the client sees it; with --root it lies below DIR
opt=$root/opt/slimcast
venv=$opt/venv
command=$root/usr/local/bin/$NAME
config=$root/etc/slimcast/edge.toml
state=$root$STATE
unit=$root/etc/systemd/system/$NAME.service
changed=""

case $root in "" | /*) ;; *) fail "--root needs an absolute path." ;; esac
[ -z "$purge" ] || [ -n "$uninstall" ] || fail "--purge goes with --uninstall."
[ -z "$code" ] || [ -n "$studio" ] || fail "--code goes with --studio."
[ -n "$root" ] || [ -n "$dry" ] || [ "$(id -u)" = 0 ] || fail "needs root: sudo sh $0"

say() { echo "$*"; }

# Does a step, or says that it would; whoever calls this has found that it is needed.
step() {
  what=$1
  shift
  changed=yes
  if [ -n "$dry" ]; then
    say "would: $what"
  else
    say "  now: $what"
    "$@"
  fi
}

done_already() { say "   ok: $1"; }

# Whether packages, users and services of this machine are ours to change.
is_machine() { [ -z "$root" ]; }

has_systemd() { is_machine && [ -d /run/systemd/system ]; }

# --- uninstall ---------------------------------------------------------------------------------------------------

remove() {
  if [ -e "$1" ] || [ -h "$1" ]; then step "remove $1" rm -rf "$1"; fi
}

uninstall_all() {
  if has_systemd && [ -e "$unit" ]; then
    step "stop and disable $NAME" systemctl disable --now "$NAME"
  fi
  remove "$unit"
  if has_systemd && [ -n "$changed" ]; then step "systemd reads its units again" systemctl daemon-reload; fi
  remove "$command"
  remove "$opt"
  if [ -n "$purge" ]; then
    remove "$root/etc/slimcast"
    remove "$state"
    if is_machine && getent passwd "$ACCOUNT" >/dev/null; then step "remove the user $ACCOUNT" userdel "$ACCOUNT"; fi
  else
    say "Settings ($root/etc/slimcast) and state ($state) stay; --purge removes them, too."
  fi
}

# --- install -----------------------------------------------------------------------------------------------------

check_machine() {
  case $(uname -m) in
    aarch64 | arm64 | x86_64) ;;
    *) fail "$(uname -m) is no 64-bit system of a kind that ONNX Runtime is made for. On a Raspberry Pi use the 64-bit image." ;;
  esac
  command -v python3 >/dev/null || fail "there is no python3: apt-get install python3"
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "needs Python 3.11 or newer; $(python3 --version) is older. Raspberry Pi OS has it since Bookworm."
}

# Whether apt could install a package.
can_have() {
  command -v apt-cache >/dev/null || return 1
  case $(apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p') in "" | "(none)") return 1 ;; esac
}

is_installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q '^install ok installed$'; }

install_packages() {
  is_machine && command -v apt-get >/dev/null || return 0
  wanted=python3-venv
  [ "$camera" != picamera2 ] || wanted="$wanted python3-picamera2"
  missing=""
  for one in $wanted; do is_installed "$one" || missing="$missing $one"; done
  if [ -n "$missing" ]; then
    # shellcheck disable=SC2086  # one word for each package
    step "apt-get install$missing" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y --no-install-recommends $missing
  else
    done_already "packages: $wanted"
  fi
}

choose_camera() {
  [ -z "$camera" ] || return 0
  if is_machine && can_have python3-picamera2; then camera=picamera2; else camera=video; fi
}

make_account() {
  is_machine || return 0
  if getent passwd "$ACCOUNT" >/dev/null; then
    done_already "user $ACCOUNT"
  else
    step "make the user $ACCOUNT" useradd --system --user-group --home-dir "$STATE" --no-create-home \
      --shell /usr/sbin/nologin "$ACCOUNT"
  fi
  for group in video render; do
    getent group "$group" >/dev/null || continue
    id -nG "$ACCOUNT" 2>/dev/null | tr ' ' '\n' | grep -qx "$group" ||
      step "let $ACCOUNT use the devices of group $group" usermod -aG "$group" "$ACCOUNT"
  done
}

version_of() { "$1" -c 'import sys; print(sys.version_info[:2])' 2>/dev/null || true; }

make_venv() {
  if [ -x "$venv/bin/python" ] && [ "$(version_of "$venv/bin/python")" = "$(version_of python3)" ]; then
    done_already "virtual environment $venv"
    return
  fi
  # Another Python than the system's: the system has been upgraded since.
  remove "$venv"
  # With the system's packages, since libcamera's bindings are not on PyPI.
  step "make the virtual environment $venv" python3 -m venv --system-site-packages "$venv"
}

# What stands for the package's content: a wheel's sha256, else its name.
identity_of() {
  if [ -f "$1" ]; then sha256sum "$1" | cut -d' ' -f1; else echo "$1"; fi
}

pip_install() {
  target=$1
  shift
  limits=$opt/constraints.txt
  # Modules of apt that were built for NumPy 1 (Bookworm's simplejpeg, which Picamera2 needs) crash beside NumPy 2.
  if python3 -c 'import numpy, sys; sys.exit(numpy.__version__ >= "2")' 2>/dev/null; then
    echo "numpy<2" >"$limits"
  else
    : >"$limits"
  fi
  "$venv/bin/python" -m pip install --disable-pip-version-check --quiet --upgrade "$@" -c "$limits" "$target"
}

install_from() {
  identity=$1 target=$2
  case $camera in video) extra="[video]" ;; *) extra="" ;; esac
  # The same version number may stand for another content, which pip would not install by itself.
  if [ -f "$target" ] && "$venv/bin/python" -m pip show --quiet slimcast 2>/dev/null; then
    pip_install "$target" --force-reinstall --no-deps
  fi
  pip_install "$target$extra"
  echo "$identity" >"$opt/installed"
}

install_client() {
  if [ -z "$package" ] && [ -f "$here/../pyproject.toml" ]; then package=$(cd "$here/.." && pwd); fi
  package=${package:-slimcast}
  if [ -d "$package" ]; then
    build=$(mktemp -d)
    trap 'rm -rf "$build"' EXIT
    if [ -n "$dry" ]; then
      step "build and install the client from $package" :
      return
    fi
    python3 -m venv "$build/venv"
    "$build/venv/bin/python" -m pip wheel --disable-pip-version-check --quiet --no-deps -w "$build" "$package"
    package=$(echo "$build"/*.whl)
  fi
  case $package in
    *.whl) [ -f "$package" ] || fail "there is no file $package." ;;
  esac
  identity="$(identity_of "$package") $camera"
  if [ -z "$upgrade" ] && [ -x "$venv/bin/$NAME" ] && [ "$(cat "$opt/installed" 2>/dev/null)" = "$identity" ]; then
    done_already "client $("$venv/bin/$NAME" --version)"
  else
    step "install the client from $(basename "$package")" install_from "$identity" "$package"
  fi
}

link_command() {
  if [ "$(readlink "$command" 2>/dev/null)" = "$venv/bin/$NAME" ]; then
    done_already "command $command"
  else
    step "make the command $command" link_now
  fi
}

link_now() {
  mkdir -p "$(dirname "$command")"
  ln -sfn "$venv/bin/$NAME" "$command"
}

make_state() {
  if [ -d "$state" ]; then
    done_already "state folder $state"
  else
    step "make the state folder $state" make_state_now
  fi
}

make_state_now() {
  mkdir -p "$state"
  chmod 0750 "$state"
  ! is_machine || chown "$ACCOUNT:$ACCOUNT" "$state"
}

write_config() {
  if [ -e "$config" ]; then
    done_already "settings $config (they are yours: nothing was changed)"
  else
    step "write the settings $config" write_config_now
  fi
}

write_config_now() {
  mkdir -p "$(dirname "$config")"
  set -- --camera "$camera" --set "state_folder=$STATE"
  [ -z "$broker" ] || set -- "$@" --set "broker=$broker"
  [ -z "$site" ] || set -- "$@" --set "site=$site"
  [ -z "$device" ] || set -- "$@" --set "device=$device"
  "$venv/bin/$NAME" init "$config" "$@" >/dev/null
  chmod 0640 "$config" # a broker's password may stand in it
  ! is_machine || chown "root:$ACCOUNT" "$config"
}

as_account() {
  if is_machine; then runuser -u "$ACCOUNT" -- "$@"; else env SLIMCAST_EDGE_STATE_FOLDER="$state" "$@"; fi
}

enroll() {
  if [ -n "$code" ] && [ -e "$state/enrolment.json" ]; then
    done_already "enrolled (slimcast-edge enroll takes a new code)"
  elif [ -n "$code" ]; then
    step "enrol at $studio" as_account "$venv/bin/$NAME" enroll --config "$config" --studio "$studio" --code "$code"
  fi
  [ -n "$key" ] || return 0
  if grep -qxF -e "$key" "$state/studio.pub" 2>/dev/null; then
    done_already "the studio's key is pinned"
  else
    step "pin the studio's key" as_account "$venv/bin/$NAME" enroll --config "$config" --key "$key"
  fi
}

# The unit lies beside this script; an installed package carries it, too.
unit_source() {
  if [ -f "$here/$NAME.service" ]; then
    echo "$here/$NAME.service"
  else
    "$venv/bin/python" -c 'import slimcast_edge; print(slimcast_edge.__path__[0] + "/slimcast-edge.service")'
  fi
}

install_unit() {
  if [ -n "$dry" ] && [ ! -x "$venv/bin/python" ] && [ ! -f "$here/$NAME.service" ]; then
    step "install the service $unit" :
    return
  fi
  source=$(unit_source)
  if cmp -s "$source" "$unit"; then
    done_already "service $unit"
  else
    step "install the service $unit" install -D -m 0644 "$source" "$unit"
  fi
}

start_service() {
  is_machine || return 0
  if ! has_systemd; then
    say "systemd does not run here, so nothing was started, and nothing will be at boot. Start the client yourself: \
runuser -u $ACCOUNT -- $NAME run --config $config"
    return
  fi
  if [ -z "$start" ]; then
    say "Not started (--no-start). Start it with: systemctl enable --now $NAME"
    return
  fi
  if [ -n "$changed" ] || ! systemctl is-active --quiet "$NAME"; then
    step "systemd reads its units again" systemctl daemon-reload
    step "start $NAME now and at every boot" systemctl enable "$NAME"
    step "restart $NAME" systemctl restart --no-block "$NAME"
  else
    done_already "$NAME runs"
  fi
}

install_all() {
  check_machine
  choose_camera
  install_packages
  make_account
  make_venv
  [ -n "$dry" ] || mkdir -p "$opt"
  install_client
  link_command
  make_state
  write_config
  enroll
  install_unit
  start_service
  if [ -z "$changed" ]; then say "Nothing was to do."; fi
  is_machine || return 0
  [ -n "$code$key" ] || [ -e "$state/enrolment.json" ] || [ -e "$state/studio.pub" ] ||
    say "Not enrolled yet; in the studio: slimcast devices enrol NAME. Then here: \
sudo -u $ACCOUNT $NAME enroll --config $config --studio URL --code CODE"
  say "Look whether all is well: sudo -u $ACCOUNT $NAME doctor --config $config"
}

if [ -n "$uninstall" ]; then uninstall_all; else install_all; fi
