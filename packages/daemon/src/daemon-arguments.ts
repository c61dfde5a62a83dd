import type { DaemonFlags } from "./config.ts";

/** The flags as command line arguments of `slipway daemon`. */
export function daemonArguments(flags: DaemonFlags): string[] {
  const argv: string[] = [];
  const add = (name: string, value: string | number | boolean | undefined) => {
    if (value !== undefined) argv.push(`--${name}=${value}`);
  };
  for (const host of flags.hosts ?? []) argv.push(`--host=${host}`);
  add("data-root", flags.dataRoot);
  add("exec-root", flags.execRoot);
  add("pidfile", flags.pidfile);
  add("config-file", flags.configFile);
  add("log-level", flags.logLevel);
  add("log-format", flags.logFormat);
  add("debug", flags.debug);
  add("bridge", flags.bridge);
  add("bip", flags.bip);
  add("group", flags.group);
  add("shutdown-timeout", flags.shutdownTimeout);
  add("live-restore", flags.liveRestore);
  add("log-driver", flags.logDriver);
  add("tls", flags.tls);
  add("tlsverify", flags.tlsverify);
  add("tlscacert", flags.tlscacert);
  add("tlscert", flags.tlscert);
  add("tlskey", flags.tlskey);
  for (const host of flags.insecureRegistries ?? []) argv.push(`--insecure-registry=${host}`);
  for (const mirror of flags.registryMirrors ?? []) argv.push(`--registry-mirror=${mirror}`);
  add("max-concurrent-downloads", flags.maxConcurrentDownloads);
  add("max-concurrent-uploads", flags.maxConcurrentUploads);
  add("max-download-attempts", flags.maxDownloadAttempts);
  add("trash-size", flags.trashSize);
  add("trash-time", flags.trashTime);
  for (const [key, value] of Object.entries(flags.logOpts ?? {})) argv.push(`--log-opt=${key}=${value}`);
  return argv;
}
