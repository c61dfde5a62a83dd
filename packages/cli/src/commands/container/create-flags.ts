import { flag } from "../../grammar/flag.ts";
import { parseGpus, parseRestart, parseThrottle, parseUlimit, parseWeight } from "../../notation/device.ts";
import { splitPair } from "../../notation/environment.ts";
import { checkAddress, extraHost } from "../../notation/host.ts";
import { parseMount } from "../../notation/mount.ts";
import { linkText, parseNetwork } from "../../notation/network.ts";

const PULL_CHOICES = ["always", "missing", "never"];

function checkLabel(text: string): void {
  if (splitPair(text)[0].trim() === "") throw new Error(`invalid label '${text}': empty name`);
}

const SYSCTLS = /^(net\..+|fs\.mqueue\..+|kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced))$/;

function checkSysctl(text: string): void {
  if (text.includes("=") && SYSCTLS.test(splitPair(text)[0])) return;
  throw new Error(
    `sysctl '${text}' is not allowed: a container has net.*, fs.mqueue.*, kernel.msg*, kernel.sem and kernel.shm* of its own`,
  );
}

/** The flags of `create`, which `run` has too. */
export const CREATE_FLAGS = {
  "add-host": flag.list("Add a line to /etc/hosts (host:ip)", { check: extraHost }),
  annotation: flag.list("Add an annotation for the runtime", { type: "map" }),
  attach: flag.list("Attach to stdin, stdout or stderr", {
    short: "a",
    check: (text) => {
      if (!["stdin", "stdout", "stderr"].includes(text.toLowerCase())) {
        throw new Error("valid streams are STDIN, STDOUT and STDERR");
      }
    },
  }),
  "blkio-weight": flag.uint("Weight of block I/O, 10 to 1000, or 0 for none", { type: "uint16" }),
  "blkio-weight-device": flag.list("Weight of block I/O of a device (path:weight)", { check: parseWeight }),
  "cap-add": flag.list("Add a capability"),
  "cap-drop": flag.list("Take a capability away"),
  "cgroup-parent": flag.string("Parent cgroup of the container"),
  cgroupns: flag.string("Cgroup namespace: host or private"),
  cidfile: flag.string("Write the container's ID to this file"),
  "cpu-count": flag.int("Number of CPUs (Windows only)", { hidden: true }),
  "cpu-percent": flag.int("Share of the CPUs (Windows only)", { hidden: true }),
  "cpu-period": flag.int("Period of the CPU scheduler in microseconds"),
  "cpu-quota": flag.int("CPU time in each period in microseconds"),
  "cpu-rt-period": flag.int("Period of the real-time scheduler in microseconds"),
  "cpu-rt-runtime": flag.int("Real-time CPU time in each period in microseconds"),
  "cpu-shares": flag.int("Weight of the CPU time", { short: "c" }),
  cpus: flag.decimal("Number of CPUs"),
  "cpuset-cpus": flag.string("CPUs to run on (0-3, 0,1)"),
  "cpuset-mems": flag.string("Memory nodes to use (0-3, 0,1)"),
  device: flag.list("Add a device of this machine (/dev/x[:/dev/y][:rwm])"),
  "device-cgroup-rule": flag.list("Add a rule to the allowed devices"),
  "device-read-bps": flag.list("Limit reading from a device, in bytes a second (path:rate)", {
    check: (text) => void parseThrottle(text, "bytes"),
  }),
  "device-read-iops": flag.list("Limit reading from a device, in operations a second (path:rate)", {
    check: (text) => void parseThrottle(text, "count"),
  }),
  "device-write-bps": flag.list("Limit writing to a device, in bytes a second (path:rate)", {
    check: (text) => void parseThrottle(text, "bytes"),
  }),
  "device-write-iops": flag.list("Limit writing to a device, in operations a second (path:rate)", {
    check: (text) => void parseThrottle(text, "count"),
  }),
  "disable-content-trust": flag.bool("Not used any more", { default: true, hidden: true }),
  dns: flag.list("Set a DNS server", { check: checkAddress }),
  "dns-opt": flag.list("Set a DNS option", { hidden: true }),
  "dns-option": flag.list("Set a DNS option"),
  "dns-search": flag.list("Set a DNS search domain"),
  domainname: flag.string("NIS domain of the container"),
  entrypoint: flag.string("Replace the image's entry point"),
  env: flag.list("Set an environment variable (NAME=VALUE, or NAME to pass ours on)", { short: "e" }),
  "env-file": flag.list("Read environment variables from a file"),
  expose: flag.list("Expose a port or a range of ports"),
  gpus: flag.string("Add GPUs ('all' for all of them)", { type: "gpu-request", check: parseGpus }),
  "group-add": flag.list("Add a group to the process"),
  "health-cmd": flag.string("Command that checks health"),
  "health-interval": flag.duration("Time between two checks (ms|s|m|h)"),
  "health-retries": flag.int("Failures in a row that mean unhealthy"),
  "health-start-interval": flag.duration("Time between two checks while starting (ms|s|m|h)"),
  "health-start-period": flag.duration("Time to start, before failures count (ms|s|m|h)"),
  "health-timeout": flag.duration("Time that one check may take (ms|s|m|h)"),
  hostname: flag.string("Host name of the container", { short: "h" }),
  init: flag.bool("Run an init that reaps processes and forwards signals"),
  interactive: flag.bool("Keep stdin open", { short: "i" }),
  "io-maxbandwidth": flag.bytes("I/O limit of the system drive (Windows only)", { hidden: true }),
  "io-maxiops": flag.uint("I/O operations of the system drive (Windows only)", { hidden: true }),
  ip: flag.string("IPv4 address (172.30.100.104)"),
  ip6: flag.string("IPv6 address (2001:db8::33)"),
  ipc: flag.string("IPC mode"),
  isolation: flag.string("Isolation technology"),
  "kernel-memory": flag.bytes("Not used any more", { hidden: true }),
  label: flag.list("Set a label", { short: "l", check: checkLabel }),
  "label-file": flag.list("Read labels from a file"),
  link: flag.list("Add a link to another container", { check: linkText }),
  "link-local-ip": flag.list("Add a link-local address"),
  "log-driver": flag.string("Log driver of the container"),
  "log-opt": flag.list("Option of the log driver"),
  "mac-address": flag.string("MAC address (92:d0:c6:0a:29:33)"),
  memory: flag.bytes("Memory limit", { short: "m" }),
  "memory-reservation": flag.bytes("Memory to reclaim down to when it is short"),
  "memory-swap": flag.bytes("Limit of memory and swap together; -1 for no limit of swap", { unlimited: true }),
  "memory-swappiness": flag.int("Inclination to swap, 0 to 100", { default: -1 }),
  mount: flag.list("Attach a file system", { type: "mount", check: parseMount }),
  name: flag.string("Name of the container"),
  net: flag.list("Connect to a network", { check: parseNetwork, hidden: true }),
  "net-alias": flag.list("Name of the container in the network", { hidden: true }),
  network: flag.list("Connect to a network", { type: "network", check: parseNetwork }),
  "network-alias": flag.list("Name of the container in the network"),
  "no-healthcheck": flag.bool("Turn the image's health check off"),
  "oom-kill-disable": flag.bool("Do not kill when memory runs out"),
  "oom-score-adj": flag.int("Inclination to be killed when memory runs out, -1000 to 1000"),
  pid: flag.string("PID namespace"),
  "pids-limit": flag.int("Number of processes; -1 for no limit"),
  platform: flag.string("Platform of the image", { default: "" }),
  privileged: flag.bool("Give the container the powers of this machine"),
  publish: flag.list("Publish a port ([[ip:]port:]port[/protocol])", { short: "p" }),
  "publish-all": flag.bool("Publish all exposed ports on free ones", { short: "P" }),
  pull: flag.string("Pull the image before: always, missing or never", { default: "missing", choices: PULL_CHOICES }),
  quiet: flag.bool("Say nothing while pulling", { short: "q" }),
  "read-only": flag.bool("Mount the root file system read-only"),
  restart: flag.string(
    "What to do at the container's exit: no, always, unless-stopped, on-failure[:n], on-unhealthy[:n]",
    {
      default: "no",
      check: parseRestart,
    },
  ),
  rm: flag.bool("Remove the container and its anonymous volumes when it exits"),
  runtime: flag.string("Runtime of the container"),
  "security-opt": flag.list("Security option"),
  "shm-size": flag.bytes("Size of /dev/shm"),
  "stop-signal": flag.string("Signal that stops the container"),
  "stop-timeout": flag.int("Seconds to wait before killing"),
  "storage-opt": flag.list("Option of the container's storage"),
  sysctl: flag.list("Set a kernel parameter of the namespaces", { type: "map", check: checkSysctl }),
  tmpfs: flag.list("Mount a tmpfs at a directory"),
  tty: flag.bool("Give the process a terminal", { short: "t" }),
  ulimit: flag.list("Set a limit of resources (name=soft[:hard])", { type: "ulimit", check: parseUlimit }),
  "use-api-socket": flag.bool("Give the container the engine's socket"),
  user: flag.string("User or UID, and group or GID (user[:group])", { short: "u" }),
  userns: flag.string("User namespace"),
  uts: flag.string("UTS namespace"),
  volume: flag.list("Mount a directory or a volume", { short: "v" }),
  "volume-driver": flag.string("Driver of the volumes"),
  "volumes-from": flag.list("Mount the volumes of another container"),
  workdir: flag.string("Working directory in the container", { short: "w" }),
} as const;
