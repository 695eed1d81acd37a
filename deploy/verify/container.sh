#!/usr/bin/env bash
# Builds the image as deploy/docker/Dockerfile says and runs it as compose does: read-only, as 65532, without
# capabilities. Takes root on Debian 12, and no registry of images: the bases are stand-ins, made here from Debian's
# packages under the names that the Dockerfile uses.
#
#   deploy/verify/container.sh [BINARY]
#
# The compiler is a stand-in too: it looks whether cargo finds a whole workspace where the Dockerfile has put it, and
# then hands out BINARY (without it, one that is built here, on the same Debian release).
set -euo pipefail
cd "$(dirname "$0")/../.."

[ "$(id -u)" = 0 ] || { echo "needs root" >&2; exit 1; }
scripts/tools.sh containers
binary=${1:-}
if [ -z "$binary" ]; then
  cargo build --locked --profile dist --package casewire
  binary=target/dist/casewire
fi

# Nothing of this outlives the run, and nothing else on this machine is touched: not its images, not its settings.
work=$(mktemp -d)
export CONTAINERS_CONF=$work/containers.conf CONTAINERS_STORAGE_CONF=$work/storage.conf TMPDIR=$work
cat >"$CONTAINERS_CONF" <<CONF
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
CONF
printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/storage"\nrunroot = "%s/run"\n' "$work" "$work" >"$CONTAINERS_STORAGE_CONF"
name=casewire-verify-$$
cleanup() {
  podman rm -f -t 0 $name >/dev/null 2>&1 || true
  podman unmount -a >/dev/null 2>&1 || true
  umount "$work"/storage/overlay >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

# Unpacks Debian packages into folder $1.
unpack() {
  local root=$1
  shift
  mkdir -p "$root" "$work/packages"
  (cd "$work/packages" && apt-get download -q -q -o APT::Sandbox::User=root "$@")
  local package
  for package in "$@"; do dpkg-deb -x "$work/packages/${package}"_*.deb "$root"; done
}

import() {
  local root=$1 image=$2
  shift 2
  tar -C "$root" -c . | podman import -q "$@" - "$image" >/dev/null
}

base=$(sed -n 's/^FROM \(rust:[^ ]*\).*/\1/p' deploy/docker/Dockerfile)
last=$(sed -n 's/^FROM \(gcr[^ ]*\).*/\1/p' deploy/docker/Dockerfile)
echo "stand-ins for $base and $last"
unpack "$work/distroless" base-files netbase tzdata
mkdir -p "$work/distroless/home/nonroot" "$work/distroless/tmp" "$work/distroless/etc/ssl/certs"
chmod 1777 "$work/distroless/tmp"
cp -L /etc/ssl/certs/ca-certificates.crt "$work/distroless/etc/ssl/certs/"
printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' >"$work/distroless/etc/passwd"
import "$work/distroless" "$last"

unpack "$work/rust" base-files libc6 libc-bin libgcc-s1 libtinfo6 bash dash coreutils libacl1 libattr1 libgmp10 libselinux1 \
  libpcre2-8-0
mkdir -p "$work/rust/usr/local/cargo/bin" "$work/rust/tmp"
cp "$(rustc --print sysroot)/bin/cargo" "$work/rust/usr/local/cargo/bin/cargo-itself"
cp "$binary" "$work/rust/compiled"
printf '#!/bin/sh\necho "Package: $2"\n' >"$work/rust/usr/bin/dpkg-query"
cat >"$work/rust/usr/local/cargo/bin/cargo" <<'SH'
#!/bin/sh
# What a compiler would be asked, and whether it could begin.
set -e
test "$*" = "build --locked --profile dist --package casewire"
test -n "$CASEWIRE_REVISION" -a -s .cargo/config.toml
cargo-itself metadata --no-deps --offline --format-version 1 >/dev/null
mkdir -p target/dist
cp /compiled target/dist/casewire
SH
chmod 755 "$work/rust/usr/local/cargo/bin/cargo" "$work/rust/usr/bin/dpkg-query"
import "$work/rust" "$base" --change "ENV PATH=/usr/local/cargo/bin:/usr/bin:/bin"

echo "deploy/docker/Dockerfile: buildah"
buildah bud -q --isolation chroot --pull-never --format docker -t casewire:verify \
  --build-arg CASEWIRE_REVISION=verify -f deploy/docker/Dockerfile . >/dev/null

# What a registry would send, and what it takes on a disk.
podman save -q --format docker-archive casewire:verify -o "$work/image.tar"
sent=$(gzip -c "$work/image.tar" | wc -c)
taken=$(podman image inspect casewire:verify --format '{{.Size}}')
program=$(stat -c %s "$binary")
mega() { awk -v bytes="$1" 'BEGIN { printf "%.1f MB", bytes / 1e6 }'; }
echo "  $(mega "$sent") to pull; $(mega "$taken") unpacked, of which $(mega "$program") are the program"
[ "$taken" -le 40000000 ] || { echo "the image is larger than 40 MB" >&2; exit 1; }

echo "runs as compose runs it: podman"
in_it() { podman exec $name /casewire "$@"; }
podman run -d --name $name --pull never --network none --add-host handset:127.0.0.1 --read-only --read-only-tmpfs=false --tmpfs /tmp --cap-drop all \
  --security-opt no-new-privileges --user 65532:65532 --memory 512m --init=false --health-interval disable \
  -v $name-data:/var/lib/casewire/spill casewire:verify up --data-dir /var/lib/casewire/spill >/dev/null
for _ in $(seq 60); do
  if in_it healthcheck >/dev/null 2>&1; then break; fi
  sleep 0.5
done
in_it healthcheck >/dev/null
podman healthcheck run $name >/dev/null

# What the kernel says of the process.
pid=$(podman inspect $name --format '{{.State.Pid}}')
says() { awk -v key="$1:" '$1 == key { print $2 }' /proc/"$pid"/status; }
expect() { [ "$2" = "$3" ] || { echo "$1 is $2, not $3" >&2; exit 1; }; }
expect uid "$(says Uid)" 65532
expect gid "$(says Gid)" 65532
for set in CapInh CapPrm CapEff CapBnd CapAmb; do expect $set "$(says $set)" 0000000000000000; done
expect NoNewPrivs "$(says NoNewPrivs)" 1
expect "the root of its file system" "$(awk '$5 == "/" { print substr($6, 1, 2) }' /proc/"$pid"/mountinfo)" ro
expect "a file on it" "$(in_it backup --data-dir /var/lib/casewire/spill --to /backups 2>&1 | grep -c 'Read-only file system')" 1

# It works there: a text becomes a case, by the image's own program, which also finds hosts by their names.
in_it simulator text --data-dir /var/lib/casewire/spill --simulator http://handset:8080 --from +12065550100 "my heater is broken" >/dev/null
for _ in $(seq 60); do
  if in_it case list --data-dir /var/lib/casewire/spill | grep -q +12065550100; then break; fi
  sleep 0.5
done
in_it case list --data-dir /var/lib/casewire/spill | grep -q +12065550100
expect "the revision it tells of" "$(podman inspect $name --format '{{index .Config.Labels "org.opencontainers.image.revision"}}')" verify

# It ends well when it is asked to.
podman stop -t 50 $name >/dev/null
expect "its exit status" "$(podman inspect $name --format '{{.State.ExitCode}}')" 0
podman volume rm -f $name-data >/dev/null
echo "the image runs as 65532, read-only, without capabilities; a text became a case in it"
