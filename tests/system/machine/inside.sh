# shellcheck shell=sh
# Process 1 of a process and mount namespace: when it exits, the kernel kills every process in the
# namespace, however deep, and with the last of them every mount is gone.
#
# It exits when its command is over, or when the leash (standard input) is let go.
cgroup=$1
shift
[ "$cgroup" = - ] || echo 0 >"$cgroup/cgroup.procs" || exit 1

exec 3<&0 </dev/null
"$@" 3<&- &
work=$!
{
    read -r _ <&3
    kill -KILL "$work"
} &
exec 3<&-
wait "$work"
exit
