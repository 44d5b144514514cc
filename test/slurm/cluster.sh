#!/usr/bin/env bash
# A real Slurm on one machine, for tests: munged + slurmctld + N slurmd, no systemd, no database.
#
#   SLURM_TEST_DIR=/some/short/folder ./cluster.sh start
#   eval "$(SLURM_TEST_DIR=... ./cluster.sh env)"; sinfo; sbatch ...
#   SLURM_TEST_DIR=... ./cluster.sh stop
#
# Commands
#   install           apt-get install the Debian packages, those of SLURM_TEST_ACCOUNTING=1 too (root only)
#   start             start whatever is not running yet; waits until every node answers (idempotent)
#   stop              cancel jobs, end the daemons started from this folder (idempotent)
#   status            one line per daemon + sinfo; exit 0 only if all are up
#   env               print the export line(s) a client needs
#   node-kill NAME    end one slurmd and its job steps with SIGKILL (a lost node)
#   node-start NAME   bring it back
#   clean             stop, then delete the folder's contents
#
# Settings (environment; used when slurm.conf is first written - run `clean` to change them)
#   SLURM_TEST_DIR        required. Keep it short: the munge socket path must stay under 108 bytes.
#   SLURM_TEST_NODES      2      number of slurmd
#   SLURM_TEST_CPUS       4      CPUs each node claims (may exceed the real ones)
#   SLURM_TEST_MEM_MB     4096   memory each node claims
#   SLURM_TEST_NODE_TIMEOUT 10   seconds until a silent node is DOWN
#   SLURM_TEST_MINJOBAGE  300    seconds a finished job stays visible to squeue / scontrol
#   SLURM_TEST_ARRAY      2001   MaxArraySize: tasks of one array
#   SLURM_TEST_ACCOUNTING 0      1 = also MariaDB + slurmdbd, so that sacct, sacctmgr and -M work
#                                (Debian: slurmdbd slurm-wlm-mysql-plugin mariadb-server-core mariadb-client-core)
set -euo pipefail

die() { echo "cluster: $*" >&2; exit 1; }
cmd=${1:-}; shift || true
[ -n "$cmd" ] || { sed -n "2,29p" "$0" | sed "s/^# \{0,1\}//"; exit 2; }

PATH=$PATH:/usr/sbin:/sbin
if [ "$cmd" = install ]; then
  apt-get update -q
  pk="slurmctld slurmd slurm-client munge"
  [ "${SLURM_TEST_ACCOUNTING:-0}" = 1 ] && pk="$pk slurmdbd slurm-wlm-mysql-plugin mariadb-server-core mariadb-client-core"
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $pk
  exit
fi

: "${SLURM_TEST_DIR:?set SLURM_TEST_DIR to an empty or own folder}"
mkdir -p "$SLURM_TEST_DIR"
D=$(cd "$SLURM_TEST_DIR" && pwd -P)
NODES=${SLURM_TEST_NODES:-2} CPUS=${SLURM_TEST_CPUS:-4} MEM=${SLURM_TEST_MEM_MB:-4096}
TMO=${SLURM_TEST_NODE_TIMEOUT:-10} AGE=${SLURM_TEST_MINJOBAGE:-300} ACCT=${SLURM_TEST_ACCOUNTING:-0} ARRAY=${SLURM_TEST_ARRAY:-2001}
CONF=$D/etc/slurm.conf
SOCK=$D/run/munge.sock
ME=$(id -un)
export SLURM_CONF=$CONF

for b in munged slurmctld slurmd scontrol sinfo squeue scancel; do
  command -v $b >/dev/null || die "$b not found; run: $0 install (Debian: slurmctld slurmd slurm-client munge)"
done
[ ${#SOCK} -lt 104 ] || die "SLURM_TEST_DIR is too long for a unix socket (${#SOCK} bytes): $SOCK"
case $D in *[[:space:]]*) die "SLURM_TEST_DIR must not contain blanks (slurm.conf cannot quote them)";; esac

node_names() { local i n; n=$(cat "$D/etc/nodes"); for i in $(seq 1 "$n"); do echo "tn$i"; done; }

# pid of a daemon, only if that process really is ours: its command line (or environment) names our folder
alive() { # NAME PIDFILE
  local p; p=$(cat "$2" 2>/dev/null) || return 1
  [ -n "$p" ] && [ -r "/proc/$p/cmdline" ] || return 1
  { tr '\0' ' ' <"/proc/$p/cmdline"; tr '\0' '\n' <"/proc/$p/environ" 2>/dev/null; } | grep -qF -- "$D/" || return 1
  echo "$p"
}
wait_gone() { # PID SECONDS
  local i; for i in $(seq 1 $(( $2 * 10 ))); do [ -e "/proc/$1" ] || return 0; sleep 0.1; done; return 1
}
free_ports() { # N distinct free ports, below the usual ephemeral range
  local want=$1 p tried=0 got=()
  while [ ${#got[@]} -lt "$want" ]; do
    tried=$((tried + 1)); [ $tried -lt 500 ] || die "no free ports found"
    p=$(( 17000 + (RANDOM % 15000) ))
    case " ${got[*]:-} " in *" $p "*) continue;; esac
    (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null && continue
    got+=("$p")
  done
  echo "${got[@]}"
}

write_conf() {
  mkdir -p "$D"/{etc,run,log,state,spool,db}
  chmod 755 "$D/run"; chmod 700 "$D/state"
  [ -s "$D/etc/munge.key" ] || (umask 077; head -c 128 /dev/urandom >"$D/etc/munge.key")
  [ -s "$CONF" ] && return 0
  local ports i host; host=$(hostname -s 2>/dev/null || hostname)
  read -r -a ports <<<"$(free_ports $((NODES + 3)))"
  echo "$NODES" >"$D/etc/nodes"
  {
    cat <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmUser=$ME
SlurmdUser=$ME
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$SOCK
SlurmctldPidFile=$D/run/slurmctld.pid
SlurmdPidFile=$D/run/slurmd-%n.pid
StateSaveLocation=$D/state
SlurmdSpoolDir=$D/spool/%n
SlurmctldLogFile=$D/log/slurmctld.log
SlurmdLogFile=$D/log/slurmd-%n.log
SlurmctldDebug=info
SlurmdDebug=info
# no cgroups, no hardware binding: needs no privileges
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
MpiDefault=none
SwitchType=switch/none
# finished jobs leave one line each in a text file, database or not
JobCompType=jobcomp/filetxt
JobCompLoc=$D/log/jobcomp.log
MinJobAge=$AGE
# scheduling
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,batch_sched_delay=0,sched_interval=5
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# let nodes claim more CPUs / memory than the machine has
SlurmdParameters=config_overrides
ReturnToService=2
JobRequeue=1
MailProg=/bin/true
SlurmdTimeout=$TMO
SlurmctldTimeout=10
KillWait=30
CompleteWait=0
MaxArraySize=$ARRAY
MaxJobCount=10000
CONF
    if [ "$ACCT" = 1 ]; then
      printf '%s\n' AccountingStorageType=accounting_storage/slurmdbd AccountingStorageHost=127.0.0.1 \
        "AccountingStoragePort=${ports[$((NODES + 1))]}" "AccountingStoragePass=$SOCK" AccountingStorageEnforce=associations,limits,qos
    else echo AccountingStorageType=accounting_storage/none; fi
    for i in $(seq 1 "$NODES"); do
      echo "NodeName=tn$i NodeHostname=$host NodeAddr=127.0.0.1 Port=${ports[$i]} CPUs=$CPUS RealMemory=$MEM State=UNKNOWN"
    done
    echo "PartitionName=main Nodes=ALL Default=YES MaxTime=1:00:00 DefaultTime=10:00 DefMemPerCPU=256 State=UP"
    echo "PartitionName=short Nodes=ALL MaxTime=2:00 DefMemPerCPU=256 State=UP"
  } >"$CONF.tmp"
  if [ "$ACCT" = 1 ]; then
    echo "${ports[$((NODES + 2))]}" >"$D/etc/dbport"
    head -c 18 /dev/urandom | base64 | tr -d '+/=\n' >"$D/etc/dbpass"
    (umask 077; cat >"$D/etc/slurmdbd.conf") <<CONF
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=${ports[$((NODES + 1))]}
SlurmUser=$ME
AuthType=auth/munge
AuthInfo=socket=$SOCK
PidFile=$D/run/slurmdbd.pid
LogFile=$D/log/slurmdbd.log
DebugLevel=info
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=${ports[$((NODES + 2))]}
StorageUser=slurm
StoragePass=$(cat "$D/etc/dbpass")
StorageLoc=slurm_acct
CONF
  fi
  # must exist even if empty; otherwise slurmd may pick up the system's file
  : >"$D/etc/gres.conf"; echo "CgroupAutomount=no" >"$D/etc/cgroup.conf"
  mv "$CONF.tmp" "$CONF"
}

start_db() {
  local i
  if ! alive mariadbd "$D/run/mariadbd.pid" >/dev/null; then
    if [ ! -d "$D/db/mysql" ]; then
      mariadb-install-db --no-defaults --datadir="$D/db" --auth-root-authentication-method=normal --user="$ME" \
        --skip-test-db </dev/null >>"$D/log/start.log" 2>&1 || { tail -5 "$D/log/start.log" >&2; die "mariadb-install-db failed"; }
    fi
    mariadbd --no-defaults --datadir="$D/db" --user="$ME" --socket="$D/run/db.sock" --pid-file="$D/run/mariadbd.pid" \
      --bind-address=127.0.0.1 --port="$(cat "$D/etc/dbport")" --skip-name-resolve --innodb-buffer-pool-size=32M \
      --innodb-log-file-size=8M --innodb-flush-log-at-trx-commit=0 </dev/null >>"$D/log/mariadbd.log" 2>&1 &
    for i in $(seq 1 150); do mariadb --no-defaults --socket="$D/run/db.sock" -uroot -e "select 1" >/dev/null 2>&1 && break; sleep 0.2; done
    mariadb --no-defaults --socket="$D/run/db.sock" -uroot -e "create database if not exists slurm_acct;
      grant all on slurm_acct.* to slurm@127.0.0.1 identified by '$(cat "$D/etc/dbpass")'" || die "database did not start"
  fi
  if ! alive slurmdbd "$D/run/slurmdbd.pid" >/dev/null; then
    # slurmdbd has no option naming its folder on the command line; -D keeps it in front, so we know the pid
    slurmdbd -D </dev/null >>"$D/log/start.log" 2>&1 &
    for i in $(seq 1 150); do sacctmgr -n show cluster >/dev/null 2>&1 && break; sleep 0.2; done
    sacctmgr -n show cluster >/dev/null || { tail -5 "$D/log/slurmdbd.log" >&2; die "slurmdbd did not start"; }
  fi
  if [ -z "$(sacctmgr -n -P show cluster test)" ]; then
    sacctmgr -i -Q add cluster test >/dev/null
    sacctmgr -i -Q add account lab Description=test Organization=test >/dev/null
    sacctmgr -i -Q add account other Description=test Organization=test >/dev/null
    sacctmgr -i -Q add qos low >/dev/null
    sacctmgr -i -Q add user "$ME" Account=lab DefaultAccount=lab >/dev/null
    sacctmgr -i -Q modify user "$ME" set qos=normal,low >/dev/null
  fi
}

start_node() { # NAME
  alive "$1" "$D/run/slurmd-$1.pid" >/dev/null && return 0
  mkdir -p "$D/spool/$1"
  # stdin/out/err closed off so that a caller capturing our output does not hang on the daemon
  slurmd -N "$1" -f "$CONF" </dev/null >>"$D/log/start.log" 2>&1 || { tail -5 "$D/log/start.log" "$D/log/slurmd-$1.log" >&2; die "slurmd $1 did not start"; }
}

do_start() {
  write_conf
  exec 9>"$D/run/lock"; flock -w 60 9 || die "another start/stop is under way"
  if ! alive munged "$D/run/munged.pid" >/dev/null; then
    rm -f "$SOCK" "$SOCK.lock"
    munged --force --num-threads=2 --key-file="$D/etc/munge.key" --socket="$SOCK" --pid-file="$D/run/munged.pid" \
      --log-file="$D/log/munged.log" --seed-file="$D/run/munged.seed" </dev/null >>"$D/log/start.log" 2>&1 9>&- \
      || { tail -5 "$D/log/start.log" >&2; die "munged did not start"; }
  fi
  if [ -s "$D/etc/slurmdbd.conf" ]; then start_db 9>&-; fi
  if ! alive slurmctld "$D/run/slurmctld.pid" >/dev/null; then
    slurmctld -f "$CONF" </dev/null >>"$D/log/start.log" 2>&1 9>&- || { tail -5 "$D/log/start.log" "$D/log/slurmctld.log" >&2; die "slurmctld did not start"; }
  fi
  local n; for n in $(node_names); do start_node "$n" 9>&-; done
  local i want; want=$(cat "$D/etc/nodes")
  for i in $(seq 1 150); do
    [ "$(sinfo -h -N -p main -o '%t' 2>/dev/null | grep -Ecx 'idle|mix|alloc|comp' || true)" = "$want" ] && return 0
    sleep 0.2
  done
  sinfo >&2 || true; tail -5 "$D/log/slurmctld.log" >&2; die "nodes did not become ready in 30 s"
}

# slurmstepd outlives slurmd, and has neither our path on its command line nor its environment left;
# it can be known by the log file it holds open
our_steps() { # [NODE]
  local p f
  for p in /proc/[0-9]*; do
    case "$(readlink "$p/exe" 2>/dev/null)" in */slurmstepd*) ;; *) continue;; esac
    for f in "$p"/fd/[0-9]; do
      case "$(readlink "$f" 2>/dev/null)" in "$D/log/slurmd-"${1:-*}.log) echo "${p#/proc/}"; break;; esac
    done
  done
}
children() { # all descendants of a pid
  local c; for c in $(cat "/proc/$1/task/"*/children 2>/dev/null); do children "$c"; echo "$c"; done
}

do_stop() {
  [ -s "$CONF" ] || return 0
  exec 9>"$D/run/lock"; flock -w 60 9 || die "another start/stop is under way"
  local n p i
  if alive slurmctld "$D/run/slurmctld.pid" >/dev/null; then
    timeout 10 scancel --user="$ME" >/dev/null 2>&1 || true
    for i in $(seq 1 40); do [ -z "$(timeout 5 squeue -h -t R,CG -o %i 2>/dev/null)" ] && break; sleep 0.2; done
  fi
  # slurmctld first, asking it to end the slurmd: the other order costs several seconds of RPC time-outs
  if p=$(alive slurmctld "$D/run/slurmctld.pid"); then timeout 10 scontrol shutdown >/dev/null 2>&1 || true; fi
  for n in slurmctld $(node_names | sed 's/^/slurmd-/') ; do end_one "$n" 5; done
  for p in $(our_steps); do for i in $(children "$p") "$p"; do kill -KILL "$i" 2>/dev/null || true; done; done
  end_one slurmdbd 0; end_one mariadbd 0
  end_one munged 1   # its clean exit waits for idle threads; it has no state worth keeping
}
end_one() { # NAME SECONDS: let it end by itself, then TERM, then KILL
  local p; p=$(alive "$1" "$D/run/$1.pid") || return 0
  [ "$1" = munged ] && kill -TERM "$p" 2>/dev/null
  wait_gone "$p" "$2" && return 0
  kill -TERM "$p" 2>/dev/null || return 0
  wait_gone "$p" 5 || kill -KILL "$p" 2>/dev/null || true
}

do_status() {
  local ok=0 n p
  [ -s "$CONF" ] || { echo "not configured"; return 3; }
  for n in munged $([ -s "$D/etc/slurmdbd.conf" ] && echo mariadbd slurmdbd) slurmctld; do if p=$(alive $n "$D/run/$n.pid"); then echo "$n up $p"; else echo "$n down"; ok=3; fi; done
  for n in $(node_names); do if p=$(alive "$n" "$D/run/slurmd-$n.pid"); then echo "slurmd-$n up $p"; else echo "slurmd-$n down"; ok=3; fi; done
  timeout 10 sinfo -N -o '%N %P %t %c %m %G' 2>&1 || ok=3
  return $ok
}

case $cmd in
  start) do_start;;
  stop) do_stop;;
  status) do_status;;
  env) echo "export SLURM_CONF=$CONF";;
  node-kill)
    n=${1:?node name}; steps=$(our_steps "$n")
    p=$(alive "$n" "$D/run/slurmd-$n.pid") && kill -KILL "$p"
    for s in $steps; do for c in $(children "$s") "$s"; do kill -KILL "$c" 2>/dev/null || true; done; done;;
  node-start) start_node "${1:?node name}";;
  clean) do_stop; rm -rf "${D:?}"/{etc,run,log,state,spool,db};;
  *) die "unknown command $cmd";;
esac
