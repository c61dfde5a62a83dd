import { expect } from "bun:test";
import { join } from "node:path";
import { S3_ENVIRONMENT } from "@slipway/testkit";
import { imageManifest, sha256 } from "./registry-fixture.ts";

export interface Replica {
  readonly url: string;
  readonly child: Bun.Subprocess;
}

export async function startReplica(place: string): Promise<Replica> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "replica-child.ts"), place], {
    env: { ...process.env, ...S3_ENVIRONMENT },
    stdout: "pipe",
    stderr: "inherit",
  });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return { url: `http://127.0.0.1:${Number(new TextDecoder().decode(value))}`, child };
}

/** Replicas of one registry; each request goes to any of them. */
class Replicas {
  readonly replicas: Replica[] = [];

  async fetch(path: string, init?: RequestInit): Promise<Response> {
    const replica = this.replicas[Math.floor(Math.random() * this.replicas.length)] as Replica;
    return await fetch(replica.url + path, init);
  }

  /** An upload whose requests go from replica to replica. */
  async pushBlob(name: string, content: string): Promise<{ digest: string; size: number }> {
    const digest = sha256(content);
    const begun = await this.#ok("/v2/x/blobs/uploads/".replace("x", name), { method: "POST" });
    const location = begun.headers.get("location") ?? "";
    const half = content.length >> 1;
    const patch = (from: number, to: number) =>
      this.#ok(location, {
        method: "PATCH",
        body: content.slice(from, to),
        headers: { "Content-Range": `${from}-${to - 1}` },
      });
    await patch(0, half);
    await patch(half, content.length);
    await this.#ok(`${location}?digest=${digest}`, { method: "PUT" });
    return { digest, size: content.length };
  }

  async pushImage(name: string, tag: string, content: string): Promise<string> {
    const config = await this.pushBlob(name, JSON.stringify({ os: "linux", architecture: "amd64", content }));
    const bytes = imageManifest(config, [await this.pushBlob(name, content.repeat(50))]);
    const headers = { "Content-Type": "application/vnd.oci.image.manifest.v1+json" };
    await this.#ok(`/v2/${name}/manifests/${tag}`, { method: "PUT", body: bytes, headers });
    return sha256(bytes);
  }

  async #ok(path: string, init: RequestInit): Promise<Response> {
    const response = await this.fetch(path, init);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response;
  }
}

export interface KillOptions {
  /** A storage, as `openRegistryStorage` takes it. */
  readonly place: string;
  readonly replicas: number;
  readonly kills: number;
}

const PUSHERS = 6;

/**
 * Pushes without end while replicas are killed and started again. In the end every acknowledged push must be there, and
 * everything that is shown must be whole.
 */
export async function pushWhileKilled({ place, replicas, kills }: KillOptions): Promise<void> {
  const pair = new Replicas();
  for (let started = 0; started < replicas; started++) pair.replicas.push(await startReplica(place));
  const acknowledged = new Map<string, string>();
  let isOver = false;
  const push = async (pusher: number) => {
    for (let round = 0; !isOver; round++) {
      const tag = `p${pusher}-${round}`;
      // What fails was not acknowledged: the client would try again.
      await pair.pushImage("team/app", tag, `${tag} ${crypto.randomUUID()}`).then(
        (digest) => acknowledged.set(tag, digest),
        () => Bun.sleep(20),
      );
    }
  };
  try {
    const pushers = Array.from({ length: PUSHERS }, (_, pusher) => push(pusher));
    for (let kill = 0; kill < kills; kill++) {
      const before = acknowledged.size;
      while (acknowledged.size < before + 5) await Bun.sleep(10);
      const victim = kill % replicas;
      pair.replicas[victim]?.child.kill("SIGKILL");
      await pair.replicas[victim]?.child.exited;
      pair.replicas[victim] = await startReplica(place);
    }
    isOver = true;
    await Promise.all(pushers);
    expect(acknowledged.size).toBeGreaterThan(kills * 5);

    const tags: string[] = [];
    for (let path: string | undefined = "/v2/team/app/tags/list?n=100"; path !== undefined; ) {
      const list = await pair.fetch(path);
      tags.push(...((await list.json()) as { tags: string[] }).tags);
      path = /<([^>]+)>/.exec(list.headers.get("link") ?? "")?.[1];
    }
    expect([...acknowledged.keys()].filter((tag) => !tags.includes(tag))).toEqual([]);
    for (const tag of tags) {
      const manifest = await pair.fetch(`/v2/team/app/manifests/${tag}`);
      const text = await manifest.text();
      if (acknowledged.has(tag)) expect(sha256(text)).toBe(acknowledged.get(tag) ?? "");
      const { config, layers } = JSON.parse(text) as { config: { digest: string }; layers: { digest: string }[] };
      for (const { digest } of [config, ...layers]) {
        const blob = await pair.fetch(`/v2/team/app/blobs/${digest}`);
        expect(sha256(new Uint8Array(await blob.arrayBuffer()))).toBe(digest);
      }
    }
  } finally {
    isOver = true;
    for (const { child } of pair.replicas) child.kill("SIGKILL");
    await Promise.all(pair.replicas.map(({ child }) => child.exited));
  }
}
