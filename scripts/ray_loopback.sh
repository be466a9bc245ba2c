#!/usr/bin/env bash
# Shows on one machine that a suite on a Ray cluster ends with the same models as one without.
# docs/clusters.md has what was seen.
#
#   scripts/ray_loopback.sh [WORK] [FIELD=VALUE ...]
#
# Ray starts by itself here, on all processors, and ends with the suite. FIELD=VALUE are given to `siit suite`, in the
# place of the small suite below. Everything is written below WORK (default: a new temporary folder). PYTHON is the
# interpreter (default: that of .venv-ray, which is made with the extras train and ray if it is not there).
set -euo pipefail

HERE=$(cd "$(dirname "$0")/.." && pwd)
WORK=$(realpath -m "${1:-$(mktemp -d)}")
shift || true
SUITE=("$@")
[ ${#SUITE[@]} -gt 0 ] || SUITE=(case=first_token_everywhere,absolute seed=0,1 trainer.threads=1)
export OMP_NUM_THREADS=1 RAY_USAGE_STATS_ENABLED=0

say() { printf '%(%H:%M:%S)T  %s\n' -1 "$*"; }

if [ -z "${PYTHON:-}" ]; then
  PYTHON=$HERE/.venv-ray/bin/python
  # One that was only half made is made anew.
  "$PYTHON" -c "import hydra_plugins.hydra_ray_launcher" 2>/dev/null || {
    say "installing siit with the extras train and ray into .venv-ray"
    python3 -m venv "$HERE/.venv-ray"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check -c "$HERE/constraints.txt" -e "$HERE[train,ray]"
    # What it declares, an old cloudpickle and Ray's dashboard, cannot be installed beside the rest, and is not used.
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps "hydra-ray-launcher>=1.2,<2"
  }
fi
"$PYTHON" -c "import hydra_plugins.hydra_ray_launcher" 2>/dev/null || {
  echo "ray_loopback.sh: found no hydra-ray-launcher for $PYTHON, accepted is an interpreter with the extra ray" >&2; exit 2; }
mkdir -p "$WORK"
rm -rf "$WORK/ray" "$WORK/plain"

status=0
say "the suite through Ray"
"$PYTHON" -m siit suite "${SUITE[@]}" out="$WORK/ray" hydra/launcher=ray "+hydra.launcher.ray.init.num_cpus=$(nproc)" \
  +hydra.launcher.ray.remote.num_cpus=1 trainer.progress_bar=false >"$WORK/ray.log" 2>&1 || status=$?
say "it ended with status $status"
tail -n 12 "$WORK/ray.log"

say "the same suite without Ray"
"$PYTHON" -m siit suite "${SUITE[@]}" out="$WORK/plain" trainer.progress_bar=false >"$WORK/plain.log" 2>&1 || status=$?
for weights in "$WORK"/plain/*/seed-*/model.safetensors; do
  name=${weights#"$WORK/plain/"}
  if cmp --silent "$weights" "$WORK/ray/$name"; then say "same: $name $(sha256sum <"$weights" | cut -c1-16)"; else say "DIFFERENT: $name"; status=1; fi
done
exit "$status"
