// Run by go-client.interop.test.ts: what programs with the Go client library do, against DOCKER_HOST, in several API versions.
// Exits with 1 at the first surprise.
package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
	"github.com/docker/docker/errdefs"
	"github.com/docker/docker/pkg/stdcopy"
	"github.com/docker/go-connections/nat"
)

const base = "alpine:latest"

func must[T any](value T, err error) T {
	ok(err)
	return value
}

func ok(err error) {
	if err != nil {
		panic(err)
	}
}

func same[T comparable](what string, got, want T) {
	if got != want {
		panic(fmt.Sprintf("%s: %v instead of %v", what, got, want))
	}
}

func main() {
	defer func() {
		if surprise := recover(); surprise != nil {
			fmt.Fprintln(os.Stderr, surprise)
			os.Exit(1)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, version := range []string{"", "1.24", "1.41", "1.44"} {
		options := []client.Opt{client.FromEnv, client.WithAPIVersionNegotiation()}
		if version != "" {
			options = append(options, client.WithVersion(version))
		}
		docker := must(client.NewClientWithOpts(options...))
		containers(ctx, docker)
		builds(ctx, docker)
		networks(ctx, docker)
		ok(docker.Close())
		fmt.Println("passed", docker.ClientVersion())
	}
}

func containers(ctx context.Context, docker *client.Client) {
	since := time.Now()
	config := &container.Config{
		Image: base, Cmd: []string{"sh", "-c", "read line; echo got $line; echo err >&2; sleep 60"},
		OpenStdin: true, Labels: map[string]string{"go": "yes"}, ExposedPorts: nat.PortSet{"80/tcp": {}},
	}
	host := &container.HostConfig{PortBindings: nat.PortMap{"80/tcp": {{HostIP: "127.0.0.1"}}}}
	host.Memory = 64 << 20
	id := must(docker.ContainerCreate(ctx, config, host, nil, nil, "")).ID
	attached := must(docker.ContainerAttach(ctx, id, container.AttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true}))
	ok(docker.ContainerStart(ctx, id, container.StartOptions{}))
	must(attached.Conn.Write([]byte("hello\n")))
	var out, err bytes.Buffer
	for out.Len() == 0 || err.Len() == 0 {
		header := make([]byte, 8)
		must(io.ReadFull(attached.Reader, header))
		data := make([]byte, int(header[6])<<8|int(header[7]))
		must(io.ReadFull(attached.Reader, data))
		map[byte]*bytes.Buffer{1: &out, 2: &err}[header[0]].Write(data)
	}
	attached.Close()
	same("stdout", out.String(), "got hello\n")
	same("stderr", err.String(), "err\n")

	inspected := must(docker.ContainerInspect(ctx, id))
	same("memory", inspected.HostConfig.Memory, 64<<20)
	same("host address", inspected.NetworkSettings.Ports["80/tcp"][0].HostIP, "127.0.0.1")
	listed := must(docker.ContainerList(ctx, container.ListOptions{Filters: filters.NewArgs(filters.Arg("label", "go=yes"))}))
	same("listed", len(listed), 1)

	exec := must(docker.ContainerExecCreate(ctx, id, container.ExecOptions{Cmd: []string{"sh", "-c", "echo in; exit 5"}, AttachStdout: true}))
	running := must(docker.ContainerExecAttach(ctx, exec.ID, container.ExecAttachOptions{}))
	out.Reset()
	must(stdcopy.StdCopy(&out, io.Discard, running.Reader))
	running.Close()
	same("exec", out.String(), "in\n")
	same("exit code", must(docker.ContainerExecInspect(ctx, exec.ID)).ExitCode, 5)

	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	ok(writer.WriteHeader(&tar.Header{Name: "file", Mode: 0o600, Size: 4}))
	must(writer.Write([]byte("data")))
	ok(writer.Close())
	ok(docker.CopyToContainer(ctx, id, "/tmp", &archive, container.CopyToContainerOptions{}))
	reader, stat, failure := docker.CopyFromContainer(ctx, id, "/tmp/file")
	ok(failure)
	same("size", stat.Size, 4)
	ok(reader.Close())
	same("changed files", len(must(docker.ContainerDiff(ctx, id))) >= 2, true)

	stats := must(docker.ContainerStatsOneShot(ctx, id))
	ok(stats.Body.Close())
	ended, failed := docker.ContainerWait(ctx, id, container.WaitConditionNotRunning)
	none := 0
	ok(docker.ContainerStop(ctx, id, container.StopOptions{Timeout: &none}))
	select {
	case result := <-ended:
		same("status", result.StatusCode, 137)
	case failure := <-failed:
		panic(failure)
	}
	logs := must(docker.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, Tail: "10"}))
	out.Reset()
	must(stdcopy.StdCopy(&out, io.Discard, logs))
	ok(logs.Close())
	same("logs", out.String(), "got hello\n")
	ok(docker.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true}))
	_, failure = docker.ContainerInspect(ctx, id)
	same("gone", errdefs.IsNotFound(failure), true)

	filter := filters.NewArgs(filters.Arg("container", id), filters.Arg("event", "start"), filters.Arg("event", "die"))
	messages, ends := docker.Events(ctx, events.ListOptions{
		Since: fmt.Sprint(since.Unix()), Until: fmt.Sprint(time.Now().Unix() + 1), Filters: filter,
	})
	seen := ""
	for done := false; !done; {
		select {
		case message := <-messages:
			seen += string(message.Action) + " "
		case failure := <-ends:
			same("end of events", failure, io.EOF)
			done = true
		}
	}
	same("events", seen, "start die ")
}

func builds(ctx context.Context, docker *client.Client) {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	dockerfile := []byte("FROM " + base + "\nRUN echo made > /made\n")
	ok(writer.WriteHeader(&tar.Header{Name: "Dockerfile", Mode: 0o600, Size: int64(len(dockerfile))}))
	must(writer.Write(dockerfile))
	ok(writer.Close())
	built := must(docker.ImageBuild(ctx, &archive, types.ImageBuildOptions{Tags: []string{"go:built"}, Remove: true}))
	text := string(must(io.ReadAll(built.Body)))
	same("tagged", bytes.Contains([]byte(text), []byte("Successfully tagged go:built")), true)
	inspected := must(docker.ImageInspect(ctx, "go:built"))
	saved := must(io.ReadAll(must(docker.ImageSave(ctx, []string{"go:built"}))))
	same("removed", len(must(docker.ImageRemove(ctx, "go:built", image.RemoveOptions{}))) > 0, true)
	loaded := must(docker.ImageLoad(ctx, bytes.NewReader(saved)))
	must(io.ReadAll(loaded.Body))
	same("loaded", must(docker.ImageInspect(ctx, "go:built")).ID, inspected.ID)
	same("history", len(must(docker.ImageHistory(ctx, "go:built"))) >= 2, true)
	must(docker.ImageRemove(ctx, "go:built", image.RemoveOptions{Force: true, PruneChildren: true}))
}

func networks(ctx context.Context, docker *client.Client) {
	made := must(docker.NetworkCreate(ctx, "go-net", network.CreateOptions{Driver: "bridge"}))
	settings := &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{"go-net": {Aliases: []string{"alias"}}}}
	kept := must(docker.VolumeCreate(ctx, volume.CreateOptions{Name: "go-volume"}))
	host := &container.HostConfig{NetworkMode: "go-net", Binds: []string{"go-volume:/data"}}
	config := &container.Config{Image: base, Cmd: []string{"sleep", "60"}}
	id := must(docker.ContainerCreate(ctx, config, host, settings, nil, "go-server")).ID
	ok(docker.ContainerStart(ctx, id, container.StartOptions{}))
	same("members", len(must(docker.NetworkInspect(ctx, made.ID, network.InspectOptions{})).Containers), 1)
	same("refused", errdefs.IsForbidden(docker.NetworkRemove(ctx, made.ID)), true)
	ok(docker.NetworkDisconnect(ctx, made.ID, id, false))
	ok(docker.NetworkConnect(ctx, made.ID, id, &network.EndpointSettings{Aliases: []string{"again"}}))
	same("volume in use", errdefs.IsConflict(docker.VolumeRemove(ctx, kept.Name, false)), true)
	ok(docker.ContainerRemove(ctx, id, container.RemoveOptions{Force: true}))
	ok(docker.NetworkRemove(ctx, made.ID))
	ok(docker.VolumeRemove(ctx, kept.Name, false))
	must(docker.Ping(ctx))
	same("info", must(docker.Info(ctx)).OSType, "linux")
	must(docker.DiskUsage(ctx, types.DiskUsageOptions{}))
}
