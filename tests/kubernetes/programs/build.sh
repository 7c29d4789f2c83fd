#!/usr/bin/env bash
# Builds the programs of Kubernetes from Go modules into a folder: build.sh FOLDER [node] [helm]
#
# Alone it makes a control plane with kubectl; `node` adds what runs real pods, and `helm` what installs a chart and
# checks it. A program that is there already is left alone, so that an interrupted build goes on where it was. The
# versions are those of go.mod and the ones below.
set -euo pipefail
folder=$(realpath -m "${1:?"build.sh FOLDER [node] [helm]"}")
more=" ${*:2} "
cd "$(dirname "$0")"

HELM=v4.3.1
CONTAINERD=v2.4.2
COREDNS=v1.15.0
KUBECONFORM=v0.8.0
KUBERNETES=$(sed -nE 's|^\tk8s.io/kubernetes (v[^ ]+).*|\1|p' go.mod)

unfinished=$folder/.unfinished
mkdir -p "$unfinished"
trap 'rm -rf "$unfinished"' EXIT
export CGO_ENABLED=0 GOBIN=$unfinished

# once PROGRAM COMMAND...: runs a command that leaves the program in $unfinished, unless it is finished already
once() {
  local program=$1
  shift
  [ -x "$folder/$program" ] && return
  # Go reads go.mod here: one that is too old, and cannot fetch what is asked for there, says so by failing.
  go list -m >/dev/null 2>&1 || { echo "Go 1.26 or newer is missing: https://go.dev/dl" >&2; exit 1; }
  echo "building $program"
  "$@"
  mv "$unfinished/$program" "$folder/$program"
}

stripped="-s -w"
versioned="$stripped -X k8s.io/component-base/version.gitVersion=$KUBERNETES"
programs=(kube-apiserver kube-controller-manager kube-scheduler kubectl)
[[ $more == *" node "* ]] && programs+=(kubelet kube-proxy)
for program in "${programs[@]}"; do
  once "$program" go build -trimpath -ldflags "$versioned" -o "$unfinished/" "k8s.io/kubernetes/cmd/$program"
done

# Each of these is installed by its own go.mod: their requirements and Kubernetes' do not go together.
install() { once "$1" go install -trimpath -ldflags "$stripped" "$2"; }
if [[ $more == *" node "* ]]; then
  for program in containerd containerd-shim-runc-v2 ctr; do
    install "$program" "github.com/containerd/containerd/v2/cmd/$program@$CONTAINERD"
  done
  install coredns "github.com/coredns/coredns@$COREDNS"
fi
if [[ $more == *" helm "* ]]; then
  install helm "helm.sh/helm/v4/cmd/helm@$HELM"
  install kubeconform "github.com/yannh/kubeconform/cmd/kubeconform@$KUBECONFORM"
fi
