#!/usr/bin/env bash
# Runs a command where Kubernetes touches nothing of this machine and leaves nothing: run.sh COMMAND [ARGUMENT...]
#
# The command gets a network of its own, named haidang-kube-PID, in which the API server has an address that is not
# loopback; a /run of its own, and a /var in which nothing that is written stays; and a first process, with which the
# kernel ends all that was started and undoes all that was mounted. It keeps /sys/fs/cgroup, which `ip netns exec` would
# hide from a kubelet; what is below HAIDANG_KUBE there is put away, too. To look inside meanwhile:
# nsenter --net=/run/netns/haidang-kube-PID kubectl --kubeconfig FOLDER/admin.kubeconfig get pods -A
set -euo pipefail

if [ "${1:-}" = --inside ]; then
  shift
  mount -t tmpfs tmpfs /run
  mkdir -p /run/var/written /run/var/work /run/kernel
  mount -t overlay -o lowerdir=/var,upperdir=/run/var/written,workdir=/run/var/work overlay /var
  # A kubelet sets these for the whole machine, unless they are already as it wants them: here they look as if they were.
  for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    shown=/run/kernel/$(basename "${setting%=*}")
    echo "${setting#*=}" >"$shown"
    mount --bind "$shown" "/proc/sys/${setting%=*}"
  done
  ip link set lo up
  ip link add kube0 type bridge # of all links that carry an address, every kernel has this one
  ip address add 10.99.0.1/24 dev kube0
  ip link set kube0 up
  echo 1 >/proc/sys/net/ipv4/ip_forward
  status=0
  "$@" || status=$?
  exit $status # no `exec` before: the first process also buries those whose parents are gone
fi

[ "$(id -u)" = 0 ] || { echo "Kubernetes needs root, for a network of its own: sudo make test-kubernetes" >&2; exit 1; }

put_away() {
  ip netns delete "$1"
  # Nobody is left in these groups, or will be in a moment.
  for _ in 1 2 3 4 5; do
    groups=$(find /sys/fs/cgroup -maxdepth 2 -name "$1")
    [ -n "$groups" ] || return 0
    find $groups -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.2
  done
}

# Whoever was killed could not put its network away; there is nobody in it any more.
ip netns list | sed -nE 's/^haidang-kube-([0-9]+).*/\1/p' | while read -r pid; do
  [ -d "/proc/$pid" ] || put_away "haidang-kube-$pid"
done

network=haidang-kube-$$
export HAIDANG_KUBE=$network
inside=
trap 'put_away $network' EXIT
trap 'kill -KILL $inside' TERM HUP # and with it everything; after Ctrl-C, which it hears itself, it may tidy up first
trap : INT
ip netns add $network
(
  trap - INT # which a shell lets its background commands ignore
  exec setpriv --pdeathsig KILL -- nsenter --net=/run/netns/$network \
    unshare --pid --mount --mount-proc --fork --kill-child -- "$0" --inside "$@"
) <&0 &
inside=$!
status=0
while kill -0 $inside 2>/dev/null; do # a signal ends the wait, not what is waited for
  status=0
  wait $inside || status=$?
done
exit $status
