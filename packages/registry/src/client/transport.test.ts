import { expect, test } from "bun:test";
import { DEFAULT_SETTINGS } from "./settings.ts";
import { Transport } from "./transport.ts";

test("what is answered with 'see other' is fetched, not sent again", async () => {
  const seen: string[] = [];
  using server = Bun.serve({
    port: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      seen.push(`${request.method} ${pathname} ${await request.text()}`);
      return pathname === "/there"
        ? new Response("yes")
        : new Response(null, { status: 303, headers: { Location: "/there" } });
    },
  });
  const transport = new Transport(DEFAULT_SETTINGS);
  const url = new URL(`http://127.0.0.1:${server.port}/here`);
  const signal = new AbortController().signal;
  const incoming = await transport.send({ method: "POST", url, body: () => "secret", signal, insecure: true });
  expect(await incoming.response.text()).toBe("yes");
  incoming.end();
  expect(seen).toEqual(["POST /here secret", "GET /there "]);
});
