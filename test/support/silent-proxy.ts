import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/**
 * A proxy to a server that can stop forwarding without closing its connections, as when a cable is cut, or close them all and accept no
 * more, as when the server is down.
 */
export async function silentProxy(target: URL): Promise<{ url: URL; fallSilent: () => void; goDown: () => void }> {
  const sockets = new Set<Socket>();
  let isSilent = false;
  const server = createServer((client) => {
    sockets.add(client);
    client.on("error", () => undefined);
    if (isSilent) return;
    const upstream = connect(Number(target.port || 5432), target.hostname);
    sockets.add(upstream);
    upstream.on("error", () => undefined);
    client.on("data", (data) => {
      if (!isSilent) upstream.write(data);
    });
    upstream.on("data", (data) => {
      if (!isSilent) client.write(data);
    });
    upstream.on("close", () => {
      if (!isSilent) client.destroy();
    });
    client.on("close", () => upstream.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const url = new URL(target);
  url.hostname = "127.0.0.1";
  url.port = (server.address() as AddressInfo).port.toString();
  return {
    url,
    fallSilent: () => {
      isSilent = true;
    },
    goDown: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
