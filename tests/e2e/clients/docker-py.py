# Run by docker-py.interop.test.ts: what scripts written with docker-py do, against DOCKER_HOST.
import io
import tarfile
import time

import docker
import pytest

IMAGE = "alpine:latest"


@pytest.fixture
def client():
    client = docker.from_env()
    yield client
    for container in client.containers.list(all=True):
        container.remove(force=True, v=True)
    client.networks.prune()
    client.volumes.prune(filters={"all": True})
    client.close()


def test_run_returns_output_and_raises_on_failure(client):
    assert client.containers.run(IMAGE, "echo hello", remove=True) == b"hello\n"
    script = ["sh", "-c", "echo out; echo err >&2"]
    assert client.containers.run(IMAGE, script, stdout=True, stderr=True) == b"out\nerr\n"
    with pytest.raises(docker.errors.ContainerError) as failure:
        client.containers.run(IMAGE, ["sh", "-c", "echo why >&2; exit 3"], remove=True)
    assert failure.value.exit_status == 3
    assert failure.value.stderr == b"why\n"
    with pytest.raises(docker.errors.NotFound):
        client.containers.get("nobody")


def test_a_detached_container_lives(client):
    container = client.containers.run(IMAGE, "sleep 60", detach=True, name="py", labels={"a": "b"})
    assert [each.name for each in client.containers.list(filters={"label": "a=b"})] == ["py"]
    container.pause()
    container.reload()
    assert container.status == "paused"
    container.unpause()
    container.rename("renamed")
    container.kill()
    assert container.wait()["StatusCode"] == 137
    container.start()
    container.restart(timeout=0)
    container.stop(timeout=0)
    container.reload()
    assert container.status == "exited"
    assert container.attrs["Name"] == "/renamed"
    container.remove()
    assert client.containers.list(all=True) == []


def test_exec_with_and_without_streams(client):
    container = client.containers.run(IMAGE, "sleep 60", detach=True)
    assert container.exec_run(["sh", "-c", "echo $A; exit 4"], environment={"A": "x"}) == (4, b"x\n")
    code, (out, err) = container.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
    assert (code, out, err) == (0, b"out\n", b"err\n")
    code, stream = container.exec_run(["sh", "-c", "for i in 1 2 3; do echo $i; done"], stream=True)
    assert b"".join(stream) == b"1\n2\n3\n"
    code, connection = container.exec_run("cat", stdin=True, socket=True)
    connection._sock.sendall(b"there and back\n")
    frame = connection.read(8)
    assert frame == b"\x01\0\0\0\0\0\0\x0f"
    assert connection.read(15) == b"there and back\n"
    connection.close()


def test_logs_follow_tail_and_times(client):
    container = client.containers.run(IMAGE, ["sh", "-c", "echo 1; sleep 0.3; echo 2"], detach=True)
    assert b"".join(container.logs(stream=True, follow=True)) == b"1\n2\n"
    assert container.logs(tail=1) == b"2\n"
    assert container.logs(since=int(time.time()) + 10) == b""
    stamped = container.logs(timestamps=True).split(b"\n")[0]
    assert stamped.endswith(b"Z 1") and len(stamped) > 25


def test_the_attached_socket_is_standard_input(client):
    container = client.containers.create(IMAGE, "cat", stdin_open=True)
    connection = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    connection._sock.sendall(b"hello\n")
    assert connection.read(14) == b"\x01\0\0\0\0\0\0\x06hello\n"
    connection.close()
    container.kill()


def test_stats_and_top(client):
    container = client.containers.run(IMAGE, "sleep 60", detach=True)
    once = container.stats(stream=False)
    assert once["memory_stats"]["usage"] > 0 and once["pids_stats"]["current"] == 1
    several = container.stats(decode=True)
    first, second = next(several), next(several)
    assert second["read"] > first["read"] and second["networks"]["eth0"]["rx_packets"] >= 0
    assert any("sleep 60" in " ".join(process) for process in container.top()["Processes"])


def test_archives_in_and_out_and_changes(client):
    container = client.containers.run(IMAGE, "sleep 60", detach=True)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("dir/file")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"data"))
    assert container.put_archive("/tmp", buffer.getvalue())
    chunks, stat = container.get_archive("/tmp/dir/file")
    assert (stat["name"], stat["size"]) == ("file", 4)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        assert archive.extractfile("file").read() == b"data"
    assert {"Path": "/tmp/dir/file", "Kind": 1} in container.diff()
    with tarfile.open(fileobj=io.BytesIO(b"".join(container.export()))) as archive:
        assert "tmp/dir/file" in archive.getnames()


def test_images_are_built_tagged_saved_loaded_and_removed(client):
    dockerfile = f"FROM {IMAGE}\nARG WORD\nRUN echo $WORD > /word\nLABEL made=here\n"
    image, lines = client.images.build(fileobj=io.BytesIO(dockerfile.encode()), tag="py:built", buildargs={"WORD": "w"})
    assert any("Successfully tagged py:built" in line.get("stream", "") for line in lines)
    assert client.containers.run("py:built", "cat /word", remove=True) == b"w\n"
    assert image.labels == {"made": "here"}
    assert image.history()[0]["CreatedBy"]
    assert image.tag("py", "again")
    saved = b"".join(client.images.get("py:again").save(named=True))
    client.images.remove("py:again")
    client.images.remove("py:built")
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get("py:built")
    (loaded,) = client.images.load(saved)
    assert loaded.tags == ["py:again"] and loaded.id == image.id
    assert [each.id for each in client.images.list(name="py", filters={"label": "made=here"})] == [image.id]
    client.images.remove("py:again")
    with pytest.raises(docker.errors.BuildError, match="returned a non-zero code: 7"):
        client.images.build(fileobj=io.BytesIO(f"FROM {IMAGE}\nRUN exit 7\n".encode()))


def test_a_container_becomes_an_image(client):
    container = client.containers.run(IMAGE, "touch /made", detach=True)
    container.wait()
    image = container.commit("py", "committed", changes=["ENV A=b"], author="me", message="why")
    assert client.containers.run(image, ["sh", "-c", "ls /made; echo $A"], remove=True) == b"/made\nb\n"
    client.images.remove("py:committed", force=True)


def test_volumes_keep_data(client):
    volume = client.volumes.create("kept", labels={"x": "y"})
    mount = {"kept": {"bind": "/data", "mode": "rw"}}
    client.containers.run(IMAGE, ["sh", "-c", "echo v > /data/f"], volumes=mount, remove=True)
    assert client.containers.run(IMAGE, "cat /data/f", volumes=mount, remove=True) == b"v\n"
    assert [each.name for each in client.volumes.list(filters={"label": "x=y"})] == ["kept"]
    holder = client.containers.create(IMAGE, "true", volumes=mount)
    with pytest.raises(docker.errors.APIError) as failure:
        volume.remove()
    assert failure.value.status_code == 409
    holder.remove()
    volume.remove()


def test_networks_join_containers_by_name(client):
    pool = docker.types.IPAMPool(subnet="10.231.7.0/24", gateway="10.231.7.254")
    network = client.networks.create("py-net", ipam=docker.types.IPAMConfig(pool_configs=[pool]), labels={"n": "1"})
    script = ["sh", "-c", "exec nc -ll -p 80 -e echo hello"]
    server = client.containers.run(IMAGE, script, detach=True, name="server", network="py-net")
    asker = client.containers.run(IMAGE, "sleep 60", detach=True)
    network.connect(asker, aliases=["asker-alias"], ipv4_address="10.231.7.77")
    deadline = time.time() + 10
    while asker.exec_run(["sh", "-c", "nc server 80 </dev/null"])[1] != b"hello\n":
        assert time.time() < deadline
    asker.reload()
    assert asker.attrs["NetworkSettings"]["Networks"]["py-net"]["IPAddress"] == "10.231.7.77"
    network.reload()
    assert {each.name for each in network.containers} == {server.name, asker.name}
    network.disconnect(asker)
    assert asker.exec_run(["sh", "-c", "nc server 80 </dev/null"])[0] != 0
    with pytest.raises(docker.errors.APIError):
        network.remove()
    server.remove(force=True)
    network.remove()


def test_ports_are_published(client):
    script = ["sh", "-c", "exec nc -ll -p 80 -e echo hello"]
    container = client.containers.run(IMAGE, script, detach=True, ports={"80/tcp": ("127.0.0.1", None)})
    container.reload()
    (binding,) = container.ports["80/tcp"]
    assert binding["HostIp"] == "127.0.0.1" and int(binding["HostPort"]) > 0


def test_events_tell_what_happened(client):
    since = time.time()
    container = client.containers.run(IMAGE, "true", detach=True)
    container.wait()
    container.remove()
    events = client.events(since=since, until=time.time() + 0.5, decode=True, filters={"container": container.id})
    actions = [event["Action"] for event in events]
    assert [each for each in actions if each != "attach"] == ["create", "start", "die", "destroy"]


def test_limits_mounts_health_and_restart_policies_are_kept(client):
    container = client.containers.run(
        IMAGE,
        "sleep 60",
        detach=True,
        mem_limit="64m",
        nano_cpus=500_000_000,
        pids_limit=50,
        cap_add=["NET_ADMIN"],
        read_only=True,
        tmpfs={"/scratch": "size=1m"},
        ulimits=[docker.types.Ulimit(name="nofile", soft=100, hard=200)],
        sysctls={"net.core.somaxconn": "99"},
        extra_hosts={"elsewhere": "10.1.2.3"},
        restart_policy={"Name": "on-failure", "MaximumRetryCount": 2},
        healthcheck={"test": ["CMD", "true"], "interval": 100_000_000, "retries": 1},
        init=True,
        user="nobody",
        working_dir="/scratch",
    )
    script = "pwd; id -un; cat /proc/sys/net/core/somaxconn; grep -c elsewhere /etc/hosts; touch /x 2>&1"
    assert container.exec_run(["sh", "-c", script])[1].startswith(b"/scratch\nnobody\n99\n1\n")
    deadline = time.time() + 20
    while container.health != "healthy":
        assert time.time() < deadline
        time.sleep(0.05)
        container.reload()
    host = container.attrs["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (64 << 20, 500_000_000, 50)
    container.update(mem_limit="128m", memswap_limit="256m")
    container.reload()
    assert container.attrs["HostConfig"]["Memory"] == 128 << 20


def test_the_engine_tells_about_itself(client):
    assert client.ping()
    assert client.version()["Os"] == "linux"
    assert client.info()["OSType"] == "linux"
    assert "Images" in client.df() or "ImageUsage" in client.df()
