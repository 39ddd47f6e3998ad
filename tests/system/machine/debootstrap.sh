# shellcheck shell=sh
# Makes a root in the directory $1/root: $2 are packages, $3 is the release, $4 a mirror if given.
#
# It is made in memory and then copied: dpkg waits for the disk after every file that it unpacks.
set -e
cd "$1"
include=$2
shift 2
release=$1
shift
mkdir memory root
mount -t tmpfs -o mode=755 debootstrap memory
debootstrap --variant=minbase --include="$include" "$release" "$PWD/memory" "$@"
cp -a memory/. root
