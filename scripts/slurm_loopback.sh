#!/usr/bin/env bash
# Shows on one machine that a suite on a SLURM cluster ends with the same models as one without, whatever happens to
# its jobs: pre-emption, a time limit, and the death of the node's daemon.
# docs/clusters.md has what was seen.
#
#   sudo scripts/slurm_loopback.sh [WORK] [FIELD=VALUE ...]
#
# Debian's slurmctld, slurmd and munge become a cluster of one node below WORK (default: a new temporary folder), as the
# user who starts this, who must be root. It is stopped at the end; what was installed stays. FIELD=VALUE are given to
# `siit suite`, in the place of the small suite below. PYTHON is the interpreter (default: .venv's, with the extras
# train and sweep).
set -euo pipefail

HERE=$(cd "$(dirname "$0")/.." && pwd)
PYTHON=${PYTHON:-$HERE/.venv/bin/python}
WORK=${1:-$(mktemp -d)}
shift || true
SUITE=("$@")
# One takes longer than a job may, so that it needs several.
[ ${#SUITE[@]} -gt 0 ] || SUITE=(case=first_token_everywhere,frac_prevs trainer.threads=1)
export OMP_NUM_THREADS=1

say() { printf '%(%H:%M:%S)T  %s\n' -1 "$*"; }

[ "$(id -u)" -eq 0 ] || { echo "slurm_loopback.sh: found user $(id -un), accepted is root, who may run its daemons" >&2; exit 2; }
[ -x "$PYTHON" ] || { echo "slurm_loopback.sh: PYTHON: found no $PYTHON, accepted is an interpreter (make .venv/.dev)" >&2; exit 2; }
"$PYTHON" -c "import hydra_plugins.hydra_submitit_launcher" 2>/dev/null || {
  echo "slurm_loopback.sh: found no hydra-submitit-launcher for $PYTHON, accepted is one with the extra sweep" >&2; exit 2; }

command -v slurmctld slurmd munged >/dev/null || {
  say "installing slurmctld, slurmd and munge"
  apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge >/dev/null
}

mkdir -p "$WORK"/{state,spool,log}
# A trial that begins anew begins with no queue of an earlier one.
rm -rf "$WORK/state"/* "$WORK/slurm" "$WORK/plain"
export SLURM_CONF=$WORK/slurm.conf
cat >"$SLURM_CONF" <<CONF
ClusterName=loopback
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SlurmdTimeout=15
KillWait=10
SchedulerParameters=batch_sched_delay=1,sched_interval=5,bf_interval=5
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
StateSaveLocation=$WORK/state
SlurmdSpoolDir=$WORK/spool
SlurmctldLogFile=$WORK/log/slurmctld
SlurmdLogFile=$WORK/log/slurmd
SlurmctldPidFile=$WORK/slurmctld.pid
SlurmdPidFile=$WORK/slurmd.pid
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc --all) State=UNKNOWN
PartitionName=loopback Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF

stop() {
  set +e
  [ -z "${SWEEP:-}" ] || kill "$SWEEP" 2>/dev/null
  scancel --user=root 2>/dev/null
  for name in slurmctld slurmd; do [ -f "$WORK/$name.pid" ] && kill "$(cat "$WORK/$name.pid")" 2>/dev/null; done
  [ -z "${MUNGE:-}" ] || pkill -x munged
}
trap stop EXIT

mkdir -p /run/munge
chown munge: /run/munge
[ -f /etc/munge/munge.key ] || { dd if=/dev/urandom of=/etc/munge/munge.key bs=1 count=1024 status=none; chown munge: /etc/munge/munge.key; chmod 400 /etc/munge/munge.key; }
# Ended by `stop` where it was started here.
pgrep -x munged >/dev/null || { runuser -u munge -- /usr/sbin/munged; MUNGE=ours; }
slurmctld
slurmd
until sinfo --noheader --format=%T | grep -q idle; do sleep 1; done
say "a cluster of one node, $(nproc --all) CPUs"

# The first job that runs and has a checkpoint, so that it has something to lose.
running() {
  while true; do
    local job
    for job in $(squeue --noheader --states=RUNNING --format=%A); do
      if compgen -G "$WORK/slurm/.runs/*/*/last.ckpt" >/dev/null; then
        echo "$job"
        return
      fi
    done
    kill -0 "$SWEEP" 2>/dev/null || { echo "slurm_loopback.sh: the suite ended before it was interrupted" >&2; exit 1; }
    sleep 1
  done
}

say "the suite through submitit_slurm"
"$PYTHON" -m siit suite "${SUITE[@]}" out="$WORK/slurm" hydra/launcher=slurm hydra.launcher.partition=loopback \
  hydra.launcher.timeout_min=3 hydra.launcher.signal_delay_s=60 trainer.progress_bar=false >"$WORK/log/suite" 2>&1 &
SWEEP=$!

job=$(running)
say "job $job: pre-empted (scancel --signal=USR2)"
scancel --signal=USR2 "$job"
sleep 5
until [ -n "$(squeue --noheader --states=RUNNING --format=%A)" ]; do sleep 1; done
job=$(running)
say "job $job: the daemon of its node and all that it started are killed (SIGKILL)"
kill -9 "$(cat "$WORK/slurmd.pid")"
# As if the node lost its power: first what would report that the jobs failed. The suite, which only waits, runs elsewhere.
pkill -9 slurmstepd || true
pkill -9 -f submitit.core._submit || true
sleep 20
slurmd
say "the daemon is back"
status=0
wait "$SWEEP" || status=$?
SWEEP=
say "the suite ended with status $status"
tail -n 12 "$WORK/log/suite"
grep -hE "time limit|timed-out|preempted|Requeu" "$WORK"/slurm/.runs/sweeps/*/.submitit/*/*.err 2>/dev/null | sort | uniq -c || true

say "the same suite without SLURM"
"$PYTHON" -m siit suite "${SUITE[@]}" out="$WORK/plain" trainer.progress_bar=false >"$WORK/log/plain" 2>&1 || true
same=0
for weights in "$WORK"/plain/*/seed-*/model.safetensors; do
  name=${weights#"$WORK/plain/"}
  if cmp --silent "$weights" "$WORK/slurm/$name"; then say "same: $name $(sha256sum <"$weights" | cut -c1-16)"; else say "DIFFERENT: $name"; same=1; fi
done
exit "$same"
