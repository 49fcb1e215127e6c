#!/bin/sh
# Runs the client's tests on aarch64 under qemu-user, with the wheels that a Raspberry Pi installs: make test-aarch64.
# Needs apt-get with Debian's archives and pip, but no root: packages are unpacked into a folder of its own, and
# nothing of this machine is changed. Where something of that is missing it says what, and ends with 0: skipped.
set -eu

cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
folder=${SLIMCAST_AARCH64:-${XDG_CACHE_HOME:-$HOME/.cache}/slimcast/aarch64}
root=$folder/root site=$folder/site
mkdir -p "$folder"

skip() {
  echo "SKIPPED: the client's tests on aarch64: $*"
  exit 0
}

# Under qemu 7.2 (Bookworm's) ONNX Runtime 1.31 crashes as it is imported; under 10.0 (Trixie's) it does not.
is_new() { [ "$("$1" --version | sed -n 's/.* version \([0-9]*\)\..*/\1/p')" -ge 8 ]; }

find_qemu() {
  for one in qemu-aarch64 qemu-aarch64-static "$folder/qemu/usr/bin/qemu-aarch64"; do
    path=$(command -v "$one") && is_new "$path" && echo "$path" && return
  done
  return 1
}

# apt for a release and an architecture, with a state of its own.
other_apt() {
  state=$folder/apt-$1 release=$1 architecture=$2
  shift 2
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
  : >"$state/status"
  echo "deb [signed-by=$keys] $archive $release main" >"$state/sources.list"
  apt-get -qq -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" -o Dir::State="$state" \
    -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" -o Dir::Etc::sourcelist="$state/sources.list" \
    -o Dir::Etc::sourceparts=- -o Debug::NoLocking=1 -o APT::Sandbox::User=root "$@"
}

keys=/usr/share/keyrings/debian-archive-keyring.gpg
# Debian's archive where this machine has it from: the first of its package lists.
archive=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep '/debian/*$' | head -n 1 || true)
has_apt() { [ -n "$archive" ] && command -v dpkg >/dev/null && [ -f $keys ]; }

# fetch RELEASE ARCHITECTURE FOLDER PACKAGE ...: unpack packages and all that they need.
fetch() {
  has_apt || return 1
  release=$1 architecture=$2 target=$3
  shift 3
  other_apt "$release" "$architecture" update || return 1
  other_apt "$release" "$architecture" --download-only -y --no-install-recommends install "$@" || return 1
  mkdir -p "$target.new"
  for one in "$folder/apt-$release"/cache/archives/*.deb; do dpkg -x "$one" "$target.new" || return 1; done
  mv "$target.new" "$target"
}

fetch_qemu() { fetch trixie "$(dpkg --print-architecture)" "$folder/qemu" qemu-user; }

fetch_python() { fetch bookworm arm64 "$root" python3 libpython3-stdlib libstdc++6 libgomp1; }

# Raspberry Pi OS Bookworm has Python 3.11; its wheels are those of manylinux. The second half of the list is what the
# tests need beside the client: with its certificates they take a part of the studio in.
fetch_wheels() {
  "$python" -m pip install --quiet --disable-pip-version-check --no-compile --target "$site.new" -c constraints.txt \
    --implementation cp --python-version 3.11 --only-binary=:all: \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
    cryptography numpy onnxruntime paho-mqtt pillow pydantic simplejpeg \
    hypothesis jinja2 onnx opencv-python-headless platformdirs psutil pytest pytest-timeout pyyaml sqlalchemy
  mv "$site.new" "$site"
}

qemu=$(find_qemu) || { fetch_qemu && qemu=$(find_qemu); } || skip "there is no qemu-aarch64 of version 8 or newer"
[ -d "$root" ] || fetch_python || skip "an aarch64 Python cannot be had from Debian's archive"
[ -d "$site" ] || fetch_wheels || skip "pip cannot get the aarch64 wheels"

# A script in the place of the interpreter, so that what the tests start as sys.executable is emulated as well.
cat >"$folder/python" <<SCRIPT
#!/bin/sh
exec "$qemu" -cpu ${CPU:-cortex-a76} -L "$root" -0 "$folder/python" "$root/usr/bin/python3.11" "\$@"
SCRIPT
chmod +x "$folder/python"

export PYTHONHOME="$root/usr" PYTHONPATH="$site:$PWD/edge_client:$PWD/compression" PYTHONNOUSERSITE=1
export OMP_NUM_THREADS=1
"$folder/python" -c 'import platform, onnxruntime; print(platform.machine(), "onnxruntime", onnxruntime.__version__)'
# The installer's tests stay out: it takes the python3 of PATH, which is this machine's own.
exec "$folder/python" -m pytest -p no:cacheprovider -p no:xdist --ignore tests/edge_client/test_install.py "$@"
