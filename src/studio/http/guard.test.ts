/** Who may ask the studio for what: Host, Origin, token, cookie; and what every answer has. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { studioUnderTest, TOKEN } from "../../../test/support/studio-app.ts";

const page = mkdtempSync(join(tmpdir(), "longhand-test-"));
afterAll(() => rmSync(page, { recursive: true, force: true }));
mkdirSync(join(page, "assets"));
writeFileSync(join(page, "index.html"), "<!doctype html><title>Studio</title>");
writeFileSync(join(page, "assets", "index-1.js"), "export {};");

const { ask } = studioUnderTest({ page });

const WITHOUT = { authorization: "" };

it.each(["localhost", "localhost:9000", "127.0.0.1:8090", "[::1]:8090"])("answers to the name %s", async (host) => {
  expect((await ask("/api/runs", { headers: { host } })).status).toBe(200);
});

it.each(["studio.example.org", "localhost.example.org", "127.0.0.1.example.org", "192.168.0.7:8090"])(
  "refuses to answer to the name %j",
  async (host) => {
    for (const url of ["/api/runs", "/", "/assets/index-1.js"]) {
      const { status, text } = await ask(url, { headers: { host } });
      expect(status).toBe(403);
      expect(text).toMatch(/^(\{"error":")?expected a Host of this machine/);
    }
  },
);

it.each([
  [{ origin: "http://localhost:3000" }],
  [{ origin: "https://localhost:8090" }],
  [{ origin: "null" }],
  [{ "sec-fetch-site": "same-site" }],
  [{ "sec-fetch-site": "cross-site" }],
])("refuses pages elsewhere, %j, which have the cookie all the same", async (headers) => {
  for (const method of ["GET", "POST"] as const)
    expect((await ask("/api/trainings", { method, headers })).status).toBe(403);
});

it("can be linked to, with the token", async () => {
  const headers = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", ...WITHOUT };
  expect((await ask(`/?token=${TOKEN}`, { headers })).status).toBe(200);
  expect((await ask("/", { headers })).status).toBe(401);
});

it("lets its own page in", async () => {
  const headers = { origin: "http://localhost:8090", "sec-fetch-site": "same-origin" };
  expect((await ask("/api/runs", { headers })).status).toBe(200);
});

describe("the token", () => {
  it.each([
    ["none", WITHOUT],
    ["another", { authorization: "Bearer nonsense" }],
    ["its beginning", { authorization: `Bearer ${TOKEN.slice(0, -1)}` }],
    ["the cookie of another port", { ...WITHOUT, cookie: `longhand-studio-1=${TOKEN}` }],
    ["an empty cookie", { ...WITHOUT, cookie: "longhand-studio-0=" }],
  ])("is asked for: %s", async (_, headers) => {
    for (const url of ["/api/runs", "/", "/reports/a/report.html", "/nowhere"]) {
      const { status, text } = await ask(url, { headers });
      expect(status, url).toBe(401);
      expect(text).toMatch(/^(\{"error":")?open the address that longhand studio printed/);
      expect(text).not.toContain(TOKEN);
    }
  });

  it("in the address is answered with a cookie that no script reads and no other site sends", async () => {
    const first = await ask(`/?token=${TOKEN}`, { headers: WITHOUT });
    expect(first).toMatchObject({ status: 200, text: expect.stringContaining("Studio") });
    const cookie = String(first.headers["set-cookie"]);
    expect(cookie).toMatch(/^longhand-studio-\d+=[\w-]+; HttpOnly; SameSite=Strict; Path=\/$/);
    const headers = { ...WITHOUT, cookie: `theme=dark; ${cookie.split(";")[0]}` };
    expect((await ask("/api/runs", { headers })).status).toBe(200);
    expect((await ask("/", { headers })).headers["set-cookie"]).toBeUndefined();
  });

  it("is taken from the address of the page alone", async () => {
    expect((await ask(`/api/runs?token=${TOKEN}`, { headers: WITHOUT })).status).toBe(401);
  });
});

it("sends files of the page to everybody here, and nothing beside them", async () => {
  const { status, headers } = await ask("/assets/index-1.js", { headers: WITHOUT });
  expect(status).toBe(200);
  expect(headers["content-type"]).toBe("text/javascript; charset=utf-8");
  for (const url of ["/assets/../assets/index-2.js", "/assets/", "/assets/..%2f..%2fetc%2fpasswd", "//etc/passwd"])
    expect((await ask(url)).status, url).toBe(404);
});

it("answers with headers that let no other page frame, read or script it", async () => {
  for (const url of ["/", "/api/runs", "/nowhere"]) {
    const { headers } = await ask(url);
    expect(headers["content-security-policy"]).toMatch(
      /default-src 'none'; script-src 'self';.*frame-ancestors 'none'/,
    );
    expect(headers["content-security-policy"]).not.toMatch(/script-src[^;]*unsafe/);
    expect(headers).toMatchObject({ "x-content-type-options": "nosniff", "x-frame-options": "DENY" });
    expect(headers["access-control-allow-origin"]).toBeUndefined();
  }
  const { status, headers } = await ask("/api/runs", { headers: { "access-control-request-method": "POST" } });
  expect([status, headers["access-control-allow-origin"]]).toEqual([200, undefined]);
});

it("says in one sentence what is wrong with a request", async () => {
  const wrong: [string, object, RegExp][] = [
    ["/api/write", { body: { text: "1.1", count: -1 } }, /^count -1: expected at least 0$/],
    ["/api/fill", { body: { run: "a", text: "b", topk: 3 } }, /^unknown field topk$/],
    ["/api/run", {}, /^run is missing \(expected text\)$/],
    ["/api/metrics?run=a&from=-1", {}, /^from "-1": expected at least 0$/],
  ];
  for (const [url, request, sentence] of wrong) {
    const { status, text } = await ask(url, request);
    expect(status, url).toBe(400);
    expect(JSON.parse(text).error).toMatch(sentence);
  }
  const form = await ask("/api/stop", { method: "POST", headers: { "content-type": "text/plain" } });
  expect(form.status).toBe(415);
});
