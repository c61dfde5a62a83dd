import { fails, is, section, step } from "../vocabulary.ts";

const health = (name: string) => `docker inspect -f '{{.State.Health.Status}}' ${name}`;

export const healthChecks = section("health", [
  step("docker run -d --name ok --health-cmd 'test -f /healthy' --health-interval 200ms --health-retries 2 --health-timeout 2s --health-start-period 0s $BASE sleep 1000"),
  is("it begins as starting", "docker run -d --name slow --health-cmd true --health-interval 1h $BASE sleep 1000 >/dev/null; docker inspect -f '{{.State.Health.Status}}' slow; docker ps -f name=slow --format '{{.Status}}'", /^starting\nUp .* \(health: starting\)$/),
  is("enough failures make it unhealthy", `wait_for '${health("ok").replaceAll("'", '"')} | grep -x unhealthy'; ${health("ok")}`, "unhealthy"),
  is("ps tells it", "docker ps -f name=ok --format '{{.Status}}'", /\(unhealthy\)$/),
  is("one success makes it healthy", `docker exec ok touch /healthy; wait_for '${health("ok").replaceAll("'", '"')} | grep -x healthy'; ${health("ok")}`, "healthy"),
  is("failures in a row are counted", "docker inspect -f '{{.State.Health.FailingStreak}}' ok", "0"),
  is("the log has exit codes", "docker inspect -f '{{range .State.Health.Log}}{{.ExitCode}} {{end}}' ok", /0 $/),
  is("ps --filter health", "docker ps -f health=healthy --format '{{.Names}}'", "ok"),
  is("health status is an event", "docker events --since 1m --until $(date +%s.%N) -f container=ok -f event=health_status --format '{{.Action}}' | sort -u", "health_status: healthy\nhealth_status: unhealthy"),
  is("--no-healthcheck", "docker inspect -f '{{json .Config.Healthcheck.Test}}' $(docker create --no-healthcheck $BASE)", '["NONE"]'),
  is("without a check there is no health", "docker inspect -f '{{json .State.Health}}' $(docker create $BASE)", /^(null|<nil>)?$/),
  is("the settings are kept", "docker inspect -f '{{json .Config.Healthcheck}}' ok", /"Test":\["CMD-SHELL","test -f \/healthy"\],"Interval":200000000,"Timeout":2000000000,.*"Retries":2\}$/),
  is("what the check prints is kept", "docker run -d --name say --health-cmd 'echo said; exit 0' --health-interval 100ms $BASE sleep 100 >/dev/null; wait_for 'docker inspect -f \"{{.State.Health.Status}}\" say | grep -x healthy'; docker inspect -f '{{(index .State.Health.Log 0).Output}}' say", "said\n"),
  fails("--no-healthcheck excludes the others", "docker create --no-healthcheck --health-cmd x $BASE", 125, /--no-healthcheck conflicts with --health-\* options/),
]);

export const restarts = section("restart policies", [
  step("docker run -d --name failing --restart on-failure:2 $BASE sh -c 'echo x; exit 1'"),
  is("on-failure:2 tries twice more", "wait_for 'docker inspect -f \"{{.State.Status}}\" failing | grep -x exited'; docker inspect -f '{{.RestartCount}} {{.State.ExitCode}}' failing; docker logs failing | wc -l", "2 1\n3"),
  is("on-failure leaves success alone", "docker run -d --name fine --restart on-failure $BASE true >/dev/null; docker wait fine; sleep 0.5; docker inspect -f '{{.RestartCount}} {{.State.Status}}' fine", "0\n0 exited"),
  is("always restarts after success", "docker run -d --name always --restart always $BASE sh -c 'sleep 0.2' >/dev/null; wait_for '[ $(docker inspect -f \"{{.RestartCount}}\" always) -ge 2 ]'; echo again", "again"),
  is("while it waits it is restarting", "wait_for 'docker ps -a -f name=always -f status=restarting -q | grep .'; docker ps -a -f name=always --format '{{.Names}}'", "always"),
  is("stop ends it", "docker stop -t 0 always >/dev/null; sleep 1; docker inspect -f '{{.State.Status}} {{.State.Restarting}}' always", "exited false"),
  is("unless-stopped is kept", "docker inspect -f '{{.HostConfig.RestartPolicy.Name}}' $(docker create --restart unless-stopped $BASE)", "unless-stopped"),
  is("no is the default", "docker inspect -f '{{.HostConfig.RestartPolicy.Name}}' $(docker create $BASE)", "no"),
  fails("an unknown policy", "docker create --restart nope $BASE", 1, /(invalid|unknown).*restart policy|invalid restart policy/),
  fails("a count for always", "docker create --restart always:3 $BASE", 1, /maximum retry count/i),
  is(
    "a killed container with always comes back after kill from inside",
    "docker run -d --name inside --restart always $BASE sleep 1000 >/dev/null; a=$(docker inspect -f '{{.State.Pid}}' inside); kill -9 $a; wait_for '[ $(docker inspect -f \"{{.RestartCount}} {{.State.Running}}\" inside | tr \" \" -) = 1-true ]'; docker inspect -f '{{.RestartCount}}' inside",
    "1",
  ),
  is("docker kill ends it for good", "docker kill inside >/dev/null; sleep 0.7; docker inspect -f '{{.State.Status}}' inside", "exited"),
]);
